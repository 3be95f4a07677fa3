"""What is measured of turned eyes, with networks of which is known what they do and a detector that reads the truth."""

import json
import math

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from gaze_tf.cli.main import main
from gaze_tf.evaluation import conditions
from gaze_tf.evaluation.measured import measure
from gaze_tf.evaluation.metrics import calibration, iris_offset
from gaze_tf.evaluation.painted import Painted, Tools
from gaze_tf.inference import mediapipe_detector
from tests import rendered, tiny, turned

TOOLS = Tools(detector=turned.detector)
TRUE = np.hypot(*np.transpose(turned.ANGLES))


class Perfect(rendered.Perfect):
    """Also animates: mixes the eyes with the twin's."""

    def animate(self, images, eyes, alphas):
        ends = self.correct(images, eyes)
        return np.stack(
            [np.rint(images + alpha * (ends.astype(float) - images)).clip(0, 255) for alpha in alphas], axis=1
        ).astype(np.uint8)


class Painter(rendered.DoNothing):
    """Changes eyes alone; `paint` takes and gives back those of one picture, float [h, w, 3]."""

    def __init__(self, paint):
        self._paint = paint

    def correct(self, images, eyes):
        images = images.copy()
        for image, own in zip(images, eyes):
            for eye in turned.inside(own):
                image[eye] = np.clip(np.rint(self._paint(image[eye].astype(float))), 0, 255)
        return images


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return turned.make(tmp_path_factory.mktemp('turned') / 'faces')


@pytest.fixture(scope='module')
def samples(folder):
    return turned.samples(folder)


@pytest.fixture(scope='module')
def perfect(samples):
    return measure(Perfect(samples), samples, TOOLS, batch_size=5)


@pytest.fixture(scope='module')
def nothing(samples):
    return measure(rendered.DoNothing(), samples, TOOLS)


def test_a_perfect_correction_has_no_degrees_left(perfect):
    found = perfect.results()['calibrated']
    assert found['after'] == {'mean': 0, 'median': 0, 'p90': 0, 'faces': 12} and found['smaller'] == 1
    assert [found['fits'][axis]['slope'] for axis in ('along', 'up')] == pytest.approx(turned.SLOPES, rel=0.02)
    assert min(fit['r2'] for fit in found['fits'].values()) > 0.99
    assert found['true']['mean'] == pytest.approx(TRUE.mean())


def test_the_untouched_input_has_its_true_degrees(nothing):
    found = nothing.results()['calibrated']
    assert found['before'] == found['after'] and found['ratio'] == 1 and found['smaller'] == 0
    rows = nothing.rows['y']
    np.testing.assert_allclose([row['degrees_before'] for row in rows], TRUE, atol=0.6)


def test_half_the_way_leaves_half_the_sines(samples):
    class Half(Perfect):
        def correct(self, images, eyes):
            ends = super().correct(images, eyes)
            return np.rint((images.astype(float) + ends) / 2).astype(np.uint8)

    rows = measure(Half(samples), samples, TOOLS).rows['y']
    expected = [np.hypot(*np.degrees(np.arcsin(np.sin(np.radians(angles)) / 2))) for angles in turned.ANGLES]
    np.testing.assert_allclose([row['degrees_after'] for row in rows], expected, atol=0.6)


def test_the_head_is_taken_out_of_the_offset(perfect, nothing):
    found = perfect.results()['iris_offset']
    heads = np.abs([turned.HEADS[n % 4][0] for n in range(12)])
    assert found['along_after']['mean'] == pytest.approx(heads.mean(), abs=0.002)
    assert found['along_to_twin']['after'] == {'mean': 0, 'median': 0, 'p90': 0, 'faces': 12}
    assert found['along_to_twin']['before']['mean'] == pytest.approx(
        np.mean([0.5 * abs(math.sin(math.radians(yaw))) for yaw, _ in turned.ANGLES]), abs=0.003
    )
    assert found['along_to_twin']['smaller'] == found['up_to_twin']['smaller'] == 1
    rows = perfect.rows['y']
    smaller = [abs(row['offset_along_after']) < abs(row['offset_along_before']) for row in rows]
    assert found['smaller_along'] == pytest.approx(np.mean(smaller)) and 0 < np.mean(smaller) < 1
    assert nothing.results()['iris_offset']['along_to_twin']['ratio'] == 1


def test_few_faces_give_no_degrees_and_a_reason(folder):
    measured = measure(rendered.DoNothing(), turned.samples(folder, y=9), TOOLS)
    assert 'calibrated' not in measured.results() and 'degrees_after' not in measured.rows['y'][-1]
    assert 'takes 10 faces' in calibration.why_not(measured.rows['y'])


def rows_by_hand(count=20, along=0.3, up=0.1):
    """Rows of Y as they are measured, with no error."""
    return [
        {
            'true_yaw': yaw,
            'true_pitch': pitch,
            **{
                f'offset_{axis}_to_twin_{when}': slope * math.sin(math.radians(angle))
                for when in ('before', 'after')
                for axis, slope, angle in (('along', along, yaw), ('up', up, pitch))
            },
        }
        for yaw, pitch in zip(np.linspace(-30, 25, count), np.linspace(18, -20, count))
    ]


def test_faces_far_off_the_line_do_not_move_it():
    rows = rows_by_hand()
    rows[2]['offset_along_to_twin_before'] = 0.4
    rows[5]['offset_up_to_twin_before'] = math.nan
    found = calibration.fits(rows)
    assert found['along'].slope == pytest.approx(0.3) and found['up'] == pytest.approx((0.1, 1))
    assert found['along'].r2 < 0.8


def test_offsets_that_do_not_follow_the_angles_give_no_degrees():
    assert 'along' in calibration.why_not(rows_by_hand(along=-0.3)) and calibration.fits(rows_by_hand(up=-0.1)) is None
    assert calibration.why_not(rows_by_hand()) == ''


def test_sharpness_of_corrected_eyes(samples, nothing):
    """Checkerboards of half the contrast; those of twins are as those of the input."""
    found = nothing.results()['sharpness']
    assert found['x']['mean'] == found['y']['p10'] == 1 and found['y']['within'] == 1
    mean = (0, 1)
    dull = Painter(lambda eye: eye.mean(mean) + 0.5 * (eye - eye.mean(mean)))
    found = measure(dull, samples).results()['sharpness']
    assert found['x']['mean'] == pytest.approx(0.5, abs=0.1) and found['y']['mean'] == pytest.approx(0.5, abs=0.1)
    assert found['y']['within'] < 1
    for row in nothing.rows['y']:
        image, twin = (
            np.array(face, float) @ [0.299, 0.587, 0.114]
            for sample in samples.read('y', [row['name']])
            for face in (sample.image, sample.twin)
        )
        squares = [
            sum((np.diff(grey[23:36, x - 8 : x + 9], axis=axis) ** 2).sum() for x in (20, 45) for axis in (0, 1))
            for grey in (image, twin)
        ]
        assert row['sharpness_twin'] == pytest.approx(math.sqrt(squares[0] / squares[1]), rel=1e-4)


def test_people_at_the_camera_who_are_moved_and_recoloured(samples, nothing):
    found = nothing.results()['iris_offset']
    assert found['at_camera_moved']['mean'] == found['at_camera_iris_de']['p90'] == 0
    found = measure(Painter(lambda eye: eye + [0, 30, 0]), samples, TOOLS).results()['iris_offset']
    assert found['at_camera_moved']['mean'] == pytest.approx(0.1, abs=0.002) and found['at_camera_moved']['faces'] == 4
    assert found['at_camera_moved_along']['mean'] == pytest.approx(0, abs=0.002)
    assert found['at_camera_iris_de']['median'] > 5


def test_animation_along_the_offsets(perfect, nothing, samples):
    found = perfect.results()['animation_by_offset']
    assert found['rank_correlation']['p10'] == pytest.approx(1) and found['rank_correlation']['faces'] == 12
    assert found['alpha_0']['p90'] == 0
    assert [values['mean'] for values in found['progress'].values()] == pytest.approx(iris_offset.ALPHAS, abs=0.03)
    found = nothing.results()['animation_by_offset']
    assert found['rank_correlation']['mean'] == 0 and found['progress']['0.5']['faces'] == 0

    class Backwards(Perfect):
        def animate(self, images, eyes, alphas):
            return super().animate(images, eyes, [1 - alpha for alpha in alphas])

    measured = measure(Backwards(samples), samples, TOOLS)
    found = measured.results()
    assert found['animation_by_offset']['rank_correlation']['mean'] == pytest.approx(-1)
    assert found['animation_by_offset']['alpha_0']['mean'] == pytest.approx(
        np.mean([np.hypot(*(turned.SLOPES * np.sin(np.radians(angles)))) for angles in turned.ANGLES]), abs=0.003
    )


def test_rank_correlation_by_hand():
    start, end = np.array([0.2, 0]), np.zeros(2)
    track = np.array([(0.2, 0.1), (0.1, 0), (0.15, -0.3), (0.05, 0), (0, 0)])
    # progress has ranks 1 3 2 4 5: 1 - 6 * 2 / (5 * 24)
    assert iris_offset.rank_correlation(iris_offset.ALPHAS, track, start, end) == pytest.approx(0.9)
    assert iris_offset.rank_correlation(iris_offset.ALPHAS, track * [0, 1], start, end) == 0
    assert iris_offset.rank_correlation(iris_offset.ALPHAS, track, start, start) == 0
    track[3] = math.nan
    assert math.isnan(iris_offset.rank_correlation(iris_offset.ALPHAS, track, start, end))


def test_a_face_that_is_lost_is_counted_nowhere(samples):
    lost = samples.read('y', ['y3'])[0].twin

    def detector(image):
        return [] if (image == lost).all() else turned.detector(image)

    found = measure(rendered.DoNothing(), samples, Tools(detector=detector)).results()
    # its twin is that of its person's two other photos, too
    assert found['iris_offset']['along_to_twin']['before']['faces'] == 9
    assert found['iris_offset']['before']['faces'] == 12 and 'calibrated' not in found


def test_conditions_by_hand():
    rng = np.random.default_rng(3)
    photo = rng.integers(60, 200, (40, 40, 3), np.uint8)
    grey = conditions.alter(photo, 'grey', 1, 'a')
    expected = np.rint(photo @ np.array([0.299, 0.587, 0.114]))
    np.testing.assert_array_equal(grey, np.stack([expected] * 3, axis=-1))
    np.testing.assert_array_equal(conditions.alter(photo, 'dark', 1, 'a'), np.rint(photo / 3))
    noisy = conditions.alter(photo, 'noise', 1, 'a')
    assert (noisy - photo.astype(float)).std() == pytest.approx(8, rel=0.03)
    np.testing.assert_array_equal(noisy, conditions.alter(photo, 'noise', 1, 'a'))
    assert (noisy != conditions.alter(photo, 'noise', 1, 'b')).any()


@pytest.mark.parametrize('condition, scale, sigma', [('blur1.5', 1, 1.5), ('blur3', 1, 3), ('blur1.5', 0.5, 3)])
def test_blur_is_as_wide_as_it_says_in_the_frame(condition, scale, sigma):
    """An edge becomes the normal distribution: 84 % of the way one sigma beyond it."""
    photo = np.zeros((20, 61, 3), np.uint8)
    photo[:, 30:] = 200
    row = conditions.alter(photo, condition, scale, 'a')[10, :, 0] / 200
    assert np.interp(29.5 + sigma, np.arange(61), row) == pytest.approx(0.841, abs=0.01)


def test_conditions_reach_the_network_through_the_data_sets_image(folder):
    zoomed = turned.samples(folder, frame_eyes=(0.2, 0.45, 0.8, 0.45))
    (sample,) = zoomed.read('y', ['y2'])
    given = []

    class Noting(rendered.DoNothing):
        def correct(self, images, eyes):
            given.extend(images)
            return images

    painted = Painted(Noting(), [sample], Tools(detector=turned.detector)).under('blur1.5')
    np.testing.assert_array_equal(painted.corrected, painted.images)
    sigma = 1.5 / float(sample.frame.scale)
    assert 0.9 < sigma < 1.1  # eyes 25 pixels apart become 38.4
    with Image.open(folder / '0' / 'y2.jpg') as image:
        photo = np.array(image.convert('RGB'), float)
    blurred = np.rint(ndimage.gaussian_filter(photo, (sigma, sigma, 0))).astype(np.uint8)
    np.testing.assert_array_equal(given[0], sample.frame.cut(blurred).numpy())
    assert painted.offset_after_alone[0, 0] == pytest.approx(
        (np.mean([blurred[eye][..., 0].mean() for eye in turned.inside()]) - 128) / 300
    )


def test_doing_nothing_is_sharp_and_colourless_under_all_conditions(samples):
    measured = measure(rendered.DoNothing(), samples, TOOLS._replace(conditions=conditions.NAMES))
    found = measured.results()['conditions']
    assert list(found) == list(conditions.NAMES)
    for block in found.values():
        assert block['sharpness']['mean'] == block['sharpness']['within'] == 1
        assert block['psnr_twin']['faces'] == block['offset_along_after']['faces'] == 12
    assert found['grey']['chroma_max'] == found['grey']['tinted'] == 0
    # noise leaves the mean of an eye where it was
    assert found['noise']['offset_along_ratio'] == pytest.approx(1, abs=0.05)


def test_a_twin_is_altered_as_its_face_is(samples):
    same = [sample._replace(twin=sample.image) for sample in samples.read('y', ['y0', 'y1'])]
    for condition in conditions.NAMES:
        painted = Painted(rendered.DoNothing(), same).under(condition)
        assert (painted.images == painted.twins).all() and (painted.images != same[0].image).any()


def test_a_network_that_tints_grey_faces_is_caught(samples):
    tinting = Painter(lambda eye: eye + [6, 0, 0])
    found = measure(tinting, samples, Tools(conditions=('grey',))).results()['conditions']
    assert (
        found['grey']['chroma_max'] == 6 and found['grey']['tinted'] == 1 and 'offset_along_after' not in found['grey']
    )


def test_a_network_that_paints_sharp_eyes_into_blurred_faces_is_caught(samples):
    y, x = np.mgrid[:12, :16]
    board = Painter(lambda eye: eye.mean((0, 1)) + 12 * (-1.0) ** (x + y)[..., None])
    found = measure(board, samples, Tools(conditions=('blur3', 'noise'))).results()
    assert found['sharpness']['y']['within'] == 1
    assert (
        found['conditions']['blur3']['sharpness']['mean'] > 2
        and found['conditions']['blur3']['sharpness']['within'] == 0
    )


def test_one_command_reports_all_of_it(folder, model_dir, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(mediapipe_detector, 'MediapipeDetector', lambda *args: turned.detector)
    options = {'model': model_dir, 'data': folder, 'test_x': 4, 'test_y': 12, 'output': tmp_path / 'report'}
    assert main(['evaluate', *tiny.arguments(conditions='grey,blur3', **options)]) == 0
    results = json.loads((tmp_path / 'report' / 'report.json').read_text())['results']
    assert {'iris_offset', 'calibrated', 'animation_by_offset', 'sharpness', 'conditions'} <= set(results)
    assert set(results['conditions']) == {'grey', 'blur3'} and results['calibrated']['before']['faces'] == 12
    out, page = capsys.readouterr().out, (tmp_path / 'report' / 'index.html').read_text(encoding='utf-8')
    for text in (
        'degrees by iris offset after correction',
        'iris offset along for a sine of 1',
        'blur3: sharpness of the eyes',
        'grey: most color gained',
        'rank correlation of alpha and iris offset',
        'iris color of X',
    ):
        assert text in out and text in page
    assert 'degrees and animation' not in out and '--conditions=grey,blur3' in page
    header = (tmp_path / 'report' / 'per_image.csv').read_text().splitlines()[0].split(',')
    assert {
        'degrees_after',
        'offset_along_to_twin_after',
        'offset_rank_correlation',
        'sharpness_twin',
        'grey_chroma',
        'blur3_psnr_twin',
        'offset_moved',
        'iris_de',
    } <= set(header)


def test_few_faces_are_told_in_the_report(folder, model_dir, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(mediapipe_detector, 'MediapipeDetector', lambda *args: turned.detector)
    options = {'model': model_dir, 'data': folder, 'test_x': 1, 'test_y': 2, 'output': tmp_path / 'report'}
    assert main(['evaluate', *tiny.arguments(**options)]) == 0
    assert 'degrees by iris offset: not computed; it takes 10 faces' in capsys.readouterr().out


def test_help_names_every_condition(capsys):
    assert main(['evaluate', '--help']) == 0
    words = set(capsys.readouterr().out.replace(',', ' ').split())
    assert set(conditions.NAMES) <= words
