"""Which faces a command works on: one aligned image with its eyes, or a folder in CelebAGaze's layout."""
import pathlib
from typing import NamedTuple

import numpy as np

from gaze_tf.data import celebagaze
from gaze_tf.editing.editor import read_face
from gaze_tf.errors import GazeError

_BATCH = 8


class Source(NamedTuple):
    """A face on disk: its file, eyes (left_x, left_y, right_x, right_y) in pixels, and where its result goes."""

    path: pathlib.Path
    eyes: tuple
    output: pathlib.Path


def find(input, eyes, output, suffix, domain='y', last=0):
    """The Sources of --input, and a note on what was left out ('' if nothing); raises GazeError.

    input: an image file, with its eyes, or a folder in CelebAGaze's layout, of which the last `last` rows
    (0: all) of a domain are taken; output: a file or a folder, likewise; suffix: of results in a folder.
    """
    input, output = pathlib.Path(input), pathlib.Path(output)
    if not input.is_dir():
        if len(eyes) != 4:
            raise GazeError('--eyes=LEFT_X,LEFT_Y,RIGHT_X,RIGHT_Y is needed for an image file: the centres of both '
                            'eyes in its pixels, the eye with the smaller x first.')
        return [Source(input, eyes, output)], ''
    if eyes:
        raise GazeError(f'--eyes goes with an image file; the eyes of {input} are in its .txt files.')
    listing = celebagaze.read_domain(input, domain)
    note = '' if not listing.problems else (
        f'{len(listing.problems)} bad rows were left out, the first: {listing.problems[0]}')
    return [Source(face.path, face.eyes, output / f'{face.name}{suffix}') for face in listing.faces[-last:]], note


def batches(sources, img_size):
    """Yields (sources, images uint8 [B, S, S, 3], eyes [B, 4]) a few at a time; raises GazeError."""
    for start in range(0, len(sources), _BATCH):
        some = sources[start:start + _BATCH]
        yield (some, np.stack([read_face(source.path, source.eyes, img_size) for source in some]),
               np.array([source.eyes for source in some], np.float32))
