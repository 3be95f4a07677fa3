"""gaze-tf evaluate: its report, and what it says of bad input."""

import csv
import html.parser
import json
import re
import shutil

import numpy as np
import pytest
from PIL import Image

from gaze_tf.cli.main import main
from gaze_tf.data.records import file_sha256
from gaze_tf.evaluation.painted import Tools
from gaze_tf.evaluation.report import write
from tests import rendered, tiny
from tests.paths import ROOT

ESTIMATOR = ROOT / 'gaze_tf/evaluation/gaze_estimator.npz'


def strict(path):
    """JSON as the standard has it, which knows no NaN or Infinity."""

    def refuse(constant):
        raise AssertionError(f'{constant} in {path}')

    return json.loads(path.read_text(encoding='utf-8'), parse_constant=refuse)


def evaluate(output, **options):
    return main(['evaluate', *tiny.arguments(output=output, **options)])


@pytest.fixture(scope='module')
def options(model_dir, rendered_dir):
    return {'model': model_dir, 'data': rendered_dir, 'batch_size': 5, **rendered.FLAGS}


@pytest.fixture(scope='module')
def folder(options, tmp_path_factory):
    """A report of a model that was hardly trained, on rendered faces."""
    output = tmp_path_factory.mktemp('reports') / 'one'
    assert evaluate(output, **options) == 0
    return output


@pytest.fixture(scope='module')
def content(folder):
    return strict(folder / 'report.json')


def test_the_report_has_every_block(content):
    assert set(content['results']) == {
        'reconstruction',
        'gaze',
        'animation',
        'identity',
        'twin',
        'containment',
        'sharpness',
    }
    assert content['results']['containment'] == {'changed_outside': 0, 'faces': 0, 'outputs': 4 + 8 * 12}
    assert content['results']['gaze']['true']['faces'] == 8 and content['results']['gaze']['after']['mean'] > 0
    assert content['results']['identity']['content_distance_of_different_people'] > 0
    assert {line['what'] for line in content['not_computed']} == {'LPIPS', 'FID and KID', 'iris offset by mediapipe'}
    assert 'lpips_image' not in content['results']['reconstruction']['x']


def test_the_report_says_what_it_rests_on(content, saved_model, options, rendered_dir):
    samples = rendered.samples(rendered_dir, tiny.SIZE)
    assert content['data'] == {
        'fingerprint': samples.fingerprint,
        'rendered': True,
        'samples': samples.names,
        'identities_also_in_training': 0,
        'left_out': [],
    }
    names = 'config.json', 'saved_model.pb', 'variables/variables.index', 'variables/variables.data-00000-of-00001'
    assert content['model']['files'] == {name: file_sha256(saved_model / name) for name in names}
    assert content['model']['config']['crop_w'] == tiny.MODEL.crop_w
    assert content['estimator']['sha256'] == file_sha256(ESTIMATOR) and content['estimator']['own_error']['mean'] > 0
    assert content['flags']['test_y'] == 8 and content['flags']['seed'] == 0 and 'output' not in content['flags']
    assert {'gaze_tf', 'tensorflow', 'numpy', 'scikit-image', 'python'} <= set(content['versions'])


def test_speed_and_size_are_of_this_machine_and_model(content, saved_model):
    import tensorflow as tf

    loaded = tf.saved_model.load(str(saved_model))
    size = sum(path.stat().st_size for path in saved_model.rglob('*') if path.is_file())
    parameters = sum(int(tf.size(variable)) for variable in loaded.weights)
    assert content['model']['size'] == {'bytes': size, 'parameters': parameters}
    speed = content['machine']['speed']
    assert all(0 < speed[f'{what}_{count}'] < 10 for what in ('correct', 'animate_frame') for count in ('one', 'batch'))
    assert content['machine']['cores'] >= 1 and content['run']['seconds'] > 0


def test_a_second_report_replaces_the_first_if_told_to_and_says_the_same(folder, content, options, tmp_path, capsys):
    output = shutil.copytree(folder, tmp_path / 'report')
    (output / 'note.txt').write_text('of the earlier one')
    assert evaluate(output, **options) == 1
    assert 'exists already' in capsys.readouterr().err and (output / 'note.txt').exists()
    assert evaluate(output, overwrite=True, **options) == 0
    out = capsys.readouterr().out
    assert 'estimated angle after correction' in out and 'LPIPS: not computed; ' in out
    assert f'{output / "index.html"} shows it' in out
    assert not (output / 'note.txt').exists() and [path.name for path in tmp_path.iterdir()] == ['report']
    again = strict(output / 'report.json')
    assert {name: value for name, value in again.items() if name not in ('machine', 'run')} == {
        name: value for name, value in content.items() if name not in ('machine', 'run')
    }
    assert (output / 'per_image.csv').read_bytes() == (folder / 'per_image.csv').read_bytes()


def test_the_table_has_a_row_for_each_face(folder, content):
    with open(folder / 'per_image.csv', newline='') as file:
        rows = list(csv.DictReader(file))
    names = content['data']['samples']
    assert [(row['domain'], row['name']) for row in rows] == [
        (domain, name) for domain in 'xy' for name in names[domain]
    ]
    after = [float(row['angle_after']) for row in rows if row['domain'] == 'y']
    assert sum(after) / 8 == pytest.approx(content['results']['gaze']['after']['mean'])
    assert rows[0]['angle_after'] == '' and not {'nan', 'inf', 'None'} & {
        value for row in rows for value in row.values()
    }


class _Links(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.found, self.open = [], []

    def handle_starttag(self, tag, attributes):
        self.found += [value for name, value in attributes if name in ('src', 'href')]
        if tag not in ('meta', 'img'):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_stands_alone(folder, content):
    text = (folder / 'index.html').read_text(encoding='utf-8')
    page = _Links()
    page.feed(text)
    assert page.open == [] and 'script' not in text
    assert all((folder / link).is_file() for link in page.found)
    pictures = {link for link in page.found if link.endswith('.png')}
    assert pictures == {f'images/{path.name}' for path in (folder / 'images').iterdir()}
    assert {
        'images/before_after.png',
        'images/groups.png',
        'images/alphas.png',
        'images/reconstruction.png',
        'images/strip-05.png',
        'images/case-07.png',
    } <= pictures
    assert all(name in text for name in content['data']['samples']['y']) and 'not computed' in text


def test_case_pictures_show_the_input_and_the_twin(folder, content, rendered_dir):
    """The middle of the enlarged face, sampled, is about that of the file."""
    text = (folder / 'index.html').read_text(encoding='utf-8')
    file, name = re.search(r'images/(case-\d\d.png)" alt="(y\d+)', text).groups()
    with Image.open(folder / 'images' / file) as shown, Image.open(rendered_dir / '0' / f'{name}.jpg') as face:
        cell = shown.width // 3
        for left, other in ((0, face), (2 * cell, Image.open(rendered_dir / 'twins' / f'{name}.png'))):
            part = shown.crop((left + 55, 18 + 110, left + 165, 18 + 165)).resize((4, 2), Image.Resampling.BOX)
            same = other.convert('RGB').crop((16, 32, 48, 48)).resize((4, 2), Image.Resampling.BOX)
            assert np.abs(np.array(part, int) - np.array(same, int)).max() < 12


def test_photos_have_no_degrees_and_names_are_escaped(model_dir, faces_dir, tmp_path):
    faces = shutil.copytree(faces_dir, tmp_path / 'faces')
    (faces / '0' / 'f6.jpg').rename(faces / '0' / '<b>&.jpg')
    (faces / '0.txt').write_text((faces / '0.txt').read_text().replace('f6 ', '<b>& '))
    output = tmp_path / 'report'
    assert evaluate(output, model=model_dir, data=faces, test_x=2, test_y=3, iris_offset=False) == 0
    content, text = strict(output / 'report.json'), (output / 'index.html').read_text(encoding='utf-8')
    assert set(content['results']) == {'reconstruction', 'identity', 'containment', 'sharpness'}
    assert 'truth.csv' in content['not_computed'][0]['why'] and not (output / 'images' / 'alphas.png').exists()
    assert '&lt;b&gt;&amp;' in text and '<b>' not in text


def test_what_was_not_measured_says_what_it_takes(rendered_dir):
    samples = rendered.samples(rendered_dir)
    lines = {line['what']: line['why'] for line in write.not_computed(rendered.DoNothing(), samples, Tools())}
    assert 'a gaze estimator' in lines['degrees and animation'] and len(lines) == 4
    assert 'tools' not in ' '.join(lines.values())


def test_only_reports_are_overwritten(options, tmp_path, capsys):
    (tmp_path / 'photos').mkdir()
    (tmp_path / 'photos' / 'mine.jpg').write_bytes(b'')
    assert evaluate(tmp_path / 'photos', overwrite=True, **options) == 1
    assert 'holds no report' in capsys.readouterr().err and (tmp_path / 'photos' / 'mine.jpg').exists()


@pytest.mark.parametrize(
    'change, message',
    [
        ({'data': ''}, '--data is needed'),
        ({'model': 'nowhere'}, 'There is no SavedModel in nowhere'),
        ({'data': 'nowhere'}, 'nowhere/1 is missing: --data must be a folder with'),
        ({'gaze_estimator': 'nowhere'}, 'nowhere cannot be used as a gaze estimator'),
        ({'test_x': 100}, '--test_x=100'),
        ({'conditions': 'grey,fog'}, "--conditions must be one of 'grey', "),
        ({'batch_size': 0}, '--batch_size must be at least 1'),
        ({'lpips_linear': 'nowhere'}, 'go together'),
        ({'lpips_backbone': 'nowhere', 'lpips_linear': 'nowhere'}, 'nowhere'),
        ({'inception': 'nowhere'}, 'nowhere'),
    ],
)
def test_bad_input_is_one_sentence_and_leaves_nothing(options, tmp_path, capsys, change, message):
    assert evaluate(tmp_path / 'report', **{**options, **change}) == 1
    err = capsys.readouterr().err
    assert message in err and err.startswith('gaze-tf evaluate: ') and len(err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_an_estimator_needs_rendered_faces(options, faces_dir, tmp_path, capsys):
    changes = {'data': faces_dir, 'test_x': 2, 'test_y': 2, 'gaze_estimator': ESTIMATOR}
    assert evaluate(tmp_path / 'report', **{**options, **changes}) == 1
    assert 'has no truth.csv' in capsys.readouterr().err


def test_what_fails_on_the_way_leaves_nothing(options, tmp_path, monkeypatch, capsys):
    def fail(*_):
        assert [path.name.startswith('.gaze_tf-') for path in tmp_path.iterdir()] == [True]
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(write, 'measure', fail)
    assert evaluate(tmp_path / 'report', **options) == 1
    assert f'{tmp_path / "report"}: cannot be written (No space left on device)' in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
