"""Tracks of faces: smooth eyes and codes, gaps, strengths."""

import numpy as np
import pytest

from gaze_tf.editing import strength
from gaze_tf.editing.jitter import jitter
from gaze_tf.editing.tracking import Found, Tracker
from gaze_tf.inference.faces import Face
from tests.editing.tracks import BETWEEN, FADE, FPS, TIMES, errors, face, strengths, track


def test_a_still_face_is_steadied():
    assert errors(np.full(200, 50.0), 0.5).std() < 0.5 / 2
    assert errors(np.full(200, 50.0), 0.5, window_s=0).std() == pytest.approx(0.5, rel=0.1)


def test_outliers_of_a_still_face_are_no_motion():
    rng = np.random.default_rng(0)
    noise = 0.02 * rng.normal(size=(240, 4)) * np.where(rng.random((240, 1)) < 0.2, 3, 1)
    tracked = track([[Face(tuple(face(50.0).eyes + each), openness=(0.3, 0.3), yaw=0)] for each in noise])
    assert jitter(np.array([one.face.eyes for (one,) in tracked])) < 0.03 * jitter(noise)


def test_even_motion_does_not_lag():
    assert abs(errors(20.0 * TIMES, 0)).max() < 1e-6
    error = errors(20.0 * TIMES, 0.5)
    assert error.std() < 0.3 and abs(error[:, 0].mean()) < 0.05


def test_swinging_is_followed():
    swing = 100 + 20 * np.sin(2 * np.pi * 2 * TIMES / FPS)
    assert abs(errors(swing, 0)).max() < 0.1
    assert np.sqrt(np.mean(errors(swing, 0.5) ** 2)) < 0.6 and abs(errors(swing, 0.2)).max() < 1


@pytest.mark.parametrize(
    'path',
    [100 + 20.0 * (TIMES >= 100), 20.0 * np.minimum(TIMES, 100), 100 + 10.0 * np.clip(TIMES - 100, 0, 5)],
    ids=['step', 'stop', 'saccade'],
)
def test_what_is_sudden_is_not_smeared(path):
    error = abs(errors(path, 0.2)).max(1)
    assert error[90:115].max() < 1 and error[[98, 103]].max() < 0.6
    assert abs(errors(path, 0)).max() < 0.01


def test_codes_are_means_of_their_window():
    codes = np.random.default_rng(1).normal(size=(60, 4)).astype(np.float32)
    tracked = track([[(face(50.0), code)] for code in codes], window_s=0.3)
    # half a window is 0.15 s, about 4 frames, 2 standard deviations
    weights = np.exp(-(np.arange(-4, 5) ** 2) / (2 * 2.0**2))
    for k in (10, 30, 49):
        expected = weights @ codes[k - 4 : k + 5] / weights.sum()
        np.testing.assert_allclose(tracked[k][0].code, expected, rtol=1e-4, atol=1e-5)
        assert tracked[k][0].code.dtype == np.float32
    np.testing.assert_allclose(tracked[0][0].code, weights[4:] @ codes[:5] / weights[4:].sum(), rtol=1e-4, atol=1e-5)
    for ones, code in zip(track([[(face(50.0), code)] for code in codes], window_s=0), codes):
        np.testing.assert_array_equal(ones[0].code, code)


def test_codes_of_closed_eyes_do_not_count():
    found = [[(face(50.0, openness=0 if k == 20 else 0.3), np.full(3, 99.0 if k == 20 else 1.0))] for k in range(40)]
    np.testing.assert_allclose([ones[0].code for ones in track(found)], 1)


def test_faces_keep_their_numbers():
    # two that pass each other, detected in any order
    rng = np.random.default_rng(2)
    pairs = [[face(3.0 * k), face(300.0 - 3 * k, 180.0)] for k in range(90)]
    tracked = track([[pair[k] for k in rng.permutation(2)] for pair in pairs])
    numbers = [
        [next(one.track for one in ones if abs(one.face.eyes[1] - y) < 1) for y in (100, 180)] for ones in tracked
    ]
    assert all(row == numbers[0] for row in numbers) and sorted(numbers[0]) == [0, 1]


def test_a_face_far_away_is_another():
    tracked = track([[face(50.0 if k < 20 else 50.0 + 2 * BETWEEN)] for k in range(40)])
    assert [ones[0].track for ones in tracked] == [0] * 20 + [1] * 20


def test_short_gaps_are_bridged():
    found = [[] if 20 <= k < 24 else [face(5.0 * k, yaw=k / 2)] for k in range(40)]
    tracked = track(found)
    assert [ones[0].track for ones in tracked] == [0] * 40
    np.testing.assert_allclose(
        [ones[0].face.eyes for ones in tracked], [face(5.0 * k).eyes for k in range(40)], atol=1e-6
    )
    assert tracked[22][0].face.yaw == pytest.approx(11) and tracked[22][0].face.irises is None
    assert all(ones[0].strength == 1 for ones in tracked)


def test_a_longer_gap_loses_the_face():
    found = [[] if 30 <= k < 35 else [face(50.0)] for k in range(70)]
    tracked = track(found)
    assert [[one.track for one in ones] for ones in tracked] == [[0]] * 30 + [[]] * 5 + [[0]] * 35
    found = strengths(found)
    assert found[30 - FADE] == 1 and found[34 + FADE] == 1 and (np.diff(found[30 - FADE : 31]) < 0).all()
    assert abs(np.diff(found)).max() <= 1.6 / FADE


def smoothstep(share):
    return share * share * (3 - 2 * share)


def test_a_turned_face_fades_out_before_and_in_after():
    found = [[face(50.0, yaw=45.0 if 30 <= k < 40 else 0.0)] for k in range(80)]
    tracked = track(found)
    expected = [smoothstep(min(max(30 - k, k - 39, 0) / FADE, 1)) for k in range(80)]
    np.testing.assert_allclose(strengths(found), expected, atol=1e-9)
    assert [ones[0].reason for ones in tracked] == ['turned away' if 30 <= k < 40 else '' for k in range(80)]
    hard = strengths(found, fade_s=0)
    np.testing.assert_array_equal(hard, [0 if 30 <= k < 40 else 1 for k in range(80)])


def turning(found):
    """The share of a face whose head may be turned by 20 degrees in full, and by 30 at all."""
    return min(max((30 - abs(found.yaw)) / 10, 0), 1)


def test_a_head_that_turns_slowly_is_corrected_less_and_less():
    yaws = np.concatenate([np.full(20, 0.0), np.linspace(0, 40, 120), np.full(20, 40.0), np.linspace(40, 0, 120)])
    found = strengths([[face(50.0, yaw=yaw)] for yaw in yaws], share=turning)
    assert (found[yaws < 17] == 1).all() and (found[yaws > 30] == 0).all()
    assert (np.diff(found[:140]) <= 1e-9).all() and (np.diff(found[160:]) >= -1e-9).all()
    assert 0.4 < found[20:140][np.argmin(abs(yaws[20:140] - 25))] < 0.6 and abs(np.diff(found)).max() < 0.06


def test_no_strength_changes_faster_than_the_fade():
    rng = np.random.default_rng(13)
    yaws = np.repeat(rng.uniform(0, 35, 40), rng.integers(1, 20, 40))
    found = strengths([[face(50.0, yaw=yaw)] if rng.random() > 0.02 else [] for yaw in yaws], share=turning)
    assert found.max() > 0.95 and found.min() == 0 and abs(np.diff(found)).max() <= 1.6 / FADE


def test_noise_of_measured_angles_is_no_flicker():
    yaws = 25 + np.random.default_rng(14).normal(0, 0.5, 200)
    found = strengths([[face(50.0, yaw=yaw)] for yaw in yaws], share=turning)
    assert np.diff(found).std() < 0.2 * np.diff([smoothstep(turning(face(50.0, yaw=yaw))) for yaw in yaws]).std()


def test_looking_away():
    found = [[face(50.0), face(400.0)] for _ in range(30 * FPS)]
    first = [[one.strength for one in ones] for ones in track(found, look_away=True)]
    strength._glance.cache_clear()  # drawn again, not remembered
    again = [[one.strength for one in ones] for ones in track(found[: 12 * FPS], look_away=True)]
    assert first[: 11 * FPS] == again[: 11 * FPS]
    for own in np.array(first).T:
        assert own.max() == 1 and own.min() == pytest.approx(0.3, abs=0.01) and abs(np.diff(own)).max() <= 1.6 / FADE
        begins = np.flatnonzero((own[1:] < 0.31) & (own[:-1] >= 0.31))
        assert len(begins) >= 3 and 4 * FPS - 1 <= np.diff(begins).min() and np.diff(begins).max() <= 10 * FPS + 1
        assert 0.03 < np.mean(own < 0.31) < 0.2
    assert np.mean(np.min(first, 1) < 0.5) > 1.3 * np.mean(np.array(first)[:, 0] < 0.5)


def test_blinks_fade_faster():
    found = [[face(50.0, openness=0.02 if 30 <= k < 34 else 0.3)] for k in range(60)]
    expected = [smoothstep(min(max(30 - k, k - 33, 0) / 3, 1)) for k in range(60)]
    np.testing.assert_allclose(strengths(found), expected, atol=1e-9)


def test_who_comes_in_fades_in():
    found = strengths([[face(50.0)] if k >= 20 else [] for k in range(60)])
    assert (found[:20] == 0).all() and 0 < found[20] < 0.1 and found[19 + FADE] == 1
    # but who is there at the beginning and at the end is there at once
    assert (strengths([[face(50.0)]] * 20) == 1).all()


def test_strengths_never_jump():
    rng = np.random.default_rng(3)
    bad = np.convolve(rng.random(300) < 0.03, np.ones(3), 'same') > 0
    found = strengths([[face(50.0, yaw=45.0 if out else 0.0)] for out in bad])
    assert (found[bad] == 0).all() and found.max() == 1 and abs(np.diff(found)).max() <= 1.6 / FADE


def test_memory_does_not_grow():
    tracker = Tracker(FPS, cuts=False)
    waiting = 0
    for k in range(500):
        waiting += 1 - len(tracker.push(k, [Found(face(50.0))]))
        assert waiting <= tracker.delay
        assert len(tracker._moments) <= 2 * tracker.delay + 1
        assert sum(moment.frame is not None for moment in tracker._moments) <= tracker.delay
    # a quarter of a second to fade, 0.15 s to tell a gap from a loss
    assert waiting == tracker.delay <= 0.8 * FPS


@pytest.mark.parametrize('count', [0, 1, 2, 5])
def test_short_videos(count):
    tracked = track([[face(10.0 * k)] for k in range(count)])
    np.testing.assert_allclose(
        [ones[0].face.eyes for ones in tracked], [face(10.0 * k).eyes for k in range(count)], atol=1e-9
    )
    assert all(ones[0].strength == 1 for ones in tracked)
