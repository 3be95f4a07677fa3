"""Sentences of the page."""

import contextlib
import html
import math
from collections.abc import Iterable, Iterator

import gradio as gr

from gaze_tf.editing.editor import FaceReport
from gaze_tf.editing.video_report import Summary
from gaze_tf.errors import GazeError
from gaze_tf.inference.faces import NOT_CHOSEN

ABOUT = (
    '# gaze_tf\nMakes people in photos and videos look at the camera. Only the eyes are repainted. Your files are '
    'worked on by the computer that runs this page, go nowhere else, and are deleted when you close it.'
)
LIMITS = (
    'A model paints the eyes as it has seen them in portraits of mostly older men and some young adults, so color and '
    'shape can change, most where a photo is unlike those. It fakes eye contact: edit people who agreed to it, tell '
    'viewers, and never use the result as evidence of where somebody looked.'
)


def error(message: str) -> gr.Error:
    """A message that Gradio shows; raise it."""
    return gr.Error(html.escape(message), print_exception=False)


@contextlib.contextmanager
def told(name: str = '') -> Iterator[None]:
    """Shows a GazeError to the user, with the name of the file that was uploaded instead of a path on this computer."""
    try:
        yield
    except GazeError as wrong:
        text = wrong.problem.replace('`', '')
        raise error(f'{name}: {text}' if name else text[:1].upper() + text[1:]) from wrong


def describe(reports: Iterable[FaceReport]) -> str:
    """A line for each FaceReport: what was done, or why nothing was."""
    lines = [f'- **Face {report.index + 1}** {_outcome(report)}.' for report in reports]
    return '\n'.join(lines) or 'No face was found in this photo, so nothing can be changed.'


def _outcome(report: FaceReport) -> str:
    if report.reason == NOT_CHOSEN:
        return 'was not chosen and stays as it is'
    if report.reason:
        return f'was left alone: {report.reason}'
    if report.strength < 1:
        return f'is changed by {report.strength:.0%} of what you ask for, as its head or eyes are turned far'
    return 'is changed'


def describe_video(summary: Summary) -> str:
    """What was done to a video, in sentences."""
    text = [f'Done: {summary.frames} frames, eyes repainted in {summary.repainted}.']
    if summary.at_camera:
        text.append(f'In {summary.at_camera} they look at the camera already and were left alone.')
    return ' '.join([*text, *summary.notes, *filter(None, [summary.problem])])


def clock(seconds: float) -> str:
    """A time as 1:05."""
    return f'{int(seconds) // 60}:{int(seconds) % 60:02}'


def remaining(seconds: float) -> str:
    """About how long something will still take."""
    return f'about {math.ceil(seconds / 60)} minutes left' if seconds > 90 else f'about {math.ceil(seconds)} s left'
