"""gaze-tf lite --checkpoint=runs/gaze --output_dir=runs/lite

Writes TensorFlow Lite models of the newest checkpoint of a `gaze-tf train` run, or with --pretrained of the model that
comes with gaze_tf: gaze_float32.tflite, and gaze_float16.tflite of half its size. Both correct and animate one face of
the model's image size; docs/serving.md says how to call them.
"""

import dataclasses
import pathlib

from gaze_tf.cli import option_flags
from gaze_tf.cli.main import require
from gaze_tf.cli.source import Source
from gaze_tf.options import Options, option


@dataclasses.dataclass(frozen=True)
class _Lite(Options):
    output_dir: str = option('', 'Folder for the files; it must not exist yet.')


def define_flags(values):
    option_flags.define(values, Source, _Lite)


def run(values):
    source, folder = option_flags.read(values, Source), option_flags.read(values, _Lite).output_dir
    require(values, 'output_dir')
    # TensorFlow takes seconds to import: only once the flags are known to be good
    from gaze_tf.export import export, lite
    from gaze_tf.pretrained import weights

    model = weights.load_model() if source.pretrained else export.load_model(source.checkpoint)
    lite.export(model, folder)
    for name in lite.FILES:
        path = pathlib.Path(folder) / name
        print(f'{path}: {path.stat().st_size / 1e6:.1f} MB')
