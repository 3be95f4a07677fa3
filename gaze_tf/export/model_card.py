"""MODEL_CARD.md, which describes a version of a model. The same run gives the same text.

Its facts come from the files of the training run. The model that comes with gaze_tf has a card already.
"""

import pathlib
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from gaze_tf import __version__
from gaze_tf import config as config_lib
from gaze_tf.errors import GazeError
from gaze_tf.files import reason
from gaze_tf.models.gaze_model import GazeModel
from gaze_tf.options import as_text
from gaze_tf.pretrained import weights as pretrained
from gaze_tf.training import checkpoints, run_folder

NAME = 'MODEL_CARD.md'

# scalars that are no terms of the loss
_NO_TERMS = {'learning_rate', 'images_per_second'}
_MEANINGS = {
    'image': 'JPEG or PNG files, of any sizes up to 64 megapixels',
    'image_bytes': 'PNG files of the same sizes, RGB, 8 bits',
    'images': 'RGB, 0 to 255',
    'frames': 'RGB, 0 to 255, one for each alpha or direction',
    'eyes': 'left_x, left_y, right_x, right_y: centers of the eyes in pixels of the image, counted from its edges (the '
    'middle of the first pixel is 0.5); left has the smaller x',
    'alphas': '0: the original gaze, 1: at the camera; any number',
    'directions': 'yaw and pitch in degrees from the camera, positive to the right and upwards',
    'direction': 'the same: where the eyes look',
    'content': 'content codes of both eyes, without a unit',
    'angle': 'angle code, without a unit; it is no angle in degrees',
    'palette': 'colors of both eyes',
}

_TEXT = """# Model card

Written by `gaze-tf export` of gaze_tf {version} with TensorFlow {tensorflow}. All facts come from files of the training
run. What the program cannot know is marked **to fill in**: please do so before you share the model.

## What it is

Version {number}. The networks repaint the eyes of aligned faces of {size} x {size} pixels, inside two
boxes of {crop_w} x {crop_h} pixels. The eyes then look at the camera, or anywhere between the camera and where they
looked. After *Dual In-painting Model for Unsupervised Gaze Correction and Animation in the Wild* (Zhang et al., ACM
Multimedia 2020).

{weights}

## Training

{training}

Checkpoint: `{checkpoint}`. The content encoder is from a run of `gaze-tf pretrain` (PAM), whose data is not recorded
here: **to fill in**.

Data: {data}

## Metrics

{metrics}

None of this measures how good corrections look on people: **to fill in**, with held-out faces of people who agreed.

{signatures}
## Limits

* It paints what its training data showed. Faces, light, glasses and make-up unlike that data come out worse, and nobody
  has measured how it does on groups of people that are rare in the data.
* It also repaints small, closed or far turned eyes, and does so badly. `gaze-tf correct` leaves them alone, the
  signatures do not.
* The color and pattern of irises can change. The result is a painting of eyes and no evidence of where somebody looked.
* Angle codes are no gaze angles, and content codes were not made to recognize anyone.

## Intended use and misuse

It is for correcting or moving the gaze in photos and videos of people who agreed to it: portraits, video calls, film.
Tell viewers that a picture was edited where it matters. Do not use it to deceive (forged evidence, feigned attention,
impersonation), for surveillance, to judge attention, to identify people, or for biometric or medical conclusions.

## Licenses

* Training data: not stated, **to fill in**. The program does not know the license. CelebAGaze's is stated where you got
  the data.
* Weights: not stated, **to fill in**. The license depends on the data and on the weights that training began with (the
  content encoder, the perceptual network), whose licenses may forbid some uses.
"""

_SIGNATURES = """## Signatures

Up to 32 rows (B), and as many alphas (K) as give 20 million pixels of frames altogether; docs/serving.md has all
limits.

| signature | inputs | outputs |
|---|---|---|
{rows}

{meanings}

Pixels outside the boxes are returned unchanged. `correct_encoded` blends the eyes into the photo, as `gaze-tf correct`
does; the other signatures return them as painted, so the rims of the boxes may show.
"""

_VERSION = """
## This version

Version {number}, written by `gaze-tf export --pretrained` of gaze_tf {version} with TensorFlow {tensorflow}. {weights}

"""


def write(
    folder: pathlib.Path, number: str, checkpoint: str, model: GazeModel, signatures: Mapping[str, Any], precision: str
) -> None:
    """Writes the card into the folder of a version.

    Args:
      folder: the folder, which may not have its final name yet.
      number: the version's number.
      checkpoint: path prefix of the exported checkpoint, in the folder of its run.
      model: the model.
      signatures: the signatures of the loaded SavedModel.
      precision: what networks compute in.
    """
    run = pathlib.Path(checkpoint).parent
    step = int(tf.train.load_variable(str(checkpoint), 'step/.ATTRIBUTES/VARIABLE_VALUE'))
    size = model.config.img_size
    averages = (
        '; averages over training (`ema`) of all but the content encoder'
        if checkpoints.holds(checkpoint, 'averages')
        else '; those of the last step, not averaged'
    )
    text = _TEXT.format(
        version=__version__,
        tensorflow=tf.__version__,
        size=size,
        crop_w=model.config.crop_w,
        crop_h=model.config.crop_h,
        weights=_weights(folder, model, precision, averages),
        training=_training(run, step),
        data=_data(run),
        metrics=_metrics(run, step),
        signatures=_signatures(signatures),
        number=number,
        checkpoint=pathlib.Path(checkpoint).name,
    )
    (folder / NAME).write_text(text, encoding='utf-8')


def write_pretrained(
    folder: pathlib.Path, number: str, model: GazeModel, signatures: Mapping[str, Any], precision: str
) -> None:
    """Writes the card of the model that comes with gaze_tf; for the arguments see `write`. Raises GazeError."""
    path = pretrained.FOLDER / pretrained.CARD
    try:
        text = path.read_text(encoding='utf-8')
    except OSError as error:
        raise GazeError(f'cannot be read: {reason(error)}. Install gaze_tf again.', about=path) from error
    text += _VERSION.format(
        number=number, version=__version__, tensorflow=tf.__version__, weights=_weights(folder, model, precision)
    ) + _signatures(signatures)
    (folder / NAME).write_text(text, encoding='utf-8')


def _weights(folder, model, precision, averages=''):
    counts = {
        name: sum(variable.shape.num_elements() for variable in network.variables)
        for name, network in model.serving_networks.items()
    }
    size = sum(path.stat().st_size for path in (folder / 'variables').iterdir())
    networks = ', '.join(f'{name} {count:,}' for name, count in counts.items())
    return (
        f'Weights: {sum(counts.values()):,} numbers ({networks}), {size / 1e6:.1f} MB{averages}. Networks '
        f'compute in {precision}, which weights are stored in, too.'
    )


def _training(run, step):
    groups = config_lib.load(run / config_lib.CONFIG_NAME)
    # without paths of a machine, and what has no influence on the weights
    options = [
        f'{name}={as_text(value)}'
        for group in groups.values()
        for name, value in group.affecting('results', 'run').items()
    ]
    steps = (
        f'{step:,} steps of `gaze-tf train` with'
        if 'gan' in groups
        else 'Not known: the weights come from another program. What is known of the networks:'
    )
    return f'{steps}\n\n```\n' + '\n'.join(options) + '\n```'


def _data(run):
    try:
        found = run_folder.data_of(run)
    except GazeError:
        found = None
    if not found:
        return 'not known, **to fill in**.'
    counts, fingerprint = found
    return (
        ', '.join(f'{count:,} faces of {name}' for name, count in sorted(counts.items()))
        + ' (X: eyes at the camera, Y: elsewhere; test faces were held out), fingerprint of `manifest.json` '
        f'{fingerprint}. What these photos show, and whether the people in them agreed: **to fill in**.'
    )


def _metrics(run, step):
    terms = _last_terms(run / 'tensorboard', step)
    held_out = any('held_out' in name for name in terms)
    if not terms:
        return 'Not measured: the run has left no logs.'
    rows = '\n'.join(f'| {name} | {value:.4g} | {at:,} |' for name, (at, value) in sorted(terms.items()))
    faces = (
        'those named held_out are for held-out faces, the others for training faces'
        if held_out
        else 'they are for training faces'
    )
    return (
        'What training minimized, as last logged. The terms pull against each other and do not rank models; '
        f'{faces}.\n\n'
        f'| term | value | step |\n|---|---|---|\n{rows}'
    )


def _last_terms(directory, step):
    """{name: (step, value)} of the last scalars in TensorBoard logs up to a step."""
    terms: dict[str, tuple[int, float]] = {}
    for path in sorted(directory.glob('events.out.tfevents.*')):
        try:
            for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
                event = tf.compat.v1.Event.FromString(record)
                for value in event.summary.value:
                    if (
                        value.metadata.plugin_data.plugin_name == 'scalars'
                        and value.tag not in _NO_TERMS
                        and terms.get(value.tag, (0, 0.0))[0] <= event.step <= step
                    ):
                        terms[value.tag] = event.step, float(tf.make_ndarray(value.tensor))
        except tf.errors.DataLossError:
            continue  # a killed run leaves half a record
    return terms


def _signatures(signatures):
    rows, used = [], set()
    for name, signature in sorted(signatures.items()):
        sides = (signature.structured_input_signature[1], signature.structured_outputs)
        rows.append(
            ' | '.join(
                [
                    f'| {name}',
                    *(', '.join(f'`{key}` {_shape(spec)}' for key, spec in sorted(specs.items())) for specs in sides),
                ]
            )
            + ' |'
        )
        used.update(*sides)
    return _SIGNATURES.format(
        rows='\n'.join(rows),
        meanings='\n'.join(f'* `{name}`: {meaning}.' for name, meaning in _MEANINGS.items() if name in used),
    )


def _shape(spec):
    # a SavedModel leaves open the size of the batch and, second, the number of alphas
    dimensions = [str(size or open) for size, open in zip(spec.shape, ('B', 'K', '?', '?', '?'))]
    return f'{spec.dtype.name} [{", ".join(dimensions)}]'
