"""The paper's learning-rate schedule, the original's Adam, and one update with it."""

from collections.abc import Iterable

import tensorflow as tf

from gaze_tf.config import GanConfig, PamConfig
from gaze_tf.training.distribution import mean_over_replicas

keras = tf.keras


class LinearDecay(tf.keras.optimizers.schedules.LearningRateSchedule):
    """Constant up to step `start`; then at every `every`-th step base · (total − step) / (total − start)."""

    def __init__(self, base: float, total: int, start: int, every: int):
        self.base, self.total, self.start, self.every = base, total, start, every

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        step = tf.cast(step, tf.int64)
        last_change = tf.cast(step - step % self.every, tf.float32)
        # a run shorter than `start` never decays
        fraction = (self.total - last_change) / max(self.total - self.start, 1)
        return self.base * tf.where(last_change <= self.start, 1.0, tf.maximum(fraction, 0.0))

    def get_config(self) -> dict:
        return {'base': self.base, 'total': self.total, 'start': self.start, 'every': self.every}


class Adam(tf.keras.optimizers.Adam):
    """Keras' Adam, computed by one operation of TensorFlow: the same formula in one pass over memory, not ten."""

    def build(self, var_list: Iterable[tf.Variable]) -> None:
        super().build(var_list)
        if not hasattr(self, '_moments_of'):
            # the number of updates, then both moments of each variable in turn
            moments = self.variables[1:]
            local = tf.distribute.get_strategy().experimental_local_results
            # A function, because Keras would store a dictionary in checkpoints. Each replica updates its own copy.
            self._moments_of = {
                copy.ref(): pair
                for variable, *pair in zip(var_list, moments[::2], moments[1::2], strict=True)
                for copy in (variable, *local(variable))
            }.__getitem__

    def update_step(self, gradient: tf.Tensor, variable: tf.Variable) -> None:
        m, v = self._moments_of(variable.ref())
        step = tf.cast(self.iterations + 1, variable.dtype)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=m.handle,
            v=v.handle,
            beta1_power=self.beta_1**step,
            beta2_power=self.beta_2**step,
            lr=self.learning_rate,
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=gradient,
        )


def adam(
    learning_rate: float | LinearDecay, config: PamConfig | GanConfig, variables: list[tf.Variable], precision: str
) -> tf.keras.optimizers.Optimizer:
    """Adam as in TensorFlow 1: Δ = −lr·√(1−β₂ᵗ)/(1−β₁ᵗ)·m/(√v + ε) with ε = 1e-8; its slots are made at once.

    It clips gradients to the config's clip_norm, if that is not 0. Its state is float32. With precision 'float16' it
    scales losses as far as gradients stay finite, and skips updates whose gradients are not finite.
    """
    # jit_compile would compile the update of each variable separately
    optimizer = Adam(
        learning_rate,
        beta_1=config.beta1,
        beta_2=config.beta2,
        epsilon=1e-8,
        jit_compile=False,
        global_clipnorm=config.clip_norm or None,
    )
    optimizer.build(variables)
    return keras.mixed_precision.LossScaleOptimizer(optimizer) if precision == 'float16' else optimizer


def minimize(
    loss: tf.Tensor, tape: tf.GradientTape, optimizer: tf.keras.optimizers.Optimizer, variables: list[tf.Variable]
) -> None:
    """One update of the variables with the gradients, averaged over replicas, of a loss that the tape recorded."""
    # zero for biases that normalization removes: see layers.Upconvolution
    scaled, zero = isinstance(optimizer, keras.mixed_precision.LossScaleOptimizer), tf.UnconnectedGradients.ZERO
    scale = optimizer.get_scaled_loss(tf.ones([])) if scaled else None
    gradients = tape.gradient(loss, variables, output_gradients=scale, unconnected_gradients=zero)
    if scaled:
        gradients = optimizer.get_unscaled_gradients(gradients)
    optimizer.apply_gradients(zip(mean_over_replicas(gradients), variables), skip_gradients_aggregation=True)
