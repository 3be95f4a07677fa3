"""The training step of GCM and GAM: four updates, each with the parameters that those before it left."""

import tensorflow as tf

from gaze_tf.data.pipeline import for_networks
from gaze_tf.losses.perceptual import vgg16
from gaze_tf.models.gaze_model import GazeModel
from gaze_tf.models.layers import computing_in, spectral_layers
from gaze_tf.training.averages import Averages
from gaze_tf.training.objectives import Objectives
from gaze_tf.training.schedule import LinearDecay, adam, minimize


class GanStep:
    """The dual in-painting model with its four optimizers; `train_step` is one step of the paper.

    VGG is never updated, and `model.content_encoder` (from PAM) only with `config.tune_content`. With `config.ema`,
    `averages` follow what is updated and corrects or animates.
    """

    def __init__(self, model_config, config, xla=False, precision='float32'):
        with computing_in(precision):
            self.model = model = GazeModel(model_config, native_crops=not xla)
            self.objectives = Objectives(model, config, vgg16(config.vgg_weights) if config.lam_p else None)
        # what G_x paints with is learnt together with it: palettes, and content codes with tune_content
        codes = [model.palette_encoder] * bool(model.palette_encoder) + [model.content_encoder] * config.tune_content
        self.variables = {
            'd_x': model.d_x.trainable_variables,
            'd_y': model.d_y.trainable_variables,
            'g_x': [variable for part in (model.g_x, *codes) for variable in part.trainable_variables],
            'g_y': [*model.g_y.trainable_variables, *model.angle_encoder.trainable_variables],
        }
        rates = {
            name: LinearDecay(rate, config.steps, config.decay_start, config.decay_every)
            for name, rate in zip(self.variables, (config.lr_d, config.lr_d, config.lr_g, config.lr_g))
        }
        self.optimizers = {
            name: adam(rates[name], config, variables, precision) for name, variables in self.variables.items()
        }
        self._twins = config.twins
        self._spectral = spectral_layers(model.d_x) + spectral_layers(model.d_y)
        # no control flow to convert: without autograph it is built faster
        self.train_step = tf.function(self._train_step, jit_compile=xla, autograph=False)
        self.checkpoint = tf.train.Checkpoint(
            model=model, **{f'{name}_optimizer': optimizer for name, optimizer in self.optimizers.items()}
        )
        # after all other networks, whose initial values do not depend on it then
        self.averages = Averages(model, config.ema, config.tune_content) if config.ema else None
        if self.averages:
            self.checkpoint.averages = self.averages.checkpoint

    def _train_step(self, x, y):
        """One step on one Batch of each domain; returns the unweighted loss terms, scalars by name.

        What an update needs of networks that have not moved since is reused: x̃ and ỹ serve both a
        discriminator and their generator; ỹˣ and ŷ are painted anew once G_x has moved.
        """
        model, objectives = self.model, self.objectives
        step = self.optimizers['d_x'].iterations
        gx_tape, gy_tape = self._tape('g_x'), self._tape('g_y')
        with gx_tape:
            x, (y, twin) = self._look(x), self._look_with_twin(y)
            x_rec = model.correct(x)  # x̃
            y_cor = model.correct(y)  # ỹˣ
        with gy_tape:
            canvas = model.canvas(y)
            y_rec = model.animate(canvas, like=y)  # ỹ
        y_hat = model.animate(canvas, like=y_cor)  # ŷ

        with self._tape('d_x') as tape:
            loss, dx_terms = objectives.d_x(x, x_rec, y_hat, step, y_cor)
        self._update('d_x', tape, loss)

        with self._tape('d_y') as tape:
            loss, dy_terms = objectives.d_y(y, y_rec, step)
        self._update('d_y', tape, loss)

        with gx_tape:
            loss, gx_terms = objectives.g_x(x, x_rec, y, y_cor, twin)
        self._update('g_x', gx_tape, loss)

        y_cor = model.correct(y)
        with gy_tape:
            y_hat = model.animate(canvas, like=y_cor)
            loss, gy_terms = objectives.g_y(y, y_rec, y_cor, y_hat)
        self._update('g_y', gy_tape, loss)

        for layer in self._spectral:
            layer.advance()
        if self.averages:
            self.averages.update(self.optimizers['g_y'].iterations)
        return {**dx_terms, **dy_terms, **gx_terms, **gy_terms}

    def _look(self, batch):
        """The Faces of a Batch."""
        faces = for_networks(batch)
        return self.model.look(faces.image, faces.eyes)

    def _look_with_twin(self, batch):
        """The Faces of a Batch of Y, and those of their twins, which look at the camera; None without twins."""
        if not self._twins:
            return self._look(batch), None
        own, twin = for_networks(batch).twins()
        return self._look(own), self._look(twin)

    def _tape(self, name):
        """A tape that watches the variables of one update and nothing else."""
        tape = tf.GradientTape(watch_accessed_variables=False)
        with tape:
            for variable in self.variables[name]:
                tape.watch(variable)
        return tape

    def _update(self, name, tape, loss):
        minimize(loss, tape, self.optimizers[name], self.variables[name])

    @tf.function(autograph=False)
    def evaluate(self, x, y):
        """The terms of one Batch of each domain, all with the present weights; changes nothing."""
        model, objectives, step = self.model, self.objectives, self.optimizers['d_x'].iterations
        x, (y, twin) = self._look(x), self._look_with_twin(y)
        x_rec, y_cor, canvas = model.correct(x), model.correct(y), model.canvas(y)
        y_rec, y_hat = model.animate(canvas, like=y), model.animate(canvas, like=y_cor)
        losses = (
            objectives.d_x(x, x_rec, y_hat, step, y_cor),
            objectives.d_y(y, y_rec, step),
            objectives.g_x(x, x_rec, y, y_cor, twin),
            objectives.g_y(y, y_rec, y_cor, y_hat),
        )
        return {name: term for _, terms in losses for name, term in terms.items()}

    @tf.function(autograph=False)
    def pictures(self, x, y):
        """For the summaries: what each module makes of fixed faces, as columns of a grid."""
        x, y = self._look(x), self._look(y)
        y_cor, canvas = self.model.correct(y), self.model.canvas(y)
        return {
            'X: input, masked, GCM': [x.image, x.image * (1 - x.mask), self.model.correct(x).image],
            'Y: input, masked, corrected by GCM, repainted by GAM, animated to the camera by GAM': [
                y.image,
                y.image * (1 - y.mask),
                y_cor.image,
                self.model.animate(canvas, like=y).image,
                self.model.animate(canvas, like=y_cor).image,
            ],
        }

    @property
    def learning_rate(self):
        """The learning rate of G_x."""
        return float(self.optimizers['g_x'].learning_rate.numpy())
