"""Where eyes are to look, if not at the camera: a direction, or a point on the picture."""

from collections.abc import Sequence

import numpy as np

from gaze_tf.compositing.align import Frame
from gaze_tf.editing.options import LookOptions


def directions(look: LookOptions, frames: Sequence[Frame], sizes: Sequence[tuple[int, ...]]) -> np.ndarray | None:
    """The direction of each face, as `Network.look` takes it: [B, 2]. None if the eyes are to look at the camera.

    A point is looked at under the angle that the camera sees between it and the face, where the longer side of the
    picture spans 53 degrees.

    Args:
      look: what the person asked for, along the sides of the picture.
      frames: where each face lies in its picture, which may be rotated.
      sizes: (width, height) of its picture.
    """
    if look.look:
        wanted = np.tile(np.asarray(look.look, float), [len(frames), 1])
    elif look.target:
        faces = np.stack(
            [np.reshape(frame.to_photo(np.reshape(frame.eyes, (2, 2))), (2, 2)).mean(0) for frame in frames]
        )
        away = (np.asarray(look.target, float) - faces) / np.max(sizes, axis=1, keepdims=True)
        wanted = np.degrees(np.arctan(away)) * (1, -1)
    else:
        return None
    return in_frames(wanted, frames)


def in_frames(wanted: np.ndarray, frames: Sequence[Frame]) -> np.ndarray:
    """Directions [B, 2] along the sides of a picture, along the sides of each face's Frame, which may be rotated."""
    turns = np.stack([np.asarray(frame.matrix)[:, :2] / float(frame.scale) for frame in frames])
    # pitch is positive upwards, y downwards
    return np.einsum('bij,bj->bi', turns, wanted * (1, -1)) * (1, -1)
