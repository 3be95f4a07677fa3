"""Options: each is declared once, as a field of a frozen dataclass that validates its values as soon as it is made.

    @dataclasses.dataclass(frozen=True)
    class PhotoOptions(Options):
        '''Which photo to edit.'''

        input: str = option('', 'The photo.')
        alpha: tuple[float, ...] = option((1.0,), 'How far the gaze moves.', low=-2, high=2)

The command line makes its flags from these fields (`gaze_tf.cli.option_flags`). The types are int, float, bool, str,
`tuple[str, ...]`, `tuple[float, ...]` and `tuple[int, ...]`, each of them also with `| None` where "not given" has a
meaning of its own. A path is a str that may be empty. Modules that declare options must not postpone annotations
(`from __future__ import annotations`).
"""

import dataclasses
import math
import numbers
import os
import types
import typing
from collections.abc import Collection
from typing import Any, Literal

from gaze_tf.errors import GazeError

Affects = Literal['results', 'run', 'files']
_KINDS = {int: numbers.Integral, float: numbers.Real, bool: bool, str: str}


def option(
    default: Any,
    help: str,
    *,
    low: float | None = None,
    high: float | None = None,
    below: float | None = None,
    choices: Collection[str] | None = None,
    affects: Affects = 'results',
    refines: bool = False,
    stores: str | None = None,
) -> Any:
    """A field of an Options class.

    Args:
      default: its default value.
      help: what it means, with its unit, for `--help`. It names other options in backticks, which are shown as flags.
      low, high: the least and the greatest value that it may have; of a tuple, each of its values.
      below: what it must stay below.
      choices: the texts that it may be; of a tuple, each of its texts.
      affects: what changes with it. 'results': what is computed. 'run': only how long it goes on. 'files': neither;
        only where files are, when they are written, and how long to wait.
      refines: whether trained weights can be used with another value than the one that they were trained with.
      stores: the part of a checkpoint that exists only while this option is on.
    """
    return dataclasses.field(
        default=default,
        metadata={
            'help': help,
            'low': low,
            'high': high,
            'below': below,
            'choices': choices,
            'affects': affects,
            'refines': refines,
            'stores': stores,
        },
    )


@dataclasses.dataclass(frozen=True)
class Options:
    """Base class: validates every field against its declaration. Raises GazeError that names the option."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            object.__setattr__(self, field.name, _validated(field, getattr(self, field.name)))

    def affecting(self, *kinds: Affects) -> dict[str, Any]:
        """The values, by name, of the options that affect any of these; see `option`."""
        return {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if field.metadata['affects'] in kinds
        }


def stored_parts(*classes: type[Options]) -> dict[str, str]:
    """{part of a checkpoint: the option that stores it} of Options classes."""
    return {
        field.metadata['stores']: field.name
        for cls in classes
        for field in dataclasses.fields(cls)
        if field.metadata['stores']
    }


def type_of(field: dataclasses.Field) -> tuple[type, bool, bool]:
    """(int, float, bool or str; whether the option is a tuple of such values; whether it may be None)."""
    kind: Any = field.type
    optional = isinstance(kind, types.UnionType)
    if optional:
        (kind,) = (part for part in typing.get_args(kind) if part is not types.NoneType)
    several = typing.get_origin(kind) is tuple
    return typing.get_args(kind)[0] if several else kind, several, optional


def check_finite(name: str, *values: float) -> None:
    """Raises GazeError that names the option if NaN or infinity is among its numbers."""
    if not all(map(math.isfinite, values)):
        raise GazeError(f'`{name}={as_text(values)}` must be finite.')


def as_text(value: Any) -> str:
    """A value as it is written on the command line: tuples with commas."""
    if isinstance(value, (tuple, list)):
        return ','.join(map(as_text, value))
    return f'{value:g}' if isinstance(value, float) else str(value)


def range_of(field: dataclasses.Field) -> str:
    """The bounds of an option in words, such as 'at least 0 and below 1'; '' if it has none."""
    low, high, below = (field.metadata[key] for key in ('low', 'high', 'below'))
    words = [f'at least {low:g}'] if low is not None else []
    words += [f'at most {high:g}'] if high is not None else []
    words += [f'below {below:g}'] if below is not None else []
    return ' and '.join(words)


def _validated(field: dataclasses.Field, value: Any) -> Any:
    """The value in the type of its option: whole numbers become floats where those are wanted. Raises GazeError."""
    kind, several, optional = type_of(field)
    if optional and value is None:
        return None
    if several and not isinstance(value, (tuple, list)):
        raise GazeError(f'`{field.name}` must be several values, not {value!r}.')
    found = tuple(_of_kind(field.name, kind, one) for one in (value if several else [value]))
    if kind is float:
        check_finite(field.name, *found)
    for one in found:
        _check_value(field, one)
    return found if several else found[0]


def _of_kind(name: str, kind: type, value: Any) -> Any:
    if kind is str and isinstance(value, os.PathLike):
        return os.fspath(value)
    # to Python True is a number
    if not isinstance(value, _KINDS[kind]) or (isinstance(value, bool) and kind is not bool):
        raise GazeError(f'`{name}` must be of type {kind.__name__}, not {value!r}.')
    return value if type(value) is kind else kind(value)


def _check_value(field: dataclasses.Field, value: Any) -> None:
    name = field.name
    low, high, below, choices = (field.metadata[key] for key in ('low', 'high', 'below', 'choices'))
    if low is not None and value < low:
        raise GazeError(f'`{name}` must be at least {low}, not {value}.')
    if high is not None and value > high:
        raise GazeError(f'`{name}` must be at most {high}, not {value}.')
    if below is not None and value >= below:
        raise GazeError(f'`{name}` must be below {below}, not {value}.')
    if choices and value not in choices:
        raise GazeError(f'`{name}` must be one of {", ".join(map(repr, choices))}, not {value!r}.')
