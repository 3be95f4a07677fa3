"""Tiny models and data that the tests share."""

import contextlib
import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from gaze_tf.compositing.align import MEAN_EYES
from gaze_tf.config import EncoderConfig, ModelConfig
from gaze_tf.data.pipeline import Batch
from gaze_tf.export import export, signatures

SIZE = 32
# Shallow, because instance normalisation makes a constant of a map of one pixel, and nothing before it
# would learn; odd boxes, because even ones hide rounding.
MODEL = ModelConfig(
    img_size=SIZE,
    crop_w=13,
    crop_h=9,
    crop_px=8,
    code_size=4,
    ngf=2,
    ndf=2,
    nef=2,
    n_layers_g=2,
    n_layers_d=1,
    n_layers_e=1,
    n_layers_r=1,
)
ENCODER = EncoderConfig(**{field.name: getattr(MODEL, field.name) for field in dataclasses.fields(EncoderConfig)})


@contextlib.contextmanager
def eagerly():
    """Operations run one by one. A few training steps take far less time than tracing and optimizing their graph."""
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(False)


@contextlib.contextmanager
def bare_exports(*names):
    """Exports have these signatures only, and lack what they check and add, which test_export.py is about."""

    def bare_module(model):
        whole, module = signatures.serving_module(model), tf.Module()
        for name in ('weights', *names):
            setattr(module, name, getattr(whole, name))
        return module

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, 'serving_module', bare_module)
        patch.setattr(export, 'signatures_of', lambda module: {name: getattr(module, name) for name in names})
        patch.setattr(export, 'check', lambda *args: None)
        patch.setattr(export.warmup, 'available', lambda: False)
        yield


def arguments(**options):
    """--name=value for each option."""
    return [f'--{name}={value}' for name, value in options.items()]


def model_arguments(config, **changes):
    """The flags of a configuration."""
    return arguments(**{**dataclasses.asdict(config), **changes})


def smooth_image(rng, size=SIZE):
    """uint8 [size, size, 3] with broad blotches of colour, which JPEG and GIF hardly change."""
    blotches = rng.integers(0, 256, (4, 4, 3), np.uint8)
    return np.array(Image.fromarray(blotches).resize((size, size), Image.Resampling.BICUBIC))


def eyes_of(rng, count):
    """float32 [count, 4]: whole pixels near (9, 12) and (22, 12)."""
    return np.array([9, 12, 22, 12], np.float32) + rng.integers(-2, 3, (count, 4)).astype(np.float32)


def batch(seed, count=2):
    """A Batch of noise with eyes whose boxes lie in the image."""
    rng = np.random.default_rng(seed)
    image = rng.uniform(-1, 1, (count, SIZE, SIZE, 3)).astype(np.float32)
    return Batch(tf.constant(image), tf.constant(eyes_of(rng, count)))


def write_faces(folder, counts):
    """A raw folder in CelebAGaze's layout; counts: {'1': images, '0': images}."""
    rng = np.random.default_rng(7)
    for name, count in counts.items():
        (folder / name).mkdir(parents=True)
        rows = []
        for i, eyes in enumerate(eyes_of(rng, count)):
            Image.fromarray(smooth_image(rng)).save(folder / name / f'f{i}.jpg', quality=95)
            rows.append(' '.join([f'f{i}', *(f'{value:g}' for value in eyes)]))
        (folder / f'{name}.txt').write_text('\n'.join(rows) + '\n')
    return folder


def inside_boxes(eyes, config):
    """bool [S, S]: the mask of one face, box by box, in whole numbers."""
    mask = np.zeros([config.img_size] * 2, bool)
    for x, y in (eyes[:2], eyes[2:]):
        x0, x1 = (int(x + sign * config.crop_w / 2) for sign in (-1, 1))
        y0, y1 = (int(y + sign * config.crop_h / 2) for sign in (-1, 1))
        mask[max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)] = True
    return mask


def randomize(variables, seed, scale=0.3):
    """Gives variables other values than their initial ones, biases too."""
    rng = np.random.default_rng(seed)
    for variable in variables:
        variable.assign_add(rng.normal(0, scale, variable.shape).astype(np.float32))


def same_pixels(found, expected):
    """Whether grey levels agree, but for a few that rounding takes to the next one."""
    difference = np.abs(np.asarray(found, int) - np.asarray(expected, int))
    return difference.max() <= 1 and difference.mean() < 0.01


class Painter:
    """Stands in for a Network of 64-pixel faces with boxes of 13 x 9: paints grey 50 + 100 * alpha."""

    img_size = 64
    frame_eyes = MEAN_EYES

    def boxes(self, eyes):
        return [(int(x) - 6, int(y) - 4, int(x) + 7, int(y) + 5) for x, y in np.reshape(eyes, (2, 2))]

    def correct(self, images, eyes):
        return self.animate(images, eyes, [1])[:, 0]

    def animate(self, images, eyes, alphas):
        alphas = np.broadcast_to(alphas, [len(images), np.shape(alphas)[-1]])
        frames = np.repeat(images[:, None], alphas.shape[1], axis=1)
        for face, own, moved in zip(frames, eyes, alphas):
            for x0, y0, x1, y1 in self.boxes(own):
                for frame, alpha in zip(face, moved):
                    frame[y0:y1, x0:x1] = 50 + 100 * alpha
        return frames

    def paint_codes(self, images, eyes):
        return np.zeros([len(images), 2], np.float32)

    def paint(self, images, eyes, codes):
        return self.correct(images, eyes)
