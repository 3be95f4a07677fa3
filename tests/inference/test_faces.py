"""Faces in photos: what mediapipe finds, which of them are left alone, and which are chosen."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image, ImageDraw

from gaze_tf.errors import GazeError
from gaze_tf.inference.faces import Face, Limits, choose, eyes_given, iris_offset, why_not
from gaze_tf.inference.mediapipe_detector import MediapipeDetector

# by hand in tests/data/portrait.png, as its README has them; she looks at the camera, so the irises are there, too
EYES = IRISES = np.array([[128, 100.5], [172, 103]])
SIDE = 300
FACE = Face(
    eyes=(100, 50, 140, 52),
    irises=(101, 50, 141, 52),
    eye_width=20,
    openness=(0.3, 0.25),
    yaw=-5,
    roll=3,
    box=(70, 10, 170, 110),
)


@pytest.fixture(scope='module')
def detector(face_models):
    return MediapipeDetector()


@pytest.fixture
def find(detector):
    """Picture → faces, each with its eyes and irises as [2, 2]."""
    return lambda picture: [
        (face, *(np.reshape(points, (2, 2)) for points in (face.eyes, face.irises)))
        for face in detector(np.array(picture))
    ]


def scene(size):
    """A picture without faces: sky, hills and grain."""
    rng = np.random.default_rng(2)
    coarse = Image.fromarray(rng.integers(60, 200, (6, 9, 3), np.uint8)).resize(size, Image.BICUBIC)
    fine = Image.fromarray(rng.integers(0, 256, (100, 150, 3), np.uint8)).resize(size, Image.BILINEAR)
    return Image.blend(coarse, fine, 0.15)


def assert_at(found, expected, within):
    """Both eyes of one face are within some pixels of where they are."""
    distances = np.linalg.norm(found - expected, axis=-1)
    assert distances.max() < within, distances


def test_portrait(find, portrait):
    ((face, eyes, irises),) = find(portrait)
    assert_at(eyes, EYES, 2)
    assert_at(irises, IRISES, 1.5)
    # corners by hand: 120 to 138.1 and 161.5 to 180.9
    assert face.eye_width == pytest.approx(18.8, abs=1)
    assert all(0.25 < openness < 0.45 for openness in face.openness)
    assert abs(face.yaw) < 4 and face.roll == pytest.approx(3, abs=1)
    x0, y0, x1, y1 = face.box
    assert x0 < 115 and y0 < 95 and x1 > 185 and 150 < y1 < 200


@pytest.mark.parametrize('degrees', [-40, -20, 20, 40])
def test_turned(find, portrait, degrees):
    ((face, eyes, irises),) = find(portrait.rotate(degrees, Image.BICUBIC))
    turn = np.exp(-1j * np.radians(degrees))  # Pillow turns counter-clockwise, and y points down

    def turned(points):
        moved = turn * ((points - SIDE / 2) @ (1, 1j))
        return np.stack([moved.real, moved.imag], -1) + SIDE / 2

    assert_at(eyes, turned(EYES), 2)
    assert_at(irises, turned(IRISES), 1.5)
    assert face.roll == pytest.approx(3 - degrees, abs=1.5)


def test_lying_and_upside_down(find, portrait):
    (clockwise,), (over,), (counter,) = (
        find(portrait.transpose(turn)) for turn in (Image.ROTATE_270, Image.ROTATE_180, Image.ROTATE_90)
    )
    assert [face[0].roll for face in (clockwise, over, counter)] == pytest.approx([93, -177, -87], abs=2)
    # the left eye in the picture comes first, whosever it is
    assert_at(clockwise[1][::-1], np.stack([SIDE - EYES[:, 1], EYES[:, 0]], -1), 2)
    assert_at(over[1][::-1], SIDE - EYES, 2)
    assert_at(counter[1], np.stack([EYES[:, 1], SIDE - EYES[:, 0]], -1), 2)


@pytest.mark.parametrize('scale', [0.5, 2, 4])
def test_scaled(find, portrait, scale):
    ((face, eyes, irises),) = find(portrait.resize([int(SIDE * scale)] * 2, Image.LANCZOS))
    assert_at(eyes, EYES * scale, 2 * scale)
    assert_at(irises, IRISES * scale, 1.5 * scale)
    assert face.eye_width == pytest.approx(18.8 * scale, abs=scale)


def test_mirrored(find, portrait):
    ((_, eyes, irises),) = find(portrait.transpose(Image.FLIP_LEFT_RIGHT))
    assert_at(eyes[::-1] * (-1, 1) + (SIDE, 0), EYES, 2)
    assert_at(irises[::-1] * (-1, 1) + (SIDE, 0), IRISES, 1.5)


def test_two_faces_in_a_large_scene(find, portrait):
    picture = scene((3000, 2000))
    small = portrait.resize((120, 120), Image.LANCZOS)  # its eyes are 7.5 pixels wide
    picture.paste(small, (2501, 1703))
    picture.paste(portrait.resize((900, 900), Image.BICUBIC), (202, 57))
    large, little = find(picture)
    assert_at(large[1], EYES * 3 + (202, 57), 6)
    assert_at(little[1], EYES * 0.4 + (2501, 1703), 0.8)


@pytest.mark.parametrize('share', [1, 0.8, 0.7])
def test_face_that_fills_the_picture(find, portrait, share):
    """As in aligned images; share: of the face's own side, 107 pixels."""
    x0, y0, x1, y1 = (round(middle + sign * share * 107 / 2) for sign in (-1, 1) for middle in (150, 118))
    ((_, eyes, _),) = find(portrait.crop((x0, y0, x1, y1)))
    assert_at(eyes, EYES - (x0, y0), 2)


def test_neighbours(find, portrait):
    head = portrait.crop((70, 0, 230, SIDE))
    picture = Image.new('RGB', (480, SIDE), 'gray')
    for n in range(3):
        picture.paste(head, (160 * n, 0))
    found = sorted(find(picture), key=lambda face: face[0].eyes)
    assert len(found) == 3
    for n, (_, eyes, _) in enumerate(found):
        assert_at(eyes, EYES + (160 * n - 70, 0), 2)


@pytest.mark.parametrize('box', [(105, 0, 300, 300), (0, 0, 195, 300), (0, 85, 300, 300), (0, 0, 300, 135)])
def test_cut_at_the_border(find, portrait, box):
    picture = portrait.crop(box)
    ((face, eyes, _),) = find(picture)
    assert_at(eyes, EYES - box[:2], 2)
    assert why_not(face, Limits(), picture.size) == ''


@pytest.mark.parametrize(
    'pixels',
    [
        np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8),
        np.array(scene((900, 600))),
        np.full((300, 400, 3), 128, np.uint8),
        np.zeros((10, 10, 3), np.uint8),
        np.zeros((1, 1, 3), np.uint8),
        np.zeros((2, 700, 3), np.uint8),
    ],
    ids=['noise', 'scene', 'blank', 'tiny', 'pixel', 'strip'],
)
def test_no_face(detector, pixels):
    assert detector(pixels) == []


@pytest.mark.usefixtures('face_models')
def test_fewer_squares_for_large_faces_only(portrait):
    picture = scene((1280, 720))
    picture.paste(portrait.resize((110, 110), Image.LANCZOS), (1000, 500))
    assert len(MediapipeDetector(smallest=0.03)(np.array(picture))) == 1
    assert MediapipeDetector(smallest=0.12)(np.array(picture)) == []


def turned_to_the_side(portrait, degrees):
    """The portrait as if printed on a cylinder that is turned, positive towards larger x."""
    middle, radius = 150, 80
    columns = np.arange(SIDE) + 0.5 - middle
    on_cylinder = np.abs(columns) < radius
    angles = np.arcsin(columns[on_cylinder] / radius) - np.radians(degrees)
    source = np.arange(SIDE)
    source[on_cylinder] = middle + radius * np.sin(np.clip(angles, -np.pi / 2, np.pi / 2)) * 0.999
    return np.array(portrait)[:, source]


@pytest.mark.parametrize('degrees', [-25, 25])
def test_yaw(detector, portrait, degrees):
    turned = turned_to_the_side(portrait, degrees)
    (face,), (mirrored,) = detector(turned), detector(turned[:, ::-1])
    # a cylinder has no nose, so that mediapipe takes its turn for a smaller one
    assert 4 < np.sign(degrees) * face.yaw < 25
    assert mirrored.yaw == pytest.approx(-face.yaw, abs=4)


@pytest.mark.parametrize('degrees', [-20, 20])
def test_pitch(detector, portrait, degrees):
    (straight,), (nodded,) = (
        detector(np.array(portrait)),
        detector(np.rot90(turned_to_the_side(portrait.transpose(Image.Transpose.ROTATE_90), degrees), -1)),
    )
    assert abs(straight.pitch) < 6 and straight.pitch == pytest.approx(
        detector(np.array(portrait)[:, ::-1])[0].pitch, abs=1
    )
    # (as of a cylinder's yaw, next to nothing is seen)
    assert 1 < -np.sign(degrees) * (nodded.pitch - straight.pitch) < 20


def test_eyelids(detector, portrait):
    """Eyes that are painted over with skin, down to a dark line at the lower eyelid."""
    picture = portrait.resize((4 * SIDE, 4 * SIDE), Image.BICUBIC)
    draw = ImageDraw.Draw(picture)
    for x, y in EYES * 4:
        draw.ellipse((x - 40, y - 30, x + 40, y + 14), (214, 170, 145))
        draw.arc((x - 40, y - 30, x + 40, y + 14), 10, 170, (60, 35, 25), 6)
    (face,) = detector(np.array(picture))
    assert max(face.openness) < 0.15
    assert 'an eye is open by' in why_not(face)


@pytest.mark.usefixtures('face_models')
def test_nothing_is_written(portrait, tmp_path):
    code = (
        'import sys, numpy, PIL.Image\n'
        'from gaze_tf.inference.mediapipe_detector import MediapipeDetector\n'
        'picture = numpy.array(PIL.Image.open(sys.argv[1]))\n'
        'detectors = MediapipeDetector(), MediapipeDetector()\n'
        'print([len(detector(picture)) for detector in detectors])\n'
        'sys.stderr.write("heard")'
    )
    portrait.save(tmp_path / 'portrait.png')
    result = subprocess.run(
        [sys.executable, '-c', code, str(tmp_path / 'portrait.png')], capture_output=True, text=True, check=True
    )
    assert (result.stdout, result.stderr) == ('[1, 1]\n', 'heard')


def test_without_mediapipe(monkeypatch):
    for name in [name for name in sys.modules if name.partition('.')[0] == 'mediapipe']:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, 'mediapipe', None)
    with pytest.raises(GazeError, match=r"pip install 'gaze_tf\[faces\]'.*`eyes`"):
        MediapipeDetector()


@pytest.mark.parametrize(
    'changes, reason',
    [
        ({}, ''),
        ({'eye_width': 5}, 'its eyes are 5 pixels wide (at least 8)'),
        ({'yaw': -57.1}, 'its head is turned by 57.1 degrees (at most 30)'),
        ({'pitch': 26.0}, 'its head is raised by 26 degrees (at most 25)'),
        ({'pitch': -31.5}, 'its head is lowered by 31.5 degrees (at most 25)'),
        # 0.2 of an eye's width, less what the turn of the head accounts for
        ({'irises': (104.5, 50.2, 144.5, 52.2)}, 'its eyes look aside by 47.4 degrees (at most 45)'),
        ({'roll': -63}, 'its head is tilted by 63 degrees (at most 45)'),
        ({'openness': (0.3, 0.05)}, 'an eye is open by 0.05 of its width (at least 0.12)'),
        ({'seen': 0.49}, 'its eyes are covered'),
        ({'eyes': (100, 50, 201, 50)}, 'its eye at 201, 50 is outside the picture of 200x150 pixels'),
        ({'eyes': (100, -2, 140, 50)}, 'its eye at 100, -2 is outside the picture of 200x150 pixels'),
    ],
)
def test_why_not(changes, reason):
    assert why_not(FACE._replace(**changes), Limits(), (200, 150)) == reason


def test_limits_can_be_moved_and_the_unknown_passes():
    assert why_not(FACE, Limits(min_eye_px=30)) == 'its eyes are 20 pixels wide (at least 30)'
    assert why_not(FACE, Limits(max_yaw=4, max_roll=2)) == 'its head is turned by 5 degrees (at most 4)'
    assert why_not(FACE._replace(eyes=(-5, 0, 3, 4), irises=None), Limits()) == ''
    assert why_not(Face(eyes=(1, 2, 3, 4)), Limits(), (10, 10)) == ''


def test_choose():
    faces = [FACE._replace(eye_width=width) for width in (30, 20, 10)]
    assert choose(faces, 'largest') == [(0, faces[0])]
    assert choose(faces, 'all') == list(enumerate(faces))
    assert choose(faces, '2, 0,2') == [(2, faces[2]), (0, faces[0])]
    assert choose([], 'largest') == choose([], 'all') == []


@pytest.mark.parametrize(
    'which, reason',
    [
        ('smallest', '`faces=smallest` must be'),
        ('', '`faces=` must be'),
        ('0,', '`faces=0,` must be'),
        ('1.5', '`faces=1.5` must be'),
        ('-1', '`faces=-1` must be'),
        ('0,3', '`faces=0,3`: there is no face 3; the 3 found are 0 to 2, by size'),
    ],
)
def test_choose_refuses(which, reason):
    with pytest.raises(GazeError) as caught:
        choose([FACE] * 3, which)
    assert reason in str(caught.value)


def test_choose_from_none():
    with pytest.raises(GazeError, match='`faces=0`: there is no face 0; none was found'):
        choose([], '0')


def test_eyes_given():
    assert eyes_given([39, 44, 89, 47.5], (128, 100)) == Face(eyes=(39, 44, 89, 47.5))
    # 4 pixels, though not to a computer
    assert eyes_given([0.1, 44, 4.1, 44], (128, 100)).eyes[2] == 4.1


@pytest.mark.parametrize(
    'eyes, reason',
    [
        ([39, 44, 89], 'must be four numbers'),
        ([39, 44, 128, 47], 'do not lie in the picture of 128x100 pixels'),
        ([39, 100, 89, 47], 'do not lie'),
        ([39, -1, 89, 47], 'do not lie'),
        ([39, float('nan'), 89, 47], 'do not lie'),
        ([39, 44, float('inf'), 47], 'do not lie'),
        ([89, 44, 39, 47], 'swapped'),
        ([39, 44, 39, 47], 'swapped'),
        ([39, 44, 41, 45], '2.236 pixels apart .at least 4'),
        ([39, 44, 42, 44], '3 pixels apart'),
    ],
)
def test_eyes_given_refuses(eyes, reason):
    with pytest.raises(GazeError, match=f'`eyes.*{reason}'):
        eyes_given(eyes, (128, 100))


@pytest.mark.parametrize(
    'face, expected',
    [
        (Face((40, 50, 70, 50), (41, 50, 71, 52), 20.0, yaw=0.0, roll=0.0), (0.05, -0.05)),
        # the same head, tilted by 90 degrees
        (Face((50, 40, 50, 70), (50, 41, 48, 71), 20.0, yaw=0.0, roll=90.0), (0.05, -0.05)),
    ],
)
def test_iris_offset(face, expected):
    np.testing.assert_allclose(iris_offset(face), expected, atol=1e-9)
