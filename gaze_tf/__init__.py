"""Gaze correction and gaze animation for ordinary photos, in TensorFlow 2 / Keras."""

import os
from typing import Any

# Read by TensorFlow on import. By default it leaves out oneDNN on CPUs without AVX-512 VNNI, where it makes training
# and correction 1.5 times faster, too.
os.environ.setdefault('TF_ENABLE_ONEDNN_OPTS', '1')
# Without this, lines about harmless 'errors' (no GPU, libraries registered twice) bury our messages.
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

__version__ = '0.1.0'
__all__ = ['GazeEditor', '__version__']


def __getattr__(name: str) -> Any:
    # TensorFlow, which takes seconds to load, loads when the editor is first used
    if name == 'GazeEditor':
        from gaze_tf.editing.editor import GazeEditor

        return GazeEditor
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
