"""What the training loop needs of a stage: `PamStep` and `GanStep` are stages."""

from typing import Protocol

import tensorflow as tf

from gaze_tf.data.pipeline import Batch

Terms = dict[str, tf.Tensor]  # loss terms, scalars by name


class Stage(Protocol):
    """Networks, their optimizers, and one step of their training.

    Attributes:
      variables: {name: trained variables}.
      checkpoint: all that is saved.
    """

    variables: dict[str, list[tf.Variable]]
    checkpoint: tf.train.Checkpoint

    @property
    def learning_rate(self) -> float:
        """The learning rate that is logged."""

    def train_step(self, batch_x: Batch, batch_y: Batch) -> Terms:
        """One step on a batch of each domain; returns the loss terms. A tf.function."""

    def evaluate(self, batch_x: Batch, batch_y: Batch) -> Terms:
        """The loss terms of a batch of each domain; changes nothing."""

    def pictures(self, batch_x: Batch, batch_y: Batch) -> dict[str, list[tf.Tensor]]:
        """What the networks make of faces: {name: columns of a grid, each [B, S, S, 3] in [-1, 1]}."""
