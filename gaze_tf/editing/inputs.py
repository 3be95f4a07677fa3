"""Which files a command works on: a photo, a video, a folder or a pattern of photos, a folder in CelebAGaze's layout."""
import glob
import pathlib
from typing import NamedTuple, Optional

from gaze_tf.data import celebagaze
from gaze_tf.editing.formats import PHOTOS, WRITTEN, output_name
from gaze_tf.errors import GazeError

# suffixes of results
OUTPUTS = tuple(WRITTEN)
VIDEOS = '.mp4', '.mov', '.mkv', '.m4v', '.avi', '.webm', '.ts', '.mts', '.mpg', '.mpeg', '.wmv', '.3gp', '.flv'


class Source(NamedTuple):
    """A photo on disk, its eyes (left_x, left_y, right_x, right_y) if they are known, and where its result goes."""

    path: pathlib.Path
    eyes: Optional[tuple]
    output: pathlib.Path


def is_video(path):
    """Whether a file is a video, by its name."""
    return pathlib.Path(path).suffix.lower() in VIDEOS


def is_one(input):
    """Whether --input names one file rather than a folder or a pattern."""
    return not pathlib.Path(input).is_dir() and (pathlib.Path(input).exists() or not glob.has_magic(str(input)))


def one(input, eyes, output, suffixes, overwrite):
    """The Source of one file; raises GazeError.

    output: a file that ends in one of `suffixes`, or a folder (one that exists, or a name that ends in /), which the
    result is written to by the input's name; overwrite: whether it may be the input itself.
    """
    folder = str(output).endswith('/')
    input, output = pathlib.Path(input), pathlib.Path(output)
    if not input.exists():
        raise GazeError(f'--input: there is no {input}.')
    if folder or output.is_dir():
        output /= input.name if input.suffix.lower() in suffixes else f'{input.stem}{suffixes[0]}'
    if output.suffix.lower() not in suffixes:
        raise GazeError(f'--output={output} must end in {" or ".join(suffixes)}, or be a folder.')
    _refuse_same(input, output, overwrite)
    return Source(input, eyes, output)


def several(input, output, suffix='', domain='y', last=0, overwrite=False):
    """The Sources of a folder or a pattern, and a note on what was left out ('' if nothing); raises GazeError.

    output: a folder; suffix: of the results ('': each as its photo). Of a folder in CelebAGaze's layout, the last
    `last` rows (0: all) of a domain, with their eyes.
    """
    output = pathlib.Path(output)
    if output.is_file():
        raise GazeError(f'--output={output} is a file: the results of {input} need a folder.')
    if any((pathlib.Path(input) / f'{name}.txt').exists() for name in '01'):
        listing = celebagaze.read_domain(pathlib.Path(input), domain)
        found = [(face.path, face.eyes) for face in listing.faces[-last:]]
        note = '' if not listing.problems else (
            f'{len(listing.problems)} bad rows were left out, the first: {listing.problems[0]}')
        sources = [Source(path, eyes, output / f'{path.stem}{suffix or path.suffix}') for path, eyes in found]
        _check_names(sources, overwrite)
        return sources, note
    folder = pathlib.Path(input).is_dir()
    paths = sorted(path for path in (pathlib.Path(input).iterdir() if folder else map(pathlib.Path, glob.glob(
        str(input), recursive=True))) if path.is_file() and not path.name.startswith('.'))
    photos = [path for path in paths if path.suffix.lower() in PHOTOS]
    if not photos:
        raise GazeError(f'--input: there are no photos ({" ".join(PHOTOS)}) in {input}.')
    sources = [Source(path, None, output / (output_name(path) if not suffix else f'{path.stem}{suffix}')) for path in photos]
    _check_names(sources, overwrite)
    others = [path.name for path in paths if path not in photos]
    return sources, others and (f'Left out, as they do not end in {" ".join(PHOTOS)}: {", ".join(others[:9])}'
                                + (f' and {len(others) - 9} more' if len(others) > 9 else ''))


def _check_names(sources, overwrite):
    taken = {}
    for source in sources:
        _refuse_same(source.path, source.output, overwrite)
        other = taken.setdefault(source.output, source.path)
        if other != source.path:
            raise GazeError(f'{other} and {source.path} would both be written to {source.output}: give them other names, '
                            'or do them one by one.')


def _refuse_same(path, output, overwrite):
    if not overwrite and output.exists() and output.samefile(path):
        raise GazeError(f'--output: {output} is the input itself; --overwrite replaces it.')
