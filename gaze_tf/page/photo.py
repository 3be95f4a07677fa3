"""The tab for photos: the result appears while a slider moves."""

from collections.abc import Callable
from typing import Any, NamedTuple

import gradio as gr

from gaze_tf.editing.editor import GazeEditor
from gaze_tf.page import words
from gaze_tf.page.controls import make_controls, make_mark, paint_arguments
from gaze_tf.page.picker import Picker, eyes_of, part, result_name, with_chosen
from gaze_tf.page.sessions import Sessions

# one at a time, as a detector has a state
LANE: dict[str, Any] = {'concurrency_limit': 1, 'concurrency_id': 'photo', 'api_visibility': 'private'}
# on a click of the other button, the browser fetches the file from this one, which is hidden
_FETCH = "() => document.querySelector('#photo-file').click()"


class Shown(NamedTuple):
    """How the result is shown: a function, its inputs and its outputs in the page."""

    show: Callable
    inputs: list[Any]
    outputs: list[Any]


def make_tab(editor: GazeEditor, sessions: Sessions) -> tuple[Picker, Shown]:
    """Draws the tab; returns its Picker, and what shows the result."""
    with gr.Row(elem_classes='work'):
        with gr.Column():
            picker = Picker.make('photo')
        with gr.Column():
            result = gr.ImageSlider(
                label='Before and after',
                interactive=False,
                buttons=['fullscreen'],
                max_height=560,
                elem_id='photo-result',
            )
            near = gr.Checkbox(False, label='Close-up of the eyes', elem_id='photo-near')
            notes = gr.Markdown(elem_id='photo-notes')
            save = gr.Button('Download', variant='primary', interactive=False, elem_id='photo-save')
            file = gr.DownloadButton('', visible='hidden', elem_id='photo-file')
        with gr.Column():
            controls = make_controls(editor.network.reach)
            mark = make_mark()

    def paint(session, faces, values):
        work = with_chosen(session.photo(), faces)
        return editor.paint([work], **paint_arguments(*values))[0]

    def show(request: gr.Request, near, faces, *values):
        session = sessions.of(request)
        if session.work is None:
            return [gr.skip()] * 3
        box = eyes_of(session.work, faces) if near and faces else None
        edited = paint(session, faces, values)
        if session.before is None or session.before[0] != box:
            session.before = box, session.show('before', part(session.work.rgb, box))
        after = session.show('after', part(edited.image, box))
        ready = gr.update(interactive=bool(session.work.cuts))
        return (session.before[1], after), words.describe(edited.faces), ready

    def write(request: gr.Request, mark, faces, *values):
        session = sessions.of(request)
        work = session.photo()
        path = session.new_path('result', result_name(work))
        with words.told(path.name):
            paint(session, faces, values).save(path, mark)
        return str(path)

    shown = Shown(show, [near, picker.faces, *controls], [result, notes, save])
    for control in [near, *controls]:
        # only the newest place of a slider counts
        control.input(*shown, show_progress='hidden', trigger_mode='always_last', **LANE)
    save.click(write, [mark, picker.faces, *controls], file, **LANE).success(None, js=_FETCH)
    return picker, shown
