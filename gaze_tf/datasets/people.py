"""Photos of people for a data set: their names, who is in them, and who is held out."""

import pathlib
import re
from collections.abc import Iterable
from typing import NamedTuple

from gaze_tf.data.celebagaze import unique_name
from gaze_tf.datasets.from_photos import find_photos
from gaze_tf.errors import GazeError


class PersonPhoto(NamedTuple):
    """A photo of a person. name: unique in the data set; identity: who it is; split: 'train' or 'test'."""

    path: pathlib.Path
    name: str
    identity: str
    split: str


def list_photos(folders: Iterable[pathlib.Path | str], identity: str = '', test_people: str = '') -> list[PersonPhoto]:
    """The PersonPhotos in folders; for identity and test_people see TurnedOptions.

    Raises:
      GazeError: folders without photos, bad patterns, names without an identity, nobody held out.
    """
    paths = [path for folder in folders for path in find_photos(folder)]
    identities = _identities(paths, identity)
    held_out = _held_out(paths, identities, test_people)
    taken: set[str] = set()
    return [
        PersonPhoto(path, unique_name(path.stem, taken), person, 'test' if person in held_out else 'train')
        for path, person in zip(paths, identities)
    ]


def _identities(paths: list[pathlib.Path], text: str) -> list[str]:
    if not text:
        return [_readable(path.stem) for path in paths]
    pattern = _compiled('identity', text)
    if not pattern.groups:
        raise GazeError(f"`identity={text}` has no group (in parentheses) for the person's id.")
    found = []
    for path in paths:
        match = pattern.search(path.stem)
        if not match or not match[1]:
            raise GazeError(f'`identity={text}` finds no id in {path.stem} ({path}).')
        found.append(_readable(match[1]))
    return found


def _readable(text: str) -> str:
    """A file name as UTF-8 text, with escapes for bytes that are not."""
    return text.encode('utf-8', 'backslashreplace').decode()


def _held_out(paths: list[pathlib.Path], identities: list[str], text: str) -> set[str]:
    if not text:
        return set()
    pattern = _compiled('test_people', text)
    found = {person for path, person in zip(paths, identities) if pattern.search(path.stem)}
    if not found:
        raise GazeError(f'`test_people={text}` holds out none of {len(set(identities))} people.')
    return found


def _compiled(name: str, pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise GazeError(f'`{name}={pattern}` is not a regular expression: {error}.') from error
