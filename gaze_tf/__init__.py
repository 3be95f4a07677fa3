"""Gaze correction and gaze animation for ordinary photos, in TensorFlow 2 / Keras."""

from typing import Any

from gaze_tf.versions import prepare_tensorflow

prepare_tensorflow()

__version__ = '0.1.0'
__all__ = ['GazeEditor', '__version__']


def __getattr__(name: str) -> Any:
    # TensorFlow, which takes seconds to load, loads when the editor is first used
    if name == 'GazeEditor':
        from gaze_tf.editing.editor import GazeEditor

        return GazeEditor
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
