"""Whole photos in the served model: what `gaze-tf correct` does, in one graph; and what it refuses."""

import io
import os
import struct
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from gaze_tf import config
from gaze_tf.cli.main import main
from gaze_tf.compositing.align import align_face
from gaze_tf.config import ModelConfig
from gaze_tf.editing.editor import GazeEditor
from gaze_tf.export.examples import examples
from gaze_tf.models.gaze_model import GazeModel
from tests import served, tiny
from tests.paths import DATA

PORTRAIT = np.asarray(Image.open(DATA / 'portrait.png').convert('RGB'))
EYES = np.array([128, 100.5, 172, 103], np.float32)


@pytest.fixture(scope='module')
def serve(saved_model):
    """files, eyes → the PNG files that the default signature gives."""
    signature = tf.saved_model.load(str(saved_model)).signatures['serving_default']
    return lambda files, eyes: signature(
        image=tf.constant(files, tf.string), eyes=tf.constant(np.reshape(eyes, [-1, 4]), tf.float32)
    )['image_bytes'].numpy()


def encoded(rgb, format='PNG', **options):
    file = io.BytesIO()
    Image.fromarray(rgb).save(file, format, **options)
    return file.getvalue()


def pixels(file):
    return np.asarray(Image.open(io.BytesIO(file)).convert('RGB'))


def turned(degrees):
    """The portrait turned around its middle, and its eyes."""
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    eyes = (EYES.reshape(2, 2) - 150) @ turn.T + 150
    return np.asarray(Image.fromarray(PORTRAIT).rotate(degrees, Image.Resampling.BICUBIC)), eyes.ravel()


def photos():
    """(photo, its file, its eyes): of several sizes, turned, in both formats, at the border, enlarged and reduced."""
    large = np.asarray(Image.fromarray(PORTRAIT).resize((900, 900), Image.Resampling.BICUBIC))
    rgb, eyes = turned(-20)
    yield rgb, encoded(rgb), eyes
    yield large, encoded(large), EYES * 3
    yield PORTRAIT[80:130, 118:260], encoded(np.ascontiguousarray(PORTRAIT[80:130, 118:260])), EYES - [118, 80, 118, 80]
    small = np.asarray(Image.fromarray(PORTRAIT).resize((50, 40), Image.Resampling.BOX))
    yield small, encoded(small), EYES * np.array([50, 40, 50, 40]) / 300
    # a column of pixels whose frame reaches far beyond it
    yield PORTRAIT[:, 128:173], encoded(np.ascontiguousarray(PORTRAIT[:, 128:173])), EYES - [127.9, 0, 128, 0]
    for options in (
        {'quality': 90},
        {'quality': 60, 'subsampling': 2, 'progressive': True},
        {'quality': 95, 'subsampling': 0},
    ):
        file = encoded(PORTRAIT, 'JPEG', **options)
        yield pixels(file), file, EYES
    gray = np.asarray(Image.fromarray(PORTRAIT).convert('L'))
    for file in (encoded(gray), encoded(gray, 'JPEG')):
        yield pixels(file), file, EYES
    palette = io.BytesIO()
    Image.fromarray(PORTRAIT).quantize(64).save(palette, 'PNG')
    yield pixels(palette.getvalue()), palette.getvalue(), EYES
    clear = np.concatenate([PORTRAIT, np.full([300, 300, 1], 255, np.uint8)], axis=2)
    yield PORTRAIT, encoded(clear), EYES


def test_a_batch_of_all_sizes_is_what_the_editor_gives(serve, saved_model):
    editor = GazeEditor.load(saved_model)
    cases = list(photos())
    found = serve([file for _, file, _ in cases], [eyes for *_, eyes in cases])
    for (rgb, _, eyes), file in zip(cases, found):
        image = Image.open(io.BytesIO(file))
        assert image.format == 'PNG' and image.mode == 'RGB'
        expected = editor.correct(np.ascontiguousarray(rgb), eyes).image
        assert np.any(expected != rgb)
        assert tiny.same_pixels(image, expected)


def test_only_the_eyes_change(serve):
    found = pixels(serve([encoded(PORTRAIT)], EYES)[0])
    changed = (found != PORTRAIT).any(axis=-1)
    # the tiny model's boxes are 13 x 9 pixels of a frame with eyes 12.4 apart; here they are 44; and a pixel of the
    # frame
    y, x = np.mgrid[:300, :300] + 0.5
    boxes = [np.maximum(np.abs(x - cx) / 27, np.abs(y - cy) / 20) <= 1 for cx, cy in EYES.reshape(2, 2)]
    assert not changed[~(boxes[0] | boxes[1])].any()
    assert all(changed[box].mean() > 0.5 for box in boxes)


def test_the_batch_does_not_matter(serve):
    cases = list(photos())[:3]
    together = serve([file for _, file, _ in cases], [eyes for *_, eyes in cases])
    for (_, file, eyes), expected in zip(cases, together):
        assert serve([file], eyes)[0] == expected


def test_a_frame_far_larger_than_its_photo(serve):
    # eyes at both ends of a line of pixels: a frame of more than its thousandfold area
    line = np.random.default_rng(0).integers(0, 256, (2, 5000, 3), np.uint8)
    eyes = np.array([1, 1, 4999, 1], np.float32)
    assert align_face(eyes, (5000, 2), tiny.SIZE).scale < 0.01
    assert pixels(serve([encoded(line)], eyes)[0]).shape == line.shape


ZOOMED = ModelConfig(
    img_size=128,
    crop_w=48,
    crop_h=32,
    crop_px=16,
    frame_eyes='0.2,0.45,0.8,0.45',
    code_size=4,
    ngf=2,
    ndf=2,
    nef=2,
    n_layers_g=5,
    n_layers_d=1,
    n_layers_e=1,
    n_layers_r=1,
)


@pytest.fixture(scope='module')
def zoomed(tmp_path_factory):
    """A SavedModel that looks at the eyes from near; it was never trained."""
    tf.keras.utils.set_random_seed(4)
    model = GazeModel(ZOOMED, native_crops=False, discriminators=False)
    tiny.randomize(model.trainable_variables, seed=4, scale=0.1)
    folder = tmp_path_factory.mktemp('zoomed')
    served.save(model, folder, 'correct', 'animate', 'correct_encoded')
    config.save(folder / config.CONFIG_NAME, model=ZOOMED)
    return folder


@pytest.mark.slow
def test_a_frame_zoomed_to_the_eyes(zoomed, tmp_path):
    size = np.array(PORTRAIT.shape[1::-1])
    (tmp_path / 'photo.png').write_bytes(encoded(PORTRAIT))
    assert (
        main(
            [
                'correct',
                *tiny.arguments(
                    model=zoomed,
                    input=tmp_path / 'photo.png',
                    output=tmp_path / 'out.png',
                    eyes=','.join(map(str, EYES)),
                ),
            ]
        )
        == 0
    )
    expected = pixels((tmp_path / 'out.png').read_bytes())
    # boxes of 48 x 32 pixels, eyes 76.8 apart; here they are 44.07 apart (and turned a little)
    y, x = np.mgrid[: size[1], : size[0]] + 0.5
    scale = np.hypot(44, 2.5) / 76.8
    boxes = [
        np.maximum(np.abs(x - cx) / (24 * scale + 1.5), np.abs(y - cy) / (16 * scale + 1.5)) <= 1
        for cx, cy in EYES.reshape(2, 2)
    ]
    changed = (expected != PORTRAIT).any(axis=-1)
    assert not changed[~(boxes[0] | boxes[1])].any() and all(changed[box].mean() > 0.5 for box in boxes)
    served = tf.saved_model.load(str(zoomed)).signatures['correct_encoded']
    found = served(image=tf.constant([encoded(PORTRAIT)]), eyes=tf.constant(EYES[None]))['image_bytes'].numpy()
    assert tiny.same_pixels(pixels(found[0]), expected)


def test_examples_stand_in_the_models_frame():
    face = examples(ZOOMED, 2)['correct']
    assert face['images'].shape == (2, 128, 128, 3)
    np.testing.assert_allclose(face['eyes'], [np.multiply((0.2, 0.45, 0.8, 0.45), 128)] * 2, rtol=1e-6)


MEMORY = """
import resource, sys
import tensorflow as tf
model = tf.saved_model.load(sys.argv[1])
photo = tf.io.encode_png(tf.fill([3000, 3000, 3], tf.constant(100, tf.uint8)), compression=1)
for count in (6, 18):
    eyes = tf.tile([[1000., 1000, 1500, 1000]], [count, 1])
    model.signatures['serving_default'](image=tf.fill([count], photo), eyes=eyes)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def test_memory_does_not_grow_with_the_batch(saved_model):
    result = subprocess.run(
        [sys.executable, '-c', MEMORY, saved_model],
        check=True,
        text=True,
        capture_output=True,
        env={**os.environ, 'TF_CPP_MIN_LOG_LEVEL': '2'},
    )
    # TensorFlow logs what it cannot optimize, and then leaves more than that as it is
    assert 'optimizer' not in result.stderr
    few, many = map(int, result.stdout.split())
    # the 12 photos more have 309 MB of pixels
    assert many - few < 200


def png_header(width, height):
    return b'\x89PNG\r\n\x1a\n' + struct.pack('>I4sIIBBBBB', 13, b'IHDR', width, height, 8, 2, 0, 0, 0)


GOOD = encoded(PORTRAIT)
JPEG = encoded(PORTRAIT, 'JPEG')
BAD = {
    'no image': ([b'no image at all, but some text'], EYES, 'JPEG or PNG'),
    'nothing': ([b''], EYES, 'JPEG or PNG'),
    'a GIF': ([encoded(PORTRAIT, 'GIF')], EYES, 'JPEG or PNG'),
    'half a PNG': ([GOOD[: len(GOOD) // 2]], EYES, 'Invalid PNG'),
    'half a JPEG': ([JPEG[: len(JPEG) // 2]], EYES, 'Invalid JPEG'),
    'the start of a JPEG': ([JPEG[:12]], EYES, 'Invalid JPEG'),
    'the start of a PNG': ([GOOD[:20]], EYES, 'JPEG or PNG'),
    # were it decoded, it would be another message: there is nothing after the header
    'a bomb': ([png_header(10_000, 10_000) + bytes(50)], EYES, 'at most 64 million pixels'),
    'a larger bomb': ([png_header(2**31 - 1, 2**31 - 1) + bytes(50)], EYES, 'at most 64 million pixels'),
    'a JPEG bomb': (
        [JPEG.replace(struct.pack('>HH', 300, 300), struct.pack('>HH', 60_000, 60_000), 1)],
        EYES,
        'at most 64 million',
    ),
    'no pixels': ([png_header(0, 10) + bytes(50)], EYES, 'at most 64 million pixels'),
    'eyes outside': ([GOOD], EYES + 140, 'eyes must be numbers that lie in the image'),
    'eyes before it': ([GOOD], EYES - 110, 'eyes must be numbers that lie in the image'),
    'NaN': ([GOOD], EYES * np.nan, 'eyes must be numbers that lie in the image'),
    'infinite': ([GOOD], EYES * np.inf, 'eyes must be numbers that lie in the image'),
    'swapped eyes': ([GOOD], EYES[[2, 3, 0, 1]], 'smaller x first'),
    'one eye twice': ([GOOD], EYES[[0, 1, 0, 1]], 'smaller x first'),
    'too few eyes': ([GOOD, GOOD], EYES, 'a row for each image'),
    'too many eyes': ([GOOD], [EYES, EYES], 'a row for each image'),
    'nobody': ([], np.zeros([0, 4]), 'the batch is empty'),
    'one of two': ([GOOD, b'text'], [EYES, EYES], 'JPEG or PNG'),
    'too many': ([GOOD] * 33, [EYES] * 33, 'at most 32 rows'),
    # nothing is decoded here, either
    'large ones': ([png_header(8000, 7000) + bytes(50)] * 4, [EYES] * 4, 'at most 192 million pixels together'),
    # each takes as long as the picture is large, or is unpacked and kept
    'many scans': ([JPEG[:-2] + b'\xff\xda' * 101 + JPEG[-2:]], EYES, 'at most 100 scans'),
    'many texts': ([GOOD + b'zTXt' * 9 + b'iTXt' * 8], EYES, 'at most 16 zTXt and iTXt chunks'),
}


@pytest.mark.parametrize('files, eyes, sentence', BAD.values(), ids=BAD)
def test_what_is_refused(serve, files, eyes, sentence):
    with pytest.raises(tf.errors.InvalidArgumentError, match=sentence):
        serve(files, eyes)


def test_it_goes_on_after_a_refusal(serve):
    expected = serve([GOOD], EYES)
    with pytest.raises(tf.errors.InvalidArgumentError):
        serve([b'text'], EYES)
    assert serve([GOOD], EYES) == expected


@pytest.fixture(scope='module')
def faces(saved_model):
    return tf.saved_model.load(str(saved_model)).signatures


IMAGES, PLACES = np.zeros([2, tiny.SIZE, tiny.SIZE, 3], np.uint8), np.float32([[9, 12, 22, 12]] * 2)
CODES = np.zeros([2, 2 * tiny.MODEL.code_size], np.float32)


@pytest.mark.parametrize(
    'name, changes, sentence',
    [
        ('correct', {'eyes': PLACES + 20}, 'eyes must be numbers that lie in the image'),
        ('correct', {'eyes': PLACES * np.nan}, 'eyes must be numbers that lie in the image'),
        ('correct', {'eyes': PLACES[:1]}, 'a row for each image'),
        ('correct', {'images': IMAGES[:0], 'eyes': PLACES[:0]}, 'the batch is empty'),
        ('encode', {'eyes': PLACES[:, ::-1]}, 'smaller x first'),
        ('animate', {'alphas': np.zeros([3, 1], np.float32)}, 'alphas must have a row for each image'),
        ('animate', {'alphas': np.float32([[0, np.inf]] * 2)}, 'alphas must be finite'),
        ('animate', {'alphas': np.zeros([2, 0], np.float32)}, 'alphas must have at least one number'),
        ('animate', {'alphas': np.zeros([2, 9_766], np.float32)}, 'at most 20 million pixels together'),
        ('correct', {'images': IMAGES[[0] * 33], 'eyes': PLACES[[0] * 33]}, 'at most 32 rows'),
        ('paint', {'content': CODES * np.nan}, 'content must be finite'),
        ('paint', {'content': CODES[:1]}, 'content must have a row for each image'),
    ],
)
def test_what_is_refused_of_faces(faces, name, changes, sentence):
    more = {'animate': {'alphas': np.ones([2, 1], np.float32)}, 'paint': {'content': CODES}}
    good = {'images': IMAGES, 'eyes': PLACES, **more.get(name, {})}
    faces[name](**{key: tf.constant(value) for key, value in good.items()})
    with pytest.raises(tf.errors.InvalidArgumentError, match=sentence):
        faces[name](**{key: tf.constant(value) for key, value in {**good, **changes}.items()})
