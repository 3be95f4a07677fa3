"""Eyes of a photo that are turned: what moves, what stays, and which photos are left alone."""

import csv
import json
import os
import pathlib

import numpy as np
import pytest
from PIL import Image

from gaze_tf.cli.main import main
from gaze_tf.data import celebagaze
from gaze_tf.datasets import directions, people
from gaze_tf.datasets import turned as dataset
from gaze_tf.datasets.turned_options import TurnedOptions
from gaze_tf.editing.face_reports import report_faces
from gaze_tf.errors import GazeError
from gaze_tf.evaluation.samples import Samples
from gaze_tf.inference.faces import iris_offset
from gaze_tf.inference.mediapipe_detector import MediapipeDetector
from gaze_tf.turning.eyeball import direction, yaw_pitch
from gaze_tf.turning.turn import EyeTurner, turn_eyes, turn_photo
from gaze_tf.turning.unfit import Unfit
from tests import photos, tiny

# irises and eye width by hand in tests/data/portrait.png, as its README has them
IRISES, EYE_WIDTH = np.array([[128, 100.5], [172, 103]]), 18.8
SIDE = 64
OPTIONS = TurnedOptions(img_size=SIDE, directions=2, test_people='anna')


@pytest.fixture(scope='module')
def rgb():
    with Image.open(photos.PORTRAIT) as image:
        return np.array(image.convert('RGB'))


@pytest.fixture(scope='module')
def detector(face_models):
    return MediapipeDetector()


@pytest.fixture(scope='module')
def turner(rgb, detector):
    return EyeTurner(rgb, detector(rgb)[0], detector, strict=True)


def eye_mask(shape, widths=1.0):
    """What is within so many eye widths of an iris."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    return np.any([np.hypot(x + 0.5 - iris[0], y + 0.5 - iris[1]) < widths * EYE_WIDTH for iris in IRISES], axis=0)


def test_gaze_at_the_camera_gives_the_photo_back(rgb, turner):
    assert np.abs(turner.render(0, 0).astype(int) - rgb).max() <= 1


@pytest.mark.parametrize('yaw, pitch', [(20, 0), (-25, 10), (5, -18)])
def test_only_eyes_change(rgb, turner, yaw, pitch):
    changed = (turner.render(yaw, pitch) != rgb).any(-1)
    assert not changed[~eye_mask(rgb.shape)].any()
    # of the two discs of the irises, whose radius is about 4 pixels
    assert changed[eye_mask(rgb.shape, 0.2)].mean() > 0.8


def test_irises_move_with_the_sine_of_the_angle(rgb, turner, detector):
    angles = np.array([-25, -15, 0, 15, 25])
    offsets = np.array([iris_offset(detector(turner.render(angle, 0))[0]) for angle in angles])
    sines = np.sin(np.radians(angles))
    slope = np.polyfit(sines, offsets[:, 0], 1)[0]
    # an eyeball of 10 mm from its centre to the iris, eyes 29 mm wide: 0.34; mediapipe sees three quarters and less
    assert 0.15 < slope < 0.4
    assert np.corrcoef(sines, offsets[:, 0])[0, 1] > 0.98
    up, down = (iris_offset(detector(turner.render(0, pitch))[0])[1] for pitch in (15, -15))
    assert up > down + 0.02


@pytest.mark.parametrize('yaw, pitch', [(-30, 0), (0, 20), (0, -20), (20, -15)])
def test_turned_eyes_are_not_taken_for_covered(turner, detector, yaw, pitch):
    (report,) = report_faces(turner.render(yaw, pitch), detector)
    assert report.reason == ''


def test_irises_are_where_they_say(turner):
    at_camera = turner.irises(0, 0)
    assert np.linalg.norm(at_camera + 0.5 - IRISES, axis=1).max() < 1.5
    # 11.7 mm is the diameter of an iris, 10 mm the distance from the globe's centre
    px_per_mm = turner.iris_radius / 5.85
    moved = turner.irises(20, -10) - at_camera
    expected = 10 * px_per_mm * np.array([np.sin(np.radians(20)) * np.cos(np.radians(10)), np.sin(np.radians(10))])
    np.testing.assert_allclose(moved, [expected, expected], rtol=0.03)


def test_a_rolled_photo_is_turned_alike(rgb, detector):
    rolled = np.asarray(Image.fromarray(rgb).rotate(-10, Image.BICUBIC, expand=True))
    turner = EyeTurner(rolled, detector(rolled)[0], detector)
    moved = turner.irises(20, 0) - turner.irises(0, 0)
    # along the image's axis, not the head's
    assert np.abs(moved[:, 1]).max() < 0.01 and moved.min(axis=0)[0] > 1


def test_the_same_seed_gives_the_same_bits(rgb, detector):
    first, again, other = (turn_eyes(rgb, 15, 5, seed, detector) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.mark.parametrize(
    'spoil, reason',
    [
        (lambda rgb: np.full_like(rgb, 90), 'no face'),
        (lambda rgb: np.asarray(Image.fromarray(rgb).resize((120, 120))), 'pixels wide'),
        (lambda rgb: _painted(rgb, 0.6, (215, 170, 150)), 'closed|covered|stands out|white|open'),
        (lambda rgb: np.asarray(Image.fromarray(rgb).resize((50, 50)).resize((300, 300))), 'stands out'),
    ],
)
def test_unfit_photos(rgb, detector, spoil, reason):
    with pytest.raises(Unfit, match=reason):
        turn_eyes(spoil(rgb), 10, 0, detector=detector)


def _painted(rgb, widths, value):
    """With discs over the eyes."""
    rgb = rgb.copy()
    rgb[eye_mask(rgb.shape, widths)] = value
    return rgb


def test_who_looks_past_the_camera_is_unfit(turner, detector):
    with pytest.raises(Unfit, match='does not look at the camera'):
        turn_eyes(turner.render(30, 0), 10, 0, detector=detector)


@pytest.mark.parametrize('yaw, pitch, name', [(41, 0, 'yaw'), (0, -60, 'pitch'), (float('nan'), 0, 'yaw')])
def test_angles_out_of_range(rgb, detector, yaw, pitch, name):
    with pytest.raises(GazeError, match=f'`{name}=.*` must be between -40 and 40'):
        turn_eyes(rgb, yaw, pitch, detector=detector)


def test_directions_on_the_image_plane():
    assert yaw_pitch(20, 0) == pytest.approx((20, 0)) and yaw_pitch(20, 90) == pytest.approx((0, 20))
    for angle, around in ((15, 40), (30, 200), (25, 330)):
        x, y = direction(*yaw_pitch(angle, around))
        assert np.degrees(np.arcsin(np.hypot(x, y))) == pytest.approx(angle)
        assert np.degrees(np.arctan2(-y, x)) % 360 == pytest.approx(around)


def test_drawn_directions():
    many = [directions.draw_directions(0, f'name{k}', 3, 10, 30, 0.5) for k in range(400)]
    assert (
        many[7]
        == directions.draw_directions(0, 'name7', 3, 10, 30, 0.5)
        != directions.draw_directions(1, 'name7', 3, 10, 30, 0.5)
    )
    assert 0.4 < np.mean([one.x is not None for one in many]) < 0.6
    assert all(np.hypot(*one.x) <= 2 for one in many if one.x)
    planes = np.array([[direction(*pair) for pair in one.y] for one in many])
    angles = np.degrees(np.arcsin(np.linalg.norm(planes, axis=-1)))
    assert angles.min() >= 10 and angles.max() <= 30
    assert np.abs([pitch for one in many for _, pitch in one.y]).max() <= directions.MAX_PITCH + 1e-9
    # all round, and those of one photo apart
    around = np.degrees(np.arctan2(-planes[..., 1], planes[..., 0]))
    counts = np.histogram(around, 6, (-180, 180))[0]
    assert counts.min() > 150 and counts.max() < 250
    apart = np.abs((around[:, :, None] - around[:, None] + 180) % 360 - 180)[:, ~np.eye(3, dtype=bool)]
    assert apart.min() > 30


# ------------------------------------------------------------------------------------------------------ commands
def test_turn_command(rgb, detector, tmp_path, capsys):
    output = tmp_path / 'out.png'
    assert main(['turn', *tiny.arguments(input=photos.PORTRAIT, output=output, yaw=20, pitch=-5)]) == 0
    assert 'face 0: done' in capsys.readouterr().out
    with Image.open(output) as image:
        np.testing.assert_array_equal(
            np.array(image.convert('RGB')), turn_photo(photos.PORTRAIT, 20, -5, detector).image
        )


@pytest.mark.usefixtures('face_models')
def test_turn_command_on_a_folder(rgb, tmp_path, capsys):
    (tmp_path / 'in').mkdir()
    Image.fromarray(rgb).save(tmp_path / 'in' / 'good.png')
    Image.new('RGB', (90, 90)).save(tmp_path / 'in' / 'empty.png')
    (tmp_path / 'in' / 'bad.png').write_text('no photo')
    assert main(['turn', *tiny.arguments(input=tmp_path / 'in', output=tmp_path / 'out', yaw=10)]) == 1
    out, err = capsys.readouterr()
    assert '1 turned' in out and '1 left out' in out and '1 failed' in out
    assert 'No face was found' in err and 'bad.png: this is not a photo' in err
    assert [path.name for path in (tmp_path / 'out').iterdir()] == ['good.png']


def test_turn_command_asks_for_an_angle(tmp_path, capsys):
    assert main(['turn', *tiny.arguments(input=photos.PORTRAIT, output=tmp_path / 'out.png')]) == 1
    assert '--yaw and --pitch say where' in capsys.readouterr().err and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    'changes, message',
    [
        ({'yaw': 50}, '--yaw must be at most 40'),
        ({'input': 'film.mp4'}, 'is a video: turn takes photos'),
        ({'input': 'nothing.jpg'}, 'There is no nothing.jpg'),
        ({'output': ''}, '--output is needed'),
    ],
)
def test_turn_command_refuses(tmp_path, capsys, changes, message):
    options = {'input': photos.PORTRAIT, 'output': tmp_path / 'out.png', 'yaw': 10, **changes}
    assert main(['turn', *tiny.arguments(**options)]) == 1
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope='module')
def people_dir(rgb, tmp_path_factory):
    """Two people in two folders, one of them in both, and files that are of no use."""
    folder = tmp_path_factory.mktemp('people')
    for name, pixels in (('a/anna.png', rgb), ('a/berta.png', rgb[:, ::-1]), ('b/anna.png', rgb[10:, 10:])):
        (folder / name).parent.mkdir(exist_ok=True)
        Image.fromarray(pixels).save(folder / name)
    Image.new('RGB', (90, 90)).save(folder / 'b' / 'empty.png')
    (folder / 'b' / 'bad.jpg').write_text('no photo')
    return folder


@pytest.fixture(scope='module')
def turned_dir(people_dir, tmp_path_factory, face_models):
    output = tmp_path_factory.mktemp('turned') / 'set'
    dataset.make([people_dir / 'a', people_dir / 'b'], output, OPTIONS, workers=1)
    return output


def test_dataset(turned_dir):
    x, y = (celebagaze.read_domain(turned_dir, domain).rows for domain in 'xy')
    # of the two people anna is held out, and comes last
    assert [face.name for face in x] == ['berta', 'anna', 'anna-2']
    assert [face.name for face in y] == ['berta_1', 'berta_2', 'anna_1', 'anna_2', 'anna-2_1', 'anna-2_2']
    rejects = json.loads((turned_dir / 'rejects.json').read_text())
    assert [pathlib.Path(row['file']).name for row in rejects] == ['bad.jpg', 'empty.png']
    assert 'no face was found' in rejects[1]['reason']
    with open(turned_dir / 'truth.csv', newline='') as file:
        rows = list(csv.DictReader(file))
    assert {row['name']: row['identity'] for row in rows}['anna-2_1'] == 'anna'
    assert len({(row['yaw_deg'], row['pitch_deg']) for row in rows if row['domain'] == 'Y'}) == 6
    assert all((turned_dir / row['twin']).is_file() for row in rows if row['domain'] == 'Y')


def test_dataset_as_held_out_faces(turned_dir):
    """As `gaze-tf evaluate` reads it; and the irises' shift agrees with the angles."""
    samples = Samples(turned_dir, SIDE, {'x': 2, 'y': 4})
    assert samples.has_truth and not samples.drawn and samples.shared_identities == 0
    for sample in samples.read('y', ['anna_1', 'anna_2']):
        shift = sample.truth.iris - sample.truth.twin_iris
        along, up = direction(*sample.truth.gaze)
        expected = 10 / 5.85 * sample.truth.radius * np.array([along, up])
        # the portrait is rolled by 3 degrees, which the frame takes out
        assert np.abs(shift - expected).max() < 0.1 * np.linalg.norm(expected)
        changed = np.abs(sample.image.astype(int) - sample.twin).max(-1)
        assert np.median(changed) <= 2 and changed.max() > 25


@pytest.mark.slow
def test_turn_dataset_command_in_two_processes(people_dir, turned_dir, tmp_path, monkeypatch, capsys):
    """Writes what one process has written."""
    monkeypatch.setattr(os, 'sched_getaffinity', lambda _: {0, 1})
    folder, photos_of = tmp_path / 'two', f'{people_dir}/a,{people_dir}/b'
    options = {'input': photos_of, 'output_dir': folder, 'img_size': SIDE, 'directions': 2, 'test_people': 'anna'}
    assert main(['turn-dataset', *tiny.arguments(**options)]) == 0
    out = capsys.readouterr().out
    assert '2 people, 3 faces in domain X' in out and '--test_x=2 --test_y=4' in out
    files = [path.relative_to(turned_dir) for path in sorted(turned_dir.rglob('*')) if path.is_file()]
    assert len(files) == 3 + 6 + 6 + 4
    for file in files:
        assert (folder / file).read_bytes() == (turned_dir / file).read_bytes(), file


@pytest.mark.slow
def test_dataset_without_a_detector(people_dir, tmp_path, capsys):
    """The processes that turn eyes say what they lack."""
    options = tiny.arguments(input=people_dir / 'b', output_dir=tmp_path / 'set', face_model='absent.task')
    assert main(['turn-dataset', *options]) == 1
    assert '--face_model=absent.task cannot be read: No such file' in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    'changes, message',
    [
        ({'min_angle': 25}, '--min_angle must be at most 20'),
        ({'min_angle': 0}, '--min_angle=0 must be above 0'),
        ({'max_angle': 5}, '--max_angle=5 must be at least --min_angle=10'),
        ({'max_angle': 41}, '--max_angle must be at most 40'),
        ({'retouch_x': 2}, '--retouch_x must be at most 1'),
        ({'test_people': '['}, 'is not a regular expression'),
        ({'test_people': 'zoe'}, 'holds out none of 2 people'),
        ({'identity': 'a'}, 'has no group'),
        ({'identity': '^(b)'}, 'finds no id in anna'),
        ({'input': 'nowhere'}, 'is not a folder'),
    ],
)
def test_turn_dataset_refuses(people_dir, tmp_path, capsys, changes, message):
    options = {'input': people_dir / 'a', 'output_dir': tmp_path / 'set', **changes}
    assert main(['turn-dataset', *tiny.arguments(**options)]) == 1
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_identities(tmp_path):
    for name in ('001_03', '001_08', '002_03'):
        Image.new('RGB', (9, 9)).save(tmp_path / f'{name}.png')
    found = people.list_photos([tmp_path], r'^(\d+)_', '1_08$')
    # whoever has a photo that matches is held out with all photos
    assert [(photo.identity, photo.split) for photo in found] == [('001', 'test'), ('001', 'test'), ('002', 'train')]
