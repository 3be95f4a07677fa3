"""gaze-tf live --camera=0

Repaints the eyes in a camera's picture while it runs so that they look at the camera, and shows it in a window.
--virtual_camera passes the picture to programs for calls instead, and --output=FILE records it, without sound.
--input=FILE plays a video as if it were a camera. Frames never wait for later ones: those that the machine cannot keep
up with are dropped. Space in the window switches the correction off and on; q, Esc or Ctrl-C ends it and prints latency
and frame rate.
"""

import contextlib
import dataclasses
import logging
import os
from contextlib import AbstractContextManager
from typing import Any

from absl import flags

from gaze_tf.cli import option_flags, photo_flags
from gaze_tf.editing.options import LiveOptions, ModelOptions
from gaze_tf.errors import GazeError
from gaze_tf.inference.detectors import DetectorOptions, make_detector
from gaze_tf.inference.faces import Limits
from gaze_tf.options import Options, option

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class DeviceOptions(Options):
    """Where the pictures come from, and where they go."""

    camera: int | None = option(None, 'The number of the camera, from 0: /dev/video0 on Linux.', low=0)
    input: str = option('', 'A video to play at its own speed, instead of `camera`.', affects='files')
    virtual_camera: bool = option(
        False,
        'Write to a virtual camera, which other programs use like a camera, instead of a window: with '
        "pip install 'gaze_tf[live]', on Linux v4l2loopback, else OBS.",
    )
    output: str = option(
        '', 'A video to record to (.mp4, .mov, .mkv), without sound, instead of a window.', affects='files'
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.camera is None) == (not self.input):
            raise GazeError('`camera=0` or `input=FILE` says where the pictures come from: give one of the two.')
        if self.virtual_camera and self.output:
            raise GazeError(
                '`virtual_camera` and `output` say where the pictures go: give one of the two, or none for a window.'
            )
        if self.input and self.output and os.path.exists(self.output) and os.path.samefile(self.input, self.output):
            raise GazeError(f'`output={self.output}` is the input itself: name another file.')


def define_flags(values: flags.FlagValues) -> None:
    option_flags.define(values, DeviceOptions, LiveOptions, Limits, DetectorOptions, ModelOptions)


def run(values: flags.FlagValues) -> None:
    devices, options = option_flags.read(values, DeviceOptions), option_flags.read(values, LiveOptions)
    # TensorFlow takes seconds to import: after the flags are known to be good
    from gaze_tf.editing import live, video
    from gaze_tf.media import live_devices

    with contextlib.ExitStack() as stack:
        source: Any = stack.enter_context(
            live_devices.play(devices.input) if devices.input else live_devices.open_camera(devices.camera or 0)
        )
        output: Any = stack.enter_context(_open_output(devices, source))
        detector = make_detector(values.face_model, video.SMALLEST)
        editor = photo_flags.load_editor(values, detector, options.away)
        _log.warning(output.note)
        summary = live.run(editor, source, output, options)
    _log.info(f'Wrote {devices.output}: {summary}' if devices.output else str(summary))
    if summary.problem:
        raise GazeError(summary.problem)


def _open_output(devices: DeviceOptions, source: Any) -> AbstractContextManager:
    from gaze_tf.media import live_devices

    if devices.output:
        return live_devices.open_recording(devices.output, source.size, source.fps)
    if devices.virtual_camera:
        return live_devices.open_virtual_camera(source.size, source.fps)
    return live_devices.open_window(source.size, source.fps)
