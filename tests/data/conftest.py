"""Fixtures of the tests of data."""

import pytest

from tests.data.raw_folders import FOLDERS, jpeg


@pytest.fixture
def raw(tmp_path):
    """A sound raw folder: 8 images in X, 7 in Y, eyes (i, 10)-(20, 11)."""
    for domain, count in (('x', 8), ('y', 7)):
        folder = tmp_path / 'raw' / FOLDERS[domain]
        folder.mkdir(parents=True)
        for i in range(count):
            (folder / f'{domain}{i}.jpg').write_bytes(jpeg(i + 100 * (domain == 'y')))
        (folder.parent / f'{FOLDERS[domain]}.txt').write_text(
            ''.join(f'{domain}{i} {i} 10 20 11\n' for i in range(count))
        )
    return tmp_path / 'raw'
