"""Photos of people who look at the camera, with their eyes turned elsewhere.

    turn_eyes(rgb, yaw=15, pitch=-5)

Each eye is resampled to a level canvas, its lids and its iris are fitted there, and the photo is taken apart into layers
(globe without iris, iris, catchlights), which are put together again with the iris on a turned eyeball and lids that follow.
Only the difference of the old and the new canvas is added to the photo.
"""

from typing import NamedTuple

import numpy as np

from gaze_tf.editing.editor import Edited, open_photo, report_faces
from gaze_tf.inference import faces as faces_lib
from gaze_tf.inference.covered import with_seen
from gaze_tf.inference.faces import NO_LIMIT
from gaze_tf.turning.eye_fit import fit_eyes
from gaze_tf.turning.eyeball import check_angles
from gaze_tf.turning.landmarks import landmarks
from gaze_tf.turning.render import TurnableEye
from gaze_tf.turning.unfit import Unfit


class Limits(NamedTuple):
    """What a face must be like.

    max_yaw, max_roll: degrees of the head, as MediapipeDetector measures them.
    max_offset: of the irises from the middles of the eyes along them, in eye widths: who has more looks past the camera.
    min_edge: step from iris to sclera as a share of the sclera's brightness.
    max_misfit: how dark it is just outside the iris's circle, 0 to 1.
    min_open: greatest distance of the lids in radii of the iris.
    """

    max_yaw: float
    max_roll: float
    max_offset: float
    min_edge: float
    max_misfit: float
    min_open: float


# for single photos, which somebody looks at, and for data sets
LOOSE = Limits(12, 30, 0.07, 0.15, 0.7, 1.2)
STRICT = Limits(10, 20, 0.05, 0.2, 0.5, 1.35)
_ANY_FACE = faces_lib.Limits(
    min_eye_px=0,
    max_yaw=180,
    max_roll=180,
    min_openness=0,
    **dict.fromkeys(('full_yaw', 'max_pitch', 'full_pitch', 'max_gaze', 'full_gaze'), NO_LIMIT),
)


def turn_eyes(rgb, yaw, pitch, seed=0, detector=None):
    """The largest face's eyes turned from the camera.

    Args:
      rgb: uint8 [H, W, 3].
      yaw, pitch: degrees, relative to the camera; yaw > 0 towards the image's right, pitch > 0 up.
      seed: of the grain; the same seed gives the same bits.
      detector: MediapipeDetector (made if none is given).

    Returns:
      uint8 [H, W, 3].

    Raises:
      Unfit: no face is found, or one whose eyes cannot be turned; GazeError: angles that are too large, no mediapipe.
    """
    check_angles(yaw, pitch)
    if detector is None:
        from gaze_tf.inference.mediapipe_detector import MediapipeDetector

        detector = MediapipeDetector()
    faces = with_seen(rgb, detector(rgb)[:1])
    if not faces:
        raise Unfit('no face was found')
    return EyeTurner(rgb, faces[0], detector, seed).render(yaw, pitch)


def turn_photo(photo, yaw, pitch, detector, faces='largest', seed=0):
    """Faces of a photo with their eyes turned; those that are unfit stay as they are, and their FaceReport says why.

    Args:
      photo: a path, a Photo or RGB uint8 [H, W, 3].
      faces: 'largest', 'all', or numbers of faces by size such as '0,2' or [0, 2].
      For the rest see `turn_eyes`.

    Returns:
      Edited.

    Raises:
      GazeError: a photo that cannot be read, angles that are too large, faces that are not there.
    """
    check_angles(yaw, pitch)
    photo, rgb = open_photo(photo)
    reports = []
    # what a face must be like is for EyeTurner to say
    for report in report_faces(rgb, detector, _ANY_FACE, faces=faces):
        if report.done:
            try:
                rgb = EyeTurner(rgb, report.face, detector, seed).render(yaw, pitch)
            except Unfit as error:
                report = report._replace(done=False, reason=str(error))
        reports.append(report)
    return Edited(rgb, reports, photo)


class EyeTurner:
    """A face whose eyes are fitted once and rendered for many directions.

    eyes: TurnableEye of both, the one at smaller x first.
    """

    def __init__(self, rgb, face, detector, seed=0, strict=False):
        """Fits a Face of a photo uint8 [H, W, 3]; for detector and seed see `turn_eyes`. strict: as data sets need it, which
        nobody looks through. Raises Unfit."""
        limits = STRICT if strict else LOOSE
        check_face(face, limits, rgb.shape[1::-1])
        fits = fit_eyes(rgb, landmarks(rgb, face, detector), limits.min_edge)
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
    def iris_radius(self):
        """In pixels of the photo, mean of both eyes."""
        return float(np.mean([eye.eye.radius_px for eye in self.eyes]))

    def irises(self, yaw, pitch):
        """Centres of the irises in the photo for a gaze in degrees: float64 [2, 2], (x, y), the middle of the first pixel
        is 0; the eye at smaller x first."""
        return np.array([eye.eye.canvas.to_photo(eye.iris(yaw, pitch)) for eye in self.eyes])

    def render(self, yaw, pitch):
        """The photo uint8 [H, W, 3] with the gaze turned to yaw, pitch in degrees; 0, 0 gives it back."""
        check_angles(yaw, pitch)
        turned = self._rgb.copy()
        turned.flags.writeable = True
        for eye in self.eyes:
            eye.eye.canvas.add_to(turned, eye.change(yaw, pitch))
        return turned


def check_face(face, limits, size):
    """Raises Unfit for a face that the fit need not be tried on."""
    problem = faces_lib.why_not(
        face,
        faces_lib.Limits(max_yaw=limits.max_yaw, max_roll=limits.max_roll, max_pitch=NO_LIMIT, max_gaze=NO_LIMIT),
        size,
    )
    if problem:
        raise Unfit(problem)
    offset = abs(faces_lib.iris_offset(face)[0])
    if offset > limits.max_offset:
        raise Unfit(
            f'it does not look at the camera: its irises are {offset:.3f} of the eye from the middle '
            f'(at most {limits.max_offset:g})'
        )
