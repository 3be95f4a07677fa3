"""The benchmark runs and reports; what it measures is no matter for tests."""

import json
import subprocess
import sys
import types

import pytest

from tools.benchmarks import operations, timing

pytestmark = pytest.mark.slow
# side of the input, channels of input and output
DECONVOLUTIONS = (8, 512, 256), (16, 512, 128), (32, 256, 64), (64, 128, 32), (128, 64, 16)


def test_a_part_is_measured(tmp_path, monkeypatch, capsys):
    # in a process of its own, as each part
    monkeypatch.setitem(timing.BATCHES, 'correct', (1,))
    options = {'parts': ['correct'], 'repeats': 1, 'precision': 'float32', 'vgg_weights': '', 'model': ''}
    more = {'output': tmp_path / 'out.json', 'measure': ''}
    monkeypatch.setattr(timing.flags, 'FLAGS', types.SimpleNamespace(**options, **more))
    timing.main(['timing.py'])
    rows = json.loads((tmp_path / 'out.json').read_text())
    assert [row['batch'] for row in rows] == [1]
    for row, line in zip(rows, capsys.readouterr().out.splitlines()[1:], strict=True):
        median = row['seconds']['correct']['median']
        assert min(median, row['peak_memory_gb'], row['matmul_gflops']) > 0
        assert line.split()[:3] == ['correct', str(row['batch']), f'{median:.3f}']
        assert float(line.split()[3]) == round(median * row['matmul_gflops'], 1)


def test_an_unknown_part_is_named():
    command = [sys.executable, '-m', 'tools.benchmarks.timing', '--parts=dream']
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode != 0 and 'dream' in result.stdout + result.stderr
    assert 'Traceback' not in result.stdout + result.stderr


def test_operations_are_counted(capsys):
    operations.main(['operations.py'])
    names, *rows = (line.split() for line in capsys.readouterr().out.splitlines())
    counts = {row[0]: dict(zip(names[1:], map(float, row[1:]))) for row in rows}
    # VGG-16's convolutions are known to take 15.35 billion multiply-adds on 224 pixels; here two crops of 64
    assert abs(counts['forward']['VGG'] - 2 * 2 * 15.35 * (64 / 224) ** 2) < 0.02
    # five transposed convolutions, four taps for each pixel that they give; a dense layer; both eye boxes
    decoder = sum(2 * 16 * side**2 * a * b for side, a, b in DECONVOLUTIONS) + 2 * 768 * 8 * 8 * 256
    assert abs(counts['forward']['G.decoder'] - (decoder + 2 * 2 * 30 * 50 * 7 * 7 * 16 * 3) / 1e9) < 0.01
    for name in names[1:]:
        assert abs(sum(counts[update][name] for update in ('D_x', 'D_y', 'G_x', 'G_y')) - counts['step'][name]) < 0.03
