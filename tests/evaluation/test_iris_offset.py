"""The iris offset of photos: by hand for given faces, and of a portrait with mediapipe."""

import numpy as np
import pytest
from PIL import Image

from gaze_tf.evaluation.metrics import iris_offset
from gaze_tf.inference import faces
from gaze_tf.inference.faces import Face
from gaze_tf.inference.mediapipe_detector import MediapipeDetector
from tests.paths import DATA

LEVEL = Face(eyes=(100, 50, 140, 50), irises=(102, 49, 142, 49), eye_width=20)
# what is found in it is up to the test
BLANK = np.zeros((100, 200, 3), np.uint8)


@pytest.fixture(scope='module')
def portrait():
    with Image.open(DATA / 'portrait.png') as image:
        return np.array(image.convert('RGB'))


@pytest.fixture(scope='module')
def detector(face_models):
    return MediapipeDetector(smallest=0.06)


def test_irises_two_pixels_to_the_right_and_one_up_in_eyes_of_twenty_pixels():
    assert faces.iris_offset(LEVEL) == pytest.approx([0.1, 0.05])


def test_along_and_up_turn_with_the_head():
    # eyes one below the other, as if the head were rolled by 90 degrees: along is down, up is towards larger x
    face = Face(eyes=(50, 100, 50, 140), irises=(51, 102, 51, 142), eye_width=20)
    assert faces.iris_offset(face) == pytest.approx([0.1, 0.05])


def test_it_is_the_mean_of_both_eyes():
    # vergence: both irises 3 pixels towards the nose
    assert faces.iris_offset(LEVEL._replace(irises=(103, 50, 137, 50))) == pytest.approx([0, 0])
    assert faces.iris_offset(LEVEL._replace(irises=(104, 50, 140, 50))) == pytest.approx([0.1, 0])


def test_no_offset_without_a_face_or_what_it_takes():
    assert np.isnan(iris_offset.offset(lambda image: [], BLANK)).all()
    assert faces.iris_offset(Face(eyes=(100, 50, 140, 50))) is None


def test_the_face_at_the_given_eyes_is_measured_and_else_the_largest():
    other = Face(eyes=(20, 50, 40, 50), irises=(20, 50, 40, 50), eye_width=10)
    found = [LEVEL, other]
    assert iris_offset.offset(lambda image: found, BLANK) == pytest.approx([0.1, 0.05])
    assert iris_offset.offset(lambda image: found, BLANK, (101, 50, 140, 51)) == pytest.approx([0.1, 0.05])
    assert iris_offset.offset(lambda image: found, BLANK, (21, 51, 41, 50)) == pytest.approx([0, 0])
    assert np.isnan(iris_offset.offset(lambda image: found, BLANK, (60, 50, 80, 50))).all()


def test_portrait_looks_at_the_camera(detector, portrait):
    # by hand (tests/data/README.md) her irises are where her eyes are
    assert np.abs(iris_offset.offset(detector, portrait)).max() < 0.06


@pytest.mark.parametrize('pixels', [-2, 2])
def test_irises_that_were_moved_by_hand_are_found_moved(detector, portrait, pixels):
    """The inner part of each eye, iris and all, by 2 of her eyes' 19 pixels (0.1); mediapipe sees about half of it."""
    moved = portrait.copy()
    for x, y in ((128, 100), (172, 103)):
        moved[y - 5 : y + 6, x - 6 + pixels : x + 6 + pixels] = portrait[y - 5 : y + 6, x - 6 : x + 6]
    before, after = (iris_offset.offset(detector, photo, (128, 100.5, 172, 103)) for photo in (portrait, moved))
    along, up = after - before
    assert 0.03 < along * np.sign(pixels) < 0.13 and abs(up) < 0.03


def test_mirroring_turns_along_around_and_keeps_up(detector, portrait):
    along, up = iris_offset.offset(detector, portrait)
    assert iris_offset.offset(detector, portrait[:, ::-1].copy()) == pytest.approx([-along, up], abs=0.02)


def test_a_scene_without_faces_has_none(detector):
    assert np.isnan(iris_offset.offset(detector, np.full((200, 200, 3), 90, np.uint8))).all()
