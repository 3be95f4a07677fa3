"""Directions of gazes and progress on the way to the camera, by hand."""

import numpy as np
import pytest

from gaze_tf.evaluation.metrics import gaze_angles


def test_angles_by_hand():
    assert gaze_angles.angle([[0, 0], [20, 0], [0, -20], [-90, 0], [1e-6, 0]]) == pytest.approx([0, 20, 20, 90, 1e-6])
    # cos(yaw) cos(pitch) = 1/2 · 1/√2
    assert gaze_angles.angle([60, 45]) == pytest.approx(np.degrees(np.arccos(np.sqrt(1 / 8))))
    assert gaze_angles.between([10, 0], [-20, 0]) == pytest.approx(30)
    assert gaze_angles.between([90, 0], [0, 90]) == pytest.approx(90)
    assert gaze_angles.between([[0, 10], [3, 0]], [[0, 10], [0, 4]]) == pytest.approx([0, 5], abs=0.01)
    assert gaze_angles.between([0, 0], [180, 0]) == pytest.approx(180)


def test_vectors_by_hand():
    assert gaze_angles.vector([0, 0]) == pytest.approx([0, 0, 1])
    # to larger x; up is to smaller y
    assert gaze_angles.vector([[90, 0], [0, 90]]) == pytest.approx(np.array([[1, 0, 0], [0, -1, 0]]), abs=1e-12)
    assert gaze_angles.vector([30, 0]) == pytest.approx([0.5, 0, np.sqrt(3) / 2])


def test_progress_by_hand():
    start = [20, 0]
    track = [[20, 0], [15, 0], [10, 0], [0, 0], [-5, 0], [25, 0], [0, 12]]
    assert gaze_angles.progress(track, start) == pytest.approx([0, 0.25, 0.5, 1, 1.25, -0.25, 1], abs=1e-9)
    assert gaze_angles.progress([0, -6], [0, -24]) == pytest.approx(0.75)
    assert np.isnan(gaze_angles.progress([3, 0], [0, 0]))


def test_half_the_angle_of_a_slanting_gaze_is_half_the_way():
    def slanting(angle):
        # in the direction (1, 1, ·) of the picture: x = sin(angle) / √2 and up the same
        x = np.sin(np.radians(angle)) / np.sqrt(2)
        return np.degrees([np.arctan2(x, np.cos(np.radians(angle))), np.arcsin(x)])

    assert gaze_angles.progress(slanting(15), slanting(30)) == pytest.approx(0.5)
    assert gaze_angles.progress(slanting(-15), slanting(30)) == pytest.approx(1.5)


def test_rank_correlation_by_hand():
    start, alphas = [20, 5], [0, 0.25, 0.5, 0.75, 1]
    going = np.outer([1, 0.9, 0.5, 0.1, 0], start)
    assert gaze_angles.rank_correlation(alphas, going, start) == pytest.approx(1)
    assert gaze_angles.rank_correlation(alphas, going[::-1], start) == pytest.approx(-1)
    # ranks 1 2 4 3 5: 1 - 6 (0 + 0 + 1 + 1 + 0) / (5 · 24)
    assert gaze_angles.rank_correlation(alphas, going[[0, 1, 3, 2, 4]], start) == pytest.approx(0.9)
    # the order in which they are given is nothing
    assert gaze_angles.rank_correlation(np.array(alphas)[[3, 0, 4]], going[[3, 0, 4]], start) == pytest.approx(1)


def test_a_track_that_does_not_move_has_no_rank_correlation():
    noise = [[1e-5, 0], [2e-5, 0], [3e-5, 0]]
    assert gaze_angles.rank_correlation([0, 0.5, 1], np.add([12, 3], noise), [12, 3]) == 0
    assert np.isnan(gaze_angles.rank_correlation([1, 1], [[12, 0], [3, 0]], [12, 0]))
    assert np.isnan(gaze_angles.rank_correlation([0, 1], [[12, 0], [3, 0]], [0, 0]))


def test_rank_correlations_are_of_alphas_from_0_to_1():
    alphas, start = [-0.5, 0, 0.5, 1, 1.5], np.array([20.0, 0])
    # beyond 0 to 1 the track turns back, which does not count
    track = np.outer([0, 1, 0.5, 0, 1], start)
    assert gaze_angles.rank_correlations(alphas, track[None], start[None]) == pytest.approx([1])
