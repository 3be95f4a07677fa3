"""Exponential moving averages of the trained networks that correct and animate."""

import tensorflow as tf

from gaze_tf.models.encoders import angle_encoder, content_encoder, palette_encoder
from gaze_tf.models.inpainting import InpaintingGenerator


class Averages:
    """Copies of a GazeModel's trained serving networks that follow it: average += (1 − decay) · (value − average).

    `checkpoint` stores them under the names that the networks have in the model. E_c has one with `tune_content` only:
    else it is frozen.
    """

    def __init__(self, model, decay, tune_content=False):
        config, content = model.config, model.config.content_size
        copies = {
            'angle_encoder': angle_encoder(config),
            'g_x': InpaintingGenerator(config, (content,), 'g_x'),
            'g_y': InpaintingGenerator(config, (2, content), 'g_y'),
        }
        if config.palette:
            copies['palette_encoder'] = palette_encoder(config)
        if tune_content:
            copies['content_encoder'] = content_encoder(config)
        self._decay = decay
        self._pairs = [
            pair for name, copy in copies.items() for pair in zip(copy.variables, getattr(model, name).variables)
        ]
        self.checkpoint = tf.train.Checkpoint(**copies)

    def update(self, step):
        """To be called at the end of training step `step` (an integer scalar, from 1), which starts the averages."""
        rate = tf.where(tf.equal(step, 1), 1.0, 1 - self._decay)
        for average, value in self._pairs:
            average.assign_add(rate * (value - average))
