"""The page in Gradio: its tabs, its look, and the server that shows it."""

import pathlib

import gradio as gr
from starlette.middleware import Middleware

from gaze_tf.editing.editor import GazeEditor
from gaze_tf.page import animate, camera, photo, report, video, words
from gaze_tf.page.guard import Guard
from gaze_tf.page.options import PageOptions
from gaze_tf.page.picker import Picker, open_photo
from gaze_tf.page.sessions import Sessions

LOOPBACK = '127.0.0.1', 'localhost', '::1'
# of an upload
_MAX_SIZE = '4gb'
# seconds between two looks for files that nobody took, and their age
_SWEEP = 600, 600
_STYLE = pathlib.Path(__file__).with_name('style.css')
_SCRIPT = pathlib.Path(__file__).with_name('paste.js')


def launch(editors: list[GazeEditor], options: PageOptions, folder: pathlib.Path) -> tuple[gr.Blocks, str]:
    """Starts the server; returns (the page, which is to be closed, and its address). For options see `serve`.

    Args:
      editors: one for photos, one for videos, one for cameras; they work at the same time.
      folder: where files of users are kept while the page is open.

    Raises:
      OSError: the port is taken.
    """
    # served as they are: Gradio would copy each, and keep it
    gr.set_static_paths(folder)
    local = options.host in LOOPBACK
    quick, on_video, on_camera = editors
    page = _build(quick, on_video, on_camera, Sessions(folder), local)
    guard = Middleware(Guard, names=LOOPBACK if local else None)
    _, url, _ = page.launch(
        server_name=options.host,
        server_port=options.port or None,
        inbrowser=options.browser,
        prevent_thread_lock=True,
        share=False,
        quiet=True,
        footer_links=[],
        run_history=False,
        enable_monitoring=False,
        max_file_size=_MAX_SIZE,
        ssr_mode=False,
        mcp_server=False,
        app_kwargs={'middleware': [guard]},
        theme=_theme(),
        css_paths=_STYLE,
        head_paths=_SCRIPT,
    )
    return page, url


def _theme() -> gr.themes.Base:
    """Colors with enough contrast, and fonts that are on every computer: nothing is fetched."""
    fonts = ['system-ui', 'sans-serif']
    return gr.themes.Soft(primary_hue='teal', neutral_hue='slate', font=fonts, font_mono=['monospace']).set(
        background_fill_primary='*neutral_50',
        block_border_width='1px',
        block_label_text_color='*primary_700',
        block_title_text_color='*primary_700',
        block_info_text_color='*neutral_600',
        block_info_text_color_dark='*neutral_300',
        button_primary_background_fill='*primary_700',
        button_primary_background_fill_hover='*primary_800',
        checkbox_border_color='*neutral_500',
        checkbox_border_color_dark='*neutral_400',
    )


def _build(
    quick: GazeEditor, on_video: GazeEditor, on_camera: GazeEditor, sessions: Sessions, local: bool
) -> gr.Blocks:
    """The page. local: whether only this computer can open it; others must not open its folders."""
    with gr.Blocks(title='gaze_tf', analytics_enabled=False, delete_cache=_SWEEP) as page:
        gr.Markdown(words.ABOUT, elem_id='about')
        with gr.Tab('Photo'):
            picker, result = photo.make_tab(quick, sessions)
        with gr.Tab('Animate'):
            pickers = [picker, animate.make_tab(quick, sessions)]
        with gr.Tab('Video'):
            video.make_tab(quick, on_video, sessions)
        with gr.Tab('Camera'):
            camera.make_tab(on_camera, sessions)
        if local:
            with gr.Tab('Report'):
                report.make_tab()
        gr.Markdown(words.LIMITS, elem_id='limits')
        for each in pickers:
            _connect(each, pickers, quick, sessions, result)
        page.unload(sessions.close)
    return page


def _connect(
    picker: Picker, pickers: list[Picker], editor: GazeEditor, sessions: Sessions, result: photo.Shown
) -> None:
    """Connects a Picker: all show the photo that one of them takes, and each has faces chosen of its own."""

    def take(request: gr.Request, path):
        session = sessions.of(request)
        chosen = open_photo(editor, session, path)
        return [None, *(value for each in pickers for value in each.show(session, chosen))]

    def choose(request: gr.Request, chosen):
        return picker.show(sessions.of(request), chosen)[0]

    everywhere = [part for each in pickers for part in (each.marked, each.faces)]
    taken = picker.drop.upload(
        take, picker.drop, [picker.drop, *everywhere], show_progress_on=picker.drop, **photo.LANE
    )
    # after an error, Gradio keeps what was dropped
    taken.failure(lambda: None, None, picker.drop, queue=False)
    taken.success(*result, show_progress='hidden', **photo.LANE)
    chosen = picker.faces.input(choose, picker.faces, picker.marked, show_progress='hidden', **photo.LANE)
    if picker is pickers[0]:
        chosen.success(*result, show_progress='hidden', **photo.LANE)
