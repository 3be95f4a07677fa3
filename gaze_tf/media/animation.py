"""Moving eyes as a file: the gaze's course over time, and GIF or video."""

import pathlib

import imageio.v3 as iio
import numpy as np
from PIL import Image

from gaze_tf.easing import ease
from gaze_tf.errors import GazeError
from gaze_tf.files import new_file
from gaze_tf.media import marks
from gaze_tf.media.photo_reading import MAX_PIXELS

# the shortest pause that browsers keep to is 2 hundredths of a second
GIF_MAX_FPS = 50
EASINGS = {'smooth': ease, 'linear': lambda t: t}


def course(first, last, frames, easing='smooth', ping_pong=True):
    """The alpha of each frame: `frames` numbers from first to last, then back again with `ping_pong`.

    easing: 'smooth' starts and ends slowly, 'linear' does not.
    """
    there = first + (last - first) * EASINGS[easing](np.linspace(0, 1, frames))
    return np.concatenate([there, there[-2:0:-1]]) if ping_pong else there


def refuse_too_much(path, frames, size):
    """Raises GazeError if so many frames of so many pixels (width, height) cannot be held for the file that `path` names."""
    if pathlib.Path(path).suffix.lower() == '.gif' and frames * size[0] * size[1] > MAX_PIXELS:
        raise GazeError(
            f'{path} would have {frames} frames of {size[0]}x{size[1]} pixels, more than '
            f'{MAX_PIXELS // 10**6} million pixels in all: lower --frames or --max_side, or write an .mp4.'
        )


def write(path, frames, fps, mark=False):
    """Writes frames (an iterable of uint8 [H, W, 3]) as an endless GIF or as a video, by the path's suffix, whole or not
    at all; raises GazeError. A GIF shows at most GIF_MAX_FPS. mark: whether XMP says that a trained model made parts of it."""
    path = pathlib.Path(path)
    if path.suffix.lower() == '.gif':
        _write_gif(path, np.stack(list(frames)), fps, mark)
        return
    from gaze_tf.media.video_files import write_video

    frames = iter(frames)
    first = next(frames)
    with write_video(path, first.shape[1::-1], fps, mark=mark) as video:
        video.write(first)
        for frame in frames:
            video.write(frame)


def pauses(count, fps):
    """How long each of a GIF's frames is shown, in hundredths of a second, so that together they keep to the rate."""
    ends = np.arange(count + 1) * 100 / min(fps, GIF_MAX_FPS)
    return np.diff(np.round(ends)).astype(int).tolist()


def _write_gif(path, frames, fps, mark):
    milliseconds = [10 * pause for pause in pauses(len(frames), fps)]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with new_file(path) as file:
            iio.imwrite(file.name, frames, extension='.gif', duration=milliseconds, loop=0)
            if mark:
                marks.mark_gif(file.name)
    except OSError as error:
        raise GazeError(f'--output: {path} cannot be written ({error}).') from error


def reduced(rgb, eyes, side):
    """A photo uint8 [H, W, 3] and its eyes (or None) with a longer side of at most `side` pixels."""
    scale = side / max(rgb.shape[:2])
    if scale >= 1:
        return rgb, eyes
    size = [max(round(length * scale), 1) for length in rgb.shape[1::-1]]
    eyes = eyes and tuple(value * size[k % 2] / rgb.shape[1 - k % 2] for k, value in enumerate(eyes))
    return np.asarray(Image.fromarray(rgb).resize(size, Image.Resampling.LANCZOS)), eyes
