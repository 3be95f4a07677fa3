"""Photo in, photo out: finds faces, aligns them, repaints their eyes and puts them back.

editor = GazeEditor.load()
editor.correct('photo.jpg').save('corrected.jpg')
"""

import pathlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from gaze_tf.compositing import blend as blend_lib
from gaze_tf.compositing.align import Frame, align_face, align_faces, cut_all
from gaze_tf.editing.face_reports import FaceReport, report_faces
from gaze_tf.editing.following import Follower
from gaze_tf.editing.gaze_target import directions, in_frames
from gaze_tf.editing.options import BLENDS, LookOptions
from gaze_tf.editing.strength import seen
from gaze_tf.errors import GazeError
from gaze_tf.inference.covered import with_seen
from gaze_tf.inference.detectors import make_detector
from gaze_tf.inference.faces import Detector, Face, Limits
from gaze_tf.inference.network import Network
from gaze_tf.media.photo import Photo
from gaze_tf.media.photo_reading import MAX_PIXELS
from gaze_tf.options import as_text

# faces in a batch of the network
BATCH = 8
# frames of a face in a batch
AT_ONCE = 16
# which faces: 'largest', 'all', or numbers by size such as '0,2' or [0, 2]
Which = str | int | Iterable[int]
CAMERA = LookOptions()
# one number, or one for each eye
Alpha = float | Sequence[float]


class Edited(NamedTuple):
    """A corrected photo.

    image: uint8 [H, W, 3], upright. faces: what was done to each face. photo: the Photo it was, or None of an array.
    """

    image: np.ndarray
    faces: list[FaceReport]
    photo: Photo | None = None

    def save(self, path: pathlib.Path | str, mark: bool = False) -> None:
        """Writes the photo with the format settings and the metadata of the original; see `Photo.save`.

        Raises GazeError: it cannot be written, or the photo was an array.
        """
        if self.photo is None:
            raise GazeError('An edited array has no file whose format and metadata could be kept: write .image.')
        self.photo.save(path, self.image, mark)


class Work(NamedTuple):
    """A photo before painting: its faces, with cuts of those to be repainted.

    rgb: uint8 [H, W, 3]. reports: FaceReport of each face. frames: {index: Frame} of the faces to be repainted; cuts:
    {index: uint8 [S, S, 3]} of the same.
    """

    rgb: np.ndarray
    reports: list[FaceReport]
    frames: dict[int, Frame]
    cuts: dict[int, np.ndarray]
    photo: Photo | None = None


class GazeEditor:
    """Corrects and animates the eyes in photos.

    Args:
      network: the model's Network; None for an editor that only finds and measures.
      limits: which faces are left alone or corrected less.
      detector: rgb uint8 [H, W, 3] → list of Face, the largest first; by default that of
        `make_detector`, loaded on first use.
    """

    def __init__(self, network: Network | None, limits: Limits = Limits(), detector: Detector | None = None) -> None:
        self._network, self.limits, self._detector = network, limits, detector

    @classmethod
    def load(
        cls, path: pathlib.Path | str | None = None, limits: Limits = Limits(), detector: Detector | None = None
    ) -> 'GazeEditor':
        """An editor with the model at a path: a SavedModel, or a folder of versions, of which it takes the newest.

        Without a path it takes the model that comes with gaze_tf. Raises GazeError if there is no model.
        """
        return cls(Network(path), limits, detector)

    def correct(
        self,
        photo: pathlib.Path | str | Photo | np.ndarray,
        eyes: Sequence[float] | None = None,
        faces: Which = 'largest',
        alpha: Alpha = 1.0,
        blend: str = 'feather',
        look: LookOptions = CAMERA,
    ) -> Edited:
        """Makes the people in a photo look at the camera.

        Args:
          photo: a path, a Photo, or RGB uint8 [H, W, 3].
          eyes: (left_x, left_y, right_x, right_y) of one face in pixels, the eye with the smaller x first; skips face
            detection.
          faces: which faces: 'largest', 'all', or numbers by size such as '0,2' or [0, 2]; 0 is the largest.
          alpha: how far the gaze moves: 0 not at all, 1 to the camera. One number, or one for each eye.
          blend: how eyes are put back: 'feather', 'poisson' or 'hard'; see `blend.put_back`.
          look: where they look instead of at the camera.

        Returns:
          The Edited photo. Its pixels outside the eye boxes are those of the original.

        Raises:
          GazeError: the photo cannot be read, an argument is wrong, or a face with such a number is not there.
        """
        return self.paint([self.prepare(photo, eyes, faces)], alpha, blend, look)[0]

    def animate(
        self,
        photo: pathlib.Path | str | Photo | np.ndarray,
        alphas: Sequence[float] | np.ndarray,
        eyes: Sequence[float] | None = None,
        faces: Which = 'largest',
        blend: str = 'feather',
    ) -> tuple[Iterator[np.ndarray], list[FaceReport]]:
        """Moves the eyes in a photo: one frame for each alpha. For the other arguments see `correct`.

        Args:
          alphas: [N]; 0 is the original gaze, 1 looks at the camera; others extrapolate.

        Returns:
          (N frames uint8 [H, W, 3], each made when it is asked for; the FaceReport of each face).

        Raises:
          GazeError: as `correct`; or the faces of all frames together have too many pixels.
        """
        work = self.prepare(photo, eyes, faces)

        def paint(index, some):
            strength = work.reports[index].strength
            return self.network.animate(work.cuts[index][None], work.frames[index].eyes[None], strength * some)[0]

        return self._frames(work, np.asarray(alphas), paint, blend), work.reports

    def animate_along(
        self,
        photo: pathlib.Path | str | Photo | np.ndarray,
        path: np.ndarray,
        eyes: Sequence[float] | None = None,
        faces: Which = 'largest',
        blend: str = 'feather',
    ) -> tuple[Iterator[np.ndarray], list[FaceReport]]:
        """Moves the eyes in a photo along a path of directions: one frame for each. See `animate`.

        Args:
          path: [N, 2], (yaw, pitch) in degrees from the camera, to the right and up in the photo.
        """
        work = self.prepare(photo, eyes, faces)

        def paint(index, some):
            frame = work.frames[index]
            cut, eyes, strength = work.cuts[index][None], frame.eyes[None], work.reports[index].strength
            wanted = in_frames(some, [frame] * len(some))
            if strength < 1:
                own = self.network.direction(cut, eyes)
                wanted = own + strength * (wanted - own)
            return self.network.look(cut, eyes, wanted[None])[0]

        return self._frames(work, np.asarray(path), paint, blend), work.reports

    def _frames(
        self, work: Work, values: np.ndarray, paint: Callable[[int, np.ndarray], np.ndarray], blend: str
    ) -> Iterator[np.ndarray]:
        """The frames of a Work with values [N] or [N, 2]. paint: number of a face and n values → [n, S, S, 3]."""
        # eyes that move back pass the same values again
        values, order = np.unique(values, axis=0, return_inverse=True)
        side = self.network.img_size
        if len(work.cuts) * len(values) * side * side > MAX_PIXELS:
            raise GazeError(
                f'{len(work.cuts)} faces of {side}x{side} pixels in {len(values)} frames are more than '
                f'{MAX_PIXELS // 10**6} million pixels: ask for fewer frames or faces.'
            )
        starts = range(0, len(values), AT_ONCE)
        painted = {
            index: np.concatenate([paint(index, values[start : start + AT_ONCE]) for start in starts])
            for index in work.cuts
        }
        return (
            self._put_back(work, {index: frames[k] for index, frames in painted.items()}, blend, (1.0, 1.0)).image
            for k in order.ravel()
        )

    @property
    def network(self) -> Network:
        """The model. An editor that only finds and measures has none."""
        assert self._network is not None, 'this editor only finds and measures'
        return self._network

    @property
    def detector(self) -> Detector:
        """What finds faces."""
        if self._detector is None:
            self._detector = make_detector()
        return self._detector

    def find(self, rgb: np.ndarray) -> list[Face]:
        """All faces in a photo uint8 [H, W, 3], the largest first."""
        return self.detector(rgb)

    def finder(self, fps: float) -> Detector:
        """A detector for the frames of one video, called in their order; it also measures whether eyes are covered.

        It follows faces from frame to frame if the detector has a method `mark`; otherwise it detects them in each.
        """
        mark = getattr(self.detector, 'mark', None)
        find = Follower(self.find, mark, fps) if mark else self.find
        return lambda rgb: with_seen(rgb, find(rgb))

    def align_face(self, face: Face, rgb: np.ndarray) -> Frame:
        """The model's Frame of a Face in a photo uint8 [H, W, 3]."""
        return align_face(face.eyes, rgb.shape[1::-1], self.network.img_size, self.network.frame_eyes)

    def cut_out(self, photos: Sequence[np.ndarray], faces: Sequence[Face]) -> tuple[list[Frame], np.ndarray]:
        """([Frame], what each shows uint8 [B, S, S, 3]) of a Face in each of photos uint8 [H, W, 3] of one size."""
        frames = align_faces(
            [face.eyes for face in faces], photos[0].shape[1::-1], self.network.img_size, self.network.frame_eyes
        )
        return frames, cut_all(frames, photos)

    def prepare(
        self,
        photo: pathlib.Path | str | Photo | np.ndarray,
        eyes: Sequence[float] | None = None,
        faces: Which = 'largest',
    ) -> Work:
        """The Work on a photo: its faces found and cut out. For the arguments and errors see `correct`."""
        opened, rgb = open_photo(photo)
        reports = report_faces(rgb, self.find, self.limits, eyes, faces)
        frames = {report.index: self.align_face(report.face, rgb) for report in reports if report.done}
        return Work(rgb, reports, frames, {index: frame.cut(rgb).numpy() for index, frame in frames.items()}, opened)

    def paint(
        self, works: Sequence[Work], alpha: Alpha = 1.0, blend: str = 'feather', look: LookOptions = CAMERA
    ) -> list[Edited]:
        """The Edited photo of each Work; their faces share batches. For the other arguments see `correct`."""
        alphas = alphas_of_eyes(alpha)
        keys = [(number, index) for number, work in enumerate(works) for index in work.cuts]
        painted: dict[tuple[int, int], np.ndarray] = {}
        for start in range(0, len(keys), BATCH):
            some = keys[start : start + BATCH]
            cuts = np.stack([works[number].cuts[index] for number, index in some])
            eyes = np.stack([works[number].frames[index].eyes for number, index in some])
            strengths = np.array([works[number].reports[index].strength for number, index in some])
            wanted = directions(
                look,
                [works[number].frames[index] for number, index in some],
                [works[number].rgb.shape[1::-1] for number, _ in some],
            )
            painted.update(zip(some, self.repainted(cuts, eyes, strengths[:, None] * alphas, directions=wanted)))
        # an eye with alpha 0 stays as it is
        shown = [float(value != 0) for value in alphas]
        return [
            self._put_back(work, {index: painted[number, index] for index in work.cuts}, blend, shown)
            for number, work in enumerate(works)
        ]

    def repainted(
        self,
        cuts: np.ndarray,
        eyes: np.ndarray,
        alphas: np.ndarray,
        codes: Sequence[np.ndarray | None] | None = None,
        directions: np.ndarray | None = None,
    ) -> np.ndarray:
        """Moves the gaze of faces in the model's frame.

        Args:
          cuts: uint8 [B, S, S, 3].
          eyes: [B, 4] in pixels of the cuts.
          alphas: [B, 2], how far the gaze of each eye moves.
          codes: codes to use instead of the faces' own, where both alphas are 1; see `Network.paint`.
          directions: [B, 2], where the eyes look instead of at the camera; see `Network.look`.

        Returns:
          uint8 [B, S, S, 3].
        """
        if directions is not None:
            own = self.network.direction(cuts, eyes) if (alphas != 1).any() else 0 * directions
            between = own[:, None] + alphas[..., None] * (directions - own)[:, None]
            if (alphas[:, 0] == alphas[:, 1]).all():
                return self.network.look(cuts, eyes, between[:, :1])[:, 0]
            return self._each_eye(self.network.look(cuts, eyes, between), eyes)
        result, full = np.empty_like(cuts), (alphas == 1).all(axis=1)
        if full.any():
            result[full] = (
                self.network.correct(cuts[full], eyes[full])
                if codes is None
                else self.network.paint(cuts[full], eyes[full], [codes[k] for k in np.flatnonzero(full)])
            )
        if not full.all():
            result[~full] = self._each_eye(self.network.animate(cuts[~full], eyes[~full], alphas[~full]), eyes[~full])
        return result

    def _each_eye(self, frames: np.ndarray, eyes: np.ndarray) -> np.ndarray:
        """[B, S, S, 3]: the left eye of the first, the right eye of the second of frames [B, 2, S, S, 3]."""
        for frame, own in zip(frames, eyes):
            x0, y0, x1, y1 = self.network.boxes(own)[1]
            frame[0, y0:y1, x0:x1] = frame[1, y0:y1, x0:x1]
        return frames[:, 0]

    def _put_back(
        self, work: Work, painted: Mapping[int, np.ndarray], blend: str, strengths: Sequence[float]
    ) -> Edited:
        if blend not in BLENDS:
            raise GazeError(f'`blend={blend}` must be {", ".join(BLENDS)}.')
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


def open_photo(photo: pathlib.Path | str | Photo | np.ndarray) -> tuple[Photo | None, np.ndarray]:
    """(the Photo, or None of an array; its pixels uint8 [H, W, 3]) of a path, a Photo or an array. Raises GazeError."""
    if isinstance(photo, (str, pathlib.Path)):
        opened = Photo.open(photo)
    elif isinstance(photo, Photo):
        opened = photo
    else:
        return None, _checked(photo)
    return opened, opened.rgb


def alphas_of_eyes(alpha: Alpha) -> np.ndarray:
    """An alpha, one number or one for each eye, as float64 [2]. Raises GazeError."""
    text = as_text(alpha)
    try:
        alphas = np.broadcast_to(np.asarray(alpha, float), 2)
    except (TypeError, ValueError) as error:
        raise GazeError(f'`alpha={text}` must be one number, or one for each eye.') from error
    if not np.isfinite(alphas).all():
        raise GazeError(f'`alpha={text}` must be finite.')
    return alphas


def _checked(rgb: np.ndarray) -> np.ndarray:
    rgb = np.asarray(rgb)
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3 or 0 in rgb.shape:
        raise GazeError(f'A photo is a path or RGB uint8 [H, W, 3], not {rgb.dtype} {list(rgb.shape)}.')
    return rgb
