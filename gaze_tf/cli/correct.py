"""gaze-tf correct --model=runs/demo/saved_model --input=face.png --eyes=39,46,89,46 --output=corrected.png

Repaints the eyes of aligned faces so that they look at the camera. Outside the two eye boxes every pixel
stays as it was (PNG; a JPEG is encoded again).
"""
from absl import flags

from gaze_tf.cli import faces


def define_flags(values):
    faces.define_flags(values)
    flags.DEFINE_enum('format', 'png', ['png', 'jpg'], 'Of a folder: the format of the results.',
                      flag_values=values)


def run(values):
    suffixes = '.png', '.jpg', '.jpeg'
    for editor, sources, images, eyes in faces.each_batch(values, suffixes, f'.{values.format}'):
        from gaze_tf.editing.editor import write_image
        for source, image in zip(sources, editor.correct(images, eyes)):
            write_image(source.output, image)
