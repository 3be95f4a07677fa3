"""The demo: its stages are good command lines, and its page shows what they left."""

import html.parser
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gaze_tf.cli import main as cli
from tests import photos
from tools import demo

COLOURS = {'turned.png': (200, 30, 30), 'corrected.png': (30, 200, 30)}


@pytest.fixture
def out(tmp_path, monkeypatch):
    """A demo folder as the stages leave it, with plain pictures; the stages do nothing."""
    for name, colour in COLOURS.items():
        Image.new('RGB', (300, 300), colour).save(tmp_path / name)
    Image.new('RGB', (300, 300)).save(tmp_path / 'animated.gif')
    monkeypatch.setattr(demo, 'stages', lambda _: [('Nothing', [sys.executable, '-c', ''])])
    return tmp_path


def test_every_stage_is_a_good_command_line(tmp_path):
    files = {Path(demo.PORTRAIT)}
    for _, (python, _, module, command, *args) in demo.stages(tmp_path):
        assert (python, module) == (sys.executable, 'gaze_tf.cli.main')
        values = cli.parse(command, args)[1]
        # each takes what is there or what an earlier one left
        assert Path(values.input) in files and (values.input == str(demo.PORTRAIT)) == (command == 'turn')
        files.add(Path(values.output))
    assert {path.name for path in files} == {'portrait.png', 'animated.gif', *COLOURS}


def test_the_strip_shows_the_eyes(out):
    assert demo.run(out) == 0
    with Image.open(out / 'strip.png') as image:
        strip = np.array(image.convert('RGB'))
    assert strip.shape == (3 * (26 + 270), 600, 3)
    taken, turned, corrected = np.split(strip, 3)
    assert (turned[26:] == COLOURS['turned.png']).all() and (corrected[26:] == COLOURS['corrected.png']).all()
    assert all((row[:26] != 255).any() for row in (taken, turned, corrected))
    # both eyes of the portrait are in the picture, at 6 times their size: pupils are dark
    for x, y in (128, 100.5), (172, 103):
        left, top = int((x - 100) * 6), int((y - 80) * 6) + 26
        assert 0 < left < 600 and taken[top - 12 : top + 12, left - 18 : left + 18].min() < 60


class _Page(html.parser.HTMLParser):
    """Collects tags that were left open, and what a page refers to."""

    def __init__(self, text):
        super().__init__()
        self.open, self.sources, self.others = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == 'img':
            assert attributes['alt']
            self.sources.append(attributes['src'])
        self.others += [attributes[name] for name in ('href', 'src') if name in attributes and tag != 'img']
        if tag not in ('img', 'meta'):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_shows_what_is_in_its_folder(out, capsys):
    assert demo.run(out) == 0
    text = (out / 'index.html').read_text(encoding='utf-8')
    page = _Page(text)
    assert page.open == [] and page.others == []
    assert page.sources == ['original.png', 'turned.png', 'corrected.png', 'strip.png', 'animated.gif']
    assert all((out / source).is_file() for source in page.sources)
    assert (out / 'original.png').read_bytes() == photos.PORTRAIT.read_bytes()
    assert 'width=device-width' in text and 'turned 20 degrees' in text and 'no evidence' in text
    assert f'{out}/index.html ' in capsys.readouterr().out


def test_a_stage_that_fails_ends_the_demo(out, monkeypatch, capsys):
    monkeypatch.setattr(
        demo,
        'stages',
        lambda _: [
            ('Failing', [sys.executable, '-c', 'import sys; sys.exit(3)']),
            ('Nothing', [sys.executable, '-c', '']),
        ],
    )
    assert demo.run(out) == 3
    assert 'stage 1 (Failing)' in capsys.readouterr().err and not (out / 'index.html').exists()
