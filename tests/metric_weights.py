"""Files of weights in the layouts that the metrics read, made without PyTorch; their values follow a rule."""

import io
import pickle
import zipfile

import numpy as np
import tensorflow as tf

ALEXNET = (('0', 64, 3, 11), ('3', 192, 64, 5), ('6', 384, 192, 3), ('8', 256, 384, 3), ('10', 256, 256, 3))


def alexnet():
    """{name: values} of AlexNet's convolutions: the rule by which the distances in test_lpips.py were recorded."""
    rng, weights = np.random.RandomState(7), {}
    for name, outputs, inputs, side in ALEXNET:
        kernel = rng.standard_normal((outputs, inputs, side, side)) * np.sqrt(2 / (inputs * side * side))
        weights[f'features.{name}.weight'] = kernel.astype(np.float32)
        weights[f'features.{name}.bias'] = (rng.standard_normal(outputs) * 0.1).astype(np.float32)
    return weights


def write_torch_zip(path, weights):
    """A file as `torch.save` writes it since PyTorch 1.6."""
    with zipfile.ZipFile(path, 'w') as archive:
        archive.writestr('archive/data.pkl', torch_pickle(weights))
        for number, values in enumerate(weights.values()):
            archive.writestr(f'archive/data/{number}', values.astype('<f4').tobytes())


def write_torch_stream(path, weights, parameters=False):
    """A file as `torch.save` wrote it before; with Parameters instead of tensors, as the earliest versions."""
    file = io.BytesIO()
    for part in (0x1950A86A20F9469CFC6C, 1001, {'protocol_version': 1001, 'little_endian': True, 'type_sizes': {}}):
        pickle.dump(part, file, protocol=2)
    file.write(torch_pickle(weights, parameters))
    pickle.dump([str(number) for number in range(len(weights))], file, protocol=2)
    for values in weights.values():
        file.write(np.int64(values.size).tobytes() + values.astype('<f4').tobytes())
    path.write_bytes(file.getvalue())


def torch_pickle(weights, parameters=False):
    """The pickle of an OrderedDict of float tensors, instruction by instruction (see pickletools)."""
    empty, out = b'ccollections\nOrderedDict\n)R', []
    for number, (name, values) in enumerate(weights.items()):
        strides = tuple(stride // values.itemsize for stride in np.ascontiguousarray(values).strides)
        storage = (
            b'('
            + _plain('storage')
            + b'ctorch\nFloatStorage\n'
            + _plain(str(number))
            + _plain('cpu')
            + _plain(values.size)
            + b'tQ'
        )
        tensor = (
            b'ctorch._utils\n_rebuild_tensor_v2\n('
            + storage
            + _plain(0)
            + _plain(values.shape)
            + _plain(strides)
            + _plain(False)
            + empty
            + b'tR'
        )
        if parameters:  # Parameter.__new__(Parameter, tensor), then its state
            tensor = b'ctorch.nn.parameter\nParameter\n' + tensor + b'\x85\x81' + _plain((True, False, None)) + b'b'
        out += [_plain(name), tensor]
    return b'\x80\x02' + empty + b'(' + b''.join(out) + b'u.'


def _plain(value):
    """The instructions that put a plain value on the stack."""
    return pickle.dumps(value, protocol=2)[2:-1]


def inception(size=2048, side=8):
    """A GraphDef with the names, the old operations and the version of the Inception graph, and hardly any layers.

    After its preprocessing (resize to `side`, subtract 128, times 0.0078125) each of the `size` features is the mean
    of relu(kernel · pixel), with the kernel of `inception_kernel`.
    """
    with tf.Graph().as_default() as graph:
        image = tf.image.decode_jpeg(tf.constant(b'', name='DecodeJpeg/contents'), channels=3)
        images = tf.expand_dims(tf.cast(image, tf.float32), 0, name='ExpandDims')
        resized = tf.raw_ops.ResizeBilinear(images=images, size=[side, side], name='ResizeBilinear')
        scaled = tf.multiply(tf.subtract(resized, 128.0), 0.0078125)
        convolved = tf.nn.conv2d(scaled, tf.constant(inception_kernel(size)), 1, 'SAME', name='conv')
        tf.zeros([size], name='zeros'), tf.ones([size], name='ones')
        norm = tf.identity(convolved, name='norm')
        pooled = tf.nn.avg_pool2d(tf.nn.relu(norm), side, 1, 'VALID', name='pool_3')
        tf.reshape(pooled, [1, size], name='pool_3/_reshape')
        definition = graph.as_graph_def()
    _as_of_2015(definition)
    return definition


def inception_kernel(size=2048):
    return np.random.RandomState(3).standard_normal((1, 1, 3, size)).astype(np.float32)


def _as_of_2015(definition):
    """With the normalization of that time, which TensorFlow no longer writes, and that time's version."""
    norm = next(node for node in definition.node if node.name == 'norm')
    norm.op = 'BatchNormWithGlobalNormalization'
    norm.input.extend(['zeros', 'ones', 'zeros', 'ones'])  # mean, variance, beta, gamma
    norm.attr['T'].type = tf.float32.as_datatype_enum
    norm.attr['variance_epsilon'].f = 0.001
    norm.attr['scale_after_normalization'].b = False
    definition.versions.producer, definition.versions.min_consumer = 8, 0
