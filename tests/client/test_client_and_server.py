"""`gaze-tf client` against `gaze-tf serve` over loopback: what a server corrects is what `gaze-tf correct` gives."""

import numpy as np
import pytest
from PIL import Image

from gaze_tf.cli.main import main
from gaze_tf.client import ClientOptions, GazeClient
from gaze_tf.errors import GazeError
from tests import tiny
from tests.paths import DATA
from tests.sums import serving

PORTRAIT = DATA / 'portrait.png'
EYES = '128,100.5,172,103'


@pytest.fixture(scope='module')
def server(model_dir):
    with serving(model_dir, labels=('stable:1',)) as running:
        yield running


@pytest.fixture(params=['grpc', 'rest'])
def address(request, server):
    """Flags that name the server."""
    return (
        {'server': f'{server.host}:{server.port}'}
        if request.param == 'grpc'
        else {'server': f'{server.host}:{server.rest_port}', 'rest': True}
    )


@pytest.mark.parametrize('suffix', ['png', 'jpg', 'tif'])
def test_what_a_server_corrects_is_what_correct_gives(address, model_dir, tmp_path, suffix):
    photo, local, served = (tmp_path / f'{name}.{suffix}' for name in ('photo', 'local', 'served'))
    with Image.open(PORTRAIT) as image:
        image.convert('RGB').save(photo)
    common = {'input': photo, 'eyes': EYES}
    assert main(['correct', *tiny.arguments(model=model_dir, output=local, **common)]) == 0
    assert main(['client', *tiny.arguments(output=served, **address, **common)]) == 0
    assert served.read_bytes() == local.read_bytes()
    assert not np.array_equal(Image.open(served), Image.open(photo))


def test_versions_labels_and_refusals(address):
    def correct(**which):
        with GazeClient(address['server'], ClientOptions(rest='rest' in address, **which)) as client:
            return client.correct(PORTRAIT, (128, 100.5, 172, 103)).image

    newest = correct()
    np.testing.assert_array_equal(correct(version=1), newest)
    np.testing.assert_array_equal(correct(label='stable'), newest)
    for which, word in (
        ({'version': 7}, 'version 7'),
        ({'label': 'canary'}, 'canary'),
        ({'model_name': 'eyes'}, "'eyes'"),
    ):
        with pytest.raises(GazeError, match=word):
            correct(**which)
    # and it goes on
    np.testing.assert_array_equal(correct(), newest)
