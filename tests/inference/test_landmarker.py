"""Faces with mediapipe's FaceLandmarker and a file.

Google's file, face_landmarker.task, is in no package and was not run. `task_file.py` makes a file of the same layout of
the models inside mediapipe up to 0.10.21. The other tests use a function in place of FaceLandmarker.
"""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from gaze_tf.cli import main as cli
from gaze_tf.errors import GazeError
from gaze_tf.inference import landmarker_detector, mediapipe_libraries
from gaze_tf.inference.detectors import make_detector, make_lazy_detector
from gaze_tf.inference.landmarker_detector import LandmarkerDetector
from tests.inference.test_faces import EYES, IRISES, SIDE, assert_at, scene
from tests.paths import DATA, ROOT


@pytest.fixture(scope='module')
def task(tmp_path_factory, face_models):
    from tests.inference import task_file

    path = tmp_path_factory.mktemp('models') / 'face_landmarker.task'
    task_file.write_task(path)
    return path


@pytest.fixture(scope='module')
def detector(task):
    return make_detector(str(task))


def points(numbers):
    return np.reshape(numbers, (2, 2))


def test_both_find_the_same_face(detector, portrait):
    (ours,), (built_in,) = (find(np.array(portrait)) for find in (detector, make_detector()))
    assert_at(points(ours.eyes), EYES, 2)
    assert_at(points(ours.irises), IRISES, 1.5)
    assert_at(points(ours.eyes), points(built_in.eyes), 0.7)
    assert_at(points(ours.irises), points(built_in.irises), 0.7)
    assert ours.eye_width == pytest.approx(built_in.eye_width, abs=0.5)
    assert ours.openness == pytest.approx(built_in.openness, abs=0.04)
    assert (ours.yaw, ours.roll, ours.pitch) == pytest.approx((built_in.yaw, built_in.roll, built_in.pitch), abs=1)
    assert ours.box == pytest.approx(built_in.box, abs=8)


def test_two_faces_in_a_large_scene(detector, portrait):
    picture = scene((3000, 2000))
    picture.paste(portrait.resize((120, 120), Image.LANCZOS), (2501, 1703))
    picture.paste(portrait.resize((900, 900), Image.BICUBIC), (202, 57))
    large, little = detector(np.array(picture))
    assert_at(points(large.eyes), EYES * 3 + (202, 57), 6)
    assert_at(points(little.eyes), EYES * 0.4 + (2501, 1703), 0.8)


def test_lying(detector, portrait):
    (clockwise,), (counter,) = (detector(np.array(portrait.rotate(degrees))) for degrees in (-90, 90))
    assert (clockwise.roll, counter.roll) == pytest.approx((93, -87), abs=2)
    assert_at(points(clockwise.eyes)[::-1], np.stack([SIDE - EYES[:, 1], EYES[:, 0]], -1), 2)
    assert_at(points(counter.eyes), np.stack([EYES[:, 1], SIDE - EYES[:, 0]], -1), 2)


def test_marked_again_in_the_next_frame(detector, portrait):
    pixels = np.array(portrait)
    (face,) = detector(pixels)
    moved = detector.mark(np.roll(pixels, (2, -3), (0, 1)), face)
    assert_at(points(moved.eyes), points(face.eyes) + (-3, 2), 0.5)
    assert detector.mark(np.full_like(pixels, 128), face) is None


def test_no_face(detector):
    assert detector(np.array(scene((900, 600)))) == []


def test_nothing_is_written_even_at_the_end(task):
    code = (
        'import sys, numpy, PIL.Image\n'
        'from gaze_tf.inference.detectors import make_detector\n'
        'detector = make_detector()\n'
        'print(len(detector(numpy.array(PIL.Image.open(sys.argv[1]).convert("RGB")))))\n'
    )
    result = subprocess.run(
        [sys.executable, '-c', code, str(DATA / 'portrait.png')],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={'GAZE_TF_FACE_MODEL': str(task), 'PATH': ''},
    )
    assert (result.stdout, result.stderr) == ('1\n', '')


# a mesh seen from the front, x + iy in widths of its face from the middle: all on a circle but the corners and lids of
# the eyes, the irises, and the points between the brows and below the nose
MESH = 0.5 * np.exp(2j * np.pi * np.arange(478) / 478)
MESH[[33, 133, 159, 145, 468]] = -0.3 - 0.1j, -0.1 - 0.1j, -0.2 - 0.13j, -0.2 - 0.07j, -0.19 - 0.1j
MESH[[362, 263, 386, 374, 473]] = 0.1 - 0.1j, 0.3 - 0.1j, 0.2 - 0.13j, 0.2 - 0.07j, 0.21 - 0.1j
MESH[[9, 164]] = -0.2j, 0.15j


def draw(picture, middle, side, roll=0.0):
    """Draws a face for `landmarker`: a red disc where the person's right eye is, and a blue one at the left."""
    y, x = np.mgrid[: picture.shape[0], : picture.shape[1]] + 0.5
    for channel, eye in ((0, -0.2 - 0.1j), (2, 0.2 - 0.1j)):
        at = middle + side * eye * np.exp(1j * np.radians(roll))
        picture[np.hypot(x - at.real, y - at.imag) < 0.12 * side, channel] = 255
    return picture


def landmarker(rgb):
    """In place of FaceLandmarker: sees one upright face by its discs, if it is at least 0.14 of the picture's width."""
    height, width = rgb.shape[:2]
    y, x = np.mgrid[:height, :width] + 0.5
    red, blue = ((x + 1j * y)[(rgb[..., one] > 150) & (rgb[..., other] < 100)] for one, other in ((0, 2), (2, 0)))
    if not red.size or not blue.size:
        return []
    right, left = red.mean(), blue.mean()
    if left.real < right.real:
        # mirrored: it is an upright face, too
        right, left = left, right
    side = abs(left - right) / 0.4
    turn = (left - right) / abs(left - right)
    if side < 0.14 * width or turn.real < 0.5:
        return []
    found = (right + left) / 2 + side * turn * (MESH + 0.1j)
    return [np.stack([found.real / width, found.imag / height, 0 * found.real], axis=-1)]


@pytest.mark.parametrize(
    'middle, side, roll', [(400 + 300j, 300, 0), (400 + 300j, 300, -30), (90 + 500j, 30, 0), (700 + 60j, 100, 10)]
)
def test_measures(middle, side, roll):
    (face,) = LandmarkerDetector(landmarker)(draw(np.zeros((600, 800, 3), np.uint8), middle, side, roll))
    turn = side * np.exp(1j * np.radians(roll))
    eyes = middle + turn * np.array([-0.2 - 0.1j, 0.2 - 0.1j])
    np.testing.assert_allclose(points(face.eyes) @ (1, 1j), eyes, atol=0.02 * side)
    assert face.eye_width == pytest.approx(0.2 * side, rel=0.06)
    assert face.openness == pytest.approx((0.3, 0.3), abs=0.01)
    assert (face.yaw, face.pitch) == pytest.approx((0, 0), abs=0.1) and face.roll == pytest.approx(roll, abs=2)
    box = points(face.box) @ (1, 1j)
    np.testing.assert_allclose(box, middle + side / 2 * np.array([-1 - 1j, 1 + 1j]), atol=0.06 * side)


def test_faces_smaller_than_asked_for_are_not_searched_for():
    picture = draw(np.zeros((1000, 1000, 3), np.uint8), 500 + 500j, 46)
    assert len(LandmarkerDetector(landmarker, 0.04)(picture)) == 1
    assert LandmarkerDetector(landmarker, 0.14)(picture) == []


def test_the_neighbor_is_not_marked():
    """Of two meshes in a cut-out, the one in its middle counts."""
    both = [MESH[:, None].view(float) * 0.4 + place for place in ((0.9, 0.5), (0.5, 0.5))]
    meshes = [np.pad(mesh, ((0, 0), (0, 1))) for mesh in both]
    assert LandmarkerDetector(lambda rgb: meshes).mesh(np.zeros((10, 10, 3), np.uint8)) is meshes[1]


def test_the_environment_names_the_file(monkeypatch, tmp_path):
    monkeypatch.setenv('GAZE_TF_FACE_MODEL', str(tmp_path / 'absent.task'))
    find = make_lazy_detector()
    with pytest.raises(GazeError, match='`GAZE_TF_FACE_MODEL=.*absent.task` cannot be read: No such file.*Fetch'):
        find(np.zeros((9, 9, 3), np.uint8))
    # an option comes first
    with pytest.raises(GazeError, match='`face_model=other.task` cannot be read'):
        make_detector('other.task')


@pytest.mark.parametrize('content', [b'', b'no model', b'PK\5\6' + 18 * b'\0'])
def test_another_file(tmp_path, content):
    (tmp_path / 'a.task').write_bytes(content)
    with pytest.raises(GazeError, match=r'`face_model=.*a\.task` is no model.*Fetch face_landmarker\.task.*http'):
        make_detector(str(tmp_path / 'a.task'))


@pytest.mark.parametrize(
    'error, remedy',
    [
        (ImportError('libGL.so.1: cannot open shared object file: No such file'), 'apt-get install libgl1 '),
        (ImportError('libgthread-2.0.so.0: cannot open shared object file: No such file'), 'libglib2.0-0 '),
        (OSError('libEGL.so.1: cannot open shared object file: No such file'), 'apt-get install libegl1 '),
        (OSError('libGLESv2.so.2: cannot open shared object file: No such file'), 'apt-get install libgles2 '),
        (ImportError('libxcb.so.1: cannot open shared object file: No such file'), 'apt-get install libxcb1 '),
        (
            ImportError('libodd.so.7: cannot open shared object file: No such file'),
            'package of your system with libodd',
        ),
    ],
)
def test_a_system_library_is_missing(monkeypatch, tmp_path, error, remedy):
    """As in slim containers: importing OpenCV fails, or, with mediapipe 1, loading its library."""
    from mediapipe.tasks.python import vision

    (tmp_path / 'a.task').write_bytes(b'')

    def fail(options):
        raise error

    monkeypatch.setattr(vision.FaceLandmarker, 'create_from_options', fail)
    with pytest.raises(GazeError) as caught:
        landmarker_detector.load_landmarker(tmp_path / 'a.task', 'face_model=a.task')
    assert remedy in str(caught.value) and 'Fetch' not in str(caught.value)


def test_mediapipe_without_models(monkeypatch):
    """Releases after 0.10.21: the package is there, but no longer what has the models."""
    monkeypatch.delenv('GAZE_TF_FACE_MODEL', raising=False)
    for name in [name for name in sys.modules if name.startswith('mediapipe.python')]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, 'mediapipe.python', None)
    with pytest.raises(GazeError, match='without models') as caught:
        make_detector()
    for part in ('face_landmarker.task', mediapipe_libraries.MODEL_URL, '`face_model=FILE`', '`eyes`'):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    'command', ['correct', 'animate', 'live', 'client', 'turn', 'turn-dataset', 'make-dataset', 'evaluate']
)
def test_commands_that_find_faces_take_the_file(command):
    assert cli.parse(command, ['--face_model=faces.task'])[1].face_model == 'faces.task'


@pytest.mark.parametrize(
    'args',
    [
        ['turn', '--input={photo}', '--output={folder}/a.png', '--yaw=20'],
        ['make-dataset', '--x_dir={data}', '--output_dir={folder}/made'],
        ['correct', '--input={photo}', '--dry_run'],
    ],
    ids=lambda args: args[0],
)
def test_commands_pass_it_on(args, tmp_path, capsys):
    filled = [arg.format(photo=DATA / 'portrait.png', data=DATA, folder=tmp_path) for arg in args]
    assert cli.main([*filled, '--face_model=absent.task']) == 1
    assert '--face_model=absent.task cannot be read' in capsys.readouterr().err
