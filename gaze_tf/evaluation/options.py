"""What an evaluation takes, as options. TensorFlow is not imported here, so that commands know their flags at once."""

import dataclasses
import importlib.util
import pathlib

from gaze_tf.errors import GazeError
from gaze_tf.inference.detectors import DetectorOptions
from gaze_tf.options import option

CONDITIONS = ('grey', 'blur1.5', 'blur3', 'dark', 'noise')  # see conditions.py


@dataclasses.dataclass(frozen=True)
class EvaluationOptions(DetectorOptions):
    """Which model to measure on which faces, what to measure, and where the report goes."""

    model: str = option(
        '',
        'SavedModel to use: the output folder of `gaze-tf export`, or one version in it; by default the model for '
        'people that comes with gaze_tf.',
    )
    data: str = option(
        '',
        "Folder in CelebAGaze's layout, with 1/, 1.txt, 0/, 0.txt and, for turned or drawn eyes, truth.csv and twins/.",
    )
    output: str = option('', 'Folder for the report; it must not exist yet.', affects='files')
    overwrite: bool = option(False, 'Replace an earlier report in `output`.', affects='files')
    test_x: int = option(100, 'Faces of domain X, the last rows of 1.txt, that `gaze-tf prepare` held out.', low=1)
    test_y: int = option(300, 'Faces of domain Y, the last rows of 0.txt, held out in the same way.', low=1)
    skip_bad: bool = option(False, 'Leave out bad rows and images instead of failing.')
    gaze_estimator: str = option(
        '', 'File of another gaze estimator; by default drawn faces are measured with the one that comes with gaze_tf.'
    )
    lpips_backbone: str = option('', "For LPIPS: the backbone's weights.")
    lpips_linear: str = option('', 'For LPIPS: the weights of its linear layers.')
    inception: str = option('', 'For FID and KID: the frozen Inception graph.')
    iris_offset: bool | None = option(
        None, 'Measure iris offsets with mediapipe; by default wherever no gaze estimator is used.'
    )
    conditions: tuple[str, ...] = option(
        (),
        'Also measure held-out Y under these conditions: grey, blur1.5, blur3 (sigma in pixels of the frame that '
        'the model sees), dark (a third of the light), noise (sigma of 8 levels); such as grey,blur3.',
        choices=CONDITIONS,
    )
    batch_size: int = option(16, 'Faces that are painted at once.', low=1)
    seed: int = option(0, 'Draws the random cases that the report shows, and the subsets of KID.', low=0)


def check(options: EvaluationOptions) -> None:
    """Raises GazeError where it is known before any work that there can be no report."""
    for name in ('data', 'output'):
        if not getattr(options, name):
            raise GazeError(f'`{name}` is needed.')
    if bool(options.lpips_backbone) != bool(options.lpips_linear):
        raise GazeError('`lpips_backbone` and `lpips_linear` go together: LPIPS needs both files.')
    output = pathlib.Path(options.output)
    if output.exists() and not options.overwrite:
        raise GazeError(
            'it exists already: choose another `output`, or replace the report in it with `overwrite`.', output
        )
    if output.exists() and not all((output / name).is_file() for name in ('report.json', 'per_image.csv')):
        raise GazeError('it holds no report, and nothing else is overwritten: choose another `output`.', output)
    missing = [name for name in ('skimage', 'matplotlib') if importlib.util.find_spec(name) is None]
    if missing:
        raise GazeError(f"The report needs {' and '.join(missing)}: pip install 'gaze_tf[evaluation]'.")
