"""A tiny face, models and editors for tests of editing."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from gaze_tf.config import ModelConfig
from gaze_tf.config import save as save_config
from gaze_tf.editing import editor as editor_lib
from gaze_tf.editing.editor import GazeEditor
from gaze_tf.inference import mediapipe_detector
from gaze_tf.models.gaze_model import GazeModel
from tests import served, tiny
from tests.editing.folders import detector
from tests.editing.scenes import EYES, LARGE, SMALL, TURNED, eyes_flag
from tests.shipped import shipped_once  # noqa: F401


@pytest.fixture(scope='session')
def face(tmp_path_factory):
    path = tmp_path_factory.mktemp('face') / 'face.png'
    Image.fromarray(tiny.smooth_image(np.random.default_rng(3))).save(path)
    return path


@pytest.fixture(scope='session')
def photo_model(made_once):
    """A SavedModel for 128-pixel faces that was never trained; (path, configuration)."""
    config = ModelConfig(img_size=128, crop_w=30, crop_h=20, crop_px=32, ngf=2, ndf=2, nef=2, code_size=4)

    def make(path):
        tf.keras.utils.set_random_seed(4)
        model = GazeModel(config, native_crops=False, discriminators=False)
        tiny.randomize(model.trainable_variables, seed=4, scale=0.1)
        served.save(model, path, 'correct', 'animate')  # as version 0.1 exported it
        save_config(path / 'config.json', model=config)

    return made_once('photo_model', make), config


@pytest.fixture
def command(saved_model, face, tmp_path):
    """name and changes to flags → the command line for the tiny face; None leaves a flag out."""

    def make(name, **changes):
        output = tmp_path / ('out.gif' if name == 'animate' else 'out.png')
        options = {
            'model': saved_model,
            'input': face,
            'eyes': eyes_flag(EYES),
            'output': output,
            'blend': 'hard',
            **changes,
        }
        return [name, *tiny.arguments(**{key: value for key, value in options.items() if value is not None})]

    return make


@pytest.fixture
def editor():
    return GazeEditor(tiny.Painter(), detector=lambda rgb: [LARGE, SMALL, TURNED])


@pytest.fixture
def without_a_model(monkeypatch):
    monkeypatch.setattr(editor_lib, 'Network', lambda path: tiny.Painter())
    monkeypatch.setattr(mediapipe_detector, 'MediapipeDetector', lambda *args: detector)
