"""Warm-up requests, which TensorFlow Serving runs before a version answers, so that the first users do not wait.

TensorFlow Serving reads at most 1000 of them, each a PredictionLog, from an uncompressed TFRecord file in
assets.extra/. It does not load a version if one of its requests fails. The classes come with tensorflow-serving-api
(extra `serving`).
"""

import importlib.util
import pathlib
from collections.abc import Iterable

import tensorflow as tf

from gaze_tf.config import ModelConfig
from gaze_tf.export.examples import examples

PATH = 'assets.extra/tf_serving_warmup_requests'
BATCH_SIZES = 1, 2, 4, 8  # the allowed_batch_sizes of the server, which pads batches to one of them
MODEL_NAME = 'gaze'  # the server ignores it, as the requests are in the folder of their version


def available() -> bool:
    """Whether the classes are installed."""
    return importlib.util.find_spec('tensorflow_serving') is not None


def write(folder: pathlib.Path, config: ModelConfig, signatures: Iterable[str]) -> None:
    """Writes a request for each signature at each batch size into the folder of a version."""
    from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

    path = folder / PATH
    path.parent.mkdir()
    with tf.io.TFRecordWriter(str(path)) as writer:
        for batch in BATCH_SIZES:
            inputs = examples(config, batch)
            for name in sorted(signatures):
                request = predict_pb2.PredictRequest()
                request.model_spec.name, request.model_spec.signature_name = MODEL_NAME, name
                for key, value in inputs[name].items():
                    request.inputs[key].CopyFrom(tf.make_tensor_proto(value))
                log = prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
                writer.write(log.SerializeToString(deterministic=True))
