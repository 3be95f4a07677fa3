"""The tab for reports of `gaze-tf evaluate`."""

import base64
import html
import json
import mimetypes
import pathlib
import re

import gradio as gr

from gaze_tf.page import words

# what that command writes into the folder of a report
_JSON, _PAGE, _IMAGES = 'report.json', 'index.html', 'images'


def make_tab() -> None:
    """Draws the tab."""
    with gr.Row(equal_height=True):
        folder = gr.Textbox(label='Folder of a report', placeholder='runs/report', scale=4, elem_id='report-folder')
        button = gr.Button('Open', variant='primary', scale=1, min_width=120, elem_id='report-open')
    shown = gr.HTML(elem_id='report')
    gr.on([button.click, folder.submit], show, folder, shown, api_visibility='private')


def show(folder: str) -> str:
    """HTML that shows the report in a folder of this computer, in a frame in which no script runs.

    Raises gr.Error unless it is a folder that `gaze-tf evaluate` wrote: any other page stays closed.
    """
    place = pathlib.Path(folder.strip()).expanduser()
    try:
        known = isinstance(json.loads((place / _JSON).read_text(encoding='utf-8')).get('results'), dict)
        page = (place / _PAGE).read_text(encoding='utf-8')
    except (OSError, ValueError, AttributeError):
        known = False
    if not known:
        raise words.error(
            f'{folder or "The field is empty"}: gaze-tf evaluate writes a folder with {_PAGE} and {_JSON}; name one.'
        )
    page = re.sub(f'src="{_IMAGES}/([^"/]+)"', lambda match: f'src="{_embedded(place / _IMAGES / match[1])}"', page)
    return f'<iframe sandbox title="Report" srcdoc="{html.escape(page)}"></iframe>'


def _embedded(path):
    """A picture as a data: address; '' if there is none."""
    kind = mimetypes.guess_type(path)[0] or ''
    if not kind.startswith('image/') or not path.is_file():
        return ''
    return f'data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}'
