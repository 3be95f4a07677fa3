"""What loading mediapipe takes: silence, and errors that say what to install or to fetch where it fails."""

import contextlib
import os
import re
import sys
from collections.abc import Iterator

from gaze_tf.errors import GazeError, first_line

# where Google publishes the file that newer releases need
MODEL_URL = (
    'https://storage.googleapis.com/mediapipe-models/face_landmarker/face_landmarker/float16/1/face_landmarker.task'
)
# Debian's packages for the system libraries that mediapipe and its OpenCV need, by the start of the libraries' names
_PACKAGES = {
    'libGLES': 'libgles2',
    'libGL': 'libgl1',
    'libEGL': 'libegl1',
    'libgthread': 'libglib2.0-0',
    'libglib': 'libglib2.0-0',
    'libSM': 'libsm6',
    'libICE': 'libice6',
    'libXext': 'libxext6',
    'libXrender': 'libxrender1',
    'libX11': 'libx11-6',
    'libxcb': 'libxcb1',
}
_MISSING_LIBRARY = re.compile(r'(\S+)\.so\S*: cannot open shared object file')


def is_missing_library(error: Exception) -> bool:
    """Whether an error says that a system library is missing."""
    return bool(_MISSING_LIBRARY.search(str(error)))


def cannot_load(error: Exception) -> GazeError:
    """The GazeError for a mediapipe that cannot be loaded: it says what to install, or which file to fetch."""
    # the package is there, without its part `python`: every release after 0.10.21
    if sys.modules.get('mediapipe') and (getattr(error, 'name', '') or '').startswith('mediapipe.'):
        return GazeError(
            f'This release of mediapipe comes without models to find faces with. {fetch_model()}; or give the '
            'positions of the eyes: `eyes`.'
        )
    return GazeError(
        f'Finding faces needs mediapipe ({first_line(error)}): {_remedy(str(error))}, or give their positions: `eyes`.'
    )


def fetch_model() -> str:
    """Where the file for newer releases of mediapipe comes from and where its name goes, without a full stop."""
    return (
        f"Fetch face_landmarker.task, from MediaPipe's models ({MODEL_URL}), and name it: `face_model=FILE`, or in "
        'the environment variable GAZE_TF_FACE_MODEL'
    )


def _remedy(why: str) -> str:
    """What to install after a failed import: mediapipe itself, or a system library that it needs."""
    library = _MISSING_LIBRARY.search(why)
    if not library:
        return "pip install 'gaze_tf[faces]'"
    package = next((package for start, package in _PACKAGES.items() if library[1].startswith(start)), None)
    return (
        f'apt-get install {package} (Debian, Ubuntu), or the package of your system with {library[1]}'
        if package
        else f'install the package of your system with {library[1]}'
    )


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Hides what is written to standard error: mediapipe's libraries offer no other way to silence them."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
