"""Random changes of training faces: what webcams, evening light, small files and eye detectors do to photos."""

import tensorflow as tf

from gaze_tf.config import AugmentConfig

# All that a face may need is drawn, whatever is on: a new option must not change what the others draw.
_UNIFORM = (
    'exposure',
    'gamma',
    'gray',
    'low_light',
    'darkness',
    'blur',
    'sigma',
    'scale_down',
    'factor',
    'enlarger',
    'jpeg',
    'quality',
    'noise',
    'level',
    'shared',
    'low_light_level',
    'saturation',
)
_NORMAL = ('red', 'blue', 'left_x', 'left_y', 'right_x', 'right_y')

_DISPLAY_GAMMA = 2.2
_BLUR_RADIUS = 9  # pixels: three times the largest sigma
_LUMA = 0.299, 0.587, 0.114


def augment(
    images: tuple[tf.Tensor, ...], eyes: tf.Tensor, seed: tf.Tensor, config: AugmentConfig
) -> tuple[tf.Tensor, ...]:
    """Changes the images of one scene, all in the same way and with the same noise.

    Args:
      images: tuple of uint8 [S, S, 3]: a face, and perhaps the same face with other eyes.
      eyes: [4] float32 pixels, (left_x, left_y, right_x, right_y), of all of them. They stay right except for the
        errors of aug_shift.
      seed: [2] integers; the same seed gives the same result.
      config: AugmentConfig. What is off is not in the graph.

    Returns:
      Tuple of uint8 [S, S, 3].
    """
    if config == type(config)():
        return images
    field_seed, uniform_seed, normal_seed = tf.unstack(tf.random.experimental.stateless_split(seed, 3))
    u = dict(zip(_UNIFORM, tf.unstack(tf.random.stateless_uniform([len(_UNIFORM)], uniform_seed))))
    n = dict(zip(_NORMAL, tf.unstack(tf.random.stateless_normal([len(_NORMAL)], normal_seed))))
    low_light = u['low_light'] < config.aug_low_light

    x = tf.cast(tf.stack(images), tf.float32)
    if config.aug_shift:
        x = _move(x, eyes, config.aug_shift * tf.stack([n[name] for name in _NORMAL[2:]]))
    x = _light(x, u, n, low_light, config)
    if config.aug_blur:
        x = _perhaps(u['blur'] < config.aug_blur, _blur, x, 0.3 * 10 ** u['sigma'])
    if config.aug_scale_down:
        x = _perhaps(
            u['scale_down'] < config.aug_scale_down, _scale_down, x, _between(1.2, 4, u['factor']), u['enlarger'] < 0.5
        )
    if config.aug_noise or config.aug_low_light:
        level = tf.where(u['noise'] < config.aug_noise, 8 * u['level'], 0)
        level += tf.where(low_light, _between(2, 6, u['low_light_level']), 0)
        x = _perhaps(level > 0, _add_noise, x, level, u['shared'] < 0.5, field_seed)
    x = tf.cast(tf.clip_by_value(tf.round(x), 0, 255), tf.uint8)
    if config.aug_gray:
        x = _perhaps(u['gray'] < config.aug_gray, _gray, x)
    if config.aug_jpeg:
        quality = tf.cast(_between(30, 96, u['quality']), tf.int32)
        x = _perhaps(u['jpeg'] < config.aug_jpeg, _compress, x, quality)
    return tuple(tf.unstack(x, num=len(images)))


def _perhaps(drawn, change, x, *args):
    """change(x, *args) if `drawn`, else x."""
    return tf.cond(drawn, lambda: tf.ensure_shape(change(x, *args), x.shape), lambda: x)


def _between(low, high, uniform):
    return low + (high - low) * uniform


def _move(x, eyes, errors):
    """The images as they would be cut if the eyes had been found at eyes + errors, which then lie at `eyes`.

    A similarity, q ↦ a·q + b in complex numbers, maps each pixel to the place of its color.
    """
    left, right = tf.unstack(tf.complex(*tf.unstack(tf.reshape(eyes, [2, 2]), axis=1)))
    wrong_left, wrong_right = tf.unstack(tf.complex(*tf.unstack(tf.reshape(eyes + errors, [2, 2]), axis=1)))
    a = (wrong_right - wrong_left) / (right - left)
    b = wrong_left - a * left
    # the operation interpolates linearly: between pixels of half the size that blurs less
    size = x.shape[1:3]
    twice = tf.image.resize(x, [2 * side for side in size], 'bicubic')
    # positions count from the edge of the image, the operation counts from the center of its first pixel
    center = tf.constant(0.5 + 0.5j, tf.complex64)
    a, b = 2 * a, 2 * (a * center + b) - center
    cos, sin, dx, dy, zero = tf.math.real(a), tf.math.imag(a), tf.math.real(b), tf.math.imag(b), tf.zeros([])
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=twice,
        transforms=tf.stack([cos, -sin, dx, sin, cos, dy, zero, zero])[None],
        output_shape=size,
        fill_value=0.0,
        interpolation='BILINEAR',
        fill_mode='NEAREST',
    )


def _light(x, u, n, low_light, config):
    """Saturation, gamma, and one factor for each channel: exposure, tint and low light."""
    if config.aug_saturation:
        luma = tf.reduce_sum(x * _LUMA, axis=-1, keepdims=True)
        x = tf.clip_by_value(luma + 2 ** (config.aug_saturation * (2 * u['saturation'] - 1)) * (x - luma), 0, 255)
    log_gain = tf.zeros([3])
    if config.aug_exposure:
        # exp and log are four times faster than a power; 0 stays 0
        gamma = 2 ** (config.aug_exposure * (u['gamma'] - 0.5))
        x = 255 * tf.exp(gamma * tf.math.log(tf.maximum(x, 0) / 255))
        # stops are of light; levels are a power of it
        log_gain += config.aug_exposure * (2 * u['exposure'] - 1) / _DISPLAY_GAMMA
    if config.aug_color:
        log_gain += config.aug_color * tf.stack([n['red'], 0.0, n['blue']])
    if config.aug_low_light:
        log_gain += tf.where(low_light, _log2(_between(0.2, 0.5, u['darkness'])), 0)
    if config.aug_exposure or config.aug_color or config.aug_low_light:
        # sensors clip at white, too
        x = tf.minimum(x * 2**log_gain, 255)
    return x


def _log2(x):
    return tf.math.log(x) / tf.math.log(2.0)


def _blur(x, sigma):
    # padding cannot mirror more than the whole image
    radius = min(_BLUR_RADIUS, x.shape[1])
    place = tf.range(-radius, radius + 1, dtype=tf.float32)
    kernel = tf.exp(-((place / sigma) ** 2) / 2)
    kernel = tf.tile((kernel / tf.reduce_sum(kernel))[:, None, None, None], [1, 1, 3, 1])
    margin = [radius, radius]
    x = tf.pad(x, [[0, 0], margin, margin, [0, 0]], 'SYMMETRIC')
    for one_way in (kernel, tf.transpose(kernel, [1, 0, 2, 3])):
        x = tf.nn.depthwise_conv2d(x, one_way, [1, 1, 1, 1], 'VALID')
    return x


def _scale_down(x, factor, smoothly):
    size = x.shape[1:3]
    small = tf.image.resize(x, tf.cast(tf.round(tf.cast(size, tf.float32) / factor), tf.int32), 'area')
    return tf.cond(
        smoothly, lambda: tf.image.resize(small, size, 'bicubic'), lambda: tf.image.resize(small, size, 'bilinear')
    )


def _add_noise(x, level, shared, seed):
    """Gaussian noise of standard deviation `level`: one field for all images, and if `shared` for all channels."""

    def field(channels):
        return tf.broadcast_to(tf.random.stateless_normal([*x.shape[1:3], channels], seed), x.shape[1:])

    return x + level * tf.cond(shared, lambda: field(1), lambda: field(3))


def _gray(x):
    luma = tf.reduce_sum(tf.cast(x, tf.float32) * _LUMA, axis=-1, keepdims=True)
    return tf.tile(tf.cast(tf.round(luma), tf.uint8), [1, 1, 1, 3])


def _compress(x, quality):
    return tf.stack([tf.image.adjust_jpeg_quality(image, quality) for image in tf.unstack(x)])
