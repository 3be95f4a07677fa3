"""Both eyes of a face as they are: canvas, lids and limbus of each."""

from typing import NamedTuple

import numpy as np

from gaze_tf.turning.canvas import EyeCanvas, make_canvas
from gaze_tf.turning.eyeball import IRIS_TO_PUPILS, LIMBUS_MM
from gaze_tf.turning.landmarks import CONTOURS, Contours
from gaze_tf.turning.lids import fit_lids, trace_lids
from gaze_tf.turning.limbus import fit_limbus
from gaze_tf.turning.shapes import Lids, Limbus
from gaze_tf.turning.unfit import Unfit

_MIN_OPEN = 0.9  # smallest distance of the lids, in radii of the limbus
_ALIKE = 1.12  # largest ratio of the radii of both eyes, unless one fit is wrong
_IRIS_SIZES = 0.15, 0.235  # likely diameters as shares of the distance of the pupils


class EyeFit(NamedTuple):
    """An eye on its EyeCanvas, with its Lids and its Limbus in pixels of the canvas."""

    canvas: EyeCanvas
    lids: Lids
    limbus: Limbus

    @property
    def mm(self) -> float:
        """A millimeter, in pixels of the canvas."""
        return self.limbus.radius / LIMBUS_MM

    @property
    def openness(self) -> float:
        """The greatest distance of the lids, in radii of the limbus."""
        return _opening(self.canvas, self.lids) / self.limbus.radius

    @property
    def radius_px(self) -> float:
        """The radius of the limbus in pixels of the photo."""
        return self.limbus.radius / self.canvas.zoom


class _Started(NamedTuple):
    """An eye with what the landmarks say about it, for fits of the limbus."""

    eye: EyeFit
    guess: Limbus
    expected_radius: float

    def fitted(self, radius: float | None = None) -> '_Started':
        limbus = fit_limbus(self.eye.canvas, self.eye.lids, self.guess, self.expected_radius, radius)
        return self._replace(eye=self.eye._replace(limbus=limbus))


def fit_eyes(rgb: np.ndarray, points: np.ndarray, min_edge: float) -> list[EyeFit]:
    """The EyeFits of both eyes, the one at smaller x first.

    Args:
      rgb: uint8 [H, W, 3].
      points: landmarks [478, 2] of a face in it.
      min_edge: eyes with a weaker limbus are refused.

    Raises:
      Unfit: an eye is too small, closed or covered, or its iris cannot be found.
    """
    pupils_px = float(np.linalg.norm(points[CONTOURS[0][2]] - points[CONTOURS[1][2]]))
    eyes = [_fit_eye(rgb, points, contours, pupils_px) for contours in CONTOURS]
    _refuse_weak(eyes, min_edge)
    radii, usual = [start.eye.radius_px for start in eyes], IRIS_TO_PUPILS * pupils_px / 2
    likely = _IRIS_SIZES[0] < 2 * np.mean(radii) / pupils_px < _IRIS_SIZES[1]
    if not likely or max(radii) / min(radii) > _ALIKE:
        # one fit is wrong, or both: both get the same radius, and their centers are fitted again
        common = float(0.5 * np.mean(radii) + 0.5 * usual) if likely else usual
        eyes = [start.fitted(common * start.eye.canvas.zoom) for start in eyes]
        _refuse_weak(eyes, min_edge)
        radii = [start.eye.radius_px for start in eyes]
    return [_shared_radius(start.eye, float(np.mean(radii))) for start in eyes]


def _fit_eye(rgb: np.ndarray, points: np.ndarray, contours: Contours, pupils_px: float) -> _Started:
    upper, lower, iris = contours
    canvas = make_canvas(rgb, points[[upper[0], upper[-1]]])
    on_canvas = canvas.to_canvas(points)
    radius = np.linalg.norm(on_canvas[iris + 1 : iris + 5] - on_canvas[iris], axis=1).mean()
    guess = Limbus(on_canvas[iris], radius)
    lids = trace_lids(canvas, on_canvas[list(upper)], on_canvas[list(lower)])
    expected = 0.5 * IRIS_TO_PUPILS * pupils_px * canvas.zoom
    start = _Started(EyeFit(canvas, lids, guess), guess, expected).fitted()
    lids = fit_lids(canvas, lids, start.eye.limbus)
    if _opening(canvas, lids) < _MIN_OPEN * start.eye.limbus.radius:
        raise Unfit('an eye is nearly closed')
    return start._replace(eye=start.eye._replace(lids=lids)).fitted()


def _opening(canvas: EyeCanvas, lids: Lids) -> float:
    return (lids.lower - lids.upper)[int(canvas.left) : int(canvas.right)].max()


def _refuse_weak(eyes: list[_Started], min_edge: float) -> None:
    edge = min(start.eye.limbus.edge for start in eyes)
    if edge < min_edge:
        raise Unfit(f'the rim of an iris stands out by {max(edge, 0):.2f} of the white (at least {min_edge:g})')


def _shared_radius(eye: EyeFit, radius_px: float) -> EyeFit:
    """The eye with a radius between its own and the mean of both eyes: the eyes of a person have the same radius."""
    limbus = eye.limbus
    return eye._replace(limbus=limbus._replace(radius=0.5 * limbus.radius + 0.5 * radius_px * eye.canvas.zoom))
