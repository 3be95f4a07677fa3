"""PAM pretraining: the content encoder learns by mirroring what both eyes of a face share."""

import tensorflow as tf

from gaze_tf.compositing.eye_boxes import eye_boxes
from gaze_tf.data.pipeline import for_networks
from gaze_tf.losses import reconstruction
from gaze_tf.models import geometry
from gaze_tf.models.autoencoder import pam_autoencoder
from gaze_tf.models.encoders import content_encoder
from gaze_tf.models.layers import computing_in, spectral_layers
from gaze_tf.training.schedule import adam, minimize


class PamStep:
    """The PAM networks with their optimizer; `train_step` is one update.

    `whole_boxes`: whether eye boxes have whole edges, as for GCM and GAM; in the original's PAM they do not.
    """

    def __init__(self, encoder_config, config, xla=False, precision='float32', whole_boxes=True):
        self.config = encoder_config
        self._native_crops, self._whole_boxes = not xla, whole_boxes
        with computing_in(precision):
            self.content_encoder = content_encoder(encoder_config)
            self.autoencoder = pam_autoencoder(self.content_encoder)
        self.variables = {'autoencoder': self.autoencoder.trainable_variables}
        self.optimizer = adam(config.lr_r, config, self.variables['autoencoder'], precision)
        self.train_step = tf.function(self._train_step, jit_compile=xla, autograph=False)
        self.checkpoint = tf.train.Checkpoint(
            content_encoder=self.content_encoder, autoencoder=self.autoencoder, optimizer=self.optimizer
        )

    def eyes(self, batch):
        """Left and right eye crops [B, c, c, 3] of a Batch."""
        faces = for_networks(batch)
        boxes = eye_boxes(faces.eyes, self.config, self._whole_boxes)
        return geometry.eye_crops(faces.image, boxes, self.config.crop_px, self._native_crops)

    def _train_step(self, x, y):
        """One update on one Batch of each domain; returns the loss terms, scalars by name."""
        with tf.GradientTape() as tape:
            terms = self._terms(x, y)
        minimize(terms['loss'], tape, self.optimizer, self.variables['autoencoder'])
        for layer in spectral_layers(self.autoencoder):
            layer.advance()
        return terms

    def _terms(self, x, y):
        left, right = (tf.concat(pair, axis=0) for pair in zip(self.eyes(x), self.eyes(y)))
        # one call for both domains: their sum is twice the mean over both
        terms = {name: 2 * term for name, term in reconstruction.mirror(self.autoencoder, left, right).items()}
        return {**terms, 'loss': tf.add_n(list(terms.values()))}

    @tf.function(autograph=False)
    def evaluate(self, x, y):
        """The terms of one Batch of each domain; changes nothing."""
        return self._terms(x, y)

    @tf.function(autograph=False)
    def pictures(self, x, y):
        """For the summaries: eye, its reconstruction, the other eye mirrored, and the eye made of that."""
        left, right = (tf.concat(pair, axis=0) for pair in zip(self.eyes(x), self.eyes(y)))
        flipped = tf.reverse(right, axis=[2])
        return {
            'eye, reconstruction, mirrored other eye, eye from it': [
                left,
                self.autoencoder(left),
                flipped,
                self.autoencoder(flipped),
            ]
        }

    @property
    def learning_rate(self):
        """The learning rate."""
        return float(self.optimizer.learning_rate.numpy())
