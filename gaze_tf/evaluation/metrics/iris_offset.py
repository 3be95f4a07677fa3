"""Where the irises of people in photographs are: for real photos, whose angles nobody knows.

The offset of irises is (along, up), see `inference.faces.iris_offset`, in eye widths. It is no angle: irises of people
who look at the camera are near (0, 0) but not quite there, each person's elsewhere, and lids follow a gaze up and down.
It tells whether repainting moved them. On 100 renderings whose true gaze is known, `along` had a correlation of 0.99
with yaw and `up` of 0.92 with pitch (`along` was about three quarters of the true shift, as mediapipe draws irises
towards the middle). In their twins, which look at the camera, the offsets were (0.000, 0.039) on average, with standard
deviations of 0.008 and 0.011.

A head that is turned moves the irises in their openings, too: its offset is not zero when it looks at the camera. Where
the same photo is there at the camera (a twin), the difference of both offsets is free of the head's turn and of the
person.

Offsets are measured in the data set's image, into which the eyes are put back where the model's frame is not that very
image: no face is found in a frame that shows little more than eyes.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from gaze_tf.evaluation.metrics import color
from gaze_tf.evaluation.samples import Sample
from gaze_tf.inference import faces as faces_lib
from gaze_tf.inference.faces import Face

ALPHAS = (0.0, 0.25, 0.5, 0.75, 1.0)  # few, because finding a face takes longer than painting it
# radius of an iris as a share of the distance of both (5.85 of 62.6 mm)
_RADIUS = 0.0935
_MOVED = 1e-4  # eye widths; a detector's answers to equal pictures are equal


class Sighting(NamedTuple):
    """What a detector sees of one face.

    faces: the Face (before, after) correction; both None where it was not found in one of the pictures.
    pictures: these two pictures, uint8 [H, H, 3].
    twin: iris offset [2] of the twin; steps: those of the animation at ALPHAS, [K, 2]. Both are nan where no face was
    found, and None without a twin.
    """

    faces: tuple
    pictures: tuple
    twin: np.ndarray | None = None
    steps: np.ndarray | None = None


def offset(detector: Any, image: np.ndarray, eyes: Any = None) -> np.ndarray:
    """Iris offset [2] in an image, rgb uint8 [H, W, 3]; nan where no face is found.

    detector: as inference.faces describes it, one that finds irises and eye widths (MediapipeDetector).
    eyes: (left_x, left_y, right_x, right_y) in pixels of the face that is meant; without them the largest is taken. A
    face counts as that one if the middle of its eyes is nearer to theirs than half the distance between both eyes.
    """
    return _offset(face_at(detector, image, eyes))


def sightings(samples: list[Sample], corrected: np.ndarray, boxes: np.ndarray, steps: Any, detector: Any) -> list:
    """The Sighting of each sample.

    corrected: uint8 [B, S, S, 3]; boxes: int [B, 2, 4]; steps: the animation at ALPHAS, uint8 [B, K, S, S, 3], of
    samples with twins.
    """
    found = []
    for n, sample in enumerate(samples):
        eyes = sample.eyes_in_photo
        pictures = sample.whole, sample.in_photo(corrected[n], boxes[n])
        before, after = (face_at(detector, picture, eyes) for picture in pictures)
        faces = (before, after) if _tells(before) and _tells(after) else (None, None)
        twin = track = None
        whole_twin = sample.whole_twin
        if whole_twin is not None:
            twin = offset(detector, whole_twin, eyes)
            track = np.stack([offset(detector, sample.in_photo(step, boxes[n]), eyes) for step in steps[n]])
        found.append(Sighting(faces, pictures, twin, track))
    return found


def offsets_alone(samples: list[Sample], corrected: np.ndarray, boxes: np.ndarray, detector: Any) -> np.ndarray:
    """Iris offsets [B, 2] after correction, whether or not the faces are found before; nan where they are not after."""
    return np.stack(
        [
            offset(detector, sample.in_photo(picture, own), sample.eyes_in_photo)
            for sample, picture, own in zip(samples, corrected, boxes)
        ]
    )


def before(seen: list[Sighting]) -> np.ndarray:
    """Offsets [B, 2] before correction; nan where a face was not found, as in all that follow."""
    return np.stack([_offset(sighting.faces[0]) for sighting in seen])


def after(seen: list[Sighting]) -> np.ndarray:
    """Offsets [B, 2] after correction."""
    return np.stack([_offset(sighting.faces[1]) for sighting in seen])


def moved(seen: list[Sighting]) -> np.ndarray:
    """By how much correction moved the offset, [B, 2]."""
    return after(seen) - before(seen)


def twin(seen: list[Sighting]) -> np.ndarray:
    """Offsets [B, 2] of the twins."""
    return np.stack([sighting.twin for sighting in seen if sighting.twin is not None])


def size(offsets: np.ndarray) -> list:
    """Lengths [B] of offsets [B, 2]."""
    return [np.hypot(*own) for own in offsets]


def iris_difference(seen: list[Sighting]) -> list:
    """CIEDE2000 [B] between the irises before and after, mean of both, each sampled where it was found."""
    return [_difference(sighting) for sighting in seen]


def rank_correlations(seen: list[Sighting]) -> list:
    """`rank_correlation` [B] of the animations."""
    return [
        rank_correlation(ALPHAS, sighting.steps, *map(_offset, sighting.faces))
        for sighting in seen
        if sighting.steps is not None
    ]


def moved_at_alpha_0(seen: list[Sighting]) -> list:
    """Distance [B] of the offset at alpha 0 to that before."""
    return [
        np.hypot(*(sighting.steps[0] - _offset(sighting.faces[0]))) for sighting in seen if sighting.steps is not None
    ]


def progress(seen: list[Sighting]) -> np.ndarray:
    """How far along the way from the offset before to the one after the animation is at each alpha, [B, K]."""
    return np.stack(
        [_progress(sighting.steps, *map(_offset, sighting.faces)) for sighting in seen if sighting.steps is not None]
    )


def rank_correlation(alphas: Any, track: np.ndarray, start: np.ndarray, end: np.ndarray) -> float:
    """Spearman's rank correlation of alphas [K] with the progress of offsets [K, 2] on the line from `start` to `end`
    [2].

    1 where every larger alpha is further along, 0 for a track that does not move along the line at all, nan where a
    face was not found.
    """
    if np.isnan(track).any() or np.isnan(end - start).any():
        return float('nan')
    length = np.hypot(*(end - start))
    if length < _MOVED or np.ptp(track @ (end - start)) / length < _MOVED:
        return 0.0
    return float(stats.spearmanr(alphas, track @ (end - start)).statistic)


def _progress(track, start, end):
    square = (end - start) @ (end - start)
    return (track - start) @ (end - start) / square if square > _MOVED**2 else np.full(len(track), np.nan)


def face_at(detector, image, eyes=None):
    """The largest Face, or the nearest one to given eyes; None where it is not found."""
    faces = detector(image)
    if eyes is not None:
        eyes = np.reshape(eyes, (2, 2))
        near = [face for face in faces if _away(face, eyes) < np.linalg.norm(eyes[1] - eyes[0]) / 2]
        faces = sorted(near, key=lambda face: _away(face, eyes))
    return faces[0] if faces else None


def _away(face, eyes):
    return np.linalg.norm(np.reshape(face.eyes, (2, 2)).mean(0) - eyes.mean(0))


def _tells(face):
    return face is not None and faces_lib.iris_offset(face) is not None


def _offset(face: Face | None) -> np.ndarray:
    """[2], nan without a face."""
    found = face and faces_lib.iris_offset(face)
    return np.array(found) if found else np.full(2, np.nan)


def _difference(sighting):
    """CIEDE2000 between the irises of the two pictures, mean of both; nan without faces."""
    if sighting.faces[0] is None:
        return float('nan')
    irises = np.reshape(sighting.faces[0].irises, (2, 2))
    radius = _RADIUS * np.hypot(*(irises[1] - irises[0]))
    # positions of faces count from the edge of the first pixel, those of colors from its middle
    colors = [
        [
            color.iris_color(picture, np.subtract(iris, 0.5), radius, np.subtract(eye, 0.5))
            for iris, eye in zip(np.reshape(face.irises, (2, 2)), np.reshape(face.eyes, (2, 2)))
        ]
        for picture, face in zip(sighting.pictures, sighting.faces)
    ]
    return float(np.mean(color.delta_e(*colors)))
