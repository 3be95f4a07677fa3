"""Tracks of faces, on sequences made by hand."""

import itertools

import numpy as np
import pytest
from PIL import Image

from gaze_tf.editing.jitter import jitter
from gaze_tf.editing.track_matching import look_of
from gaze_tf.editing.tracking import Found, Tracker, is_cut, pattern_of
from gaze_tf.errors import GazeError
from gaze_tf.inference.faces import Face
from tests.paths import DATA

FPS = 30
FADE = 8  # frames: 0.25 s
BETWEEN = 60  # pixels from eye to eye
PHOTOS = [
    np.array(Image.open(DATA / name).convert('RGB').resize((160, 120)))
    for name in ('portrait.png', 'astronaut_128.png')
]


def face(x, y=100.0, openness=0.3, yaw=0.0):
    """A Face whose left eye is at (x, y)."""
    return Face((x, y, x + BETWEEN, y), openness=(openness, openness), yaw=yaw)


def limits(found):
    """As the editor's: turned away or closed."""
    if abs(found.yaw) > 30:
        return 'turned away'
    return 'closed' if found.openness is not None and min(found.openness) < 0.1 else ''


def track(found, frames=None, **options):
    """found: for each frame its Faces, or (Face, code, look)s or the first of these → for each frame its Trackeds."""
    tracker = Tracker(FPS, limits=limits, cuts=frames is not None, **options)
    frames = list(range(len(found))) if frames is None else frames
    result = []
    for frame, faces in zip(frames, found):
        result += tracker.push(frame, [Found(*one) if type(one) is tuple else Found(one) for one in faces])
    result += tracker.finish()
    assert len(result) == len(found) and all(a is b for (a, _), b in zip(result, frames))
    return [tracked for _, tracked in result]


def strengths(found, frames=None, **options):
    """Of the one face that is in every frame but those where it is lost (0)."""
    return np.array([sum(one.strength for one in tracked) for tracked in track(found, frames, **options)])


def errors(x, noise, **options):
    """True path of the left eye [N] → smoothed minus true eyes [N, 4], of noisy measurements."""
    rng = np.random.default_rng(0)
    true = np.array([face(value).eyes for value in x], float)
    measured = true + rng.normal(0, noise, true.shape)
    tracked = track([[Face(tuple(eyes), openness=(0.3, 0.3), yaw=0)] for eyes in measured], **options)
    assert all([one.track for one in ones] == [0] for ones in tracked)
    return np.array([ones[0].face.eyes for ones in tracked]) - true


TIMES = np.arange(200)


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


# --- who is who ------------------------------------------------------------------------------------------------

LOOKS = np.eye(3)


def of(which, tracked):
    """For each frame the value `which` of its chosen tracks."""
    return [[getattr(one, which) for one in ones if one.chosen] for ones in tracked]


def numbers(tracked, y):
    """The numbers of the tracks that the face at the height y has."""
    return {one.track for ones in tracked for one in ones if abs(one.found_eyes[1] - y) < 1}


@pytest.mark.parametrize('hidden, looks', [(0, (None, None)), (4, (None, None)), (0, LOOKS[:2]), (20, LOOKS[:2])])
def test_people_who_cross_keep_their_numbers(hidden, looks):
    # so fast that from frame to frame each comes near to where the other was; the one behind is not found for some frames
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


# --- who is chosen ---------------------------------------------------------------------------------------------


def sized(x, side, y=100.0):
    """A Face with a box."""
    return face(x, y)._replace(box=(x, y, x + side, y + side))


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
    assert len(others) == len(found) and {(one.strength, one.reason) for one in others} == {
        (0, 'it was not chosen')
    }


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


# --- strengths -------------------------------------------------------------------------------------------------


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
    first, again = ([[one.strength for one in ones] for ones in track(found, look_away=True)] for _ in range(2))
    assert first == again
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


def test_nothing_passes_a_cut():
    frames = [PHOTOS[k >= 30] for k in range(60)]
    # nearly the same place, so that only the cut tells that it is another
    found = [[(face(50.0 + 5 * (k >= 30)), np.full(2, float(k >= 30)))] for k in range(60)]
    tracked = track(found, frames)
    assert [ones[0].track for ones in tracked] == [0] * 30 + [1] * 30
    assert all(ones[0].strength == 1 for ones in tracked)
    for ones, ((before, code),) in zip(tracked, found):
        np.testing.assert_allclose(ones[0].face.eyes, before.eyes, atol=1e-6)
        np.testing.assert_allclose(ones[0].code, code, atol=1e-12)
    assert [ones[0].track for ones in track(found)] == [0] * 60
    # who leaves with the old scene or comes with the new one does so at once
    assert (strengths([found[k] if k < 30 else [] for k in range(60)], frames)[:30] == 1).all()
    assert (strengths([found[k] if k >= 30 else [] for k in range(60)], frames)[30:] == 1).all()


def test_gaps_are_not_bridged_across_cuts():
    frames = [PHOTOS[k >= 30] for k in range(60)]
    tracked = track([[] if 29 <= k < 31 else [face(50.0)] for k in range(60)], frames)
    assert [[one.track for one in ones] for ones in tracked] == [[0]] * 29 + [[]] * 2 + [[1]] * 29


def cut_between(before, after):
    return is_cut(pattern_of(before), pattern_of(after))


def changed(photo, change):
    return np.clip(change(photo.astype(float)), 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    'change, cut',
    [
        (lambda photo: photo + np.random.default_rng(4).normal(0, 25, photo.shape), False),
        (lambda photo: np.roll(photo, (2, 3), (0, 1)), False),
        (lambda photo: photo * 0.6, False),
        (lambda photo: photo + 90, False),
        (lambda photo: photo * 0.5 + 110, False),
        (lambda photo: photo[::-1], True),
        (lambda photo: 0 * photo, True),
    ],
    ids=['noise', 'motion', 'darker', 'flash', 'haze', 'upside down', 'black'],
)
@pytest.mark.parametrize('photo', PHOTOS, ids=['portrait', 'astronaut'])
def test_what_is_a_cut(photo, change, cut):
    assert cut_between(photo, changed(photo, change)) == cut == cut_between(changed(photo, change), photo)


def test_cuts_between_scenes():
    rng = np.random.default_rng(5)
    blotches = [
        np.array(Image.fromarray(rng.integers(0, 256, (5, 6, 3), np.uint8)).resize((160, 120))) for _ in range(6)
    ]
    for a, b in itertools.permutations(PHOTOS + blotches, 2):
        assert cut_between(a, b)
    for scene in PHOTOS + blotches:
        assert not cut_between(scene, scene)


def test_flat_pictures_are_no_cut():
    flat = np.full((120, 160, 3), 100.0)
    noisy = [changed(flat, lambda photo: photo + np.random.default_rng(k).normal(0, 20, photo.shape)) for k in range(2)]
    assert not cut_between(*noisy)


def test_a_head_that_moves_is_no_cut():
    frames = [PHOTOS[0].copy() for _ in range(2)]
    for k, frame in enumerate(frames):
        frame[40:90, 40 + 15 * k : 80 + 15 * k] = [200, 150, 120]
    assert not cut_between(*frames)


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


def test_jitter():
    noise = np.random.default_rng(6).normal(0, 0.7, (5000, 2))
    assert jitter(noise) == pytest.approx(0.7, rel=0.05)
    motion = np.stack([3.0 * np.arange(5000), 100 - 0.5 * np.arange(5000)], 1)
    assert jitter(motion) < 1e-9 and jitter(motion + noise) == pytest.approx(jitter(noise))
    assert jitter([[0, 0], [1, 0], [0, 0]]) == pytest.approx(np.sqrt(4 / 2 / 6))
