"""Options: what a class of them refuses, and how they become flags and come back from them."""

import dataclasses
import pathlib

import pytest
from absl import flags

from gaze_tf.cli import option_flags
from gaze_tf.cli.main import with_flags
from gaze_tf.errors import GazeError
from gaze_tf.options import Options, as_text, check_finite, option, stored_parts


@dataclasses.dataclass(frozen=True)
class Some(Options):
    """Options of every type."""

    count: int = option(3, 'How many.', low=1, high=9)
    share: float = option(0.5, 'A share.', low=0, below=1)
    loud: bool = option(False, 'Whether `count` is said.')
    model: str = option('', 'A folder.', affects='files')
    blend: str = option('feather', 'How.', choices=('feather', 'hard'))
    alpha: tuple[float, ...] = option((1.0,), 'How far.', low=-2, high=2)
    labels: tuple[str, ...] = option((), 'Names.', choices=('', 'a', 'b'), affects='run')
    version: int | None = option(None, 'Version; not given: the newest.', low=0)
    patience: int = option(0, 'Steps.', stores='early_stop')


@dataclasses.dataclass(frozen=True)
class More(Some):
    """And one more, with another default of an earlier one."""

    count: int = option(5, 'How many.', refines=True)
    offset: bool | None = option(None, 'Whether to measure.')


def parsed(cls, *args):
    values = flags.FlagValues()
    option_flags.define(values, cls)
    values(['test', *args])
    return values


def read(*args, cls=Some):
    return option_flags.read(parsed(cls, *args), cls)


def test_without_flags_they_are_the_defaults():
    assert read() == Some() and read(cls=More) == More()
    assert (More().count, More().share, More().offset) == (5, 0.5, None)


def test_values_of_every_type():
    found = read('--count=4', '--share=0', '--loud', '--model=a b', '--alpha=0,1.5', '--labels=a,b', '--version=7')
    assert found == Some(4, 0.0, True, 'a b', 'feather', (0.0, 1.5), ('a', 'b'), 7)
    assert type(found.share) is float and read('--labels=', '--alpha=') == Some(labels=(), alpha=())
    assert read('--nooffset', cls=More).offset is False


def test_what_is_near_a_type_becomes_it():
    import numpy as np

    found = Some(count=np.int64(2), share=0, alpha=[1, np.float32(0.5)], model=pathlib.Path('a/b'))
    assert found == Some(2, 0.0, model='a/b', alpha=(1.0, 0.5))
    assert (type(found.count), type(found.share), type(found.alpha)) == (int, float, tuple)
    assert [type(value) for value in found.alpha] == [float, float]


@pytest.mark.parametrize(
    'values, message',
    [
        ({'count': 0}, '`count` must be at least 1, not 0.'),
        ({'count': 10}, '`count` must be at most 9, not 10.'),
        ({'count': 2.0}, '`count` must be of type int, not 2.0.'),
        ({'count': True}, '`count` must be of type int, not True.'),
        ({'count': None}, '`count` must be of type int, not None.'),
        ({'share': 1}, '`share` must be below 1, not 1.0.'),
        ({'share': float('nan')}, '`share=nan` must be finite.'),
        ({'share': '0.5'}, "`share` must be of type float, not '0.5'."),
        ({'loud': 1}, '`loud` must be of type bool, not 1.'),
        ({'model': b'x'}, "`model` must be of type str, not b'x'."),
        ({'blend': 'soft'}, "`blend` must be one of 'feather', 'hard', not 'soft'."),
        ({'alpha': 1.0}, '`alpha` must be several values, not 1.0.'),
        ({'alpha': (0, 3)}, '`alpha` must be at most 2, not 3.0.'),
        ({'alpha': (0, float('inf'))}, '`alpha=0,inf` must be finite.'),
        ({'alpha': ('1',)}, "`alpha` must be of type float, not '1'."),
        ({'labels': ('c',)}, "`labels` must be one of '', 'a', 'b', not 'c'."),
        ({'labels': 'a'}, "`labels` must be several values, not 'a'."),
        ({'version': -1}, '`version` must be at least 0, not -1.'),
        ({'version': 'x'}, "`version` must be of type int, not 'x'."),
    ],
)
def test_values_that_are_refused(values, message):
    with pytest.raises(GazeError) as error:
        Some(**values)
    assert str(error.value) == message
    with pytest.raises(GazeError):
        dataclasses.replace(Some(), **values)


@pytest.mark.parametrize(
    'args, message',
    [
        (['--count=0'], '--count must be at least 1, not 0.'),
        (['--share=nan'], '--share=nan must be finite.'),
        (['--alpha=1,x'], '--alpha=1,x must be numbers.'),
        (['--alpha=1,nan'], '--alpha=1,nan must be finite.'),
        (['--labels=c'], "--labels must be one of '', 'a', 'b', not 'c'."),
    ],
)
def test_flags_that_are_refused(args, message):
    with pytest.raises(GazeError) as error:
        read(*args)
    assert with_flags(str(error.value), {'count', 'share', 'alpha', 'labels'}) == message


@pytest.mark.parametrize('arg', ['--count=x', '--share=x', '--blend=soft', '--loud=maybe'])
def test_flags_that_cannot_be_parsed(arg):
    with pytest.raises(flags.Error, match=arg.split('=')[0]):
        parsed(Some, arg)


def test_help():
    text = ' '.join(parsed(Some).get_help().split())
    assert text.startswith('flags: --alpha: How far. (default: ')
    assert "--count: How many. (default: '3') (integer, at least 1 and at most 9)" in text
    assert "--share: A share. (default: '0.5') (number, at least 0 and below 1)" in text
    assert '--blend: <feather|hard>: How.' in text and '--[no]loud: Whether `count` is said.' in text
    assert '--version: Version; not given: the newest. (integer, at least 0)' in text
    assert "--patience: Steps. (default: '0') (integer)" in text


def test_what_options_affect():
    found = Some(model='x', labels=('a',))
    assert found.affecting('files') == {'model': 'x'} and found.affecting('run') == {'labels': ('a',)}
    assert [*found.affecting('results', 'run')] == [
        field.name for field in dataclasses.fields(Some) if field.name != 'model'
    ]


def test_parts_of_checkpoints():
    assert stored_parts(Some, More) == {'early_stop': 'patience'}


def test_values_that_weights_were_trained_with():
    trained = Some(count=2, model='m', alpha=(0.0, 1.0))
    assert option_flags.read_trained(parsed(More, '--share=0.5'), More, trained, 'it') == More(
        2, model='m', alpha=(0.0, 1.0)
    )
    # the same value again
    assert option_flags.read_trained(parsed(More, '--alpha=0,1'), More, trained, 'it').alpha == (0.0, 1.0)
    with pytest.raises(GazeError, match='--alpha=0,1.5, but the model was trained with 0,1: leave the flag out'):
        option_flags.read_trained(parsed(More, '--alpha=0,1.5'), More, trained, 'the model')
    refined = option_flags.read_trained(parsed(More, '--count=4'), More, More(count=6, share=0.25), 'it')
    assert refined == More(count=4, share=0.25)


def test_finite():
    check_finite('eyes', 1, -2.5)
    with pytest.raises(GazeError, match='`eyes=1,nan,-inf` must be finite'):
        check_finite('eyes', 1, float('nan'), float('-inf'))


def test_values_as_text():
    assert [as_text(value) for value in ((1.0, 0.25), 3, 'x', ('a', 'b'), ())] == ['1,0.25', '3', 'x', 'a,b', '']
