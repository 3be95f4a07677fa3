"""Photos of people who look at the camera, with their eyes turned elsewhere.

    turn_eyes(rgb, yaw=15, pitch=-5)

Each eye is resampled to a level canvas. Its lids and its iris are fitted there, and the photo is separated into layers
(globe without iris, iris, catchlights). They are composed again with the iris on a turned eyeball and lids that follow.
Only the difference between the old and the new canvas is added to the photo.
"""

import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gaze_tf.editing.editor import Edited, open_photo
from gaze_tf.editing.face_reports import report_faces
from gaze_tf.inference import faces as faces_lib
from gaze_tf.inference.covered import with_seen
from gaze_tf.inference.detectors import make_detector
from gaze_tf.inference.faces import NO_LIMIT, Face, Limits
from gaze_tf.inference.mesh_detector import MeshDetector
from gaze_tf.media.photo import Photo
from gaze_tf.turning.angles import check_angles
from gaze_tf.turning.eye_fit import fit_eyes
from gaze_tf.turning.landmarks import find_landmarks
from gaze_tf.turning.render import TurnableEye
from gaze_tf.turning.unfit import Unfit


class Requirements(NamedTuple):
    """What a face must be like.

    max_yaw, max_roll: degrees of the head, as a MeshDetector measures them.
    max_offset: of the irises from the middles of the eyes, along the eyes, in eye widths; beyond it, the person looks
      past the camera.
    min_edge: step from iris to sclera as a share of the sclera's brightness.
    max_misfit: how dark it is just outside the circle of the iris, 0 to 1.
    min_open: largest distance of the lids in radii of the iris.
    """

    max_yaw: float
    max_roll: float
    max_offset: float
    min_edge: float
    max_misfit: float
    min_open: float


# for single photos, which the user looks at, and for data sets
LOOSE = Requirements(12, 30, 0.07, 0.15, 0.7, 1.2)
STRICT = Requirements(10, 20, 0.05, 0.2, 0.5, 1.35)
_ANY_FACE = Limits(
    min_eye_px=0,
    max_yaw=NO_LIMIT,
    max_roll=NO_LIMIT,
    min_openness=0,
    full_yaw=NO_LIMIT,
    max_pitch=NO_LIMIT,
    full_pitch=NO_LIMIT,
    max_gaze=NO_LIMIT,
    full_gaze=NO_LIMIT,
)


def turn_eyes(
    rgb: np.ndarray, yaw: float, pitch: float, seed: int = 0, detector: MeshDetector | None = None
) -> np.ndarray:
    """A photo with the eyes of the largest face turned away from the camera.

    Args:
      rgb: uint8 [H, W, 3].
      yaw, pitch: degrees, relative to the camera; yaw > 0 towards the image's right, pitch > 0 up.
      seed: of the grain; the same seed gives the same bits.
      detector: MeshDetector (by default that of `make_detector`).

    Returns:
      uint8 [H, W, 3].

    Raises:
      Unfit: no face is found, or its eyes cannot be turned; GazeError: angles that are too large, no mediapipe.
    """
    check_angles(yaw, pitch)
    detector = detector or make_detector()
    faces = with_seen(rgb, detector(rgb)[:1])
    if not faces:
        raise Unfit('no face was found')
    return EyeTurner(rgb, faces[0], detector, seed).render(yaw, pitch)


def turn_photo(
    photo: pathlib.Path | str | Photo | np.ndarray,
    yaw: float,
    pitch: float,
    detector: MeshDetector,
    faces: str | Sequence[int] = 'largest',
    seed: int = 0,
) -> Edited:
    """A photo with the eyes of faces turned. Unfit faces stay as they are, and their FaceReport says why.

    Args:
      photo: a path, a Photo or RGB uint8 [H, W, 3].
      faces: 'largest', 'all', or numbers of faces by size such as '0,2' or [0, 2].
      yaw, pitch, detector, seed: see `turn_eyes`.

    Returns:
      Edited.

    Raises:
      GazeError: a photo that cannot be read, angles that are too large, faces that are not there.
    """
    check_angles(yaw, pitch)
    source, rgb = open_photo(photo)
    reports = []
    # EyeTurner decides which faces are fit
    for report in report_faces(rgb, detector, _ANY_FACE, faces=faces):
        if report.done:
            try:
                rgb = EyeTurner(rgb, report.face, detector, seed).render(yaw, pitch)
            except Unfit as error:
                report = report._replace(done=False, reason=str(error))
        reports.append(report)
    return Edited(rgb, reports, source)


class EyeTurner:
    """A face whose eyes are fitted once and rendered for many directions.

    eyes: TurnableEye of both, the one at smaller x first.
    """

    def __init__(
        self, rgb: np.ndarray, face: Face, detector: MeshDetector, seed: int = 0, strict: bool = False
    ) -> None:
        """Fits a Face in a photo uint8 [H, W, 3]; for detector and seed see `turn_eyes`. strict: for data sets, which
        nobody looks through. Raises Unfit."""
        limits = STRICT if strict else LOOSE
        check_face(face, limits, rgb.shape[1::-1])
        fits = fit_eyes(rgb, find_landmarks(rgb, face, detector), limits.min_edge)
        openness = min(eye.openness for eye in fits)
        if openness < limits.min_open:
            raise Unfit(f'an eye is open by {openness:.2f} radii of its iris (at least {limits.min_open:g})')
        rng = np.random.default_rng(seed)
        self._rgb, self.eyes = rgb, [TurnableEye(eye, rng) for eye in fits]
        misfit = max(eye.misfit for eye in self.eyes)
        if misfit > limits.max_misfit:
            raise Unfit(
                f'its irises are not as round as they should be (misfit {misfit:.2f}, at most {limits.max_misfit:g})'
            )

    @property
    def iris_radius(self) -> float:
        """Mean radius of both irises in pixels of the photo."""
        return float(np.mean([eye.eye.radius_px for eye in self.eyes]))

    def irises(self, yaw: float, pitch: float) -> np.ndarray:
        """Centers of the irises in the photo for a gaze in degrees: float64 [2, 2], (x, y), the middle of the first
        pixel is 0; the eye at smaller x first."""
        return np.array([eye.eye.canvas.to_photo(eye.iris(yaw, pitch)) for eye in self.eyes])

    def render(self, yaw: float, pitch: float) -> np.ndarray:
        """The photo uint8 [H, W, 3] with the gaze turned to yaw, pitch in degrees; 0, 0 gives the photo itself."""
        check_angles(yaw, pitch)
        turned = self._rgb.copy()
        turned.flags.writeable = True
        for eye in self.eyes:
            eye.eye.canvas.add_to(turned, eye.change(yaw, pitch))
        return turned


def check_face(face: Face, limits: Requirements, size: tuple[int, ...]) -> None:
    """Raises Unfit for a face whose fit need not be tried."""
    problem = faces_lib.why_not(
        face, Limits(max_yaw=limits.max_yaw, max_roll=limits.max_roll, max_pitch=NO_LIMIT, max_gaze=NO_LIMIT), size
    )
    if problem:
        raise Unfit(problem)
    found = faces_lib.iris_offset(face)
    offset = abs(found[0]) if found else 0.0
    if offset > limits.max_offset:
        raise Unfit(
            f'it does not look at the camera: its irises are {offset:.3f} of the eye from the middle '
            f'(at most {limits.max_offset:g})'
        )
