"""Computes how the gaze moves over time in an animation, and writes animations as GIF or video."""

import pathlib
from collections.abc import Callable, Iterable

import imageio.v3 as iio
import numpy as np
from PIL import Image

from gaze_tf.easing import ease
from gaze_tf.errors import GazeError
from gaze_tf.files import new_file
from gaze_tf.media import ai_mark
from gaze_tf.media.photo_reading import MAX_PIXELS

# browsers show no frame for less than 2 hundredths of a second
GIF_MAX_FPS = 50
EASINGS: dict[str, Callable[[np.ndarray], np.ndarray]] = {'smooth': ease, 'linear': lambda t: t}


def compute_alphas(
    first: float, last: float, frames: int, easing: str = 'smooth', ping_pong: bool = True
) -> np.ndarray:
    """Returns the alpha of each frame, float [N]: `frames` numbers from first to last, then back again with
    `ping_pong`.

    easing: 'smooth' starts and ends slowly, 'linear' does not.
    """
    there = first + (last - first) * EASINGS[easing](np.linspace(0, 1, frames))
    return np.concatenate([there, there[-2:0:-1]]) if ping_pong else there


def check_size(path: pathlib.Path | str, frames: int, size: tuple[int, ...]) -> None:
    """Raises GazeError if an animation has too many pixels for the format of `path`.

    frames: number of frames; size: their (width, height).
    """
    if pathlib.Path(path).suffix.lower() == '.gif' and frames * size[0] * size[1] > MAX_PIXELS:
        raise GazeError(
            f'this GIF would have {frames} frames of {size[0]}x{size[1]} pixels, more than {MAX_PIXELS // 10**6} '
            'million pixels in all: lower `frames` or `max_side`, or write an .mp4.',
            path,
        )


def write(path: pathlib.Path | str, frames: Iterable[np.ndarray], fps: float, mark: bool = False) -> None:
    """Writes an animation, which appears whole or not at all. Raises GazeError if it cannot be written.

    Args:
      path: its suffix is the format: .gif for a GIF that repeats endlessly, or one of a video.
      frames: uint8 [H, W, 3] each.
      fps: frames per second; GIFs show at most GIF_MAX_FPS.
      mark: whether the XMP says that a model made parts of the pictures.
    """
    path = pathlib.Path(path)
    if path.suffix.lower() == '.gif':
        _write_gif(path, np.stack(list(frames)), fps, mark)
        return
    from gaze_tf.media.video_files import write_video

    frames = iter(frames)
    first = next(frames)
    with write_video(path, (first.shape[1], first.shape[0]), fps, mark=mark) as video:
        video.write(first)
        for frame in frames:
            video.write(frame)


def compute_pauses(count: int, fps: float) -> list[int]:
    """Returns how long each frame of a GIF is shown, in hundredths of a second; their sum is right for the rate."""
    ends = np.arange(count + 1) * 100 / min(fps, GIF_MAX_FPS)
    return np.diff(np.round(ends)).astype(int).tolist()


def _write_gif(path: pathlib.Path, frames: np.ndarray, fps: float, mark: bool) -> None:
    milliseconds = [10 * pause for pause in compute_pauses(len(frames), fps)]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with new_file(path) as file:
            iio.imwrite(file.name, frames, extension='.gif', duration=milliseconds, loop=0)
            if mark:
                ai_mark.mark_gif(file.name)
    except OSError as error:
        raise GazeError(f'cannot be written ({error}).', path) from error


def shrink(rgb: np.ndarray, eyes: tuple[float, ...] | None, side: int) -> tuple[np.ndarray, tuple[float, ...] | None]:
    """Scales a photo, uint8 [H, W, 3], and its eyes (x, y, x, y) down to a longer side of at most `side` pixels."""
    scale = side / max(rgb.shape[:2])
    if scale >= 1:
        return rgb, eyes
    size = [max(round(length * scale), 1) for length in rgb.shape[1::-1]]
    eyes = eyes and tuple(value * size[k % 2] / rgb.shape[1 - k % 2] for k, value in enumerate(eyes))
    return np.asarray(Image.fromarray(rgb).resize(size, Image.Resampling.LANCZOS)), eyes
