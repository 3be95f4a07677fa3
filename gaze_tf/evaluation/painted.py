"""A batch of held-out faces and what a model makes of them: what metrics are measured on."""

from __future__ import annotations

from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from gaze_tf.data.images import shows_all
from gaze_tf.evaluation import conditions
from gaze_tf.evaluation.metrics import gaze_angles, iris_offset, pixels
from gaze_tf.evaluation.metrics.iris_offset import Sighting
from gaze_tf.evaluation.samples import Sample

ALPHAS = (-0.25, 0.0, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1.0, 1.25)
EYE_PX = 64  # side to which eye boxes are resampled for LPIPS and Inception


class Tools(NamedTuple):
    """What it takes to measure more than pixels; what needs a tool that is None is not measured.

    estimator: estimator.GazeEstimator, for faces with truth. lpips: lpips.Lpips. inception: inception.Inception.
    detector: a detector as inference.faces describes it that finds irises, such as MediapipeDetector.
    conditions: some of conditions.NAMES.
    """

    estimator: Any = None
    lpips: Any = None
    inception: Any = None
    detector: Any = None
    conditions: tuple[str, ...] = ()


NO_TOOLS = Tools()


class Painted:
    """Samples of one domain and what a network makes of them. What takes long is done when it is first asked for, and
    once.

    samples: list of B samples.Sample.
    images, twins: uint8 [B, S, S, 3], as they are and at the camera; twins is None where there are none.
    eyes: float32 [B, 4].
    boxes: int [B, 2, 4], the (x0, y0, x1, y1) of both eyes, half-open, in pixels.
    """

    def __init__(self, network: Any, samples: list[Sample], tools: Tools = NO_TOOLS) -> None:
        """network: inference.network.Network, or anything that has its correct, animate, encode and boxes."""
        self._network, self.samples, self._tools = network, samples, tools
        self.images = np.stack([sample.image for sample in samples])
        self.eyes = np.stack([sample.eyes for sample in samples])
        self.boxes = np.stack([network.boxes(own) for own in self.eyes])
        twins = [sample.twin for sample in samples if sample.twin is not None]
        self.twins: Any = np.stack(twins) if twins else None
        self._under: dict[str, Painted] = {}

    def has(self, need: str) -> bool:
        """Whether there is what a FaceMetric needs: 'twin', 'content', the name of a tool or of a condition."""
        if need == 'twin':
            return self.twins is not None
        if need == 'content':
            return self.content is not None
        if need in conditions.NAMES:
            return need in self._tools.conditions
        return getattr(self._tools, need) is not None

    def under(self, condition: str) -> Painted:
        """The same faces, altered by one of conditions.NAMES before the network sees them."""
        if condition not in self._under:
            altered = [conditions.alter_sample(sample, condition) for sample in self.samples]
            self._under[condition] = Painted(self._network, altered, self._tools)
        return self._under[condition]

    @cached_property
    def corrected(self) -> np.ndarray:
        """uint8 [B, S, S, 3]."""
        return self._network.correct(self.images, self.eyes)

    @cached_property
    def frames(self) -> np.ndarray:
        """The animation at ALPHAS, uint8 [B, K, S, S, 3]."""
        return self._network.animate(self.images, self.eyes, ALPHAS)

    @cached_property
    def outputs(self) -> np.ndarray:
        """All pictures that are painted of each face, uint8 [B, N, S, S, 3]: the correction and, of domain Y, the
        frames."""
        corrected = self.corrected[:, None]
        return corrected if self.samples[0].domain == 'x' else np.concatenate([corrected, self.frames], axis=1)

    @cached_property
    def rebuilt(self) -> np.ndarray:
        """What should equal the input, uint8 [B, S, S, 3]: of domain X the correction, of Y the animation with alpha
        0."""
        return self.corrected if self.samples[0].domain == 'x' else self.frames[:, ALPHAS.index(0)]

    @cached_property
    def content(self) -> Any:
        """Content codes of the inputs [B, c]; None from a model that does not give them."""
        return self._content(self.images)

    @cached_property
    def content_corrected(self) -> Any:
        """Content codes of the corrections."""
        return self._content(self.corrected)

    @cached_property
    def content_twin(self) -> Any:
        """Content codes of the twins."""
        return self._content(self.twins)

    def _content(self, images):
        return self._network.encode(images, self.eyes).get('content')

    @cached_property
    def likeness(self) -> dict:
        """{'boxes', 'image'} → `pixels.compare` of the inputs and `rebuilt`."""
        return {
            'boxes': pixels.compare_boxes(self.images, self.rebuilt, self.boxes),
            'image': pixels.compare(self.images, self.rebuilt),
        }

    @cached_property
    def likeness_to_twin(self) -> dict:
        """{'twin', 'twin_untouched'} → `pixels.compare_boxes` of the corrections, and of the inputs, with the twins."""
        return {
            'twin': pixels.compare_boxes(self.corrected, self.twins, self.boxes),
            'twin_untouched': pixels.compare_boxes(self.images, self.twins, self.boxes),
        }

    def lpips(self, where: str) -> np.ndarray:
        """LPIPS [B] of the inputs and `rebuilt`: of the whole 'image', or of the 'eyes', the mean of both boxes."""
        if where == 'image':
            return self._tools.lpips(self.images, self.rebuilt)
        pairs = (eye_crops(images, self.boxes) for images in (self.images, self.rebuilt))
        return np.reshape(self._tools.lpips(*pairs), [-1, 2]).mean(1)

    @cached_property
    def gaze_true(self) -> np.ndarray:
        """Yaw and pitch [B, 2] in degrees."""
        return np.stack([sample.truth.gaze for sample in self.samples if sample.truth])

    @cached_property
    def gaze_before(self) -> np.ndarray:
        """Estimated yaw and pitch [B, 2] of the inputs, in degrees."""
        return self._estimated(self.images)

    @cached_property
    def gaze_after(self) -> np.ndarray:
        """The same of the corrections."""
        return self._estimated(self.corrected)

    @cached_property
    def gaze_twin(self) -> np.ndarray:
        """The same of the twins."""
        return self._estimated(self.twins, twins=True)

    @cached_property
    def gaze_frames(self) -> np.ndarray:
        """The same of the animation, [B, K, 2]."""
        return np.stack([self._estimated(self.frames[:, k]) for k in range(len(ALPHAS))], axis=1)

    @cached_property
    def gaze_progress(self) -> np.ndarray:
        """How far along the way from the true gaze (0) to the camera (1) the animation is, [B, K]."""
        return np.stack([gaze_angles.progress(*face) for face in zip(self.gaze_frames, self.gaze_true)])

    @cached_property
    def gaze_errors(self) -> np.ndarray:
        """Degrees [B, K] between the animation's gazes and the intended ones, (1 - alpha) * (yaw, pitch)."""
        intended = (1 - np.array(ALPHAS))[None, :, None] * self.gaze_true[:, None]
        return gaze_angles.between(self.gaze_frames, intended)

    def _estimated(self, pictures, twins=False):
        """Yaw and pitch [B, 2] of pictures of these faces in the model's frame, uint8 [B, S, S, 3].

        The estimator knows eyes as large as in the data set's images. Where the frame does not show all of these, the
        eyes are put back into them first; of twins the data set's own images are taken.
        """
        if all(sample.photo is None or shows_all(sample.frame, len(sample.photo)) for sample in self.samples):
            return self._tools.estimator(pictures, self.eyes)
        photos = [
            sample.twin_photo if twins and sample.photo is not None else sample.in_photo(picture, boxes)
            for sample, picture, boxes in zip(self.samples, pictures, self.boxes)
        ]
        # one by one: they may have different sizes
        return np.concatenate(
            [
                self._tools.estimator(photo[None], sample.eyes_in_photo[None])
                for sample, photo in zip(self.samples, photos)
            ]
        )

    @cached_property
    def sightings(self) -> list[Sighting]:
        """What the detector sees of each face."""
        steps: Any = self.frames[:, [ALPHAS.index(alpha) for alpha in iris_offset.ALPHAS]] if self.has('twin') else []
        return iris_offset.sightings(self.samples, self.corrected, self.boxes, steps, self._tools.detector)

    @cached_property
    def offset_after_alone(self) -> np.ndarray:
        """Iris offsets [B, 2] after correction, wherever the face is found in that picture; nan where it is not."""
        return iris_offset.offsets_alone(self.samples, self.corrected, self.boxes, self._tools.detector)

    def features(self) -> dict:
        """Inception features of the inputs, and of Y's corrections.

        {'x'} or {'y', 'corrected'} → {'faces': [B, 2048], 'eyes': [2B, 2048]}; {} without the tool.
        """
        if not self._tools.inception:
            return {}
        domain = self.samples[0].domain
        pictures = {domain: self.images, **({'corrected': self.corrected} if domain == 'y' else {})}
        return {
            name: {'faces': self._tools.inception(images), 'eyes': self._tools.inception(eye_crops(images, self.boxes))}
            for name, images in pictures.items()
        }


def eye_crops(images: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Both eye boxes of each image, resampled (bicubic): uint8 [2B, 64, 64, 3], left and right in turn."""
    # cut out first: a resampled part of a picture would take in some of its surroundings
    return np.stack(
        [
            np.array(Image.fromarray(image[y0:y1, x0:x1]).resize((EYE_PX, EYE_PX), Image.Resampling.BICUBIC))
            for image, own in zip(images, boxes)
            for x0, y0, x1, y1 in own
        ]
    )
