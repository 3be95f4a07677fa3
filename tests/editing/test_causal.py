"""Tracks without look-ahead, as live pictures need them: on sequences made by hand."""

import numpy as np
import pytest

from gaze_tf.editing.jitter import jitter
from gaze_tf.editing.strength import smooth
from gaze_tf.editing.tracking import Found, Tracker
from tests.editing.tracks import FADE, FPS, TIMES, errors, face, limits, strengths, track


def test_each_frame_comes_back_at_once():
    tracker = Tracker(FPS, causal=True)
    for _ in range(5):
        ((frame, (tracked,)),) = tracker.push(np.zeros((12, 16, 3), np.uint8), [Found(face(50.0))])
        assert frame.shape == (12, 16, 3) and tracked.track == 0
    assert tracker.finish() == [] and tracker.delay == 0


def test_what_comes_later_changes_nothing():
    x = 100 + np.random.default_rng(1).normal(0, 2, 60).cumsum()
    whole = track([[face(value)] for value in x], causal=True)
    part = track([[face(value)] for value in x[:40]], causal=True)
    assert [ones[0].face.eyes for ones in part] == [ones[0].face.eyes for ones in whole[:40]]


def test_a_still_face_is_steadied_and_motion_does_not_lag():
    still = errors(np.full(200, 50.0), 0.5, causal=True)[20:]
    assert still.std() < 0.7 * 0.5 and jitter(still) < 0.3 * 0.5
    assert abs(errors(10.0 * TIMES, 0, causal=True)).max() < 1e-6
    moving = errors(10.0 * TIMES, 0.5, causal=True)[20:]
    assert moving.std() < 0.7 * 0.5 and abs(moving[:, 0].mean()) < 0.1


@pytest.mark.parametrize('path', [100 + 20.0 * (TIMES >= 100), 10.0 * np.minimum(TIMES, 100)], ids=['step', 'stop'])
def test_what_is_sudden_is_followed(path):
    assert abs(errors(path, 0.2, causal=True)).max() < 1


def test_codes_are_means_of_what_was():
    codes = np.random.default_rng(1).normal(size=(20, 4)).astype(np.float32)
    tracked = track([[(face(50.0), code)] for code in codes], window_s=0.3, causal=True)
    weights = np.exp(-(np.arange(-4, 1) ** 2) / (2 * 2.0**2))
    np.testing.assert_allclose(tracked[10][0].code, weights @ codes[6:11] / weights.sum(), rtol=1e-4, atol=1e-5)


def test_strengths_come_and_go_within_the_fade():
    found = strengths([[face(50.0, yaw=60 if 30 <= k < 50 else 0)] for k in range(80)], causal=True)
    rise = smooth(np.minimum(np.arange(1, 31) / FADE, 1))
    np.testing.assert_allclose(found[:30], rise, atol=1e-6)
    np.testing.assert_allclose(found[30:50], 1 - rise[:20], atol=1e-6)
    np.testing.assert_allclose(found[50:], rise, atol=1e-6)


def test_closed_eyes_are_left_alone_at_once_and_soon_painted_again():
    found = strengths([[face(50.0, openness=0.05 if 20 <= k < 24 else 0.3)] for k in range(40)], causal=True)
    np.testing.assert_allclose(found[19:28], [1, 0, 0, 0, 0, *smooth(np.array([1, 2, 3]) / 3), 1], atol=1e-6)


def test_a_face_that_comes_back_fades_in_from_where_it_would_be():
    found = strengths([[] if k in (20, 21) or 40 <= k < 60 else [face(50.0)] for k in range(80)], causal=True)
    assert found[19] == 1 and found[20] == found[21] == 0
    assert found[22] == pytest.approx(smooth((FADE - 1) / FADE)) and found[23] == 1
    np.testing.assert_allclose(found[60:62], smooth(np.array([1, 2]) / FADE), atol=1e-6)


def test_dropped_frames_count_in_fades_and_windows():
    every = np.arange(0, 90, 3)

    def run(skipped):
        tracker = Tracker(FPS, limits=limits, cuts=False, causal=True)
        found = []
        for k in every:
            tracker.skip(skipped if k else 0)
            ((_, (one,)),) = tracker.push(k, [Found(face(50.0, yaw=60 if k >= 60 else 0), np.array([float(k)]))])
            found.append((one.strength, one.code[0]))
        return np.array(found)

    with_skips, without = run(2), run(0)
    # in a quarter of a second all is over
    assert with_skips[4, 0] == 1 and with_skips[23, 0] == 0 and without[4, 0] < 1 and without[23, 0] > 0
    # means over 0.6 seconds before, not over 1.8
    assert with_skips[19, 1] > without[19, 1] > 30


def test_the_largest_of_the_first_second_is_chosen():
    # the other is found a moment earlier, and is larger again later
    def size(k, side):
        return (0.0, 0.0, side, side)

    found = [
        [face(400.0, 300.0)._replace(box=size(k, 300.0 if k > 45 else 80.0))]
        + ([face(50.0)._replace(box=size(k, 150.0))] if k >= 3 else [])
        for k in range(60)
    ]
    chosen = [
        {round(one.face.eyes[0]) for one in ones if one.chosen} for ones in track(found, faces='largest', causal=True)
    ]
    assert chosen[0] == {400} and all(each == {50} for each in chosen[8:])
