"""Where rendered faces look: a small network that reads yaw and pitch off both eyes, and measures of gazes.

Yaw is positive towards larger image x, pitch positive upwards, both in degrees and in the frame of the head, as in
truth.csv of gaze_tf/synthetic/faces.py; (0, 0) looks at the camera. tools/train_gaze_estimator.py trains the network, on
renderings alone: of photographs it knows nothing.

Its error can hardly be below about 1.2 degrees: where irises rest differs from person to person, up and down by more than
the lids tell. Somebody who knew the exact places of irises and lids would still misjudge pitch by 1.1 degrees on average.
It is no judge of pictures: eyes that are wiped out have no direction, and it gives some pitch and no yaw. That is 16
degrees from the camera on average, but sideways it is straight ahead.
"""

import hashlib
import io
import json
import zipfile

import numpy as np
import tensorflow as tf
from scipy import stats

from gaze_tf.errors import GazeError, first_line

FORMAT = 1
CROP = (72 / 256, 48 / 256)  # of an eye, width and height as a share of the image's side: its box and a margin
INPUT = (48, 32)  # what a crop is resampled to, pixels
_MOVED = 1e-3  # degrees; the estimator's answers to equal images differ less, and others far more


class GazeEstimator:
    """A trained network from its file.

    error: of this network on renderings of people whom it was not trained on: mean, median and p90 of the angle between
    the true and the estimated gaze in degrees, and the number of renderings; `groups` has the same of parts of them.
    recipe: what it was trained with.
    fingerprint: sha256 of the file.
    """

    @classmethod
    def load(cls, path):
        """Raises GazeError if there is no estimator in the file `path`."""
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
                f'{path} cannot be used as a gaze estimator ({why}): '
                '`python -m tools.train_gaze_estimator --output=FILE` makes one.'
            ) from error

    def __init__(self, weights, error, recipe, fingerprint):
        """From the weights of `network`, in its order; ValueError if they are of other shapes."""
        self._network = network()
        self._network.set_weights(weights)
        self.error, self.recipe, self.fingerprint = error, recipe, fingerprint

    def __call__(self, images, eyes):
        """Yaw and pitch [B, 2] float32 of faces uint8 [B, S, S, 3] with eyes [B, 4] in pixels (left: smaller x).

        Pixel i has its centre at i. Of any size S; ValueError for other shapes or types.
        """
        images, eyes = np.asarray(images), np.asarray(eyes, np.float32)
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1] != images.shape[2] or images.shape[3] != 3:
            raise ValueError(f'Expected square uint8 images [B, S, S, 3], not {images.dtype} {images.shape}.')
        if eyes.shape != (len(images), 4):
            raise ValueError(f'Expected eyes [{len(images)}, 4], not {eyes.shape}.')
        if not len(images):
            return np.zeros([0, 2], np.float32)
        # cut outside the graph: TensorFlow's optimiser complains of crop_and_resize at unknown sizes
        return self._estimate(*crops(images, eyes), slope(eyes)).numpy()

    @tf.function(
        input_signature=[tf.TensorSpec([None, *INPUT[::-1], 3])] * 2 + [tf.TensorSpec([None, 1])], autograph=False
    )
    def _estimate(self, left, right, tilt):
        return self._network([left, right, tilt], training=False)


def network():
    """Crops of both eyes [B, 32, 48, 3] in [-1, 1] and the slope of their line [B, 1] → yaw and pitch in degrees [B, 2].

    Right eyes are mirrored and go through the same layers as left ones. Of the mirrored face it sees the same numbers in
    the other order, so the form of its answer makes that exactly the mirrored gaze.
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


def crops(images, eyes, share=CROP):
    """(left, right) eye crops [B, 32, 48, 3] float32 in [-1, 1] of images [B, H, W, 3] of 0..255, eyes [B, 4] in pixels.

    share: of the images' height and width, that a crop has.
    """
    size = tf.cast(tf.shape(images)[1:3], tf.float32)
    half = tf.stack([size[1] * share[0], size[0] * share[1]]) / 2
    # in crop_and_resize's measure the first and the last pixel's centres are 0 and 1
    last = tf.stack([size[0], size[1]]) - 1
    both = []
    for centre in tf.split(eyes, 2, axis=1):
        box = tf.concat([(centre - half)[:, ::-1] / last, (centre + half)[:, ::-1] / last], axis=1)
        crop = tf.image.crop_and_resize(images, box, tf.range(tf.shape(images)[0]), INPUT[::-1])
        both.append(crop / 127.5 - 1)
    return both


def slope(eyes):
    """dy/dx [B, 1] of the line through eyes [B, 4]."""
    return (eyes[:, 3:4] - eyes[:, 1:2]) / (eyes[:, 2:3] - eyes[:, 0:1])


def vector(yaw_pitch):
    """Unit vectors [..., 3] (x, y down, z to the camera) of gazes [..., 2] in degrees."""
    yaw, pitch = np.moveaxis(np.radians(np.asarray(yaw_pitch, np.float64)), -1, 0)
    return np.stack([np.sin(yaw) * np.cos(pitch), -np.sin(pitch), np.cos(yaw) * np.cos(pitch)], -1)


def angle(yaw_pitch):
    """Degrees [...] between gazes [..., 2] and the camera."""
    return between(yaw_pitch, np.zeros(2))


def between(a, b):
    """Degrees [...] between gazes a and b, [..., 2] each."""
    a, b = vector(a), vector(b)
    # unlike the arc cosine of the product it is exact for small angles, too
    return np.degrees(2 * np.arctan2(np.linalg.norm(a - b, axis=-1), np.linalg.norm(a + b, axis=-1)))


def progress(track, start):
    """How far along the way from a gaze `start` [2] to the camera gazes [..., 2] are: 0 at the start, 1 at the camera.

    1 - g·s / s·s, with g and s drawn on a plane around the camera: each in its direction, as far from the middle as its
    angle to the camera in degrees. On this plane the shortest turn to the camera is a straight line, and half its angle is
    a progress of 0.5. What lies to the side of the way does not count, and more than 1 is beyond the camera. It is nan if
    the start looks at the camera.
    """
    start, track = _plane(start), _plane(track)
    with np.errstate(invalid='ignore', divide='ignore'):
        return 1 - track @ start / np.float64(start @ start)


def rank_correlation(alphas, track, start):
    """Spearman's rank correlation of alphas [K] with the progress of a track [K, 2] that should go from `start` [2].

    1: every larger alpha is further along. 0 for a track that does not move along the way at all (by less than 0.001
    degrees). nan for less than two different alphas, and where progress is nan.
    """
    done = progress(track, start)
    if np.ptp(done) * angle(start) < _MOVED:
        return 0.0
    if np.isnan(done).any() or len(np.unique(alphas)) < 2:
        return float('nan')
    return float(stats.spearmanr(alphas, done).statistic)


def _plane(yaw_pitch):
    """Points [..., 2] (x, y up) in the gazes' directions, at the distance of their angles to the camera in degrees."""
    x, y, _ = np.moveaxis(vector(yaw_pitch), -1, 0)
    across = np.hypot(x, y)
    factor = angle(yaw_pitch) / np.where(across == 0, 1, across)
    return np.stack([x * factor, -y * factor], -1)
