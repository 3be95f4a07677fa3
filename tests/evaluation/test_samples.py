"""Held-out faces and their truth: what is read, and what of bad data is said."""

import shutil

import numpy as np
import pytest
from PIL import Image

from gaze_tf.compositing.align import align_face
from gaze_tf.errors import GazeError
from gaze_tf.evaluation.samples import Samples
from tests import rendered, tiny

ZOOMED = 0.2, 0.45, 0.8, 0.45


@pytest.fixture
def folder(rendered_dir, tmp_path):
    """A copy that may be spoiled."""
    return shutil.copytree(rendered_dir, tmp_path / 'faces')


def edit_truth(folder, change):
    path = folder / 'truth.csv'
    path.write_text('\n'.join(change(path.read_text().splitlines())) + '\n')


def test_the_last_rows_are_held_out(rendered_dir):
    samples = rendered.samples(rendered_dir)
    rows = (rendered_dir / '0.txt').read_text().splitlines()[-8:]
    assert samples.names['y'] == [row.split()[0] for row in rows] and len(samples.names['x']) == 4
    first = samples.read('y', samples.names['y'][:1])[0]
    assert first.eyes.tolist() == [float(value) for value in rows[0].split()[1:]]
    assert [len(part) for part in samples.batches('y', 3)] == [3, 3, 2]


def test_truth_and_twins_are_those_of_the_renderer(rendered_dir):
    samples = rendered.samples(rendered_dir)
    for sample in samples.read('y', samples.names['y']):
        row = rendered.truth(rendered_dir)[sample.name]
        assert sample.truth.gaze.tolist() == [float(row['yaw_deg']), float(row['pitch_deg'])]
        assert sample.truth.twin_iris[1].tolist() == [float(row[f'twin_right_iris_{axis}']) for axis in 'xy']
        assert (sample.twin == np.array(Image.open(rendered_dir / row['twin']))).all()
    assert samples.has_truth and samples.drawn and samples.shared_identities == 0


def test_another_size_scales_pixels_by_their_centers(rendered_dir):
    """By hand: the middle of pixels 0 and 1 is 0.5; of half as many pixels it is the center of pixel 0."""
    small, large = (rendered.samples(rendered_dir, size) for size in (32, 64))
    for a, b in zip(small.read('y', small.names['y']), large.read('y', large.names['y'])):
        assert a.image.shape == a.twin.shape == (32, 32, 3)
        np.testing.assert_allclose(a.eyes, b.eyes / 2)
        np.testing.assert_allclose(a.truth.iris, (b.truth.iris - 0.5) / 2, atol=1e-9)
        assert a.truth.radius == pytest.approx(b.truth.radius / 2)


def test_faces_twins_and_irises_come_into_the_models_frame(rendered_dir):
    whole, zoomed = (
        Samples(rendered_dir, 64, rendered.HELD_OUT, **options) for options in ({}, {'frame_eyes': ZOOMED})
    )
    for a, b in zip(whole.read('y', whole.names['y']), zoomed.read('y', zoomed.names['y'])):
        assert a.photo is None and a.twin_photo is None
        np.testing.assert_allclose(b.eyes, np.multiply(ZOOMED, 64), rtol=1e-6)
        np.testing.assert_array_equal(b.photo, a.image)
        np.testing.assert_array_equal(b.twin_photo, a.twin)
        cut = align_face(a.eyes, (64, 64), 64, ZOOMED).cut(a.image).numpy().astype(int)
        assert np.abs(b.image - cut).mean() < 2
        # positions by hand: the similarity of two pairs of points is a division of complex numbers
        own, eyes = (np.array(points) @ [1, 1j] for points in (np.reshape(a.eyes, (2, 2)), np.reshape(b.eyes, (2, 2))))
        ratio = (eyes[1] - eyes[0]) / (own[1] - own[0])
        for before, after in ((a.truth.iris, b.truth.iris), (a.truth.twin_iris, b.truth.twin_iris)):
            expected = eyes[0] + ratio * ((before + 0.5) @ [1, 1j] - own[0])
            np.testing.assert_allclose((after + 0.5) @ [1, 1j], expected, atol=1e-4)
        assert b.truth.radius == pytest.approx(abs(ratio) * a.truth.radius)


def test_photos_have_no_truth(faces_dir):
    samples = Samples(faces_dir, tiny.SIZE, {'x': 2, 'y': 3})
    assert not samples.has_truth and not samples.drawn and samples.shared_identities is None
    assert all(sample.truth is None and sample.twin is None for sample in samples.read('y', samples.names['y']))


def test_the_fingerprint_is_of_what_is_held_out(folder):
    before = rendered.samples(folder).fingerprint
    assert rendered.samples(folder).fingerprint == before
    (folder / '0' / 'y000000.jpg').write_bytes((folder / '0' / 'y000001.jpg').read_bytes())  # for training
    assert rendered.samples(folder).fingerprint == before
    found = {before, rendered.samples(folder, y=7).fingerprint}
    edit_truth(folder, lambda lines: [*lines[:-1], lines[-1].replace(',test,', ',test,1')])
    found.add(rendered.samples(folder).fingerprint)
    (folder / 'twins' / 'y000005.png').write_bytes((folder / 'twins' / 'y000006.png').read_bytes())
    found.add(rendered.samples(folder).fingerprint)
    (folder / '1' / 'x000007.jpg').write_bytes((folder / '1' / 'x000006.jpg').read_bytes())
    found.add(rendered.samples(folder).fingerprint)
    table = folder / '1.txt'
    table.write_text(table.read_text().replace('x000006 ', 'x000006 1'))
    with pytest.raises(GazeError, match='1.txt:7'):
        rendered.samples(folder)
    assert len(found) == 5


def test_people_of_the_training_rows_are_counted(folder):
    """y000003 is the first that is held out, y000000 to y000002 are not."""
    person = rendered.truth(folder)['y000003']['identity']
    edit_truth(
        folder,
        lambda lines: [
            line.replace(line.split(',')[3], person, 1) if line.startswith('Y,y000000') else line for line in lines
        ],
    )
    assert rendered.samples(folder).shared_identities == 1


@pytest.mark.parametrize(
    'change, message',
    [
        (lambda lines: [lines[0].replace('yaw_deg', 'yaw')] + lines[1:], 'no column yaw_deg'),
        (lambda lines: lines[:-1], 'no row for y000010'),
        (lambda lines: lines[:-1] + [lines[-1].replace(',test,', ',test,,')], 'y000010'),
        (lambda lines: [], 'no column name'),
    ],
)
def test_truth_that_lacks_something(folder, change, message):
    edit_truth(folder, change)
    with pytest.raises(GazeError, match=message):
        rendered.samples(folder)


def test_more_faces_than_were_rendered_for_testing(rendered_dir):
    with pytest.raises(GazeError, match='no twin of y000002'):
        rendered.samples(rendered_dir, y=9)


@pytest.mark.parametrize('counts, message', [({'x': 9}, '`test_x=9` .* has 8 usable'), ({'y': 0}, '`test_y=0`')])
def test_too_few_faces(rendered_dir, counts, message):
    with pytest.raises(GazeError, match=message):
        rendered.samples(rendered_dir, **counts)


def test_folders_that_hold_no_faces(tmp_path):
    for path in (tmp_path / 'none', tmp_path):
        with pytest.raises(GazeError, match='1 is missing: `data` must be a folder'):
            rendered.samples(path)


def test_a_twin_that_cannot_be_read(folder):
    (folder / 'twins' / 'y000004.png').write_bytes(b'no picture')
    with pytest.raises(GazeError, match='twins/y000004.png, the twin of y000004, cannot be read'):
        rendered.samples(folder)


def test_a_twin_of_another_size(folder):
    Image.new('RGB', (32, 32)).save(folder / 'twins' / 'y000004.png')
    with pytest.raises(GazeError, match='y000004.png has 32x32 pixels, and y000004, whose twin it is, 64x64'):
        rendered.samples(folder)


def test_bad_images_are_named_or_left_out(folder):
    (folder / '0' / 'y000004.jpg').write_bytes(b'no picture')
    with pytest.raises(GazeError, match=r'bad rows or images \(1\); .*y000004.jpg.*`skip_bad`'):
        rendered.samples(folder)
    found = Samples(folder, 64, rendered.HELD_OUT, skip_bad=True)
    assert len(found.names['y']) == 7 and 'y000004.jpg' in found.left_out[0]
