"""Turns checkpoints of the original into checkpoints of ours, at step 0 and with fresh optimizers."""

import pathlib
from collections.abc import Iterable

import numpy as np
import tensorflow as tf

from gaze_tf.checkpoint_reader import CheckpointReader
from gaze_tf.config import EncoderConfig, GanConfig, ModelConfig, PamConfig
from gaze_tf.models.encoders import content_encoder
from gaze_tf.original import names
from gaze_tf.original.names import Variables
from gaze_tf.training import checkpoints
from gaze_tf.training.gan_step import GanStep
from gaze_tf.training.pam_step import PamStep


def write_model(
    directory: pathlib.Path, config: ModelConfig, checkpoint: CheckpointReader, encoder_checkpoint: CheckpointReader
) -> set[str]:
    """Writes the folder of a `gaze-tf train` run.

    Args:
      directory: the folder.
      config: the configuration of the model, from `configs.model_config`.
      checkpoint: holds the model. Without discriminators in it there are none in the result, which can be exported,
        but not trained further.
      encoder_checkpoint: holds E_c.

    Returns:
      The names of the variables of `checkpoint` that were used.

    Raises:
      GazeError: a variable is missing, not finite or of another shape.
    """
    step = GanStep(config, GanConfig(lam_p=0))  # the perceptual network is not part of a checkpoint
    variables = names.model_variables(step.model)
    stage = step.checkpoint
    if not checkpoint.has(*names.DISCRIMINATORS):
        variables = {scope: variables[scope] for scope in (names.CONTENT_ENCODER, *names.SERVING)}
        stage = tf.train.Checkpoint(model=checkpoints.serving_networks(step.model))
    restore(encoder_checkpoint, variables.pop(names.CONTENT_ENCODER))
    rest = {name: variable for scope in variables.values() for name, variable in scope.items()}
    restore(checkpoint, rest)
    checkpoints.write_first(directory, stage, model=config)
    return set(rest)


def write_encoder(directory: pathlib.Path, config: EncoderConfig, checkpoint: CheckpointReader) -> set[str]:
    """Writes the folder of a `gaze-tf pretrain` run: E_c and, where the checkpoint holds it, PAM's decoder.

    Returns and raises as `write_model`.
    """
    if 'Gr/FC2/Matrix' in checkpoint.shapes:
        step = PamStep(config, PamConfig())
        variables, stage = names.pam_variables(step.autoencoder), step.checkpoint
    else:
        encoder = content_encoder(config)
        variables = names.encoder_variables(encoder)
        stage = tf.train.Checkpoint(content_encoder=encoder)
    restore(checkpoint, variables)
    checkpoints.write_first(directory, stage, encoder=config)
    return set(variables)


def restore(checkpoint: CheckpointReader, variables: Variables) -> None:
    """Gives our variables their values in the checkpoint; raises GazeError if one of them is not in it."""
    missing = [name for name in variables if name not in checkpoint.shapes]
    if missing:
        raise checkpoint.error(
            f'has no variable {missing[0]}' + (f' (and {len(missing) - 1} more are missing)' if missing[1:] else '')
        )
    for name, variable in variables.items():
        if name.endswith('/sn_u'):
            scope = name[: -len('sn_u')]
            kernel = variables[f'{scope}w' if f'{scope}w' in variables else f'{scope}Matrix']
            matrix = tf.reshape(kernel, [-1, kernel.shape[-1]]).numpy()
            variable.assign(_singular_vector(checkpoint.value(name, matrix.T.shape), matrix))
        else:
            variable.assign(checkpoint.value(name, variable.shape))


def _singular_vector(vectors: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """The row of sn_u [C, K] that is nearest to the first singular vector of the matrix [K, C]."""
    vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return vectors[np.linalg.norm(vectors @ matrix, axis=1).argmax()]


def check_same(checkpoint: CheckpointReader, other: CheckpointReader, names: Iterable[str]) -> None:
    """Raises GazeError where the first checkpoint has one of the variables with other values than the second."""
    for name in names:
        if name in checkpoint.shapes:
            shape = other.shapes[name]
            if checkpoint.shapes[name] != shape or not np.array_equal(
                checkpoint.value(name, shape), other.value(name, shape)
            ):
                raise checkpoint.error(
                    f'has another {name} than {other.prefix}: its model was trained with its own content encoder, '
                    'so leave out `pam`'
                )
