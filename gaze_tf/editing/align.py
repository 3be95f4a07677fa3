"""A face between its photo and the model's frame: cut out by a similarity transform, and its eyes put back.

Positions are (x, y) in pixels counted from the edges: the middle of the first pixel is 0.5. Eyes stand in the frame
where CelebAGaze has them on average, which is where a model has learned to paint them.
"""
import math
from typing import NamedTuple

import numpy as np
from PIL import Image
from scipy import ndimage

# mean eye positions of CelebAGaze's 25,183 training rows, as a share of the image's side: left_x, left_y, right_x, right_y
MEAN_EYES = np.array([78.6, 92.9, 177.8, 92.7]) / 256
# an image of the model's size whose eyes are at most so far from them, as a share of its side, is aligned already
_ALIGNED = 0.1


class Frame(NamedTuple):
    """Where a face lies in its photo.

    matrix: [2, 3], photo (x, y, 1) → frame (x, y): rotation, scale and shift.
    eyes: [4] float32, (left_x, left_y, right_x, right_y) in the frame.
    size: side S of the frame in pixels.
    """
    matrix: np.ndarray
    eyes: np.ndarray
    size: int

    @property
    def scale(self):
        """Pixels of the frame in one of the photo: below 1 the photo shows more than the model sees."""
        return math.hypot(self.matrix[0, 0], self.matrix[1, 0])

    def to_photo(self, points):
        """Points [..., 2] of the frame in the photo."""
        return (np.asarray(points) - self.matrix[:, 2]) @ np.linalg.inv(self.matrix[:, :2]).T

    def to_frame(self, points):
        """Points [..., 2] of the photo in the frame."""
        return np.asarray(points) @ self.matrix[:, :2].T + self.matrix[:, 2]

    def cut(self, rgb):
        """The frame as the model takes it: uint8 [S, S, 3] of the photo uint8 [H, W, 3], which is continued beyond its
        border by the pixels there."""
        if np.array_equal(self.matrix, np.eye(2, 3)):
            return rgb
        corners = self.to_photo([[0, 0], [0, self.size], [self.size, 0], [self.size, self.size]])
        shrink = max(round(1 / self.scale), 1)
        # room for the cubic's reach, in whole blocks of what is averaged first: a cubic alone would skip pixels
        low = np.floor(corners.min(axis=0)).astype(int) - 3 * shrink
        blocks = -((low - np.ceil(corners.max(axis=0)).astype(int) - 3 * shrink) // shrink)
        region = Image.fromarray(_region(rgb, low, low + blocks * shrink)).reduce(shrink)
        # frame → photo → region, which counts in blocks
        inverse = np.linalg.inv(np.vstack([self.matrix, [0, 0, 1]]))[:2]
        inverse[:, 2] -= low
        return np.asarray(region.transform((self.size, self.size), Image.Transform.AFFINE, (inverse / shrink).ravel(),
                                           Image.Resampling.BICUBIC))


def frame_of(eyes, photo_size, frame_size):
    """The Frame of side `frame_size` for a face with `eyes` (left_x, left_y, right_x, right_y) in a photo.

    photo_size: its (width, height). A photo as large as the frame, with its eyes about where they belong, is the frame
    itself: nothing is resampled.
    """
    eyes, wanted = np.asarray(eyes, float), MEAN_EYES * frame_size
    if tuple(photo_size) == (frame_size, frame_size) and np.abs(eyes - wanted).max() <= _ALIGNED * frame_size:
        return Frame(np.eye(2, 3), eyes.astype(np.float32), frame_size)
    source, target = eyes[2:] - eyes[:2], wanted[2:] - wanted[:2]
    # rotation and scale as one complex number
    turn = complex(*target) / complex(*source)
    linear = np.array([[turn.real, -turn.imag], [turn.imag, turn.real]])
    shift = (wanted[:2] + wanted[2:]) / 2 - linear @ ((eyes[:2] + eyes[2:]) / 2)
    return Frame(np.column_stack([linear, shift]), wanted.astype(np.float32), frame_size)


class Patch(NamedTuple):
    """Pixels of a photo under a box of the frame: rows and columns as slices, and each pixel's place in the frame."""
    rows: slice
    columns: slice
    x: np.ndarray   # [h, w]
    y: np.ndarray

    def sample(self, values, scale):
        """Values [S, S, C] of the frame at these pixels, [h, w, C] float32; `scale` is the frame's."""
        if scale > 1:
            # pixels of the photo are larger than the frame's: averages, not samples
            sigma = 0.45 * math.sqrt(scale ** 2 - 1)
            values = ndimage.gaussian_filter(values, (sigma, sigma, 0), mode='nearest')
        places = np.stack([self.y, self.x]) - 0.5
        if np.array_equal(places, np.rint(places)):
            return values[tuple(places.astype(int))]
        # only what is near: all of the frame would have to be prepared for the cubic
        low, high = (bound(places, axis=(1, 2)).astype(int) for bound in (np.min, np.max))
        low = np.maximum(low - 8, 0)
        values = values[low[0]:high[0] + 9, low[1]:high[1] + 9]
        places -= low[:, None, None]
        return np.stack([ndimage.map_coordinates(values[..., c], places, np.float32, order=3, mode='nearest')
                         for c in range(values.shape[-1])], axis=-1)


def patch_of(frame, box, photo_size):
    """The Patch of a photo of `photo_size` (width, height) that covers a frame's box (x0, y0, x1, y1), or None."""
    x0, y0, x1, y1 = box
    corners = frame.to_photo([[x0, y0], [x0, y1], [x1, y0], [x1, y1]])
    low = np.maximum(np.floor(corners.min(axis=0)).astype(int), 0)
    high = np.minimum(np.ceil(corners.max(axis=0)).astype(int), photo_size)
    if (low >= high).any():
        return None
    columns, rows = np.meshgrid(*(np.arange(a, b) + 0.5 for a, b in zip(low, high)))
    places = frame.to_frame(np.stack([columns, rows], axis=-1))
    return Patch(slice(low[1], high[1]), slice(low[0], high[0]), places[..., 0], places[..., 1])


def _region(rgb, low, high):
    """Pixels from `low` to `high` (x, y), where outside the photo those at its border."""
    height, width = rgb.shape[:2]
    columns, rows = (np.clip(np.arange(a, b), 0, side - 1) for a, b, side in zip(low, high, (width, height)))
    inside = rgb[rows[0]:rows[-1] + 1, columns[0]:columns[-1] + 1]
    if inside.shape[:2] == (len(rows), len(columns)):
        return np.ascontiguousarray(inside)
    return inside[np.ix_(rows - rows[0], columns - columns[0])]
