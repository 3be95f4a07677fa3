"""Whether a model computes numbers, and its SavedModel the same."""

import contextlib

import numpy as np
import tensorflow as tf

from gaze_tf.data.pipeline import to_float
from gaze_tf.errors import GazeError, first_line
from gaze_tf.export.examples import ALPHAS, examples

# Largest difference of two grey levels, share of grey levels that differ, difference of floats relative to the largest (or
# to 1). Graphs are optimised and round otherwise: measured were at most 1, 2e-4 and 2e-5 in float32, 1, 0.009 and 0.002 in
# float16, and 13, 0.14 and 0.02 in bfloat16, which has 3 digits.
TOLERANCE = {'float32': (1, 0.01, 1e-4), 'float16': (4, 0.1, 0.01), 'bfloat16': (32, 0.5, 0.1)}
FACES = 2


def check(loaded, model, functions, precision='float32'):
    """Raises GazeError unless a SavedModel agrees with its GazeModel, computing step by step, on a real face.

    Args:
      loaded: what tf.saved_model.load returned.
      model: the GazeModel.
      functions: {signature: tf.function of `model`}.
      precision: what networks compute in.
    """
    inputs = examples(model.config, FACES)
    with _exact_products():
        if set(loaded.signatures) != set(functions):
            raise _refusal(f'it has the signatures {", ".join(sorted(loaded.signatures))}')
        computed = {}  # by function: two names may stand for the same
        for name, function in functions.items():
            tensors = {key: tf.constant(value) for key, value in inputs[name].items()}
            try:
                found = loaded.signatures[name](**tensors)
                if function not in computed:
                    computed[function] = function.python_function(**tensors)
            except tf.errors.OpError as error:
                raise _refusal(f'{name!r} fails ({first_line(error)})') from error
            for key, expected in computed[function].items():
                _compare(f'{key!r} of {name!r}', found[key], expected, *TOLERANCE[precision])


def check_finite(model):
    """Raises GazeError if anything that a GazeModel paints or encodes is NaN or infinite, which grey levels do not show."""
    inputs = examples(model.config, FACES)['correct']
    faces = model.look(to_float(inputs['images']), tf.constant(inputs['eyes']))
    corrected, canvas = model.correct(faces), model.canvas(faces)
    numbers = {
        'content codes': faces.content,
        'angle codes': model.angle(faces),
        'corrected eyes': corrected.image,
        'animated eyes': tf.stack([model.interpolate(canvas, corrected, alpha).image for alpha in ALPHAS]),
    }
    if faces.palette is not None:
        numbers['palettes'] = faces.palette
    for name, values in numbers.items():
        if not np.isfinite(values).all():
            raise GazeError(f'The model cannot be exported: on a test face, its {name} are not finite numbers.')


def _compare(what, found, expected, levels, share, margin):
    if expected.dtype == tf.string:
        found, expected = (tf.stack([tf.io.decode_png(file) for file in files]) for files in (found, expected))
    if found.shape != expected.shape or found.dtype != expected.dtype:
        raise _refusal(f'{what} is {found.dtype.name} {found.shape} and not {expected.dtype.name} {expected.shape}')
    difference = np.abs(found.numpy().astype(float) - expected.numpy().astype(float))
    if expected.dtype == tf.uint8:
        if difference.max() > levels or np.mean(difference > 0) > share:
            raise _refusal(
                f'{what} differs by up to {difference.max():.0f} grey levels, in {np.mean(difference > 0):.1%} '
                'of the pixels'
            )
    elif not difference.max() <= margin * max(1, np.abs(expected).max()):  # NaN, too
        raise _refusal(f'{what} differs by up to {difference.max():.2g}')


def _refusal(what):
    return GazeError(
        f'The SavedModel does not compute what the model does, and no version was left behind: on a test face, {what}.'
    )


@contextlib.contextmanager
def _exact_products():
    """Without TensorFloat-32, in which a GPU gives what the choice of its algorithms makes of it."""
    config = tf.config.experimental
    before = config.tensor_float_32_execution_enabled()
    config.enable_tensor_float_32_execution(False)
    try:
        yield
    finally:
        config.enable_tensor_float_32_execution(before)
