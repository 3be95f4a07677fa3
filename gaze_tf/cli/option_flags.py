"""Flags from options: `define` makes flags from the fields of Options classes, `read` an instance from their values."""

import dataclasses
from typing import Any, TypeVar

from absl import flags

from gaze_tf.errors import GazeError
from gaze_tf.options import Options, as_text, range_of, type_of

OptionsT = TypeVar('OptionsT', bound=Options)
# under which --help lists them
HEADING = 'flags'
_KINDS = {int: 'integer', float: 'number'}


def define(values: flags.FlagValues, *classes: type[Options]) -> None:
    """Defines one flag for each field of each class, under the field's name."""
    for cls in classes:
        for field in dataclasses.fields(cls):
            _define(values, field)


def read(values: flags.FlagValues, cls: type[OptionsT]) -> OptionsT:
    """A `cls` with the values of the flags that `define` made for it. Raises GazeError."""
    return cls(**{field.name: _value(values, field) for field in dataclasses.fields(cls)})


def read_trained(values: flags.FlagValues, cls: type[OptionsT], trained: Options, whose: str) -> OptionsT:
    """As `read`, but with the values of `trained`, an earlier configuration with some or all of the fields of `cls`.

    A flag that refines trained weights keeps the value that was given. Raises GazeError where any other flag was given
    and differs from what `whose` (in words) was trained with.
    """
    found = {field.name: _value(values, field) for field in dataclasses.fields(cls)}
    for field in dataclasses.fields(trained):
        name, value = field.name, getattr(trained, field.name)
        if values[name].present and found[name] != value:
            if field.metadata['refines']:
                continue
            raise GazeError(
                f'--{name}={as_text(found[name])}, but {whose} was trained with {as_text(value)}: leave the flag out, '
                'or train that anew.'
            )
        found[name] = value
    return cls(**found)


def _define(values: flags.FlagValues, field: dataclasses.Field) -> None:
    kind, several, _ = type_of(field)
    name, help, choices = field.name, field.metadata['help'], field.metadata['choices']
    default: Any = field.default
    given: dict[str, Any] = {'flag_values': values, 'module_name': HEADING}
    if several:
        flags.DEFINE_list(name, default and list(map(as_text, default)), help, **given)
    elif kind is bool:
        flags.DEFINE_boolean(name, default, help, **given)
    elif choices:
        flags.DEFINE_enum(name, default, list(choices), help, **given)
    elif kind is str:
        flags.DEFINE_string(name, default, help, **given)
    else:
        # given a name, its parser is not shared with other flags. Bounds are only said here: Options checks them
        parser = (flags.IntegerParser if kind is int else flags.FloatParser)(lower_bound=None)
        parser.syntactic_help = ', '.join(filter(None, (_KINDS[kind], range_of(field))))
        flags.DEFINE(parser, name, default, help, serializer=flags.ArgumentSerializer(), **given)


def _value(values: flags.FlagValues, field: dataclasses.Field) -> Any:
    kind, several, _ = type_of(field)
    value = values[field.name].value
    if not several or value is None:
        return value
    try:
        return tuple(map(kind, value))
    except ValueError as error:
        raise GazeError(f'--{field.name}={",".join(value)} must be numbers.') from error
