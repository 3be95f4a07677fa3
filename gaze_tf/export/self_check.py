"""Checks of an export: the model computes finite numbers, and its SavedModel the same ones."""

import contextlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from gaze_tf.data.pipeline import to_float
from gaze_tf.errors import GazeError, first_line
from gaze_tf.export.examples import ALPHAS, examples
from gaze_tf.models.gaze_model import GazeModel

# {precision: (largest difference of two gray levels, share of gray levels that may differ, difference of floats
# relative to the largest of them or to 1)}. Graphs are optimized, and round differently. Measured were at most 1, 2e-4
# and 2e-5 in float32, 1, 0.009 and 0.002 in float16, and 13, 0.14 and 0.02 in bfloat16, which has 3 digits.
TOLERANCE = {'float32': (1, 0.01, 1e-4), 'float16': (4, 0.1, 0.01), 'bfloat16': (32, 0.5, 0.1)}
FACES = 2


def check(loaded: Any, model: GazeModel, functions: Mapping[str, Any], precision: str = 'float32') -> None:
    """Compares a SavedModel with its model, which computes eagerly, on a real face.

    Args:
      loaded: what tf.saved_model.load returned.
      model: the model.
      functions: {signature: tf.function of `model`}.
      precision: what networks compute in.

    Raises:
      GazeError: they do not agree.
    """
    inputs = examples(model.config, FACES)
    with _exact_products():
        if set(loaded.signatures) != set(functions):
            raise _refusal(f'it has the signatures {", ".join(sorted(loaded.signatures))}')
        computed: dict[Any, dict] = {}  # by function, because two signatures may have the same
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


def check_finite(model: GazeModel) -> None:
    """Raises GazeError if anything that a model paints or encodes is NaN or infinite, which gray levels do not show."""
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
                f'{what} differs by up to {difference.max():.0f} gray levels, in {np.mean(difference > 0):.1%} '
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
    """Without TensorFloat-32, whose results on a GPU depend on its choice of algorithms."""
    config = tf.config.experimental
    before = config.tensor_float_32_execution_enabled()
    config.enable_tensor_float_32_execution(False)
    try:
        yield
    finally:
        config.enable_tensor_float_32_execution(before)
