"""Which files a command works on: a photo, a video, a folder or a pattern of photos, a folder in CelebAGaze's
layout."""

import glob
import os
import pathlib
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from gaze_tf.data import celebagaze
from gaze_tf.editing.options import SourceOptions
from gaze_tf.errors import GazeError
from gaze_tf.media.formats import PHOTOS, WRITTEN, output_name

# suffixes of results
OUTPUTS = tuple(WRITTEN)
VIDEOS = '.mp4', '.mov', '.mkv', '.m4v', '.avi', '.webm', '.ts', '.mts', '.mpg', '.mpeg', '.wmv', '.3gp', '.flv'
# file names that a note lists
_NAMED = 9


class Source(NamedTuple):
    """A photo or video on disk.

    eyes: (left_x, left_y, right_x, right_y) if they are known. output: where the result goes, if one is written.
    """

    path: pathlib.Path
    eyes: tuple[float, ...] | None
    output: pathlib.Path | None


def is_video(path: pathlib.Path | str) -> bool:
    """Whether a file is a video, by its name."""
    return pathlib.Path(path).suffix.lower() in VIDEOS


def is_single(path: pathlib.Path | str) -> bool:
    """Whether this names one file rather than a folder or a pattern."""
    # os.path: pathlib raises errors for names that are too long
    return not os.path.isdir(path) and (os.path.exists(path) or not glob.has_magic(str(path)))


def find_one(options: SourceOptions, suffixes: Sequence[str]) -> Source:
    """The Source of one file. Raises GazeError.

    suffixes: those that the output may have. An output that is a folder (an existing one, or a name that ends in /)
    gets the result under the input's name. Without an output the Source has none.
    """
    path, eyes = pathlib.Path(options.input), options.eyes or None
    if not os.path.exists(path):
        raise GazeError(f'There is no {path}.')
    if not options.output:
        return Source(path, eyes, None)
    output = pathlib.Path(options.output)
    if options.output.endswith('/') or os.path.isdir(output):
        output /= path.name if path.suffix.lower() in suffixes else f'{path.stem}{suffixes[0]}'
    if output.suffix.lower() not in suffixes:
        raise GazeError(f'`output={output}` must end in {" or ".join(suffixes)}, or be a folder.')
    _refuse_same(path, output, options.overwrite)
    _refuse_unwritable(output)
    return Source(path, eyes, output)


def find_several(options: SourceOptions, suffix: str = '') -> tuple[list[Source], str]:
    """The Sources of a folder or a pattern, and a note on what was left out ('' if nothing). Raises GazeError.

    suffix: of the results; '' keeps that of each photo. Without an output the Sources have none. Of a folder in
    CelebAGaze's layout they are the last `last` rows (0: all) of a domain, with their eyes.
    """
    path, output = options.input, options.output
    if output and os.path.isfile(output):
        raise GazeError(f'`output={output}` is a file: the results of {path} need a folder.')
    if any(os.path.exists(pathlib.Path(path) / f'{name}.txt') for name in '01'):
        listing = celebagaze.read_domain(pathlib.Path(path), options.domain)
        rows = [(face.path, face.eyes) for face in listing.rows[-options.last :]]
        problems = listing.problems
        note = f'{len(problems)} bad rows were left out, the first: {problems[0]}' if problems else ''
        return _sources(rows, options, lambda photo: f'{photo.stem}{suffix or photo.suffix}'), note
    found: Iterable[pathlib.Path] = (
        pathlib.Path(path).iterdir() if os.path.isdir(path) else map(pathlib.Path, glob.glob(path, recursive=True))
    )
    found = sorted(each for each in found if not each.name.startswith('.'))
    circles = {folder: _find_circle(folder) for folder in {each.parent for each in found}}
    files = [each for each in found if os.path.isfile(each) and not circles[each.parent]]
    photos = [each for each in files if each.suffix.lower() in PHOTOS]
    if not photos:
        raise GazeError(f'There are no photos ({" ".join(PHOTOS)}) in {path}.')
    sources = _sources(
        [(photo, None) for photo in photos],
        options,
        lambda photo: f'{photo.stem}{suffix}' if suffix else output_name(photo),
    )
    left_out = {
        f'they do not end in {" ".join(PHOTOS)}': [each.name for each in files if each not in photos],
        'these links lead nowhere': [each.name for each in found if each.is_symlink() and not os.path.exists(each)],
        'these links lead back to a folder above them': sorted({str(link) for link in circles.values() if link}),
    }
    return sources, '\n'.join(_left_out(why, names) for why, names in left_out.items() if names)


def _left_out(why: str, names: Sequence[str]) -> str:
    more = f' and {len(names) - _NAMED} more' if len(names) > _NAMED else ''
    return f'Left out, as {why}: {", ".join(names[:_NAMED])}{more}'


def _find_circle(folder: pathlib.Path) -> pathlib.Path | None:
    """The first link in the path of a folder that leads back to an earlier part of the path, or None."""
    passed = set()
    for path in (*reversed(folder.parents), folder):
        place = os.path.realpath(path)
        if place in passed and path.is_symlink():
            return path
        passed.add(place)
    return None


def _sources(
    found: Iterable[tuple[pathlib.Path, tuple[float, ...] | None]],
    options: SourceOptions,
    name_result: Callable[[pathlib.Path], str],
) -> list[Source]:
    """The Sources of (path, eyes); name_result: path → the name of its result in the output folder."""
    if not options.output:
        return [Source(path, eyes, None) for path, eyes in found]
    sources: list[Source] = []
    taken: dict[pathlib.Path, pathlib.Path] = {}
    for path, eyes in found:
        output = pathlib.Path(options.output) / name_result(path)
        _refuse_same(path, output, options.overwrite)
        other = taken.setdefault(output, path)
        if other != path:
            raise GazeError(
                f'{other} and {path} would both be written to {output}: give them other names, or edit them one by one.'
            )
        sources.append(Source(path, eyes, output))
    return sources


def _refuse_same(path: pathlib.Path, output: pathlib.Path, overwrite: bool) -> None:
    if not overwrite and os.path.exists(output) and output.samefile(path):
        raise GazeError(f'{output} is the input itself; `overwrite` replaces it.')


def _refuse_unwritable(path: pathlib.Path) -> None:
    """Raises GazeError for an output that cannot be written, before the work rather than after it."""
    folder = path.parent
    # missing folders are made
    while not os.path.exists(folder):
        folder = folder.parent
    if not os.path.isdir(folder):
        raise GazeError(f'{path} cannot be written: {folder} is no folder.')
    if not os.access(folder, os.W_OK):
        raise GazeError(f'{path} cannot be written: nothing may be written in {folder}.')
