"""The demo's measurements, on renderings whose truth is known: each must be able to come out badly, too."""
import dataclasses
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1] / 'tools'))

import demo_report
import face_renderer
import iris
import synthetic_faces
from gaze_tf.config import ModelConfig, save

GEOMETRY = ModelConfig(img_size=128, crop_w=30, crop_h=20, crop_px=32)
FACES = 12


@pytest.fixture(scope='module')
def demo(tmp_path_factory):
    """A demo folder up to the point where corrected faces would be written."""
    out = tmp_path_factory.mktemp('demo')
    options = {'img_size': 128, 'num_x': 0, 'num_y': 0, 'test_x': 1, 'test_y': FACES, 'seed': 3}
    synthetic_faces.generate(out / 'faces', options, workers=2)
    (out / 'gaze').mkdir()
    save(out / 'gaze' / 'config.json', model=GEOMETRY)
    return out


def correct(demo, picture):
    """Fills demo/corrected with picture(name) for each held-out face."""
    shutil.rmtree(demo / 'corrected', ignore_errors=True)
    (demo / 'corrected').mkdir()
    for path in (demo / 'faces' / '0').iterdir():
        Image.fromarray(picture(path.stem)).save(demo / 'corrected' / f'{path.stem}.png')
    return demo


def read(path):
    with Image.open(path) as image:
        return np.array(image.convert('RGB'))


@pytest.mark.parametrize('size', [128, 256])
def test_irises_are_found_where_the_renderer_put_them(size):
    errors = []
    for index in range(20):
        person, view, _ = synthetic_faces.sample_image(5, 'XY'[index % 2], index, index)
        image, info = face_renderer.render(person, dataclasses.replace(view), size)
        for (x, y), true in zip(np.reshape(info['eyes'], [2, 2]), np.reshape(info['iris'], [2, 2])):
            half_w, half_h = 15 * size / 128, 10 * size / 128
            found = iris.locate(image, (y - half_h, x - half_w, y + half_h, x + half_w))
            errors.append(np.linalg.norm(found - true) * 128 / size)
    assert np.median(errors) < 0.7
    assert np.quantile(errors, 0.9) < 1.5


def test_perfect_correction(demo):
    metrics = demo_report.report(correct(demo, lambda name: read(demo / 'faces' / 'twins' / f'{name}.png')))
    assert metrics['faces'] == FACES
    assert metrics['nearer'] >= 0.9
    assert metrics['iris_to_camera_px']['after']['median'] < 0.6 < metrics['iris_to_camera_px']['before']['median']
    assert metrics['difference_inside_boxes']['after'] == 0
    assert metrics['difference_inside_boxes']['before'] > 1
    json.dumps(metrics)
    grid = read(demo / 'grid.png')
    assert grid.shape[0] > FACES * 128 and grid.shape[1] > 4 * 128


def test_no_correction_counts_for_nothing(demo):
    metrics = demo_report.report(correct(demo, lambda name: read(demo / 'faces' / '0' / f'{name}.jpg')))
    assert metrics['nearer'] == 0
    assert metrics['difference_inside_boxes']['after'] == metrics['difference_inside_boxes']['before']


def test_a_smear_instead_of_eyes_fails_the_bar(demo):
    def smear(name):
        image = read(demo / 'faces' / '0' / f'{name}.jpg')
        rng = np.random.default_rng(int(name[1:]))
        image[20:70] = np.clip(image[20:70].mean(axis=(0, 1)) + rng.normal(0, 6, [50, 128, 3]), 0, 255)
        return image

    assert demo_report.report(correct(demo, smear))['nearer'] < 0.6
