"""gaze-tf export --checkpoint=runs/gaze --output_dir=runs/saved_model

Writes the newest checkpoint of a `gaze-tf train` run as the next version of a model, runs/saved_model/1 at first, then
2, 3 …: a SavedModel, with the averaged weights of a run with --ema. Image size and eye box travel inside it; `gaze-tf
correct`, `gaze-tf animate` and TensorFlow Serving need nothing else, and take the folder and its newest version. With
--pretrained it writes the model that comes with gaze_tf.

What was written is loaded again and must compute, on a real face, what the weights do; if not, nothing is left.
MODEL_CARD.md says what the model is. Requests to warm a server up go with it where tensorflow-serving-api is installed
(pip install 'gaze_tf[serving]').
"""

from absl import flags

from gaze_tf.cli import source
from gaze_tf.cli.main import require


def define_flags(values):
    source.define_flags(values)
    flags.DEFINE_string(
        'output_dir', '', 'Folder for the versions of the model; the next one is added.', flag_values=values
    )
    flags.DEFINE_enum(
        'precision',
        'float32',
        ['float32', 'bfloat16', 'float16'],
        'What its networks compute in; 16 bits are for processors that have units for them.',
        flag_values=values,
    )


def run(values):
    source.check(values)
    require(values, 'output_dir')
    from gaze_tf.export import export

    if values.pretrained:
        folder = export.export_pretrained(values.output_dir, values.precision)
        print(f'SavedModel, version {folder.name}: {folder} (the model that comes with gaze_tf)')
        return
    exported = export.export(values.checkpoint, values.output_dir, values.precision)
    print(
        f'SavedModel, version {exported.folder.name}: {exported.folder}'
        + (' (the averaged weights of --ema)' if exported.averaged else '')
    )
