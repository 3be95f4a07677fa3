"""gaze-tf export --checkpoint=runs/gaze --output_dir=runs/saved_model

Writes the newest checkpoint of a `gaze-tf train` run as the next version of a model: runs/saved_model/1 at first, then
2, 3 and so on. A version is a SavedModel, with the averaged weights if the run had --ema. It knows its image size and
eye box, so it is all that `gaze-tf correct`, `gaze-tf animate` and TensorFlow Serving need; give them the folder, and
they take its newest version. --pretrained writes the model that comes with gaze_tf.

What was written is loaded again and must compute, on a real face, what the weights compute; if it does not, it is
removed. MODEL_CARD.md describes the model. If tensorflow-serving-api is installed (pip install 'gaze_tf[serving]'),
requests that warm up a server are included.
"""

import dataclasses

from gaze_tf.cli import option_flags
from gaze_tf.cli.main import require
from gaze_tf.cli.source import Source
from gaze_tf.options import Options, option


@dataclasses.dataclass(frozen=True)
class _Export(Options):
    output_dir: str = option('', "Folder for the model's versions; the next one is added.")
    precision: str = option(
        'float32',
        'What its networks compute in, and store their weights in. 16 bits are for processors that have units for '
        'them.',
        choices=('float32', 'bfloat16', 'float16'),
    )


def define_flags(values):
    option_flags.define(values, Source, _Export)


def run(values):
    source, options = option_flags.read(values, Source), option_flags.read(values, _Export)
    require(values, 'output_dir')
    # TensorFlow takes seconds to import: only once the flags are known to be good
    from gaze_tf.export import export

    if source.pretrained:
        folder = export.export_pretrained(options.output_dir, options.precision)
        print(f'SavedModel, version {folder.name}: {folder} (the model that comes with gaze_tf)')
        return
    exported = export.export(source.checkpoint, options.output_dir, options.precision)
    averaged = ' (the averaged weights of --ema)' if exported.averaged else ''
    print(f'SavedModel, version {exported.folder.name}: {exported.folder}{averaged}')
