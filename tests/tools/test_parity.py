"""Everything in the recordings of the original is what we compute; and the comparison finds what is not."""

import re
import types

import numpy as np
import pytest

from gaze_tf.errors import GazeError
from tests import tiny
from tests.paths import DATA
from tools import parity
from tools.benchmarks import recording

pytestmark = pytest.mark.trains
FILES = {
    name: (DATA / f'{name}.npz', DATA / f'{name}.json')
    for name in ('dual_inpainting_128', 'pam_256', 'reference_pam_128')
}


def restored(tmp_path_factory, cls, name):
    """(recording, our networks with its weights)."""
    recorded = recording.load(*FILES[name])
    return recorded, cls(recorded, tmp_path_factory.mktemp(name))


@pytest.fixture(scope='module')
def dual(tmp_path_factory):
    """(recording, what we compute) of the dual in-painting model."""
    recorded, networks = restored(tmp_path_factory, parity.Dual, 'dual_inpainting_128')
    # the same numbers, as test_steps.py shows, without the time that tracing takes
    with tiny.eagerly():
        return recorded, networks.recompute(recorded)


@pytest.fixture(scope='module')
def pam_networks(tmp_path_factory):
    return restored(tmp_path_factory, parity.Pam, 'pam_256')


@pytest.fixture(scope='module')
def pam(pam_networks):
    """(recording, what we compute) of PAM."""
    recorded, networks = pam_networks
    with tiny.eagerly():
        return recorded, networks.recompute(recorded)


def verdict(recorded, ours, capsys):
    """(whether all is equal, output lines)."""
    equal = parity.report(parity.compare(recorded, ours), verbose=False)
    return equal, capsys.readouterr().out.splitlines()


def test_dual_inpainting_is_the_original(dual, capsys):
    equal, lines = verdict(*dual, capsys)
    assert equal, '\n'.join(lines)
    # 845 arrays: 5 inputs, and 26 biases without a gradient, in the gradients and after each of 3 steps
    assert re.fullmatch(r'parity: 736 compared, 104 left out, worst 0\.\d+ at \S+', lines[-1])
    assert all(line.startswith('ok ') for line in lines[:-1])


def test_pam_is_the_original(pam, capsys):
    equal, lines = verdict(*pam, capsys)
    assert equal, '\n'.join(lines)
    # 83 arrays: 4 inputs, and 7 biases after each of 2 steps
    assert re.fullmatch(r'parity: 65 compared, 14 left out, worst 0\.\d+ at \S+', lines[-1])


@pytest.mark.parametrize('round_boxes', [False, True])
def test_pam_s_boxes_are_not_rounded_in_the_recording(tmp_path, capsys, round_boxes):
    # boxes of 25 x 15 around whole pixels have half pixels at their edges
    recorded = recording.load(*FILES['reference_pam_128'])
    recorded = recorded._replace(config={**recorded.config, 'round_boxes': round_boxes})
    with tiny.eagerly():
        ours = parity.Pam(recorded, tmp_path).recompute(recorded)
    assert verdict(recorded, ours, capsys)[0] is not round_boxes


# what is wrong, and by how much of what was recorded; each just beyond its tolerance
@pytest.mark.parametrize(
    'key, change',
    [
        ('x_mask', lambda value: value ^ (np.arange(value.size).reshape(value.shape) == 0)),
        ('y_boxes_right', lambda value: value + 2e-6),
        ('out/xl_left', lambda value: value + 3e-4),
        ('out/y2x_fp', lambda value: value - 3e-4),
        ('out/y2x_', lambda value: value + 3e-4),
        ('out/inter/1.4', lambda value: value[:, ::-1]),
        ('out/gyx_logits', lambda value: value * np.nan),
        ('out/yo', lambda value: value[:1]),
        ('loss/lsgan/Gy_loss', lambda value: value * (1 + 3e-5)),
        ('loss/hinge/percep_loss_x', lambda value: value * (1 - 3e-5)),
        ('grad/Dx_loss/Dx/fc1/Matrix', lambda value: value * [1 + 2e-4, 1, 1]),
        ('grad/Dy_loss/Dy/d1/d0/w', lambda value: value * [1, 1, 1 + 2e-4]),
        ('grad/Gy_loss/encode/e_c1/w', lambda value: value * [1.02, 1, 1]),
        ('grad/Gx_loss/Gx/conv2/w', lambda value: value * [1, 1, 1.04]),
        ('grad/Gx_loss/Gx/FC2/bias', lambda value: value + [0, value[0] * 0.02 * 64, 0]),
        ('step1/Gr/conv0/biases', lambda value: value + [0, 1e-6, 0]),
        ('step1/Dx/d2/d0/w', lambda value: value * [1, 1 + 2e-3, 1]),
        ('step1/Gy/FC1/Matrix', lambda value: value * [1, 1.03, 1]),
        ('step2/encode/e_c3/w', lambda value: value * [1 + 2e-3, 1, 1]),
        ('step3/Dy/fc2/bias', lambda value: value * [1, 1.4, 1]),
        ('step2/out/y2x', lambda value: 2 * value),
    ],
)
def test_a_deviation_is_found(dual, capsys, key, change):
    recorded, ours = dual
    wrong = {**ours, key: change(np.asarray(recorded.values[key]))}
    equal, lines = verdict(recorded, wrong, capsys)
    assert not equal and lines[-1].endswith(f' at {key}')
    assert any(line.startswith('NOT') and line.endswith(key) for line in lines)


@pytest.mark.parametrize('prefix, index, factor', [('grad/G', 0, 1.004), ('step2/', 1, 1.02), ('step3/', 1, 0.98)])
def test_medians_count_too(dual, capsys, prefix, index, factor):
    # each within the tolerance of the worst, all together beyond that of the median
    recorded, ours = dual
    scale = np.ones(3)
    scale[index] = factor
    wrong = {
        key: np.asarray(value) * scale if key.startswith(prefix) and '/out/' not in key else value
        for key, value in ours.items()
    }
    equal, lines = verdict(recorded, wrong, capsys)
    failed = [line for line in lines if line.startswith('NOT')]
    assert not equal and failed
    for line in failed:
        worst, tolerance = re.search(r'worst (\S+) of (\S+),', line).groups()
        assert float(worst) < float(tolerance)


@pytest.mark.parametrize(
    'key, factor',
    [
        ('loss_x', 1 + 3e-5),
        ('ae_flip_y_left', 1.001),
        ('code_y_right', 1.01),
        ('step1/loss', 1.001),
        ('step1/Gr/deconv1/w', 1.01),
        ('step2/Gr/FC2/bias', 1.05),
    ],
)
def test_a_deviation_of_pam_is_found(pam, capsys, key, factor):
    recorded, ours = pam
    equal, lines = verdict(recorded, {**ours, key: np.asarray(recorded.values[key]) * factor}, capsys)
    assert not equal and lines[-1].endswith(f' at {key}')


@pytest.mark.parametrize(
    'key, change',
    [
        ('step1/Gr/conv/w', lambda value: value + [0, 1e-6, 0]),
        ('step3/Gr/conv/w', lambda value: value - [0, 0, 1e-6]),
        ('step3/Dx/fc1/Matrix', lambda value: value * [1, 1, np.nan]),
        ('grad/Dx_loss/Dx/fc1/Matrix', lambda value: value[:2]),
        ('step1/Gy/FC1/Matrix', lambda value: np.append(value, 0)),
        ('out/xo', lambda value: value[:, 1:]),
        ('loss/hinge/Dx_loss', lambda value: value[None]),
        ('out/yl_fp', lambda value: value.astype(str)),
        ('step2/out/yo', lambda value: value[0]),
    ],
)
def test_a_wrong_recording_is_found(dual, capsys, key, change):
    recorded, ours = dual
    recorded = recorded._replace(values={**recorded.values, key: change(recorded.values[key])})
    equal, lines = verdict(recorded, ours, capsys)
    assert not equal and lines[-1].endswith(f' at {key}')


def test_outputs_after_a_step_do_not_need_those_at_the_start(dual, capsys):
    recorded, ours = dual
    values = {key: value for key, value in recorded.values.items() if key != 'out/yo'}
    assert verdict(recorded._replace(values=values), ours, capsys)[0]


def test_nothing_to_compare(dual):
    recorded, ours = dual
    key = 'step1/Gx/conv/biases'
    with pytest.raises(GazeError, match='nothing that could be compared'):
        parity.compare(recorded._replace(values={key: recorded.values[key]}), ours)


ODD = 'stepfoo/out/xo', 'step1/out/zo', 'out/inter/abc', 'loss/l2/Dx_loss', 'grad/foo/Gx/conv/w'


@pytest.fixture(scope='module')
def with_odd_keys(pam, pam_networks):
    """(recording with all of ODD, what we compute of it); `pam` first, as networks train what they are given."""
    recorded, networks = pam_networks
    recorded = recorded._replace(values={'loss': recorded.values['loss'], **dict.fromkeys(ODD, np.zeros(3))})
    with tiny.eagerly():
        return recorded, networks.recompute(recorded)


@pytest.mark.parametrize('key', ODD)
def test_odd_keys_are_named(with_odd_keys, key):
    recorded, ours = with_odd_keys
    with pytest.raises(GazeError, match=key):
        parity.compare(recorded._replace(values={name: recorded.values[name] for name in ('loss', key)}), ours)


def test_what_is_not_known_is_not_passed_over(dual):
    recorded, ours = dual
    with pytest.raises(GazeError, match='out/depth'):
        parity.compare(recorded._replace(values={**recorded.values, 'out/depth': np.zeros(3)}), ours)


def test_a_recording_without_images(dual, tmp_path, capsys):
    # they are regenerated; outputs then have every 7th row and column, and masks are sums
    values = dict(np.load(FILES['dual_inpainting_128'][0]))
    images = {domain: values.pop(domain) for domain in 'xy'}
    for key, value in values.items():
        if key.startswith('out/') and value.ndim == 4:
            values[key] = value[:, ::7, ::7]
        elif key.endswith('_mask'):
            values[key] = value.sum(axis=(1, 2, 3), dtype=np.int64)
    np.savez(tmp_path / 'sampled.npz', **values)
    recorded = recording.load(tmp_path / 'sampled.npz', FILES['dual_inpainting_128'][1])
    for domain, image in images.items():
        np.testing.assert_array_equal(recorded.images[domain], image)
    ours = dual[1]
    equal, lines = verdict(recorded, ours, capsys)
    assert equal and lines[-1].startswith('parity: 736 compared, 104 left out')
    equal, lines = verdict(recorded, {**ours, 'out/xo': np.asarray(ours['out/xo']) + 3e-4}, capsys)
    assert not equal and lines[-1].endswith('at out/xo')
    equal, _ = verdict(recorded, {**ours, 'x_mask': np.ones_like(ours['x_mask'])}, capsys)
    assert not equal


@pytest.mark.parametrize(
    'name, content, message',
    [
        ('golden', None, 'there.is.none'),
        ('golden', b'PK text', 'damaged'),
        ('golden', 'cut', 'damaged'),
        ('meta', None, 'there.is.none'),
        ('meta', b'{"config": {}}', 'damaged'),
        ('meta', b'{"config": ', 'damaged'),
        ('meta', b'{"config": {"img_size": 256}, "variables": {}}', 'crop_w'),
        ('meta', b'{"config": ["img_size", "crop_w", "crop_h"], "variables": {}}', 'damaged'),
        ('meta', b'{"config": {"img_size": 256, "crop_w": 50, "crop_h": 30}, "variables": {"a": "x"}}', 'damaged'),
        ('meta', b'{"config": {"img_size": 256, "crop_w": 50, "crop_h": 30}, "variables": {"a": [0]}}', 'damaged'),
        (
            'meta',
            b'{"config": {"img_size": 256, "crop_w": 50, "crop_h": 30}, "variables": {"a/sn_u": [2]}}',
            'variables',
        ),
    ],
)
def test_files_that_cannot_be_used(tmp_path, name, content, message):
    files = dict(zip(('golden', 'meta'), FILES['pam_256']))
    if content == 'cut':
        content = files['golden'].read_bytes()[:5000]
    if content:
        (tmp_path / 'damaged').write_bytes(content)
    files[name] = tmp_path / ('damaged' if content else 'there.is.none')
    with pytest.raises(GazeError, match=f'--{name}.*{message}'):
        parity.run(**files, pam=True, verbose=False)


@pytest.mark.parametrize(
    'key, value',
    [
        ('x', np.zeros([4, 256, 256], np.uint8)),
        ('y', np.zeros([4, 128, 128, 3], np.uint8)),
        ('x', np.zeros(3)),
        ('x_eyes', np.zeros([4, 3])),
        ('y_eyes', np.full([4, 4], np.nan)),
        ('x_eyes', np.array([['a'] * 4] * 4)),
    ],
)
def test_inputs_that_cannot_be_used(tmp_path, key, value):
    golden, meta = FILES['pam_256']
    np.savez(tmp_path / 'odd.npz', **{**np.load(golden), key: value})
    with pytest.raises(GazeError, match=f'--golden: .*odd.npz should hold {key[0]}'):
        parity.run(tmp_path / 'odd.npz', meta, pam=True, verbose=False)


def test_pam_must_be_said():
    with pytest.raises(GazeError, match='--pam'):
        parity.run(*FILES['pam_256'], pam=False, verbose=False)


def test_the_tool_itself_speaks_in_sentences(monkeypatch, capsys):
    options = types.SimpleNamespace(golden='none.npz', meta=FILES['pam_256'][1], pam=False, verbose=False)
    monkeypatch.setattr(parity.flags, 'FLAGS', options)
    with pytest.raises(SystemExit, match='2'):
        parity.main(['parity.py'])
    out, err = capsys.readouterr()
    assert out == '' and err.splitlines()[-1].startswith('parity.py: --golden: none.npz')


def test_shapes_that_contradict_the_configuration(tmp_path):
    recorded = recording.load(*FILES['pam_256'])
    with pytest.raises(GazeError, match='ngf'):
        parity.Pam(recorded._replace(config={**recorded.config, 'ngf': 8}), tmp_path)
