"""What D_x, D_y, G_x and G_y minimize: the paper's weighted sums, each as (total, unweighted terms).

A term that is switched off is not among the terms.
"""

from typing import Any

import tensorflow as tf

from gaze_tf.config import GanConfig
from gaze_tf.losses.adversarial import discriminator_loss, generator_loss, gradient_penalty, r1
from gaze_tf.losses.perceptual import perceptual
from gaze_tf.losses.reconstruction import hues, local_l1, mean_l1
from gaze_tf.models.gaze_model import Faces, GazeModel
from gaze_tf.training.distribution import draw_for_replica
from gaze_tf.training.stage import Terms

Objective = tuple[tf.Tensor, Terms]  # (total, terms)

# seeds of the random points at which the gradient penalties of each fake are taken
_PENALTY_SEED = {'d_x/rec': 0, 'd_x/hat': 1, 'd_y/rec': 2, 'd_x/cor': 3}


class Objectives:
    """The four objectives over Faces. `model` gives D_x and D_y; without `vgg` there are no perceptual terms."""

    def __init__(self, model: GazeModel, config: GanConfig, vgg: tf.keras.Model | None):
        self._model, self._config = model, config
        self.vgg: Any = vgg

    def d_x(self, x: Faces, x_rec: Faces, y_hat: Faces, step: tf.Tensor | int, y_cor: Faces | None = None) -> Objective:
        """L(D_x) = d(D_x(x), D_x(x̃)) + d(D_x(x), D_x(ŷ)) [+ d(D_x(x), D_x(ỹˣ))] [+ λgp·penalty] [+ λr1/2·E|∇D_x(x)|²].

        The second term is Synthesis-As-Training's. The third exists where G_x also learns from Y (lam_twin). `step` is
        the number of steps made, on which the points of the gradient penalty depend.
        """
        fakes = {'d_x/rec': x_rec}
        if self._config.use_sat:
            fakes['d_x/hat'] = y_hat
        if self._config.twins:
            assert y_cor is not None
            fakes['d_x/cor'] = y_cor
        real, *painted = _logits(self._model.d_x, x, *fakes.values())
        losses = {name: discriminator_loss(self._config.loss_type, real, fake) for name, fake in zip(fakes, painted)}
        return self._with_penalties('d_x', x, fakes, step, losses)

    def d_y(self, y: Faces, y_rec: Faces, step: tf.Tensor | int) -> Objective:
        """L(D_y) = d(D_y(y), D_y(ỹ)) [+ λgp·penalty] [+ λr1/2·E|∇D_y(y)|²]."""
        on_rec = discriminator_loss(self._config.loss_type, *_logits(self._model.d_y, y, y_rec))
        return self._with_penalties('d_y', y, {'d_y/rec': y_rec}, step, {'d_y/rec': on_rec})

    def g_x(
        self, x: Faces, x_rec: Faces, y: Faces | None = None, y_cor: Faces | None = None, twin: Faces | None = None
    ) -> Objective:
        """L(G_x) = g(D_x(x̃)) + λr·localL1(x̃, x) + λp·percep(x, x̃)
        [+ g(D_x(ỹˣ)) + λt·localL1(ỹˣ, twin of y) + λc·mean|c(y) − c(twin of y)|].

        The second line needs y, ỹˣ and the twin of y. With twin_focus, a pixel of the localL1 to the twin weighs more,
        the more y and its twin differ there.
        """
        painted = [x_rec] if y_cor is None or twin is None else [x_rec, y_cor]
        adversarial, *on_cor = (
            generator_loss(self._config.loss_type, logit) for logit in _logits(self._model.d_x, *painted)
        )
        reconstruction = self._local_l1(x_rec, x)
        total = adversarial + self._config.lam_r * reconstruction
        terms = {'g_x/adversarial': adversarial, 'g_x/reconstruction': reconstruction}
        if self.vgg:
            terms['g_x/perceptual'] = self._perceptual((x, x_rec))
            total += self._config.lam_p * terms['g_x/perceptual']
        if y is None or y_cor is None or twin is None:
            return total, terms
        moved = tf.reduce_mean(tf.abs(y.image - twin.image), axis=-1, keepdims=True)
        to_twin = self._local_l1(y_cor, twin, 1 + self._config.twin_focus * moved if self._config.twin_focus else None)
        total += on_cor[0] + self._config.lam_twin * to_twin
        terms = {**terms, 'g_x/adversarial_cor': on_cor[0], 'g_x/twin': to_twin}
        if self._config.lam_code:
            terms['g_x/code'] = mean_l1(y.content, twin.content)
            total += self._config.lam_code * terms['g_x/code']
        return total, terms

    def g_y(self, y: Faces, y_rec: Faces, y_cor: Faces, y_hat: Faces) -> Objective:
        """L(G_y) = g(D_y(ỹ)) + λr·localL1(ỹ, y) + mean|c(y) − c(ỹ)| + λp·percep(y, ỹ)
        + g(D_x(ŷ)) + λr·localL1(ỹˣ, ŷ) + mean|c(ỹˣ) − c(ŷ)| + λp·percep(ỹˣ, ŷ).

        The second line is Synthesis-As-Training: G_x's corrections ỹˣ teach G_y. Palettes, if there are any, are kept
        like content codes, by terms with their own weight.
        """
        adversarial = {'g_y/adversarial': generator_loss(self._config.loss_type, *_logits(self._model.d_y, y_rec))}
        reconstruction = {'g_y/reconstruction': self._local_l1(y_rec, y)}
        content = self._content('g_y/content', y, y_rec)
        palette = self._palette('g_y/palette', y, y_rec)
        pairs = [(y, y_rec)]
        if self._config.use_sat:
            adversarial['g_y/adversarial_hat'] = generator_loss(
                self._config.loss_type, *_logits(self._model.d_x, y_hat)
            )
            reconstruction['g_y/reconstruction_hat'] = self._local_l1(y_cor, y_hat)
            content.update(self._content('g_y/content_hat', y_cor, y_hat))
            palette.update(self._palette('g_y/palette_hat', y_cor, y_hat))
            pairs.append((y_cor, y_hat))
        total = _sum(adversarial) + self._config.lam_r * _sum(reconstruction)
        if content:
            total += _sum(content)
        terms = {**adversarial, **reconstruction, **content, **palette}
        if self.vgg:
            terms['g_y/perceptual'] = self._perceptual(*pairs)
            total += self._config.lam_p * terms['g_y/perceptual']
        if palette:
            total += self._config.lam_palette * _sum(palette)
        return total, terms

    def _content(self, name: str, a: Faces, b: Faces) -> Terms:
        """{name: mean absolute difference of two Faces' content codes}, or nothing where all codes are zeros."""
        return {name: mean_l1(a.content, b.content)} if self._model.config.use_pam else {}

    def _palette(self, name: str, a: Faces, b: Faces) -> Terms:
        """{name: mean absolute difference of two Faces' palettes}, or nothing without palettes."""
        return {} if a.palette is None else {name: mean_l1(a.palette, b.palette)}

    def _local_l1(self, a: Faces, b: Faces, weights: tf.Tensor | None = None) -> tf.Tensor:
        """localL1 of two Faces [+ λh·localL1 of their hues]."""
        size = self._model.config.crop_w, self._model.config.crop_h
        distance = local_l1(a.image, b.image, *size, weights)
        if self._config.lam_hue:
            distance += self._config.lam_hue * local_l1(hues(a.image), hues(b.image), *size, weights)
        return distance

    def _perceptual(self, *pairs: tuple[Faces, Faces]) -> tf.Tensor:
        """percep of left + right crops, summed over the pairs (target, painted)."""
        # targets apart from paintings: they need features, but no gradients
        target, painted = (self.vgg(_stack(faces)) for faces in zip(*pairs))
        return perceptual(target, painted, tf.cast(tf.shape(pairs[0][0].image)[0], tf.float32))

    def _with_penalties(
        self, name: str, real: Faces, fakes: dict[str, Faces], step: tf.Tensor | int, losses: Terms
    ) -> Objective:
        """The objective of discriminator `name` from its losses, with the gradient penalties that are switched on."""
        total, terms, discriminator = _sum(losses), dict(losses), getattr(self._model, name)
        if self._config.loss_type == 'wgan' and self._config.lam_gp:
            # the seed of a fake must not depend on which others there are
            terms[f'{name}/penalty'] = tf.add_n(
                [_penalty(discriminator, real, fake, [_PENALTY_SEED[key], step]) for key, fake in fakes.items()]
            )
            total += self._config.lam_gp * terms[f'{name}/penalty']
        if self._config.lam_r1:
            terms[f'{name}/r1'] = r1(discriminator, _views(real))
            total += self._config.lam_r1 / 2 * terms[f'{name}/r1']
        return total, terms


def _penalty(discriminator: tf.keras.Model, real: Faces, fake: Faces, seed: list) -> tf.Tensor:
    mix = draw_for_replica(
        lambda count: tf.random.stateless_uniform([count, 1, 1, 1], seed, alg='philox'), tf.shape(real.image)[0]
    )
    return gradient_penalty(discriminator, _views(real), _views(fake), mix)


def _sum(terms: Terms) -> tf.Tensor:
    return tf.add_n(list(terms.values()))


def _views(faces: Faces) -> list[tf.Tensor]:
    """The inputs of a discriminator."""
    return [faces.image, faces.left, faces.right]


def _logits(discriminator: tf.keras.Model, *faces: Faces) -> list[tf.Tensor]:
    """The logits [B, 1] of each of several Faces, from one call."""
    stacked = [tf.concat(views, axis=0) for views in zip(*map(_views, faces))]
    return tf.split(discriminator(stacked), len(faces))


def _stack(faces: tuple[Faces, ...]) -> tf.Tensor:
    """Left and right crops of several Faces on one batch axis."""
    return tf.concat([crop for f in faces for crop in (f.left, f.right)], axis=0)
