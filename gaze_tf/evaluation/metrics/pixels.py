"""How far pictures of the same scene lie apart: L1, PSNR, SSIM and MS-SSIM, in the eye boxes and as a whole; and
sharpness.

SSIM and MS-SSIM are TensorFlow's, with its defaults, those of the reference code: an 11 x 11 Gaussian window of sigma
1.5, only where the window fits, K = 0.01 and 0.03, the mean of the three channels. (SSIM: Wang et al. 2004, "Image
Quality
Assessment: From Error Visibility to Structural Similarity"; MS-SSIM: Wang et al. 2003, "Multi-scale Structural
Similarity for Image Quality Assessment".)
"""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from gaze_tf.compositing.blend import squared_gradient

WINDOW = 11  # side of the window, pixels
WEIGHTS = 0.0448, 0.2856, 0.3001, 0.2363, 0.1333  # of the scales, finest first: Wang et al. 2003, section 4.1


def compare(a: np.ndarray, b: np.ndarray) -> dict[str, np.ndarray]:
    """How far images a and b, uint8 [B, H, W, 3], lie apart.

    Returns {'l1': gray levels, 'psnr': dB, inf where equal, 'ssim': up to 1, 'ms_ssim': 0 to 1}, [B] each. The latter
    two are nan where a side is shorter than 11 pixels.
    """
    return {
        'l1': np.array([l1(*pair) for pair in zip(a, b)]),
        'psnr': np.array([psnr(*pair) for pair in zip(a, b)]),
        'ssim': ssim(a, b),
        'ms_ssim': ms_ssim(a, b),
    }


def compare_boxes(a: np.ndarray, b: np.ndarray, boxes: np.ndarray) -> dict[str, np.ndarray]:
    """`compare` in two boxes of each image.

    boxes: int [B, 2, 4], rows (x0, y0, x1, y1), half-open, inside the image; may be empty. L1 and PSNR are of all
    pixels of both boxes, SSIM and MS-SSIM the mean of both boxes, without a box that has a side under 11 pixels. Where
    nothing is left to measure, the value is nan.
    """
    pairs = [[in_boxes(image, own) for image in pair] for *pair, own in zip(a, b, boxes)]
    return {
        'l1': np.array([l1(*pair) for pair in pairs]),
        'psnr': np.array([psnr(*pair) for pair in pairs]),
        'ssim': _mean_of_boxes(ssim, a, b, boxes),
        'ms_ssim': _mean_of_boxes(ms_ssim, a, b, boxes),
    }


def in_boxes(image: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """The pixels [N, 3] of an image [H, W, 3] in two boxes [2, 4] as `compare_boxes` takes them."""
    return np.concatenate([image[y0:y1, x0:x1].reshape(-1, 3) for x0, y0, x1, y1 in boxes])


def sharpness(a: np.ndarray, b: np.ndarray, boxes: np.ndarray) -> float:
    """Sharpness of image a in the boxes as a share of b's, as `blend.sharpness_kept` defines it: the ratio of the root
    mean squares of the gray levels' gradient; nan where b is flat."""
    of_a, of_b = (sum(squared_gradient(image[y0:y1, x0:x1]) for x0, y0, x1, y1 in boxes) for image in (a, b))
    return float(np.sqrt(of_a / of_b)) if of_b else np.nan


def l1(a: np.ndarray, b: np.ndarray) -> float:
    """Mean absolute difference of two arrays of one shape; nan if they are empty."""
    return float(np.mean(np.abs(_difference(a, b)))) if np.size(a) else np.nan


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB of values in 0..255, 10 log10(255² / mean square difference); inf if equal."""
    if not np.size(a):
        return np.nan
    square = np.mean(np.square(_difference(a, b)))
    return float(10 * np.log10(255**2 / square)) if square else np.inf


def ssim(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """SSIM [B] of images uint8 [B, H, W, 3], at most 1; nan where a side is shorter than the window of 11 pixels."""
    if not scales(*a.shape[1:3]):
        return np.full(len(a), np.nan)
    return tf.image.ssim(a, b, 255).numpy().astype(float)


def ms_ssim(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """MS-SSIM [B] of images uint8 [B, H, W, 3], in 0..1; nan where a side is shorter than 11 pixels.

    An image that is too small for all five scales has the first `scales(H, W)` of them, their weights divided by their
    sum: compare its values with those of images with as many scales only.
    """
    number = scales(*a.shape[1:3])
    if not number:
        return np.full(len(a), np.nan)
    weights = np.array(WEIGHTS[:number]) / sum(WEIGHTS[:number])
    return tf.image.ssim_multiscale(a, b, 255, power_factors=weights).numpy().astype(float)


def scales(height: int, width: int) -> int:
    """How many of the five scales of MS-SSIM fit: each halves the image, and the window has to fit into it; 0 to 5."""
    return sum(min(height, width) / 2**scale >= WINDOW for scale in range(len(WEIGHTS)))


def _mean_of_boxes(similarity: Callable, a, b, boxes):
    """[B]: means of both boxes, without those that are too small."""
    crops: dict = {}
    for n, own in enumerate(boxes):
        for k, (x0, y0, x1, y1) in enumerate(own):
            pair = [image[n, y0:y1, x0:x1] for image in (a, b)]
            if scales(*pair[0].shape[:2]):
                crops.setdefault(pair[0].shape, {})[n, k] = pair
    found = np.full(boxes.shape[:2], np.nan)
    # boxes of one size at once
    for pairs in crops.values():
        found[tuple(np.transpose(list(pairs)))] = similarity(*map(np.stack, zip(*pairs.values())))
    known = ~np.isnan(found)
    total = np.where(known, found, 0).sum(axis=1)
    return np.divide(total, known.sum(axis=1), out=np.full(len(found), np.nan), where=known.any(axis=1))


def _difference(a, b):
    return np.subtract(a, b, dtype=np.float64)
