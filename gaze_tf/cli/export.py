"""gaze-tf export --checkpoint=runs/gaze --output_dir=runs/saved_model

Writes the newest checkpoint of a `gaze-tf train` run as a SavedModel, with the averaged weights of a run with
--ema. Image size and eye box travel inside it; `gaze-tf correct` and `gaze-tf animate` need nothing else.
"""
from absl import flags

from gaze_tf.cli.main import require


def define_flags(values):
    flags.DEFINE_string('checkpoint', '', 'Folder of the `gaze-tf train` run.', flag_values=values)
    flags.DEFINE_string('output_dir', '', 'Folder for the SavedModel; it must not exist yet.',
                        flag_values=values)
    flags.DEFINE_enum('precision', 'float32', ['float32', 'bfloat16', 'float16'],
                      'What its networks compute in; 16 bits are for processors that have units for them.',
                      flag_values=values)


def run(values):
    require(values, 'checkpoint', 'output_dir')
    from gaze_tf.serving import export
    averaged = export.export(values.checkpoint, values.output_dir, values.precision)
    print(f'SavedModel: {values.output_dir}' + (' (the averaged weights of --ema)' if averaged else ''))
