"""Eyes of videos that stay quiet: those that look at the camera are left alone."""

import numpy as np
import pytest
from PIL import Image

from gaze_tf.editing.editor import GazeEditor
from gaze_tf.editing.eye_contact import AT_CAMERA, gaze_moved
from gaze_tf.editing.tracking import Found, Tracker
from gaze_tf.inference.faces import Face
from gaze_tf.turning.turn import EyeTurner
from tests.paths import DATA

FPS = 30
FADE = 8  # frames: 0.25 s
FACE = Face((50.0, 100.0, 110.0, 100.0), openness=(0.3, 0.3), yaw=0.0)
CLOSED = FACE._replace(openness=(0.0, 0.0))


def shut(face):
    return 'closed' if face.openness and min(face.openness) < 0.1 else ''


def reports(moved, faces=None, **options):
    """moved: in each frame what painting moves the gaze, or None → (strengths [N], reasons)."""
    tracker = Tracker(FPS, limits=shut, cuts=False, **options)
    done = []
    for k, degrees in enumerate(moved):
        done += tracker.push(k, [Found(faces[k] if faces else FACE, moved=degrees)])
    done += tracker.finish()
    return np.array([one.strength for _, (one,) in done]), [one.reason for _, (one,) in done]


def sampled(degrees):
    """Measured in every eighth frame, four times a second, with noise."""
    noise = np.random.default_rng(0).normal(0, 0.5, len(degrees))
    return [value + error if k % 8 == 0 else None for k, (value, error) in enumerate(zip(degrees, noise))]


def test_eyes_at_the_camera_are_left_alone_and_painted_again_before_they_leave():
    degrees = np.where(np.arange(240) < 60, 3.0, np.where(np.arange(240) < 120, 20.0, 3.0))
    found, reasons = reports(sampled(degrees))
    # from the first frame on: what lies ahead is known
    assert (found[: 60 - 2 * FADE] == 0).all() and set(reasons[: 60 - 2 * FADE]) == {AT_CAMERA}
    assert (found[60 : 120 + FPS // 2] == 1).all() and set(reasons[60 : 120 + FPS // 2]) == {''}
    assert (found[120 + 2 * FPS :] == 0).all()
    assert abs(np.diff(found)).max() < 1.6 / FADE


@pytest.mark.parametrize('before, expected', [(20.0, 1), (3.0, 0)])
def test_between_the_thresholds_nothing_changes(before, expected):
    found, _ = reports(sampled(np.where(np.arange(200) < 60, before, 7.75)))
    assert (found[70:] == expected).all()


def test_a_glance_at_the_camera_is_no_reason_to_stop():
    away = np.where((np.arange(160) >= 60) & (np.arange(160) < 60 + FPS), 3.0, 20.0)
    assert (reports(sampled(away))[0] == 1).all()


def test_blinks_do_not_tell_where_eyes_look():
    closed = (np.arange(120) >= 60) & (np.arange(120) < 66)
    found, reasons = reports(sampled(np.where(closed, 40.0, 3.0)), [CLOSED if now else FACE for now in closed])
    assert (found == 0).all() and set(np.array(reasons)[closed]) == {'closed'}


def test_what_is_not_measured_is_painted():
    assert (reports([None] * 60)[0] == 1).all()


@pytest.mark.parametrize('options', [{'fade_s': 0}, {'window_s': 0}, {'fade_s': 0, 'window_s': 0}, {'fade_s': 1}])
def test_any_fade_and_smoothing(options):
    degrees = np.where((np.arange(400) >= 200) & (np.arange(400) < 300), 20.0, 3.0)
    found, _ = reports(sampled(degrees), **options)
    assert (found[100:120] == 0).all() and (found[210:300] == 1).all()
    steps = abs(np.diff(found)).max()
    assert steps == 1 if options.get('fade_s') == 0 else steps < 1.6 / max(options.get('fade_s', 0.25) * FPS - 1, 1)


@pytest.fixture(scope='module')
def portrait(face_models):
    """(what corrects with the model that comes with gaze_tf, what turns the eyes of the test portrait)"""
    from gaze_tf.inference.mediapipe_detector import MediapipeDetector

    detector = MediapipeDetector()
    with Image.open(DATA / 'portrait.png') as image:
        rgb = np.asarray(image.convert('RGB'))
    (face,) = detector(rgb)
    return GazeEditor.load(detector=detector), EyeTurner(rgb, face, detector), face


@pytest.mark.parametrize(
    'change',
    [lambda rgb: rgb, lambda rgb: rgb * 0.6, lambda rgb: rgb + np.random.default_rng(0).normal(0, 5, rgb.shape)],
    ids=['as it is', 'dark', 'noisy'],
)
def test_how_far_eyes_look_past_the_camera(portrait, change):
    editor, turner, face = portrait

    def moved(yaw, pitch):
        rgb = np.clip(change(turner.render(yaw, pitch).astype(float)), 0, 255).astype(np.uint8)
        frame = editor.align_face(face, rgb)
        cut = frame.cut(rgb).numpy()
        return gaze_moved(
            cut, editor.network.correct(cut[None], frame.eyes[None])[0], frame.eyes, editor.network.boxes(frame.eyes)
        )

    # she looks about 5 degrees past it herself, for mediapipe's irises, too
    assert moved(0, 0) < 7
    for angles in ((20, 0), (-20, 0), (0, 18), (0, -18)):
        assert 9 < moved(*angles) < 35
