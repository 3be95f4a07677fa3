"""Checkpoints of ours from checkpoints of the original, at step 0 and with fresh optimizers."""

import tensorflow as tf

from gaze_tf.config import GanConfig, PamConfig
from gaze_tf.models.encoders import content_encoder
from gaze_tf.original import official
from gaze_tf.training import checkpoints
from gaze_tf.training.gan_step import GanStep
from gaze_tf.training.pam_step import PamStep


def write_model(directory, config, checkpoint, encoder_checkpoint):
    """Writes the folder of a `gaze-tf train` run; returns the names of the variables that went into it.

    checkpoint, encoder_checkpoint: official.Checkpoint, the second holding E_c. Without discriminators in the
    former there are none in the result, which then exports, but does not train on.
    """
    step = GanStep(config, GanConfig(lam_p=0))  # the perceptual network is no part of a checkpoint
    variables = official.model_variables(step.model)
    stage = step.checkpoint
    if not checkpoint.has(*official.DISCRIMINATORS):
        variables = {scope: variables[scope] for scope in (official.CONTENT_ENCODER, *official.SERVING)}
        stage = tf.train.Checkpoint(model=checkpoints.serving_networks(step.model))
    official.restore(encoder_checkpoint, variables.pop(official.CONTENT_ENCODER))
    rest = {name: variable for scope in variables.values() for name, variable in scope.items()}
    official.restore(checkpoint, rest)
    checkpoints.write_first(directory, stage, model=config)
    return set(rest)


def write_encoder(directory, config, checkpoint):
    """Writes the folder of a `gaze-tf pretrain` run: E_c, and PAM's decoder where there is one; as write_model."""
    if 'Gr/FC2/Matrix' in checkpoint.shapes:
        step = PamStep(config, PamConfig())
        variables, stage = official.pam_variables(step.autoencoder, config.n_layers_r), step.checkpoint
    else:
        encoder = content_encoder(config)
        variables = official.encoder_variables(encoder, config.n_layers_r)
        stage = tf.train.Checkpoint(content_encoder=encoder)
    official.restore(checkpoint, variables)
    checkpoints.write_first(directory, stage, encoder=config)
    return set(variables)
