"""Archives of a tiny model in tests/data: what one version of gaze_tf wrote under one version of TensorFlow.

`python -m tests.archives NAME` writes NAME.zip there, unless it exists, and NAME_resumed.npz: what training computes
that goes on from it.
"""

import dataclasses
import pathlib
import sys
import tempfile
import zipfile

import numpy as np

from gaze_tf import config  # before TensorFlow, as gaze_tf says how that is to start

# isort: split
import tensorflow as tf

from gaze_tf.data.pipeline import Batch
from gaze_tf.export import export
from gaze_tf.models.layers import spectral_layers
from gaze_tf.training import checkpoints
from gaze_tf.training.gan_step import GanStep
from gaze_tf.training.pam_step import PamStep
from tests import tiny
from tests.paths import DATA

# the model of model_0.1.zip, with what came later
MODEL = config.ModelConfig(
    img_size=16,
    crop_w=7,
    crop_h=5,
    crop_px=8,
    code_size=4,
    ngf=1,
    n_layers_r=1,
    ndf=1,
    nef=1,
    n_layers_g=4,
    n_layers_d=2,
    n_layers_e=1,
    palette=2,
    match_detail=True,
)
PAM = config.PamConfig(lr_r=1e-2)
# updates far above the rounding of weights
GAN = config.GanConfig(lam_p=0, lr_d=1e-2, lr_g=1e-2)
STEPS = {'gaze': 6, 'pam': 4}


def pixels(image):
    """uint8 of images in [-1, 1]."""
    return (np.asarray(image) * 127.5 + 128).astype(np.uint8)


def computed(model, given):
    """What a GazeModel computes of images, eyes and alphas: {name: array}."""
    faces = model.look(tf.constant(given['images'] / np.float32(127.5) - 1), tf.constant(given['eyes']))
    corrected, canvas = model.correct(faces), model.canvas(faces)
    frames = [
        model.interpolate(canvas, corrected, tf.constant(given['alphas'][:, k : k + 1])).image
        for k in range(given['alphas'].shape[1])
    ]
    return {
        'content': faces.content.numpy(),
        'angle': model.angle(faces).numpy(),
        'corrected': pixels(corrected.image),
        'frames': pixels(np.stack(frames, axis=1)),
    }


def restored(folder, run):
    """The step of the run 'gaze' or 'pam' in a folder, restored with nothing missing and nothing left over."""
    if run == 'gaze':
        stage = GanStep(checkpoints.read_config(folder / run, 'model'), GAN)
    else:
        stage = PamStep(checkpoints.read_config(folder / run, 'encoder'), PAM)
    step = tf.Variable(0, dtype=tf.int64, trainable=False)
    manager = checkpoints.manager(folder / run, step, stage.checkpoint, keep=1)
    checkpoints.restore_all(manager.checkpoint, manager.latest_checkpoint)
    assert int(step) == STEPS[run]
    return stage


def resumed(folder, run, given):
    """Two more steps on the given images: {'terms/NAME': [2], 'change/UPDATE': mean change of each variable}."""
    stage = restored(folder, run)
    images, eyes = given['images'] / np.float32(127.5) - 1, given['eyes']
    batches = [Batch(tf.constant(images[order]), tf.constant(eyes[order])) for order in ([0, 1], [1, 0])]
    before = {name: [value.numpy() for value in variables] for name, variables in stage.variables.items()}
    with tiny.eagerly():
        rows = [stage.train_step(*batches) for _ in range(2)]
    return {
        **{f'terms/{name}': np.array([row[name] for row in rows]) for name in rows[0]},
        **{
            f'change/{name}': np.array([np.mean(value - old) for value, old in zip(variables, before[name])])
            for name, variables in stage.variables.items()
        },
    }


def unpack(archive, folder):
    """Unpacks an archive into a folder; returns what was given and computed when it was made, {name: array}."""
    with zipfile.ZipFile(archive) as file:
        file.extractall(folder)
    with np.load(folder / 'expected.npz') as file:
        return dict(file)


def recording(archive):
    """The file with what going on from an archive computes."""
    return archive.with_name(f'{archive.stem}_resumed.npz')


def write_archive(archive, folder):
    """Makes an archive; folder: an empty one to work in."""
    rng = np.random.default_rng(0)
    given = {
        'images': rng.integers(0, 256, (2, 16, 16, 3), np.uint8),
        'eyes': np.array([[4, 6, 11, 6], [5, 7, 12, 6]], np.float32),
        'alphas': np.array([[0, 0.5], [1, 1.4]], np.float32),
    }
    encoder = config.EncoderConfig(**{field: getattr(MODEL, field) for field in dataclasses.asdict(tiny.ENCODER)})
    gaze, pam = GanStep(MODEL, GAN), PamStep(encoder, PAM)
    fill(gaze.model, gaze.optimizers.values(), STEPS['gaze'], rng)
    fill(pam.autoencoder, [pam.optimizer], STEPS['pam'], rng)
    for run, stage, groups in (('gaze', gaze, {'model': MODEL}), ('pam', pam, {'encoder': encoder})):
        (folder / run).mkdir()
        config.save(folder / run / config.CONFIG_NAME, **groups)
        step = tf.Variable(STEPS[run], dtype=tf.int64, trainable=False)
        checkpoints.manager(folder / run, step, stage.checkpoint, keep=1).save(STEPS[run])
    export.export(folder / 'gaze', folder / 'versions').folder.rename(folder / 'saved_model')
    np.savez_compressed(folder / 'expected.npz', **given, **computed(export.load_model(folder / 'gaze'), given))
    parts = ('expected.npz', 'gaze/*', 'pam/*', 'saved_model/*.pb', 'saved_model/*.json', 'saved_model/variables/*')
    with zipfile.ZipFile(archive, 'w', zipfile.ZIP_LZMA) as file:
        for path in (path for part in parts for path in sorted(folder.glob(part))):
            file.write(path, path.relative_to(folder))


def fill(network, optimizers, steps, rng):
    """Repeating patterns as weights, and a constant for each slot of the optimizers, compress well."""
    for variable in network.variables:
        pattern = np.round(rng.normal(0, 1 / 4, 251) * 128) / 128
        if variable.shape.rank > 1:
            scale = np.sqrt(32 / np.prod(variable.shape[:-1]))
            variable.assign(np.resize(pattern, variable.shape) * scale)
        else:
            variable.assign(variable + np.resize(pattern, variable.shape))
    for layer in spectral_layers(network):
        for _ in range(20):
            layer.advance()
    for optimizer in optimizers:
        optimizer.iterations.assign(steps)
        for number, slot in enumerate(optimizer.variables[1:], start=2):
            slot.assign(tf.fill(slot.shape, number / 4096))


def main(name):
    archive = DATA / f'{name}.zip'
    with tempfile.TemporaryDirectory() as making, tempfile.TemporaryDirectory() as made:
        if not archive.exists():
            write_archive(archive, pathlib.Path(making))
        given = unpack(archive, pathlib.Path(made))
        values = {
            f'{run}/{key}': value for run in STEPS for key, value in resumed(pathlib.Path(made), run, given).items()
        }
    np.savez_compressed(recording(archive), **values)


if __name__ == '__main__':
    main(sys.argv[1])
