"""One server, `gaze-tf page`, and one browser, Debian's chromium, for all tests of the page."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import types

import numpy as np
import pytest
from PIL import Image

from gaze_tf.media.video_files import write_video
from tests import photos, videos
from tests.paths import ROOT

CAMERA = 640, 480


def need(found, what):
    """Skips tests without what they need; on a CI machine they fail."""
    if not found:
        (pytest.fail if os.environ.get('CI') else pytest.skip)(f'needs {what}')


@pytest.fixture(scope='session')
def files(tmp_path_factory):
    """A folder with what is uploaded: photos, and a video of one face, which is also what the camera shows."""
    folder = tmp_path_factory.mktemp('uploads')
    with Image.open(photos.PORTRAIT) as image:
        portrait = image.convert('RGB').resize((1024, 1024), Image.Resampling.BICUBIC)
    portrait.save(folder / 'portrait.jpg', quality=95, exif=b'Exif\0\0' + photos.block((0x10F, 2, 5, b'Lens\0')))
    portrait.save(folder / 'portrait.png', dpi=(96, 96))
    portrait.resize((1200, 1200)).save(folder / 'large.jpg')
    two = Image.new('RGB', (1024, 1024))
    two.paste(portrait.resize((520, 520)), (0, 0))
    two.paste(portrait.resize((480, 480)), (540, 500))
    two.save(folder / 'two.png')
    wide = Image.new('RGB', (12000, 1000), 'gray')
    wide.paste(portrait.resize((1000, 1000)), (5000, 0))
    wide.save(folder / 'wide.jpg', quality=90)
    Image.fromarray(np.linspace(0, 255, 300 * 400 * 3).astype(np.uint8).reshape(300, 400, 3)).save(folder / 'sky.png')
    for name in ('holiday.jpg', 'holiday.mp4'):
        (folder / name).write_text('neither')
    still = Image.new('RGB', CAMERA, 'gray')
    still.paste(portrait.resize((480, 480)), (80, 0))
    with write_video(folder / 'talk.mp4', CAMERA, 25) as video:
        for _ in range(25):
            video.write(np.array(still))
    videos.ffmpeg('-i', folder / 'talk.mp4', '-c:v', 'mjpeg', '-q:v', 3, folder / 'camera.mjpeg')
    return folder


@pytest.fixture(scope='session')
def server(tmp_path_factory):
    """The command, as a user starts it: its address, and the folder with its temporary files.

    At the end it is told to stop, and must leave nothing.
    """
    need(importlib.util.find_spec('gradio'), "pip install '.[page]'")
    folder = tmp_path_factory.mktemp('temporary')
    command = [sys.executable, '-u', '-m', 'gaze_tf.cli.main', 'page', '--nobrowser']
    # other settings than XLA's of the tests, which make painting slow
    environment = {name: value for name, value in os.environ.items() if name != 'XLA_FLAGS'}
    with subprocess.Popen(
        command, cwd=ROOT, env={**environment, 'TMPDIR': str(folder)}, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            words = ''
            while not (found := re.search(r'http://\S+', words)):
                line = process.stdout.readline()
                assert line, words
                words += line
            yield types.SimpleNamespace(url=found[0], folder=folder, process=process)
        finally:
            process.terminate()
            process.wait(20)
    assert [path.name for path in folder.iterdir() if not path.name.startswith('__autograph')] == []


@pytest.fixture(scope='session')
def browser(server, files):
    """A browser window whose camera shows the video. `asked`: the addresses that its pages have asked for."""
    need(importlib.util.find_spec('playwright'), "pip install '.[dev]'")
    from playwright import sync_api

    chromium = shutil.which('chromium')
    need(chromium, 'a browser: apt-get install chromium')
    camera = [
        '--use-fake-device-for-media-stream',
        '--use-fake-ui-for-media-stream',
        f'--use-file-for-fake-video-capture={files / "camera.mjpeg"}',
    ]
    with sync_api.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=['--no-sandbox', *camera])
        window = browser.new_context(viewport={'width': 1280, 'height': 800})
        window.set_default_timeout(30_000)
        window.asked = []
        window.on('request', lambda request: window.asked.append(request.url))
        yield window
        browser.close()


@pytest.fixture
def open_page(browser, server):
    """Opens the page in a browser tab of its own, at one of its tabs."""
    pages = []

    def open_page(tab='Photo'):
        page = browser.new_page()
        pages.append(page)
        page.goto(server.url)
        page.get_by_role('tab', name=tab).click()
        return page

    yield open_page
    for page in pages:
        page.close()
