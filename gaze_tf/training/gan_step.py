"""The training step of GCM and GAM: four updates, each with the parameters that the updates before it left."""

import contextlib
from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from gaze_tf.config import GanConfig, ModelConfig
from gaze_tf.data.pipeline import Batch, for_networks
from gaze_tf.errors import GazeError
from gaze_tf.models.gaze_model import Canvas, Faces, GazeModel
from gaze_tf.models.layers import computing_in, spectral_layers
from gaze_tf.training.averages import Averages
from gaze_tf.training.objectives import Objectives
from gaze_tf.training.schedule import LinearDecay, adam, minimize
from gaze_tf.training.stage import Terms

Context = contextlib.AbstractContextManager
_NO_TAPE = contextlib.nullcontext()


class Painted(NamedTuple):
    """What the generators make of a batch of each domain, all with the same weights."""

    x_rec: Faces  # x̃: x repainted by G_x
    y_cor: Faces  # ỹˣ: y corrected by G_x
    canvas: Canvas  # y without its eyes
    y_rec: Faces  # ỹ: y repainted by G_y
    y_hat: Faces  # ŷ: y with the gaze of ỹˣ, by G_y


class GanStep:
    """The dual in-painting model with its four optimizers; `train_step` is one step of the paper.

    VGG is never updated, and `model.content_encoder` (from PAM) only with `config.tune_content`. With `config.ema`,
    `averages` follow the trained networks that correct and animate.
    """

    def __init__(
        self,
        model_config: ModelConfig,
        config: GanConfig,
        xla: bool = False,
        precision: str = 'float32',
        vgg: Callable[[], tf.keras.Model] | None = None,
    ):
        """
        Args:
          model_config: the shapes of the networks.
          config: optimizers and loss weights.
          xla: whether to compile `train_step` with XLA.
          precision: what networks compute in, 'float32', 'bfloat16' or 'float16'.
          vgg: makes the network of the perceptual terms, as `losses.perceptual.vgg16`. Only used, and then necessary,
            where `lam_p` is above 0. It is called after the trained networks are made, whose initial values therefore
            do not depend on it.
        """
        if config.lam_p and vgg is None:
            raise GazeError(f'`lam_p={config.lam_p:g}` needs a VGG-16 for the perceptual terms.')
        with computing_in(precision):
            self.model = model = GazeModel(model_config, native_crops=not xla)
            self.objectives = Objectives(model, config, vgg() if config.lam_p and vgg else None)
        self._trains_gcm = not config.freeze_gcm
        # palettes, and content codes with tune_content, are learned together with the G_x that paints with them
        codes = ['palette_encoder'] * bool(model.palette_encoder) + ['content_encoder'] * config.tune_content
        updates = {'d_x': ['d_x'], 'd_y': ['d_y'], 'g_x': ['g_x', *codes], 'g_y': ['g_y', 'angle_encoder']}
        if config.freeze_gcm:
            del updates['g_x']
        self.variables = {
            name: [variable for network in networks for variable in getattr(model, network).trainable_variables]
            for name, networks in updates.items()
        }
        rates = {
            name: LinearDecay(
                config.lr_d if name in ('d_x', 'd_y') else config.lr_g,
                config.steps,
                config.decay_start,
                config.decay_every,
            )
            for name in self.variables
        }
        self.optimizers = {
            name: adam(rates[name], config, variables, precision) for name, variables in self.variables.items()
        }
        self._twins = config.twins
        self._spectral = spectral_layers(model.d_x) + spectral_layers(model.d_y)
        # the step has no control flow to convert: without autograph its graph is built faster
        self.train_step = tf.function(self._train_step, jit_compile=xla, autograph=False)
        self.checkpoint = tf.train.Checkpoint(
            model=model, **{f'{name}_optimizer': optimizer for name, optimizer in self.optimizers.items()}
        )
        # after all other networks, whose initial values therefore do not depend on it
        painting = [network for name in ('g_x', 'g_y') for network in updates.get(name, ())]
        self.averages = Averages(model, config.ema, painting) if config.ema else None
        if self.averages:
            self.checkpoint.averages = self.averages.checkpoint

    def _train_step(self, batch_x: Batch, batch_y: Batch) -> Terms:
        """One step on one Batch of each domain; returns the unweighted loss terms, scalars by name.

        The forward pass is made once, before any update: x̃, ỹ and the canvas serve both a discriminator and their
        generator, whose weights have not moved in between. Only ỹˣ and ŷ are painted again, once G_x has moved.
        """
        model, objectives, step = self.model, self.objectives, self._step
        # Each generator's tape is entered several times and goes on recording: first in the forward pass, and once more
        # for the loss, which needs the discriminators as their updates leave them.
        gx_tape, gy_tape = self._tape('g_x') if self._trains_gcm else _NO_TAPE, self._tape('g_y')
        with gx_tape:
            x, (y, twin) = self._look(batch_x), self._look_with_twin(batch_y)
        painted = self._paint(x, y, gx_tape, gy_tape)

        with self._tape('d_x') as tape:
            loss, dx_terms = objectives.d_x(x, painted.x_rec, painted.y_hat, step, painted.y_cor)
        self._update('d_x', tape, loss)

        with self._tape('d_y') as tape:
            loss, dy_terms = objectives.d_y(y, painted.y_rec, step)
        self._update('d_y', tape, loss)

        with gx_tape:
            loss, gx_terms = objectives.g_x(x, painted.x_rec, y, painted.y_cor, twin)
        if self._trains_gcm:
            self._update('g_x', gx_tape, loss)

        y_cor = model.correct(y) if self._trains_gcm else painted.y_cor
        with gy_tape:
            y_hat = model.animate(painted.canvas, like=y_cor, corrected=y_cor)
            loss, gy_terms = objectives.g_y(y, painted.y_rec, y_cor, y_hat)
        self._update('g_y', gy_tape, loss)

        for layer in self._spectral:
            layer.advance()
        if self.averages:
            self.averages.update(self.optimizers['g_y'].iterations)
        return {**dx_terms, **dy_terms, **gx_terms, **gy_terms}

    def _paint(self, x: Faces, y: Faces, gx_tape: Context = _NO_TAPE, gy_tape: Context = _NO_TAPE) -> Painted:
        """The forward pass: what G_x computes is recorded on `gx_tape`; what G_y makes of y itself, on `gy_tape`."""
        with gx_tape:
            x_rec = self.model.correct(x)
            y_cor = self.model.correct(y)
        with gy_tape:
            canvas = self.model.canvas(y)
            y_rec = self.model.animate(canvas, like=y, corrected=y_cor)
        return Painted(x_rec, y_cor, canvas, y_rec, y_hat=self.model.animate(canvas, like=y_cor, corrected=y_cor))

    def _look(self, batch: Batch) -> Faces:
        """The Faces of a Batch."""
        faces = for_networks(batch)
        return self.model.look(faces.image, faces.eyes)

    def _look_with_twin(self, batch: Batch) -> tuple[Faces, Faces | None]:
        """The Faces of a Batch of Y, and those of their twins, which look at the camera; None without twins."""
        if not self._twins:
            return self._look(batch), None
        own, twin = for_networks(batch).twins()
        return self._look(own), self._look(twin)

    @property
    def _step(self) -> tf.Variable:
        """The number of training steps made."""
        return self.optimizers['d_x'].iterations

    def _tape(self, name: str) -> tf.GradientTape:
        """A tape that watches the variables of one update and nothing else."""
        tape = tf.GradientTape(watch_accessed_variables=False)
        with tape:
            for variable in self.variables[name]:
                tape.watch(variable)
        return tape

    def _update(self, name: str, tape: tf.GradientTape, loss: tf.Tensor) -> None:
        minimize(loss, tape, self.optimizers[name], self.variables[name])

    @tf.function(autograph=False)
    def evaluate(self, batch_x: Batch, batch_y: Batch) -> Terms:
        """The terms of one Batch of each domain, all with the present weights; changes nothing."""
        objectives, step = self.objectives, self._step
        x, (y, twin) = self._look(batch_x), self._look_with_twin(batch_y)
        painted = self._paint(x, y)
        losses = (
            objectives.d_x(x, painted.x_rec, painted.y_hat, step, painted.y_cor),
            objectives.d_y(y, painted.y_rec, step),
            objectives.g_x(x, painted.x_rec, y, painted.y_cor, twin),
            objectives.g_y(y, painted.y_rec, painted.y_cor, painted.y_hat),
        )
        return {name: term for _, terms in losses for name, term in terms.items()}

    @tf.function(autograph=False)
    def pictures(self, batch_x: Batch, batch_y: Batch) -> dict[str, list[tf.Tensor]]:
        """What each module makes of faces (without twins): {name: columns of a grid, each [B, S, S, 3] in [-1, 1]}."""
        x, y = self._look(batch_x), self._look(batch_y)
        painted = self._paint(x, y)
        return {
            'X: input, masked, GCM': [x.image, x.masked, painted.x_rec.image],
            'Y: input, masked, corrected by GCM, repainted by GAM, animated to the camera by GAM': [
                y.image,
                y.masked,
                painted.y_cor.image,
                painted.y_rec.image,
                painted.y_hat.image,
            ],
        }

    @property
    def learning_rate(self) -> float:
        """The learning rate of the generators."""
        return float(self.optimizers['g_y'].learning_rate.numpy())
