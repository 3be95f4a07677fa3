"""gaze-tf calibrate --checkpoint=runs/gaze --data=data/people

Measures what a model's angle code means in degrees, so that its eyes can be told where to look (`gaze-tf correct
--look`). It needs faces whose eyes were turned by known angles: the held-out ones of a folder that `gaze-tf
turn-dataset` made. Writes calibration.json beside the checkpoints of a `gaze-tf train` run. From then on, `gaze-tf
export` puts it into its models.
"""

import dataclasses
import pathlib

from gaze_tf.cli import option_flags
from gaze_tf.cli.main import require
from gaze_tf.errors import GazeError
from gaze_tf.options import Options, option


@dataclasses.dataclass(frozen=True)
class _Calibrate(Options):
    checkpoint: str = option('', 'Folder of a `gaze-tf train` run.')
    data: str = option('', 'Folder that `gaze-tf turn-dataset` made, with truth.csv and twins/.')
    test_y: int = option(300, 'Faces of domain Y, the last rows of 0.txt, that `gaze-tf prepare` held out.', low=1)
    skip_bad: bool = option(False, 'Leave out bad rows and images instead of failing.')


def define_flags(values):
    option_flags.define(values, _Calibrate)


def run(values):
    options = option_flags.read(values, _Calibrate)
    require(values, 'checkpoint', 'data')
    # TensorFlow takes seconds to import: only once the flags are known to be good
    from gaze_tf import config
    from gaze_tf.evaluation import angle_codes
    from gaze_tf.evaluation.samples import Samples
    from gaze_tf.export import export
    from gaze_tf.inference.network import Network
    from gaze_tf.training import checkpoints

    network = Network.of(export.load_model(options.checkpoint), options.checkpoint)
    samples = Samples(options.data, network.img_size, {'y': options.test_y}, options.skip_bad, network.frame_eyes)
    if not samples.has_truth:
        raise GazeError(f'--data={options.data} has no truth.csv, which says where eyes look.')
    found = angle_codes.fit(
        *angle_codes.measure(network, samples), checkpoints.step_of(checkpoints.latest(options.checkpoint))
    )
    path = pathlib.Path(options.checkpoint) / export.CALIBRATION
    config.save(path, calibration=found.calibration)
    yaw, pitch = found.errors
    print(
        f'{path}: fitted to {found.faces} faces, up to {found.calibration.reach:g} degrees from the camera. Of people '
        f'that it was not fitted to, angle codes tell yaw to {yaw:.1f} and pitch to {pitch:.1f} degrees (mean absolute '
        'error).'
    )
