"""`gaze-tf correct --dry_run`: measures photos, folders and videos without a network, and writes nothing but the
report."""

import csv
import io
import json
import os

import numpy as np
import pytest
from PIL import Image

from gaze_tf.cli.main import main
from gaze_tf.editing import editor as editor_lib
from gaze_tf.inference import mediapipe_detector
from gaze_tf.inference.faces import Face
from gaze_tf.media.video_files import write_video
from tests import photos, tiny

SIZE = 160, 120
# level eyes 20 pixels wide, with irises 2 pixels to the right and 1 up: 0.1 and 0.05 of the width
FACE = Face((60, 60, 100, 60), (62, 59, 102, 59), 20.0, (0.3, 0.25), 10.0, 0.0, (40.0, 30.0, 120.0, 110.0), -5.0)


def detector(rgb):
    """A face in every picture but black ones; in dark ones its head is turned too far."""
    level = rgb.mean()
    return [] if level < 20 else [FACE._replace(yaw=50.0) if level < 100 else FACE]


@pytest.fixture
def without_models(monkeypatch):
    def no_network(path):
        raise AssertionError('a network is loaded')

    monkeypatch.setattr(editor_lib, 'Network', no_network)
    monkeypatch.setattr(mediapipe_detector, 'MediapipeDetector', lambda *args: detector)


def run(min_seen=0, **options):
    """min_seen: most pictures here are of one grey, in which eyes would count as covered."""
    return main(['correct', '--dry_run', *tiny.arguments(min_seen=min_seen, **options)])


def picture(level):
    return np.full((*SIZE[::-1], 3), level, np.uint8)


def make_video(path, levels):
    with write_video(path, SIZE, 10) as out:
        for level in levels:
            out.write(picture(level))
    return path


def test_a_video_is_measured_frame_by_frame(tmp_path, capsys, without_models):
    video = make_video(tmp_path / 'in.mp4', [200] * 15 + [60] * 10)
    assert run(input=video, report=tmp_path / 'report.csv') == 0
    assert '25 frames, eyes to be repainted in 1' in capsys.readouterr().out
    assert sorted(os.listdir(tmp_path)) == ['in.mp4', 'report.csv']
    with open(tmp_path / 'report.csv', newline='') as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 25
    first = {name: rows[0][name] for name in rows[0] if name not in ('frame', 'seconds', 'track')}
    # (0.1 + 0.0052 * 10) / 0.0042 degrees: the coefficients that docs/turning.md has
    assert first == {
        'left_x': '60.00',
        'left_y': '60.00',
        'right_x': '100.00',
        'right_y': '60.00',
        'yaw': '10.00',
        'pitch': '-5.00',
        'roll': '0.00',
        'left_openness': '0.300',
        'right_openness': '0.250',
        'iris_along': '0.100',
        'iris_up': '0.050',
        'gaze_aside': '36.2',
        'strength': first['strength'],
        'reason': '',
    }
    # beyond 30 degrees and before 45 less than in full; where the head is turned not at all
    assert 0.3 < float(first['strength']) < 0.8
    assert rows[20]['strength'] == '0.000' and 'its head is turned by 50 degrees' in rows[20]['reason']


def test_a_dry_run_says_what_correcting_then_does(tmp_path, monkeypatch, without_models):
    video = make_video(tmp_path / 'in.mp4', [200] * 15 + [60] * 5)
    assert run(input=video, report=tmp_path / 'planned.csv') == 0
    monkeypatch.setattr(editor_lib, 'Network', lambda path: tiny.Painter())
    options = tiny.arguments(
        input=video, output=tmp_path / 'out.mp4', report=tmp_path / 'done.csv', min_seen=0, always=True
    )
    assert main(['correct', *options]) == 0
    assert (tmp_path / 'planned.csv').read_text() == (tmp_path / 'done.csv').read_text()


def test_without_a_name_the_report_is_printed(tmp_path, capsys, without_models):
    make_video(tmp_path / 'in.mp4', [200] * 3)
    assert run(input=tmp_path / 'in.mp4') == 0
    out, err = capsys.readouterr()
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [row['frame'] for row in rows] == ['0', '1', '2'] and '3 frames, eyes to be repainted in 3' in err


def test_a_video_without_a_face(tmp_path, capsys, without_models):
    make_video(tmp_path / 'in.mp4', [0] * 3)
    assert run(input=tmp_path / 'in.mp4', report=tmp_path / 'report.csv') == 0
    why = 'In none of its frames could a face be edited (none was found).'
    assert f'3 frames, eyes to be repainted in 0\n{why}\n' in capsys.readouterr().out
    assert (tmp_path / 'report.csv').read_text().splitlines()[1:] == [',' * 16 + why]


def test_photos_of_a_folder(tmp_path, capsys, without_models):
    (tmp_path / 'in').mkdir()
    for name, level in (('a', 200), ('b', 60), ('c', 0)):
        Image.fromarray(picture(level)).save(tmp_path / 'in' / f'{name}.png')
    (tmp_path / 'in' / 'd.png').write_text('no photo')
    assert run(input=tmp_path / 'in', report=tmp_path / 'report.json') == 1
    out, err = capsys.readouterr()
    assert '3 measured, 1 failed' in out and 'd.png' in err
    rows = json.loads((tmp_path / 'report.json').read_text())['photos']
    assert [row['status'] for row in rows] == ['measured', 'measured', 'measured', 'failed']
    (fit,) = rows[0]['faces']
    assert not fit['done'] and fit['iris_offset'] == [0.1, 0.05] and 0 < fit['strength'] < 1
    assert 'turned by 50' in rows[1]['faces'][0]['reason'] and rows[2]['faces'] == []
    assert sorted(os.listdir(tmp_path)) == ['in', 'report.json'] and len(os.listdir(tmp_path / 'in')) == 4
    assert run(input=f'{tmp_path}/in/[ab].png') == 0
    assert [row['file'][-5:] for row in json.loads(capsys.readouterr().out)['photos']] == ['a.png', 'b.png']


@pytest.mark.usefixtures('face_models')
def test_a_photo_by_mediapipe(capsys, monkeypatch):
    monkeypatch.setattr(editor_lib, 'Network', None)
    assert run(input=photos.PORTRAIT, min_seen=0.5) == 0
    out, err = capsys.readouterr()
    (face,) = json.loads(out)
    assert err.splitlines()[-1] == 'face 0: to be done'
    assert abs(face['gaze_aside']) < 10 and np.abs(face['iris_offset']).max() < 0.05 and min(face['openness']) > 0.28
    assert max(abs(face['yaw']), abs(face['pitch']), abs(face['roll'])) < 10 and face['strength'] == 1


@pytest.mark.parametrize(
    'options, message',
    [
        ({'input': 'a.png', 'output': 'b.png'}, '--dry_run writes no picture: leave --output out'),
        ({}, '--input is needed'),
        ({'input': 'a.png'}, 'There is no a.png'),
        ({'input': 'a.mp4'}, 'There is no a.mp4'),
        ({'input': 'none/*.png'}, 'no photos'),
        ({'input': '.', 'eyes': '1,2,3,4'}, '--eyes goes with one photo'),
    ],
)
def test_what_cannot_be_measured(tmp_path, capsys, monkeypatch, without_models, options, message):
    monkeypatch.chdir(tmp_path)
    assert run(**options) == 1
    error = capsys.readouterr().err
    assert message in error and error.count('\n') == 1 and not os.listdir(tmp_path)
