"""Imports go one way, from each floor to those below it:

cli
client, server, datasets, evaluation, turning, page
editing
inference
export, original
pretrained, training, media
synthetic
models, losses, data
compositing
config, options, calibration
files, errors, easing
"""

import ast
import pathlib
import subprocess
import sys

import pytest

import gaze_tf

PACKAGE = pathlib.Path(gaze_tf.__file__).parent
MODULES = sorted(PACKAGE.rglob('*.py'))

FLOOR = {
    'errors',
    'files',
    'options',
    'calibration',
    'config',
    'checkpoint_index',
    'checkpoint_reader',
    'easing',
    'versions',
    '__version__',
}
# for each room, the other rooms that it may import
ALLOWED = {
    'errors': set(),
    'versions': set(),
    'checkpoint_index': set(),
    'checkpoint_reader': {'checkpoint_index', 'errors'},
    'easing': set(),
    'files': {'errors'},
    'options': {'errors'},
    'calibration': {'errors', 'options'},
    'config': {'calibration', 'errors', 'files', 'options'},
    'compositing': FLOOR,
    'synthetic': FLOOR | {'data'},
    'media': FLOOR,
    'data': FLOOR | {'compositing'},
    'losses': FLOOR,
    'models': FLOOR | {'compositing'},
    'pretrained': FLOOR | {'models'},
    'training': FLOOR | {'compositing', 'models', 'losses', 'data'},
    'original': FLOOR | {'models', 'training'},
    'export': FLOOR | {'compositing', 'data', 'models', 'pretrained', 'training.checkpoints', 'training.run_folder'},
    'inference': FLOOR | {'compositing', 'pretrained', 'export.signatures'},
    'editing': FLOOR | {'inference', 'media', 'compositing', 'data'},
    'turning': FLOOR | {'editing', 'inference', 'media', 'compositing'},
    'datasets': FLOOR | {'turning', 'inference', 'media', 'compositing', 'data'},
    'evaluation': FLOOR | {'inference', 'compositing', 'data', 'models.degrees'},
    'server': {'errors', 'options', 'versions'},
    'client': FLOOR | {'editing', 'inference', 'media', 'export.checks'},
    'page': FLOOR | {'editing', 'inference', 'media'},
    'cli': FLOOR
    | {
        'client',
        'server',
        'datasets',
        'synthetic',
        'evaluation',
        'page',
        'turning',
        'editing',
        'media',
        'inference',
        'export',
        'original',
    }
    | {'pretrained', 'training', 'models', 'losses', 'data'},
}
# and for modules that may import less than their room
CLIENT = {'client.options', 'client.remote', 'errors'}
ALLOWED_TO = {'client/remote.py': CLIENT, 'client/over_grpc.py': CLIENT, 'client/over_rest.py': CLIENT}


def imports(path):
    """Full names of all that a module imports, `from a import b` as a.b."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f'{path} imports relatively'
            found |= {f'{node.module}.{alias.name}' for alias in node.names}
    return found


def within(name, parents):
    return any(name == parent or name.startswith(f'{parent}.') for parent in parents)


def part_of(path):
    """'models' of gaze_tf/models/layers.py, 'config' of gaze_tf/config.py."""
    return path.relative_to(PACKAGE).with_suffix('').parts[0]


@pytest.mark.parametrize('path', MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_one_way(path):
    ours = {name for name in imports(path) if within(name, ['gaze_tf'])}
    part = part_of(path)
    if part == '__init__':
        assert ours == {'gaze_tf.versions.prepare_tensorflow', 'gaze_tf.editing.editor.GazeEditor'}
    else:
        parts = ALLOWED_TO.get(path.relative_to(PACKAGE).as_posix(), ALLOWED[part] | {part})
        allowed = {f'gaze_tf.{other}' for other in parts}
        assert {name for name in ours if not within(name, allowed)} == set()


def importers(*packages):
    return {str(path.relative_to(PACKAGE)) for path in MODULES if any(within(name, packages) for name in imports(path))}


def test_only_commands_know_absl():
    found = importers('absl')
    assert 'cli/option_flags.py' in found and all(name.startswith('cli/') for name in found)


def test_one_module_imports_tensorflow_addons():
    assert importers('tensorflow_addons') == {'versions.py'}


def test_nothing_imports_tools_or_tests():
    assert importers('tools', 'tests') == set()


# in the order in which a process imports them: first those that may import least
WITHOUT_TENSORFLOW = [
    ('gaze_tf', ['tensorflow', 'numpy', 'gaze_tf.editing']),
    ('gaze_tf.cli.main', ['tensorflow', 'numpy']),
    ('gaze_tf.cli.draw_dataset', ['tensorflow', 'numpy']),
    ('gaze_tf.cli.make_dataset', ['tensorflow', 'numpy']),
    ('gaze_tf.cli.turn', ['tensorflow', 'numpy']),
    ('gaze_tf.cli.turn_dataset', ['tensorflow', 'numpy']),
    ('gaze_tf.cli.prepare', ['tensorflow']),
    ('gaze_tf.cli.pretrain', ['tensorflow']),
    ('gaze_tf.cli.train', ['tensorflow']),
    ('gaze_tf.cli.export', ['tensorflow']),
    ('gaze_tf.cli.lite', ['tensorflow']),
    ('gaze_tf.cli.correct', ['tensorflow']),
    ('gaze_tf.cli.live', ['tensorflow', 'cv2']),
    ('gaze_tf.cli.page', ['tensorflow', 'gradio']),
    ('gaze_tf.cli.animate', ['tensorflow']),
    ('gaze_tf.cli.import_official', ['tensorflow']),
    ('gaze_tf.cli.evaluate', ['tensorflow', 'matplotlib', 'skimage']),
    ('gaze_tf.cli.client', ['tensorflow', 'grpc']),
    ('gaze_tf.cli.serve', ['tensorflow', 'grpc', 'werkzeug']),
    ('gaze_tf.synthetic.faces', ['tensorflow']),
]
WITH_TENSORFLOW = [
    ('gaze_tf.server.local', ['gaze_tf.models', 'gaze_tf.training', 'gaze_tf.editing', 'tensorflow_addons']),
    ('gaze_tf.editing.editor', ['gaze_tf.models', 'gaze_tf.pretrained', 'gaze_tf.export', 'tensorflow_addons']),
]


@pytest.mark.parametrize('modules', [WITHOUT_TENSORFLOW, WITH_TENSORFLOW], ids=['without TensorFlow', 'with it'])
def test_imports_at_start(modules):
    code = (
        'import importlib, sys\n'
        f'for module, unwanted in {modules}:\n'
        '    importlib.import_module(module)\n'
        '    if found := [name for name in unwanted if name in sys.modules]:\n'
        '        print(module, found)\n'
    )
    result = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert result.stdout == ''
