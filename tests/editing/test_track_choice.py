"""Which tracks of a video are chosen."""

import numpy as np
import pytest

from gaze_tf.editing.tracking import Tracker
from gaze_tf.errors import GazeError
from tests.editing.tracks import FPS, PHOTOS, of, sized, track


def side_by_side(frames=120, sides=(103, 100), noise=8):
    """Two people whose sizes jitter, so that now one and now the other is larger; sorted as detectors do."""
    rng = np.random.default_rng(12)
    return [
        sorted(
            (sized(x, side + rng.normal(0, noise)) for x, side in zip((50.0, 300.0), sides)),
            key=lambda found: found.box[0] - found.box[2],
        )
        for _ in range(frames)
    ]


def test_the_largest_does_not_change_within_a_shot():
    found = side_by_side()
    first = np.array([faces[0].eyes[0] for faces in found])
    assert np.count_nonzero(np.diff(first)) > 20
    tracked = track(found, faces='largest')
    assert len({one.face.eyes[0] > 200 for ones in tracked for one in ones if one.chosen}) == 1
    assert all([one.strength for one in ones if one.chosen] == [1] for ones in tracked)
    others = [one for ones in tracked for one in ones if not one.chosen]
    assert len(others) == len(found) and {(one.strength, one.reason) for one in others} == {(0, 'it was not chosen')}


@pytest.mark.parametrize(
    'faces, expected', [('largest', {50}), ('0', {50}), ('1', {300}), ('0,2', {50, 550}), ('all', {50, 300, 550})]
)
def test_numbers_are_tracks_by_size(faces, expected):
    # the third comes later, and is the largest then
    found = [pair + [sized(550.0, 200)] * (k >= 60) for k, pair in enumerate(side_by_side(sides=(120, 100), noise=2))]
    tracked = track(found, faces=faces)
    assert {one.found_eyes[0] for ones in tracked for one in ones if one.chosen} == expected
    assert len({tuple(numbers[:1]) for numbers in of('track', tracked)}) == 1


def test_each_shot_has_its_own_choice():
    frames = [PHOTOS[k >= 30] for k in range(60)]
    before, after = [sized(50.0, 120), sized(300.0, 100)], [sized(50.0, 100), sized(300.0, 120)]
    tracked = track([before] * 30 + [after] * 30, frames, faces='largest')
    assert [ones[0][0] for ones in of('found_eyes', tracked)] == [50] * 30 + [300] * 30


def test_nobody_at_the_beginning():
    found = [[] if k < 40 else [sized(50.0, 100)] + [sized(300.0, 200)] * (k >= 90) for k in range(120)]
    assert [ones[0][0] if ones else 0 for ones in of('found_eyes', track(found, faces='largest'))] == [0] * 40 + [
        50
    ] * 80


def test_who_comes_after_the_chosen_one_was_long_gone_takes_his_place():
    bystander = sized(300.0, 80)
    found = [[bystander] + [sized(50.0, 100)] * (k < 30 or k >= 200) for k in range(260)]
    tracked = track(found, faces='largest')
    assert [[eyes[0] for eyes in ones] for ones in of('found_eyes', tracked)] == [[50]] * 30 + [[]] * 170 + [[50]] * 60
    assert of('track', tracked)[29] != of('track', tracked)[-1]


def test_faces_that_are_no_choice():
    with pytest.raises(GazeError, match='`faces=smallest`'):
        Tracker(FPS, faces='smallest')
