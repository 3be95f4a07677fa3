"""Measurements of networks of which is known what they do: one that returns the twins' eyes, one that does nothing, and
ones that do harm. Expected numbers are worked out here, by hand or from the files."""

import math

import numpy as np
import pytest
from PIL import Image

from gaze_tf.evaluation.measured import measure
from gaze_tf.evaluation.metrics.statistics import between_people, stats
from gaze_tf.evaluation.painted import ALPHAS, Tools, eye_crops
from gaze_tf.evaluation.samples import Samples
from gaze_tf.inference.faces import Face
from tests import rendered, tiny


@pytest.fixture(scope='module')
def samples(rendered_dir):
    return rendered.samples(rendered_dir)


@pytest.fixture(scope='module')
def tools(samples):
    return Tools(estimator=rendered.Oracle(samples))


@pytest.fixture(scope='module')
def perfect(samples, tools):
    return measure(rendered.Perfect(samples), samples, tools, batch_size=3)


@pytest.fixture(scope='module')
def nothing(samples, tools):
    return measure(rendered.DoNothing(), samples, tools)


def all_rows(measured):
    return [*measured.rows['x'], *measured.rows['y']]


def true_angles(samples, folder):
    """Degrees: the cosine of the angle to the camera is cos(yaw) cos(pitch)."""
    rows = [rendered.truth(folder)[name] for name in samples.names['y']]
    gazes = [[math.radians(float(row[name])) for name in ('yaw_deg', 'pitch_deg')] for row in rows]
    return [math.degrees(math.acos(math.cos(yaw) * math.cos(pitch))) for yaw, pitch in gazes]


def test_there_is_a_row_for_each_face_whatever_the_batches(perfect, samples, tools):
    names = [(domain, name) for domain in 'xy' for name in samples.names[domain]]
    assert [(row['domain'], row['name']) for row in all_rows(perfect)] == names
    whole = measure(rendered.Perfect(samples), samples, tools, batch_size=8)
    assert [list(row) for row in all_rows(whole)] == [list(row) for row in all_rows(perfect)]
    for one, other in zip(all_rows(whole), all_rows(perfect)):
        np.testing.assert_equal([one[name] for name in one], [other[name] for name in one])


def test_a_perfect_correction_looks_at_the_camera(perfect, samples, rendered_dir):
    found = perfect.results()['gaze']
    assert found['true']['mean'] == pytest.approx(np.mean(true_angles(samples, rendered_dir)), abs=1e-6)
    assert found['before']['median'] == pytest.approx(np.median(true_angles(samples, rendered_dir)), abs=1e-6)
    assert found['after'] == {'mean': 0, 'median': 0, 'p90': 0, 'faces': 8}
    assert found['ratio'] == 0 and found['smaller'] == 1 and found['twin']['mean'] == 0
    assert found['estimator_error_input']['p90'] == pytest.approx(0, abs=1e-6)


def test_doing_nothing_leaves_the_angle(nothing):
    found = nothing.results()['gaze']
    assert found['ratio'] == 1 and found['smaller'] == 0 and found['after'] == found['before']


def test_groups_hold_each_face_once_and_their_own_means(nothing, samples, rendered_dir):
    found = nothing.results()['gaze']
    truth = [rendered.truth(rendered_dir)[name] for name in samples.names['y']]
    angles = np.array(true_angles(samples, rendered_dir))
    gaze = np.array([[float(row['yaw_deg']), float(row['pitch_deg'])] for row in truth])
    sideways = abs(gaze[:, 0]) >= abs(gaze[:, 1])
    expected = {
        'left': sideways & (gaze[:, 0] < 0),
        'right': sideways & (gaze[:, 0] > 0),
        'up': ~sideways & (gaze[:, 1] > 0),
        'down': ~sideways & (gaze[:, 1] < 0),
        **{f'{low}-{low + 5}': (angles >= low) & (angles < low + 5) for low in range(10, 35, 5)},
    }
    expected = {name: angles[own] for name, own in expected.items() if own.any()}
    groups = {**found['by_direction'], **found['by_size']}
    assert set(groups) == set(expected)
    for name, own in expected.items():
        assert groups[name]['before']['mean'] == pytest.approx(own.mean(), abs=1e-6)
        assert groups[name]['before']['faces'] == len(own)


def test_animation_that_goes_where_it_should(perfect):
    found = perfect.results()['animation']
    assert found['rank_correlation']['mean'] == pytest.approx(1) and found['rank_correlation']['faces'] == 8
    assert found['error_within_0_1']['p90'] == pytest.approx(0, abs=1e-6)
    assert found['error_beyond_0_1']['p90'] == pytest.approx(0, abs=1e-6)
    assert list(found['by_alpha']) == [f'{alpha:g}' for alpha in ALPHAS]


def test_animation_that_stands_still(nothing, samples, rendered_dir):
    """At alpha the gaze is alpha times the way off; at 0 it is right, at 1.25 one and a quarter of the way."""
    found = nothing.results()['animation']
    assert found['rank_correlation']['mean'] == 0
    errors = {alpha: values['error']['mean'] for alpha, values in found['by_alpha'].items()}
    assert errors['0'] == pytest.approx(0, abs=1e-6)
    assert errors['1'] == pytest.approx(np.mean(true_angles(samples, rendered_dir)), abs=1e-6)
    assert errors['0.5'] < errors['1'] < errors['1.25']
    assert found['by_alpha']['0.5']['progress']['mean'] == pytest.approx(0, abs=1e-6)


def test_a_perfect_correction_has_the_twins_eyes(perfect):
    found = perfect.results()
    assert found['twin']['l1_twin'] == {'mean': 0, 'median': 0, 'p90': 0, 'faces': 8}
    assert found['twin']['psnr_twin']['median'] == math.inf and found['twin']['ssim_twin']['mean'] == pytest.approx(1)
    assert found['identity']['iris_de_twin']['p90'] == pytest.approx(0)
    assert found['identity']['iris_de'] == pytest.approx(found['identity']['iris_de_floor'])


def test_the_untouched_input_is_compared_with_the_twin(nothing, samples, rendered_dir):
    """From the files, in numpy: inside both boxes, mean over faces of the mean absolute difference."""
    means = []
    for sample in samples.read('y', samples.names['y']):
        a, b = (
            np.array(Image.open(rendered_dir / file).convert('RGB'), float)
            for file in (f'0/{sample.name}.jpg', f'twins/{sample.name}.png')
        )
        inside = np.zeros((64, 64), bool)
        for x, y in np.reshape(sample.eyes, (2, 2)).astype(int):
            inside[y - 6 : y + 7, x - 8 : x + 9] = True
        means.append(abs(a - b)[inside].mean())
    found = nothing.results()['twin']
    assert found['l1_twin']['mean'] == pytest.approx(np.mean(means)) == found['l1_twin_untouched']['mean']
    assert found['psnr_twin']['mean'] < 40


def test_doing_nothing_keeps_the_person(nothing):
    found = nothing.results()
    assert found['identity']['content_distance']['p90'] == 0 == found['identity']['skin_de']['p90']
    assert found['reconstruction']['x']['l1_image']['mean'] == 0 == found['reconstruction']['y']['l1_boxes']['mean']
    assert found['reconstruction']['y']['psnr_boxes']['mean'] == math.inf
    assert found['containment'] == {'changed_outside': 0, 'faces': 0, 'outputs': 4 + 8 * 12}


def test_content_codes_are_compared_between_different_people_only():
    """By hand: of four codes with two of one person, the five pairs are 1, 3, 6, 2 and 5 apart."""
    codes = np.array([[0.0], [1.0], [1.0], [6.0]]) * np.ones(3) + [[0], [0], [2], [0]]
    assert between_people(codes, ['a', 'b', 'b', 'c']) == pytest.approx((1 + 3 + 6 + 5 + 3) / 5)
    assert between_people(codes[:2], ['a', 'a']) is None


def test_pixels_that_change_outside_the_boxes_are_counted(samples, tools):
    class Leaking(rendered.DoNothing):
        def correct(self, images, eyes):
            images = images.copy()
            images[:, :2, 0] ^= 1
            return images

        def animate(self, images, eyes, alphas):
            frames = super().animate(images, eyes, alphas).copy()
            frames[:, 3, -1, -1, 2] ^= 1
            return frames

    found = measure(Leaking(), samples).results()['containment']
    assert found == {'changed_outside': 4 * 2 + 8 * 3, 'faces': 12, 'outputs': 100}


def test_colors_that_change_are_seen(samples):
    class Gray(rendered.DoNothing):
        def correct(self, images, eyes):
            return np.full_like(images, 128)

    found = measure(Gray(), samples).results()['identity']
    for name in ('iris_de', 'iris_de_twin', 'skin_de', 'skin_de_twin'):
        assert found[name]['mean'] > 5 + found['iris_de_floor']['mean'] * (name == 'iris_de')


def test_what_was_not_measured_is_absent(samples, faces_dir):
    rendered_only = measure(rendered.DoNothing(), samples).results()
    assert set(rendered_only) == {'reconstruction', 'identity', 'twin', 'containment', 'sharpness'}
    photos = Samples(faces_dir, tiny.SIZE, {'x': 2, 'y': 3})
    found = measure(rendered.DoNothing(), photos)
    assert set(found.results()) == {'reconstruction', 'identity', 'containment', 'sharpness'}
    assert 'iris_de' not in found.results()['identity']


def test_iris_offsets_of_photos(faces_dir):
    """A detector that sees irises 2 eye widths aside in what was given and 1 in what was painted, and loses a face."""
    photos = Samples(faces_dir, tiny.SIZE, {'x': 2, 'y': 3})
    before = [sample.image for sample in photos.read('y', photos.names['y'])]

    class Brighter(rendered.DoNothing):
        def correct(self, images, eyes):
            return np.full_like(images, 77)

    def detector(image):
        if (image == before[1]).all():
            return []
        aside = 5 if (image == 77).all() else 10
        return [Face((9.0, 12.0, 22.0, 12.0), (9.0 + aside, 12.0, 22.0 + aside, 12.0), eye_width=5.0)]

    found = measure(Brighter(), photos, Tools(detector=detector)).results()['iris_offset']
    assert found['before']['mean'] == pytest.approx(2) and found['after']['mean'] == pytest.approx(1)
    assert found['ratio'] == pytest.approx(0.5) and found['smaller'] == 1
    assert found['not_found'] == 1 and found['before']['faces'] == 2 and found['up_after']['mean'] == pytest.approx(0)
    assert found['at_camera'] == {
        'mean': pytest.approx(2),
        'median': pytest.approx(2),
        'p90': pytest.approx(2),
        'faces': 2,
    }


def test_a_frame_zoomed_to_the_eyes_is_measured_in_the_data_sets_image(rendered_dir):
    """A network that blackens eyes; a detector and an estimator that note what they are given."""
    zoomed = Samples(rendered_dir, 64, rendered.HELD_OUT, frame_eyes=(0.2, 0.45, 0.8, 0.45))
    whole = rendered.samples(rendered_dir)
    faces = {
        (domain, name): sample
        for domain in 'xy'
        for name, sample in zip(whole.names[domain], whole.read(domain, whole.names[domain]))
    }

    class Blackener(rendered.DoNothing):
        def correct(self, images, eyes):
            images = images.copy()
            for image, own in zip(images, eyes):
                for x0, y0, x1, y1 in self.boxes(own):
                    image[y0:y1, x0:x1] //= 4
            return images

    looked, read = [], []

    def detector(image):
        looked.append(image)
        return [
            Face(tuple(sample.eyes), tuple(sample.eyes + 1), eye_width=5.0)
            for sample in faces.values()
            if np.mean(sample.image != image) < 0.2
        ]

    def estimator(images, eyes):
        read.extend(zip(images, eyes))
        return np.zeros([len(images), 2])

    rows = all_rows(measure(Blackener(), zoomed, Tools(detector=detector, estimator=estimator)))
    # before and after, of Y also the twin and five frames of its animation
    starts = [2 * n if n < 4 else 8 + 8 * (n - 4) for n in range(len(rows))]
    assert len(looked) == 4 * 2 + 8 * 8 and not any(np.isnan(row['offset_size_after']) for row in rows)
    for start, row in zip(starts, rows):
        sample, (before, after) = faces[row['domain'], row['name']], looked[start : start + 2]
        np.testing.assert_array_equal(before, sample.image)
        changed = (after != before).any(-1)
        # boxes of 17 x 13 pixels around eyes 38.4 apart are smaller here, where eyes are nearer to each other
        scale = np.hypot(*(sample.eyes[2:] - sample.eyes[:2])) / 38.4
        y, x = np.mgrid[:64, :64] + 0.5
        near = np.min([np.hypot(x - cx, y - cy) for cx, cy in np.reshape(sample.eyes, (2, 2))], axis=0)
        assert changed.any() and not changed[near > scale * np.hypot(9, 7) + 2].any()
    # the input, the correction and the twin of the 8 faces of Y, and frames of animations
    assert len(read) == 8 * (3 + len(ALPHAS))
    owners = [sample for sample in faces.values() if sample.domain == 'y']
    for sample, (image, eyes) in zip(owners, read[:8]):
        np.testing.assert_array_equal(image, sample.image)
        np.testing.assert_allclose(eyes, sample.eyes, atol=1e-3)
    for sample, (image, _) in zip(owners, read[16:24]):
        np.testing.assert_array_equal(image, sample.twin)


def test_stats_by_hand():
    nan, inf = math.nan, math.inf
    assert stats([1, 2, 3, 4, nan]) == {'mean': 2.5, 'median': 2.5, 'p90': pytest.approx(3.7), 'faces': 4}
    assert stats([1, 2, 3, 4], higher_is_better=True)['p10'] == pytest.approx(1.3)
    assert stats([nan]) == {'mean': None, 'median': None, 'p90': None, 'faces': 0}
    assert stats([1, inf, inf], True) == {'mean': inf, 'median': inf, 'p10': 1, 'faces': 3}


def test_perceptual_measures_get_whole_faces_and_eyes(samples):
    """Stand-ins that tell what they were given: differences of means, and means as features."""

    def lpips(a, b):
        assert a.shape == b.shape and a.shape[1:] in ((64, 64, 3),)
        return np.arange(len(a), dtype=float)

    def inception(images):
        assert images.dtype == np.uint8
        return images.mean((1, 2))

    found = measure(rendered.Perfect(samples), samples, Tools(lpips=lpips, inception=inception), batch_size=4)
    assert [row['lpips_image'] for row in found.rows['x']] == [0, 1, 2, 3]
    assert [row['lpips_eyes'] for row in found.rows['x']] == [0.5, 2.5, 4.5, 6.5]  # of both eyes of a face
    assert {name: {kind: part.shape for kind, part in kinds.items()} for name, kinds in found.features.items()} == {
        'x': {'faces': (4, 3), 'eyes': (8, 3)},
        'y': {'faces': (8, 3), 'eyes': (16, 3)},
        'corrected': {'faces': (8, 3), 'eyes': (16, 3)},
    }
    assert not (found.features['y']['eyes'] == found.features['corrected']['eyes']).all()
    assert set(found.results()['distribution']) == {
        'faces_corrected',
        'faces_untouched',
        'eyes_corrected',
        'eyes_untouched',
    }


def test_eye_crops_are_the_boxes(samples):
    """A box of whole colors stays what it is, whatever the resampling."""
    image = np.zeros((64, 64, 3), np.uint8)
    image[20:30, 5:21], image[20:30, 40:56] = 50, 200
    crops = eye_crops(image[None], np.array([[[5, 20, 21, 30], [40, 20, 56, 30]]]))
    assert crops.shape == (2, 64, 64, 3) and (crops[0] == 50).all() and (crops[1] == 200).all()
