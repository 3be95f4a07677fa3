"""A file like face_landmarker.task, made of the models inside mediapipe up to 0.10.21.

Google's file holds a model that finds faces and a model with one output for all 478 vertices. The model inside
mediapipe has outputs of their own for refined eyes and irises: two operations at its end put those in their places.
(Refined lips and brows are left out, as nothing here uses them.)
"""

import pathlib

import flatbuffers
import mediapipe
import numpy as np
from mediapipe.tasks.metadata import schema_py_generated as schema
from mediapipe.tasks.python.metadata.metadata_writers.model_asset_bundle_utils import create_model_asset_bundle

# vertices that the outputs for the eyes refine first, in their order
CONTOURS = (
    [33, 7, 163, 144, 145, 153, 154, 155, 133, 246, 161, 160, 159, 158, 157, 173],
    [263, 249, 390, 373, 374, 380, 381, 382, 362, 466, 388, 387, 386, 385, 384, 398],
)


def write_task(path):
    models = pathlib.Path(mediapipe.__file__).parent / 'modules'
    create_model_asset_bundle(
        {
            'face_detector.tflite': (models / 'face_detection/face_detection_short_range.tflite').read_bytes(),
            'face_landmarks_detector.tflite': with_one_output(
                (models / 'face_landmark/face_landmark_with_attention.tflite').read_bytes()
            ),
        },
        str(path),
    )


def with_one_output(content):
    """The model with the outputs: 478 vertices, and whether there is a face."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(content, 0))
    graph = model.subgraphs[0]
    *parts, is_face = graph.outputs
    sizes = [int(np.prod(graph.tensors[part].shape)) for part in parts]

    def tensor(shape, kind, buffer=0):
        made = schema.TensorT()
        made.name, made.shape, made.type, made.buffer = f'ours_{len(graph.tensors)}', shape, kind, buffer
        graph.tensors.append(made)
        return len(graph.tensors) - 1

    def operation(name, inputs, output, options):
        code, made = schema.OperatorCodeT(), schema.OperatorT()
        code.builtinCode = code.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, name)
        code.version = 1
        model.operatorCodes.append(code)
        made.opcodeIndex, made.inputs, made.outputs = len(model.operatorCodes) - 1, inputs, [output]
        made.builtinOptionsType = getattr(schema.BuiltinOptions, type(options).__name__[:-1])
        options.axis = 3
        made.builtinOptions = options
        graph.operators.append(made)

    buffer = schema.BufferT()
    buffer.data = np.frombuffer(places(sizes).astype('<i4').tobytes(), np.uint8)
    model.buffers.append(buffer)
    every = tensor([1, 1, 1, sum(sizes)], schema.TensorType.FLOAT32)
    vertices = tensor([1, 1, 1, 478 * 3], schema.TensorType.FLOAT32)
    order = tensor([478 * 3], schema.TensorType.INT32, len(model.buffers) - 1)
    operation('CONCATENATION', parts, every, schema.ConcatenationOptionsT())
    operation('GATHER', [every, order], vertices, schema.GatherOptionsT())
    graph.outputs = [vertices, is_face]
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), b'TFL3')
    return bytes(builder.Output())


def places(sizes):
    """Where the coordinates of all vertices are among the outputs: mesh, lips, both eyes, both irises."""
    starts = np.cumsum([0, *sizes])
    found = np.arange(478 * 3).reshape(478, 3)
    for eye, contour in enumerate(CONTOURS):
        iris = slice(468 + 5 * eye, 473 + 5 * eye)
        found[contour, :2] = starts[2 + eye] + np.arange(32).reshape(16, 2)
        found[iris, :2] = starts[4 + eye] + np.arange(10).reshape(5, 2)
        # the irises have no depth of their own
        found[iris, 2] = found[contour[0], 2]
    return found.ravel()
