"""SavedModel export: the newest checkpoint of a training run as a model to serve."""
import tensorflow as tf

from gaze_tf import config as config_lib
from gaze_tf.folders import new_folder
from gaze_tf.models.gaze_model import GazeModel
from gaze_tf.models.layers import computing_in
from gaze_tf.serving.signatures import serving_module, signatures_of
from gaze_tf.training import checkpoints


def load_model(checkpoint_dir, precision='float32'):
    """The GazeModel of the newest checkpoint of a `gaze-tf train` run, averaged if it was with --ema; raises GazeError.

    Its discriminators, which a checkpoint need not have, keep their initial values. `precision`: what it computes in.
    """
    path = checkpoints.latest(checkpoint_dir, '--checkpoint')
    # TensorFlow warns at each start about the cost of native crops of unknown batch size
    with computing_in(precision):
        model = GazeModel(checkpoints.read_config(checkpoint_dir, 'model', '--checkpoint'), native_crops=False)
    checkpoints.restore_serving(path, model)
    return model


def export(checkpoint_dir, output_dir, precision='float32'):
    """Writes the SavedModel of a training run, with its config.json inside; output_dir must not exist yet.

    Returns whether its weights are averages.
    """
    with new_folder(output_dir) as folder:
        model = load_model(checkpoint_dir, precision)
        module = serving_module(model)
        tf.saved_model.save(module, str(folder), signatures=signatures_of(module))
        config_lib.save(folder / config_lib.CONFIG_NAME, model=model.config)
    return checkpoints.holds(checkpoints.latest(checkpoint_dir, '--checkpoint'), 'averages')
