"""Finds the centre of the iris in an eye: where it is a dark disc between brighter sides.

No learning and no prior of where an iris ought to be: a grey smear is found anywhere, not at the camera.
How well it does on real renderings is reported by `tools/demo.py` beside everything measured with it.
"""
import numpy as np
from scipy import ndimage, signal

_FINE = 4           # samples a pixel
_RADII = np.array([8.3, 9.2, 10.1]) / 256       # of an iris, as a fraction of the image's side
_REACH = np.array([0.65, 0.95])                  # the part of the box, down and across, that is searched


def locate(image, box):
    """(x, y) of the iris centre in pixels of a uint8 image [S, S, 3], within a box (y0, x0, y1, x1) in pixels.

    Searches the red channel, in which skin and white are bright and irises of every colour are dark.
    """
    size, margin = image.shape[0], round(0.06 * image.shape[0])
    y0, x0, y1, x1 = (int(edge) for edge in box)
    padded = np.pad(image[..., 0].astype(float), margin, mode='edge')
    patch = padded[y0:y1 + 2 * margin, x0:x1 + 2 * margin]
    fine = ndimage.zoom(ndimage.gaussian_filter(patch, 0.5), _FINE, order=3, grid_mode=True, mode='nearest')
    scores = np.max([signal.fftconvolve(fine, _kernel(radius * size * _FINE)[::-1, ::-1], mode='same')
                     for radius in _RADII], axis=0)
    # centre of fine sample i: (i + 0.5) / _FINE - 0.5 pixels from the patch's first pixel
    ys, xs = ((np.arange(n) + 0.5) / _FINE - 0.5 - margin for n in scores.shape)
    low, high = (1 - _REACH) / 2, (1 + _REACH) / 2
    height, width = y1 - y0, x1 - x0
    outside = ((ys < low[0] * height) | (ys > high[0] * height))[:, None] | \
              ((xs < low[1] * width) | (xs > high[1] * width))[None]
    scores[outside] = -np.inf
    row, column = np.unravel_index(scores.argmax(), scores.shape)
    return x0 + xs[column], y0 + ys[row]


def _kernel(radius):
    """Bright left and right of a disc minus dark inside it; the lids hide what is above and below."""
    reach = int(np.ceil(1.5 * radius))
    y, x = np.mgrid[-reach:reach + 1, -reach:reach + 1].astype(float)
    distance = np.hypot(x, y)
    sides = (x / np.maximum(distance, 1)) ** 4
    ring = sides * np.clip(1 - np.abs(distance - 1.2 * radius) / (0.25 * radius), 0, 1)
    disc = np.exp(-(np.abs(y) / (0.8 * radius)) ** 2) * (distance < 0.9 * radius)
    return ring / ring.sum() - disc / disc.sum()
