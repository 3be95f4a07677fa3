"""Checkpoints: a folder with `config.json` and the newest few `step-N` files of networks and optimizers."""
import pathlib

import tensorflow as tf

from gaze_tf import config as config_lib
from gaze_tf.errors import GazeError

PREFIX = 'step'
# parts of a stage that an option adds
OPTIONAL = {'averages': '--ema', 'early_stop': '--stop_patience'}


def manager(directory, step, stage, keep):
    """A CheckpointManager of the step counter (a variable) and of `stage`, a tf.train.Checkpoint."""
    return tf.train.CheckpointManager(tf.train.Checkpoint(step=step, stage=stage), str(directory), keep,
                                      checkpoint_name=PREFIX)


def write_first(directory, stage, **groups):
    """Writes a run's folder at step 0: the checkpoint of `stage` and its configurations."""
    manager(directory, tf.Variable(0, dtype=tf.int64), stage, keep=1).save(checkpoint_number=0)
    config_lib.save(pathlib.Path(directory) / config_lib.CONFIG_NAME, **groups)


def latest(directory, flag):
    """Path prefix of the newest checkpoint in a folder; raises GazeError that names the flag to mend."""
    found = tf.train.latest_checkpoint(str(directory))
    if not found:
        raise GazeError(f'{flag}: there is no checkpoint in {directory}.')
    return found


def read_config(directory, group, flag):
    """The configuration `group` of the run in a folder; raises GazeError that names the flag to mend."""
    path = pathlib.Path(directory) / config_lib.CONFIG_NAME
    if not path.is_file():
        raise GazeError(f'{flag}: there is no training run in {directory} ({path.name} is missing).')
    groups = config_lib.load(path)
    if group not in groups:
        raise GazeError(f'{flag}: {path} belongs to another kind of run (it has no {group!r} part).')
    return groups[group]


def serving_networks(model):
    """The networks of a GazeModel that correct and animate, as a checkpoint of the model stores them."""
    return tf.train.Checkpoint(content_encoder=model.content_encoder, angle_encoder=model.angle_encoder,
                               g_x=model.g_x, g_y=model.g_y)


def holds(path, name):
    """Whether the stage of a checkpoint has a part of this name; 'a/b' is part b of part a."""
    found = []
    _matched(path, lambda: found.extend(tf.train.list_variables(path)))
    return any(key.startswith(f'stage/{name}/') for key, _ in found)


def restore_serving(path, model):
    """Restores the networks of a GazeModel that correct and animate: where there are averages, those (--ema)."""
    if holds(path, 'averages'):
        averages = tf.train.Checkpoint(angle_encoder=model.angle_encoder, g_x=model.g_x, g_y=model.g_y)
        restore_networks(path, model=tf.train.Checkpoint(content_encoder=model.content_encoder), averages=averages)
    else:
        restore_networks(path, model=serving_networks(model))


def restore_all(checkpoint, path):
    """Restores a checkpoint of `manager` completely: nothing in it, and none of ours, may be left over."""
    for name, flag in OPTIONAL.items():
        found = holds(path, name)
        if found != hasattr(checkpoint.stage, name):
            raise GazeError(f'{pathlib.Path(path).parent} holds a run {"with" if found else "without"} {flag}: go on '
                            f'{"with" if found else "without"} it, or choose another --output_dir.')
    _matched(path, lambda: checkpoint.restore(path).assert_consumed())


def restore_networks(path, **networks):
    """Restores some of the networks of a checkpoint; each of their variables must be in it."""
    target = tf.train.Checkpoint(stage=tf.train.Checkpoint(**networks))
    _matched(path, lambda: target.read(path).assert_existing_objects_matched().expect_partial())


def _matched(path, restore):
    # a file cut short raises IndexError or RuntimeError in TensorFlow's reader
    try:
        restore()
    except AssertionError as error:
        raise GazeError(f'The checkpoint {path} cannot be restored: it does not hold the same networks and optimizers '
                        'as this run has.') from error
    except (ValueError, IndexError, RuntimeError, tf.errors.OpError) as error:
        reason = str(error).splitlines()[0]
        raise GazeError(f'The checkpoint {path} cannot be restored: {reason}') from error
