"""Inputs for every signature, made from a real face. Export checks a SavedModel with them, and warms up servers.

face.png is a part of NASA's portrait of the astronaut Eileen Collins (public domain, <https://flic.kr/p/r9qvLn>).
"""

import io
import pathlib

import numpy as np
from PIL import Image, ImageOps

from gaze_tf.config import ModelConfig
from gaze_tf.data.images import frame_of, in_frame

FACE = pathlib.Path(__file__).with_name('face.png')
EYES = 39, 44, 89, 47  # marked by hand, in pixels of the file
ALPHAS = 0, 0.5, 1
DIRECTIONS = (0, 0), (-12, 6)


def examples(config: ModelConfig, batch: int) -> dict[str, dict[str, np.ndarray]]:
    """{signature: {input: array}} for a batch of faces; every other face is mirrored.

    Args:
      config: the configuration of the SavedModel.
      batch: the number of faces.
    """
    photos = [_photo(mirrored=index % 2 == 1) for index in range(batch)]
    eyes = np.array([eyes for _, eyes in photos], np.float32)
    frames = [frame_of(photo.width, own, config.img_size, config.eye_shares) for photo, own in photos]
    face = {
        'images': np.stack([np.asarray(in_frame(photo, frame)) for frame, (photo, _) in zip(frames, photos)]),
        'eyes': np.stack([frame.eyes for frame in frames]),
    }
    alphas = np.tile(np.array(ALPHAS, np.float32), [batch, 1])
    codes = {
        name: np.tile(np.linspace(-1, 1, size, dtype=np.float32), [batch, 1])
        for name, size in (('content', config.content_size), ('palette', config.palette_size))
        if size
    }
    files = [_encoded(photo, ('JPEG', 'PNG')[index % 2]) for index, (photo, _) in enumerate(photos)]
    encoded = {'image': np.array(files, object), 'eyes': eyes}
    return {
        'serving_default': encoded,
        'correct_encoded': encoded,
        'correct': face,
        'encode': face,
        'animate': {**face, 'alphas': alphas},
        'paint': {**face, **codes},
        'look': {**face, 'directions': np.tile(np.array(DIRECTIONS, np.float32), [batch, 1, 1])},
        'direction': face,
    }


def _photo(mirrored):
    """(RGB image, its eyes in pixels)."""
    with Image.open(FACE) as file:
        photo = file.convert('RGB')
    if not mirrored:
        return photo, EYES
    left_x, left_y, right_x, right_y = EYES
    return ImageOps.mirror(photo), (photo.width - right_x, right_y, photo.width - left_x, left_y)


def _encoded(photo, name):
    file = io.BytesIO()
    photo.save(file, name, quality=95)
    return file.getvalue()
