"""gaze-tf evaluate --model=runs/saved_model --data=CelebAGaze --output=runs/report

Measures a model on held-out faces of a folder in CelebAGaze's layout: how well it gives back what it was given, whether the
gaze moves where it should, whether the person keeps the own eyes, that nothing else changes, how fast it is. The report is
a folder: index.html with pictures and plots, report.json, per_image.csv. Degrees need truth.csv and twins/, as
`gaze-tf turn-dataset` makes them of people, or gaze_tf/synthetic/faces.py renders them, for which there is --gaze_estimator;
without it, iris offsets are measured, on photos without truth.csv, too.
"""

import importlib.util
import pathlib

from absl import flags

from gaze_tf.cli import faces
from gaze_tf.cli.main import require
from gaze_tf.errors import GazeError

_NOT_RECORDED = ('help', 'h', 'output', 'overwrite')


def define_flags(values):
    faces.define_model_flag(values)
    flags.DEFINE_string(
        'data',
        '',
        "Folder in CelebAGaze's layout, with 1/, 1.txt, 0/, 0.txt and, of turned or rendered "
        'eyes, truth.csv and twins/.',
        flag_values=values,
    )
    flags.DEFINE_string('output', '', 'Folder for the report; it must not exist yet.', flag_values=values)
    flags.DEFINE_boolean('overwrite', False, 'Replace an earlier report in --output.', flag_values=values)
    flags.DEFINE_integer(
        'test_x',
        100,
        'Faces of domain X, the last rows of 1.txt, that `gaze-tf prepare` held out.',
        lower_bound=1,
        flag_values=values,
    )
    flags.DEFINE_integer('test_y', 300, 'The same of domain Y, 0.txt.', lower_bound=1, flag_values=values)
    flags.DEFINE_boolean('skip_bad', False, 'Leave out bad rows and images instead of failing.', flag_values=values)
    flags.DEFINE_string(
        'gaze_estimator',
        '',
        'File of tools/train_gaze_estimator.py, for degrees on rendered faces.',
        flag_values=values,
    )
    flags.DEFINE_string('lpips_backbone', '', "For LPIPS: the backbone's weights.", flag_values=values)
    flags.DEFINE_string('lpips_linear', '', 'For LPIPS: the weights of its linear layers.', flag_values=values)
    flags.DEFINE_string('inception', '', 'For FID and KID: the frozen Inception graph.', flag_values=values)
    flags.DEFINE_boolean(
        'iris_offset',
        None,
        'Measure iris offsets with mediapipe; by default without --gaze_estimator.',
        flag_values=values,
    )
    flags.DEFINE_list(
        'conditions',
        [],
        'Measure held-out Y under these, too: grey, blur1.5, blur3 (sigma in pixels of the '
        "model's frame), dark (to a third), noise (sigma of 8 levels); such as grey,blur3.",
        flag_values=values,
    )
    flags.DEFINE_integer('batch_size', 16, 'Faces that are painted at once.', lower_bound=1, flag_values=values)
    flags.DEFINE_integer(
        'seed', 0, "Of the random cases that are shown, and of KID's subsets.", lower_bound=0, flag_values=values
    )


def run(values):
    require(values, 'data', 'output')
    if bool(values.lpips_backbone) != bool(values.lpips_linear):
        raise GazeError('--lpips_backbone and --lpips_linear go together: LPIPS needs both files.')
    _check_output(pathlib.Path(values.output), values.overwrite)
    missing = [name for name in ('skimage', 'matplotlib') if importlib.util.find_spec(name) is None]
    if missing:
        raise GazeError(f"The report needs {' and '.join(missing)}: pip install 'gaze_tf[evaluation]'.")
    from gaze_tf.evaluation.report import table, write
    from gaze_tf.evaluation.samples import Samples
    from gaze_tf.inference.network import Network

    tools = _tools(values)
    network = Network(values.model)
    samples = Samples(
        values.data, network.img_size, {'x': values.test_x, 'y': values.test_y}, values.skip_bad, network.frame_eyes
    )
    if values.gaze_estimator and not samples.rendered:
        raise GazeError(
            f'--gaze_estimator reads rendered faces, and --data={values.data} has no truth.csv: leave it out.'
        )
    if not values.gaze_estimator if values.iris_offset is None else values.iris_offset:
        from gaze_tf.inference.mediapipe_detector import MediapipeDetector

        tools = tools._replace(detector=MediapipeDetector())
    settings = {name: values[name].value for name in values if name not in _NOT_RECORDED}
    settings['conditions'] = ','.join(values.conditions)
    written = write.write(
        values.output, network, samples, tools, settings, values.batch_size, values.seed, values.overwrite
    )
    print(table.text(written))
    print(f'{pathlib.Path(values.output) / write.PAGE} shows it with pictures.')


def _check_output(path, overwrite):
    """Raises GazeError, before any work, where the report could not be put in the end."""
    if not path.exists():
        return
    if not overwrite:
        raise GazeError(
            f'--output: {path} exists already: choose another, or replace the report in it with --overwrite.'
        )
    if not (path / 'report.json').is_file() or not (path / 'per_image.csv').is_file():
        raise GazeError(f'--output: {path} holds no report, and nothing else is overwritten: choose another.')


def _tools(values):
    """The evaluate.Tools of the files that were given; raises GazeError where a file is none."""
    from gaze_tf.evaluation.conditions import NAMES
    from gaze_tf.evaluation.evaluate import Tools

    for name in values.conditions:
        if name not in NAMES:
            raise GazeError(f'--conditions: there is no {name!r}; there are {", ".join(NAMES)}.')
    tools = Tools(conditions=tuple(values.conditions))
    if values.gaze_estimator:
        from gaze_tf.evaluation.estimator import GazeEstimator

        tools = tools._replace(estimator=GazeEstimator.load(values.gaze_estimator))
    if values.lpips_backbone:
        from gaze_tf.evaluation.metrics.lpips import Lpips

        tools = tools._replace(lpips=Lpips(values.lpips_backbone, values.lpips_linear))
    if values.inception:
        from gaze_tf.evaluation.metrics.inception import Inception

        tools = tools._replace(inception=Inception(values.inception))
    return tools
