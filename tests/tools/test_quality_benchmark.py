"""The quality benchmark: its stages are good command lines, what is done stays, and its table says what the reports
say, of people whom no recipe has seen."""

import dataclasses
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gaze_tf.cli import main as cli
from gaze_tf.synthetic import faces as synthetic_faces
from gaze_tf.synthetic import renderer as face_renderer
from gaze_tf.synthetic.draw_options import DrawOptions
from tests.paths import ROOT
from tools.studies import quality_benchmark, quality_pictures, quality_table

PRESET, FACES = f'{ROOT}/flags/benchmark_cpu', ['--img_size=128', '--num_x=8', '--num_y=4', '--test_x=2', '--test_y=3']


def plan(out, **stages):
    """{stage: command} that run a line of Python each."""
    return {stage: [sys.executable, '-c', line.format(out=out)] for stage, line in stages.items()}


def report(after, **changes):
    """What of a report.json the table needs."""
    block = {'mean': 1.5}
    return {
        'results': {
            'gaze': {'before': {'mean': 22.0}, 'after': {'mean': after}, 'smaller': 0.995},
            'animation': {'rank_correlation': {'mean': 0.97}, 'error_within_0_1': {'mean': 3.25}},
            'identity': {'iris_de': {'mean': 4.25}, 'iris_de_twin': {'mean': 6.5}, 'iris_de_floor': {'mean': 4.6}},
            'twin': {'l1_twin': {'mean': 9.125}, 'l1_twin_untouched': {'mean': 12.0}},
            'reconstruction': {'x': {'psnr_boxes': {'mean': 24.75}}, 'y': {'psnr_boxes': block}},
        }
    }


def all_stages(out, name, seed=0, report_on='test'):
    return quality_benchmark.stages(out, name, seed, PRESET, FACES, report_on)


def value(command, flag):
    """Of a flag that a command line has once."""
    (found,) = (word for word in command if word.startswith(f'--{flag}='))
    return found.split('=', 1)[1]


def test_stages_parse(tmp_path):
    commands = [command for _, command in quality_benchmark.preparation(tmp_path, PRESET, FACES, [0, 7], 'test')[2:]]
    for name in quality_benchmark.VARIANTS:
        commands += all_stages(tmp_path, name).values()
    for command in commands:
        assert command[1:3] == ['-m', 'gaze_tf.cli.main']
        assert cli.parse(command[3], command[4:])[1] is not None


def test_the_method_alone_is_trained_twice(tmp_path):
    plans = {name: all_stages(tmp_path, name) for name in quality_benchmark.VARIANTS}
    assert [name for name, plan in plans.items() if 'finetune' in plan] == ['method']
    assert list(plans['method']) == ['train', 'finetune', 'export', 'evaluate']
    for plan in plans.values():
        # what is exported is what was trained last
        last = plan.get('finetune', plan['train'])[-1].replace('--output_dir=', '--checkpoint=')
        assert last in plan['export']


def test_every_seed_has_trainings_and_folders_of_its_own_and_the_same_faces(tmp_path):
    prepared = quality_benchmark.preparation(tmp_path, PRESET, FACES, [3, 7], 'test')
    pam = {value(command, 'seed'): value(command, 'output_dir') for _, command in prepared if 'pretrain' in command}
    assert list(pam) == ['3', '7'] and pam['3'] != pam['7']
    three, seven = (all_stages(tmp_path, 'method', seed) for seed in (3, 7))
    for seed, plan in (('3', three), ('7', seven)):
        assert value(plan['train'], 'seed') == value(plan['finetune'], 'seed') == seed
        assert value(plan['train'], 'pam_checkpoint') == pam[seed]
        assert value(plan['finetune'], 'warm_start') == value(plan['train'], 'output_dir')
        assert value(plan['evaluate'], 'model') == value(plan['export'], 'output_dir')
        for command in plan.values():
            for written in ('output_dir', 'output'):
                assert all(f'/method/seed-{seed}/' in word for word in command if word.startswith(f'--{written}='))
    for stage, flag in (('train', 'data_dir'), ('evaluate', 'data')):
        assert value(three[stage], flag) == value(seven[stage], flag)


def test_what_is_chosen_on_is_not_what_is_reported(tmp_path):
    choosing, reporting = (
        quality_benchmark.preparation(tmp_path, PRESET, FACES, [0], on) for on in ('validation', 'test')
    )
    rendered = [
        [value(command, 'output_dir') for _, command in plan if 'draw-dataset' in command]
        for plan in (choosing, reporting)
    ]
    # whoever chooses cannot look at the test faces: they are not there yet
    assert rendered == [[f'{tmp_path}/faces'], [f'{tmp_path}/faces', f'{tmp_path}/test_faces']]
    (records,) = (command for _, command in reporting if 'prepare' in command)
    assert value(records, 'data_dir') == f'{tmp_path}/faces' and value(records, 'test_y') == '3'
    measured = [all_stages(tmp_path, 'lsgan', report_on=on)['evaluate'] for on in ('validation', 'test')]
    assert [value(command, 'data') for command in measured] == rendered[1]
    assert value(measured[0], 'output') != value(measured[1], 'output')


@pytest.fixture(scope='module')
def rendered_sets(tmp_path_factory):
    """A benchmark folder with the faces of its first stages, 32 pixels wide."""
    out, small = tmp_path_factory.mktemp('sets'), ['--img_size=32', *FACES[1:]]
    for _, command in quality_benchmark.preparation(out, PRESET, small, [], 'test')[:2]:
        subprocess.run([*command, '--workers=1'], check=True, capture_output=True)
    return out


def test_nobody_is_in_two_sets(rendered_sets, tmp_path):
    assert quality_benchmark.shared_people(rendered_sets) is None
    # the people of the whole benchmark, as the renderer draws them, not as they are numbered
    people, whole = {}, quality_benchmark.preparation(tmp_path, PRESET, quality_benchmark.FACES, [], 'test')
    for (_, command), name in zip(whole, ({'train': 'training', 'test': 'validation'}, {'test': 'test'})):
        options = DrawOptions(
            **{field.name: int(value(command, field.name)) for field in dataclasses.fields(DrawOptions)}
        )
        for _, _, split, identity in synthetic_faces.plan(options):
            people.setdefault(name[split], set()).add((options.seed, identity))
    drawn = {
        name: {
            repr(face_renderer.Identity.sample(np.random.default_rng((seed, 0, identity)))) for seed, identity in own
        }
        for name, own in people.items()
    }
    assert {name: len(own) for name, own in drawn.items()} == {'training': 1625, 'validation': 100, 'test': 100}
    assert len(set.union(*drawn.values())) == 1825


@pytest.mark.parametrize(
    'folder, change, said',
    [
        ('test_faces', {'seed': 0}, 'training set and in the test set'),
        ('faces', {'identity': '1'}, 'training set and in the validation set'),
    ],
)
def test_shared_people_are_named(rendered_sets, tmp_path, folder, change, said):
    for name in ('faces', 'test_faces'):
        (tmp_path / name).mkdir()
        for file in ('options.json', 'truth.csv'):
            text = (rendered_sets / name / file).read_text()
            if name == folder and file == 'options.json' and 'seed' in change:
                text = json.dumps({**json.loads(text), **change})
            elif name == folder and file == 'truth.csv' and 'identity' in change:
                text = re.sub(r',test,\d+,', ',test,1,', text)
            (tmp_path / name / file).write_text(text)
    assert said in quality_benchmark.shared_people(tmp_path)


def test_the_commands_by_hand_are_those_of_the_tool():
    out, preset, faces = Path('runs/benchmark'), 'flags/benchmark_cpu', quality_benchmark.FACES
    commands = [
        *(command for _, command in quality_benchmark.preparation(out, preset, faces, [0], 'test')),
        *quality_benchmark.stages(out, 'method', 0, preset, faces, 'test').values(),
    ]
    done = [
        ' '.join(command)
        .replace(f'{sys.executable} -m gaze_tf.cli.main', 'gaze-tf')
        .replace(sys.executable, 'python')
        .replace(f'{ROOT}/', '')
        for command in commands
    ]
    text = (ROOT / 'docs/benchmark.md').read_text().replace('\\\n', ' ')
    blocks = [
        [shlex.split(line) for line in block.splitlines()]
        for block in re.findall(r'^```\n(.*?)^```$', text, re.MULTILINE | re.DOTALL)
    ]
    assert [shlex.split(line) for line in done] in blocks


def test_every_adversarial_loss_and_part_of_the_method_has_a_variant():
    from gaze_tf.config import GanConfig

    losses = next(field for field in GanConfig.__dataclass_fields__.values() if field.name == 'loss_type').metadata[
        'choices'
    ]
    short = quality_benchmark.VARIANTS['short'][1]
    changes = [flags[len(short) :] for _, flags in quality_benchmark.VARIANTS.values() if flags[: len(short)] == short]
    # one at a time, with the same budget; gan is softplus written out
    assert len(changes) == len(quality_benchmark.VARIANTS) - 1 and all(len(flags) == 1 for flags in changes if flags)
    given = {flag for flags in changes for flag in flags}
    assert given == {
        '--palette=0',
        '--nouse_pam',
        '--nouse_sat',
        '--nouse_sp',
        *(f'--loss_type={loss}' for loss in losses if loss not in ('softplus', 'gan', 'lsgan_original')),
    }


def run_one(own, stages, report_on='test'):
    return quality_benchmark.run_one(own, stages, report_on, dict(os.environ))


def test_what_is_done_is_not_done_again(tmp_path):
    own = tmp_path / 'lsgan' / 'seed-1'
    stages = plan(own, train='print("trained")', evaluate='import os; os.mkdir("{out}/report-test")')
    for _ in range(2):
        assert run_one(own, stages) is None
    assert (own / 'log.txt').read_text() == 'trained\n'
    seconds = json.loads((own / 'seconds.json').read_text())
    assert list(seconds) == ['train', 'evaluate'] and min(seconds.values()) >= 0


def test_other_faces_measure_the_model_that_is_there(tmp_path):
    own = tmp_path / 'lsgan' / 'seed-0'
    for report_on in ('validation', 'test'):
        assert (
            run_one(
                own,
                plan(
                    own,
                    train='print("trained")',
                    export='import os; os.mkdir("{out}/saved_model")',
                    evaluate=f'import os; os.mkdir("{{out}}/report-{report_on}")',
                ),
                report_on,
            )
            is None
        )
    assert (own / 'log.txt').read_text() == 'trained\n'
    assert {path.name for path in own.iterdir() if path.is_dir()} == {'saved_model', 'report-validation', 'report-test'}


def test_an_interrupted_run_goes_on_and_all_its_seconds_count(tmp_path):
    spin = 'import time\nwhile time.process_time() < 0.3: pass\n'
    own = tmp_path / 'lsgan' / 'seed-2'
    assert 'lsgan, seed-2 stopped in its stage train' in run_one(
        own, plan(own, train=spin + 'raise SystemExit(3)', evaluate='print("never")')
    )
    assert run_one(own, plan(own, train=spin, evaluate='print("then")')) is None
    assert (own / 'log.txt').read_text() == 'then\n'
    assert json.loads((own / 'seconds.json').read_text())['train'] >= 0.6


def test_every_variant_is_run_with_every_seed(tmp_path, monkeypatch):
    def stand_in(out, name, seed, preset, faces, report_on):
        own = out / name / f'seed-{seed}' / f'report-{report_on}'
        write = (
            f'import pathlib; own = pathlib.Path({str(own)!r}); own.mkdir(); '
            f'(own / "report.json").write_text({json.dumps(report(seed + 1))!r})'
        )
        return plan(out, train='', evaluate=write.replace('{', '{{').replace('}', '}}'))

    monkeypatch.setattr(quality_benchmark, 'preparation', lambda *args: [])
    monkeypatch.setattr(quality_benchmark, 'stages', stand_in)
    drawn = []
    monkeypatch.setattr(quality_pictures, 'draw', lambda *args: drawn.append(args))
    assert quality_benchmark.run(tmp_path, ['method', 'hinge'], [0, 2, 4], 'test', 2, PRESET, FACES) == 0
    assert {path.parent.relative_to(tmp_path).as_posix() for path in tmp_path.glob('*/*/report-test')} == {
        f'{name}/seed-{seed}' for name in ('method', 'hinge') for seed in (0, 2, 4)
    }
    summary = json.loads((tmp_path / 'test' / 'table.json').read_text())
    assert {name: row['seeds'] for name, row in summary['variants'].items()} == {
        'method': [0, 2, 4],
        'hinge': [0, 2, 4],
    }
    assert summary['variants']['method']['figures']['degrees to the camera'] == {
        'mean': 3,
        'std': 2,
        'min': 1,
        'max': 5,
        'values': [1, 3, 5],
    }
    assert '3.00 ± 2.00' in (tmp_path / 'test' / 'table.md').read_text()
    # the pictures are of the first seed, of the faces that were measured
    assert drawn == [
        (
            tmp_path / 'test',
            tmp_path / 'test_faces',
            {
                'everything': tmp_path / 'method/seed-0/saved_model',
                'hinge instead of softplus': tmp_path / 'hinge/seed-0/saved_model',
            },
        )
    ]


def test_a_folder_of_other_flags_is_refused(tmp_path):
    preset = str(tmp_path / 'own')
    for part in ('', '_pretrain', '_train', '_finetune'):
        Path(f'{preset}{part}.flags').write_text(f'--steps={len(part)}\n')
    assert quality_benchmark.same_flags(tmp_path, preset) and quality_benchmark.same_flags(tmp_path, preset)
    Path(f'{preset}_train.flags').write_text('--steps=7\n')
    assert not quality_benchmark.same_flags(tmp_path, preset)


def reported(out, name, seed, after, seconds, report_on='test'):
    """A run with a report, as the stages leave it."""
    own = out / name / f'seed-{seed}'
    (own / f'report-{report_on}').mkdir(parents=True)
    (own / f'report-{report_on}' / 'report.json').write_text(json.dumps(report(after)))
    (own / 'seconds.json').write_text(json.dumps(seconds))


def test_the_table_says_what_the_reports_say(tmp_path):
    for seed, after, more in ((0, 1.25, 0), (1, 1.75, 60), (2, 1.5, 120)):
        reported(tmp_path, 'method', seed, after, {'train': 600 + more, 'finetune': 30})
    reported(tmp_path, 'no_sat', 1, 2.5, {'train': 630})
    # of other faces, and not finished
    reported(tmp_path, 'wgan', 0, 9.0, {'train': 1}, 'validation')
    (tmp_path / 'hinge' / 'seed-0').mkdir(parents=True)
    names = {name: what for name, (what, _) in quality_benchmark.VARIANTS.items()}
    summary = quality_table.summarize(tmp_path, names, 'test')
    assert list(summary['variants']) == ['method', 'no_sat']
    found = summary['variants']['method']['figures']
    # of 1.25, 1.75 and 1.5: the root of (0.0625 + 0.0625) / 2
    assert found['degrees to the camera'] == {
        'mean': 1.5,
        'std': 0.25,
        'min': 1.25,
        'max': 1.75,
        'values': [1.25, 1.75, 1.5],
    }
    assert found['trained for']['mean'] == 11.5 and found['smaller']['std'] == 0
    assert summary['variants']['no_sat']['figures']['degrees to the camera']['std'] is None
    caption, _, *lines = quality_table.markdown(summary).splitlines()
    assert 'test faces' in caption and len({line.count('|') for line in lines}) == 1
    rows = [[cell.strip() for cell in line.split('|')[1:-1]] for line in lines[2:]]
    assert rows[0] == ['untouched', '', '22.00', '', '', '', '0', '4.60', '', '12.00', '']
    assert rows[1] == [
        'everything',
        '3',
        '1.50 ± 0.25',
        '99.5 ± 0.0%',
        '0.970 ± 0.000',
        '3.25 ± 0.00°',
        '4.25 ± 0.00',
        '6.50 ± 0.00',
        '24.75 ± 0.00 dB',
        '9.12 ± 0.00',
        '11.5 ± 1.0 min',
    ]
    # one run is no result
    assert rows[2][:3] == ['without Synthesis-As-Training', '1', '(2.50)'] and '±' not in ''.join(rows[2])
    assert all(cell.startswith('(') for cell in rows[2][2:])


def test_a_table_of_nothing(tmp_path):
    summary = quality_table.summarize(tmp_path, {'method': 'everything'}, 'validation')
    assert summary['variants'] == {} and len(quality_table.markdown(summary).splitlines()) == 4


def test_the_pictures(tmp_path, rendered_dir, model_dir):
    quality_pictures.draw(tmp_path, rendered_dir, {'everything': model_dir, 'lsgan instead of softplus': model_dir})
    with Image.open(tmp_path / 'faces.png') as picture:
        found = np.array(picture)
    # boxes of 13 x 9 with a margin of 4 on each side, 3 times as large
    width, height = 3 * (13 + 8), 2 * 3 * (9 + 8) + 1
    assert found.shape == (30 + 8 * (height + 4), 4 * (width + 4), 3)
    columns = [found[30:, k * (width + 4) : k * (width + 4) + width] for k in range(4)]
    np.testing.assert_array_equal(columns[1], columns[2])
    assert all((columns[1] != other).any() for other in (columns[0], columns[3]))
    with Image.open(tmp_path / 'animation.png') as picture:
        assert picture.height == 30 + 4 * (height + 4)
