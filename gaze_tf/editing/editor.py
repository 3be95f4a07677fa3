"""Photo in, photo out: a SavedModel applied to aligned face images. Knows the SavedModel, not the networks."""
import pathlib

import imageio.v3 as iio
import numpy as np
import tensorflow as tf
from PIL import Image, UnidentifiedImageError

from gaze_tf.errors import GazeError


class Editor:
    """The signatures of a SavedModel written by `gaze-tf export`, for numpy arrays."""

    def __init__(self, path):
        """Loads the SavedModel; raises GazeError if there is none at `path`."""
        if not (pathlib.Path(path) / 'saved_model.pb').is_file():
            raise GazeError(f'--model: there is no SavedModel in {path}; `gaze-tf export` writes one.')
        try:
            # kept, because the signatures alone do not keep its variables alive
            self._model = tf.saved_model.load(str(path))
            self._correct, self._animate = (self._model.signatures[name] for name in ('correct', 'animate'))
        except (OSError, KeyError, ValueError, tf.errors.OpError) as error:
            raise GazeError(f'--model: {path} cannot be used: {str(error).splitlines()[0]}') from error
        # side of the images that the model takes, in pixels
        self.img_size = self._correct.structured_input_signature[1]['images'].shape[1]

    def correct(self, images, eyes):
        """uint8 [B, S, S, 3] with eyes [B, 4] in pixels → uint8 [B, S, S, 3], looking at the camera."""
        return self._correct(images=tf.constant(images), eyes=tf.constant(eyes, tf.float32))['images'].numpy()

    def animate(self, images, eyes, alphas):
        """The same and K alphas → frames uint8 [B, K, S, S, 3]: alpha 0 as it was, 1 at the camera."""
        alphas = np.tile(np.asarray(alphas, np.float32), [len(images), 1])
        return self._animate(images=tf.constant(images), eyes=tf.constant(eyes, tf.float32),
                             alphas=tf.constant(alphas))['frames'].numpy()


def read_face(path, eyes, img_size):
    """An aligned face image as uint8 [S, S, 3]; raises GazeError if it or its eyes do not fit the model."""
    try:
        with Image.open(path) as image:
            face = np.array(image.convert('RGB'))
    except FileNotFoundError as error:
        raise GazeError(f'--input: there is no file {path}.') from error
    except (OSError, SyntaxError, UnidentifiedImageError) as error:
        raise GazeError(f'--input: {path} cannot be read as an image ({error}).') from error
    height, width = face.shape[:2]
    if (height, width) != (img_size, img_size):
        raise GazeError(f'--input: {path} has {width}x{height} pixels, the model takes aligned faces of '
                        f'{img_size}x{img_size}: crop and resize it so that the eyes are about {img_size * 0.39:.0f} '
                        f'pixels apart and {img_size * 0.36:.0f} from the top.')
    check_eyes(eyes, img_size, path)
    return face


def check_eyes(eyes, img_size, where):
    """Raises GazeError unless eyes (left_x, left_y, right_x, right_y) lie in the image, left before right."""
    if not all(0 <= value < img_size for value in eyes):
        raise GazeError(f'The eyes {list(eyes)} of {where} do not lie in its {img_size}x{img_size} pixels.')
    if eyes[0] >= eyes[2]:
        raise GazeError(f'The eyes {list(eyes)} of {where} are swapped: the one with the smaller x comes first.')


def write_image(path, image):
    """Writes uint8 [H, W, 3] as PNG or as JPEG of quality 95, whole or not at all; raises GazeError."""
    options = {} if path.suffix.lower() == '.png' else {'quality': 95, 'subsampling': 0}
    _write(path, image, options)


def write_gif(path, frames, fps):
    """Writes frames uint8 [K, H, W, 3] as an endless GIF that plays forward and back."""
    there_and_back = np.concatenate([frames, frames[-2:0:-1]])
    _write(path, there_and_back, {'duration': 1000 / fps, 'loop': 0})


def _write(path, pixels, options):
    temporary = path.with_name(f'.{path.name}.part')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            iio.imwrite(temporary, pixels, extension=path.suffix.lower(), **options)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise GazeError(f'--output: {path} cannot be written ({error}).') from error
