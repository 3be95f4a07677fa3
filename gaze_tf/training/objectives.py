"""What D_x, D_y, G_x and G_y minimise: the paper's weighted sums, each as (total, unweighted terms)."""

import tensorflow as tf

from gaze_tf.losses.adversarial import discriminator_loss, generator_loss, gradient_penalty, r1
from gaze_tf.losses.perceptual import perceptual
from gaze_tf.losses.reconstruction import hues, local_l1, mean_l1
from gaze_tf.training.distribution import draw_for_replica

# of the gradient penalty of each fake
_PENALTY_SEED = {'d_x/rec': 0, 'd_x/hat': 1, 'd_y/rec': 2, 'd_x/cor': 3}


class Objectives:
    """The four objectives over Faces; `model` gives D_x and D_y, `vgg` is None where lam_p is 0."""

    def __init__(self, model, config, vgg):
        self._model, self._config, self.vgg = model, config, vgg

    def d_x(self, x, x_rec, y_hat, step, y_cor=None):
        """L(D_x) = d(D_x(x), D_x(x̃)) + d(D_x(x), D_x(ŷ)) [+ d(D_x(x), D_x(ỹˣ))] [+ λr1/2·E|∇D_x(x)|²].

        The second is Synthesis-As-Training's, the third is there where G_x learns from Y too (lam_twin).
        """
        fakes = {
            'd_x/rec': x_rec,
            **({'d_x/hat': y_hat} if self._config.use_sat else {}),
            **({'d_x/cor': y_cor} if self._config.twins else {}),
        }
        real, *painted = _logits(self._model.d_x, x, *fakes.values())
        losses = {name: discriminator_loss(self._config.loss_type, real, fake) for name, fake in zip(fakes, painted)}
        # the seed of a fake must not depend on which others there are
        penalty = tf.add_n(
            [self._penalty(self._model.d_x, x, fake, [_PENALTY_SEED[name], step]) for name, fake in fakes.items()]
        )
        total = _sum(losses) + self._config.lam_gp * penalty
        return self._with_r1('d_x', x, total, {**losses, 'd_x/penalty': penalty})

    def d_y(self, y, y_rec, step):
        """L(D_y) = d(D_y(y), D_y(ỹ)) [+ λr1/2·E|∇D_y(y)|²]."""
        on_rec = discriminator_loss(self._config.loss_type, *_logits(self._model.d_y, y, y_rec))
        penalty = self._penalty(self._model.d_y, y, y_rec, [_PENALTY_SEED['d_y/rec'], step])
        total = on_rec + self._config.lam_gp * penalty
        return self._with_r1('d_y', y, total, {'d_y/rec': on_rec, 'd_y/penalty': penalty})

    def g_x(self, x, x_rec, y=None, y_cor=None, twin=None):
        """L(G_x) = g(D_x(x̃)) + λr·localL1(x̃, x) + λp·percep(x, x̃)
        [+ g(D_x(ỹˣ)) + λt·localL1(ỹˣ, twin of y) + λc·mean|c(y) − c(twin of y)|].

        With twin_focus, a pixel of the localL1 to the twin weighs the more, the more y and its twin differ there.
        """
        painted = (x_rec,) if twin is None else (x_rec, y_cor)
        adversarial, *on_cor = (
            generator_loss(self._config.loss_type, logit) for logit in _logits(self._model.d_x, *painted)
        )
        reconstruction = self._local_l1(x_rec, x)
        perception = self._perceptual((x, x_rec))
        total = adversarial + self._config.lam_r * reconstruction + self._config.lam_p * perception
        terms = {'g_x/adversarial': adversarial, 'g_x/reconstruction': reconstruction, 'g_x/perceptual': perception}
        if twin is None:
            return total, terms
        moved = tf.reduce_mean(tf.abs(y.image - twin.image), axis=-1, keepdims=True)
        to_twin = self._local_l1(y_cor, twin, 1 + self._config.twin_focus * moved if self._config.twin_focus else None)
        total += on_cor[0] + self._config.lam_twin * to_twin
        terms = {**terms, 'g_x/adversarial_cor': on_cor[0], 'g_x/twin': to_twin}
        if self._config.lam_code:
            terms['g_x/code'] = mean_l1(y.content, twin.content)
            total += self._config.lam_code * terms['g_x/code']
        return total, terms

    def g_y(self, y, y_rec, y_cor, y_hat):
        """L(G_y) = g(D_y(ỹ)) + λr·localL1(ỹ, y) + mean|c(y) − c(ỹ)| + λp·percep(y, ỹ)
        + g(D_x(ŷ)) + λr·localL1(ỹˣ, ŷ) + mean|c(ỹˣ) − c(ŷ)| + λp·percep(ỹˣ, ŷ).

        The second line is Synthesis-As-Training: G_x's corrections ỹˣ teach G_y. Palettes, where there are any, are kept as
        content codes are, by terms with a weight of their own.
        """
        adversarial = {'g_y/adversarial': generator_loss(self._config.loss_type, *_logits(self._model.d_y, y_rec))}
        reconstruction = {'g_y/reconstruction': self._local_l1(y_rec, y)}
        content = {'g_y/content': mean_l1(y.content, y_rec.content)}
        palette = self._palette('g_y/palette', y, y_rec)
        pairs = [(y, y_rec)]
        if self._config.use_sat:
            adversarial['g_y/adversarial_hat'] = generator_loss(
                self._config.loss_type, *_logits(self._model.d_x, y_hat)
            )
            reconstruction['g_y/reconstruction_hat'] = self._local_l1(y_cor, y_hat)
            content['g_y/content_hat'] = mean_l1(y_cor.content, y_hat.content)
            palette.update(self._palette('g_y/palette_hat', y_cor, y_hat))
            pairs.append((y_cor, y_hat))
        perception = self._perceptual(*pairs)
        total = (
            _sum(adversarial)
            + self._config.lam_r * _sum(reconstruction)
            + _sum(content)
            + self._config.lam_p * perception
        )
        if palette:
            total += self._config.lam_palette * _sum(palette)
        return total, {**adversarial, **reconstruction, **content, **palette, 'g_y/perceptual': perception}

    def _palette(self, name, a, b):
        """{name: mean absolute difference of two Faces' palettes}, or nothing where there are none."""
        return {} if a.palette is None else {name: mean_l1(a.palette, b.palette)}

    def _local_l1(self, a, b, weights=None):
        """localL1 of two Faces [+ λh·localL1 of their hues]."""
        size = self._model.config.crop_w, self._model.config.crop_h
        distance = local_l1(a.image, b.image, *size, weights)
        if self._config.lam_hue:
            distance += self._config.lam_hue * local_l1(hues(a.image), hues(b.image), *size, weights)
        return distance

    def _perceptual(self, *pairs):
        """percep of left + right crops, summed over the pairs (target, painted) of Faces."""
        if not self.vgg:
            return tf.constant(0.0)
        # targets apart from paintings: they need features, but no gradients
        target, painted = (self.vgg(_stack(faces)) for faces in zip(*pairs))
        return perceptual(target, painted, tf.cast(tf.shape(pairs[0][0].image)[0], tf.float32))

    def _penalty(self, discriminator, real, fake, seed):
        if self._config.loss_type != 'wgan':
            return tf.constant(0.0)
        mix = draw_for_replica(
            lambda count: tf.random.stateless_uniform([count, 1, 1, 1], seed, alg='philox'), tf.shape(real.image)[0]
        )
        return gradient_penalty(discriminator, _views(real), _views(fake), mix)

    def _with_r1(self, name, real, total, terms):
        """An objective of discriminator `name`, with R1 where that is on."""
        if not self._config.lam_r1:
            return total, terms
        penalty = r1(getattr(self._model, name), _views(real))
        return total + self._config.lam_r1 / 2 * penalty, {**terms, f'{name}/r1': penalty}


def _sum(terms):
    return tf.add_n(list(terms.values()))


def _views(faces):
    """What a discriminator sees of Faces."""
    return [faces.image, faces.left, faces.right]


def _logits(discriminator, *faces):
    """The logits [B, 1] of each of several Faces, from one call."""
    stacked = [tf.concat(views, axis=0) for views in zip(*map(_views, faces))]
    return tf.split(discriminator(stacked), len(faces))


def _stack(faces):
    """Left and right crops of several Faces on one batch axis."""
    return tf.concat([crop for f in faces for crop in (f.left, f.right)], axis=0)
