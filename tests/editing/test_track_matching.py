"""Which track a face belongs to."""

import numpy as np
import pytest

from gaze_tf.editing.track_matching import look_of
from gaze_tf.inference.faces import Face
from tests.editing.tracks import BETWEEN, FADE, LOOKS, PHOTOS, changed, face, numbers, of, track


@pytest.mark.parametrize('hidden, looks', [(0, (None, None)), (4, (None, None)), (0, LOOKS[:2]), (20, LOOKS[:2])])
def test_people_who_cross_keep_their_numbers(hidden, looks):
    # so fast that from frame to frame each comes near to where the other was; the one behind is not found for some
    # frames
    rng = np.random.default_rng(10)
    found = []
    for k in range(40):
        both = [
            (face(100 + 20.0 * k + rng.normal(0, 0.3), 100), None, looks[0]),
            (face(910.0 - 20 * k + rng.normal(0, 0.3), 103), None, looks[1]),
        ]
        found.append(both[:1] if abs(k - 20) < hidden / 2 else [both[n] for n in rng.permutation(2)])
    tracked = track(found)
    assert {tuple(numbers(tracked, 100)), tuple(numbers(tracked, 103))} == {(0,), (1,)}


def test_people_who_meet_and_turn_back_keep_their_numbers():
    # their places and speeds say that they cross: only their looks tell
    x = 6.0 * np.minimum(np.arange(60), 59 - np.arange(60))
    found = [[(face(at, 100), None, LOOKS[0]), (face(354.0 - at, 103), None, LOOKS[1])] for at in x]
    tracked = track(found)
    assert {tuple(numbers(tracked, 100)), tuple(numbers(tracked, 103))} == {(0,), (1,)}


def test_who_is_lost_for_a_moment_is_the_same_when_he_comes_back():
    moving = [
        [] if 30 <= k < 60 else [(face(50.0 + k), None, LOOKS[0]), (face(400.0), None, LOOKS[1])] for k in range(90)
    ]
    tracked = track(moving)
    assert [sorted(one.track for one in ones) for ones in tracked] == [[0, 1]] * 30 + [[]] * 30 + [[0, 1]] * 30
    # away from where he was, by his look
    tracked = track(
        [[] if 30 <= k < 60 else [(face(50.0 + 3 * BETWEEN * (k >= 60)), None, LOOKS[0])] for k in range(90)]
    )
    assert of('track', tracked) == [[0]] * 30 + [[]] * 30 + [[0]] * 30
    found = np.array([sum(one.strength for one in ones) for ones in tracked])
    assert (found[30:60] == 0).all() and found[20] == found[70] == 1 and abs(np.diff(found)).max() <= 1.6 / FADE


@pytest.mark.parametrize(
    'change', [dict(look=LOOKS[1]), dict(size=2), dict(frames=150)], ids=['look', 'size', 'long ago']
)
def test_another_is_not_taken_for_who_was_lost(change):
    gap, scale = change.get('frames', 30), change.get('size', 1)
    back = Face((50.0, 100.0, 50 + scale * BETWEEN, 100.0), openness=(0.3, 0.3), yaw=0.0)
    found = [[(face(50.0), None, LOOKS[0])]] * 20 + [[]] * gap + [[(back, None, change.get('look', LOOKS[0]))]] * 20
    tracked = track(found)
    assert [[one.track for one in ones] for ones in tracked] == [[0]] * 20 + [[]] * gap + [[1]] * 20


def test_a_look_tells_people_apart_in_any_light():
    rng = np.random.default_rng(11)
    eyes = Face((60.0, 50.0, 90.0, 52.0))
    scenes = [changed(photo, lambda pixels: pixels) for photo in (PHOTOS[0], PHOTOS[0][:, ::-1])]
    looks = [look_of(scene, eyes) for scene in scenes]
    shifted = look_of(
        changed(scenes[0], lambda pixels: 0.6 * pixels + 20 + rng.normal(0, 4, pixels.shape)),
        eyes._replace(eyes=(60.5, 49.5, 90.3, 52.3)),
    )
    assert looks[0] @ shifted > 0.95 and looks[0] @ looks[1] < 0.9
    # turned with its head, and larger
    turned = np.rot90(np.kron(scenes[0], np.ones((2, 2, 1), np.uint8)))
    assert looks[0] @ look_of(turned, Face((100.0, 320 - 120.0, 104.0, 320 - 180.0))) > 0.95
    assert look_of(np.full((20, 20, 3), 9, np.uint8), eyes) is None
