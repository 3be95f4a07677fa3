"""PAM pretraining: by mirroring eyes, the content encoder learns what both eyes of a face share."""

import tensorflow as tf

from gaze_tf.compositing.eye_boxes import eye_boxes
from gaze_tf.config import EncoderConfig, PamConfig
from gaze_tf.data.pipeline import Batch, for_networks
from gaze_tf.losses import reconstruction
from gaze_tf.models import geometry
from gaze_tf.models.autoencoder import pam_autoencoder
from gaze_tf.models.encoders import content_encoder
from gaze_tf.models.layers import computing_in, spectral_layers
from gaze_tf.training.schedule import adam, minimize
from gaze_tf.training.stage import Terms


class PamStep:
    """The PAM networks with their optimizer; `train_step` is one update.

    `whole_boxes`: whether the edges of eye boxes are whole pixels, as for GCM and GAM, but not in the original's PAM.
    """

    def __init__(
        self,
        encoder_config: EncoderConfig,
        config: PamConfig,
        xla: bool = False,
        precision: str = 'float32',
        whole_boxes: bool = True,
    ):
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

    def eyes(self, batch: Batch) -> list[tf.Tensor]:
        """Left and right eye crops [B, c, c, 3] of a Batch."""
        faces = for_networks(batch)
        boxes = eye_boxes(faces.eyes, self.config, self._whole_boxes)
        return geometry.eye_crops(faces.image, boxes, self.config.crop_px, self._native_crops)

    def _train_step(self, batch_x: Batch, batch_y: Batch) -> Terms:
        """One update on one Batch of each domain; returns the loss terms, scalars by name."""
        with tf.GradientTape() as tape:
            terms = self._terms(batch_x, batch_y)
        minimize(terms['loss'], tape, self.optimizer, self.variables['autoencoder'])
        for layer in spectral_layers(self.autoencoder):
            layer.advance()
        return terms

    def _eyes_of_both(self, batch_x: Batch, batch_y: Batch) -> list[tf.Tensor]:
        """Left and right eye crops of the faces of X, then of Y."""
        return [tf.concat(pair, axis=0) for pair in zip(self.eyes(batch_x), self.eyes(batch_y))]

    def _terms(self, batch_x: Batch, batch_y: Batch) -> Terms:
        left, right = self._eyes_of_both(batch_x, batch_y)
        # one call for both domains: their sum is twice the mean over both
        terms = {name: 2 * term for name, term in reconstruction.mirror(self.autoencoder, left, right).items()}
        return {**terms, 'loss': tf.add_n(list(terms.values()))}

    @tf.function(autograph=False)
    def evaluate(self, batch_x: Batch, batch_y: Batch) -> Terms:
        """The terms of one Batch of each domain; changes nothing."""
        return self._terms(batch_x, batch_y)

    @tf.function(autograph=False)
    def pictures(self, batch_x: Batch, batch_y: Batch) -> dict[str, list[tf.Tensor]]:
        """An eye, its reconstruction, the other eye mirrored, and its reconstruction: columns, each [B, c, c, 3]."""
        left, right = self._eyes_of_both(batch_x, batch_y)
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
    def learning_rate(self) -> float:
        """The learning rate."""
        return float(self.optimizer.learning_rate.numpy())
