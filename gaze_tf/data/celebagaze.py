"""CelebAGaze's layout: a folder of aligned faces, read and written here and nowhere else.

    <folder>/1/<name>.jpg   <folder>/1.txt     domain X: eyes at the camera
    <folder>/0/<name>.jpg   <folder>/0.txt     domain Y: eyes elsewhere
    <folder>/twins/<name>.jpg or .png          optional, of Y: the same face looking at the camera
    <folder>/truth.csv                         optional: angles and irises of each face (TRUTH_COLUMNS)

A row of a .txt is `name left_x left_y right_x right_y`: single spaces, pixels of that image, no extension in the name.
"Left" is the eye with the smaller x (the subject's right eye). In truth.csv yaw is positive for a gaze towards larger x
and pitch is positive upwards, in degrees; positions are in pixels, pixel i having its center at i.
"""

import csv
import numbers
import os
import pathlib
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from gaze_tf.errors import GazeError
from gaze_tf.files import new_file, write_text

FOLDERS = {'x': '1', 'y': '0'}
TWINS, TRUTH = 'twins', 'truth.csv'
TRUTH_COLUMNS = (
    'domain',
    'name',
    'split',
    'identity',
    'yaw_deg',
    'pitch_deg',
    'left_iris_x',
    'left_iris_y',
    'right_iris_x',
    'right_iris_y',
    'iris_radius',
    'twin',
    'twin_left_iris_x',
    'twin_left_iris_y',
    'twin_right_iris_x',
    'twin_right_iris_y',
)
_NUMBER = re.compile(r'-?\d+(\.\d+)?', re.ASCII)
_EXTENSIONS = '.jpg', '.jpeg'
# bytes; file systems allow 255, and a number and an extension are added
_LONGEST_NAME = 200


class Row(NamedTuple):
    """A usable row: its image exists, but has not been opened yet.

    eyes: (left_x, left_y, right_x, right_y), float pixels of the image. where: file and line of the row. twin: the file
    of the twin, which may be missing, or None where no twin is wanted.
    """

    name: str
    path: pathlib.Path
    eyes: tuple[float, ...]
    where: str
    bytes: int
    mtime_ns: int
    twin: pathlib.Path | None = None


class Listing(NamedTuple):
    """A domain's table: usable rows in order, number of rows without an image, what is wrong with the others."""

    rows: list[Row]
    missing: int
    problems: list[str]


# ---------------------------------------------------------------------------------------------------------- reading


def read_domain(folder: pathlib.Path | str, domain: str) -> Listing:
    """Reads the table of domain 'x' or 'y'.

    Raises GazeError when the domain's folder or its .txt is missing, or when not one image is there.
    """
    images_dir, table = image_folder(folder, domain), pathlib.Path(folder) / f'{FOLDERS[domain]}.txt'
    for path, there in ((images_dir, images_dir.is_dir()), (table, table.is_file())):
        if not there:
            raise GazeError(f"{path} is missing: a folder in CelebAGaze's layout must hold 1/, 1.txt, 0/ and 0.txt.")
    try:
        files = {entry.name: entry.stat() for entry in os.scandir(images_dir) if entry.is_file()}
        lines = table.read_bytes().removeprefix(b'\xef\xbb\xbf').rstrip().split(b'\n')
    except OSError as error:
        raise GazeError(f'Cannot read domain {domain.upper()}: {error}') from error

    rows: list[Row] = []
    problems: list[str] = []
    missing, line_of = 0, dict[str, int]()
    for number, line in enumerate(lines, 1):
        where = f'{table}:{number}'
        try:
            name, eyes = parse_row(line)
            if name in line_of:
                raise GazeError(f'duplicate name {name!r}, first on line {line_of[name]}')
        except GazeError as error:
            problems.append(f'{where}: {error}')
            continue
        line_of[name] = number
        status = files.get(f'{name}.jpg')
        if status is None:
            missing += 1
        else:
            rows.append(Row(name, images_dir / f'{name}.jpg', eyes, where, status.st_size, status.st_mtime_ns))
    if missing and not rows:
        raise GazeError(
            f'No image found for domain {domain.upper()}: {images_dir} holds none of the {missing} '
            f'<name>.jpg that {table} names.'
        )
    return Listing(rows, missing, problems)


def parse_row(line: bytes) -> tuple[str, tuple[float, ...]]:
    """(name, eyes) of one row, with or without its line end. Raises GazeError that says what is wrong."""
    try:
        fields = line.rstrip().decode('utf-8').split(' ')
    except UnicodeDecodeError as error:
        raise GazeError('the row is not UTF-8 text') from error
    if len(fields) != 5:
        raise GazeError(
            'the row must be `name left_x left_y right_x right_y` with single spaces, '
            f'and has {len(fields) if line.strip() else 0} fields'
        )
    name, *numbers = fields
    check_name(name)
    for number in numbers:
        if not _NUMBER.fullmatch(number):
            raise GazeError(f'{number!r} is not a number')
        if float(number) < 0:
            raise GazeError(f'the coordinate {number} lies outside the image')
    eyes = tuple(float(number) for number in numbers)
    if eyes[0] >= eyes[2]:
        raise GazeError(f'left_x ({numbers[0]}) must be smaller than right_x ({numbers[2]})')
    return name, eyes


def check_name(name: str) -> None:
    """Raises GazeError unless <name>.jpg is a file directly in the folder, and a row can begin with the name."""
    if not name or ' ' in name or '/' in name or '\\' in name or '..' in name or not name.isprintable():
        raise GazeError(f'{name!r} is not a name for a file in the folder')
    if name.lower().endswith(_EXTENSIONS):
        raise GazeError(f'the name {name!r} must be without its extension')


def with_twins(folder: pathlib.Path | str, rows: Iterable[Row]) -> list[Row]:
    """Rows with the files of their twins: those that truth.csv names, or twins/<name>.jpg or .png. Raises GazeError."""
    table, named = pathlib.Path(folder) / TRUTH, {}
    if table.is_file():
        try:
            with open(table, newline='', encoding='utf-8') as file:
                named = {row['name']: row['twin'] for row in csv.DictReader(file)}
        except (OSError, UnicodeDecodeError, csv.Error, KeyError) as error:
            raise GazeError(
                f'{table} cannot be read, or lacks a column ({error}): it must have the columns name and twin.'
            ) from error
    found = []
    for row in rows:
        files = (
            [named[row.name]] if named.get(row.name) else [f'{TWINS}/{row.name}{suffix}' for suffix in ('.jpg', '.png')]
        )
        paths = [table.parent / file for file in files]
        found.append(row._replace(twin=next((path for path in paths if path.is_file()), paths[0])))
    return found


# ---------------------------------------------------------------------------------------------------------- writing


def image_folder(folder: pathlib.Path | str, domain: str) -> pathlib.Path:
    """The folder of the images of domain 'x' or 'y'."""
    return pathlib.Path(folder) / FOLDERS[domain]


def make_folders(folder: pathlib.Path | str, twins: bool = False) -> None:
    """Makes the folders of images in a new data set; twins: also that of twins. Raises OSError."""
    for name in (*FOLDERS.values(), *([TWINS] if twins else [])):
        (pathlib.Path(folder) / name).mkdir()


def save_image(
    folder: pathlib.Path, name: str, image: np.ndarray, quality: int = 95, subsampling: str = '4:4:4'
) -> None:
    """Writes a face, uint8 [S, S, 3], as <name>.jpg into a folder of images.

    Raises GazeError for a name that no row may have, and OSError.
    """
    check_name(name)
    Image.fromarray(image).save(folder / f'{name}.jpg', quality=quality, subsampling=subsampling)


def format_row(name: str, eyes: Iterable[float]) -> str:
    """The row of a face, without its line end: integers as they are, others with one decimal.

    Raises GazeError for a name or eyes that `parse_row` would refuse.
    """
    row = ' '.join([name, *(str(value) if isinstance(value, numbers.Integral) else f'{value:.1f}' for value in eyes)])
    parse_row(row.encode())
    return row


def write_tables(folder: pathlib.Path, faces: Mapping[str, Iterable[tuple[str, Iterable[float]]]]) -> None:
    """Writes 1.txt and 0.txt; faces: {'x': [(name, eyes), …], 'y': […]}. Raises GazeError as `format_row`; OSError."""
    for domain, number in FOLDERS.items():
        write_text(folder / f'{number}.txt', ''.join(f'{format_row(*face)}\n' for face in faces[domain]))


def write_truth(folder: pathlib.Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Writes truth.csv; rows: {column: value}, without the columns that do not apply. Raises OSError."""
    with new_file(folder / TRUTH, encoding='utf-8', newline='') as file:
        table = csv.DictWriter(file, TRUTH_COLUMNS, restval='')
        table.writeheader()
        table.writerows(rows)


def iris_columns(centers: np.ndarray, prefix: str = '') -> dict[str, str]:
    """The columns of truth.csv for centers [2, 2] of irises, the eye at smaller x first; prefix: 'twin_' for a twin."""
    return {
        f'{prefix}{side}_iris_{axis}': f'{value:.3f}'
        for side, center in zip(('left', 'right'), centers)
        for axis, value in zip('xy', center)
    }


def usable_name(text: str) -> str:
    """The nearest to a text, such as the name of any file, that passes `check_name` and is not hidden."""
    name = ''.join('_' if letter in ' /\\' or not letter.isprintable() else letter for letter in text)
    name = re.sub(r'^\.', '_', re.sub(r'\.{2,}', '.', name))
    name = name.encode('utf-8')[:_LONGEST_NAME].decode('utf-8', 'ignore') or '_'
    return f'{name[: name.rindex(".")]}_{name[name.rindex(".") + 1 :]}' if name.lower().endswith(_EXTENSIONS) else name


def unique_name(text: str, taken: set[str]) -> str:
    """A usable name that is not among those taken, to which it is added."""
    stem = usable_name('_'.join(text.split()))
    name, number = stem, 1
    while name in taken:
        number += 1
        name = f'{stem}-{number}'
    check_name(name)
    taken.add(name)
    return name
