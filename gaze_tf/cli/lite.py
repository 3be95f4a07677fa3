"""gaze-tf lite --checkpoint=runs/gaze --output_dir=runs/lite

Writes the newest checkpoint of a `gaze-tf train` run, or with --pretrained the model that comes with gaze_tf, for
TensorFlow Lite: gaze_float32.tflite, and gaze_float16.tflite of half its size. Both correct and animate one face of the model's image size; docs/serving.md says how to call them.
"""

from absl import flags

from gaze_tf.cli import source
from gaze_tf.cli.main import require


def define_flags(values):
    source.define_flags(values)
    flags.DEFINE_string('output_dir', '', 'Folder for the files; it must not exist yet.', flag_values=values)


def run(values):
    source.check(values)
    require(values, 'output_dir')
    import pathlib

    from gaze_tf.export import export, lite
    from gaze_tf.pretrained import weights

    model = weights.load_model() if values.pretrained else export.load_model(values.checkpoint)
    lite.export(model, values.output_dir)
    for name in lite.FILES:
        path = pathlib.Path(values.output_dir) / name
        print(f'{path}: {path.stat().st_size / 1e6:.1f} MB')
