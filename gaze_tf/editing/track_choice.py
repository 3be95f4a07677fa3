"""Which tracks of a video are edited: chosen once in each shot, by size over its beginning, and kept to its end."""

from gaze_tf.editing.track_matching import MEMORY_S
from gaze_tf.inference import faces as faces_lib

# seconds of a shot, from the first frame with a face on, over which sizes are compared, if so many frames are looked
# ahead
_BEGINNING_S = 1.0
# more faces than a shot has
_MANY = 1000


class TrackChoice:
    """The tracks that `which` means: 'largest', 'all', or numbers by size, such as '0,2'.

    Who comes after a shot's beginning is numbered behind those who were there, in the order in which they come. Only
    the
    place of one who has not been seen for MEMORY_S goes to the first who came after that: it may be the same person.
    """

    def __init__(self, which, fps):
        """fps: frames per second. Raises GazeError for a `which` of another kind."""
        self._wanted = {index for index, _ in faces_lib.choose([None] * _MANY, which)}
        self.beginning, self._memory = max(round(float(_BEGINNING_S * fps)), 1), MEMORY_S * float(fps)
        self._shot, self._frame = None, 0
        # tracks by their numbers (None: he has another's place), and the frames in which each was seen first and last
        self._order, self._first, self._last = [], {}, {}

    def of(self, shot, ahead):
        """The set of tracks that are chosen in the next frame.

        shot: its number; ahead: {track: Face} of the frame and of those of its shot that follow, `beginning` at most.
        """
        if shot != self._shot:
            self._shot, self._order, self._first, self._last = shot, [], {}, {}
        self._frame += 1
        if ahead[0]:
            self._number(ahead if not self._order else ahead[:1])
            self._last.update(dict.fromkeys(ahead[0], self._frame))
            self._hand_over()
        return {track for place, track in enumerate(self._order) if place in self._wanted}

    def _number(self, frames):
        comers = {track for faces in frames for track in faces} - set(self._first)
        # a sum: who is there for longer counts for more
        sizes = {track: sum(size(faces[track]) for faces in frames if track in faces) for track in comers}
        self._order += sorted(comers, key=lambda track: (-sizes[track], track))
        for seen in (self._first, self._last):
            seen.update(dict.fromkeys(comers, self._frame))

    def _hand_over(self):
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


def size(face):
    """Of a Face in pixels: its side, or about that where only its eyes are known."""
    if face.box is not None:
        return face.box[2] - face.box[0]
    return 2 * ((face.eyes[2] - face.eyes[0]) ** 2 + (face.eyes[3] - face.eyes[1]) ** 2) ** 0.5
