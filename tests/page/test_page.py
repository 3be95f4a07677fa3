"""`gaze-tf page` in a real browser."""

import io
import json
import os
import pathlib
import re
import statistics
import time
import urllib.error
import urllib.request

import numpy as np
import pytest
from PIL import Image

from gaze_tf.media import xmp

pytestmark = pytest.mark.slow
# around the eyes of the portrait, which are at 128, 100.5 and 172, 103 of 300 pixels
BOX = slice(280, 420), slice(350, 680)
# the addresses of the pictures before and after; nothing while the browser puts others in their place
PICTURES = """() => {
  const pictures = [...document.querySelectorAll('#photo-result img')];
  const there = pictures.length > 1 && pictures.every((each) => each.complete && each.naturalWidth && each.currentSrc);
  return there && pictures.map((each) => each.currentSrc).join();
}"""
# moves a slider; seconds until the new picture is there
MOVE = """async ([label, value]) => {
  const pictures = PICTURES;
  const slider = [...document.querySelectorAll('input[type=range]')].find(
    (each) => each.offsetParent && each.getAttribute('aria-label').includes(label));
  while (!pictures()) await new Promise(requestAnimationFrame);
  const before = pictures(), start = performance.now();
  slider.value = value;
  slider.dispatchEvent(new Event('input', { bubbles: true }));
  while (!pictures() || pictures() === before) await new Promise(requestAnimationFrame);
  return (performance.now() - start) / 1000;
}""".replace('PICTURES', PICTURES)


def drop(page, path, name='photo'):
    page.set_input_files(f'#{name}-drop input[type=file]', path)


def opened(page, path, name='photo'):
    """Drops a photo, and waits for the result."""
    drop(page, path, name)
    page.wait_for_function(PICTURES)


def shown(page, other_than=''):
    """The pictures before and after, as arrays, int, once they are there and not at the addresses `other_than`."""
    addresses = page.wait_for_function(
        f'(old) => {{ const now = ({PICTURES})(); return now !== old && now; }}', arg=other_than
    )
    pictures = {
        pathlib.Path(address).stem: page.request.get(address).body() for address in addresses.json_value().split(',')
    }
    return [np.array(Image.open(io.BytesIO(pictures[name]))).astype(int) for name in ('before', 'after')]


def saved(page, button, folder):
    with page.expect_download() as download:
        page.click(button)
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path


def test_a_photo_is_corrected_while_the_slider_moves(open_page, files, tmp_path):
    page = open_page()
    opened(page, files / 'portrait.png')
    page.get_by_text('Face 1 is changed').wait_for()
    seconds = [page.evaluate(MOVE, ['Strength', value]) for value in (50, 60, 70, 80, 90)]
    print(f'slider: {seconds} s')
    assert statistics.median(seconds) < 2
    before, after = shown(page)
    assert before.shape == after.shape == (1024, 1024, 3)
    assert abs(before - after)[BOX].max() > 20
    result = saved(page, '#photo-save', tmp_path)
    assert result.name == 'portrait.png'
    with Image.open(files / 'portrait.png') as was, Image.open(result) as now:
        assert now.mode == was.mode and now.info['dpi'] == was.info['dpi']
        was, now = np.array(was).astype(int), np.array(now).astype(int)
    assert abs(now - was)[BOX].max() > 20
    was[BOX] = now[BOX]
    np.testing.assert_array_equal(now, was)
    # not at all: the photo itself, byte by byte
    page.evaluate(MOVE, ['Strength', 0])
    assert saved(page, '#photo-save', tmp_path).read_bytes() == (files / 'portrait.png').read_bytes()


def test_eyes_look_where_the_sliders_say(open_page, files):
    page = open_page()
    opened(page, files / 'portrait.png')
    page.get_by_text('Face 1 is changed').wait_for()
    at_camera = shown(page)[1]
    for name, degrees, axis, moved in (('Horizontal', 18, 1, 1), ('Horizontal', -18, 1, -1), ('Vertical', 18, 0, -1)):
        page.evaluate(MOVE, ['Horizontal', 1])
        page.evaluate(MOVE, [name, degrees])
        shift = middle_of_iris(shown(page)[1])[axis] - middle_of_iris(at_camera)[axis]
        assert moved * shift > 2, (name, degrees, shift)


def middle_of_iris(picture):
    """(y, x) of the middle of the dark pixels of the left eye."""
    eye = picture[320:366, 395:480].mean(-1)
    dark = np.clip(90 - eye, 0, None)
    return [(dark * at).sum() / dark.sum() for at in np.indices(eye.shape)]


def test_each_eye_on_its_own_and_the_mark(open_page, files, tmp_path):
    page = open_page()
    opened(page, files / 'portrait.jpg')
    page.get_by_label('Move each eye on its own').check()
    page.get_by_text('Eye on the left of the picture').wait_for()
    page.evaluate(MOVE, ['left', 0])
    page.get_by_label('Mark the file as edited with AI').locator('visible=true').check()
    result = saved(page, '#photo-save', tmp_path)
    with Image.open(files / 'portrait.jpg') as was, Image.open(result) as now:
        assert now.format == 'JPEG' and now.getexif()[0x10F] == 'Lens' and xmp.MARK.encode() in now.info['xmp']
        changed = abs(np.array(now).astype(int) - np.array(was))[BOX].max((0, 2))
    assert changed[:165].max() < 20 < changed[165:].max()
    page.get_by_label('Close-up of the eyes').check()
    page.wait_for_function("() => document.querySelector('#photo-result img').naturalWidth === 1200")


@pytest.mark.parametrize(
    'name, words', [('holiday.jpg', 'holiday.jpg: this is not a photo'), ('sky.png', 'No face was found in this photo')]
)
def test_what_cannot_be_corrected(open_page, files, name, words):
    page = open_page()
    drop(page, files / name)
    page.get_by_text(words).first.wait_for()
    assert page.locator('#photo-save').is_disabled()
    # and the next one can
    opened(page, files / 'portrait.png')
    page.locator('#photo-save:enabled').wait_for()


def test_a_photo_of_12_000_pixels(open_page, files, tmp_path):
    page = open_page()
    opened(page, files / 'wide.jpg')
    before, after = shown(page)
    assert before.shape == after.shape == (171, 2048, 3)
    with Image.open(saved(page, '#photo-save', tmp_path)) as result:
        assert result.size == (12000, 1000)


def test_two_tabs_at_once(open_page, files, server):
    def kept():
        # files come and go meanwhile, which os.walk bears
        return {
            pathlib.Path(path).parts[-2] for path, _, names in os.walk(server.folder) if 'sessions' in path and names
        }

    earlier = kept()
    one, other = open_page(), open_page()
    opened(one, files / 'two.png')
    (first,) = kept() - earlier
    opened(other, files / 'portrait.png')
    one.get_by_text('Face 2 was not chosen').wait_for()
    of_one_face = one.wait_for_function(PICTURES).json_value()
    one.get_by_label('Face 2').locator('visible=true').check()
    one.get_by_text('Face 2 is changed').wait_for()
    before, after = shown(one, of_one_face)
    assert abs(before - after)[:500].max() > 20 and abs(before - after)[520:].max() > 20
    other.evaluate(MOVE, ['Strength', 30])
    assert not other.get_by_text('Face 2').locator('visible=true').count()
    assert first in kept()
    one.close()
    for _ in range(50):
        if first not in kept():
            break
        time.sleep(0.1)
    # nothing is left of the tab that was closed, and the other one works on
    assert first not in kept() and len(kept() - earlier) == 1
    other.evaluate(MOVE, ['Strength', 60])


def test_a_photo_that_is_pasted(open_page, files):
    page = open_page()
    page.evaluate(
        """async (bytes) => {
          const data = new DataTransfer();
          data.items.add(new File([new Uint8Array(bytes)], 'image.jpg', { type: 'image/jpeg' }));
          document.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, bubbles: true }));
        }""",
        [*(files / 'portrait.jpg').read_bytes()],
    )
    page.get_by_text('Face 1 is changed').wait_for()


def test_an_animation(open_page, files, tmp_path):
    page = open_page('Animate')
    drop(page, files / 'large.jpg', 'animate')
    page.wait_for_selector('#animate-marked img')
    page.click('#animate-make')
    page.wait_for_selector('#animate-gif img')
    with Image.open(saved(page, '#animate-file', tmp_path)) as gif:
        assert (gif.format, gif.n_frames, gif.size) == ('GIF', 20, (1080, 1080))
    page.get_by_label('MP4').check()
    page.click('#animate-make')
    page.wait_for_selector('#animate-mp4 video')
    assert saved(page, '#animate-file', tmp_path).name == 'large.mp4'


def test_a_video(open_page, files, tmp_path):
    page = open_page('Video')
    drop(page, files / 'talk.mp4', 'video')
    page.get_by_text('talk.mp4, 0:01, 640 x 480 pixels').wait_for()
    page.get_by_label('Also repaint eyes').check()
    page.click('#video-preview')
    page.wait_for_selector('#video-frames img')
    page.click('#video-start')
    page.click('#video-stop')
    page.get_by_text('Canceled; nothing was kept.').wait_for()
    page.click('#video-start')
    page.wait_for_selector('#video-result video')
    page.get_by_text('Done: 25 frames, eyes repainted in 25.').wait_for()
    assert saved(page, '#video-file', tmp_path).name == 'talk_corrected.mp4'
    drop(page, files / 'holiday.mp4', 'video')
    page.get_by_text('holiday.mp4: ').first.wait_for()


def test_the_camera(open_page):
    page = open_page('Camera')
    page.get_by_text('Click to Access Webcam').click()
    page.get_by_role('button', name='capture photo').click()
    page.wait_for_selector('#camera-out img')
    page.wait_for_timeout(3000)
    words = page.inner_text('#camera-status')
    print(f'camera: {words}')
    assert float(re.search(r'(\d+) frames/s, \d+ ms', words)[1]) >= 1
    page.wait_for_function("() => document.querySelector('#camera-out img').naturalWidth === 640")


def test_a_report(open_page, tmp_path):
    page = open_page('Report')
    (tmp_path / 'index.html').write_text('<h1>Secret</h1><script>document.body.innerHTML = "Ran"</script>')
    (tmp_path / 'images').mkdir()

    def open_report():
        page.fill('#report-folder input, #report-folder textarea', str(tmp_path))
        page.click('#report-open')

    open_report()
    page.get_by_text('gaze-tf evaluate writes a folder').wait_for()
    (tmp_path / 'report.json').write_text(json.dumps({'results': {}}))
    open_report()
    assert page.frame_locator('#report iframe').locator('body').inner_text() == 'Secret'


def test_phones(open_page, files):
    page = open_page()
    page.emulate_media(color_scheme='dark')
    page.set_viewport_size({'width': 390, 'height': 844})
    opened(page, files / 'portrait.jpg')
    assert page.evaluate('document.documentElement.scrollWidth') == 390


def test_nothing_is_asked_of_other_computers(browser, server):
    asked = {url for url in browser.asked if not url.startswith(('data:', 'blob:', 'about:'))}
    assert asked and {url for url in asked if not url.startswith(server.url)} == set()


@pytest.mark.parametrize(
    'path, headers, data',
    [
        ('gradio_api/upload', {'Origin': 'http://example.com'}, b''),
        ('gradio_api/upload', {'Origin': 'null'}, b''),
        ('gradio_api/queue/join', {'Origin': 'http://localhost:1'}, b'{}'),
        ('', {'Host': 'example.com'}, None),
        ('config', {'Sec-Fetch-Site': 'cross-site'}, None),
        ('gradio_api/file=https://example.com/a.png', {}, None),
        ('gradio_api/file=/etc/passwd', {}, None),
    ],
)
def test_others_are_refused(server, path, headers, data):
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(urllib.request.Request(server.url + path, data, headers))
    assert refused.value.code in (403, 404)
    with urllib.request.urlopen(server.url) as answer:
        assert answer.status == 200
