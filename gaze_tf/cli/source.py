"""Which weights `export` and `lite` write: the flags that name them."""

from absl import flags

from gaze_tf.errors import GazeError


def define_flags(values):
    flags.DEFINE_string('checkpoint', '', 'Folder of the `gaze-tf train` run.', flag_values=values)
    flags.DEFINE_boolean('pretrained', False, 'Write the model that comes with gaze_tf instead.', flag_values=values)


def check(values):
    """Raises GazeError unless one of both was given."""
    if values.checkpoint and values.pretrained:
        raise GazeError(
            '--pretrained writes the model that comes with gaze_tf, --checkpoint one of your own: give one of both.'
        )
    if not (values.checkpoint or values.pretrained):
        raise GazeError('--checkpoint is needed, or --pretrained for the model that comes with gaze_tf.')
