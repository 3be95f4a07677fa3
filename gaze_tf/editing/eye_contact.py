"""Eyes that look at the camera for a while, which are left alone in videos: painting would hardly move their gaze."""

from collections.abc import Iterable, Sequence

import numpy as np
from scipy import ndimage

# Degrees of `gaze_moved`: eyes begin to look at the camera below the first and stop above the second.
BELOW, ABOVE = 7.0, 8.5
# seconds for which eyes must look at the camera to be left alone, and over which measurements are averaged
_WHILE_S, _MEAN_S = 1.0, 0.5
# measurements per second
RATE = 4
AT_CAMERA = 'its eyes look at the camera'
# Degrees to the side and up per shift by the distance between the eyes, fitted on 840 portraits with eyes turned by 0
# to 30 degrees and the model that comes with gaze_tf. Measured shifts are too small, as lids and lashes do not move
# along.
_DEGREES = 455.0, 617.0
# shares of an eye box: blur (standard deviation, of its width), and margins of skin that are left out (left and right,
# top and bottom)
_BLUR, _MARGINS = 1 / 24, (1 / 6, 3 / 16)


def gaze_moved(
    before: np.ndarray, after: np.ndarray, eyes: np.ndarray, boxes: Iterable[Sequence[int]] | np.ndarray
) -> float:
    """Degrees by which painting moves the gaze: about the angle by which the eyes look past the camera.

    It is measured as the common shift of both blurred eyes that best explains their change, by least squares on their
    gradients (Lucas and Kanade 1981). Each eye may become brighter or darker as a whole.

    before, after: uint8 [S, S, 3], a face in the model's frame, before and after painting. eyes: [4] in pixels of it;
    boxes: see `Network.boxes`.
    """
    rows = [_shifting(*(image[y0:y1, x0:x1].mean(-1) for image in (before, after))) for x0, y0, x1, y1 in boxes]
    gradients, changes = (np.concatenate(parts) for parts in zip(*rows))
    shift = np.linalg.lstsq(gradients, changes, rcond=None)[0]
    return float(np.linalg.norm(shift * _DEGREES) / np.hypot(eyes[2] - eyes[0], eyes[3] - eyes[1]))


def _shifting(before: np.ndarray, after: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(gradients [N, 2] of an eye along x and y, its change [N]), with a mean of 0 and in units of its contrast."""
    height, width = before.shape
    before, after = (ndimage.gaussian_filter(image, _BLUR * width) for image in (before, after))
    x, y = round(_MARGINS[0] * width), round(_MARGINS[1] * height)
    inner = np.s_[y : max(height - y, y + 1), x : max(width - x, x + 1)]
    down, across = np.gradient((before + after) / 2)
    rows = np.stack([across[inner].ravel(), down[inner].ravel(), (before - after)[inner].ravel()], axis=1)
    rows = (rows - rows.mean(axis=0)) / max(before[inner].std(), 1.0)
    return rows[:, :2], rows[:, 2]


class EyeContact:
    """Tells from frame to frame whether the eyes of a track have looked at the camera for a while and are left alone.

    window: (first, last) of the frames whose angles `share` takes, counted from the next one. It lies so far ahead that
    the change has faded in again before the eyes look away.
    alone: whether the eyes are left alone.
    """

    def __init__(self, fps: float, fade: int, delay: int) -> None:
        """fps: frames per second; fade: frames in which the change fades; delay: frames ahead that are known."""
        mean = max(round(_MEAN_S * fps), 1)
        last = min(fade + mean // 2, delay)
        self.window = last - mean, last
        self._while, self._fade = max(round(_WHILE_S * fps), 1) + max(last - mean, 0), fade
        self._below, self._share, self._known = 0, 1.0, False
        self.alone = False

    def share(self, moved: Sequence[float]) -> float:
        """The largest share (see `strength`) that the next frame may have.

        It is 0 where eyes are left alone, else 1, and between them it changes by 1 / fade a frame. moved: the values of
        `gaze_moved` that are known in `window`.
        """
        began = not self._known
        if moved:
            self._know(float(np.mean(moved)))
        if began:
            self._share = float(not self.alone)
        step = -1 / self._fade if self.alone else 1 / self._fade
        self._share = min(max(self._share + step, 0.0), 1.0)
        return self._share

    def _know(self, degrees: float) -> None:
        if degrees < BELOW:
            self._below += 1
        elif not self.alone or degrees > ABOVE:
            self._below = 0
        # at the first frame, the frames known ahead count as the while
        self.alone = self._below >= self._while if self._known else degrees < BELOW
        if self.alone:
            self._below = self._while
        self._known = True
