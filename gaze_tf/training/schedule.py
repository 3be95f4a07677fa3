"""The paper's learning-rate schedule and the original's Adam."""
import tensorflow as tf

keras = tf.keras


class LinearDecay(keras.optimizers.schedules.LearningRateSchedule):
    """Constant up to step `start`; then at every `every`-th step base · (total − step) / (total − start)."""

    def __init__(self, base, total, start, every):
        self.base, self.total, self.start, self.every = base, total, start, every

    def __call__(self, step):
        step = tf.cast(step, tf.int64)
        last_change = tf.cast(step - step % self.every, tf.float32)
        # a run shorter than `start` never decays
        fraction = (self.total - last_change) / max(self.total - self.start, 1)
        return self.base * tf.where(last_change <= self.start, 1., tf.maximum(fraction, 0.))

    def get_config(self):
        return {'base': self.base, 'total': self.total, 'start': self.start, 'every': self.every}


def adam(learning_rate, beta1, beta2, variables, clip_norm=0.):
    """Adam as in TensorFlow 1: Δ = −lr·√(1−β₂ᵗ)/(1−β₁ᵗ)·m/(√v + ε), ε 1e-8; its slots exist at once.

    `clip_norm`: the global norm to which gradients are clipped before they are applied; 0 leaves them.
    """
    optimizer = keras.optimizers.Adam(learning_rate, beta_1=beta1, beta_2=beta2, epsilon=1e-8,
                                      global_clipnorm=clip_norm or None)
    optimizer.build(variables)
    return optimizer
