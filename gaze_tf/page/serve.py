"""Serves the page for as long as it is wanted, and deletes afterwards what its users left."""

import contextlib
import os
import pathlib
import tempfile
from collections.abc import Iterator

from gaze_tf.editing import live, video
from gaze_tf.editing.editor import GazeEditor
from gaze_tf.errors import GazeError
from gaze_tf.inference.detectors import make_detector
from gaze_tf.inference.network import Network
from gaze_tf.page.options import PageOptions


@contextlib.contextmanager
def serve(options: PageOptions, model: str = '', face_model: str = '') -> Iterator[str]:
    """Serves the page until the block ends, and yields its address; once in a process.

    Args:
      options: see PageOptions.
      model: see `GazeEditor.load`.
      face_model: see `make_detector`.

    Raises:
      GazeError: there is no such model, faces cannot be found, a package is missing, or the port is taken.
    """
    with tempfile.TemporaryDirectory(prefix='gaze_tf-page-') as folder:
        _prepare_gradio(folder)
        try:
            from gaze_tf.page import app
        except ImportError as error:
            raise GazeError(f"The page needs more packages ({error}): pip install 'gaze_tf[page]'.") from error
        network = Network(model)
        # detectors have a state: those that work at the same time must be different ones
        editors = [
            GazeEditor(network, detector=make_detector(face_model, *smallest))
            for smallest in ([], [video.SMALLEST], [video.SMALLEST])
        ]
        live.warm_up(editors[0], (640, 480), 30)
        sessions = pathlib.Path(folder).resolve() / 'sessions'
        sessions.mkdir()
        try:
            page, url = app.launch(editors, options, sessions)
        except OSError as error:
            raise GazeError(f'`port={options.port}` of {options.host} is taken or not allowed.') from error
        try:
            yield url
        finally:
            page.close(verbose=False)


def _prepare_gradio(folder: str) -> None:
    """Settles what Gradio reads from the environment when it is imported.

    Settings of the user do not count: one of them makes a page public, another one reports who uses it.
    """
    for name in [name for name in os.environ if name.startswith('GRADIO_')]:
        del os.environ[name]
    os.environ.update({'GRADIO_ANALYTICS_ENABLED': 'False', 'HF_HUB_OFFLINE': '1', 'GRADIO_TEMP_DIR': folder})
