"""`gaze-tf client`, against small servers that paint gray boxes at the eyes."""

import json
import subprocess
import sys

import grpc
import numpy as np
import pytest
from PIL import Image

from gaze_tf.inference import mediapipe_detector
from gaze_tf.inference.faces import Face
from tests import photos, tiny
from tests.painting_servers import EYES, GRAY, Refused, boxes, closed_port, marked, write


def test_one_photo(tmp_path, run, capsys):
    path, out = write(tmp_path, 'png'), tmp_path / 'out.png'
    assert run(input=path, output=out, eyes='10,12,28,14') == 0
    assert capsys.readouterr().out == f'Wrote {out}\nface 0: done\n'
    inside = boxes(EYES, (30, 40))
    assert (photos.stored(out)[1][inside] == GRAY).all()
    np.testing.assert_array_equal(photos.stored(out)[1][~inside], photos.stored(path)[1][~inside])


def test_a_folder(tmp_path, run, model, monkeypatch, capsys):
    def detector(rgb):
        return [Face(EYES)] if rgb[0, 0].any() else []

    monkeypatch.setattr(mediapipe_detector, 'MediapipeDetector', lambda *args: detector)
    (tmp_path / 'in').mkdir()
    for number in (0, 1, 2, 3, 4):
        Image.fromarray(marked(number)).save(tmp_path / 'in' / f'{number}.png')
    (tmp_path / 'in' / 'text.jpg').write_text('hello')

    def refuse(pixels):
        if pixels[0, 0, 0] == 3:
            raise Refused(grpc.StatusCode.INVALID_ARGUMENT, 'image 0 is not liked')

    model.wait = refuse
    options = {'input': tmp_path / 'in', 'output': tmp_path / 'out', 'concurrency': 2}
    assert run(**options) == 1
    out, err = capsys.readouterr()
    assert '3 corrected' in out and '1 unchanged' in out and '2 failed' in out
    assert 'image 0 is not liked' in err and 'text.jpg' in err and 'Traceback' not in err
    rows = json.loads((tmp_path / 'out' / 'report.json').read_text())['photos']
    rows = {row['file'].rpartition('/')[2]: row for row in rows}
    assert 'not liked' in rows['3.png']['error'] and rows['4.png']['faces'][0]['done']
    assert (photos.stored(tmp_path / 'out' / '4.png')[1][12, 10] == GRAY).all()
    # what is done is not sent again
    model.wait, sent = lambda pixels: None, len(model.requests)
    assert run(**options) == 1 and len(model.requests) == sent + 1
    assert (
        '3 of them by an earlier run' not in (text := capsys.readouterr().out) and '4 of them by an earlier run' in text
    )


def test_a_folder_without_a_server(tmp_path, run, capsys):
    (tmp_path / 'in').mkdir()
    write(tmp_path / 'in', 'png')
    (tmp_path / 'in' / '0.txt').write_text('photo 10 12 28 14\n')
    (tmp_path / 'in' / '0').mkdir()
    (tmp_path / 'in' / 'photo.png').rename(tmp_path / 'in' / '0' / 'photo.jpg')
    server = f'127.0.0.1:{closed_port()}'
    assert run(server=server, input=tmp_path / 'in', output=tmp_path / 'out') == 1
    assert f'gaze-tf client: The server {server} cannot be reached' in capsys.readouterr().err
    assert [path.name for path in (tmp_path / 'out').iterdir()] == ['report.json']


@pytest.mark.parametrize(
    'changes, status, message',
    [
        ({'input': 'talk.mp4'}, 1, 'client takes photos'),
        ({'server': 'here'}, 1, 'must be HOST:PORT'),
        ({'retries': 9}, 1, '--retries must be at most 4'),
        ({'input': 'in*', 'eyes': '1,2,3,4'}, 1, '--eyes goes with one photo'),
    ],
)
def test_bad_commands(tmp_path, run, capsys, changes, status, message):
    assert run(**{'input': write(tmp_path, 'png'), 'output': tmp_path / 'out.png', **changes}) == status
    assert message in capsys.readouterr().err and not (tmp_path / 'out.png').exists()


def test_neither_networks_nor_training_are_needed(tmp_path, ports):
    unwanted = ('models', 'training', 'losses', 'export.signatures', 'export.export')
    unwanted = (*(f'gaze_tf.{name}' for name in unwanted), 'tensorflow_addons')
    code = (
        'import sys; from gaze_tf.cli.main import main; status = main(sys.argv[1:]); '
        f'print([name for name in sys.modules if name.startswith({unwanted})], status)'
    )
    options = tiny.arguments(
        server=f'127.0.0.1:{ports[False][0]}',
        input=write(tmp_path, 'jpg'),
        output=tmp_path / 'out.jpg',
        eyes='10,12,28,14',
    )
    ports[False][1].__init__()
    result = subprocess.run([sys.executable, '-c', code, 'client', *options], capture_output=True, text=True)
    assert result.stdout.splitlines()[-1:] == ['[] 0'], result.stderr
