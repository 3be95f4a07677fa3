"""What `correct` and `animate` share: the flags that name faces, and the walk over them with a progress bar."""
import pathlib
import sys

from absl import flags
from tqdm import tqdm

from gaze_tf.cli.main import require
from gaze_tf.errors import GazeError


def define_flags(values):
    flags.DEFINE_string('model', '', 'Folder of the SavedModel.', flag_values=values)
    flags.DEFINE_string('input', '', "An aligned face image, as large as the model's images, or a folder in "
                                     "CelebAGaze's layout.", flag_values=values)
    flags.DEFINE_string('output', '', 'The file to write, or the folder if --input is one.', flag_values=values)
    flags.DEFINE_list('eyes', [], 'Eye centres of an image file: left_x,left_y,right_x,right_y in pixels, the '
                                  'eye with the smaller x first.', flag_values=values)
    flags.DEFINE_enum('domain', 'y', ['x', 'y'], 'Of a folder: the domain, x (1.txt, eyes at the camera) or '
                                                 'y (0.txt, eyes elsewhere).', flag_values=values)
    flags.DEFINE_integer('last', 0, 'Of a folder: only so many of the last rows (the test split is last); 0: '
                                    'all.', lower_bound=0, flag_values=values)


def each_batch(values, suffixes, folder_suffix):
    """Yields (editor, sources, images, eyes); `suffixes` are those a result may have. Raises GazeError."""
    require(values, 'model', 'input', 'output')
    try:
        eyes = tuple(float(number) for number in values.eyes)
    except ValueError as error:
        raise GazeError(f'--eyes={",".join(values.eyes)} must be four numbers.') from error
    if not pathlib.Path(values.input).exists():
        raise GazeError(f'--input: there is no {values.input}.')
    if not pathlib.Path(values.input).is_dir() and pathlib.Path(values.output).suffix.lower() not in suffixes:
        raise GazeError(f'--output={values.output} must end in {" or ".join(suffixes)}.')

    # TensorFlow takes seconds to import: after the flags are known to be good
    from gaze_tf.editing import editor as editor_lib, inputs
    sources, note = inputs.find(values.input, eyes, values.output, folder_suffix, values.domain, values.last)
    if note:
        print(note, file=sys.stderr)
    editor = editor_lib.Editor(values.model)
    with tqdm(total=len(sources), unit=' faces', disable=len(sources) == 1) as bar:
        for some, images, points in inputs.batches(sources, editor.img_size):
            yield editor, some, images, points
            bar.update(len(some))
    print(f'Wrote {values.output}' + (f': {len(sources)} faces' if len(sources) > 1 else ''))
