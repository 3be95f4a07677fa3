"""The tab for animations of a photo."""

import gradio as gr

from gaze_tf.editing.editor import GazeEditor
from gaze_tf.editing.options import AnimationOptions
from gaze_tf.inference.faces import Face
from gaze_tf.media import animation
from gaze_tf.page import words
from gaze_tf.page.controls import make_mark
from gaze_tf.page.photo import LANE
from gaze_tf.page.picker import Picker, result_name, with_chosen
from gaze_tf.page.sessions import Sessions

_EASINGS = [('Slow at both ends', 'smooth'), ('At one speed', 'linear')]
_FORMATS = [('GIF: plays everywhere', 'gif'), ('MP4: smaller, finer colors', 'mp4')]


def make_tab(editor: GazeEditor, sessions: Sessions) -> Picker:
    """Draws the tab; returns its Picker."""
    with gr.Row(elem_classes='work'):
        with gr.Column():
            picker = Picker.make('animate')
        with gr.Column():
            make = gr.Button('Animate', variant='primary', elem_id='animate-make')
            still = gr.Image(label='Animation', interactive=False, buttons=['fullscreen'], elem_id='animate-gif')
            moving = gr.Video(label='Animation', visible=False, autoplay=True, loop=True, elem_id='animate-mp4')
            file = gr.DownloadButton('Download', interactive=False, elem_id='animate-file')
        with gr.Column():
            first = gr.Slider(-40, 140, 0, step=1, label='From', info='0: as in the photo. 100: at the camera.')
            last = gr.Slider(-40, 140, 100, step=1, label='To', info='Below 0 and above 100 the eyes go beyond.')
            easing = gr.Radio(_EASINGS, value='smooth', label='Movement')
            kind = gr.Radio(_FORMATS, value='gif', label='File')
            mark = make_mark()

    def animate(request: gr.Request, faces, first, last, easing, kind, mark):
        session = sessions.of(request)
        work = session.photo()
        if not faces:
            raise words.error('Choose whose eyes move: no face is chosen.')
        path = session.new_path('animation', f'{result_name(work).rpartition(".")[0]}.{kind}')
        with words.told(path.name):
            options = AnimationOptions(alpha=(first / 100, last / 100), easing=easing, mark=mark)
            _write(path, editor, with_chosen(work, faces), options)
        gif = kind == 'gif'
        return (
            gr.update(value=str(path) if gif else None, visible=gif),
            gr.update(value=None if gif else str(path), visible=not gif),
            gr.update(value=str(path), interactive=True),
        )

    make.click(
        animate, [picker.faces, first, last, easing, kind, mark], [still, moving, file], show_progress_on=still, **LANE
    )
    return picker


def _write(path, editor, work, options):
    """Writes the animation of a Work, in the size that options allow."""
    rgb, _ = animation.shrink(work.rgb, None, options.max_side)
    scale = rgb.shape[1] / work.rgb.shape[1]
    # the faces are known: numbers of faces that were found anew might differ
    found = [_scaled(report.face, scale) for report in work.reports]
    course = animation.compute_alphas(*options.alpha, options.frames, options.easing, options.ping_pong)
    animation.check_size(path, len(course), rgb.shape[1::-1])
    smaller = GazeEditor(editor.network, editor.limits, lambda _: found)
    frames, _ = smaller.animate(rgb, course, faces=[*work.cuts])
    animation.write(path, frames, options.fps, options.mark)


def _scaled(face: Face, scale: float) -> Face:
    def times(values):
        return values and tuple(value * scale for value in values)

    width = face.eye_width and face.eye_width * scale
    return face._replace(
        eyes=tuple(value * scale for value in face.eyes),
        irises=times(face.irises),
        eye_width=width,
        box=times(face.box),
    )
