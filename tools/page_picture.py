"""python -m tools.page_picture --output=docs/page.jpg

Takes the picture of `gaze-tf page` in docs/page.md: the portrait of the tests, with eyes turned by 20 degrees, is
corrected there. It needs chromium and playwright (pip install '.[dev,page]'), which downloads nothing. --dark and
--phone show the other looks.
"""

import io
import os
import pathlib
import shutil
import tempfile

from absl import app, flags
from PIL import Image

# for TensorFlow: its start-up messages bury the rest
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

PORTRAIT = pathlib.Path(__file__).resolve().parents[1] / 'tests' / 'data' / 'portrait.png'
YAW = 20

flags.DEFINE_string('output', None, 'The JPEG to write.')
flags.DEFINE_boolean('dark', False, 'The dark look.')
flags.DEFINE_boolean('phone', False, 'At the size of a phone.')
flags.mark_flag_as_required('output')
FLAGS = flags.FLAGS


def main(_):
    from playwright.sync_api import sync_playwright

    from gaze_tf.inference.detectors import make_detector
    from gaze_tf.page.options import PageOptions
    from gaze_tf.page.serve import serve
    from gaze_tf.turning.turn import turn_photo

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        turned = pathlib.Path(folder) / 'portrait.png'
        with Image.open(PORTRAIT) as image:
            image.convert('RGB').resize((1024, 1024), Image.Resampling.BICUBIC).save(turned)
        turn_photo(turned, YAW, 0, make_detector()).save(turned)
        browser = driver.chromium.launch(executable_path=shutil.which('chromium'), args=['--no-sandbox'])
        size = {'width': 390, 'height': 844} if FLAGS.phone else {'width': 1280, 'height': 800}
        page = browser.new_page(viewport=size, color_scheme='dark' if FLAGS.dark else 'light')
        with serve(PageOptions(browser=False)) as url:
            page.goto(url)
            page.set_input_files('#photo-drop input[type=file]', turned)
            page.get_by_text('Face 1 is changed').wait_for()
            # so that the divider shows one eye before, and the other one after
            page.get_by_label('Close-up of the eyes').check()
            page.wait_for_function("() => document.querySelector('#photo-result img').naturalWidth === 1200")
            page.wait_for_timeout(1000)
            picture = page.screenshot(full_page=True)
            browser.close()
    Image.open(io.BytesIO(picture)).convert('RGB').save(FLAGS.output, quality=80, optimize=True)


if __name__ == '__main__':
    app.run(main)
