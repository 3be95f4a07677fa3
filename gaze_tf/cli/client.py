"""gaze-tf client --server=localhost:8500 --input=photo.jpg --output=corrected.jpg

Lets a server correct photos: TensorFlow Serving, or `gaze-tf serve`, with a model of `gaze-tf export`. Faces are found
here. The written photos keep format, metadata and all pixels outside the eyes, as with `gaze-tf correct`.

--input may also be a folder or a quoted pattern of photos, of which the server gets several at a time. report.json in
--output then says what was done, and the same command goes on where it was interrupted. The model's strength and
blending are the server's.
"""

import contextlib
import dataclasses
import pathlib
import sys

from gaze_tf.cli import option_flags, photo_flags
from gaze_tf.cli.main import require
from gaze_tf.client.options import ClientOptions
from gaze_tf.editing.options import MarkOptions
from gaze_tf.errors import GazeError
from gaze_tf.inference.detectors import DetectorOptions, make_lazy_detector
from gaze_tf.options import Options, option


@dataclasses.dataclass(frozen=True)
class _Client(Options):
    server: str = option('', "HOST:PORT of the server's gRPC port (TensorFlow Serving's is 8500).")
    header_file: str = option(
        '',
        'File with a header that is sent with each request, such as Authorization: Bearer TOKEN. Without `tls` '
        'everybody on the way can read it.',
    )
    concurrency: int = option(4, 'With several photos: how many the server has at the same time.', low=1, high=64)


def define_flags(values):
    option_flags.define(values, _Client, ClientOptions, MarkOptions, DetectorOptions)
    photo_flags.define_photo_flags(values)


def run(values):
    require(values, 'server')
    options, connection = option_flags.read(values, _Client), option_flags.read(values, ClientOptions)
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
    detector = make_lazy_detector(values.face_model)
    with _connected(options, connection, photo_flags.limits(values), detector) as client:
        return _one(client, source, values) if one else _several(client, sources, options, connection, values)


def _connected(options, connection, limits, detector):
    """The GazeClient."""
    # TensorFlow takes seconds to import: only once the flags are known to be good
    try:
        from gaze_tf.client import GazeClient

        header = _header(options.header_file)
        client = GazeClient(options.server, connection, header=header, limits=limits, detector=detector)
    except ImportError as error:
        raise GazeError(
            f"The client needs tensorflow-serving-api ({error}): pip install 'gaze_tf[serving]'."
        ) from error
    import tensorflow as tf

    # leaves the GPU to the server, which may run on this machine; TensorFlow refuses if this process uses it already
    with contextlib.suppress(RuntimeError):
        tf.config.set_visible_devices([], 'GPU')
    return client


def _header(path):
    """The header in --header_file, or None; raises GazeError."""
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


def _several(client, sources, options, connection, values):
    from gaze_tf.editing import folder

    settings = {name: getattr(connection, name) for name in ('rest', 'model_name', 'version', 'label')}
    settings |= {'server': options.server, 'faces': values.faces, 'mark': values.mark}
    settings['limits'] = dataclasses.asdict(photo_flags.limits(values))

    def edit(todo):
        paths, eyes = [source.path for source in todo], [source.eyes for source in todo]
        return zip(todo, client.correct_many(paths, eyes, values.faces, options.concurrency))

    rows = folder.save_all(edit, sources, values.output, settings, redo=values.overwrite, mark=values.mark)
    return photo_flags.summary(rows, values.output)
