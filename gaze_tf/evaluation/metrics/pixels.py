"""How far two pictures of the same scene lie apart: L1, PSNR, SSIM and MS-SSIM, in the eye boxes and as a whole.

SSIM is that of Wang et al. 2004 ("Image Quality Assessment: From Error Visibility to Structural Similarity") with the
constants of its reference code: an 11 x 11 Gaussian window of sigma 1.5, K = 0.01 and 0.03, only where the window fits;
MS-SSIM that of Wang et al. 2003 ("Multi-scale Structural Similarity for Image Quality Assessment"). Of colours, the
mean of the three channels, as scikit-image and tf.image compute it. They are computed here, in float64, because both
come from the same local statistics, and scikit-image has no MS-SSIM; those two libraries check them in the tests.
"""

import numpy as np
from scipy import ndimage

from gaze_tf.compositing.blend import squared_gradient

WINDOW = 11  # side of the window, pixels
WEIGHTS = 0.0448, 0.2856, 0.3001, 0.2363, 0.1333  # of the scales, finest first: Wang et al. 2003, section 4.1
C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2

_KERNEL = np.exp(-np.square(np.arange(WINDOW) - WINDOW // 2) / (2 * 1.5**2))
_KERNEL /= _KERNEL.sum()


def compare(a, b, boxes):
    """How far images a and b, uint8 [H, W, 3], lie apart, in two boxes and as a whole.

    boxes: int [2, 4], rows (x0, y0, x1, y1), half-open, inside the image; may be empty. Returns floats: l1_boxes and
    l1_image in grey levels, psnr_boxes and psnr_image in dB (inf where equal), ssim_* and ms_ssim_* up to 1. L1 and
    PSNR of the boxes are of all their pixels together, SSIM and MS-SSIM the mean of both boxes; a box with a side under
    11 pixels does not take part in the latter. Where nothing is left to measure, the value is nan.
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    crops = [(a[y0:y1, x0:x1], b[y0:y1, x0:x1]) for x0, y0, x1, y1 in boxes]
    inside = [in_boxes(image, boxes) for image in (a, b)]
    large = [pair for pair in crops if scales(*pair[0].shape[:2])]
    similar = np.mean([_similarities(*pair) for pair in large], axis=0) if large else (np.nan, np.nan)
    values = {'boxes': (l1(*inside), psnr(*inside), *similar), 'image': (l1(a, b), psnr(a, b), *_similarities(a, b))}
    return {
        f'{name}_{where}': float(value)
        for where, found in values.items()
        for name, value in zip(('l1', 'psnr', 'ssim', 'ms_ssim'), found)
    }


def in_boxes(image, boxes):
    """The pixels [N, 3] of an image [H, W, 3] in boxes as `compare` takes them."""
    return np.concatenate([image[y0:y1, x0:x1].reshape(-1, 3) for x0, y0, x1, y1 in boxes])


def sharpness(a, b, boxes):
    """Sharpness of image a in the boxes as a share of b's, as `blend.sharpness_kept` defines it: the ratio of the root mean
    squares of the grey levels' gradient; nan where b is flat."""
    of_a, of_b = (sum(squared_gradient(image[y0:y1, x0:x1]) for x0, y0, x1, y1 in boxes) for image in (a, b))
    return float(np.sqrt(of_a / of_b)) if of_b else np.nan


def l1(a, b):
    """Mean absolute difference of two arrays of one shape; nan if they are empty."""
    return float(np.mean(np.abs(_difference(a, b)))) if np.size(a) else np.nan


def psnr(a, b):
    """Peak signal-to-noise ratio in dB of values in 0..255, 10 log10(255² / mean square difference); inf if equal."""
    if not np.size(a):
        return np.nan
    square = np.mean(np.square(_difference(a, b)))
    return float(10 * np.log10(255**2 / square)) if square else np.inf


def ssim(a, b):
    """SSIM of two images [H, W, 3] in 0..255, at most 1; nan where a side is shorter than the window of 11 pixels."""
    return float(_similarities(a, b)[0])


def ms_ssim(a, b):
    """MS-SSIM of two images [H, W, 3] in 0..255, in 0..1; nan where a side is shorter than 11 pixels.

    An image that is too small for all five scales has the first `scales(H, W)` of them, their weights divided by their
    sum: its values are comparable with those of images with as many scales only. Contrasts that vary against each other
    (negative) count as 0, as in tf.image, since a power of them is not defined.
    """
    return float(_similarities(a, b)[1])


def scales(height, width):
    """How many of the five scales of MS-SSIM fit: each halves the image, and the window has to fit into it; 0 to 5."""
    return sum(min(height, width) / 2**scale >= WINDOW for scale in range(len(WEIGHTS)))


def _similarities(a, b):
    """(SSIM, MS-SSIM) of two images [H, W, 3] in 0..255."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    number = scales(*a.shape[:2])
    if not number:
        return np.nan, np.nan
    multiple = np.ones(3)
    for scale in range(number):
        both, contrast = _local(a, b)
        if scale == 0:
            single = both.mean()
        term = both if scale == number - 1 else contrast
        multiple *= np.maximum(term, 0) ** (WEIGHTS[scale] / sum(WEIGHTS[:number]))
        a, b = _halve(a), _halve(b)
    return single, multiple.mean()


def _local(a, b):
    """SSIM, and its part for contrast and structure, of each channel [3]: means over all places of the window."""
    products = np.stack([a, b, a * a, b * b, a * b])
    edge = WINDOW // 2
    products = ndimage.correlate1d(products, _KERNEL, axis=1)[:, edge:-edge]
    mean_a, mean_b, aa, bb, ab = ndimage.correlate1d(products, _KERNEL, axis=2)[:, :, edge:-edge]
    contrast = (2 * (ab - mean_a * mean_b) + C2) / (aa - mean_a**2 + bb - mean_b**2 + C2)
    light = (2 * mean_a * mean_b + C1) / (mean_a**2 + mean_b**2 + C1)
    return (light * contrast).mean(axis=(0, 1)), contrast.mean(axis=(0, 1))


def _halve(image):
    """Means over blocks of 2 x 2 pixels; of an odd side the last row is repeated, as in Wang's reference code."""
    height, width = image.shape[:2]
    image = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode='edge')
    return (image[::2, ::2] + image[1::2, ::2] + image[::2, 1::2] + image[1::2, 1::2]) / 4


def _difference(a, b):
    return np.subtract(a, b, dtype=np.float64)
