"""Whether the person stays the same: changes of color, of content codes and outside the eye boxes, as values for each
face."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gaze_tf.evaluation.metrics import color, pixels

if TYPE_CHECKING:
    from gaze_tf.evaluation.painted import Painted


def changed_outside(painted: Painted) -> list[int]:
    """Pixels that differ from the input outside the boxes, over all outputs of a face."""
    found = []
    for image, boxes, own in zip(painted.images, painted.boxes, painted.outputs):
        outside = np.ones(image.shape[:2], bool)
        for x0, y0, x1, y1 in boxes:
            outside[y0:y1, x0:x1] = False
        found.append(int(((own != image).any(-1) & outside).sum()))
    return found


def skin_differences(painted: Painted, one: np.ndarray, other: np.ndarray) -> list[float]:
    """CIEDE2000 between the skin around the eyes in two pictures of each face, uint8 [B, S, S, 3], mean of both
    eyes."""
    return [
        float(np.mean([color.delta_e(color.skin_color(a, box), color.skin_color(b, box)) for box in boxes]))
        for a, b, boxes in zip(one, other, painted.boxes)
    ]


def iris_differences(painted: Painted, one: str, other: str) -> list[float]:
    """CIEDE2000 between the irises of two pictures of each face, mean of both eyes, sampled where the irises should be.

    one, other: of 'input', 'corrected' and 'twin'.
    """
    found = []
    for n, sample in enumerate(painted.samples):
        truth, eyes = sample.truth, np.reshape(sample.eyes, (2, 2))
        assert truth is not None
        places = {
            'input': (sample.image, truth.iris),
            'corrected': (painted.corrected[n], truth.twin_iris),
            'twin': (sample.twin, truth.twin_iris),
        }
        colors = [
            np.stack([color.iris_color(picture, center, truth.radius, eye) for center, eye in zip(centers, eyes)])
            for picture, centers in (places[one], places[other])
        ]
        found.append(float(np.mean(color.delta_e(*colors))))
    return found


def code_distance(a: np.ndarray, b: np.ndarray) -> list[float]:
    """Mean absolute difference of codes [B, c]."""
    return [float(np.abs(own - other).mean()) for own, other in zip(a, b)]


def sharpness(painted: Painted, reference: np.ndarray) -> list[float]:
    """Sharpness of the corrected eyes as a share of that in other pictures of the faces."""
    return [pixels.sharpness(*faces) for faces in zip(painted.corrected, reference, painted.boxes)]


def psnr_to_twin(painted: Painted) -> list[float]:
    """PSNR in dB of the corrections to the twins in the eye boxes."""
    return [
        pixels.psnr(pixels.in_boxes(after, boxes), pixels.in_boxes(twin, boxes))
        for after, twin, boxes in zip(painted.corrected, painted.twins, painted.boxes)
    ]


def color_gained(painted: Painted) -> list[int]:
    """The most that channels differ by in the data set's image with the corrected eyes put back, in levels."""
    return [
        int(np.ptp(sample.in_photo(picture, boxes).astype(int), axis=-1).max())
        for sample, picture, boxes in zip(painted.samples, painted.corrected, painted.boxes)
    ]
