"""Which tracks of a video are edited: chosen once per shot, by size over its beginning, and kept to its end."""

from collections.abc import Mapping, Sequence

from gaze_tf.editing.track_matching import MEMORY_S
from gaze_tf.inference import faces as faces_lib

# seconds of a shot, from the first frame with a face, over which sizes are compared, if so many frames are known ahead
_BEGINNING_S = 1.0
# more faces than a shot has
_MANY = 1000


class TrackChoice:
    """The tracks that a choice of faces means: 'largest', 'all', or numbers by size, such as '0,2'.

    Tracks that begin after a shot's beginning get the next numbers, in their order. But the number of a track that was
    not seen for MEMORY_S goes to the first track that began after that: it may be the same person.
    """

    def __init__(self, which: str, fps: float) -> None:
        """fps: frames per second. Raises GazeError for a wrong choice."""
        self._wanted = {index for index, _ in faces_lib.choose([None] * _MANY, which)}
        self.beginning, self._memory = max(round(float(_BEGINNING_S * fps)), 1), MEMORY_S * float(fps)
        self._shot: int | None = None
        self._frame = 0
        # tracks by number (None: this track has taken another's number)
        self._order: list[int | None] = []
        # the frames in which each track was first and last seen
        self._first: dict[int, int] = {}
        self._last: dict[int, int] = {}

    def of(self, shot: int, ahead: Sequence[Mapping[int, faces_lib.Face]]) -> set[int]:
        """The tracks that are chosen in the next frame.

        shot: its number. ahead: {track: Face} of that frame and of those that follow in its shot, at most `beginning`.
        """
        if shot != self._shot:
            self._shot, self._order, self._first, self._last = shot, [], {}, {}
        self._frame += 1
        if ahead[0]:
            self._number(ahead if not self._order else ahead[:1])
            self._last.update(dict.fromkeys(ahead[0], self._frame))
            self._hand_over()
        return {track for place, track in enumerate(self._order) if place in self._wanted and track is not None}

    def _number(self, frames: Sequence[Mapping[int, faces_lib.Face]]) -> None:
        comers = {track for faces in frames for track in faces} - set(self._first)
        # a sum: a face that is there for longer counts for more
        sizes = {track: sum(size(faces[track]) for faces in frames if track in faces) for track in comers}
        by_size = sorted(comers, key=lambda track: (-sizes[track], track))
        self._order += by_size
        for seen in (self._first, self._last):
            seen.update(dict.fromkeys(comers, self._frame))

    def _hand_over(self) -> None:
        for place, track in enumerate(self._order):
            if track is not None and self._frame - self._last[track] > self._memory:
                heir = next(
                    (
                        k
                        for k, other in enumerate(self._order)
                        if other is not None and self._first[other] > self._last[track]
                    ),
                    None,
                )
                if heir is not None:
                    self._order[place], self._order[heir] = self._order[heir], None


def size(face: faces_lib.Face) -> float:
    """The side of a Face in pixels, or an estimate where only its eyes are known."""
    if face.box is not None:
        return face.box[2] - face.box[0]
    return 2 * ((face.eyes[2] - face.eyes[0]) ** 2 + (face.eyes[3] - face.eyes[1]) ** 2) ** 0.5
