"""Photo in, photo out: finds faces, aligns them, has their eyes repainted and puts those back.

editor = GazeEditor.load()
editor.correct('photo.jpg').save('corrected.jpg')
"""

import pathlib
from typing import NamedTuple

import numpy as np

from gaze_tf.compositing import blend as blend_lib
from gaze_tf.compositing.align import frame_of
from gaze_tf.editing.following import Follower
from gaze_tf.editing.strength import seen, strength_of
from gaze_tf.errors import GazeError
from gaze_tf.inference import faces as faces_lib
from gaze_tf.inference.covered import with_seen
from gaze_tf.inference.network import Network
from gaze_tf.media.photo import Photo
from gaze_tf.media.photo_reading import MAX_PIXELS
from gaze_tf.options import check_finite

# faces that the network is given at once
BATCH = 8
# alphas of a face that it is given at once
ALPHAS = 16


class FaceReport(NamedTuple):
    """What was done to a face, and why not.

    index: by size in its photo, from 0, the largest; done: whether its eyes were repainted; reason: why not, or '';
    face: the Face; sharpness: of its eye boxes after, as a share of that before; strength: how far its gaze was moved, from 0
    to 1: of a face that is turned not all the way.
    """

    index: int
    face: faces_lib.Face
    done: bool
    reason: str = ''
    sharpness: float | None = None
    strength: float = 0.0


class Edited(NamedTuple):
    """A corrected photo: image uint8 [H, W, 3] upright; faces: list of FaceReport; photo: the Photo it was, or None."""

    image: np.ndarray
    faces: list
    photo: Photo | None = None

    def save(self, path, mark=False):
        """Writes it as the file that it came from was (see `Photo.save`, for mark, too); raises GazeError."""
        if self.photo is None:
            raise GazeError('An edited array has no file whose format and metadata could be kept: write .image.')
        self.photo.save(path, self.image, mark)


class Work(NamedTuple):
    """A photo before the network: its faces, and those that are to be repainted cut out.

    rgb: uint8 [H, W, 3]; reports: FaceReport of each face; frames: {index: Frame} of those to be done; cuts: {index:
    uint8 [S, S, 3]} likewise.
    """

    rgb: np.ndarray
    reports: list
    frames: dict
    cuts: dict
    photo: Photo | None = None


class GazeEditor:
    """Edits photos with a model.

    network: Network, or None of one that only finds and measures; limits: faces_lib.Limits beyond which a face is left alone;
    detector: uint8 [H, W, 3] → list of Face, the largest first (mediapipe's if none is given, loaded when it is first needed).
    """

    def __init__(self, network, limits=faces_lib.Limits(), detector=None):
        for name, value in limits._asdict().items():
            check_finite(name, value)
        self.network, self.limits, self._detector = network, limits, detector

    @classmethod
    def load(cls, path=None, limits=faces_lib.Limits(), detector=None):
        """The editor with a SavedModel, or the newest version in a folder of `gaze-tf export`; without a path with the model
        that comes with gaze_tf. Raises GazeError."""
        return cls(Network(path), limits, detector)

    def correct(self, photo, eyes=None, faces='largest', alpha=1.0, blend='feather'):
        """A photo with eyes that look at the camera.

        Args:
          photo: a path, or RGB uint8 [H, W, 3].
          eyes: (left_x, left_y, right_x, right_y) of one face, to do without a detector.
          faces: 'largest', 'all', or numbers of faces by size such as '0,2' or [0, 2].
          alpha: how far the gaze moves, 0 not at all, 1 to the camera; one number, or one for each eye.
          blend: see `blend.put_back`.

        Returns:
          Edited.

        Raises:
          GazeError: what cannot be read or is not there.
        """
        return self.paint([self.prepare(photo, eyes, faces)], alpha, blend)[0]

    def animate(self, photo, alphas, eyes=None, faces='largest', blend='feather'):
        """Frames of a photo whose eyes move: one for each alpha. For the other arguments see `correct`.

        Returns:
          (iterator of uint8 [H, W, 3], list of FaceReport).

        Raises:
          GazeError: as `correct`; or the faces of all frames together have too many pixels.
        """
        work = self.prepare(photo, eyes, faces)
        # eyes that move back pass the same alphas again
        alphas, order = np.unique(alphas, return_inverse=True)
        side = self.network.img_size
        if len(work.cuts) * len(alphas) * side * side > MAX_PIXELS:
            raise GazeError(
                f'--frames: {len(work.cuts)} faces of {side}x{side} pixels in {len(alphas)} frames are more than '
                f'{MAX_PIXELS // 10**6} million pixels: ask for fewer frames or faces.'
            )
        painted = {
            index: np.concatenate(
                [
                    self.network.animate(
                        cut[None],
                        work.frames[index].eyes[None],
                        work.reports[index].strength * alphas[start : start + ALPHAS],
                    )[0]
                    for start in range(0, len(alphas), ALPHAS)
                ]
            )
            for index, cut in work.cuts.items()
        }
        frames = (
            self._put_back(work, {index: frames[k] for index, frames in painted.items()}, blend, (1.0, 1.0)).image
            for k in order
        )
        return frames, work.reports

    @property
    def detector(self):
        """What finds faces."""
        if self._detector is None:
            from gaze_tf.inference.mediapipe_detector import MediapipeDetector

            self._detector = MediapipeDetector()
        return self._detector

    def find(self, rgb):
        """All faces of a photo uint8 [H, W, 3], the largest first."""
        return self.detector(rgb)

    def finder(self, fps):
        """What finds the faces of a video's frames, called with one after the other, as `find` does those of a photo: a
        Follower where the detector has a method `mark`. Whether their eyes are covered is told."""
        mark = getattr(self.detector, 'mark', None)
        find = Follower(self.find, mark, fps) if mark else self.find
        return lambda rgb: with_seen(rgb, find(rgb))

    def frame_of(self, face, rgb):
        """The model's Frame of a Face in a photo uint8 [H, W, 3]."""
        return frame_of(face.eyes, rgb.shape[1::-1], self.network.img_size, self.network.frame_eyes)

    def prepare(self, photo, eyes=None, faces='largest'):
        """The Work on a photo (path, Photo or array); for the arguments see `correct`."""
        photo, rgb = opened(photo)
        reports = chosen_faces(rgb, self.find, self.limits, eyes, faces)
        frames = {report.index: self.frame_of(report.face, rgb) for report in reports if report.done}
        return Work(rgb, reports, frames, {index: frame.cut(rgb).numpy() for index, frame in frames.items()}, photo)

    def paint(self, works, alpha=1.0, blend='feather'):
        """The Edited photos of Works, all their faces through the network a batch at a time."""
        alphas = alphas_of_eyes(alpha)
        keys = [(number, index) for number, work in enumerate(works) for index in work.cuts]
        painted = {}
        for start in range(0, len(keys), BATCH):
            some = keys[start : start + BATCH]
            cuts = np.stack([works[number].cuts[index] for number, index in some])
            eyes = np.stack([works[number].frames[index].eyes for number, index in some])
            strengths = np.array([works[number].reports[index].strength for number, index in some])
            painted.update(zip(some, self.repainted(cuts, eyes, strengths[:, None] * alphas)))
        # an eye with alpha 0 stays as it is
        strengths = [float(value != 0) for value in alphas]
        return [
            self._put_back(work, {index: painted[number, index] for index in work.cuts}, blend, strengths)
            for number, work in enumerate(works)
        ]

    def repainted(self, cuts, eyes, alphas, codes=None):
        """Faces in the model's frame, uint8 [B, S, S, 3] with eyes [B, 4], the gaze of each eye moved by its alpha of
        [B, 2]; codes: content codes to correct with instead of their own, where both alphas are 1 (see `Network.paint`)."""
        result, full = np.empty_like(cuts), (alphas == 1).all(axis=1)
        if full.any():
            result[full] = (
                self.network.correct(cuts[full], eyes[full])
                if codes is None
                else self.network.paint(cuts[full], eyes[full], [codes[k] for k in np.flatnonzero(full)])
            )
        if not full.all():
            frames = self.network.animate(cuts[~full], eyes[~full], alphas[~full])
            for frame, own in zip(frames, eyes[~full]):
                x0, y0, x1, y1 = self.network.boxes(own)[1]
                frame[0, y0:y1, x0:x1] = frame[1, y0:y1, x0:x1]
            result[~full] = frames[:, 0]
        return result

    def _put_back(self, work, painted, blend, strengths):
        if blend not in blend_lib.BLENDS:
            raise GazeError(f'--blend={blend} must be {", ".join(blend_lib.BLENDS)}.')
        image = work.rgb
        reports = list(work.reports)
        for index, after in painted.items():
            frame = work.frames[index]
            boxes = self.network.boxes(frame.eyes)
            image = blend_lib.put_back(
                image,
                frame,
                work.cuts[index],
                after,
                boxes,
                blend,
                [seen(reports[index].strength) * strength for strength in strengths],
                in_place=image is not work.rgb,
            )
            reports[index] = reports[index]._replace(sharpness=blend_lib.sharpness_kept(work.rgb, image, frame, boxes))
        return Edited(image, reports, work.photo)


def opened(photo):
    """(the Photo or None, its pixels uint8 [H, W, 3]) of a path, a Photo or an array; raises GazeError."""
    if isinstance(photo, (str, pathlib.Path)):
        photo = Photo.open(photo)
    return (photo, photo.rgb) if isinstance(photo, Photo) else (None, _checked(photo))


def chosen_faces(rgb, find, limits=faces_lib.Limits(), eyes=None, faces='largest'):
    """The FaceReport of each face of a photo uint8 [H, W, 3]; done: whether it is to be edited. Raises GazeError.

    find: a detector, not asked where `eyes` are given; for these and `faces` see `GazeEditor.correct`.
    """
    size = rgb.shape[1::-1]
    if eyes is None:
        found = with_seen(rgb, find(rgb))
        chosen = dict(faces_lib.choose(found, faces)) if found else {}
    else:
        found = [faces_lib.eyes_given(eyes, size)]
        chosen = {0: found[0]}
    reasons = [
        faces_lib.why_not(face, limits, size) if index in chosen else faces_lib.NOT_CHOSEN
        for index, face in enumerate(found)
    ]
    return [
        FaceReport(index, face, not reason, reason, strength=0.0 if reason else strength_of(face, limits))
        for index, (face, reason) in enumerate(zip(found, reasons))
    ]


def alphas_of_eyes(alpha):
    """alpha, one number or one for each eye, as float64 [2]; raises GazeError."""
    try:
        alphas = np.broadcast_to(np.asarray(alpha, float), 2)
    except (TypeError, ValueError) as error:
        raise GazeError(f'--alpha={alpha} must be one number, or one for each eye.') from error
    if not np.isfinite(alphas).all():
        raise GazeError(f'--alpha={alpha} must be finite.')
    return alphas


def _checked(rgb):
    rgb = np.asarray(rgb)
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3 or 0 in rgb.shape:
        raise GazeError(f'A photo is a path or RGB uint8 [H, W, 3], not {rgb.dtype} {list(rgb.shape)}.')
    return rgb
