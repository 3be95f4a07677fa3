"""Photos of people for a data set: their names, who is whom, and who is held out."""

import pathlib
import re
from typing import NamedTuple

from gaze_tf.datasets.from_photos import photos_in, unique_name
from gaze_tf.errors import GazeError


class Photo(NamedTuple):
    """A photo with a name that no other one has; identity: who it shows; split: 'train' or 'test'."""

    path: pathlib.Path
    name: str
    identity: str
    split: str


def photos_of(folders, identity='', test_people=''):
    """The Photos in folders.

    identity: pattern with a group, which is the person's id, for the names of files without their suffixes; '': the whole
    name. test_people: pattern for the same; a person with a photo that matches is held out; '': nobody.

    Raises:
      GazeError: folders without photos, bad patterns, names without an identity, nobody held out.
    """
    paths = [path for folder in folders for path in photos_in(folder)]
    identities = _identities(paths, identity)
    held_out = _held_out(paths, identities, test_people)
    taken = set()
    return [
        Photo(path, unique_name(path.stem, taken), person, 'test' if person in held_out else 'train')
        for path, person in zip(paths, identities)
    ]


def _identities(paths, pattern):
    if not pattern:
        return [_readable(path.stem) for path in paths]
    pattern = _compiled('identity', pattern)
    if not pattern.groups:
        raise GazeError(f"--identity={pattern.pattern} has no group (in parentheses) for the person's id.")
    matches = [pattern.search(path.stem) for path in paths]
    for path, match in zip(paths, matches):
        if not match or not match[1]:
            raise GazeError(f'--identity={pattern.pattern} finds no id in {path.stem} ({path}).')
    return [_readable(match[1]) for match in matches]


def _readable(text):
    """A file's name that need not be UTF-8 as text that is."""
    return text.encode('utf-8', 'backslashreplace').decode()


def _held_out(paths, identities, pattern):
    if not pattern:
        return set()
    pattern = _compiled('test_people', pattern)
    found = {person for path, person in zip(paths, identities) if pattern.search(path.stem)}
    if not found:
        raise GazeError(f'--test_people={pattern.pattern} holds out none of {len(set(identities))} people.')
    return found


def _compiled(flag, pattern):
    try:
        return re.compile(pattern)
    except re.error as error:
        raise GazeError(f'--{flag}={pattern} is not a regular expression: {error}.') from error
