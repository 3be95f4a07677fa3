"""Faces on sequences made by hand, and what a Tracker makes of them."""

import numpy as np
from PIL import Image

from gaze_tf.editing.tracking import Found, Tracker
from gaze_tf.inference.faces import Face
from tests.paths import DATA

FPS = 30
FADE = 8  # frames: 0.25 s
BETWEEN = 60  # pixels from eye to eye
PHOTOS = [
    np.array(Image.open(DATA / name).convert('RGB').resize((160, 120)))
    for name in ('portrait.png', 'astronaut_128.png')
]


def face(x, y=100.0, openness=0.3, yaw=0.0):
    """A Face whose left eye is at (x, y)."""
    return Face((x, y, x + BETWEEN, y), openness=(openness, openness), yaw=yaw)


def limits(found):
    """As the editor's: turned away or closed."""
    if abs(found.yaw) > 30:
        return 'turned away'
    return 'closed' if found.openness is not None and min(found.openness) < 0.1 else ''


def track(found, frames=None, **options):
    """found: for each frame its Faces, or (Face, code, look)s or the first of these → for each frame its Trackeds."""
    tracker = Tracker(FPS, limits=limits, cuts=frames is not None, **options)
    frames = list(range(len(found))) if frames is None else frames
    result = []
    for frame, faces in zip(frames, found):
        result += tracker.push(frame, [Found(*one) if type(one) is tuple else Found(one) for one in faces])
    result += tracker.finish()
    assert len(result) == len(found) and all(a is b for (a, _), b in zip(result, frames))
    return [tracked for _, tracked in result]


def strengths(found, frames=None, **options):
    """Of the one face that is in every frame but those where it is lost (0)."""
    return np.array([sum(one.strength for one in tracked) for tracked in track(found, frames, **options)])


def errors(x, noise, **options):
    """True path of the left eye [N] → smoothed minus true eyes [N, 4], of noisy measurements."""
    rng = np.random.default_rng(0)
    true = np.array([face(value).eyes for value in x], float)
    measured = true + rng.normal(0, noise, true.shape)
    tracked = track([[Face(tuple(eyes), openness=(0.3, 0.3), yaw=0)] for eyes in measured], **options)
    assert all([one.track for one in ones] == [0] for ones in tracked)
    return np.array([ones[0].face.eyes for ones in tracked]) - true


TIMES = np.arange(200)
LOOKS = np.eye(3)


def of(which, tracked):
    """For each frame the value `which` of its chosen tracks."""
    return [[getattr(one, which) for one in ones if one.chosen] for ones in tracked]


def numbers(tracked, y):
    """The numbers of the tracks that the face at the height y has."""
    return {one.track for ones in tracked for one in ones if abs(one.found_eyes[1] - y) < 1}


def sized(x, side, y=100.0):
    """A Face with a box."""
    return face(x, y)._replace(box=(x, y, x + side, y + side))


def changed(photo, change):
    return np.clip(change(photo.astype(float)), 0, 255).astype(np.uint8)
