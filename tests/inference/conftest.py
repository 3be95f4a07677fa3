"""What the tests of faces share."""

import pytest
from PIL import Image

from tests.paths import DATA


@pytest.fixture(scope='session')
def portrait():
    """tests/data/portrait.png, 300x300."""
    with Image.open(DATA / 'portrait.png') as image:
        return image.convert('RGB')
