"""The client, against small servers that paint gray boxes at the eyes."""

import concurrent.futures
import threading

import grpc
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from gaze_tf.client import GazeClient, ServerError
from gaze_tf.client import photos as client_photos
from gaze_tf.errors import GazeError
from gaze_tf.inference.faces import Face
from gaze_tf.media.photo import Photo
from tests import photos
from tests.painting_servers import BUSY, EYES, GRAY, boxes, closed_port, marked, png_of, write


@pytest.mark.parametrize(
    'kind, as_it_is',
    [
        ('jpg', True),
        ('gray jpg', True),
        ('cmyk jpg', True),
        ('turned jpg', False),
        ('png', True),
        ('palette', True),
        ('alpha', True),
        ('tiff', False),
        ('16 bits', False),
    ],
)
def test_photo_in_photo_out(tmp_path, connect, model, kind, as_it_is):
    path, out = write(tmp_path, kind), tmp_path / 'out' / f'result{write(tmp_path, kind).suffix}'
    edited = connect().correct(path, EYES)
    inside = boxes(EYES, (30, 40))
    before = Photo.open(path).rgb
    np.testing.assert_array_equal(edited.image[~inside], before[~inside])
    assert (edited.image[inside] == GRAY).all()
    ((_, sent, eyes),) = model.requests
    assert (sent == path.read_bytes()) == as_it_is and sent.startswith((b'\xff\xd8', b'\x89PNG'))
    np.testing.assert_array_equal(eyes, np.float32(EYES))

    edited.save(out)
    with Image.open(path) as source, Image.open(out) as result:
        assert (result.format, result.mode, result.size) == (source.format, source.mode, source.size)
        # (273: of a TIFF, where in the file its pixels are)
        before, after = (
            {tag: value for tag, value in image.getexif().items() if tag != 273} for image in (source, result)
        )
        assert after == before and result.info.get('icc_profile') == source.info.get('icc_profile')
        if source.format != 'JPEG' and kind != '16 bits':
            np.testing.assert_array_equal(np.asarray(result)[~inside], np.asarray(source)[~inside])
    if kind == '16 bits':
        stored = [tf.io.decode_png(file.read_bytes(), dtype=tf.uint16).numpy() for file in (path, out)]
        np.testing.assert_array_equal(stored[1][~inside], stored[0][~inside])


def test_several_faces_in_one_photo(connect, model):
    # the boxes of both overlap the other's surroundings
    found = [
        Face((10.0, 12.0, 28.0, 14.0)),
        Face((12.0, 20.0, 22.0, 20.0)),
        Face((5.0, 25.0, 35.0, 25.0), eye_width=3.0),
    ]
    client = connect(detector=lambda rgb: found)
    rgb = np.array(photos.portrait())
    edited = client.correct(rgb, faces='all')
    assert [report.done for report in edited.faces] == [True, True, False] and '3 pixels wide' in edited.faces[2].reason
    inside = boxes(found[0].eyes, rgb.shape) | boxes(found[1].eyes, rgb.shape)
    np.testing.assert_array_equal(edited.image, np.where(inside[..., None], GRAY, rgb))
    assert len(model.requests) == 2
    assert [report.done for report in client.correct(rgb).faces] == [True, False, False] and len(model.requests) == 3


def test_without_a_face_nothing_is_sent(connect, model):
    rgb = np.array(photos.portrait())
    edited = connect(detector=lambda rgb: []).correct(rgb)
    assert edited.faces == [] and model.requests == []
    np.testing.assert_array_equal(edited.image, rgb)


@pytest.mark.parametrize(
    'options, expected',
    [({}, None), ({'version': 7}, 7), ({'label': 'canary'}, 'canary'), ({'model_name': 'other'}, None)],
)
def test_the_model_that_is_asked_for(connect, model, rest, options, expected):
    connect(**options).correct(np.array(photos.portrait()), EYES)
    name, signature = options.get('model_name', 'gaze'), 'correct_encoded'
    path = {None: '', 7: '/versions/7', 'canary': '/labels/canary'}[expected]
    where = (f'/v1/models/{name}{path}:predict', signature) if rest else (name, expected, signature)
    assert model.requests[0][0] == where


def test_eyes_at_the_border_stay_inside(connect, model):
    """The last number below the width is the width itself in 32 bits."""
    connect().correct(np.array(photos.portrait()), (20, 15, np.nextafter(40.0, 0), 15))
    assert 39.99 < model.requests[0][2][2] < 40


# --- what goes wrong -----------------------------------------------------------------------------------------


def test_a_server_that_is_busy_is_asked_again(connect, model):
    model.refusals = [BUSY] * 2
    edited = connect(retries=2).correct(np.array(photos.portrait()), EYES)
    assert len(model.requests) == 3 and (edited.image[12, 10] == GRAY).all()


@pytest.mark.parametrize('retries', [0, 2])
def test_a_server_that_stays_busy(connect, model, retries):
    model.refusals = [BUSY] * 9
    with pytest.raises(GazeError, match=f'asked {retries + 1} times: The queue is full') as error:
        connect(retries=retries).correct(np.array(photos.portrait()), EYES)
    assert len(model.requests) == retries + 1 and not isinstance(error.value, ServerError)


@pytest.mark.parametrize(
    'code, sentence, stops, message',
    [
        (
            'NOT_FOUND',
            'Servable not found for request: Specific(gaze, 7)',
            True,
            "no model 'gaze', version 7.*Specific",
        ),
        (
            'INVALID_ARGUMENT',
            '2 root error(s) found.\n  (0) INVALID_ARGUMENT: image 0 is cut off\n\t [[{{node x}}]]',
            False,
            'refuses the request .*: image 0 is cut off$',
        ),
        ('INVALID_ARGUMENT', 'Unrecognized servable version label: x', True, 'version label: x'),
        ('FAILED_PRECONDITION', 'Serving signature name: "x" not found', True, 'Serving signature'),
        ('DEADLINE_EXCEEDED', '', False, 'within 30 seconds: raise `timeout`'),
        ('INTERNAL', 'Disk on fire', False, 'failed: .*Disk on fire'),
    ],
)
def test_refusals(connect, model, code, sentence, stops, message):
    model.refusals = [(grpc.StatusCode[code], sentence)]
    with pytest.raises(GazeError, match=message) as error:
        connect(version=7).correct(np.array(photos.portrait()), EYES)
    assert isinstance(error.value, ServerError) == stops and len(model.requests) == 1


def test_a_slow_server(connect, model):
    go_on = threading.Event()
    model.wait = lambda pixels: go_on.wait(60)
    try:
        with pytest.raises(GazeError, match='not answered within 0.2 seconds: raise `timeout`'):
            connect(timeout=0.2).correct(np.array(photos.portrait()), EYES)
    finally:
        go_on.set()
    assert len(model.requests) == 1


NOISE = np.random.default_rng(3).integers(0, 256, (700, 700, 3), np.uint8)  # 1.4 MiB as PNG


@pytest.mark.parametrize(
    'limit, answer, message',
    [
        (0.1, None, 'The request has .* MiB, more than `max_message_mb=0.1`'),
        (1.9, lambda pixels: png_of(np.tile(NOISE, (2, 1, 1))), 'too large .*`max_message_mb=1.9`'),
    ],
)
def test_messages_that_are_too_large(connect, model, limit, answer, message):
    model.answer = answer
    rgb = NOISE if answer is None else NOISE[:30, :40]
    with pytest.raises(GazeError, match=message):
        connect(max_message_mb=limit).correct(rgb, EYES)
    assert len(model.requests) == (answer is not None)


def test_the_servers_own_limit(connect, model, rest):
    if rest:
        model.refusals = [(grpc.StatusCode.RESOURCE_EXHAUSTED, 'larger than max')]
    with pytest.raises(GazeError, match='too large .*larger than max.*the limit here is `max_message_mb=64`'):
        connect().correct(NOISE, EYES)


@pytest.mark.parametrize('retries', [0, 1])
def test_no_server(connect, retries):
    server = f'127.0.0.1:{closed_port()}'
    with pytest.raises(ServerError, match=f'{server} cannot be reached .*refused.*start TensorFlow Serving'):
        connect(server=server, retries=retries).correct(np.array(photos.portrait()), EYES)


def test_the_other_port(connect, ports, rest):
    with pytest.raises(ServerError, match='leave out `rest`' if rest else 'use `rest`'):
        connect(server=f'127.0.0.1:{ports[not rest][0]}', retries=0).correct(np.array(photos.portrait()), EYES)


def test_a_grpc_server_of_another_kind():
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(1))
    port = server.add_insecure_port('127.0.0.1:0')
    server.start()
    try:
        with GazeClient(f'127.0.0.1:{port}') as client, pytest.raises(ServerError, match='is no TensorFlow Serving'):
            client.correct(np.array(photos.portrait()), EYES)
    finally:
        server.stop(None)


def far_change(pixels):
    pixels[29, 39] ^= 255
    return png_of(pixels)


@pytest.mark.parametrize(
    'answer, message',
    [
        (b'nonsense', 'is no photo'),
        (lambda pixels: png_of(pixels[1:]), '40x29 pixels for a photo of 40x30'),
        (lambda pixels: png_of(pixels)[:900], 'is no photo'),
        (far_change, 'changed 1 pixels far .* at 39, 29'),
    ],
)
def test_answers_that_are_rubbish(connect, model, answer, message):
    model.answer = answer
    with pytest.raises(GazeError, match=message):
        connect().correct(np.array(photos.portrait()), (5, 5, 12, 5))


@pytest.mark.parametrize(
    'eyes, message',
    [((5, 5, 41, 5), 'do not lie in the picture'), ((12, 5, 5, 5), 'swapped'), ((5, np.nan, 12, 5), 'do not lie')],
)
def test_bad_eyes_are_not_sent(connect, model, eyes, message):
    with pytest.raises(GazeError, match=message):
        connect().correct(np.array(photos.portrait()), eyes)
    assert model.requests == []


def test_large_photos_are_not_sent(connect, model, monkeypatch):
    monkeypatch.setattr(client_photos, 'MAX_PIXELS', 1199)
    with pytest.raises(GazeError, match='has 40x30 pixels'):
        connect().correct(np.array(photos.portrait()), EYES)
    assert model.requests == []


@pytest.mark.parametrize(
    'options, message',
    [
        ({'server': 'http://localhost:8501'}, 'must be HOST:PORT'),
        ({'server': 'localhost'}, 'must be HOST:PORT'),
        ({'version': 1, 'label': 'x'}, 'give one'),
        ({'retries': 5}, '`retries` must be at most 4'),
        ({'timeout': float('nan')}, '`timeout=nan`'),
        ({'max_message_mb': float('nan')}, '`max_message_mb=nan`'),
    ],
)
def test_bad_options(connect, options, message):
    with pytest.raises(GazeError, match=message):
        connect(**options)


# --- many photos ---------------------------------------------------------------------------------------------


def test_photos_are_sent_at_a_time_and_come_in_order(connect, model):
    """The first is answered once the third has come; never are more than three with the server."""
    both, lock, under_way, most = threading.Barrier(2), threading.Lock(), set(), []

    def wait(pixels):
        number = int(pixels[0, 0, 0])
        with lock:
            under_way.add(number)
            most.append(len(under_way))
        if number in (0, 2):
            both.wait(60)
        with lock:
            under_way.remove(number)

    model.wait = wait
    taken = []
    many = connect().correct_many((taken.append(n) or marked(n) for n in range(9)), [EYES] * 9, concurrency=3)
    first = next(many)
    # read ahead: one more than are under way
    assert taken == [0, 1, 2, 3]
    assert [edited.image[0, 0, 0] for edited in (first, *many)] == list(range(9))
    assert 2 <= max(most) <= 3 and len(model.requests) == 9


def test_a_photo_that_fails_is_told_in_its_place(connect, model, tmp_path):
    results = list(connect().correct_many([marked(1), tmp_path / 'none.jpg', marked(2)], [EYES] * 3))
    assert [isinstance(result, GazeError) for result in results] == [False, True, False] and 'none.jpg' in str(
        results[1]
    )


def test_without_a_server_many_photos_end_at_once(connect):
    many = connect(server=f'127.0.0.1:{closed_port()}', retries=0).correct_many(
        [marked(n) for n in range(9)], [EYES] * 9
    )
    with pytest.raises(ServerError):
        next(many)
