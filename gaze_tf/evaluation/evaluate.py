"""One evaluation from options to report."""

from gaze_tf.errors import GazeError
from gaze_tf.evaluation.estimator import GazeEstimator
from gaze_tf.evaluation.metrics.inception import Inception
from gaze_tf.evaluation.metrics.lpips import Lpips
from gaze_tf.evaluation.options import EvaluationOptions, check
from gaze_tf.evaluation.painted import Tools
from gaze_tf.evaluation.samples import Samples
from gaze_tf.inference.detectors import make_detector
from gaze_tf.inference.network import Network


def evaluate(options: EvaluationOptions) -> dict:
    """Measures a model and writes the report; returns the content of its report.json.

    Raises GazeError: an option is missing or bad, a package is missing, a file cannot be read, the output exists
    (without `overwrite`) or cannot be written, or the model fails.
    """
    check(options)
    # here: it needs packages that `check` asks for
    from gaze_tf.evaluation.report import write

    tools = _files(options)
    network = Network(options.model)
    samples = Samples(
        options.data, network.img_size, {'x': options.test_x, 'y': options.test_y}, options.skip_bad, network.frame_eyes
    )
    return write.write(network, samples, _fitting(tools, samples, options), options)


def _files(options):
    """The Tools of the files that were given."""
    return Tools(
        estimator=GazeEstimator.load(options.gaze_estimator) if options.gaze_estimator else None,
        lpips=Lpips(options.lpips_backbone, options.lpips_linear) if options.lpips_backbone else None,
        inception=Inception(options.inception) if options.inception else None,
        conditions=options.conditions,
    )


def _fitting(tools, samples, options):
    """The Tools with those that depend on what the samples are."""
    if tools.estimator and not samples.has_truth:
        raise GazeError(
            f'`gaze_estimator` reads drawn faces, and `data={options.data}` has no truth.csv: leave it out.'
        )
    if samples.drawn and not tools.estimator:
        tools = tools._replace(estimator=GazeEstimator.load())
    if options.iris_offset or (options.iris_offset is None and not tools.estimator):
        tools = tools._replace(detector=make_detector(options.face_model))
    return tools
