"""Choosing a photo and the faces in it: where it is dropped, the photo with its faces marked, and which of them."""

import pathlib
from collections.abc import Collection
from typing import Any, NamedTuple

import gradio as gr
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from gaze_tf.editing.editor import GazeEditor, Work
from gaze_tf.inference.faces import NOT_CHOSEN
from gaze_tf.media.animation import shrink
from gaze_tf.media.formats import WRITTEN, output_name
from gaze_tf.media.photo import Photo
from gaze_tf.page.sessions import Session
from gaze_tf.page.words import told

# in pixels: the longest side of photos in the browser, and of those with marks; the width of a close-up
_SHOWN, _MARKED, _NEAR = 2048, 900, 1200
_CHOSEN, _OTHER, _LEFT_ALONE = '#14b8a6', '#ffffff', '#f59e0b'


class Picker(NamedTuple):
    """drop: takes a photo. marked: shows its faces. faces: the chosen ones, by number."""

    drop: gr.File
    marked: gr.Image
    faces: gr.CheckboxGroup

    @classmethod
    def make(cls, name: str) -> 'Picker':
        """Draws it. name: for its ids in the page."""
        return cls(
            gr.File(
                label='Drop a photo here, paste it, or click',
                file_types=['image'],
                height=130,
                elem_id=f'{name}-drop',
                elem_classes='drop',
            ),
            gr.Image(
                label='Faces found', visible=False, interactive=False, buttons=[], height=260, elem_id=f'{name}-marked'
            ),
            gr.CheckboxGroup(label='Whose eyes', visible=False, elem_id=f'{name}-faces'),
        )

    def show(self, session: Session, chosen: Collection[int]) -> list[Any]:
        """New values of `marked` and `faces`."""
        work = session.photo()
        usable = [report.index for report in work.reports if report.done]
        choices = [(f'Face {index + 1}', index) for index in usable]
        return [
            gr.update(value=session.show('marked', mark(work, chosen)), visible=True),
            gr.update(choices=choices, value=list(chosen), visible=len(usable) > 1),
        ]


def open_photo(editor: GazeEditor, session: Session, path: str) -> list[int]:
    """Makes an uploaded photo that of the Session; returns the numbers of the faces to begin with. Raises gr.Error."""
    taken = session.take('photo', path)
    with told(taken.name):
        photo = Photo.open(taken)
        # all of it is in memory
        taken.unlink()
        work = editor.prepare(photo, faces='all')
    session.work = work
    session.before = None
    return [report.index for report in work.reports if report.done][:1]


def with_chosen(work: Work, chosen: Collection[int]) -> Work:
    """A Work with all faces, reduced to some of them."""
    return work._replace(
        reports=[
            report if report.reason or report.index in chosen else report._replace(done=False, reason=NOT_CHOSEN)
            for report in work.reports
        ],
        cuts={index: cut for index, cut in work.cuts.items() if index in chosen},
    )


def result_name(work: Work) -> str:
    """The name of the result's file: that of the photo, with another suffix if that is a format that is only read."""
    assert work.photo is not None
    name = pathlib.Path(output_name(work.photo.path))
    return name.name if name.suffix.lower() in WRITTEN else f'{name.stem}.png'


def mark(work: Work, chosen: Collection[int]) -> Image.Image:
    """The photo with a numbered frame around each face."""
    image = Image.fromarray(shrink(work.rgb, None, _MARKED)[0])
    draw, scale = ImageDraw.Draw(image), image.width / work.rgb.shape[1]
    line = max(max(image.size) // 150, 2)
    font = ImageFont.load_default(7 * line)
    for report in work.reports:
        x0, y0, x1, y1 = (value * scale for value in report.face.box or report.face.eyes)
        color = _CHOSEN if report.index in chosen else _OTHER if report.done else _LEFT_ALONE
        draw.rectangle((x0, y0, x1, y1), outline=color, width=line)
        # the number stands on the frame, so that it hides no face
        number, top = str(report.index + 1), max(y0 - 9 * line, 0)
        draw.rectangle((x0, top, x0 + 4 * line + font.getlength(number), top + 9 * line), color)
        draw.text((x0 + 2 * line, top + 4.5 * line), number, 'black', font, anchor='lm')
    return image


def eyes_of(work: Work, chosen: Collection[int]) -> tuple[int, int, int, int]:
    """(left, upper, right, lower) of the part of a photo around the eyes of the chosen faces."""
    eyes = np.array([report.face.eyes for report in work.reports if report.index in chosen]).reshape(-1, 2, 2)
    apart = np.hypot(*(eyes[:, 1] - eyes[:, 0]).T)[:, None, None]
    low, high = (eyes - 0.8 * apart).min((0, 1)), (eyes + 0.8 * apart).max((0, 1))
    height, width = work.rgb.shape[:2]
    left, upper = (int(value) for value in np.clip(low, 0, [width - 1, height - 1]))
    right, lower = (int(value) for value in np.clip(high, [left + 1, upper + 1], [width, height]))
    return left, upper, right, lower


def part(rgb: np.ndarray, box: tuple[int, int, int, int] | None) -> Image.Image:
    """What the browser shows of a photo, uint8 [H, W, 3]: all of it, or a box of it as a close-up."""
    if box is None:
        return Image.fromarray(shrink(rgb, None, _SHOWN)[0])
    left, upper, right, lower = box
    size = _NEAR, max(round(_NEAR * (lower - upper) / (right - left)), 1)
    return Image.fromarray(rgb[upper:lower, left:right]).resize(size, Image.Resampling.LANCZOS)
