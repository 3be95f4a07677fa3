"""Eye boxes, masks and crops."""

import numpy as np
import pytest
import tensorflow as tf

from gaze_tf.compositing.eye_boxes import eye_boxes
from gaze_tf.config import ModelConfig
from gaze_tf.data.pipeline import Batch, mirror
from gaze_tf.models import geometry
from tests import tiny

RNG = np.random.default_rng(2)
# (y0, x0, y1, x1), normalised
BOXES = {
    'inside': (0.2, 0.31, 0.66, 0.83),
    'whole image': (0.0, 0.0, 1.0, 1.0),
    'above': (-0.3, 0.2, 0.4, 0.8),
    'below': (0.5, 0.2, 1.4, 0.7),
    'left': (0.1, -0.4, 0.6, 0.5),
    'right': (0.1, 0.6, 0.6, 1.3),
    'around': (-0.2, -0.2, 1.2, 1.2),
    'outside': (1.2, 0.1, 1.6, 0.5),
}


def boxes_by_hand(eyes, crop_w, crop_h, size):
    """Edges truncated by Python's own int, then clipped to the image."""

    def box(x, y):
        edges = (int(y - crop_h / 2), int(x - crop_w / 2), int(y + crop_h / 2), int(x + crop_w / 2))
        return [min(max(edge, 0), size) for edge in edges]

    return [[box(*face[:2]), box(*face[2:])] for face in eyes]


@pytest.mark.parametrize('crop_w, crop_h', [(12, 8), (13, 9), (13, 8)])
def test_eye_boxes(crop_w, crop_h):
    config = ModelConfig(img_size=32, crop_w=crop_w, crop_h=crop_h, crop_px=8)
    eyes = [
        [10, 12, 22, 13],
        [10.3, 12.7, 22.9, 13.5],
        [0, 0, 31, 31],
        [2.25, 1.75, 30.5, 29.5],
        [6, 4, 25, 27],
        [5.4, 3.6, 26.6, 28.4],
        [6.5, 4.5, 7.5, 5.5],
    ]
    found = eye_boxes(tf.constant(eyes, tf.float32), config)
    assert found.dtype == tf.float32
    np.testing.assert_array_equal(found, boxes_by_hand(eyes, crop_w, crop_h, 32))


def test_eye_boxes_of_the_paper():
    # whole-pixel eyes, as in CelebAGaze, over the whole range that occurs there
    rng = np.random.default_rng(0)
    eyes = rng.integers(3, 234, (500, 4))
    found = eye_boxes(tf.constant(eyes, tf.float32), ModelConfig())
    np.testing.assert_array_equal(found, boxes_by_hand(eyes, 50, 30, 256))


def test_eye_boxes_with_fractions():
    config = ModelConfig(img_size=32, crop_w=13, crop_h=9, crop_px=8)
    found = eye_boxes(tf.constant([[10.0, 12, 22.25, 2]]), config, whole=False)
    np.testing.assert_allclose(found, [[[7.5, 3.5, 16.5, 16.5], [0, 15.75, 6.5, 28.75]]])


def test_eye_mask_is_half_open():
    boxes = tf.constant([[[1.0, 2, 3, 5], [2, 4, 6, 8]], [[0, 0, 2, 3], [0, 5, 8, 8]]])
    mask = geometry.eye_mask(boxes, 8)
    expected = np.zeros([2, 8, 8, 1], np.float32)
    for face, pair in zip(expected, boxes.numpy().astype(int)):
        for y0, x0, y1, x1 in pair:
            face[y0:y1, x0:x1] = 1
    np.testing.assert_array_equal(mask, expected)


def test_eye_mask_of_a_box_outside_is_empty():
    assert not np.any(geometry.eye_mask(tf.constant([[[0.0, 0, 0, 4], [3, 8, 5, 8]]]), 8))


def crop_and_gradient(crop, image, weight):
    with tf.GradientTape() as tape:
        tape.watch(image)
        found = crop(image)
        loss = tf.reduce_sum(found * weight)
    return found.numpy(), tape.gradient(loss, image).numpy()


@pytest.mark.parametrize('native', [True, False])
def test_crop_is_crop_and_resize(native):
    # 17 pixels and 5 samples: no sample of these boxes rounds to the other side of the image's edge
    image = tf.constant(RNG.uniform(-1, 1, (len(BOXES), 17, 17, 3)), tf.float32)
    boxes = tf.constant(list(BOXES.values()))
    weight = tf.constant(RNG.normal(size=(len(BOXES), 5, 5, 3)), tf.float32)
    expected = crop_and_gradient(
        lambda x: tf.image.crop_and_resize(x, boxes, tf.range(len(BOXES)), [5, 5]), image, weight
    )
    found = crop_and_gradient(lambda x: geometry.crop(x, boxes, 5, native), image, weight)
    for i, name in enumerate(BOXES):
        for a, b in zip(found, expected):
            np.testing.assert_allclose(a[i], b[i], atol=2e-5, err_msg=name)
    assert np.any(expected[0][0]) and not np.any(expected[0][-1])


def test_crop_by_its_definition():
    image = RNG.uniform(-1, 1, (1, 9, 9, 1)).astype(np.float32)
    y0, x0, y1, x1 = 0.1, -0.2, 0.9, 0.6
    expected = np.zeros([6, 6])
    for i in range(6):
        for j in range(6):
            y, x = y0 * 8 + i * (y1 - y0) * 8 / 5, x0 * 8 + j * (x1 - x0) * 8 / 5
            if 0 <= y <= 8 and 0 <= x <= 8:
                row, column = min(int(y), 7), min(int(x), 7)
                a, b = y - row, x - column
                square = image[0, row : row + 2, column : column + 2, 0]
                expected[i, j] = np.array([1 - a, a]) @ square @ np.array([1 - b, b])
    found = geometry.crop(tf.constant(image), tf.constant([[y0, x0, y1, x1]]), 6, native=False)
    np.testing.assert_allclose(found[0, :, :, 0], expected, atol=1e-5)


def test_gathered_crop_under_xla():
    image = tf.constant(RNG.uniform(-1, 1, (len(BOXES), 17, 17, 3)), tf.float32)
    boxes = tf.constant(list(BOXES.values()))
    weight = tf.constant(RNG.normal(size=(len(BOXES), 5, 5, 3)), tf.float32)

    @tf.function(jit_compile=True)
    def compiled(image):
        with tf.GradientTape() as tape:
            tape.watch(image)
            found = geometry.crop(image, boxes, 5, native=False)
            loss = tf.reduce_sum(found * weight)
        return found, tape.gradient(loss, image)

    expected = crop_and_gradient(lambda x: geometry.crop(x, boxes, 5, native=True), image, weight)
    for a, b in zip(compiled(image), expected):
        np.testing.assert_allclose(a, b, atol=2e-5)


@pytest.mark.parametrize('native', [True, False])
def test_no_sample_is_lost_at_the_far_edge(native):
    config = ModelConfig(img_size=32, crop_w=13, crop_h=9, crop_px=8)
    image = tf.ones([4, 32, 32, 3])
    eyes = tf.constant([[0, 0, 31, 31], [5, 31, 31, 2], [1, 30, 28, 31], [10, 12, 22, 12]], tf.float32)
    for size in (8, 16, 64):
        for crop in geometry.eye_crops(image, eye_boxes(eyes, config), size, native):
            np.testing.assert_allclose(crop, np.ones([4, size, size, 3]), atol=1e-5)


def test_eye_crops_show_the_eyes():
    # each pixel holds its own place, so a crop shows where it was taken
    rows, columns = np.meshgrid(np.arange(32.0), np.arange(32.0), indexing='ij')
    image = tf.constant(np.stack([rows, columns, rows], axis=-1)[None], tf.float32)
    boxes = eye_boxes(tf.constant([[9.0, 12, 22, 14]]), tiny.MODEL)
    for crop, (y0, x0, y1, x1) in zip(geometry.eye_crops(image, boxes, 8), boxes[0].numpy()):
        assert crop.shape == (1, 8, 8, 3)
        # box edges are divided by S, then scaled by S - 1
        np.testing.assert_allclose(crop[0, :, 0, 0], np.linspace(y0, y1, 8) * 31 / 32, atol=1e-4)
        np.testing.assert_allclose(crop[0, 0, :, 1], np.linspace(x0, x1, 8) * 31 / 32, atol=1e-4)


def test_mask_of_mirrored_faces_is_the_mirrored_mask():
    config = ModelConfig(img_size=32, crop_w=12, crop_h=8, crop_px=8)
    image = tf.zeros([5, 32, 32, 3])
    eyes = tf.constant([[9, 12, 22, 13], [3, 4, 28, 30], [0, 0, 31, 31], [10, 9, 14, 11], [7, 5, 30, 8]], tf.float32)
    mask = geometry.eye_mask(eye_boxes(eyes, config), 32)
    boxes = eye_boxes(mirror(Batch(image, eyes)).eyes, config)
    np.testing.assert_array_equal(geometry.eye_mask(boxes, 32), mask[:, :, ::-1])
