"""Faces cut out of photos and put back."""

import itertools

import numpy as np
import pytest
from scipy import ndimage, sparse
from scipy.sparse.linalg import spsolve

from gaze_tf.compositing import align, blend
from gaze_tf.editing.options import BLENDS

SIZE = 64
# of CelebAGaze, as a quarter of its 256 pixels
MEAN = np.array([19.65, 23.225, 44.45, 23.175])


def eyes_at(middle, distance, degrees=0.0):
    """Eyes (left_x, left_y, right_x, right_y) around a point."""
    half = distance / 2 * np.array([np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))])
    return tuple(np.concatenate([middle - half, middle + half]))


def texture(height, width, seed=0, smooth=1.0):
    """uint8 [H, W, 3] with detail of about `smooth` pixels."""
    noise = np.random.default_rng(seed).normal(size=(height, width, 3))
    noise = ndimage.gaussian_filter(noise, (smooth, smooth, 0))
    return np.clip(128 + 40 * noise / noise.std(), 0, 255).astype(np.uint8)


def waves(x, y):
    """A picture that is known at every point: float [..., 3] of positions."""
    return np.stack(
        [
            128 + 60 * np.sin(x / 30) * np.cos(y / 40),
            100 + 50 * np.cos((x + y) / 35),
            140 + 55 * np.sin((x - 2 * y) / 50),
        ],
        axis=-1,
    )


def picture(height, width):
    y, x = np.mgrid[:height, :width] + 0.5
    return np.rint(waves(x, y)).astype(np.uint8)


CASES = [
    (eyes_at((150, 120), 24.8), 1),
    (eyes_at((150.3, 120.6), 70, 17), 0.35),
    (eyes_at((140, 130), 12, -30), 2),
    (eyes_at((20, 30), 90), 0.28),
    (eyes_at((290, 230), 200, 4), 0.12),
]


@pytest.mark.parametrize('eyes, scale', CASES)
def test_eyes_lie_where_the_model_learned_them(eyes, scale):
    frame = align.align_face(eyes, (300, 240), SIZE)
    np.testing.assert_allclose(frame.eyes, MEAN, atol=1e-4)
    np.testing.assert_allclose(np.ravel(frame.to_frame(np.reshape(eyes, (2, 2)))), MEAN, atol=1e-9)
    assert float(frame.scale) == pytest.approx(scale, rel=0.05)
    # a similarity: angles stay, all lengths change alike, nothing is mirrored
    linear = frame.matrix.numpy()[:, :2]
    np.testing.assert_allclose(linear @ linear.T, frame.scale**2 * np.eye(2), atol=1e-9)
    assert np.linalg.det(linear) > 0
    points = np.random.default_rng(0).uniform(-50, 300, (7, 2))
    np.testing.assert_allclose(frame.to_photo(frame.to_frame(points)), points, atol=1e-9)


def test_a_frame_zoomed_to_the_eyes():
    zoomed = (0.2, 0.45, 0.8, 0.4)
    frame = align.align_face((130, 110, 170, 120), (300, 240), SIZE, zoomed)
    np.testing.assert_allclose(frame.eyes, np.multiply(zoomed, SIZE), rtol=1e-6)
    np.testing.assert_allclose(np.ravel(frame.to_frame([[130, 110], [170, 120]])), np.multiply(zoomed, SIZE), atol=1e-9)
    # the distance of both eyes there by that in the photo
    assert float(frame.scale) == pytest.approx(np.hypot(0.6, 0.05) * SIZE / np.hypot(40, 10))
    points = np.array([[10.5, 20.5], [40.5, 33.5]])
    cut = frame.cut(picture(240, 300)).numpy()
    np.testing.assert_allclose([cut[20, 10], cut[33, 40]], waves(*frame.to_photo(points).numpy().T), atol=1.5)


def test_what_is_aligned_already_depends_on_where_eyes_stand():
    for eyes, other in ((MEAN, (0.2, 0.45, 0.8, 0.45)), (np.multiply((0.2, 0.45, 0.8, 0.45), SIZE), align.MEAN_EYES)):
        own = tuple(np.divide(eyes, SIZE) + 0.02)
        np.testing.assert_array_equal(align.align_face(eyes, (SIZE, SIZE), SIZE, own).matrix, np.eye(2, 3))
        assert align.align_face(eyes, (SIZE, SIZE), SIZE, other).scale != 1


@pytest.mark.parametrize('eyes, scale', CASES)
def test_a_cut_shows_the_photo(eyes, scale):
    frame = align.align_face(eyes, (300, 240), SIZE)
    cut = frame.cut(picture(240, 300)).numpy()
    assert cut.shape == (SIZE, SIZE, 3) and cut.dtype == np.uint8
    y, x = np.mgrid[:SIZE, :SIZE] + 0.5
    places = frame.to_photo(np.stack([x, y], axis=-1)).numpy()
    # beyond the photo's border, the pixels there
    expected = waves(*np.moveaxis(np.clip(places, 0.5, [299.5, 239.5]), -1, 0))
    # averages near the border are of what continues it, too
    inside = ((places > 16) & (places < [284, 224])).all(axis=-1)
    difference = np.abs(cut - expected)
    assert difference[inside].max() < 3.5 and difference[inside].mean() < 0.85


def test_what_is_small_in_a_large_photo_is_averaged_not_skipped():
    chess = (np.indices((480, 600)).sum(axis=0) % 2 * 255).astype(np.uint8)[..., None].repeat(3, axis=2)
    cut = align.align_face(eyes_at((300, 200), 200), (600, 480), SIZE).cut(chess).numpy()
    assert np.abs(cut[8:-8, 8:-8] - 127.5).max() < 40


@pytest.mark.parametrize('shift, same', [(0, True), (5, True), (9, False)])
def test_an_aligned_face_is_the_frame_itself(shift, same):
    photo, eyes = picture(SIZE, SIZE), MEAN + shift
    frame = align.align_face(eyes, (SIZE, SIZE), SIZE)
    assert np.array_equal(frame.cut(photo), photo) == same
    np.testing.assert_allclose(frame.eyes, eyes if same else MEAN, rtol=1e-6)


def boxes_of(frame):
    """Boxes of 13 x 8 pixels around the eyes."""
    return [(int(x) - 6, int(y) - 4, int(x) + 7, int(y) + 4) for x, y in np.reshape(frame.eyes, (2, 2))]


def under(frame, boxes, height, width):
    """bool [H, W]: pixels of which any part lies under a box of the frame, by a fine grid of points."""
    y, x = np.mgrid[: height * 4, : width * 4] / 4 + 0.125
    places = frame.to_frame(np.stack([x, y], axis=-1)).numpy()
    inside = np.any([((places > box[:2]) & (places < box[2:])).all(axis=-1) for box in boxes], axis=0)
    return inside.reshape(height, 4, width, 4).any(axis=(1, 3))


@pytest.mark.parametrize('eyes, scale', CASES)
@pytest.mark.parametrize('name', BLENDS)
def test_only_pixels_under_the_boxes_change(eyes, scale, name):
    photo = texture(240, 300)
    frame = align.align_face(eyes, (300, 240), SIZE)
    cut, boxes = frame.cut(photo).numpy(), boxes_of(frame)
    # as a photo that was read is
    photo.flags.writeable = False
    assert blend.put_back(photo, frame, cut, cut, boxes, name) is photo

    painted = texture(SIZE, SIZE, seed=1)
    after = blend.put_back(photo, frame, cut, painted, boxes, name)
    inside = under(frame, boxes, 240, 300)
    np.testing.assert_array_equal(after[~inside], photo[~inside])
    assert np.mean((after != photo).any(axis=-1)[inside]) > 0.5
    assert blend.put_back(photo, frame, cut, painted, boxes, name, strengths=(0, 0)) is photo
    left = blend.put_back(photo, frame, cut, painted, boxes, name, strengths=(1, 0))
    only_left = under(frame, boxes[:1], 240, 300)
    np.testing.assert_array_equal(left[only_left], after[only_left])
    np.testing.assert_array_equal(left[~only_left], photo[~only_left])


def test_eyes_whose_rectangles_meet_are_both_put_back():
    photo = texture(240, 300)
    # steeply turned, with boxes as wide as the eyes are apart: their upright rectangles in the photo overlap
    frame = align.align_face(eyes_at((150, 120), 60, 45), (300, 240), SIZE)
    cut, painted = frame.cut(photo).numpy(), texture(SIZE, SIZE, seed=1)
    boxes = [(int(x) - 12, int(y) - 8, int(x) + 12, int(y) + 8) for x, y in np.reshape(frame.eyes, (2, 2))]
    both, left, right = (
        blend.put_back(photo, frame, cut, painted, boxes, 'hard', strengths) for strengths in ((1, 1), (1, 0), (0, 1))
    )
    np.testing.assert_array_equal(both, np.where(left != photo, left, right))
    own = photo.copy()
    assert blend.put_back(own, frame, cut, painted, boxes, 'hard', in_place=True) is own
    np.testing.assert_array_equal(own, both)


def test_hard_is_what_was_painted():
    photo, painted = texture(SIZE, SIZE), texture(SIZE, SIZE, seed=1)
    frame = align.align_face(MEAN, (SIZE, SIZE), SIZE)
    after = blend.put_back(photo, frame, photo, painted, boxes_of(frame), 'hard')
    inside = under(frame, boxes_of(frame), SIZE, SIZE)
    np.testing.assert_array_equal(after, np.where(inside[..., None], painted, photo))


def test_half_the_strength_is_half_the_change():
    photo, painted = texture(SIZE, SIZE), texture(SIZE, SIZE, seed=1)
    frame = align.align_face(MEAN, (SIZE, SIZE), SIZE)
    whole, half = (
        blend.put_back(photo, frame, photo, painted, boxes_of(frame), 'hard', (strength,) * 2) for strength in (1, 0.5)
    )
    np.testing.assert_allclose(half, (whole.astype(float) + photo) / 2, atol=0.51)


@pytest.mark.parametrize('eyes, scale', CASES)
def test_wrong_colours_of_what_is_painted_do_not_show(eyes, scale):
    photo = picture(240, 300)
    frame = align.align_face(eyes, (300, 240), SIZE)
    cut = frame.cut(photo).numpy()
    slope = np.linspace(0, 15, SIZE)[None, :, None]
    for name, error in (('feather', np.array([20, -10, 5])), ('poisson', np.array([20, -10, 5]) + slope)):
        painted = np.clip(np.rint(cut + error), 0, 255).astype(np.uint8)
        after = blend.put_back(photo, frame, cut, painted, boxes_of(frame), name)
        assert np.abs(after.astype(int) - photo).max() <= 3


def test_membrane_solves_laplaces_equation():
    values = np.random.default_rng(0).normal(size=(7, 9, 2)).astype(np.float32)
    found = blend.membrane(values)
    inner = list(itertools.product(range(1, 6), range(1, 8)))
    matrix, right = sparse.lil_matrix((35, 35)), np.zeros((35, 2))
    for row, (y, x) in enumerate(inner):
        matrix[row, row] = 4
        for place in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
            if place in inner:
                matrix[row, inner.index(place)] = -1
            else:
                right[row] += values[place]
    expected = values.copy()
    expected[1:-1, 1:-1] = np.stack([spsolve(matrix.tocsr(), column) for column in right.T], -1).reshape(5, 7, 2)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_fine_detail_stays_where_structure_does_and_goes_where_it_does_not():
    # a photo four times finer than the frame: an edge, and on it detail that the frame cannot show
    rng = np.random.default_rng(0)
    coarse = picture(240, 300).astype(float)
    detail = rng.normal(0, 12, (240, 300, 1))
    photo = np.clip(coarse + detail, 0, 255).astype(np.uint8)
    frame = align.align_face(eyes_at((150, 100), 100), (300, 240), SIZE)
    cut, boxes = frame.cut(photo).numpy(), boxes_of(frame)
    inside = under(frame, boxes, 240, 300)
    # the same eye in slightly other colours
    alike = np.clip(cut.astype(int) + 6, 0, 255).astype(np.uint8)
    after = blend.put_back(photo, frame, cut, alike, boxes)
    kept = np.corrcoef((after.astype(float) - coarse)[inside].ravel(), (photo - coarse)[inside].ravel())[0, 1]
    assert kept > 0.97
    # another eye altogether: none of the old detail, but as much grain
    other = texture(SIZE, SIZE, seed=5, smooth=2)
    after = blend.put_back(photo, frame, cut, other, boxes)
    x0, y0, x1, y1 = np.array(boxes[0]) + [3, 2, -3, -2]
    middle = under(frame, [(x0, y0, x1, y1)], 240, 300)
    fine = [
        values - ndimage.gaussian_filter(values, (2, 2, 0)) for values in (after.astype(float), photo.astype(float))
    ]
    assert abs(np.corrcoef(fine[0][middle].ravel(), fine[1][middle].ravel())[0, 1]) < 0.35
    assert 0.6 < fine[0][middle].std() / fine[1][middle].std() < 1.4


@pytest.mark.parametrize('sigma', [0, 2, 8])
def test_grain_is_the_noise(sigma):
    noisy = picture(240, 300) + np.random.default_rng(0).normal(0, sigma, (240, 300, 1))
    assert float(blend.grain(noisy.astype(np.float32)[None])[0]) == pytest.approx(sigma, abs=0.3)


def test_sharpness_kept():
    photo = texture(240, 300)
    frame = align.align_face(eyes_at((150, 100), 60), (300, 240), SIZE)
    boxes = boxes_of(frame)
    assert blend.sharpness_kept(photo, photo, frame, boxes) == 1
    # contrast halved is the gradient halved
    flat = (photo.astype(float) / 2 + 64).astype(np.uint8)
    assert blend.sharpness_kept(photo, flat, frame, boxes) == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize('colour, grey', [(0, True), (2, True), (9, False)])
def test_a_grey_photo_gets_grey_eyes(colour, grey):
    photo = np.repeat(picture(240, 300)[..., :1], 3, axis=-1)
    photo[100:140, :, 2] = np.clip(photo[100:140, :, 2].astype(int) + colour, 0, 255)
    frame = align.align_face(eyes_at((150, 100), 60), (300, 240), SIZE)
    cut, painted = frame.cut(photo).numpy(), texture(SIZE, SIZE, seed=3)
    after = blend.put_back(photo, frame, cut, painted, boxes_of(frame)).astype(int)
    gained = np.ptp(after, axis=-1) - np.ptp(photo.astype(int), axis=-1)
    assert (after != photo).any() and (gained.max() <= 1) == grey
