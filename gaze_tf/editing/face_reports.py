"""What is done to each face of a photo, and if nothing, why."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from gaze_tf.editing.strength import strength_of
from gaze_tf.inference import faces as faces_lib
from gaze_tf.inference.covered import with_seen
from gaze_tf.inference.faces import Detector, Face, Limits


class FaceReport(NamedTuple):
    """What was done to a face, and if nothing, why.

    index: the number of the face by size in its photo; 0 is the largest.
    face: the Face.
    done: whether its eyes were repainted.
    reason: why they were not, or ''.
    sharpness: of its eye boxes after editing, as a share of that before; None unless done.
    strength: how far its gaze was moved, from 0 to 1; less than 1 if its head or gaze is turned.
    """

    index: int  # type: ignore[assignment]  # tuples have a method of this name, which nobody calls here
    face: Face
    done: bool
    reason: str = ''
    sharpness: float | None = None
    strength: float = 0.0


def report_faces(
    rgb: np.ndarray,
    find: Detector,
    limits: Limits = Limits(),
    eyes: Sequence[float] | None = None,
    faces: str | int | Iterable[int] = 'largest',
) -> list[FaceReport]:
    """The FaceReport of each face in a photo uint8 [H, W, 3]; `done` says whether it is to be edited. Raises GazeError.

    find: a detector, not called if `eyes` are given. For `eyes` and `faces` see `GazeEditor.correct`.
    """
    size = rgb.shape[1], rgb.shape[0]
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
