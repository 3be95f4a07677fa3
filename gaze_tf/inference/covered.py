"""Whether the eyes of a face are to be seen: behind sunglasses, hands, hair or a blindfold a detector invents them.

Each eye is cut out small and grey. A few numbers tell what is there: how dark the iris is beside what lies left, right,
above and below of it, how much the eye looks like the drawing of one and like the other eye, and how strong its
contrasts are. They are brightnesses relative to the skin below the eye, so that dark and faint pictures pass. A
logistic regression takes them together; tools/studies/covered_eyes.py fitted it on portraits with painted covers, and
measures it (docs/editing.md, "What is left alone").
"""

import math

import numpy as np
from PIL import Image

from gaze_tf.inference.faces import why_not

_WIDTH, _HEIGHT = 40, 28  # of an eye's patch in pixels
_SPAN = 2.0  # its width in widths of the eye
_FLOOR = 6.0  # grey levels that are added before ratios are taken: as much may be noise
# of the numbers that `features` gives, in its order, and a constant; 0 is as likely covered as not
WEIGHTS = np.array([-4.847, 1.759, 9.186, 0.448, 6.064, 4.816, 0.294, -0.747, -2.496, -7.074])

# where the pixels of a patch lie, from the eye's middle in widths of the eye: to its outer corner, and down
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


def with_seen(rgb, faces):
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


def features(rgb, face):
    """float64 [2, F]: of each eye of a Face in a photo uint8 [H, W, 3], what tells whether it is seen."""
    grey, u, v = _patches(rgb, face)
    skin = np.median(grey[:, _BELOW], axis=1)[:, None, None]
    light = np.log((grey + _FLOOR) / (skin + _FLOOR))
    iris, inner, outer, above, below, rim = _at(
        light,
        np.stack([u, u - 0.3, u + 0.3, 0 * u, 0 * u, 0 * u]),
        np.stack([v, v, v, 0 * v - 0.35, 0 * v + 0.35, 0 * v + 0.15]),
        np.array([0.08, 0.05, 0.05, 0.06, 0.06, 0.04]),
    )
    edges = (np.hypot(*np.gradient(grey, axis=(1, 2))) + 0.5) / (skin + _FLOOR)
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


def _patches(rgb, face):
    """(grey values [2, _HEIGHT, _WIDTH] around both eyes, the left one mirrored, u [2], v [2] of their irises)."""
    eyes, irises = np.reshape(face.eyes, (2, 2)), np.reshape(face.irises, (2, 2))
    apart = math.dist(*eyes)
    # both are cut out in one strip, whose pixels are such that the eyes are a whole number of them apart
    count = max(round(apart / face.eye_width * _WIDTH / _SPAN), 1)
    along = (eyes[1] - eyes[0]) / count
    axes = np.array([along, (-along[1], along[0])])
    strip = _strip(rgb, eyes.mean(axis=0), axes, (count + _WIDTH, _HEIGHT))
    u, v = ((irises - eyes) @ axes.T).T / (along @ along) * _SPAN / _WIDTH
    return np.stack([strip[:, _WIDTH - 1 :: -1], strip[:, -_WIDTH:]]), u * (-1, 1), v


def _strip(rgb, middle, axes, size):
    """Grey values [H, W] of size (W, H) around a point (x, y); axes [2, 2]: a pixel of it along and down, in the
    photo's."""
    reach = size @ abs(axes) / 2 + 2
    low = np.clip(np.floor(middle - reach), 0, np.array(rgb.shape[1::-1]) - 1).astype(int)
    high = np.maximum(np.ceil(middle + reach).astype(int), low + 1)
    near = Image.fromarray(rgb[low[1] : high[1], low[0] : high[0]]).convert('L')
    shrink = max(1, round(math.hypot(*axes[0])))
    (xx, yx), (xy, yy) = axes / shrink
    x, y = (middle - low - size @ axes / 2) / shrink
    near = near.reduce(shrink)
    # beyond the photo's border there is nothing to be seen
    strip = near.transform(
        size, Image.Transform.AFFINE, (xx, xy, x, yx, yy, y), Image.Resampling.BILINEAR, fillcolor=int(np.mean(near))
    )
    return np.asarray(strip, float)


def _at(light, u, v, wide):
    """Means [P, 2] of both patches around P places u [P, 2], v [P, 2]; wide [P]: standard deviations of the weights."""
    across, down = (
        np.exp(-0.5 * ((axis - at[..., None]) / wide[:, None, None]) ** 2) for axis, at in ((_U[0], u), (_V[:, 0], v))
    )
    return ((down[..., None, :] @ light)[..., 0, :] * across).sum(axis=-1) / (across.sum(axis=-1) * down.sum(axis=-1))


def _drawings(u, v):
    """Eyes [2, _HEIGHT, _WIDTH] with irises at u [2], v [2]: a dark disc and a dark upper lash line in an opening that
    is a little brighter than the skin."""
    iris = np.tanh((0.19 - np.hypot(_U - u[:, None, None], _V - v[:, None, None])) / 0.08) / 2 + 0.5
    return 0.15 * _OPEN - np.minimum(iris * _OPEN + 0.7 * _LASHES, 1)


def _alike(one, other):
    """Correlation of two patches around the eye."""
    one, other = (values[_EYE] - values[_EYE].mean() for values in (one, other))
    return one @ other / (np.linalg.norm(one) * np.linalg.norm(other) + 1e-3)
