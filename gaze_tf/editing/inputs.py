"""Which files a command works on: a photo, a video, a folder or a pattern of photos, a folder in CelebAGaze's layout."""

import glob
import os
import pathlib
from typing import NamedTuple

from gaze_tf.data import celebagaze
from gaze_tf.errors import GazeError
from gaze_tf.media.formats import PHOTOS, WRITTEN, output_name

# suffixes of results
OUTPUTS = tuple(WRITTEN)
VIDEOS = '.mp4', '.mov', '.mkv', '.m4v', '.avi', '.webm', '.ts', '.mts', '.mpg', '.mpeg', '.wmv', '.3gp', '.flv'


class Source(NamedTuple):
    """A photo on disk, its eyes (left_x, left_y, right_x, right_y) if they are known, and where its result goes, if one is
    written."""

    path: pathlib.Path
    eyes: tuple | None
    output: pathlib.Path | None


def is_video(path):
    """Whether a file is a video, by its name."""
    return pathlib.Path(path).suffix.lower() in VIDEOS


def is_one(input):
    """Whether --input names one file rather than a folder or a pattern."""
    # os.path: to pathlib names that are too long are errors
    return not os.path.isdir(input) and (os.path.exists(input) or not glob.has_magic(str(input)))


def one(input, eyes, output, suffixes, overwrite):
    """The Source of one file; raises GazeError.

    output: a file that ends in one of `suffixes`, or a folder (one that exists, or a name that ends in /), which the
    result is written to by the input's name, or None where nothing is written; overwrite: whether it may be the input itself.
    """
    input = pathlib.Path(input)
    if not os.path.exists(input):
        raise GazeError(f'--input: there is no {input}.')
    if output is None:
        return Source(input, eyes, None)
    folder, output = str(output).endswith('/'), pathlib.Path(output)
    if folder or os.path.isdir(output):
        output /= input.name if input.suffix.lower() in suffixes else f'{input.stem}{suffixes[0]}'
    if output.suffix.lower() not in suffixes:
        raise GazeError(f'--output={output} must end in {" or ".join(suffixes)}, or be a folder.')
    _refuse_same(input, output, overwrite)
    _refuse_unwritable(output)
    return Source(input, eyes, output)


def several(input, output, suffix='', domain='y', last=0, overwrite=False):
    """The Sources of a folder or a pattern, and a note on what was left out ('' if nothing); raises GazeError.

    output: a folder, or None where nothing is written; suffix: of the results ('': each as its photo). Of a folder in
    CelebAGaze's layout, the last `last` rows (0: all) of a domain, with their eyes.
    """
    if output is not None and os.path.isfile(output):
        raise GazeError(f'--output={output} is a file: the results of {input} need a folder.')
    if any(os.path.exists(pathlib.Path(input) / f'{name}.txt') for name in '01'):
        listing = celebagaze.read_domain(pathlib.Path(input), domain)
        found = [(face.path, face.eyes) for face in listing.rows[-last:]]
        note = (
            ''
            if not listing.problems
            else (f'{len(listing.problems)} bad rows were left out, the first: {listing.problems[0]}')
        )
        return _sources(found, output, lambda path: f'{path.stem}{suffix or path.suffix}', overwrite), note
    found = (
        pathlib.Path(input).iterdir()
        if os.path.isdir(input)
        else map(pathlib.Path, glob.glob(str(input), recursive=True))
    )
    found = sorted(path for path in found if not path.name.startswith('.'))
    circles = {folder: _circle(folder) for folder in {path.parent for path in found}}
    paths = [path for path in found if os.path.isfile(path) and not circles[path.parent]]
    photos = [path for path in paths if path.suffix.lower() in PHOTOS]
    if not photos:
        raise GazeError(f'--input: there are no photos ({" ".join(PHOTOS)}) in {input}.')
    sources = _sources(
        [(path, None) for path in photos],
        output,
        lambda path: f'{path.stem}{suffix}' if suffix else output_name(path),
        overwrite,
    )
    links = [path.name for path in found if path.is_symlink() and not os.path.exists(path)]
    return sources, '\n'.join(
        filter(
            None,
            [
                _left_out(
                    f'they do not end in {" ".join(PHOTOS)}', [path.name for path in paths if path not in photos]
                ),
                _left_out('these links lead nowhere', links),
                _left_out(
                    'these links lead back to a folder above them',
                    sorted({str(link) for link in circles.values() if link}),
                ),
            ],
        )
    )


def _left_out(why, names):
    return names and f'Left out, as {why}: {", ".join(names[:9])}' + (
        f' and {len(names) - 9} more' if len(names) > 9 else ''
    )


def _circle(folder):
    """The first link on the way to a folder that leads back to where the way came by, or None."""
    passed = set()
    for path in (*reversed(folder.parents), folder):
        place = os.path.realpath(path)
        if place in passed and path.is_symlink():
            return path
        passed.add(place)
    return None


def _sources(found, output, name, overwrite):
    """The Sources of [(path, eyes)]; name: path → the name of its result in the folder `output`, which may be None."""
    if output is None:
        return [Source(path, eyes, None) for path, eyes in found]
    sources = [Source(path, eyes, pathlib.Path(output) / name(path)) for path, eyes in found]
    _check_names(sources, overwrite)
    return sources


def _check_names(sources, overwrite):
    taken = {}
    for source in sources:
        _refuse_same(source.path, source.output, overwrite)
        other = taken.setdefault(source.output, source.path)
        if other != source.path:
            raise GazeError(
                f'{other} and {source.path} would both be written to {source.output}: give them other names, '
                'or do them one by one.'
            )


def _refuse_same(path, output, overwrite):
    if not overwrite and os.path.exists(output) and output.samefile(path):
        raise GazeError(f'--output: {output} is the input itself; --overwrite replaces it.')


def _refuse_unwritable(path):
    """So that it is known before the work, not after it."""
    folder = path.parent
    # what is missing is made
    while not os.path.exists(folder):
        folder = folder.parent
    if not os.path.isdir(folder):
        raise GazeError(f'--output: {path} cannot be written ({folder} is no folder).')
    if not os.access(folder, os.W_OK):
        raise GazeError(f'--output: {path} cannot be written (nothing may be written in {folder}).')
