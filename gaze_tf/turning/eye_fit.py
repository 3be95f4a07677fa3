"""Both eyes of a face as they are: canvas, lids and limbus of each."""

from typing import NamedTuple

import numpy as np

from gaze_tf.turning import lids as lids_lib
from gaze_tf.turning import limbus as limbus_lib
from gaze_tf.turning.canvas import Canvas, canvas_of
from gaze_tf.turning.eyeball import IRIS_TO_PUPILS, LIMBUS_MM
from gaze_tf.turning.landmarks import CONTOURS
from gaze_tf.turning.unfit import Unfit

_MIN_OPEN = 0.9  # of the lids, as a share of the limbus's radius
_ALIKE = 1.12  # the radii of both eyes differ by no more, unless one fit is off
_IRIS_SIZES = 0.15, 0.235  # likely diameters as shares of the distance of the pupils


class EyeFit(NamedTuple):
    """An eye on its Canvas, in pixels of it: its Lids and its Limbus."""

    canvas: Canvas
    lids: lids_lib.Lids
    limbus: limbus_lib.Limbus

    @property
    def mm(self):
        """Pixels of the canvas."""
        return self.limbus.radius / LIMBUS_MM

    @property
    def openness(self):
        """The greatest distance of the lids, in radii of the limbus."""
        return _opening(self.canvas, self.lids) / self.limbus.radius

    @property
    def radius_px(self):
        """Of the limbus in the photo."""
        return self.limbus.radius / self.canvas.zoom


class _Started(NamedTuple):
    """An eye with what the landmarks say of it, for fits of the limbus."""

    eye: EyeFit
    guess: limbus_lib.Limbus
    expected_radius: float

    def fitted(self, radius=None):
        limbus = limbus_lib.fit(self.eye.canvas, self.eye.lids, self.guess, self.expected_radius, radius)
        return self._replace(eye=self.eye._replace(limbus=limbus))


def fit_eyes(rgb, points, min_edge):
    """The EyeFits of both eyes, the one at smaller x first.

    Args:
      rgb: uint8 [H, W, 3].
      points: landmarks [478, 2] of a face in it.
      min_edge: weaker limbi are refused.

    Raises:
      Unfit: an eye is too small, closed or covered, or its iris cannot be made out.
    """
    pupils_px = np.linalg.norm(points[CONTOURS[0][2]] - points[CONTOURS[1][2]])
    eyes = [_fit_eye(rgb, points, contours, pupils_px) for contours in CONTOURS]
    _refuse_weak(eyes, min_edge)
    radii, usual = [start.eye.radius_px for start in eyes], IRIS_TO_PUPILS * pupils_px / 2
    likely = _IRIS_SIZES[0] < 2 * np.mean(radii) / pupils_px < _IRIS_SIZES[1]
    if not likely or max(radii) / min(radii) > _ALIKE:
        # one of them is off, or both: the same radius for them, and their centres anew
        common = 0.5 * np.mean(radii) + 0.5 * usual if likely else usual
        eyes = [start.fitted(common * start.eye.canvas.zoom) for start in eyes]
        _refuse_weak(eyes, min_edge)
        radii = [start.eye.radius_px for start in eyes]
    return [_shared_radius(start.eye, np.mean(radii)) for start in eyes]


def _fit_eye(rgb, points, contours, pupils_px):
    upper, lower, iris = contours
    canvas = canvas_of(rgb, points[[upper[0], upper[-1]]])
    on_canvas = canvas.to_canvas(points)
    radius = np.linalg.norm(on_canvas[iris + 1 : iris + 5] - on_canvas[iris], axis=1).mean()
    guess = limbus_lib.Limbus(on_canvas[iris], radius)
    lids = lids_lib.from_landmarks(canvas, on_canvas[list(upper)], on_canvas[list(lower)])
    expected = 0.5 * IRIS_TO_PUPILS * pupils_px * canvas.zoom
    start = _Started(EyeFit(canvas, lids, guess), guess, expected).fitted()
    lids = lids_lib.fit(canvas, lids, start.eye.limbus)
    if _opening(canvas, lids) < _MIN_OPEN * start.eye.limbus.radius:
        raise Unfit('an eye is nearly closed')
    return start._replace(eye=start.eye._replace(lids=lids)).fitted()


def _opening(canvas, lids):
    return (lids.lower - lids.upper)[int(canvas.left) : int(canvas.right)].max()


def _refuse_weak(eyes, min_edge):
    edge = min(start.eye.limbus.edge for start in eyes)
    if edge < min_edge:
        raise Unfit(f'the rim of an iris stands out by {max(edge, 0):.2f} of the white (at least {min_edge:g})')


def _shared_radius(eye, radius_px):
    """The eye with a radius between its own and the mean of both: in a head they are the same."""
    limbus = eye.limbus
    return eye._replace(limbus=limbus._replace(radius=0.5 * limbus.radius + 0.5 * radius_px * eye.canvas.zoom))
