"""Whether a face keeps its colors: CIEDE2000, and what color an iris and the skin around an eye have.

Colors are sRGB in 0..255. CIEDE2000 (Sharma, Wu, Dalal 2005, "The CIEDE2000 Color-Difference Formula") is
scikit-image's, for D65 and the 2° observer: about 1 is just noticeable, different people's irises are about 15 apart.
"""

from typing import Any

import numpy as np
from scipy import ndimage

# the ring of the iris that is sampled, in iris radii: outside most of the pupil, and inside the dark rim face on; where
# the disc is foreshortened it reaches into the rim at two sides, which the median leaves out
RING = 0.4, 0.75
RADII, ANGLES = 8, 48
# how far the iris stands above (positive) or below the middle of the eye, in iris radii, when a lid covers that half of
# it: looking at the camera it stands 0 to 0.5 above
RAISED, LOWERED = 0.5, -0.3
FRAME = 0.15  # width of the frame of a box, of its sides


def delta_e(rgb_a: Any, rgb_b: Any) -> np.ndarray:
    """CIEDE2000 between sRGB colors [..., 3] in 0..255 (uint8 or float) → float64 [...]."""
    from skimage import color

    lab_a, lab_b = (color.rgb2lab(np.asarray(rgb, np.float64) / 255) for rgb in (rgb_a, rgb_b))
    return color.deltaE_ciede2000(lab_a, lab_b)


def iris_color(image: np.ndarray, center: Any, radius: float, eye: Any = None) -> np.ndarray:
    """The color of an iris → [3] float64 in 0..255.

    image: uint8 [H, W, 3]; center (x, y) and radius of the iris and `eye`, the middle (x, y) of the eye's opening,
    in pixels, pixel i having its center at i. It is the median over a ring of the iris, so that neither a glint nor
    a lid over less than half of the ring counts. An iris that is raised or lowered far from `eye` is covered by that
    lid: then only the half of the ring that is turned to the other lid is taken. Without `eye` it is the whole ring.
    """
    radii = np.sqrt(np.linspace(RING[0] ** 2, RING[1] ** 2, RADII))  # as many samples for each part of the area
    angles = (np.arange(ANGLES) + 0.5) * 2 * np.pi / ANGLES  # 0..pi: below the center
    rise = 0 if eye is None else (eye[1] - center[1]) / radius
    if rise > RAISED:
        angles = angles[: ANGLES // 2]
    elif rise < LOWERED:
        angles = angles[ANGLES // 2 :]
    places = [
        center[1] + radius * np.outer(radii, np.sin(angles)).ravel(),
        center[0] + radius * np.outer(radii, np.cos(angles)).ravel(),
    ]
    image = np.asarray(image, np.float64)
    return np.array(
        [
            np.median(ndimage.map_coordinates(image[..., channel], places, order=1, mode='nearest'))
            for channel in range(3)
        ]
    )


def skin_color(image: np.ndarray, box: Any) -> np.ndarray:
    """The color of the skin around an eye → [3] float64 in 0..255, nan if the box is empty.

    image: uint8 [H, W, 3]; box (x0, y0, x1, y1) in pixels, half-open, with the eye in its middle. It is the mean over
    the outermost 15 % of the box on each side: all painted, but beside the eye, whose lids and lashes the gaze moves.
    """
    x0, y0, x1, y1 = box
    crop = np.asarray(image, np.float64)[y0:y1, x0:x1]
    if not crop.size:
        return np.full(3, np.nan)
    rows, columns = (max(1, round(FRAME * side)) for side in crop.shape[:2])
    frame = np.ones(crop.shape[:2], bool)
    frame[rows:-rows, columns:-columns] = False
    return crop[frame].mean(axis=0)
