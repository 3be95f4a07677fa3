"""gaze-tf draw-dataset --output_dir=data/drawn --num_x=200 --num_y=100

Draws a data set of synthetic faces in CelebAGaze's layout, with the true angles of all eyes, to try a training or to
measure one: domain X (1/) looks at the camera, domain Y (0/) elsewhere. truth.csv says what was drawn; twins/ holds
each test face of Y looking at the camera. The test faces are the last rows of 1.txt and 0.txt: hold them out with
`gaze-tf prepare --test_x=… --test_y=…`. The same flags give the same files.
"""

import dataclasses

from absl import flags

from gaze_tf.cli import option_flags
from gaze_tf.cli.main import require
from gaze_tf.options import Options, option
from gaze_tf.synthetic.draw_options import DrawOptions


@dataclasses.dataclass(frozen=True)
class Drawing(Options):
    """Where, and by how many processes, faces are drawn."""

    output_dir: str = option('', 'Folder for the data set.')
    workers: int | None = option(None, 'Number of processes that draw; not given: one for each CPU core.', low=1)


def define_flags(values: flags.FlagValues) -> None:
    option_flags.define(values, Drawing, DrawOptions)


def run(values: flags.FlagValues) -> None:
    drawing, options = option_flags.read(values, Drawing), option_flags.read(values, DrawOptions)
    require(values, 'output_dir')
    from gaze_tf.synthetic import faces

    output_dir = drawing.output_dir
    if faces.generate(output_dir, options, drawing.workers):
        print(f'Wrote the data set to {output_dir}.')
    else:
        print(f'{output_dir} already holds this data set; nothing to do.')
