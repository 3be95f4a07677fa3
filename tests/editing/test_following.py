"""Faces that are followed from frame to frame: a world of moving faces by hand, and mediapipe on a portrait that
sways."""

import cmath
import math

import numpy as np
import pytest
from PIL import Image

from gaze_tf.editing.following import Follower
from gaze_tf.editing.jitter import jitter
from gaze_tf.inference.faces import Face, same_eyes
from gaze_tf.inference.mediapipe_detector import MediapipeDetector
from tests.paths import DATA

FPS = 10
SCENES = [
    np.array(Image.fromarray(np.random.default_rng(seed).integers(0, 256, (5, 6, 3), np.uint8)).resize((160, 120)))
    for seed in range(2)
]


def face(x, y=100.0, roll=0.0):
    """A Face whose left eye is at (x, y), in a box of twice the distance between its eyes, 40 pixels."""
    across = cmath.rect(40, math.radians(roll))
    eyes = complex(x, y) + np.array([0, across])
    middle = eyes.mean() + 0.25j * across
    return Face(
        (eyes[0].real, eyes[0].imag, eyes[1].real, eyes[1].imag),
        roll=roll,
        box=(middle.real - 40, middle.imag - 40, middle.real + 40, middle.imag + 40),
    )


class World:
    """Faces of each frame, which carries its number in its first pixel; `looked`: the frames in which all were
    looked for."""

    def __init__(self, faces, cuts=()):
        self.faces, self.cuts, self.looked, self.asked = faces, cuts, [], []

    def find(self, rgb):
        self.looked.append(int(rgb[0, 0, 0]))
        return list(self.faces[rgb[0, 0, 0]])

    def mark(self, rgb, expected):
        self.asked.append(expected)
        return next((one for one in self.faces[rgb[0, 0, 0]] if same_eyes(one, expected)), None)

    def run(self):
        follower = Follower(self.find, self.mark, FPS)
        found = []
        for number in range(len(self.faces)):
            frame = SCENES[sum(cut <= number for cut in self.cuts) % 2].copy()
            frame[0, 0, 0] = number
            found.append(follower(frame))
        return found


def lefts(found):
    return [[one.eyes[0] for one in faces] for faces in found]


def test_all_faces_are_looked_for_once_a_second():
    world = World([[face(100 + 5 * k, roll=k)] for k in range(35)])
    found = world.run()
    assert world.looked == [0, 10, 20, 30]
    np.testing.assert_allclose(lefts(found), [[100 + 5 * k] for k in range(35)])
    np.testing.assert_allclose(
        [[one.box for one in faces] for faces in found],
        [[one.box for one in faces] for faces in world.faces],
        atol=0.01,
    )


def test_a_face_is_expected_where_its_motion_leads():
    world = World([[face(100 + 9 * k, 100 - 5 * k, roll=k)] for k in range(8)])
    world.run()
    # marked twice in the first step, of which nothing was known
    assert len(world.asked) == 1 + 7
    for expected, (there,) in list(zip(world.asked[1:], world.faces[1:]))[1:]:
        assert abs(np.subtract(expected.eyes, there.eyes)).max() < 0.3 and expected.roll == pytest.approx(there.roll)
        assert abs(np.subtract(expected.box, there.box)).max() < 0.3


def test_what_is_not_where_it_was_expected_is_marked_once_more():
    world = World([[face(100.0 if k < 3 else 106.0)] for k in range(6)])
    assert lefts(world.run()) == [[100.0]] * 3 + [[106.0]] * 3 and world.looked == [0]
    # the jump, and where it does not go on
    assert [round(one.eyes[0]) for one in world.asked] == [100, 100, 100, 106, 112, 106, 106]


def test_a_lost_face_is_looked_for_at_once_and_in_growing_intervals():
    world = World([[] if 5 <= k < 19 else [face(100.0)] for k in range(40)])
    found = world.run()
    assert world.looked[:6] == [0, 5, 6, 8, 12, 20] and world.looked[6:] == [30]
    assert [bool(faces) for faces in found] == [not 5 <= k < 20 for k in range(40)]
    # back in the next frame
    assert World([[] if k == 5 else [face(100.0)] for k in range(9)]).run()[6]


def test_a_face_that_jumps_is_found_again_at_once():
    world = World([[face(100.0 if k < 5 else 400.0)] for k in range(9)])
    assert lefts(world.run()) == [[100.0]] * 5 + [[400.0]] * 4 and world.looked == [0, 5]
    # what is marked is near, but no face moves like that
    world = World([[face(100.0 if k < 5 else 115.0)] for k in range(9)])
    assert lefts(world.run()) == [[100.0]] * 5 + [[115.0]] * 4 and world.looked == [0, 5]


def test_a_second_face_is_found_within_a_second():
    world = World([[face(100.0)] + [face(300.0)] * (k >= 3) for k in range(25)])
    found = world.run()
    assert [len(faces) for faces in found] == [1] * 10 + [2] * 15 and world.looked == [0, 10, 20]


def test_two_that_become_one_are_looked_for():
    world = World([[face(100.0), face(122.0)]] * 5 + [[face(111.0)]] * 5)
    world.mark = lambda rgb, expected: expected if rgb[0, 0, 0] < 5 else face(111.0)
    assert [len(faces) for faces in world.run()] == [2] * 5 + [1] * 5 and world.looked[:2] == [0, 5]


def test_a_cut_begins_anew():
    world = World([[face(100.0)] if k < 4 else [face(100.0), face(300.0)] for k in range(12)], cuts=[4])
    assert [len(faces) for faces in world.run()] == [1] * 4 + [2] * 8 and world.looked == [0, 4]
    empty = World([[] if k < 6 else [face(100.0)] for k in range(12)])
    assert [len(faces) for faces in empty.run()] == [0] * 7 + [1] * 5 and empty.looked == [0, 1, 3, 7]


def test_boxes_follow_what_is_found_where_they_differ_much():
    large = face(100.0)._replace(box=(60.0, 50.0, 180.0, 170.0))
    world = World([[face(100.0)]] * 10 + [[large]] * 5)
    world.mark = lambda rgb, expected: face(100.0)
    boxes = [faces[0].box for faces in world.run()]
    assert boxes[9] == pytest.approx(face(100.0).box) and boxes[10] == boxes[14] == large.box


def swaying(count):
    """(frame of 640x360, similarity a * point + b of portrait.png into it) of a head that sways and comes nearer."""
    with Image.open(DATA / 'portrait.png') as image:
        portrait = image.convert('RGB')
    for k in range(count):
        a = cmath.rect(1 + 0.01 * k, math.radians(6 * math.sin(k / 6)))
        b = complex(320 + 30 * math.sin(k / 5), 180 + 8 * math.sin(k / 3)) - a * 150 * (1 + 1j)
        back, shift = 1 / a, -b / a
        frame = portrait.transform(
            (640, 360),
            Image.AFFINE,
            (back.real, -back.imag, shift.real, back.imag, back.real, shift.imag),
            Image.BICUBIC,
        )
        noisy = np.asarray(frame) + np.random.default_rng(k).normal(0, 3, (360, 640, 3))
        yield np.clip(noisy, 0, 255).astype(np.uint8), a, b


@pytest.mark.usefixtures('face_models')
def test_mediapipe_marks_as_well_as_it_finds():
    detector = MediapipeDetector(0.06)
    follower = Follower(detector, detector.mark, 30)
    places = []
    for frame, a, b in swaying(12):
        (followed,), (found,) = follower(frame), detector(frame)
        eyes, others = (np.reshape(one.eyes, (2, 2)) @ (1, 1j) for one in (followed, found))
        assert abs(eyes - others).max() < 0.8
        assert followed.roll == pytest.approx(found.roll, abs=1) and followed.yaw == pytest.approx(found.yaw, abs=1.5)
        assert followed.eye_width == pytest.approx(found.eye_width, rel=0.03)
        # in the portrait, where they do not move
        places.append([((points - b) / a).view(float) for points in (eyes, others)])
    followed, found = np.swapaxes(places, 0, 1)
    assert jitter(followed) < 0.9 * jitter(found) and followed.std(axis=0).max() < 0.3


@pytest.mark.usefixtures('face_models')
def test_mediapipe_marks_no_face_where_none_is():
    detector = MediapipeDetector(0.06)
    frame = next(swaying(1))[0]
    (found,) = detector(frame)
    assert abs(np.subtract(detector.mark(frame, found).eyes, found.eyes)).max() < 0.5
    x0, y0, x1, y1 = found.box
    for gone in (
        np.roll(frame, 300, axis=1),
        np.full_like(frame, 90),
        np.random.default_rng(0).integers(0, 256, frame.shape, np.uint8),
    ):
        assert detector.mark(gone, found) is None
    assert detector.mark(frame, found._replace(box=(x0 + 2000, y0, x1 + 2000, y1))) is None
