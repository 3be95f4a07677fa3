"""The command line: help, mistakes in it, and the flag files of the repository."""

import dataclasses
import importlib
import os
import re
import subprocess
import sys

import pytest
from absl import flags

from gaze_tf import config
from gaze_tf.cli import main as cli
from gaze_tf.cli import option_flags
from tests import tiny
from tests.paths import ROOT

FLAGS_DIR = ROOT / 'flags'
GROUPS = {'pretrain': ('encoder', 'pam', 'data', 'augment', 'run'), 'train': ('model', 'gan', 'data', 'augment', 'run')}
# the flag files of each training command of the repository, in the order in which they are given
RECIPES = [
    (command, (shared, own))
    for shared, prefix in (('base.flags', ''), ('benchmark_cpu.flags', 'benchmark_cpu_'), ('people.flags', 'people_'))
    for command, own in (('pretrain', f'{prefix}pretrain.flags'), ('train', f'{prefix}train.flags'))
    if (FLAGS_DIR / own).is_file()
]
RECIPES += [
    ('train', (f'{name}.flags', f'{name}_train.flags', f'{name}_finetune.flags'))
    for name in ('benchmark_cpu', 'people')
]
RECIPES += [('train', ('people.flags', 'people_train.flags', 'people_animate.flags'))]


def run(capsys, *args):
    """(status, stdout, stderr) of a command line."""
    status = cli.main(list(args))
    return status, *capsys.readouterr()


def defined(command):
    values = flags.FlagValues()
    importlib.import_module(f'gaze_tf.cli.{command.replace("-", "_")}').define_flags(values)
    return values


@pytest.mark.parametrize('args', [['--help'], ['correct', '--help']])
def test_a_reader_that_has_gone(args):
    reader, writer = os.pipe()
    os.close(reader)
    process = subprocess.run([sys.executable, '-m', 'gaze_tf.cli.main', *args], stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert (process.returncode, process.stderr) == (141, b'')


@pytest.mark.parametrize('args', [['--help'], ['-h'], ['help']])
def test_help_lists_the_commands(capsys, args):
    status, out, _ = run(capsys, *args)
    assert status == 0
    for command in ('prepare', 'pretrain', 'train', 'export', 'correct', 'animate'):
        assert re.search(rf'^  {command} +\S', out, re.MULTILINE)


def test_no_command_shows_the_usage(capsys):
    status, out, _ = run(capsys)
    assert status == 2 and 'usage: gaze-tf COMMAND' in out


@pytest.mark.parametrize('command', cli.COMMANDS)
def test_help_of_a_command(capsys, command):
    status, out, _ = run(capsys, command, '--help')
    assert status == 0 and out.startswith(f'gaze-tf {command} --')
    values = defined(command)
    assert len(list(values)) > 1
    for name in values:
        # from this flag to the next one: name, meaning, default
        shown = re.search(rf'--(\[no\])?{name}: (.*?)(?=\n  -|\Z)', out, re.DOTALL)
        assert shown, f'--{name} is not shown'
        if values[name].default not in (None, ''):
            assert 'default:' in shown[2], f'--{name} has no default shown'


def test_defaults_in_the_help_are_the_configurations(capsys):
    _, out, _ = run(capsys, 'train', '--help')
    for group in GROUPS['train']:
        for field in dataclasses.fields(config.GROUPS[group]):
            shown = re.search(rf'--(?:\[no\])?{field.name}: .*?\(default:\s(.*?)\)\n', out + '\n', re.DOTALL)
            written = shown[1].strip("'")
            if field.type is bool:
                assert written == str(field.default).lower()
            else:
                assert field.type(written) == field.default


@pytest.mark.parametrize(
    'args, message',
    [
        (['frobnicate'], "no command 'frobnicate'"),
        (['frobnicate'], 'prepare, pretrain, train, calibrate, export, lite'),
        (['train', '--frobnicate=1'], "Unknown command line flag 'frobnicate'"),
        (['train', 'something'], "'something' is not a flag"),
        (['train', '--loss_type=mse'], 'softplus'),
        (['train', '--steps=many'], '--steps=many'),
        (['correct', '--domain=z'], '--domain=z'),
        (['train', '--flagfile=no_such.flags'], 'no_such.flags'),
    ],
)
def test_a_bad_command_line(capsys, args, message):
    status, _, err = run(capsys, *args)
    assert status == 2 and message in err and 'Traceback' not in err


# what each command cannot do without
NEEDED = {
    'prepare': ['data_dir', 'output_dir'],
    'pretrain': ['data_dir', 'output_dir'],
    'train': ['data_dir', 'output_dir', 'pam_checkpoint'],
    'export': ['checkpoint', 'output_dir'],
    'correct': ['input', 'output'],
    'animate': ['input', 'output'],
    'client': ['server', 'input', 'output'],
    'serve': ['model'],
}


@pytest.mark.parametrize('command, missing', [(command, name) for command, names in NEEDED.items() for name in names])
def test_a_missing_flag(capsys, command, missing):
    status, _, err = run(capsys, command, *(f'--{name}=x' for name in NEEDED[command] if name != missing))
    assert status == 1 and err.startswith(f'gaze-tf {command}: --{missing} is needed')


@pytest.mark.parametrize(
    'command, args, message',
    [
        ('train', ['--pam_checkpoint=here'], '--lam_p=100 needs'),
        ('train', ['--steps=0'], '--steps must be at least 1'),
        ('train', ['--lr_g=nan'], '--lr_g'),
        ('pretrain', ['--crop_px=20', '--n_layers_r=3'], '--crop_px=20 must be a multiple of 8'),
    ],
)
def test_bad_values(capsys, command, args, message):
    status, _, err = run(capsys, command, '--data_dir=x', '--output_dir=x', *args)
    assert status == 1 and err.startswith(f'gaze-tf {command}: ') and message in err and err.count('\n') == 1


@pytest.mark.parametrize('number', ['nan', 'inf', '-inf', 'NaN'])
@pytest.mark.parametrize('command', list(cli.COMMANDS))
def test_numbers_must_be_finite(capsys, command, number):
    values = defined(command)
    names = [name for name in values if isinstance(values[name].value, float)]
    assert names or command not in ('correct', 'animate', 'turn', 'client', 'serve', 'train', 'turn-dataset')
    for name in names:
        status, _, err = run(capsys, command, f'--{name}={number}')
        # (absl finds infinity outside of bounds)
        assert status in (1, 2) and f'--{name}=' in err and 'Traceback' not in err
        assert status == 2 or 'must be finite' in err


def test_an_interrupted_command(capsys, monkeypatch):
    def interrupted(values):
        raise KeyboardInterrupt

    monkeypatch.setattr('gaze_tf.cli.export.run', interrupted)
    status, _, err = run(capsys, 'export')
    assert status == 130 and 'interrupted' in err


def test_flagfile(tmp_path):
    path = tmp_path / 'some.flags'
    path.write_text('# a comment\n--steps=12\n--noflip\n--loss_type=hinge\n')
    values = cli.parse('train', ['--steps=11', f'--flagfile={path}', '--lam_p=3'])[1]
    expected = config.GanConfig(steps=12, loss_type='hinge', lam_p=3)
    assert option_flags.read(values, config.GanConfig) == expected
    assert option_flags.read(values, config.DataConfig) == config.DataConfig(flip=False)
    assert cli.parse('train', [f'--flagfile={path}', '--steps=13'])[1].steps == 13


def header(path):
    """The leading comment of a flag file, joined as a shell joins its lines."""
    lines = re.match(r'(#.*\n)*', path.read_text(encoding='utf-8'))[0].splitlines()
    return '\n'.join(line.lstrip('# ') for line in lines).replace('\\\n', ' ')


def test_every_flag_file_belongs_to_a_command():
    assert {path.name for path in FLAGS_DIR.iterdir()} == {name for _, names in RECIPES for name in names}
    assert ('pretrain', ('base.flags', 'pretrain.flags')) in RECIPES


@pytest.mark.parametrize('command, names', RECIPES)
def test_flag_files_parse_and_build(command, names):
    paths = [FLAGS_DIR / name for name in names]
    values = cli.parse(command, [f'--flagfile={path}' for path in paths])[1]
    built = {group: option_flags.read(values, config.GROUPS[group]) for group in GROUPS[command]}
    # its own header gives the command line that it is for, with these files in this order
    line = re.search(rf'gaze-tf {command} .*', header(paths[-1]))[0]
    assert re.findall(r'--flagfile=flags/(\S+)', line) == list(names)
    if names[0] == 'base.flags':
        for group, made in built.items():
            if group != 'run':
                assert made == config.GROUPS[group]()


@pytest.mark.parametrize('path', sorted(FLAGS_DIR.iterdir()), ids=lambda path: path.name)
def test_command_lines_in_headers_parse(path):
    lines = re.findall(r'gaze-tf (pretrain|train) (--.*)', header(path))
    # the part that two trainings share may name the command that runs both, or those that make their data
    assert lines or re.search(
        r'(make training-demo|python -m tools.studies.quality_benchmark .*|gaze-tf prepare .*)$',
        header(path),
        re.MULTILINE,
    )
    for command, args in lines:
        args = args.replace('--flagfile=flags/', f'--flagfile={FLAGS_DIR}/').split()
        assert cli.parse(command, args)[1] is not None


def test_names_that_are_no_text_and_a_terminal_that_knows_few_letters(faces_dir, tmp_path):
    folder = os.fsencode(tmp_path) + b'/\xff\xc3\xa4'
    command = [
        sys.executable,
        '-m',
        'gaze_tf.cli.main',
        'prepare',
        f'--data_dir={faces_dir}',
        b'--output_dir=' + folder,
        f'--img_size={tiny.SIZE}',
        '--test_x=2',
        '--test_y=2',
    ]
    done = subprocess.run(
        command, env={**os.environ, 'PYTHONIOENCODING': 'ascii:strict'}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and 'Traceback' not in done.stderr
    assert '/\\udcff\\xe4 is complete: 4 shards written' in done.stdout and b'manifest.json' in os.listdir(folder)


@pytest.mark.parametrize(
    'command',
    [
        ['correct', '--output=a.png', '--input'],
        ['export', '--checkpoint=runs', '--output_dir'],
        ['turn', '--input=a.png', '--output'],
        ['export', '--checkpoint'],
        ['prepare', '--output_dir=a', '--data_dir'],
    ],
)
def test_names_that_are_too_long(tmp_path, monkeypatch, capsys, command):
    monkeypatch.chdir(tmp_path)
    if command == ['export', '--checkpoint']:
        command = ['export', '--output_dir=a', '--checkpoint']
    name = 'n' * 300
    assert cli.main([*command[:-1], f'{command[-1]}={name}']) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f'gaze-tf {command[0]}: ') and not list(tmp_path.iterdir())


def test_names_that_tensorflow_cannot_open(monkeypatch, capsys):
    from gaze_tf.cli import export

    monkeypatch.setattr(export, 'run', lambda values: values.output_dir.encode())
    status, _, err = run(capsys, 'export', '--output_dir=' + os.fsdecode(b'runs/\xff'))
    assert status == 1 and err.startswith("gaze-tf export: 'runs/\\udcff' is not UTF-8")


def test_without_a_standard_output(monkeypatch):
    """As services start programs, and pythonw."""
    monkeypatch.setattr(sys, 'stdout', None)
    monkeypatch.setattr(sys, 'argv', ['gaze-tf', 'correct', '--help'])
    monkeypatch.setattr(cli.signal, 'signal', lambda *_: None)
    assert cli.main() == 0
