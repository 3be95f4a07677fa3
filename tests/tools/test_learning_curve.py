"""The learning curve: which photos are picked, that its stages are good command lines, and its table."""

import json
import sys

import pytest

from gaze_tf.cli import main as cli
from tools.studies import learning_curve

HELD_OUT = {'1': 2, '0': 3}


@pytest.fixture
def data(tmp_path):
    """A data set of ten photos to train on, every second of which was turned twice, with two and three faces
    held out."""
    folder = tmp_path / 'people'
    x = [f'photo{n}' for n in range(10)] + ['test8', 'test9']
    y = [f'photo{n}_{k}' for n in range(0, 10, 2) for k in (1, 2)] + ['test8_1', 'test8_2', 'test9_1']
    for name in ('1', '0', 'twins'):
        (folder / name).mkdir(parents=True)
    for domain, names in (('1', x), ('0', y)):
        (folder / f'{domain}.txt').write_text(''.join(f'{name} 1 2 3 4\n' for name in names))
    return folder


def picked(data, out, count):
    assert learning_curve.pick(data, out, count, HELD_OUT)
    return [[row.split()[0] for row in (out / f'{domain}.txt').read_text().splitlines()] for domain in '10']


def test_a_smaller_pick_is_part_of_a_larger_one(data, tmp_path):
    small, large = (picked(data, tmp_path / str(count), count) for count in (4, 7))
    for pick, count in ((small, 4), (large, 7)):
        x, y = pick
        assert len(x) == count + 2 and x[-2:] == ['test8', 'test9'] and y[-3:] == ['test8_1', 'test8_2', 'test9_1']
        assert sorted(y[:-3]) == sorted(f'{name}_{k}' for name in x[:-2] if int(name[-1]) % 2 == 0 for k in (1, 2))
    assert set(small[0]) < set(large[0])
    assert (tmp_path / '4' / 'twins').resolve() == (data / 'twins').resolve()
    assert not learning_curve.pick(data, tmp_path / '11', 11, HELD_OUT)


def test_every_stage_is_a_good_command_line(data, tmp_path):
    for command in learning_curve.stages(data, tmp_path / '4', ['--test_x=2', '--test_y=3'], 50):
        assert command[:3] == [sys.executable, '-m', 'gaze_tf.cli.main']
        name, values = cli.parse(command[3], command[4:])
        if name == 'train':
            assert values.steps == 50 and values.decay_start == 30 and values.img_size == 128


def test_a_row(tmp_path):
    (tmp_path / 'report').mkdir()
    results = {
        'iris_offset': {'along_after': {'mean': 0.01234}, 'at_camera_moved_along': {'mean': 0.0071}},
        'calibrated': {'after': {'mean': 4.26}},
        'twin': {'psnr_twin': {'mean': 25.125}},
        'identity': {'iris_de_twin': {'mean': 3.84}},
    }
    (tmp_path / 'report' / 'report.json').write_text(json.dumps({'results': results}))
    assert learning_curve.row(tmp_path, 100, 40) == '| 100 | 40 | 0.012 | 4.3 | 25.12 | 3.8 | 0.007 |'
