"""Pictures of eyes, enlarged."""

from collections.abc import Sequence

import numpy as np
from PIL import Image

EYE_MARGIN = 4  # pixels around an eye box that are shown with it


def enlarged_eye(picture: np.ndarray, box: Sequence[int] | np.ndarray, limit: tuple[int, int]) -> Image.Image:
    """An eye box (x0, y0, x1, y1) of a picture, uint8 [S, S, 3], with a margin, enlarged to fit into limit (width,
    height)."""
    size = len(picture)
    x0, y0, x1, y1 = (int(edge) for edge in box)
    around = max(x0 - EYE_MARGIN, 0), max(y0 - EYE_MARGIN, 0), min(x1 + EYE_MARGIN, size), min(y1 + EYE_MARGIN, size)
    width, height = around[2] - around[0], around[3] - around[1]
    scale = min(limit[0] / width, limit[1] / height)
    return Image.fromarray(picture).resize(
        (max(int(width * scale), 1), max(int(height * scale), 1)), Image.Resampling.BICUBIC, around
    )
