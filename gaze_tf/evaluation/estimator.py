"""Where drawn faces look: a small network that reads yaw and pitch off both eyes.

Yaw and pitch are as in `metrics.gaze_angles`. The network was trained on faces that gaze_tf.synthetic draws, and on
nothing else: of photographs it knows nothing. `gaze_estimator.npz` holds it, with its recipe and its error.

Its error can hardly be below about 1.2 degrees: where irises rest differs from person to person, up and down by more
than the lids tell. Somebody who knew the exact places of irises and lids would still misjudge pitch by 1.1 degrees on
average. It is no judge of pictures: eyes that are wiped out have no direction, and it gives some pitch and no yaw. That
is 16 degrees from the camera on average, but sideways it is straight ahead.
"""

import hashlib
import io
import json
import pathlib
import zipfile
from typing import Any, Self

import numpy as np
import tensorflow as tf

from gaze_tf.errors import GazeError, first_line

FORMAT = 1
CROP = (72 / 256, 48 / 256)  # of an eye, width and height as a share of the image's side: its box and a margin
INPUT = (48, 32)  # what a crop is resampled to, pixels
_PACKAGED = pathlib.Path(__file__).with_name('gaze_estimator.npz')


class GazeEstimator:
    """A trained network from its file.

    error: of this network on drawings of people that it was not trained on: mean, median and p90 of the angle between
    the true and the estimated gaze in degrees, and the number of drawings; `groups` has the same of parts of them.
    recipe: what it was trained with.
    fingerprint: sha256 of the file.
    """

    @classmethod
    def load(cls, path: pathlib.Path | str | None = None) -> Self:
        """The estimator in a file; without a path the one that comes with gaze_tf.

        Raises GazeError if the file holds none.
        """
        path = path or _PACKAGED
        try:
            with open(path, 'rb') as file:
                content = file.read()
            with np.load(io.BytesIO(content), allow_pickle=False) as stored:
                about = json.loads(str(stored['about']))
                weights = [stored[f'weight_{n}'] for n in range(len(stored.files) - 1)]
            if about['format'] != FORMAT:
                raise ValueError(f'it has format {about["format"]}, not {FORMAT}')
            return cls(weights, about['error'], about['recipe'], hashlib.sha256(content).hexdigest())
        except (OSError, EOFError, KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
            why = getattr(error, 'strerror', None) or first_line(error)
            raise GazeError(
                f'{path} cannot be used as a gaze estimator ({why}): leave `gaze_estimator` out to use the one '
                'that comes with gaze_tf.'
            ) from error

    def __init__(self, weights: list[np.ndarray], error: dict, recipe: dict, fingerprint: str) -> None:
        """weights: of `network`, in its order. Raises ValueError if their shapes are others."""
        self._network = network()
        self._network.set_weights(weights)
        self.error, self.recipe, self.fingerprint = error, recipe, fingerprint

    def __call__(self, images: np.ndarray, eyes: np.ndarray) -> np.ndarray:
        """Yaw and pitch [B, 2] float32 of faces uint8 [B, S, S, 3] with eyes [B, 4] in pixels (left: smaller x).

        Pixel i has its center at i. S is any size; ValueError for other shapes or types.
        """
        images, eyes = np.asarray(images), np.asarray(eyes, np.float32)
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1] != images.shape[2] or images.shape[3] != 3:
            raise ValueError(f'Expected square uint8 images [B, S, S, 3], not {images.dtype} {images.shape}.')
        if eyes.shape != (len(images), 4):
            raise ValueError(f'Expected eyes [{len(images)}, 4], not {eyes.shape}.')
        if not len(images):
            return np.zeros([0, 2], np.float32)
        # cut outside the graph: TensorFlow's optimizer complains about crop_and_resize at unknown sizes
        return self._estimate(*crops(images, eyes), slope(eyes)).numpy()

    @tf.function(
        input_signature=[tf.TensorSpec([None, *INPUT[::-1], 3])] * 2 + [tf.TensorSpec([None, 1])], autograph=False
    )
    def _estimate(self, left, right, tilt):
        return self._network([left, right, tilt], training=False)


def network() -> tf.keras.Model:
    """Crops of both eyes [B, 32, 48, 3] in [-1, 1] and the slope of their line [B, 1] → yaw and pitch in degrees [B,
    2].

    Right eyes are mirrored and go through the same layers as left ones. A mirrored face gives the same numbers in the
    other order, and the answer is built so that it is exactly the mirrored gaze.
    """
    width, height = INPUT
    left, right = (tf.keras.Input([height, width, 3], name=name) for name in ('left', 'right'))
    tilt = tf.keras.Input([1], name='slope')
    crop = tf.keras.Input([height, width, 3])
    x = crop
    for filters, kernel, stride in ((12, 5, 2), (24, 3, 2), (32, 3, 1), (32, 3, 2)):
        x = tf.keras.layers.Conv2D(filters, kernel, stride, padding='same', activation='relu')(x)
    x = tf.keras.layers.Dense(64, activation='relu')(tf.keras.layers.Flatten()(x))
    eye = tf.keras.Model(crop, x, name='eye')
    one, other = eye(left), eye(tf.reverse(right, [2]))

    both = tf.keras.Input([2 * x.shape[-1] + 1])
    y = tf.keras.layers.Dense(64, activation='relu')(both)
    head = tf.keras.Model(both, tf.keras.layers.Dense(2)(y), name='head')
    # a slope of 0.1 is 6 degrees
    answer = head(tf.concat([one, other, 10 * tilt], -1))
    mirrored = head(tf.concat([other, one, -10 * tilt], -1))
    yaw, pitch = answer[:, :1] - mirrored[:, :1], answer[:, 1:] + mirrored[:, 1:]
    return tf.keras.Model([left, right, tilt], 10 * tf.concat([yaw, pitch], -1))


def crops(images: Any, eyes: Any, share: tuple[float, float] = CROP) -> list[tf.Tensor]:
    """(left, right) eye crops [B, 32, 48, 3] float32 in [-1, 1] of images [B, H, W, 3] of 0..255, eyes [B, 4] in
    pixels.

    share: width and height of a crop, as shares of the images'.
    """
    size = tf.cast(tf.shape(images)[1:3], tf.float32)
    half = tf.stack([size[1] * share[0], size[0] * share[1]]) / 2
    # in crop_and_resize's measure the first and the last pixel's centers are 0 and 1
    last = tf.stack([size[0], size[1]]) - 1
    both = []
    for center in tf.split(eyes, 2, axis=1):
        box = tf.concat([(center - half)[:, ::-1] / last, (center + half)[:, ::-1] / last], axis=1)
        crop = tf.image.crop_and_resize(images, box, tf.range(tf.shape(images)[0]), INPUT[::-1])
        both.append(crop / 127.5 - 1)
    return both


def slope(eyes: Any) -> Any:
    """dy/dx [B, 1] of the line through eyes [B, 4]."""
    return (eyes[:, 3:4] - eyes[:, 1:2]) / (eyes[:, 2:3] - eyes[:, 0:1])
