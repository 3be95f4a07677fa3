"""gaze-tf page --port=7860

Opens a page in the browser: photos, animations, videos and the camera, without any other command. Only this computer
can open it, unless --host says otherwise. What is dropped there is deleted when its tab is closed. Ctrl-C ends it.
"""

import logging
import threading

from absl import flags

from gaze_tf.cli import option_flags
from gaze_tf.editing.options import ModelOptions
from gaze_tf.inference.detectors import DetectorOptions
from gaze_tf.page.options import PageOptions

_log = logging.getLogger(__name__)


def define_flags(values: flags.FlagValues) -> None:
    option_flags.define(values, PageOptions, ModelOptions, DetectorOptions)


def run(values: flags.FlagValues) -> None:
    options = option_flags.read(values, PageOptions)
    # TensorFlow takes seconds to import: after the flags are known to be good
    from gaze_tf.page.serve import serve

    _log.info('Starting …')
    with serve(options, values.model, values.face_model) as url:
        _log.info(f'The page is at {url} . Ctrl-C ends it.')
        threading.Event().wait()
