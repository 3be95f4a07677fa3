"""Whether the eyes of a face are visible: behind sunglasses, hands, hair or a blindfold a detector invents them.

Each eye is cut out, small and gray. A few features tell what is there: how dark the iris is compared with what lies
around it, how much the eye resembles a drawn eye and the other eye, and how strong its contrasts are. Brightness is
measured relative to the skin below the eye, so that dark and faint pictures pass. A logistic regression combines the
features; tools/studies/covered_eyes.py fitted it on portraits with painted covers, and measures it (docs/editing.md).
"""

import math
from collections.abc import Iterable

import numpy as np
from PIL import Image

from gaze_tf.inference.faces import Face, why_not

_WIDTH, _HEIGHT = 40, 28  # of an eye's patch in pixels
_SPAN = 2.0  # its width in widths of the eye
_FLOOR = 6.0  # gray levels added before ratios are taken: smaller values may be noise
# of the features, in the order of `features`, and a constant; at a sum of 0 the eye is covered with probability 1/2
WEIGHTS = np.array([-4.847, 1.759, 9.186, 0.448, 6.064, 4.816, 0.294, -0.747, -2.496, -7.074])

# positions of a patch's pixels, from the middle of the eye in widths of the eye: towards its outer corner, and down
_U, _V = (
    (axis + 0.5) * _SPAN / _WIDTH
    for axis in np.meshgrid(np.arange(_WIDTH) - _WIDTH / 2, np.arange(_HEIGHT) - _HEIGHT / 2)
)
_BELOW = _V > 0.4
_EYE = (abs(_U) < 0.6) & (abs(_V) < 0.35)
_OPENING = (abs(_U) < 0.5) & (abs(_V) < 0.3)
# of a drawn eye: its opening, and its upper lash line
_OPEN = 1 / (1 + np.exp(-(1 - (_U / 0.5) ** 2 - (_V / np.where(_V < 0, 0.2, 0.16)) ** 2) / 0.2))
_LASHES = np.exp(-0.5 * ((_V + 0.2 - 0.4 * _U**2) / 0.05) ** 2) * (abs(_U) < 0.5)


def with_seen(rgb: np.ndarray, faces: Iterable[Face]) -> list[Face]:
    """The Faces of a photo uint8 [H, W, 3], with `seen` where it can be measured.

    It is measured for faces that pass the default Limits (closed eyes are not covered; small and turned ones look
    different) and have everything that a detector measures of eyes.
    """
    return [
        face
        if face.irises is None or face.eye_width is None or face.openness is None or why_not(face)
        else face._replace(seen=float(1 / (1 + np.exp(-(features(rgb, face) @ WEIGHTS[:-1] + WEIGHTS[-1]).min()))))
        for face in faces
    ]


def features(rgb: np.ndarray, face: Face) -> np.ndarray:
    """float64 [2, F]: for each eye of a Face in a photo uint8 [H, W, 3], the features that tell whether it is visible.

    The face must have irises, eye_width and openness.
    """
    gray, u, v = _patches(rgb, face)
    skin = np.median(gray[:, _BELOW], axis=1)[:, None, None]
    light = np.log((gray + _FLOOR) / (skin + _FLOOR))
    iris, inner, outer, above, below, rim = _at(
        light,
        np.stack([u, u - 0.3, u + 0.3, 0 * u, 0 * u, 0 * u]),
        np.stack([v, v, v, 0 * v - 0.35, 0 * v + 0.35, 0 * v + 0.15]),
        np.array([0.08, 0.05, 0.05, 0.06, 0.06, 0.04]),
    )
    edges = (np.hypot(*np.gradient(gray, axis=(1, 2))) + 0.5) / (skin + _FLOOR)
    sharp, smooth = (np.log(edges[:, part].mean(axis=1)) for part in (_OPENING, _BELOW))
    left, right = light
    drawn = [max(_alike(one, drawing), 0.3) for one, drawing in zip(light, _drawings(u, v))]
    return np.stack(
        [
            above,
            rim,
            np.minimum(above, below) - iris,
            np.clip(np.minimum(inner, outer) - iris, -0.3, 0.5),
            drawn,
            np.full(2, _alike(left, right)),
            sharp,
            sharp**2,
            smooth,
        ],
        axis=1,
    )


def _patches(rgb: np.ndarray, face: Face) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(gray values [2, _HEIGHT, _WIDTH] around both eyes, the left one mirrored; u [2], v [2] of their irises)."""
    assert face.irises is not None and face.eye_width is not None
    eyes, irises = np.reshape(face.eyes, (2, 2)), np.reshape(face.irises, (2, 2))
    apart = math.dist(*eyes)
    # both are cut out in one strip, in which the eyes are a whole number of pixels apart
    count = max(round(apart / face.eye_width * _WIDTH / _SPAN), 1)
    along = (eyes[1] - eyes[0]) / count
    axes = np.array([along, (-along[1], along[0])])
    strip = _strip(rgb, eyes.mean(axis=0), axes, (count + _WIDTH, _HEIGHT))
    u, v = ((irises - eyes) @ axes.T).T / (along @ along) * _SPAN / _WIDTH
    return np.stack([strip[:, _WIDTH - 1 :: -1], strip[:, -_WIDTH:]]), u * (-1, 1), v


def _strip(rgb: np.ndarray, middle: np.ndarray, axes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Gray values [H, W] of size (W, H) around a point (x, y).

    axes [2, 2]: the steps from one pixel of the strip to the next, across and down, in pixels of the photo.
    """
    reach = size @ abs(axes) / 2 + 2
    low = np.clip(np.floor(middle - reach), 0, np.array(rgb.shape[1::-1]) - 1).astype(int)
    high = np.maximum(np.ceil(middle + reach).astype(int), low + 1)
    near = Image.fromarray(rgb[low[1] : high[1], low[0] : high[0]]).convert('L')
    shrink = max(1, round(math.hypot(*axes[0])))
    (xx, yx), (xy, yy) = axes / shrink
    x, y = (middle - low - size @ axes / 2) / shrink
    near = near.reduce(shrink)
    # beyond the photo's border nothing is visible
    strip = near.transform(
        size,
        Image.Transform.AFFINE,
        (xx, xy, x, yx, yy, y),
        Image.Resampling.BILINEAR,
        fillcolor=int(np.mean(np.asarray(near))),
    )
    return np.asarray(strip, float)


def _at(light: np.ndarray, u: np.ndarray, v: np.ndarray, wide: np.ndarray) -> np.ndarray:
    """Means [P, 2] of both patches around P places u [P, 2], v [P, 2], with Gaussian weights of deviations wide [P]."""
    across, down = (
        np.exp(-0.5 * ((axis - at[..., None]) / wide[:, None, None]) ** 2) for axis, at in ((_U[0], u), (_V[:, 0], v))
    )
    return ((down[..., None, :] @ light)[..., 0, :] * across).sum(axis=-1) / (across.sum(axis=-1) * down.sum(axis=-1))


def _drawings(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Drawn eyes [2, _HEIGHT, _WIDTH] with irises at u [2], v [2].

    Each is a dark disc and a dark upper lash line in an opening that is a little brighter than the skin.
    """
    iris = np.tanh((0.19 - np.hypot(_U - u[:, None, None], _V - v[:, None, None])) / 0.08) / 2 + 0.5
    return 0.15 * _OPEN - np.minimum(iris * _OPEN + 0.7 * _LASHES, 1)


def _alike(one: np.ndarray, other: np.ndarray) -> float:
    """The correlation of two patches around the eye."""
    one, other = (values[_EYE] - values[_EYE].mean() for values in (one, other))
    return one @ other / (np.linalg.norm(one) * np.linalg.norm(other) + 1e-3)
