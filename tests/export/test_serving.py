"""Export: the SavedModel computes what the checkpoint does, and needs nothing of this package."""

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from gaze_tf import config
from gaze_tf.cli.main import main
from gaze_tf.export import export
from gaze_tf.models import encoders, inpainting
from tests import tiny
from tests.paths import DATA

ALPHAS = np.array([0, 0.5, 1, 1.4], np.float32)


def faces(count):
    """uint8 images and their eyes, one of them at the border."""
    rng = np.random.default_rng(count)
    eyes = tiny.eyes_of(rng, count)
    eyes[-1] = [2, 3, 30, 31]
    return rng.integers(0, 256, (count, tiny.SIZE, tiny.SIZE, 3), np.uint8), eyes


def to_uint8(image):
    return np.clip(np.round((np.asarray(image) + 1) * 127.5), 0, 255).astype(np.uint8)


@pytest.fixture(scope='module')
def loaded(saved_model):
    return tf.saved_model.load(str(saved_model))


@pytest.fixture(scope='module')
def model(gan_dir):
    return export.load_model(gan_dir)


@pytest.fixture(scope='module')
def graph_def(saved_model):
    proto = saved_model_pb2.SavedModel.FromString((saved_model / 'saved_model.pb').read_bytes())
    return proto.meta_graphs[0].graph_def


@pytest.mark.parametrize('count', [1, 3])
def test_the_saved_model_is_the_checkpoint(loaded, model, count):
    images, eyes = faces(count)
    looked = model.look(tf.constant(images / np.float32(127.5) - 1), tf.constant(eyes))
    corrected, canvas = model.correct(looked), model.canvas(looked)

    found = loaded.signatures['correct'](images=tf.constant(images), eyes=tf.constant(eyes))['images']
    assert found.dtype == tf.uint8
    assert tiny.same_pixels(found, to_uint8(corrected.image))

    alphas = np.tile(ALPHAS, [count, 1]) + np.arange(count, dtype=np.float32)[:, None] / 10
    frames = loaded.signatures['animate'](
        images=tf.constant(images), eyes=tf.constant(eyes), alphas=tf.constant(alphas)
    )['frames']
    assert frames.shape == (count, len(ALPHAS), tiny.SIZE, tiny.SIZE, 3) and frames.dtype == tf.uint8
    for k in range(len(ALPHAS)):
        expected = model.interpolate(canvas, corrected, tf.constant(alphas[:, k : k + 1]))
        assert tiny.same_pixels(frames[:, k], to_uint8(expected.image))


def test_pixels_outside_the_boxes_stay(loaded):
    images, eyes = faces(3)
    corrected = loaded.signatures['correct'](images=tf.constant(images), eyes=tf.constant(eyes))['images']
    for image, face, centres in zip(images, corrected.numpy(), eyes):
        inside = tiny.inside_boxes(centres, tiny.MODEL)
        np.testing.assert_array_equal(face[~inside], image[~inside])
        assert np.mean(face[inside] != image[inside]) > 0.9


def test_signatures(loaded):
    size, codes = tiny.SIZE, 2 * tiny.MODEL.code_size
    face = {'images': ([None, size, size, 3], tf.uint8), 'eyes': ([None, 4], tf.float32)}
    photos = ({'image': ([None], tf.string), 'eyes': ([None, 4], tf.float32)}, {'image_bytes': ([None], tf.string)})
    expected = {
        'serving_default': photos,
        'correct_encoded': photos,
        'correct': (face, {'images': ([None, size, size, 3], tf.uint8)}),
        'animate': (
            {**face, 'alphas': ([None, None], tf.float32)},
            {'frames': ([None, None, size, size, 3], tf.uint8)},
        ),
        'encode': (face, {'content': ([None, codes], tf.float32), 'angle': ([None, 2], tf.float32)}),
        'paint': ({**face, 'content': ([None, codes], tf.float32)}, {'images': ([None, size, size, 3], tf.uint8)}),
    }
    assert set(loaded.signatures) == set(expected)
    for name, (inputs, outputs) in expected.items():
        signature = loaded.signatures[name]
        _, specs = signature.structured_input_signature
        for found, wanted in ((specs, inputs), (signature.structured_outputs, outputs)):
            assert {key: (spec.shape.as_list(), spec.dtype) for key, spec in found.items()} == wanted


def test_codes_are_the_models_and_are_painted_with(loaded, model):
    images, eyes = (tf.constant(values) for values in faces(2))
    looked = model.look(tf.cast(images, tf.float32) / 127.5 - 1, eyes)
    codes = loaded.signatures['encode'](images=images, eyes=eyes)
    np.testing.assert_allclose(codes['content'], looked.content, atol=1e-5)
    np.testing.assert_allclose(codes['angle'], model.angle(looked), atol=1e-5)
    paint = loaded.signatures['paint']
    own = paint(images=images, eyes=eyes, content=codes['content'])['images']
    assert tiny.same_pixels(own, loaded.signatures['correct'](images=images, eyes=eyes)['images'])
    swapped = codes['content'][::-1]
    expected = model.correct(looked._replace(content=swapped)).image
    assert tiny.same_pixels(paint(images=images, eyes=eyes, content=swapped)['images'], to_uint8(expected))
    assert not np.array_equal(own, to_uint8(expected))


def nodes(graph_def):
    return [*graph_def.node, *(node for function in graph_def.library.function for node in function.node_def)]


def test_nothing_special_in_the_graph(graph_def):
    functions = graph_def.library.function
    operations = {node.op for node in nodes(graph_def)}
    assert 'Conv2D' in operations
    assert operations.isdisjoint({'PyFunc', 'EagerPyFunc', 'PyFuncStateless', 'CropAndResize', 'XlaLaunch'})
    assert not any('Addons>' in operation for operation in operations)
    # one that must be compiled would not run where XLA is missing
    assert not any(function.attr['_XlaMustCompile'].b for function in functions if '_XlaMustCompile' in function.attr)


def test_the_oldest_server_knows_every_operation(graph_def):
    """It would refuse a model with another one, or with an attribute that is new and not left out as the default."""
    lines = (DATA / 'operations_tf2.15.txt').read_text().splitlines()
    known = {name: set(attributes) for name, *attributes in map(str.split, lines)}
    used = {(node.op, name) for node in nodes(graph_def) for name in node.attr if not name.startswith('_')}
    assert {node.op for node in nodes(graph_def)} <= set(known)
    assert {(operation, name) for operation, name in used if name not in known[operation]} == set()
    # tf.version.GRAPH_DEF_VERSION of TensorFlow 2.15
    assert graph_def.versions.min_consumer <= 1645


def test_only_what_serving_needs_is_stored(saved_model):
    found = tf.train.list_variables(str(saved_model / 'variables/variables'))
    stored = sum(int(np.prod(shape)) for name, shape in found if name != '_CHECKPOINTABLE_OBJECT_GRAPH')
    content = 2 * tiny.MODEL.code_size
    networks = (
        encoders.content_encoder(tiny.MODEL),
        encoders.angle_encoder(tiny.MODEL),
        inpainting.InpaintingGenerator(tiny.MODEL, (content,), 'g_x'),
        inpainting.InpaintingGenerator(tiny.MODEL, (2, content), 'g_y'),
    )
    variables = [variable for network in networks for variable in network.variables]
    assert stored == sum(int(np.prod(variable.shape)) for variable in variables)


def test_runs_with_tensorflow_alone(saved_model, loaded, tmp_path):
    images, eyes = faces(2)
    np.savez(tmp_path / 'faces.npz', images=images, eyes=eyes)
    code = """
import sys
import numpy as np
import tensorflow as tf
faces = np.load('faces.npz')
correct = tf.saved_model.load(sys.argv[1]).signatures['correct']
images, eyes = tf.constant(faces['images']), tf.constant(faces['eyes'])
np.save('out.npy', correct(images=images, eyes=eyes)['images'].numpy())
assert not {'gaze_tf', 'tensorflow_addons'} & set(sys.modules)
"""
    subprocess.run([sys.executable, '-c', code, str(saved_model)], cwd=tmp_path, check=True, capture_output=True)
    expected = loaded.signatures['correct'](images=tf.constant(images), eyes=tf.constant(eyes))['images']
    np.testing.assert_array_equal(np.load(tmp_path / 'out.npy'), expected)


def test_the_configuration_travels_inside(saved_model):
    assert config.load(saved_model / 'config.json') == {'model': tiny.MODEL}


def failure(capsys, **options):
    assert main(['export', *tiny.arguments(**options)]) == 1
    return capsys.readouterr().err


@pytest.mark.parametrize(
    'make, message',
    [
        (lambda folder, pam_dir: folder / 'nowhere', 'There is no checkpoint in'),
        (lambda folder, pam_dir: folder, 'There is no checkpoint in'),
        (lambda folder, pam_dir: pam_dir, 'another kind of run'),
    ],
)
def test_what_is_no_training_run(pam_dir, tmp_path, capsys, make, message):
    error = failure(capsys, checkpoint=make(tmp_path, pam_dir), output_dir=tmp_path / 'out')
    assert message in error
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written(gan_dir, tmp_path, capsys):
    (tmp_path / 'file').write_text('no folder')
    error = failure(capsys, checkpoint=gan_dir, output_dir=tmp_path / 'file' / 'out')
    assert f'{tmp_path}/file/out' in error and [path.name for path in tmp_path.iterdir()] == ['file']
