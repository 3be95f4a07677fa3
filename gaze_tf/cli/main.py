"""The console command: `gaze-tf COMMAND --flags`.

Each command is a module of this package with a docstring (its first line is a command that can be
run), `define_flags(flag_values)` and `run(flag_values)`. It is imported only when it is called, so
that `gaze-tf --help` answers at once.
"""

import contextlib
import importlib
import logging
import os
import re
import signal
import sys

from absl import flags

from gaze_tf.cli import option_flags
from gaze_tf.errors import GazeError, printable
from gaze_tf.files import reason
from gaze_tf.options import check_finite

COMMANDS = {
    'prepare': 'pack a folder of faces (CelebAGaze layout) into TFRecords',
    'pretrain': 'train the content encoder (PAM)',
    'train': 'train gaze correction (GCM) and gaze animation (GAM)',
    'calibrate': 'measure what the angle code of a trained model means in degrees',
    'export': 'write a SavedModel from a checkpoint',
    'lite': 'write TensorFlow Lite models from a checkpoint',
    'import-official': 'turn a checkpoint of the original TensorFlow 1 code into ours',
    'correct': 'repaint the eyes of photos and videos so that they look at the camera',
    'live': 'repaint the eyes of a camera while it runs, in a window or as a virtual camera',
    'animate': 'move the eyes of photos between where they look and the camera, as GIF or video',
    'page': 'open a page in the browser that does all this without commands',
    'evaluate': 'measure a model on held-out faces: a report with numbers, pictures and plots',
    'make-dataset': 'make a training set of your own photos',
    'draw-dataset': 'draw a training set of synthetic faces',
    'turn': 'turn the eyes of people who look at the camera, so that they look elsewhere',
    'turn-dataset': 'make a training set of photos of people who all look at the camera',
    'client': 'have a server (TensorFlow Serving) repaint the eyes of photos',
    'serve': 'answer requests for a SavedModel like TensorFlow Serving, on laptops and in tests',
}


def usage():
    rows = '\n'.join(f'  {name:17}{text}' for name, text in COMMANDS.items())
    return (
        'Gaze correction and gaze animation for photos of faces.\n\nusage: gaze-tf COMMAND --flags\n\n'
        f'{rows}\n\ngaze-tf COMMAND --help lists the flags of a command; --flagfile=FILE reads flags '
        'from a file.'
    )


def require(values, *names):
    """Raises GazeError unless each of these flags was given a value."""
    for name in names:
        if not values[name].value:
            raise GazeError(f'--{name} is needed.')


def parse(command, args):
    """(module, flag values) of a command line; flag values are None where help was asked for."""
    module = importlib.import_module(f'gaze_tf.cli.{command.replace("-", "_")}')
    values = flags.FlagValues()
    flags.DEFINE_boolean(
        'help', False, 'Show this help.', short_name='h', flag_values=values, module_name=option_flags.HEADING
    )
    module.define_flags(values)
    if {'--help', '-h', '-help'} & set(args):
        print(f'{module.__doc__.strip()}\n{with_flags(values.get_help(), frozenset(values))}')
        return module, None
    rest = values([f'gaze-tf {command}', *args])[1:]
    if rest:
        raise flags.Error(f'{rest[0]!r} is not a flag: every option is given as --name=value.')
    return module, values


def with_flags(text, names):
    """A text of the library for the command line: `eyes` and `faces=3` become --eyes and --faces=3, if in `names`."""

    def flag(match):
        return f'--{match[1]}{match[2]}' if match[1] in names else match[0]

    return re.sub(r'`(\w+)((?:=[^`\n]*)?)`', flag, text)


class _Console(logging.Handler):
    """Shows what the library logs: warnings on stderr, the rest on stdout."""

    def __init__(self, names):
        super().__init__()
        self._names = names

    def emit(self, record):
        text = printable(with_flags(record.getMessage(), self._names))
        print(text, file=sys.stderr if record.levelno >= logging.WARNING else sys.stdout, flush=True)


@contextlib.contextmanager
def _shown(names):
    """Within it, messages of the library go to the terminal."""
    logger, console = logging.getLogger('gaze_tf'), _Console(names)
    before = logger.level, logger.propagate
    logger.addHandler(console)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(console)
        logger.level, logger.propagate = before


def main(argv=None):
    """Runs one command; returns its exit status: 0, 1 for bad input, 2 for a bad command line."""
    if argv is None:
        # so that SIGTERM unwinds the stack as Ctrl-C does, and nothing is left half-written
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
        # a file name that is not text, or a letter that the terminal lacks, must not end a command that did its work
        if sys.stdout is not None:  # as it is where a service closed it
            sys.stdout.reconfigure(errors='backslashreplace')
    args = sys.argv[1:] if argv is None else list(argv)
    try:
        status = _run(args)
        if sys.stdout is not None:
            sys.stdout.flush()
        return status
    except BrokenPipeError:
        # the reader of our output has gone (`gaze-tf correct --help | head`): print nothing more, at the exit either
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE


def _run(args):
    if not args or args[0] in ('--help', '-h', '-help', 'help'):
        print(usage())
        return 0 if args else 2
    command = args[0]
    if command not in COMMANDS:
        print(f'gaze-tf: no command {command!r}; the commands are {", ".join(COMMANDS)}.', file=sys.stderr)
        return 2
    names = ()
    try:
        module, values = parse(command, args[1:])
        if values is None:
            return 0
        names = frozenset(values)
        # of commands that read their flags without options
        for name in names:
            if isinstance(values[name].value, float):
                check_finite(name, values[name].value)
        with _shown(names):
            return module.run(values) or 0
    except flags.Error as error:
        print(f'gaze-tf {command}: {error}\nSee gaze-tf {command} --help.', file=sys.stderr)
        return 2
    except GazeError as error:
        print(f'gaze-tf {command}: {with_flags(str(error), names)}', file=sys.stderr)
        return 1
    except UnicodeEncodeError as error:
        if error.reason != 'surrogates not allowed':
            raise
        print(
            f'gaze-tf {command}: {error.object[:300]!r} is not UTF-8; TensorFlow cannot open such a name: rename it.',
            file=sys.stderr,
        )
        return 1
    except OSError as error:
        # a name that is too long, a folder that may not be entered: whoever looks at a path may meet it
        if error.filename is None:
            raise
        print(f'gaze-tf {command}: {error.filename}: {reason(error)}.', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f'gaze-tf {command}: interrupted', file=sys.stderr)
        return 130


if __name__ == '__main__':
    sys.exit(main())
