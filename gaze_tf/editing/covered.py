"""Whether the eyes of a face are to be seen: behind sunglasses, hands, hair or a blindfold a detector invents them.

Each eye is cut out small and grey. A few numbers tell what is there: how dark the iris is beside what lies left, right, above
and below of it, how much the eye looks like the drawing of one and like the other eye, and how strong its contrasts are. They
are brightnesses relative to the skin below the eye, so that dark and faint pictures pass. A logistic regression takes them
together; tools/covered_eyes.py fitted it on portraits with painted covers, and measures it (docs/editing.md, "What is left
alone").
"""
import numpy as np
from PIL import Image

from gaze_tf.editing.faces import why_not

_WIDTH, _HEIGHT = 40, 28    # of an eye's patch in pixels
_SPAN = 2.                  # its width in widths of the eye
_FLOOR = 6.                 # grey levels that are added before ratios are taken: as much may be noise
# of the numbers that `features` gives, in its order, and a constant; 0 is as likely covered as not
WEIGHTS = np.array([-3.796, 3.122, 6.246, 3.656, 4.381, 4.435, 0.215, -0.67, -2.239, -5.803])

# where the pixels of a patch lie, from the eye's middle in widths of the eye: to its outer corner, and down
_U, _V = ((axis + 0.5) * _SPAN / _WIDTH for axis in np.meshgrid(np.arange(_WIDTH) - _WIDTH / 2,
                                                                np.arange(_HEIGHT) - _HEIGHT / 2))
_BELOW = _V > 0.4
_EYE = (abs(_U) < 0.6) & (abs(_V) < 0.35)
_OPENING = (abs(_U) < 0.5) & (abs(_V) < 0.3)


def with_seen(rgb, faces):
    """The Faces of a photo uint8 [H, W, 3] with `seen`, where it can be told: of faces that pass the default Limits (closed
    eyes are not covered, small and turned ones look different) and have all that a detector measures of their eyes."""
    return [face if face.irises is None or face.eye_width is None or face.openness is None or why_not(face) else
            face._replace(seen=float(1 / (1 + np.exp(-(features(rgb, face) @ WEIGHTS[:-1] + WEIGHTS[-1]).min()))))
            for face in faces]


def features(rgb, face):
    """float64 [2, F]: of each eye of a Face in a photo uint8 [H, W, 3], what tells whether it is seen."""
    eyes = np.reshape(face.eyes, (2, 2))
    along = (eyes[1] - eyes[0]) / np.linalg.norm(eyes[1] - eyes[0])
    # of each eye the axes of its patch, in pixels of the photo: to the outer corner, and down
    axes = face.eye_width * np.array([[sign * along, (-along[1], along[0])] for sign in (-1, 1)])
    grey = np.stack([_patch(rgb, *eye) for eye in zip(eyes, axes)])
    irises = np.stack([np.linalg.solve(axis.T, iris - eye)
                       for iris, eye, axis in zip(np.reshape(face.irises, (2, 2)), eyes, axes)])
    skin = np.median(grey[:, _BELOW], axis=1)[:, None, None]
    light = np.log((grey + _FLOOR) / (skin + _FLOOR))
    u, v = np.moveaxis(irises, 1, 0)
    iris, inner, outer = _at(light, u, v, 0.08), _at(light, u - 0.3, v, 0.05), _at(light, u + 0.3, v, 0.05)
    above, below, rim = (_at(light, np.zeros(2), np.full(2, down), wide)
                         for down, wide in ((-0.35, 0.06), (0.35, 0.06), (0.15, 0.04)))
    edges = (np.hypot(*np.gradient(grey, axis=(1, 2))) + 0.5) / (skin + _FLOOR)
    sharp, smooth = (np.log(edges[:, part].mean(axis=1)) for part in (_OPENING, _BELOW))
    drawn = [max(_alike(one, _drawing(*at)), 0.3) for one, at in zip(light, irises)]
    return np.stack([above, rim, np.minimum(above, below) - iris, np.clip(np.minimum(inner, outer) - iris, -0.3, 0.5),
                     drawn, np.full(2, _alike(*light)), sharp, sharp ** 2, smooth], axis=1)


def _patch(rgb, eye, axes):
    """Grey values [_HEIGHT, _WIDTH] around an eye at (x, y); axes [2, 2]: a width of the eye along and across, in pixels."""
    step = axes * _SPAN / _WIDTH
    reach = np.abs(step * [[_WIDTH], [_HEIGHT]]).sum(axis=0) / 2 + 2
    low = np.clip(np.floor(eye - reach), 0, np.array(rgb.shape[1::-1]) - 1).astype(int)
    high = np.maximum(np.ceil(eye + reach).astype(int), low + 1)
    near = Image.fromarray(rgb[low[1]:high[1], low[0]:high[0]]).convert('L')
    shrink = max(1, round(float(np.linalg.norm(step[0]))))
    corner = (eye - low - step.T @ (_WIDTH / 2, _HEIGHT / 2)) / shrink
    (xx, yx), (xy, yy) = step / shrink
    near = near.reduce(shrink)
    # beyond the photo's border there is nothing to be seen
    values = near.transform((_WIDTH, _HEIGHT), Image.Transform.AFFINE, (xx, xy, corner[0], yx, yy, corner[1]),
                            Image.Resampling.BILINEAR, fillcolor=int(np.median(near)))
    return np.asarray(values, float)


def _at(light, u, v, wide):
    """Means [2] of both patches around places u [2], v [2]; wide: standard deviation of the weights."""
    across, down = (np.exp(-0.5 * ((axis - at[:, None]) / wide) ** 2) for axis, at in ((_U[0], u), (_V[:, 0], v)))
    return np.einsum('khw,kh,kw->k', light, down, across) / (across.sum(axis=1) * down.sum(axis=1))


def _drawing(u, v):
    """An eye with its iris at u, v: a dark disc and a dark upper lash line in an opening that is a little brighter than the
    skin."""
    opening = _edge(1 - (_U / 0.5) ** 2 - (_V / np.where(_V < 0, 0.2, 0.16)) ** 2, 0.2)
    iris = _edge(0.19 - np.hypot(_U - u, _V - v), 0.04)
    lashes = np.exp(-0.5 * ((_V + 0.2 - 0.4 * _U ** 2) / 0.05) ** 2) * (abs(_U) < 0.5)
    return 0.15 * opening - np.minimum(iris * opening + 0.7 * lashes, 1)


def _edge(inside, wide):
    return 1 / (1 + np.exp(-np.clip(inside / wide, -50, 50)))


def _alike(one, other):
    """Correlation of two patches around the eye."""
    one, other = (values[_EYE] - values[_EYE].mean() for values in (one, other))
    return one @ other / (np.linalg.norm(one) * np.linalg.norm(other) + 1e-3)
