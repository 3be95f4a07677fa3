"""The features that FID and KID are defined on: of the Inception network that TensorFlow published in 2015.

Other Inception networks (those of Keras, torchvision or slim) give other numbers. The file, WEIGHTS, is not part of
this package, and it never downloads it.
"""

import pathlib

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError

from gaze_tf.errors import GazeError, first_line

# name: (where to find it, its SHA-256, None where it is unknown)
WEIGHTS = {
    'classify_image_graph_def.pb': (
        'in http://download.tensorflow.org/models/image/imagenet/inception-2015-12-05.tgz',
        None,
    )
}
# after decoding the JPEG and before the graph's own preprocessing; and the mean over the last feature maps, as in the
# reference code of FID (Heusel et al. 2017, "GANs Trained by a Two Time-Scale Update Rule …")
INPUT, OUTPUT = 'ExpandDims', 'pool_3'
SIZE = 2048


class Inception:
    """`Inception(path)(images)`: RGB [B, H, W, 3] in 0..255, uint8 or float, of any size → features float32 [B, 2048].

    The graph resizes to 299 x 299 pixels and scales the values by itself.
    """

    def __init__(self, path: pathlib.Path | str) -> None:
        """path: `classify_image_graph_def.pb`; raises GazeError if it is not that graph."""
        definition = _definition(path)
        # a session and not a tf.function: functions refuse the operations of 2015
        with tf.Graph().as_default() as graph:
            # the images take the place of the decoded JPEG: all shapes are then found anew, for any number of images
            self._images = tf.compat.v1.placeholder(tf.float32, [None, None, None, 3])
            try:
                (self._features,) = tf.graph_util.import_graph_def(
                    definition, {f'{INPUT}:0': self._images}, [f'{OUTPUT}:0'], name=''
                )
            except (ValueError, TypeError, tf.errors.OpError) as error:
                raise _wrong(path, first_line(error)) from error
        if self._features.shape.as_list()[1:] != [1, 1, SIZE]:
            raise _wrong(path, f'it gives {self._features.shape}, not {SIZE} numbers an image')
        self._session = tf.compat.v1.Session(graph=graph)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        features = self._session.run(self._features, {self._images: images})
        return features.reshape(len(images), SIZE)


def _definition(path):
    """The GraphDef at `path`."""
    graph = tf.compat.v1.GraphDef()
    if not pathlib.Path(path).is_file():
        raise GazeError(f'There is no Inception graph at {path}.')
    try:
        graph.ParseFromString(pathlib.Path(path).read_bytes())
    except (OSError, DecodeError) as error:
        raise _wrong(path, str(error)) from error
    if not {INPUT, OUTPUT} <= {node.name for node in graph.node}:
        raise _wrong(path, f'it has no nodes {INPUT} and {OUTPUT}')
    return graph


def _wrong(path, why):
    name, (where, _) = next(iter(WEIGHTS.items()))
    return GazeError(f'{path} is not the Inception graph of FID ({why}): fetch {name}, {where}.')
