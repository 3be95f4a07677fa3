"""How strength depends on head and gaze, and how it changes over time."""

import numpy as np
import pytest

from gaze_tf.editing.strength import share_of, steady, strength_of, within
from gaze_tf.inference.faces import Face, Limits, gaze_aside, why_not

LEVEL = Face((100.0, 50.0, 140.0, 50.0), (100.0, 50.0, 140.0, 50.0), 20.0, (0.3, 0.3), yaw=0.0, roll=0.0, pitch=0.0)


def looking(degrees, yaw=0.0):
    """A Face that looks so far past the camera: 0.0042 eye widths a degree, less 0.0052 for each that the head is
    turned."""
    shift = 20 * (0.0042 * degrees - 0.0052 * yaw)
    return LEVEL._replace(irises=(100 + shift, 50.0, 140 + shift, 50.0), yaw=yaw)


@pytest.mark.parametrize('sign', [-1, 1])
@pytest.mark.parametrize(
    'of, full, most',
    [
        (lambda angle: LEVEL._replace(yaw=angle, irises=None), 20, 30),
        (lambda angle: LEVEL._replace(pitch=angle), 15, 25),
        (looking, 30, 45),
        (lambda angle: looking(angle, yaw=10.0), 30, 45),
    ],
    ids=['yaw', 'pitch', 'gaze', 'gaze of a turned head'],
)
def test_ramps(of, full, most, sign):
    angles = np.linspace(0, 60, 601)
    found = np.array([strength_of(of(sign * angle), Limits()) for angle in angles])
    assert (found[angles < full - 0.01] == 1).all() and (found[angles > most + 0.01] == 0).all()
    assert (np.diff(found) <= 0).all() and abs(np.diff(found)).max() < 1.51 * 0.1 / 10
    assert found[np.argmin(abs(angles - (full + most) / 2))] == pytest.approx(0.5, abs=0.01)
    # what is left alone has no strength anyway
    reasons = [bool(why_not(of(sign * angle))) for angle in angles]
    assert reasons == [angle > most for angle in angles] or abs(sum(reasons) - np.sum(angles > most)) <= 1


def test_what_is_unknown_counts_as_straight():
    assert share_of(Face((1, 2, 3, 4)), Limits()) == 1 and gaze_aside(Face((1, 2, 3, 4))) is None


def test_several_ramps_multiply():
    assert share_of(LEVEL._replace(yaw=25.0, pitch=-20.0, irises=None), Limits()) == pytest.approx(0.25)


def test_an_upper_threshold_below_the_lower_one_is_a_hard_limit():
    found = [share_of(LEVEL._replace(yaw=yaw, irises=None), Limits(max_yaw=10)) for yaw in (0.0, 10.0, 10.1, 25.0)]
    assert found == [1, 1, 0, 0]


def test_the_gaze_of_a_tilted_head():
    face = Face((50.0, 100.0, 50.0, 140.0), (50.0, 101.0, 50.0, 141.0), 20.0, yaw=0.0)
    assert gaze_aside(face) == pytest.approx(0.05 / 0.0042)
    assert gaze_aside(face._replace(irises=(53.0, 100.0, 53.0, 140.0))) == pytest.approx(0)


def test_shares_are_bound_by_those_around():
    shares = np.array([1, 1, 1, 0.2, 1, 1, 1.0])
    assert [within(shares, now, np.full(7, 4.0)) for now in range(7)] == pytest.approx(
        [0.95, 0.7, 0.45, 0.2, 0.45, 0.7, 0.95]
    )


def test_steady_shares_leave_out_the_unfit():
    fit = np.array([True] * 10 + [False] * 5 + [True] * 10)
    found = steady(np.where(fit, 0.7, 0.0), fit, 8)
    np.testing.assert_allclose(found, np.where(fit, 0.7, 0))
