"""gaze-tf client --server=localhost:8500 --input=photo.jpg --output=corrected.jpg

Has a server correct photos: TensorFlow Serving, or `gaze-tf serve`, with a model of `gaze-tf export`. Faces are found
here, and what is written keeps format, metadata and all pixels outside the eyes, as with `gaze-tf correct`. --input may
also be a folder or a quoted pattern of photos, several of which are then with the server at a time; report.json in --output
says what was done, and the same command goes on where it was interrupted. The model's strength and blending are the server's.
"""

import contextlib
import dataclasses
import pathlib
import sys

from absl import flags

from gaze_tf.cli import option_flags, photo_flags
from gaze_tf.cli.main import require
from gaze_tf.editing.options import MarkOptions
from gaze_tf.errors import GazeError


def define_flags(values):
    flags.DEFINE_string(
        'server', '', "HOST:PORT of the server's gRPC port (TensorFlow Serving's is 8500).", flag_values=values
    )
    flags.DEFINE_boolean(
        'rest', False, "Speak REST: --server names the REST port (TensorFlow Serving's is 8501).", flag_values=values
    )
    flags.DEFINE_string('model_name', 'gaze', "The model's name on the server.", flag_values=values)
    flags.DEFINE_integer(
        'version',
        None,
        'Version of the model; not given: the newest, or that of --label.',
        lower_bound=0,
        flag_values=values,
    )
    flags.DEFINE_string('label', '', 'Label of a version, such as stable or canary.', flag_values=values)
    flags.DEFINE_boolean(
        'tls', False, 'Encrypt the connection, as a proxy in front of the server may want it.', flag_values=values
    )
    flags.DEFINE_string(
        'ca',
        '',
        'With --tls: PEM file of the certificates that vouch for the server; not given: those that '
        'vouch for public servers.',
        flag_values=values,
    )
    flags.DEFINE_string(
        'header_file',
        '',
        'File with a header that is sent with each request, such as Authorization: Bearer '
        'TOKEN; without --tls anybody on the way can read it.',
        flag_values=values,
    )
    flags.DEFINE_float(
        'timeout', 30.0, 'Seconds that a request may take, with its retries.', lower_bound=0.001, flag_values=values
    )
    flags.DEFINE_integer(
        'retries',
        3,
        'How often a server that is not available is asked again, with growing waits between.',
        lower_bound=0,
        upper_bound=4,
        flag_values=values,
    )
    flags.DEFINE_integer(
        'concurrency',
        4,
        'Of several photos: how many are with the server at a time.',
        lower_bound=1,
        upper_bound=64,
        flag_values=values,
    )
    flags.DEFINE_float(
        'max_message_mb',
        64,
        'Largest request and answer in MiB; an answer is a PNG of the whole photo, about 2 bytes a pixel.',
        lower_bound=0.01,
        upper_bound=2047,
        flag_values=values,
    )
    photo_flags.define_photo_flags(values)
    option_flags.define(values, MarkOptions)


def run(values):
    require(values, 'server')
    photos = photo_flags.validate_photo_flags(values)
    from gaze_tf.editing import source_files

    one = source_files.is_single(values.input)
    if source_files.is_video(values.input):
        raise GazeError(f'--input={values.input} is a video: client takes photos; `gaze-tf correct` takes videos.')
    if not one and photos.eyes:
        raise GazeError(f'--eyes goes with one photo, not with {values.input}.')
    if one:
        source = source_files.find_one(photos, source_files.OUTPUTS)
    else:
        sources, note = source_files.find_several(photos)
        for sentence in filter(None, [note, *photo_flags.mark_notes(values, sources)]):
            print(sentence, file=sys.stderr)
    with _client(values) as client:
        return _one(client, source, values) if one else _several(client, sources, values)


def _client(values):
    # TensorFlow takes seconds to import: after the flags are known to be good
    try:
        from gaze_tf.client.client import GazeClient

        client = GazeClient(
            values.server,
            values.rest,
            values.model_name,
            values.version,
            values.label or None,
            timeout=values.timeout,
            retries=values.retries,
            max_message_mb=values.max_message_mb,
            limits=photo_flags.limits(values),
            tls=values.tls,
            ca=values.ca or None,
            header=_header(values.header_file),
        )
    except ImportError as error:
        raise GazeError(
            f"The client needs tensorflow-serving-api ({error}): pip install 'gaze_tf[serving]'."
        ) from error
    import tensorflow as tf

    # the GPU's memory belongs to the server, which may run on this machine
    with contextlib.suppress(RuntimeError):  # said where this process uses it already
        tf.config.set_visible_devices([], 'GPU')
    return client


def _header(path):
    """What stands in --header_file, or None; raises GazeError."""
    try:
        return pathlib.Path(path).read_text(encoding='ascii').strip() if path else None
    except (OSError, ValueError) as error:
        why = getattr(error, 'strerror', None) or 'it is not ASCII'
        raise GazeError(f'--header_file={path} cannot be read: {why}.') from error


def _one(client, source, values):
    edited = client.correct(source.path, source.eyes, values.faces)
    photo_flags.refuse_if_none(source.path, edited.faces)
    edited.save(source.output, values.mark)
    print(
        '\n'.join(
            [
                f'Wrote {source.output}',
                *photo_flags.describe(edited.faces),
                *edited.photo.notes,
                *photo_flags.mark_notes(values, [source]),
            ]
        )
    )


def _several(client, sources, values):
    from gaze_tf.editing import folder

    settings = {
        name: values[name].value for name in ('server', 'rest', 'model_name', 'version', 'label', 'faces', 'mark')
    }
    settings['limits'] = dataclasses.asdict(photo_flags.limits(values))

    def edit(todo):
        paths, eyes = [source.path for source in todo], [source.eyes for source in todo]
        return zip(todo, client.correct_many(paths, eyes, values.faces, values.concurrency))

    rows = folder.save_all(edit, sources, values.output, settings, redo=values.overwrite, mark=values.mark)
    return photo_flags.summary(rows, values.output)
