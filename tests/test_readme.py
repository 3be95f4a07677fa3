"""README, CONTRIBUTING and docs name what exists.

Every command of README.md is run here, by another test, or by `make training-demo`. Commands of other pages are parsed.
"""

import functools
import importlib
import os
import pathlib
import re
import shlex
import shutil
import subprocess

import numpy as np
import pytest
from absl import flags
from PIL import Image

from gaze_tf.cli import main as cli
from gaze_tf.editing import editor as editor_lib
from gaze_tf.inference.network import Network
from gaze_tf.media.video_files import write_video
from tests import photos
from tests.paths import ROOT
from tests.shipped import shipped_once  # noqa: F401
from tools import training_demo

# language and text of each block; those without a language are command lines
BLOCK = re.compile(r'^ *```(\w*)\n(.*?)^ *```$', re.MULTILINE | re.DOTALL)
DOCS = sorted(f'docs/{path.name}' for path in (ROOT / 'docs').glob('*.md'))
PAGES = {name: (ROOT / name).read_text(encoding='utf-8') for name in ['README.md', 'CONTRIBUTING.md', *DOCS]}
README = PAGES['README.md']
BLOCKS = BLOCK.findall(README)
# options of TensorFlow Serving, Docker and tf2onnx
FOREIGN = {'enable_batching', 'rest_api_timeout_in_ms', 'allow_version_labels_for_unavailable_models', 'profile', 'use'}


def prose(page):
    return BLOCK.sub('', PAGES[page])


def inline(page):
    return re.findall(r'`([^`\n]+)`', prose(page))


def lines(page):
    """The command lines of a page's blocks, those that are continued as one."""
    blocks = [text for language, text in BLOCK.findall(PAGES[page]) if not language]
    return [line.strip() for text in blocks for line in text.replace('\\\n', ' ').splitlines()]


COMMANDS = [words for line in lines('README.md') if (words := shlex.split(line, comments=True))]
# those of other pages are parsed, up to a pipe, unless they leave something out
IN_DOCS = [
    (page, shlex.split(line, comments=True))
    for page in PAGES
    if page != 'README.md'
    for line in lines(page)
    if re.match(r'gaze-tf |python -m tools\.', line) and not re.search(r'\.\.\.|…', line)
]
# commands of gaze-tf that need more than small data, or a server: the test that runs each with other values
RUN_BY = {
    'prepare': 'conftest.py',
    'pretrain': 'conftest.py',
    'train': 'conftest.py',
    'export': 'conftest.py',
    'import-official': 'original/test_official.py',
    'evaluate': 'evaluation/test_evaluate_command.py',
    'serve': 'server/test_serve.py',
    'client': 'client/test_client_and_server.py',
    'lite': 'export/test_lite.py',
    'live': 'editing/test_live.py',
    'page': 'page/conftest.py',
    'turn-dataset': 'turning/test_turning.py',
    'draw-dataset': 'synthetic/test_synthetic_faces.py',
}
RUN_HERE = [words[1:] for words in COMMANDS if words[0] == 'gaze-tf' and words[1] not in RUN_BY]


def parse_gaze_tf(command, *args):
    """Parses a command line; files of the repository that it names must exist."""
    values = cli.parse(command, args)[1]
    for value in values.flag_values_dict().values():
        # files of the repository; others are the reader's
        if re.match(r'(tests|flags|serving|tools)/', str(value)):
            assert (ROOT / value).is_file(), value


def check_gaze_tf(command, *args):
    parse_gaze_tf(command, *args)
    assert [command, *args] in RUN_HERE or re.search(
        rf"['\"]{command}['\"]", (ROOT / 'tests' / RUN_BY[command]).read_text()
    )


def check_make(target):
    planned = subprocess.run(['make', '--dry-run', target], cwd=ROOT, capture_output=True, text=True)
    assert planned.returncode == 0, planned.stderr
    (module,) = re.findall(r'^\S*python -m (tools\.\S+)', planned.stdout, re.MULTILINE) or [None]
    assert module is None or file_of(module).is_file()


def file_of(module):
    return ROOT / f'{module.replace(".", "/")}.py'


def check_python(option, module, *args):
    assert option == '-m'
    assert {re.fullmatch(r'--(\w+)(=.*)?', arg)[1] for arg in args} <= defined_in(file_of(module))


def defined_in(path):
    """Names of the flags that a script defines, with the negations of booleans."""
    found = re.findall(r"flags\.DEFINE_(\w+)\(\s*'(\w+)'", path.read_text(encoding='utf-8'))
    return {name for _, name in found} | {f'no{name}' for kind, name in found if kind == 'boolean'}


def check_docker(compose, *args):
    assert compose == 'compose'
    file, profile = (args[args.index(flag) + 1] for flag in ('-f', '--profile'))
    assert f'profiles: [{profile}]' in (ROOT / file).read_text(encoding='utf-8')


def check_pip(install, package):
    # its extras are looked at below
    assert install == 'install' and re.fullmatch(r'\.\[[a-z,]+\]', package)


def check_source(path):
    planned = subprocess.run(['make', '--dry-run', '--always-make', 'venv'], cwd=ROOT, capture_output=True, text=True)
    assert f'{path.removesuffix("/activate")}/python -m pip install' in planned.stdout


CHECKS = {
    'gaze-tf': check_gaze_tf,
    'make': check_make,
    'python': check_python,
    'docker': check_docker,
    'pip': check_pip,
    'source': check_source,
}


@pytest.mark.parametrize('words', COMMANDS, ids=shlex.join)
def test_a_command_is_good(words, monkeypatch):
    monkeypatch.chdir(ROOT)
    CHECKS[words[0]](*words[1:])


@pytest.mark.parametrize('page, words', IN_DOCS, ids=lambda value: value if isinstance(value, str) else value[1])
def test_a_command_of_the_docs_parses(page, words, monkeypatch):
    monkeypatch.chdir(ROOT)
    words = words[: words.index('|')] if '|' in words else words
    if words[0] == 'gaze-tf':
        parse_gaze_tf(*words[1:])
    else:
        check_python(*words[1:])


def test_no_command_is_missed():
    named = {words[1] for words in COMMANDS if words[0] == 'make'} | {
        text.split()[1] for text in inline('README.md') if text.startswith('make ')
    }
    assert {'venv', 'demo', 'training-demo', 'test'} <= named
    assert {language for language, _ in BLOCKS} == {'', 'python'}
    shown = [words for words in [*COMMANDS, *(words for _, words in IN_DOCS)] if words[0] == 'gaze-tf']
    assert {words[1] for words in shown} == set(cli.COMMANDS)


def test_the_readme_is_short():
    assert len(README.splitlines()) <= 150


def test_evaluate_is_the_training_demos_last_stage():
    (shown,) = (words for words in COMMANDS if words[1] == 'evaluate')
    ran = [word.replace(f'{ROOT}/', '') for word in training_demo.stages('runs/training-demo')[-1][1]]
    assert ran[3:] == shown[1:]


@functools.lru_cache
def all_flags():
    """Names of the flags of all commands, of booleans with their negations."""
    values = {}
    for command in cli.COMMANDS:
        of_command = flags.FlagValues()
        importlib.import_module(f'gaze_tf.cli.{command.replace("-", "_")}').define_flags(of_command)
        values.update({name: of_command[name] for name in of_command})
    return {*values, *(f'no{name}' for name, flag in values.items() if flag.boolean)}


@pytest.mark.parametrize('page', PAGES)
def test_flags_named_in_the_text_are_there(page):
    of_tools = set().union(*(defined_in(path) for path in (ROOT / 'tools').rglob('*.py')))
    named = set(re.findall(r'--(\w+)', prose(page)))
    assert named - all_flags() - of_tools - FOREIGN - {'help', 'seed'} == set()


@pytest.mark.parametrize('page', PAGES)
def test_commands_named_in_the_text_are_there(page):
    named = {name for text in inline(page) for name in re.findall(r'gaze-tf ([a-z-]+)', text) if name[0] != '-'}
    assert named <= set(cli.COMMANDS)
    for target in {name for text in inline(page) for name in re.findall(r'^make ([\w-]+)$', text)}:
        check_make(target)
    for module in {name for text in inline(page) for name in re.findall(r'^python -m (tools(?:\.\w+)+)', text)}:
        assert file_of(module).is_file(), module


@pytest.mark.parametrize('page', PAGES)
def test_what_python_examples_import_is_there(page):
    for language, text in BLOCK.findall(PAGES[page]):
        if language == 'python':
            compile(text, page, 'exec')
            for line in re.findall(r'^from gaze_tf.*$', text, re.MULTILINE):
                exec(line, {})


def test_extras_are_in_the_package():
    known = set(re.findall(r"^    '(\w+)': \[", (ROOT / 'setup.py').read_text(encoding='utf-8'), re.MULTILINE))
    named = {name for extras in re.findall(r"pip install '\.\[(.*?)\]'", README) for name in extras.split(',')}
    assert {'faces', 'video'} <= named <= known


def anchors(page):
    """What GitHub makes of a page's headings."""
    headings = re.findall(r'^#+ (.*)$', BLOCK.sub('', (ROOT / page).read_text(encoding='utf-8')), re.MULTILINE)
    return {re.sub(r'[^\w\- ]', '', heading.lower()).replace(' ', '-') for heading in headings}


@pytest.mark.parametrize('page', PAGES)
def test_files_and_links_lead_somewhere(page):
    for link in re.findall(r'\]\(([^)\s]+)\)', prose(page)):
        if not re.match(r'https?://', link):
            path, _, anchor = link.partition('#')
            path = os.path.relpath((ROOT / page).parent / path, ROOT) if path else page
            assert (ROOT / path).exists(), link
            assert not anchor or anchor in anchors(path), link
    files = [text for text in inline(page) if re.fullmatch(r'(gaze_tf|tools|tests|docs|flags|serving)/[\w./]*', text)]
    assert [path for path in files if not (ROOT / path).exists()] == []


def test_names_of_the_map_are_in_the_code():
    table = PAGES['docs/architecture.md'].partition('## From the paper to the code')[2].partition('\n\nLeft is')[0]
    names = {name for row in table.splitlines()[4:] for name in re.findall(r'`(\w+)`', row.split('|')[2])}
    code = '\n'.join(
        path.read_text(encoding='utf-8')
        for folder in ('models', 'training')
        for path in (ROOT / 'gaze_tf' / folder).glob('*.py')
    )
    assert len(names) == 8 and [name for name in names if not re.search(rf'\b{name}\b', code)] == []


@pytest.mark.parametrize('page', ['docs/architecture.md', 'CONTRIBUTING.md'])
def test_functions_named_beside_a_module_are_in_it(page):
    # `gaze_tf/room/module.py`: `Class.method`, `function`
    named = re.findall(r'`(gaze_tf/[\w/]+\.py)`: (`[^`\n]+`(?:,\s+`[^`\n]+`)*)', prose(page))
    assert len(named) > 5
    for path, names in named:
        code = (ROOT / path).read_text(encoding='utf-8')
        for name in re.findall(r'\w+', names):
            assert re.search(rf'^ *(def |class ){name}\b|^{name} = ', code, re.MULTILINE), f'{path}: {name}'


@pytest.fixture(scope='module')
def place(tmp_path_factory, face_models):
    """A folder in which what the commands name is there: photos and a video."""
    folder = tmp_path_factory.mktemp('readme')
    (folder / 'tests').symlink_to(ROOT / 'tests')
    with Image.open(photos.PORTRAIT) as image:
        portrait = image.convert('RGB')
    for name in ('holiday', 'AT_CAMERA', 'ELSEWHERE'):
        (folder / name).mkdir()
        portrait.resize((600, 600), Image.Resampling.BICUBIC).save(folder / name / 'one.jpg')
    portrait.save(folder / 'turned.png')
    portrait.save(folder / 'photo.jpg')
    with write_video(folder / 'talk.mp4', portrait.size, 10) as video:
        for _ in range(3):
            video.write(np.array(portrait))
    with pytest.MonkeyPatch.context() as patch:
        # loaded once; each command would else take seconds for it
        patch.setattr(editor_lib, 'Network', functools.lru_cache(Network))
        yield folder


@pytest.mark.parametrize('command', RUN_HERE, ids=' '.join)
def test_a_command_runs(place, monkeypatch, command):
    monkeypatch.chdir(place)
    values = cli.parse(command[0], command[1:])[1]
    output = pathlib.Path(
        values.output_dir
        if command[0] == 'make-dataset'
        else values.report
        if '--dry_run' in command
        else values.output
    )
    shutil.rmtree(output, ignore_errors=True)
    assert cli.main(command) == 0
    assert os.path.getsize(output) > 0 if output.suffix else [*output.iterdir()]


def test_the_python_example_does_what_the_command_does(place, monkeypatch):
    monkeypatch.chdir(place)
    (example,) = (text for language, text in BLOCKS if language == 'python')
    (command,) = {tuple(command) for command in RUN_HERE if command[-1] == '--output=corrected.png'}
    assert cli.main(list(command)) == 0
    expected = pathlib.Path('corrected.png').read_bytes()
    os.remove('corrected.png')
    names = {}
    exec(example, names)
    assert pathlib.Path('corrected.png').read_bytes() == expected and names['edited'].faces[0].done
