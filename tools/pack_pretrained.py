"""python -m tools.pack_pretrained --checkpoint=runs/people

Puts the newest checkpoint of a `gaze-tf train` run into the package, as the model that comes with gaze_tf: weights
(rounded to 8 and 16 bits; the averages if the run has them) and configuration. gaze_tf/pretrained/MODEL_CARD.md is
written by hand: bring it up to date.
"""

import pathlib
import sys

from absl import app, flags

from gaze_tf.errors import GazeError

ROOT = pathlib.Path(__file__).resolve().parents[1]


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f'{argv[1]!r} is not a flag: every option is given as --name=value.')
    from gaze_tf.export.export import load_model
    from gaze_tf.export.self_check import check_finite
    from gaze_tf.pretrained import weights

    output = pathlib.Path(flags.FLAGS.output)
    try:
        model = load_model(flags.FLAGS.checkpoint)
        check_finite(model)
        size = weights.pack(model, output)
    except GazeError as error:
        sys.exit(f'pack_pretrained.py: {error}')
    print(f'{output / weights.WEIGHTS}: {size / 1e6:.1f} MB')


if __name__ == '__main__':
    flags.DEFINE_string('checkpoint', None, 'Folder of the `gaze-tf train` run.', required=True)
    flags.DEFINE_string('output', str(ROOT / 'gaze_tf' / 'pretrained'), 'Folder for the files.')
    app.run(main)
