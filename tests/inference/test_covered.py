"""Eyes that are covered are left alone, and those that are seen are not."""

import json

import numpy as np
import pytest
from PIL import Image, ImageFilter

from gaze_tf.datasets import from_photos as dataset
from gaze_tf.editing import source_files, video
from gaze_tf.editing.editor import GazeEditor
from gaze_tf.editing.face_reports import report_faces
from gaze_tf.editing.options import VideoOptions
from gaze_tf.editing.tracking import Found, Tracker
from gaze_tf.inference.faces import Face, Limits, why_not
from gaze_tf.media.video_files import write_video
from tests import photos, tiny

# by hand in tests/data/portrait.png, as its README has them; she looks at the camera, so the irises are there, too
EYES = np.array([[128, 100.5], [172, 103]])
FACE = Face(tuple(EYES.ravel()), tuple(EYES.ravel()), eye_width=18.8, openness=(0.33, 0.33), yaw=0.0, roll=3.0)
COVERED = 'its eyes are covered'
LEFT, RIGHT, BOTH = (0,), (1,), (0, 1)


def portrait():
    return photos.portrait((300, 300))


def hidden(level, eyes=BOTH, soft=1.0, bar=False):
    """The portrait, uint8, with ellipses or bars over eyes; level: what they show, a function of x and y in eye widths
    from the middle of an eye."""
    rgb = np.array(portrait(), float)
    y, x = np.mgrid[:300, :300] + 0.5
    for middle in EYES[list(eyes)]:
        along, down = (x - middle[0]) / FACE.eye_width, (y - middle[1]) / FACE.eye_width
        inside = np.minimum(1 - abs(along), 0.7 - abs(down)) if bar else 0.7 * (1 - np.hypot(along, down / 0.7))
        mask = np.clip(inside * FACE.eye_width / soft + 0.5, 0, 1)[..., None]
        rgb += mask * (np.stack(np.broadcast_arrays(*level(along, down)), axis=-1) - rgb)
    return np.clip(np.rint(rgb), 0, 255).astype(np.uint8)


def plain(*values):
    return lambda along, down: [value + 0 * along for value in values]


def sloping(along, down):
    return [60 + 50 * down + 20 * along] * 3


def strands(along, down):
    return [70 + 35 * np.sin(25 * along + 6 * down) + 15 * np.sin(61 * along)] * 3


SKIN = 214, 170, 145
COVERS = {
    'sunglasses': (plain(20, 20, 24), BOTH),
    'patch': (plain(12, 12, 12), LEFT),
    'mid-grey': (plain(128, 128, 128), RIGHT),
    'gradient': (sloping, BOTH),
    'soft gradient': (sloping, LEFT, 6.0),
    'hand': (plain(*SKIN), BOTH, 4.0),
    'hand, one eye': (plain(*SKIN), RIGHT),
    'hair': (strands, BOTH),
    'white bar': (plain(250, 250, 250), BOTH, 1.0, True),
    'black bar': (plain(0, 0, 0), BOTH, 1.0, True),
}


def reason_of(rgb, face=FACE, **options):
    (report,) = report_faces(rgb, lambda photo: [face], **options)
    assert report.done == (not report.reason)
    return report.reason


def scaled(face, scale):
    eyes, irises = (tuple(scale * value for value in points) for points in (face.eyes, face.irises))
    return face._replace(eyes=eyes, irises=irises, eye_width=scale * face.eye_width)


@pytest.mark.parametrize('cover', COVERS.values(), ids=COVERS)
def test_covered(cover):
    assert reason_of(hidden(*cover)) == COVERED


@pytest.mark.parametrize('scale', [0.68, 3])
@pytest.mark.parametrize('cover', ['sunglasses', 'hand, one eye'])
def test_covered_in_other_sizes(cover, scale):
    picture = Image.fromarray(hidden(*COVERS[cover])).resize([round(300 * scale)] * 2, Image.Resampling.LANCZOS)
    assert reason_of(np.array(picture), scaled(FACE, scale)) == COVERED


@pytest.mark.parametrize(
    'change',
    [
        lambda rgb: rgb,
        lambda rgb: rgb // 3,
        lambda rgb: np.array(Image.fromarray(rgb).filter(ImageFilter.GaussianBlur(1.4))),
        lambda rgb: rgb // 2 + 120,
        lambda rgb: np.clip(rgb + np.random.default_rng(0).normal(0, 12, rgb.shape), 0, 255).astype(np.uint8),
        lambda rgb: np.repeat(rgb[..., 1:2], 3, axis=-1),
        # a shadow from the side, and one over the eyes
        lambda rgb: (rgb * np.linspace(0.3, 1, 300)[:, None]).astype(np.uint8),
        lambda rgb: (rgb * np.clip(np.linspace(-1.5, 2, 300), 0.4, 1)[:, None, None]).astype(np.uint8),
    ],
    ids=['untouched', 'dark', 'blurred', 'faint', 'noisy', 'grey', 'side light', 'hat'],
)
def test_seen(change):
    assert reason_of(change(np.array(portrait()))) == ''


@pytest.mark.parametrize('scale', [0.68, 4])
def test_seen_in_other_sizes(scale):
    picture = portrait().resize([round(300 * scale)] * 2, Image.Resampling.LANCZOS)
    assert reason_of(np.array(picture), scaled(FACE, scale)) == ''


def test_seen_in_a_mirror_and_at_the_border():
    rgb = np.array(portrait())
    mirrored = (300, 0) - EYES[::-1] * (1, -1)
    face = FACE._replace(eyes=tuple(mirrored.ravel()), irises=tuple(mirrored.ravel()), roll=-3.0)
    assert reason_of(rgb[:, ::-1], face) == ''
    shifted = tuple((EYES - (116, 88)).ravel())
    assert reason_of(rgb[88:, 116:], FACE._replace(eyes=shifted, irises=shifted)) == ''


def test_closed_eyes_are_not_covered():
    closed, rgb = FACE._replace(openness=(0.3, 0.05)), hidden(*COVERS['hand'])
    assert reason_of(rgb, closed) == 'an eye is open by 0.05 of its width (at least 0.12)'
    assert reason_of(rgb, closed, limits=Limits(min_openness=0)) == ''


def test_how_surely_eyes_must_be_seen():
    rgb = hidden(*COVERS['sunglasses'])
    assert reason_of(rgb, limits=Limits(min_seen=0)) == ''
    assert reason_of(np.array(portrait()), limits=Limits(min_seen=1)) == COVERED


def test_of_what_is_not_known_nothing_is_said():
    rgb = hidden(*COVERS['sunglasses'])
    assert reason_of(rgb, eyes=FACE.eyes) == ''
    for name in ('irises', 'eye_width', 'openness'):
        assert reason_of(rgb, FACE._replace(**{name: None})) == ''


def test_a_photo_is_not_cut_out():
    work = GazeEditor(tiny.Painter(), detector=lambda rgb: [FACE]).prepare(hidden(*COVERS['patch']))
    assert [report.reason for report in work.reports] == [COVERED] and not work.cuts


def test_a_video_is_corrected_where_eyes_are_seen(tmp_path):
    with write_video(tmp_path / 'in.mp4', (300, 300), 25) as out:
        for k in range(36):
            out.write(hidden(*COVERS['sunglasses']) if 12 <= k < 24 else np.array(portrait()))
    source = source_files.Source(tmp_path / 'in.mp4', None, tmp_path / 'out.mp4')
    editor = GazeEditor(tiny.Painter(), detector=lambda rgb: [FACE])
    video.correct(editor, source, tmp_path / 'report.csv', VideoOptions(fade=0.2, cuts=False))
    rows = [row.split(',') for row in (tmp_path / 'report.csv').read_text().splitlines()[1:]]
    assert [row[-1] for row in rows] == [''] * 12 + [COVERED] * 12 + [''] * 12
    assert {row[-2] for row in rows[12:24]} == {'0.000'} and rows[0][-2] == rows[-1][-2] == '1.000'


def strengths(faces):
    tracker = Tracker(30, limits=why_not, cuts=False)
    done = [each for face in faces for each in tracker.push(None, [Found(face)])] + tracker.finish()
    return np.array([tracked.strength for _, (tracked,) in done])


def test_a_blink_in_which_eyes_seem_covered_is_one():
    blink = [FACE._replace(openness=(wide, wide), seen=seen) for wide, seen in [(0.17, 0.1), (0.05, None), (0.14, 0.2)]]
    covered = [FACE._replace(seen=0.1)] * 3
    seen = [FACE._replace(seen=0.9)] * 20
    # frames whose strength is less than 1: those of the blink and 2 before and after, or a quarter of a second
    for between, faded in (blink, 3 + 2 * 2), (covered, 3 + 2 * 7):
        found = strengths(seen + between + seen)
        assert (found[20:23] == 0).all() and (found < 1).sum() == faded


def test_a_training_set_is_made_without(tmp_path):
    (tmp_path / 'photos').mkdir()
    portrait().save(tmp_path / 'photos' / 'seen.png')
    Image.fromarray(hidden(*COVERS['hair'])).save(tmp_path / 'photos' / 'hair.png')
    sources = [dataset.PhotoFolder(tmp_path / 'photos', 'x')]
    counts, rejects = dataset.make(sources, tmp_path / 'out', lambda rgb: [FACE], img_size=64)
    assert counts == {'x': 1, 'y': 0} and [reject['reason'] for reject in rejects] == [COVERED]
    assert json.loads((tmp_path / 'out' / 'rejects.json').read_text()) == rejects
