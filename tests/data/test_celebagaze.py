"""CelebAGaze's layout: names and rows as they are written and read."""

import numpy as np
import pytest

from gaze_tf.data import celebagaze


@pytest.mark.parametrize(
    'text, name',
    [
        ('plain-1', 'plain-1'),
        ('a..b', 'a.b'),
        ('a....b', 'a.b'),
        ('x.jpg', 'x_jpg'),
        ('x.JPEG', 'x_JPEG'),
        ('', '_'),
        ('a b/c\\d', 'a_b_c_d'),
        ('caf\udce9', 'caf_'),
        ('..', '_'),
        ('\n', '_'),
        ('ü' * 150, 'ü' * 100),
        ('n' * 196 + '.jpg.jpg', 'n' * 196 + '_jpg'),
        ('x.jpg.jpg', 'x.jpg_jpg'),
        ('.jpg', '_jpg'),
    ],
)
def test_usable_names(text, name):
    assert celebagaze.usable_name(text) == name
    celebagaze.check_name(name)
    assert celebagaze.parse_row(f'{name} 1 2 3 4'.encode())[0] == name


def test_what_is_written_is_what_is_read(tmp_path):
    celebagaze.make_folders(tmp_path, twins=True)
    image = np.full((32, 32, 3), 99, np.uint8)
    celebagaze.save_image(celebagaze.image_folder(tmp_path, 'x'), 'a', image)
    celebagaze.save_image(celebagaze.image_folder(tmp_path, 'y'), 'b', image)
    eyes = {'x': np.array([3, 4, 20, 5]), 'y': np.float32([3.04, 4.25, 20, 5])}
    celebagaze.write_tables(tmp_path, {'x': [('a', eyes['x'])], 'y': [('b', eyes['y'])]})
    truth = celebagaze.iris_columns(np.array([[1, 2], [3, 4.0006]]), 'twin_')
    celebagaze.write_truth(tmp_path, [{'name': 'b', 'twin': 'twins/b.png', **truth}])
    assert (tmp_path / '1.txt').read_text() == 'a 3 4 20 5\n'
    assert (tmp_path / '0.txt').read_text() == 'b 3.0 4.2 20.0 5.0\n'
    (row,) = celebagaze.read_domain(tmp_path, 'y').rows
    assert (row.name, row.eyes) == ('b', (3.0, 4.2, 20.0, 5.0)) and row.path == tmp_path / '0' / 'b.jpg'
    (row,) = celebagaze.with_twins(tmp_path, [row])
    assert row.twin == tmp_path / 'twins' / 'b.png'
    header, line = (tmp_path / 'truth.csv').read_text().splitlines()
    assert header == ','.join(celebagaze.TRUTH_COLUMNS)
    assert line == ',b,,,,,,,,,,twins/b.png,1.000,2.000,3.000,4.001'


@pytest.mark.parametrize(
    'name, eyes, message',
    [
        ('a b', (1, 2, 3, 4), 'single spaces'),
        ('a/b', (1, 2, 3, 4), 'not a name for a file'),
        ('a.jpg', (1, 2, 3, 4), 'without its extension'),
        ('a', (-1, 2, 3, 4), 'outside the image'),
        ('a', (3, 2, 3, 4), 'smaller than right_x'),
        ('a', (float('nan'), 2, 3, 4), 'not a number'),
        ('a', (1, 2, 3), 'has 4 fields'),
    ],
)
def test_rows_that_could_not_be_read_are_not_written(tmp_path, name, eyes, message):
    with pytest.raises(celebagaze.GazeError, match=message):
        celebagaze.write_tables(tmp_path, {'x': [(name, eyes)], 'y': []})
    assert not list(tmp_path.iterdir())


def test_images_get_only_names_of_rows(tmp_path):
    with pytest.raises(celebagaze.GazeError, match='not a name for a file'):
        celebagaze.save_image(tmp_path, '../a', np.zeros((8, 8, 3), np.uint8))


def test_unique_names():
    taken = {'a'}
    assert [celebagaze.unique_name(text, taken) for text in ('a', 'a', 'b  c', 'd.jpg')] == [
        'a-2',
        'a-3',
        'b_c',
        'd_jpg',
    ]
    assert taken == {'a', 'a-2', 'a-3', 'b_c', 'd_jpg'}
