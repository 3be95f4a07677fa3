"""`gaze-tf animate` on folders."""

import pytest
from PIL import Image

from gaze_tf.cli.main import main
from gaze_tf.media import xmp
from tests import tiny
from tests.editing.folders import write

pytestmark = pytest.mark.usefixtures('without_a_model')


def test_animations_of_a_folder(tmp_path, capsys):
    write(tmp_path / 'in', 'a.png')
    write(tmp_path / 'in', 'b.png', corner=0)
    options = tiny.arguments(model='model', input=tmp_path / 'in', output=tmp_path / 'out', frames=3, blend='hard')
    assert main(['animate', *options]) == 0
    out, err = capsys.readouterr()
    assert '1 animated' in out and '1 unchanged' in out and 'No face was found' in err
    with Image.open(tmp_path / 'out' / 'a.gif') as image:
        assert image.n_frames == 4


@pytest.mark.parametrize(
    'frames, status, message', [(10**9, 1, '--frames must be at most 10000, not 1000000000'), (10_000, 1, '--max_side')]
)
def test_animations_of_too_many_frames(tmp_path, capsys, frames, status, message):
    write(tmp_path, 'a.png')
    options = tiny.arguments(
        model='model', input=tmp_path / 'a.png', output=tmp_path / 'out.gif', frames=frames, eyes='20,30,40,30'
    )
    assert main(['animate', *options]) == status
    assert (
        message in (err := capsys.readouterr().err) and 'Traceback' not in err and not (tmp_path / 'out.gif').exists()
    )


@pytest.mark.parametrize(
    'fps, pauses, note',
    [(60, [20] * 8, True), (30, [30, 40, 30, 30, 40, 30, 30, 40], False), (48, [20] * 6 + [30, 20], False)],
)
def test_animations_keep_to_the_rate_of_gif(tmp_path, capsys, fps, pauses, note):
    write(tmp_path / 'in', 'a.png')
    options = tiny.arguments(
        model='model',
        input=tmp_path / 'in' / 'a.png',
        output=tmp_path / 'a.gif',
        frames=5,
        fps=fps,
        blend='hard',
        mark=True,
    )
    assert main(['animate', *options]) == 0
    assert ('GIF holds at most 50 frames a second' in capsys.readouterr().err) == note
    assert (tmp_path / 'a.gif').read_bytes().count(xmp.MARK.encode()) == 1
    with Image.open(tmp_path / 'a.gif') as image:
        found = []
        for number in range(image.n_frames):
            image.seek(number)
            found.append(image.info['duration'])
    assert found == pauses
