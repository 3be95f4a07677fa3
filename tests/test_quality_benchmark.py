"""The quality benchmark: its stages are good command lines, what is done stays, and its table says what the reports say."""
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / 'tools'))

import quality_benchmark
import quality_pictures
from gaze_tf.cli import main as cli

PRESET, FACES = f'{ROOT}/flags/benchmark_cpu', ['--img_size=128', '--num_x=8', '--test_x=2', '--test_y=3']


def plan(out, **stages):
    """{stage: command} that run a line of Python each."""
    return {stage: [sys.executable, '-c', line.format(out=out)] for stage, line in stages.items()}


def report(after, **changes):
    """What of a report.json the table needs."""
    block = {'mean': 1.5}
    return {'results': {
        'gaze': {'before': {'mean': 22.}, 'after': {'mean': after}, 'smaller': 0.995},
        'animation': {'rank_correlation': {'mean': 0.97}, 'error_within_0_1': {'mean': 3.25}},
        'identity': {'iris_de': {'mean': 4.25}, 'iris_de_twin': {'mean': 6.5}, 'iris_de_floor': {'mean': 4.6}},
        'twin': {'l1_twin': {'mean': 9.125}, 'l1_twin_untouched': {'mean': 12.}},
        'reconstruction': {'x': {'psnr_boxes': {'mean': 24.75}}, 'y': {'psnr_boxes': block}}}}


def test_stages_parse(tmp_path):
    commands = [command for _, command in quality_benchmark.preparation(tmp_path, PRESET, FACES)[1:]]
    for name in quality_benchmark.VARIANTS:
        commands += quality_benchmark.stages(tmp_path, name, PRESET, FACES).values()
    for command in commands:
        assert command[1:3] == ['-m', 'gaze_tf.cli.main']
        assert cli.parse(command[3], command[4:])[1] is not None


def test_the_method_alone_is_trained_twice(tmp_path):
    plans = {name: quality_benchmark.stages(tmp_path, name, PRESET, FACES) for name in quality_benchmark.VARIANTS}
    assert [name for name, plan in plans.items() if 'finetune' in plan] == ['method']
    assert list(plans['method']) == ['train', 'finetune', 'export', 'evaluate']
    for plan in plans.values():
        # what is exported is what was trained last
        last = plan.get('finetune', plan['train'])[-1].replace('--output_dir=', '--checkpoint=')
        assert last in plan['export']


def test_every_adversarial_loss_and_part_of_the_method_has_a_variant():
    from gaze_tf.config import GanConfig
    losses = next(field for field in GanConfig.__dataclass_fields__.values() if field.name == 'loss_type').metadata['choices']
    short = quality_benchmark.VARIANTS['short'][1]
    changes = [flags[len(short):] for _, flags in quality_benchmark.VARIANTS.values() if flags[:len(short)] == short]
    # one at a time, with the same budget; gan is softplus written out
    assert len(changes) == len(quality_benchmark.VARIANTS) - 1 and all(len(flags) == 1 for flags in changes if flags)
    given = {flag for flags in changes for flag in flags}
    assert given == {'--palette=0', '--nouse_pam', '--nouse_sat', '--nouse_sp',
                     *(f'--loss_type={loss}' for loss in losses if loss not in ('softplus', 'gan', 'lsgan_original'))}


def test_what_is_done_is_not_done_again(tmp_path):
    stages = plan(tmp_path / 'lsgan', train='print("trained")', evaluate='import os; os.mkdir("{out}/report")')
    for _ in range(2):
        assert quality_benchmark.run_variant(tmp_path, 'lsgan', stages, dict(os.environ)) is None
    assert (tmp_path / 'lsgan' / 'log.txt').read_text() == 'trained\n'
    seconds = json.loads((tmp_path / 'lsgan' / 'seconds.json').read_text())
    assert list(seconds) == ['train', 'evaluate'] and min(seconds.values()) >= 0


def test_an_interrupted_variant_goes_on_and_all_its_seconds_count(tmp_path):
    spin = 'import time\nwhile time.process_time() < 0.3: pass\n'
    own = tmp_path / 'lsgan'
    assert 'lsgan stopped in its stage train' in quality_benchmark.run_variant(
        tmp_path, 'lsgan', plan(own, train=spin + 'raise SystemExit(3)', evaluate='print("never")'), dict(os.environ))
    assert quality_benchmark.run_variant(tmp_path, 'lsgan', plan(own, train=spin, evaluate='print("then")'),
                                         dict(os.environ)) is None
    assert (own / 'log.txt').read_text() == 'then\n'
    assert json.loads((own / 'seconds.json').read_text())['train'] >= 0.6


def test_a_folder_of_other_flags_is_refused(tmp_path):
    preset = str(tmp_path / 'own')
    for part in ('', '_pretrain', '_train', '_finetune'):
        Path(f'{preset}{part}.flags').write_text(f'--steps={len(part)}\n')
    assert quality_benchmark.same_flags(tmp_path, preset) and quality_benchmark.same_flags(tmp_path, preset)
    Path(f'{preset}_train.flags').write_text('--steps=7\n')
    assert not quality_benchmark.same_flags(tmp_path, preset)


def test_the_table_says_what_the_reports_say(tmp_path):
    for name, after, seconds in (('no_sat', 2.5, {'train': 630}), ('method', 1.25, {'train': 600, 'finetune': 30})):
        (tmp_path / name / 'report').mkdir(parents=True)
        (tmp_path / name / 'report' / 'report.json').write_text(json.dumps(report(after)))
        (tmp_path / name / 'seconds.json').write_text(json.dumps(seconds))
    rows = quality_benchmark.table(tmp_path)
    assert [row[:2] for row in rows] == [['untouched', '22.00'], ['everything', '1.25'],
                                         ['without Synthesis-As-Training', '2.50']]
    assert rows[0][5:] == ['0', '4.60', '', '12.00', '']
    assert rows[1][2:] == ['99.5%', '0.970', '3.25°', '4.25', '6.50', '24.75 dB', '9.12', '10.5 min']
    text = quality_benchmark.markdown(rows)
    assert len({line.count('|') for line in text.splitlines()}) == 1 and len(text.splitlines()) == 5


def test_the_pictures(tmp_path, rendered_dir, model_dir):
    (tmp_path / 'faces').symlink_to(rendered_dir)
    for name in ('method', 'lsgan'):
        (tmp_path / name / 'report').mkdir(parents=True)
        (tmp_path / name / 'saved_model').symlink_to(model_dir)
    quality_pictures.draw(tmp_path, {'method': 'everything', 'no_sat': 'not made', 'lsgan': 'lsgan instead of softplus'})
    with Image.open(tmp_path / 'faces.png') as picture:
        found = np.array(picture)
    # boxes of 13 x 9 with a margin of 4 on each side, 3 times as large
    width, height = 3 * (13 + 8), 2 * 3 * (9 + 8) + 1
    assert found.shape == (30 + 8 * (height + 4), 4 * (width + 4), 3)
    columns = [found[30:, k * (width + 4):k * (width + 4) + width] for k in range(4)]
    np.testing.assert_array_equal(columns[1], columns[2])
    assert all((columns[1] != other).any() for other in (columns[0], columns[3]))
    with Image.open(tmp_path / 'animation.png') as picture:
        assert picture.height == 30 + 4 * (height + 4)


@pytest.mark.parametrize('flags, said', [(['--variants=method,dream'], "there is no variant 'dream'"),
                                         (['--jobs=0'], 'jobs'), (['dream'], 'dream')])
def test_bad_flags_are_named(tmp_path, flags, said):
    result = subprocess.run([sys.executable, str(ROOT / 'tools/quality_benchmark.py'), f'--output_dir={tmp_path}/out', *flags],
                            capture_output=True, text=True)
    assert result.returncode != 0 and said in result.stdout + result.stderr
    assert 'Traceback' not in result.stdout + result.stderr and not (tmp_path / 'out').exists()


def run_tool(*arguments):
    return subprocess.Popen([sys.executable, str(ROOT / 'tools/quality_benchmark.py'), *arguments], text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)


def test_a_folder_that_is_a_file_is_named(tmp_path):
    (tmp_path / 'out').write_text('mine')
    process = run_tool(f'--output_dir={tmp_path}/out')
    said = process.communicate()[0]
    assert process.returncode == 1 and len(said.splitlines()) == 1 and f'{tmp_path}/out cannot be used' in said
    assert (tmp_path / 'out').read_text() == 'mine'


def test_control_c_ends_it_with_a_sentence(tmp_path):
    process = run_tool(f'--output_dir={tmp_path}/out')
    # ends, too, if the tool ends before
    assert any('Rendering' in line for line in iter(process.stdout.readline, ''))
    time.sleep(1)
    os.killpg(process.pid, signal.SIGINT)
    said = process.communicate(timeout=60)[0]
    assert process.returncode == 1 and 'it goes on where it was' in said and 'Traceback' not in said
