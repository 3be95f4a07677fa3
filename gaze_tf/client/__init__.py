"""Photo in, corrected photo out, by a model on a server (TensorFlow Serving, or `gaze-tf serve`).

from gaze_tf.client import GazeClient

with GazeClient('localhost:8500') as client:
    client.correct('photo.jpg').save('corrected.jpg')
"""

from typing import TYPE_CHECKING, Any

from gaze_tf.client.options import ClientOptions
from gaze_tf.client.remote import ServerError

if TYPE_CHECKING:
    from gaze_tf.client.photos import GazeClient

__all__ = ['ClientOptions', 'GazeClient', 'ServerError']


def __getattr__(name: str) -> Any:
    # TensorFlow takes seconds to import: only on first use
    if name == 'GazeClient':
        from gaze_tf.client.photos import GazeClient

        return GazeClient
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
