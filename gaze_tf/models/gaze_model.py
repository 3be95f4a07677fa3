"""GazeModel: owns the networks of the dual in-painting model and is the one forward pass.

paper   here               original scope   maps
E_c     content_encoder    Gr               one eye crop → content code
E_r     angle_encoder      encode           both eye crops → angle code r
G_x     g_x                Gx               masked image, mask, c → image (GCM)
G_y     g_y                Gy               masked image, mask, r, c → image (GAM)
D_x     d_x                Dx               image, eye crops → logit
D_y     d_y                Dy               image, eye crops → logit
–       palette_encoder    –                one eye crop → its palette (ours, with `palette`)
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from gaze_tf.compositing.eye_boxes import eye_boxes
from gaze_tf.config import ModelConfig
from gaze_tf.models import degrees, detail, geometry
from gaze_tf.models.discriminator import discriminator
from gaze_tf.models.encoders import angle_encoder, content_encoder, palette_encoder
from gaze_tf.models.inpainting import InpaintingGenerator

_MAKERS: dict[str, Callable[[ModelConfig], tf.Module]] = {
    'content_encoder': content_encoder,
    'angle_encoder': angle_encoder,
    'g_x': lambda config: InpaintingGenerator(config, (config.content_size,), 'g_x'),
    'g_y': lambda config: InpaintingGenerator(config, (2, config.content_size), 'g_y'),
    'd_x': lambda config: discriminator(config, 'd_x'),
    'd_y': lambda config: discriminator(config, 'd_y'),
    'palette_encoder': palette_encoder,
}


# without AutoGraph, which Keras would run over each layer's `call`: there is no control flow to convert
@tf.autograph.experimental.do_not_convert
def make_network(name: str, config: ModelConfig) -> Any:
    """A new network of the name that it has in GazeModel."""
    return _MAKERS[name](config)


class Faces(NamedTuple):
    """A batch of faces, real or painted, with all that the networks read from them."""

    image: tf.Tensor  # [B, S, S, 3] in [-1, 1]
    mask: tf.Tensor  # [B, S, S, 1], 1 inside the eye boxes
    masked: tf.Tensor  # [B, S, S, 3], the image without its eyes: 0 inside the eye boxes
    boxes: tf.Tensor  # [B, 2, 4] left and right eye box (y0, x0, y1, x1), whole pixels
    left: tf.Tensor  # [B, c, c, 3] left eye crop
    right: tf.Tensor  # [B, c, c, 3] right eye crop
    content: tf.Tensor  # [B, content_size] content code c of both eyes (zeros without use_pam)
    palette: Any  # [B, palette_size] colors of both eyes in [-1, 1]; None without palettes


class Canvas(NamedTuple):
    """Faces without their eyes, encoded by G_y: encoded once, painted on any number of times."""

    faces: Faces
    encoded: list  # G_y's bottleneck and skips


class GazeModel(tf.Module):
    """The networks and what they compute together, for training, export and tests alike.

    `native_crops`: whether eye crops may use the native operation, which is faster but unknown to XLA.
    `discriminators`: whether to make D_x and D_y, which only training needs.
    `calibration`: what the angle codes of trained weights mean in degrees; None if nobody measured that.
    """

    def __init__(self, config: ModelConfig, native_crops: bool = True, discriminators: bool = True):
        super().__init__(name='gaze_model')
        self.config = config
        self.calibration: Any = None
        self._native_crops = native_crops
        self.content_encoder = make_network('content_encoder', config)
        self.angle_encoder = make_network('angle_encoder', config)
        self.g_x, self.g_y = make_network('g_x', config), make_network('g_y', config)
        self.d_x: Any = make_network('d_x', config) if discriminators else None
        self.d_y: Any = make_network('d_y', config) if discriminators else None
        self.palette_encoder = make_network('palette_encoder', config) if config.palette else None

    @property
    def configurations(self) -> dict[str, Any]:
        """{group: Options} that describe the model beside its weights; see `config.save`."""
        return {'model': self.config, **({'calibration': self.calibration} if self.calibration else {})}

    @property
    def serving_networks(self) -> dict[str, Any]:
        """{name: network} of the networks that correct and animate: all but the discriminators."""
        names = ['content_encoder', 'angle_encoder', 'g_x', 'g_y'] + ['palette_encoder'] * bool(self.palette_encoder)
        return {name: getattr(self, name) for name in names}

    def look(self, image: tf.Tensor, eyes: tf.Tensor) -> Faces:
        """Faces of images [B, S, S, 3] in [-1, 1] with eyes at [B, 4] pixels."""
        boxes = eye_boxes(eyes, self.config)
        mask = geometry.eye_mask(boxes, self.config.img_size)
        return self._describe(image, mask, geometry.masked(image, mask), boxes)

    def correct(self, faces: Faces) -> Faces:
        """G_x: the faces with eyes that look at the camera (x̃ from x, ỹˣ from y)."""
        encoded = self.g_x.encode(faces.masked, faces.mask)
        return self._repainted(faces, self.g_x.paint(encoded, faces.boxes, faces.content, palette=faces.palette))

    def canvas(self, faces: Faces) -> Canvas:
        """The faces as a canvas for G_y."""
        return Canvas(faces, self.g_y.encode(faces.masked, faces.mask))

    def animate(self, canvas: Canvas, like: Faces, corrected: Faces | None = None) -> Faces:
        """G_y: the canvas with the gaze and the content of the eyes of `like` (ỹ from y, ŷ from ỹˣ).

        With gaze_free_content, the content is that of `corrected` (ỹˣ), which is needed then.
        """
        content = like.content
        if self.config.gaze_free_content:
            assert corrected is not None
            content = corrected.content
        return self._animate(canvas, self.angle(like), content, like.palette)

    def interpolate(self, canvas: Canvas, corrected: Faces, alpha: tf.Tensor | float) -> Faces:
        """G_y: the canvas with eyes between its own (alpha 0) and `corrected` (1); alpha: scalar or [B, 1]."""

        def between(own, looking):
            return None if own is None else alpha * looking + (1 - alpha) * own

        faces = canvas.faces
        return self._animate(
            canvas,
            between(self.angle(faces), self.angle(corrected)),
            corrected.content if self.config.gaze_free_content else between(faces.content, corrected.content),
            between(faces.palette, corrected.palette),
        )

    def look_at(self, canvas: Canvas, corrected: Faces, directions: tf.Tensor) -> Faces:
        """G_y: the canvas with eyes that look in directions [B, 2] (see `models.degrees`). Needs a calibration."""
        angle = self.angle(corrected) + degrees.to_offset(self.calibration, directions)
        return self._animate(canvas, angle, corrected.content, canvas.faces.palette)

    def direction(self, faces: Faces, corrected: Faces) -> tf.Tensor:
        """Where the eyes look, [B, 2] (see `models.degrees`), by E_r. Needs a calibration."""
        return degrees.to_degrees(self.calibration, self.angle(faces) - self.angle(corrected))

    def angle(self, faces: Faces) -> tf.Tensor:
        """E_r: the angle code r [B, 2]."""
        return self.angle_encoder([faces.left, faces.right])

    def _animate(self, canvas, angle, content, palette):
        eyes = self.g_y.paint(canvas.encoded, canvas.faces.boxes, angle, content, palette=palette)
        return self._repainted(canvas.faces, eyes)

    def _repainted(self, faces, eyes):
        image = faces.masked + eyes
        if self.config.match_detail:
            image = detail.match(image, faces.image, faces.mask)
        return self._describe(image, faces.mask, faces.masked, faces.boxes)

    def _describe(self, image, mask, masked, boxes):
        left, right = geometry.eye_crops(image, boxes, self.config.crop_px, self._native_crops)
        return Faces(image, mask, masked, boxes, left, right, *self._codes(left, right))

    def _codes(self, left, right):
        """(content, palette) of Faces."""
        eyes, palette = tf.concat([left, right], axis=0), None
        if self.config.use_pam:
            content = tf.concat(tf.split(self.content_encoder(eyes)[0], 2), axis=1)
        else:
            content = tf.zeros([tf.shape(left)[0], self.config.content_size])
        if self.palette_encoder:
            colors = tf.reshape(self.palette_encoder(eyes), [-1, self.config.palette_size // 2])
            palette = tf.concat(tf.split(colors, 2), axis=1)
        return content, palette
