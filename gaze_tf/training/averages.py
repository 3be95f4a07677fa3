"""Exponential moving averages of the trained networks that correct and animate."""

import tensorflow as tf

from gaze_tf.models.gaze_model import GazeModel, make_network


class Averages:
    """Copies of the trained networks of a GazeModel that follow them: average += (1 − decay) · (value − average).

    `names` are those of the networks in the model. `checkpoint` stores the copies under the same names.
    """

    def __init__(self, model: GazeModel, decay: float, names: list[str]):
        copies = {name: make_network(name, model.config) for name in names}
        self._decay = decay
        self._pairs = [
            pair for name, copy in copies.items() for pair in zip(copy.variables, getattr(model, name).variables)
        ]
        self.checkpoint = tf.train.Checkpoint(**copies)

    def update(self, step: tf.Tensor) -> None:
        """Moves the averages after training step `step` (an integer scalar); step 1 sets them to the weights."""
        rate = tf.where(tf.equal(step, 1), 1.0, 1 - self._decay)
        for average, value in self._pairs:
            average.assign_add(rate * (value - average))
