"""Cuts: what is one, and that nothing passes it."""

import itertools

import numpy as np
import pytest
from PIL import Image

from gaze_tf.editing.tracking import is_cut, pattern_of
from tests.editing.tracks import PHOTOS, changed, face, strengths, track


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
    noisy = [changed(flat + np.random.default_rng(k).normal(0, 20, flat.shape), lambda photo: photo) for k in range(2)]
    assert not cut_between(*noisy)


def test_a_head_that_moves_is_no_cut():
    frames = [PHOTOS[0].copy() for _ in range(2)]
    for k, frame in enumerate(frames):
        frame[40:90, 40 + 15 * k : 80 + 15 * k] = [200, 150, 120]
    assert not cut_between(*frames)
