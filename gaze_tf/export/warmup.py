"""Warm-up requests: TensorFlow Serving runs them before a version answers, so that no user waits for what is done once.

It reads them from a TFRecord file without compression in assets.extra/, at most 1000, each a PredictionLog, and does not
load a version of which one fails. The classes come with tensorflow-serving-api (extra `serving`).
"""

import importlib.util

import tensorflow as tf

from gaze_tf.export.examples import examples

PATH = 'assets.extra/tf_serving_warmup_requests'
BATCH_SIZES = 1, 2, 4, 8  # as allowed_batch_sizes of the server, which fills batches up to one of them
MODEL_NAME = 'gaze'  # the server does not look at it: the requests lie in the version that they are for


def available():
    """Whether the classes for it are installed."""
    return importlib.util.find_spec('tensorflow_serving') is not None


def write(folder, config, signatures):
    """Writes a request for each of `signatures` at each batch size into the folder of a version."""
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
