"""A SavedModel of `gaze-tf export`, for numpy arrays. Knows its signatures, not the networks."""
import pathlib
import re

import numpy as np
import tensorflow as tf

from gaze_tf import config as config_lib
from gaze_tf.errors import GazeError
from gaze_tf.folders import SAVED_MODEL_NAME, reason, versions


class Network:
    """What a SavedModel computes on aligned faces: uint8 [B, S, S, 3] with eyes [B, 4] in pixels.

    img_size: side S of the faces that it takes, in pixels. frame_eyes: where eyes stand in them, as shares of S.
    path: folder of the SavedModel. config: its ModelConfig.
    """

    def __init__(self, path):
        """Loads a SavedModel, or the newest of a folder of versions; raises GazeError if there is none at `path`."""
        path = _newest(pathlib.Path(path))
        try:
            self.path, self.config = path, config_lib.load(path / config_lib.CONFIG_NAME)['model']
            # kept, because the signatures alone do not keep its variables alive
            self._model = tf.saved_model.load(str(path))
            self._correct, self._animate = (self._model.signatures[name] for name in ('correct', 'animate'))
            self.img_size = self._correct.structured_input_signature[1]['images'].shape[1]
            self.frame_eyes = self.config.eye_shares
            self._crop = np.array([self.config.crop_w, self.config.crop_h])
        except (OSError, KeyError, ValueError, GazeError, tf.errors.OpError) as error:
            # some of TensorFlow's messages show paths as Python does bytes
            why = re.sub(r"b'([^']*)'", r'\1', str(error).splitlines()[0])
            raise GazeError(f'--model: {path} cannot be used ({why}): name another version or export it again.') from error
        # not in models that were exported by earlier versions
        self._encode, self._paint = (self._model.signatures.get(name) for name in ('encode', 'paint'))
        self._codes = {name: spec.shape[1] for name, spec in (self._paint.structured_input_signature[1] if self._paint
                                                              else {}).items() if name not in ('images', 'eyes')}

    def correct(self, images, eyes):
        """→ uint8 [B, S, S, 3], looking at the camera."""
        return self._correct(images=tf.constant(images), eyes=tf.constant(eyes, tf.float32))['images'].numpy()

    def animate(self, images, eyes, alphas):
        """With K alphas → frames uint8 [B, K, S, S, 3]: alpha 0 as it was, 1 at the camera."""
        alphas = np.tile(np.asarray(alphas, np.float32), [len(images), 1])
        return self._animate(images=tf.constant(images), eyes=tf.constant(eyes, tf.float32),
                             alphas=tf.constant(alphas))['frames'].numpy()

    def encode(self, images, eyes):
        """→ {name: codes [B, n]}: the `content` of both eyes, their `palette` where the model has palettes, and `angle`; nothing
        from a model that does not tell them."""
        if not self._encode:
            return {}
        found = self._encode(images=tf.constant(images), eyes=tf.constant(eyes, tf.float32))
        return {name: codes.numpy() for name, codes in found.items()}

    def paint_codes(self, images, eyes):
        """→ [B, n]: all codes that `paint` takes in a row, or a None for each face from a model that does not tell them."""
        if not self._codes:
            return [None] * len(images)
        found = self.encode(images, eyes)
        return np.concatenate([found[name] for name in self._codes], axis=1)

    def paint(self, images, eyes, codes):
        """`correct` with these `paint_codes` instead of the faces' own."""
        if any(code is None for code in codes):
            return self.correct(images, eyes)
        parts = np.split(np.stack(codes), np.cumsum(list(self._codes.values()))[:-1], axis=1)
        return self._paint(images=tf.constant(images), eyes=tf.constant(eyes, tf.float32),
                           **{name: tf.constant(part) for name, part in zip(self._codes, parts)})['images'].numpy()

    def boxes(self, eyes):
        """The two boxes that are painted for eyes [4] of a face: whole pixels (x0, y0, x1, y1), half-open."""
        centres = np.reshape(eyes, (2, 2))
        edges = np.concatenate([centres - self._crop / 2, centres + self._crop / 2], axis=1)
        return np.clip(np.floor(edges), 0, self.img_size).astype(int)


def _newest(path):
    """The folder of the SavedModel: `path` itself, where it holds one, or its newest version; raises GazeError."""
    if (path / SAVED_MODEL_NAME).is_file():
        return path
    try:
        found = versions(path)
    except (FileNotFoundError, NotADirectoryError):
        found = {}
    except OSError as error:
        raise GazeError(f'--model: {path} cannot be read: {reason(error)}.') from error
    if not found:
        raise GazeError(f'--model: there is no SavedModel in {path}; `gaze-tf export` writes one.')
    return found[max(found)]
