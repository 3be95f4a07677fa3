"""What a model does to held-out faces: one row of numbers for each, streamed in batches.

A row is a flat dict, the columns of per_image.csv. Of every face: how well the model gives back what it was given (x̃, the
correction of X; ỹ, the animation of Y with alpha 0), the pixels that it changed outside the eye boxes, the difference of
skin colour, and how sharp corrected eyes are. Of Y also the correction: content codes; with truth the angles, the colour of
the irises, and the differences to the twin, the picture of the same face looking at the camera. By a detector, which knows
photos, iris offsets (people.py) and degrees (calibration.py); and all that matters of it under conditions (conditions.py).
"""

from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from tqdm import tqdm

from gaze_tf.data.images import shows_all
from gaze_tf.evaluation import conditions, people
from gaze_tf.evaluation import estimator as gaze
from gaze_tf.evaluation.metrics import calibration, color, pixels

ALPHAS = (-0.25, 0.0, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1.0, 1.25)
# those between the gaze as it was and the camera
WITHIN = tuple(n for n, alpha in enumerate(ALPHAS) if 0 <= alpha <= 1)
EYE_PX = 64  # side to which eye boxes are resampled for LPIPS and Inception


class Tools(NamedTuple):
    """What measures more than pixels; with None it is not measured.

    estimator: gaze.GazeEstimator, for faces with truth. lpips: lpips.Lpips. inception: inception.Inception.
    detector: editing.mediapipe_detector.MediapipeDetector, for iris offsets. conditions: some of conditions.NAMES.
    """

    estimator: Any = None
    lpips: Any = None
    inception: Any = None
    detector: Any = None
    conditions: tuple = ()


class Measured(NamedTuple):
    """rows: of X, then of Y, in the order of the samples. codes: content codes [N, c] of the Y faces as they were, or None.

    features: {'x', 'y', 'corrected'} → {'faces': [N, 2048], 'eyes': [2N, 2048]}, or empty.
    """

    rows: list
    codes: Any
    features: dict


class Batch(NamedTuple):
    """Faces as arrays: images and twins uint8 [B, S, S, 3], eyes float32 [B, 4], boxes [B, 2, 4] (x0, y0, x1, y1)."""

    samples: list
    images: np.ndarray
    eyes: np.ndarray
    boxes: np.ndarray
    twins: Any


def batch_of(network, samples):
    """The Batch of a list of Samples for a Network."""
    eyes = np.stack([sample.eyes for sample in samples])
    twins = np.stack([sample.twin for sample in samples]) if samples[0].twin is not None else None
    return Batch(
        samples,
        np.stack([sample.image for sample in samples]),
        eyes,
        np.stack([network.boxes(own) for own in eyes]),
        twins,
    )


def measure(network, samples, tools=Tools(), batch_size=16):
    """Measured of all Samples by a Network (or whatever has its correct, animate, encode and boxes)."""
    rows, codes, features = [], [], {}
    with tqdm(total=sum(map(len, samples.names.values())), unit=' faces', dynamic_ncols=True) as bar:
        for domain, work in (('x', _measure_x), ('y', _measure_y)):
            for part in samples.batches(domain, batch_size):
                batch = batch_of(network, part)
                corrected, new, code = work(network, batch, tools)
                rows += new
                codes += code
                if tools.inception:
                    pictures = {'x': {'x': batch.images}, 'y': {'y': batch.images, 'corrected': corrected}}[domain]
                    for name, images in pictures.items():
                        _add_features(
                            features.setdefault(name, {'faces': [], 'eyes': []}), tools.inception, images, batch
                        )
                bar.update(len(part))
    calibration.add_degrees([row for row in rows if row['domain'] == 'y'])
    features = {
        name: {kind: np.concatenate(parts) for kind, parts in kinds.items()} for name, kinds in features.items()
    }
    return Measured(rows, np.stack(codes) if codes else None, features)


def _measure_x(network, batch, tools):
    corrected = network.correct(batch.images, batch.eyes)
    columns = [
        _names(batch),
        _reconstruction(batch, corrected, tools.lpips),
        _outside(batch, corrected[:, None]),
        _skin(batch, corrected),
        _sharpness(batch, corrected),
    ]
    if tools.detector:
        columns.append(people.offsets_x(batch, corrected, tools.detector))
    return corrected, _rows(columns), []


def _measure_y(network, batch, tools):
    corrected = network.correct(batch.images, batch.eyes)
    frames = network.animate(batch.images, batch.eyes, ALPHAS)
    codes, content = _content(network, batch, corrected)
    columns = [
        _names(batch),
        _reconstruction(batch, frames[:, ALPHAS.index(0)], tools.lpips),
        _outside(batch, np.concatenate([corrected[:, None], frames], axis=1)),
        _skin(batch, corrected),
        _sharpness(batch, corrected),
        content,
    ]
    if batch.twins is not None:
        columns += [_truth(batch), _irises(batch, corrected), _to_twin(batch, corrected)]
        if tools.estimator:
            columns += [_gazes(batch, corrected, tools.estimator), _animation(batch, frames, tools.estimator)]
    if tools.detector:
        steps = frames[:, [ALPHAS.index(alpha) for alpha in people.ALPHAS]]
        columns.append(people.offsets_y(batch, corrected, steps, tools.detector))
    columns += [conditions.measure(network, batch, name, tools.detector) for name in tools.conditions]
    return corrected, _rows(columns), codes


def _rows(columns):
    """Lists of dicts, one dict a face each → one dict a face."""
    return [{name: value for part in parts for name, value in part.items()} for parts in zip(*columns)]


def _names(batch):
    return [{'domain': sample.domain, 'name': sample.name} for sample in batch.samples]


def _reconstruction(batch, rebuilt, lpips):
    found = [pixels.compare(*faces) for faces in zip(batch.images, rebuilt, batch.boxes)]
    if lpips:
        whole = lpips(batch.images, rebuilt)
        # of both eyes of each face
        eyes = np.reshape(lpips(eye_crops(batch.images, batch.boxes), eye_crops(rebuilt, batch.boxes)), [-1, 2]).mean(1)
        found = [
            {**own, 'lpips_eyes': float(eye), 'lpips_image': float(face)} for own, eye, face in zip(found, eyes, whole)
        ]
    return found


def _outside(batch, frames):
    """Pixels that differ from the input outside the boxes, over all frames [B, K, S, S, 3] of a face."""
    found = []
    for image, boxes, own in zip(batch.images, batch.boxes, frames):
        outside = np.ones(image.shape[:2], bool)
        for x0, y0, x1, y1 in boxes:
            outside[y0:y1, x0:x1] = False
        found.append({'changed_outside': int(((own != image).any(-1) & outside).sum())})
    return found


def _skin(batch, corrected):
    return [
        {'skin_de': _skin_difference(before, after, boxes)}
        for before, after, boxes in zip(batch.images, corrected, batch.boxes)
    ]


def _skin_difference(a, b, boxes):
    """CIEDE2000 between the skin around the eyes of two pictures of a face, mean of both."""
    return float(np.mean([color.delta_e(color.skin_colour(a, box), color.skin_colour(b, box)) for box in boxes]))


def _sharpness(batch, corrected):
    """Of the corrected eyes, as a share of the input's and of the twin's."""
    found = [{'sharpness': pixels.sharpness(*faces)} for faces in zip(corrected, batch.images, batch.boxes)]
    if batch.twins is not None:
        for row, *faces in zip(found, corrected, batch.twins, batch.boxes):
            row['sharpness_twin'] = pixels.sharpness(*faces)
    return found


def _content(network, batch, corrected):
    """(codes of the inputs, columns): mean absolute difference of the content codes; nothing where the model tells none."""
    before, after = (network.encode(images, batch.eyes).get('content') for images in (batch.images, corrected))
    if before is None:
        return [], [{} for _ in batch.samples]
    columns = [{'content_distance': float(np.abs(own - other).mean())} for own, other in zip(before, after)]
    if batch.twins is not None:
        for row, own, twin in zip(columns, before, network.encode(batch.twins, batch.eyes)['content']):
            row['content_distance_twin'] = float(np.abs(own - twin).mean())
    return list(before), columns


def _truth(batch):
    return [
        {
            'identity': sample.truth.identity,
            'true_yaw': float(sample.truth.gaze[0]),
            'true_pitch': float(sample.truth.gaze[1]),
            'true_angle': float(gaze.angle(sample.truth.gaze)),
        }
        for sample in batch.samples
    ]


def _irises(batch, corrected):
    """Differences of colour of both irises, mean: each picture is sampled where its own irises are, or should be."""
    found = []
    for sample, after in zip(batch.samples, corrected):
        truth, eyes = sample.truth, np.reshape(sample.eyes, (2, 2))
        before, out, twin = (
            np.stack([color.iris_colour(picture, centre, truth.radius, eye) for centre, eye in zip(centres, eyes)])
            for picture, centres in (
                (sample.image, truth.iris),
                (after, truth.twin_iris),
                (sample.twin, truth.twin_iris),
            )
        )
        found.append(
            {
                'iris_de': float(np.mean(color.delta_e(before, out))),
                'iris_de_twin': float(np.mean(color.delta_e(twin, out))),
                'iris_de_floor': float(np.mean(color.delta_e(before, twin))),
            }
        )
    return found


def _to_twin(batch, corrected):
    """Differences to the twin inside the boxes and of the skin: of the correction, and of the input as it was."""
    found = []
    for before, after, twin, boxes in zip(batch.images, corrected, batch.twins, batch.boxes):
        row = {'skin_de_twin': _skin_difference(after, twin, boxes)}
        for name, picture in (('twin', after), ('twin_untouched', before)):
            compared = pixels.compare(picture, twin, boxes)
            row.update({f'{kind}_{name}': compared[f'{kind}_boxes'] for kind in ('l1', 'psnr', 'ssim', 'ms_ssim')})
        found.append(row)
    return found


def _gazes(batch, corrected, estimator):
    """Angles to the camera that the estimator reads, and by how much it is wrong where the truth is known."""
    before, after = (_estimated(batch, pictures, estimator) for pictures in (batch.images, corrected))
    twin = _estimated(batch, batch.twins, estimator, twins=True)
    true = np.stack([sample.truth.gaze for sample in batch.samples])
    columns = {
        'before_yaw': before[:, 0],
        'before_pitch': before[:, 1],
        'after_yaw': after[:, 0],
        'after_pitch': after[:, 1],
        'angle_before': gaze.angle(before),
        'angle_after': gaze.angle(after),
        'angle_twin': gaze.angle(twin),
        'estimator_error_input': gaze.between(before, true),
    }
    return _by_face(columns)


def _animation(batch, frames, estimator):
    """Of each alpha the estimated gaze, its progress from the true one to the camera (0 to 1), and its distance to the
    intended (1 - alpha) * (yaw, pitch); and Spearman's correlation of alpha and progress over 0 to 1."""
    count, steps = frames.shape[:2]
    found = np.stack([_estimated(batch, frames[:, k], estimator) for k in range(steps)], axis=1)
    true = np.stack([sample.truth.gaze for sample in batch.samples])
    intended = (1 - np.array(ALPHAS))[None, :, None] * true[:, None]
    within = list(WITHIN)
    columns = {
        'rank_correlation': [
            gaze.rank_correlation(np.array(ALPHAS)[within], found[n, within], true[n]) for n in range(count)
        ]
    }
    progress = np.stack([gaze.progress(found[n], true[n]) for n in range(count)])
    error = gaze.between(found, intended)
    for k, alpha in enumerate(ALPHAS):
        columns.update(
            {
                f'angle@{alpha:g}': gaze.angle(found[:, k]),
                f'progress@{alpha:g}': progress[:, k],
                f'error@{alpha:g}': error[:, k],
            }
        )
    return _by_face(columns)


def _estimated(batch, pictures, estimator, twins=False):
    """Gazes [B, 2] that the estimator reads off pictures of the batch's faces in the model's frame, uint8 [B, S, S, 3].

    Where the frame is not all of the data set's image, off that, with these eyes put back: there they are as large as those
    that the estimator knows. twins: whether the pictures are the twins, whose own data set's images are taken.
    """
    if all(sample.photo is None or shows_all(sample.frame, len(sample.photo)) for sample in batch.samples):
        return estimator(pictures, batch.eyes)
    photos = [
        sample.twin_photo if twins and sample.photo is not None else sample.in_photo(picture, boxes)
        for sample, picture, boxes in zip(batch.samples, pictures, batch.boxes)
    ]
    # one by one: they may have different sizes
    return np.concatenate(
        [estimator(photo[None], sample.eyes_in_photo[None]) for sample, photo in zip(batch.samples, photos)]
    )


def _by_face(columns):
    """{name: [B]} → a dict of floats for each face."""
    return [dict(zip(columns, map(float, values))) for values in zip(*columns.values())]


def eye_crops(images, boxes):
    """Both eye boxes of each image, resampled (bicubic): uint8 [2B, 64, 64, 3], left and right in turn."""
    # cut out first: a resampled part of a picture has a share of what surrounds it
    return np.stack(
        [
            np.array(Image.fromarray(image[y0:y1, x0:x1]).resize((EYE_PX, EYE_PX), Image.Resampling.BICUBIC))
            for image, own in zip(images, boxes)
            for x0, y0, x1, y1 in own
        ]
    )


def _add_features(kinds, inception, images, batch):
    kinds['faces'].append(inception(images))
    kinds['eyes'].append(inception(eye_crops(images, batch.boxes)))
