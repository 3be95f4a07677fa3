"""gaze-tf live --camera=0

Repaints the eyes of a camera while it runs so that they look at it, in a window; --virtual_camera gives the pictures to
programs for calls instead, and --output=FILE records them, without sound. --input=FILE plays a video as if it were a camera.
Nothing waits for what comes later: frames that the machine does not keep up with are dropped. Space in the window switches the
correction off and on; q, Esc or Ctrl-C ends it, and then latency and frames a second are told.
"""

import contextlib
import os
import sys

from absl import flags

from gaze_tf.cli import photo_flags
from gaze_tf.errors import GazeError


def define_flags(values):
    photo_flags.define_model_flag(values)
    photo_flags.define_strength_flags(values)
    photo_flags.define_limit_flags(values)
    photo_flags.define_time_flags(values)
    flags.DEFINE_integer(
        'camera', None, 'The number of the camera, from 0: /dev/video0 on Linux.', lower_bound=0, flag_values=values
    )
    flags.DEFINE_string(
        'input', '', 'A video that is played as fast as it was taken, instead of --camera.', flag_values=values
    )
    flags.DEFINE_boolean(
        'virtual_camera',
        False,
        'Write to a virtual camera, which other programs take for a camera, instead '
        "of a window: with pip install 'gaze_tf[live]', on Linux v4l2loopback, else OBS.",
        flag_values=values,
    )
    flags.DEFINE_string(
        'output', '', 'A video to record to (.mp4, .mov, .mkv), without sound, instead of a window.', flag_values=values
    )


def run(values):
    photo_flags.check_faces(values)
    if (values.camera is None) == (not values.input):
        raise GazeError('--camera=0 or --input=FILE says where the pictures come from: give one of both.')
    if values.virtual_camera and values.output:
        raise GazeError(
            '--virtual_camera and --output say where the pictures go: give one of both, or none for a window.'
        )
    if (
        values.input
        and values.output
        and os.path.exists(values.output)
        and os.path.samefile(values.input, values.output)
    ):
        raise GazeError(f'--output: {values.output} is the input itself: name another file.')
    # TensorFlow takes seconds to import: after the flags are known to be good
    from gaze_tf.editing import live, video
    from gaze_tf.editing.editor import GazeEditor
    from gaze_tf.media import live_devices

    with contextlib.ExitStack() as stack:
        source = stack.enter_context(
            live_devices.play(values.input) if values.input else live_devices.open_camera(values.camera)
        )
        output = stack.enter_context(_output(values, source))
        from gaze_tf.inference.mediapipe_detector import MediapipeDetector

        editor = GazeEditor.load(values.model, photo_flags.limits(values), MediapipeDetector(video.SMALLEST))
        print(output.note, file=sys.stderr)
        summary = live.run(
            editor, source, output, values.faces, values.blend, values.smoothing, values.fade, values.look_away
        )
    print(f'Wrote {values.output}: {summary}' if values.output else summary)
    if summary.problem:
        raise GazeError(summary.problem)


def _output(values, source):
    from gaze_tf.media import live_devices

    if values.output:
        return live_devices.open_recording(values.output, source.size, source.fps)
    return (live_devices.open_virtual_camera if values.virtual_camera else live_devices.open_window)(
        source.size, source.fps
    )
