"""python -m tools.train_gaze_estimator --output=runs/gaze_estimator.npz

Trains the gaze estimator of gaze_tf/evaluation/estimator.py on faces that it draws for this, and measures it on others,
in about 6 minutes of CPU time. gaze_tf/evaluation/gaze_estimator.npz was made with it.

Nobody is drawn twice, here or in a data set of `gaze-tf draw-dataset`: every drawing has a person of its own,
seeded with (seed, STREAM, part, 1 + index), where part is 1 for training and 2 for the held-out drawings. The data sets
seed people with (seed, 0, index). However numpy splits large seeds into 32-bit words and pads with zeros, the last word
but one is 0 there and the part, which is not 0, here (and where there are four words, the last one here is never a
padding 0). So the streams have nothing in common, whatever both seeds are.

The file holds the network's weights in float16, the recipe, and the error on the held-out drawings. The same flags give
the same file on the same machine and versions.
"""

import os

# The workers that render share the cores already; this must be set before numpy is first loaded.
os.environ.setdefault('OPENBLAS_NUM_THREADS', '1')

import io
import json
import multiprocessing
import pathlib
import signal
import sys
import time

import numpy as np
from absl import app, flags
from PIL import Image
from tqdm import tqdm

from gaze_tf.files import new_file
from gaze_tf.synthetic import renderer as face_renderer

STREAM, TRAINING, HELD_OUT = 7001, 1, 2
SIZES = {128: 0.7, 96: 0.2, 256: 0.1}  # of the renderings, and how many of them for training
REACH = (0.15, 0.11)  # half a patch, as a share of the image: a crop's, and room for jittered eyes
QUALITY = (85, 97)  # of JPEGs, as in the data sets
SHARP = 0.3  # share of training renderings that are no JPEGs
WIDEST = {TRAINING: 42, HELD_OUT: 40}  # degrees; a little more than is asked for, so that 40 is no edge
POWER = {TRAINING: 0.5, HELD_OUT: 1}  # of a uniform number, which gives the angle
BATCH, RATE = 128, 3e-3
BINS = (0, 3, 10, 20, 30, 40)


def sample(seed, part, index):
    """Identity, View, JPEG quality and whether it is to stay sharp, of a rendering.

    For training, gazes are uniform over a disc: were they denser around the camera, doubtful ones would be drawn
    towards it. For measuring, angles are uniform.
    """
    rng = np.random.default_rng((seed, STREAM, part, 1 + index))
    person = face_renderer.Identity.sample(rng)
    angle = np.radians(WIDEST[part] * rng.uniform() ** POWER[part])
    around = rng.uniform(0, 2 * np.pi)
    pitch = np.degrees(np.arcsin(np.sin(angle) * np.sin(around)))
    yaw = np.degrees(np.arctan2(np.sin(angle) * np.cos(around), np.cos(angle)))
    view = face_renderer.View.sample(rng, float(yaw), float(pitch))
    return person, view, int(rng.integers(QUALITY[0], QUALITY[1] + 1)), bool(rng.uniform() < SHARP)


def render(task):
    """(seed, part, index, size) → image uint8 [size, size, 3], eyes [4] and gaze [2]."""
    seed, part, index, size = task
    person, view, quality, sharp = sample(seed, part, index)
    image, info = face_renderer.render(person, view, size)
    if part == HELD_OUT or not sharp:
        file = io.BytesIO()
        Image.fromarray(image).save(file, 'jpeg', quality=quality)
        image = np.array(Image.open(file))
    return image, info['eyes'].ravel(), (view.yaw, view.pitch)


def patches(task):
    """`render`, but of the image only a patch around each eye [2, h, w, 3], from its middle pixel to both sides."""
    image, eyes, truth = render(task)
    across, down = (int(np.ceil(share * task[-1])) for share in REACH)
    padded = np.pad(image, ((down, down), (across, across), (0, 0)), mode='edge')
    return np.stack([padded[y : y + 2 * down + 1, x : x + 2 * across + 1] for x, y in eyes.reshape(2, 2)]), eyes, truth


def rendered(work, tasks, pool, what):
    """[images or patches, eyes, gazes] of tasks of one size, as arrays."""
    found = list(tqdm(pool.imap(work, tasks, chunksize=16), desc=what, total=len(tasks), unit='face'))
    return [np.stack(part) for part in zip(*found)]


def training_set(seed, count, pool):
    """{size: [patches [N, 2, h, w, 3], eyes [N, 4], gazes [N, 2]]}."""
    start, groups = 0, {}
    for size, share in SIZES.items():
        tasks = [(seed, TRAINING, index, size) for index in range(start, start + round(share * count))]
        groups[size] = rendered(patches, tasks, pool, f'Rendering {size} px')
        start += len(tasks)
    return groups


def held_out_set(seed, count, pool):
    """{size: [images, eyes, gazes]} of `count` renderings of each size."""
    return {
        size: rendered(
            render,
            [(seed, HELD_OUT, n * count + index, size) for index in range(count)],
            pool,
            f'Rendering {size} px, held out',
        )
        for n, size in enumerate(SIZES)
    }


def seen(tf, estimator, group, size, count, rng):
    """`count` inputs of the network, [crops left, right], slopes and gazes: eyes misplaced by up to a pixel of 128."""
    images, eyes, gazes = group
    chosen = rng.uniform([count], maxval=len(gazes), dtype=tf.int32)
    shift = rng.uniform([count, 4], -1.5, 1.5) * size / 128 * tf.cast(rng.uniform([count, 1]) < 0.7, tf.float32)
    shift = tf.round(tf.clip_by_value(shift, -size / 128, size / 128))
    images = tf.gather(images, chosen)
    height, width = images.shape[2:4]
    share = estimator.CROP[0] * size / width, estimator.CROP[1] * size / height
    middle = tf.constant([width // 2, height // 2] * 2, tf.float32)
    both = [
        estimator.crops(images[:, eye], tf.tile((shift + middle)[:, 2 * eye : 2 * eye + 2], [1, 2]), share)[0]
        for eye in range(2)
    ]
    return tf.stack(both, 1), estimator.slope(tf.gather(eyes, chosen) + shift), tf.gather(gazes, chosen)


def disturbed(tf, pairs, rng):
    """Pairs of crops [B, 2, h, w, 3] in other light and colors, less sharp, and with more noise."""
    count, _, height, width, _ = pairs.shape

    def some(low, high, channels=1):
        return rng.uniform([count, 1, 1, 1, channels], low, high)

    gray = tf.reduce_mean(pairs, -1, keepdims=True)
    pairs = gray + some(0.2, 1.4) * (pairs - gray)
    pairs = (pairs + 1) * some(0.75, 1.3) * some(0.85, 1.17, 3) - 1 + some(-0.12, 0.12)
    kernel = np.array([1, 2, 1], np.float32) / 4
    kernel = np.tile((kernel[:, None] * kernel)[..., None, None], [1, 1, 3, 1])
    flat = tf.reshape(pairs, [2 * count, height, width, 3])
    soft = tf.nn.depthwise_conv2d(tf.pad(flat, [[0, 0], [1, 1], [1, 1], [0, 0]], 'SYMMETRIC'), kernel, [1] * 4, 'VALID')
    pairs += (tf.reshape(soft, pairs.shape) - pairs) * tf.maximum(some(-0.7, 1), 0)
    pairs += rng.normal(pairs.shape) * tf.maximum(some(-0.03, 0.04), 0)
    return tf.clip_by_value(pairs, -1, 1)


def train(groups, seed, steps):
    """The trained network."""
    import tensorflow as tf

    from gaze_tf.evaluation import estimator

    tf.keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    network = estimator.network()
    rng = tf.random.Generator.from_seed(seed)
    optimizer = tf.keras.optimizers.Adam(
        tf.keras.optimizers.schedules.CosineDecay(
            0.0, steps, alpha=0.0, warmup_target=RATE, warmup_steps=min(200, steps // 10)
        )
    )
    groups = {
        size: [tf.constant(patches), tf.constant(eyes, tf.float32), tf.constant(gazes, tf.float32)]
        for size, (patches, eyes, gazes) in groups.items()
    }

    @tf.function(autograph=False)
    def step():
        pairs, tilts, gazes = (
            tf.concat(part, 0)
            for part in zip(
                *[seen(tf, estimator, groups[size], size, round(share * BATCH), rng) for size, share in SIZES.items()]
            )
        )
        pairs = disturbed(tf, pairs, rng)
        with tf.GradientTape() as tape:
            found = network([pairs[:, 0], pairs[:, 1], tilts], training=True)
            # nearly the angle between both gazes
            apart = (found - gazes) * tf.stack([tf.cos(gazes[:, 1] * np.pi / 180), tf.ones_like(gazes[:, 1])], 1)
            loss = tf.reduce_mean(tf.sqrt(tf.reduce_sum(apart**2, 1) + 0.01))
        variables = network.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))
        return loss

    mean = None
    with tqdm(total=steps, desc='Training', unit='step') as bar:
        for _ in range(steps):
            loss = float(step())
            mean = loss if mean is None else 0.98 * mean + 0.02 * loss
            bar.set_postfix_str(f'{mean:.2f} degrees', refresh=False)
            bar.update()
    return network


def summary(errors):
    return {
        'mean': round(float(np.mean(errors)), 3),
        'median': round(float(np.median(errors)), 3),
        'p90': round(float(np.percentile(errors, 90)), 3),
        'renderings': len(errors),
    }


def grouped(errors, gazes, sizes):
    """Error as `GazeEstimator.error` has it, of all and of parts."""
    from gaze_tf.evaluation.metrics import gaze_angles

    angles, (x, y, _) = gaze_angles.angle(gazes), gaze_angles.vector(gazes).T
    parts = {f'{size} px': sizes == size for size in sorted(SIZES)}
    parts.update({f'{low}-{high} degrees': (angles >= low) & (angles < high) for low, high in zip(BINS, BINS[1:])})
    flat, aside = abs(x) >= abs(y), angles >= BINS[1]
    parts.update(
        {
            'left': aside & flat & (x < 0),
            'right': aside & flat & (x > 0),
            'up': aside & ~flat & (y < 0),
            'down': aside & ~flat & (y > 0),
        }
    )
    return {**summary(errors), 'groups': {name: summary(errors[part]) for name, part in parts.items() if part.any()}}


def measure(estimator, groups):
    """Error of an estimator on {size: [images, eyes, gazes]}."""
    from gaze_tf.evaluation.metrics import gaze_angles

    errors = [
        gaze_angles.between(
            np.concatenate([estimator(images[k : k + 64], eyes[k : k + 64]) for k in range(0, len(eyes), 64)]), gazes
        )
        for images, eyes, gazes in groups.values()
    ]
    return grouped(
        np.concatenate(errors),
        np.concatenate([gazes for *_, gazes in groups.values()]),
        np.repeat(list(groups), [len(part) for part in errors]),
    )


def save(file, weights, error, recipe):
    """Writes an estimator into an open file."""
    from gaze_tf.evaluation import estimator

    about = json.dumps({'format': estimator.FORMAT, 'error': error, 'recipe': recipe})
    np.savez_compressed(file, about=about, **{f'weight_{n}': weight for n, weight in enumerate(weights)})


def make(file, seed, renderings, steps, held_out, workers):
    """Trains, measures, writes and reports the error."""
    # before TensorFlow is imported: processes with its threads cannot be forked safely
    with multiprocessing.Pool(workers, signal.signal, (signal.SIGINT, signal.SIG_IGN)) as pool:
        training, others = training_set(seed, renderings, pool), held_out_set(seed, held_out, pool)
    from gaze_tf.evaluation import estimator

    weights = train(training, seed, steps).get_weights()
    weights = [weight.astype(np.float16) for weight in weights]
    recipe = {
        'seed': seed,
        'renderings': renderings,
        'steps': steps,
        'batch': BATCH,
        'rate': RATE,
        'sizes': {str(size): share for size, share in SIZES.items()},
    }
    error = measure(estimator.GazeEstimator(weights, {}, recipe, ''), others)
    save(file, weights, error, recipe)
    print(f'{"held-out renderings":20} {"number":>7} {"mean":>6} {"median":>7} {"p90":>6}  (degrees)')
    for name, row in [('all', error), *error['groups'].items()]:
        print(f'{name:20} {row["renderings"]:7} {row["mean"]:6.2f} {row["median"]:7.2f} {row["p90"]:6.2f}')


def define_flags():
    """Not at import, so that importing this module cannot clash with the flags of another."""
    flags.DEFINE_string('output', None, 'File to write, .npz.', required=True)
    flags.DEFINE_integer('seed', 0, 'Seed of all that is random, 0 or greater.', 0, 2**32 - 1)
    flags.DEFINE_integer('renderings', 12000, 'Number of faces to train on, each of another person.', 20)
    flags.DEFINE_integer('held_out', 500, 'Number of other faces to measure the error on, of each size.', 10)
    flags.DEFINE_integer('steps', 4500, f'Number of training steps, of {BATCH} faces each.', 1)
    flags.DEFINE_integer('workers', None, 'Number of processes that render; by default one a CPU core.', 1)


def main(argv):
    values, start = flags.FLAGS, time.perf_counter()
    path = pathlib.Path(values.output)
    try:
        if len(argv) > 1:
            sys.exit(f'There is no use for the argument {argv[1]!r}: every option is given as --name=value.')
        if path.is_dir():
            sys.exit(f'--output: {path} is a folder; name a file in it.')
        path.parent.mkdir(parents=True, exist_ok=True)
        # opened before the work, so that a path that cannot be written is known before minutes have passed
        with new_file(path) as file:
            make(file, values.seed, values.renderings, values.steps, values.held_out, values.workers)
        print(f'Wrote {path} ({path.stat().st_size / 1000:.0f} kB) in {time.perf_counter() - start:.0f} seconds.')
    except OSError as error:
        sys.exit(f'--output: {path} cannot be written ({error.strerror or error}); name another file.')
    except KeyboardInterrupt:
        sys.exit('Interrupted; the estimator is not finished.')


if __name__ == '__main__':
    define_flags()
    app.run(main)
