"""What a detector sees of repainted people, one row of numbers a face: iris offsets, in eye widths.

Measured is the data set's image, into which the eyes are put back where the frame is not that very image: no face is found
in a frame that shows little more than eyes. All is nan where a face was not found in one of the pictures compared.
"""

import numpy as np
from scipy import stats

from gaze_tf.evaluation.metrics import color, iris_offset

ALPHAS = (0.0, 0.25, 0.5, 0.75, 1.0)  # few, because finding a face takes longer than painting it
_KINDS = ('along', 'up', 'size')
# radius of an iris as a share of the distance of both (5.85 of 62.6 mm)
_RADIUS = 0.0935
_MOVED = 1e-4  # eye widths; a detector's answers to equal pictures are equal


def offsets_x(batch, corrected, detector):
    """Columns of people who look at the camera: offsets before and after, how far that moved them (`offset_moved`, and along the
    eyes alone `offset_moved_along`), and the difference in colour of the irises, each sampled where it was found (`iris_de`).
    """
    found = []
    for sample, picture, boxes in zip(batch.samples, corrected, batch.boxes):
        before, after = whole = _original(sample), sample.in_photo(picture, boxes)
        faces = _found_in_both(detector, whole, sample.eyes_in_photo)
        moved = _offset(faces[1]) - _offset(faces[0])
        found.append(
            {
                **_before_and_after(faces),
                'offset_moved': float(np.hypot(*moved)),
                'offset_moved_along': float(abs(moved[0])),
                'iris_de': _iris_difference(before, after, *faces),
            }
        )
    return found


def offsets_y(batch, corrected, steps, detector):
    """Columns of people who look elsewhere: offsets before and after.

    With twins also the twin's (`…_twin`), the offsets less the twin's (`…_to_twin_…`), and how they move along `steps`, the
    animation at ALPHAS, uint8 [B, 5, S, S, 3]: their progress from the input's to the corrected face's, Spearman's
    correlation of it with alpha, and the distance of the one at alpha 0 to the input's.
    """
    found = []
    for sample, picture, own, boxes in zip(batch.samples, corrected, steps, batch.boxes):
        eyes = sample.eyes_in_photo
        faces = _found_in_both(detector, (_original(sample), sample.in_photo(picture, boxes)), eyes)
        row = _before_and_after(faces)
        if sample.twin is not None:
            twin = _offset(
                iris_offset.face_at(detector, sample.twin if sample.photo is None else sample.twin_photo, eyes)
            )
            row.update(_named('_twin', twin))
            for when, face in zip(('before', 'after'), faces):
                row.update(_named(f'_to_twin_{when}', _offset(face) - twin))
            track = [_offset(iris_offset.face_at(detector, sample.in_photo(step, boxes), eyes)) for step in own]
            row.update(_along_the_way(np.stack(track), *map(_offset, faces)))
        found.append(row)
    return found


def rank_correlation(alphas, track, start, end):
    """Spearman's rank correlation of alphas [K] with the progress of offsets [K, 2] on the line from `start` to `end` [2].

    As of degrees: 1 where every larger alpha is further along, 0 for a track that does not move along the line at all, nan
    where a face was not found.
    """
    if np.isnan(track).any() or np.isnan(end - start).any():
        return float('nan')
    length = np.hypot(*(end - start))
    if length < _MOVED or np.ptp(track @ (end - start)) / length < _MOVED:
        return 0.0
    return float(stats.spearmanr(alphas, track @ (end - start)).statistic)


def _along_the_way(track, start, end):
    square = (end - start) @ (end - start)
    progress = (track - start) @ (end - start) / square if square > _MOVED**2 else np.full(len(track), np.nan)
    return {
        'offset_rank_correlation': rank_correlation(ALPHAS, track, start, end),
        'offset_alpha_0': float(np.hypot(*(track[0] - start))),
        **{f'offset_progress@{alpha:g}': float(value) for alpha, value in zip(ALPHAS, progress)},
    }


def _original(sample):
    return sample.image if sample.photo is None else sample.photo


def _found_in_both(detector, pictures, eyes):
    """The Face in each picture; a face that is lost in one of both counts in neither."""
    faces = [iris_offset.face_at(detector, picture, eyes) for picture in pictures]
    return faces if all(face and iris_offset.of_face(face) is not None for face in faces) else [None, None]


def _offset(face):
    """[2], nan without a face."""
    found = face and iris_offset.of_face(face)
    return np.full(2, np.nan) if found is None else found


def _before_and_after(faces):
    return {
        name: value
        for when, face in zip(('before', 'after'), faces)
        for name, value in _named(f'_{when}', _offset(face)).items()
    }


def _named(suffix, offset):
    return {f'offset_{kind}{suffix}': float(value) for kind, value in zip(_KINDS, (*offset, np.hypot(*offset)))}


def _iris_difference(before, after, face_before, face_after):
    """CIEDE2000 between the irises of two pictures of a face, mean of both; nan without faces."""
    if face_before is None:
        return float('nan')
    irises = np.reshape(face_before.irises, (2, 2))
    radius = _RADIUS * np.hypot(*(irises[1] - irises[0]))
    # positions of faces count from the edge of the first pixel, those of colours from its middle
    colours = [
        [
            color.iris_colour(picture, np.subtract(iris, 0.5), radius, np.subtract(eye, 0.5))
            for iris, eye in zip(np.reshape(face.irises, (2, 2)), np.reshape(face.eyes, (2, 2)))
        ]
        for picture, face in ((before, face_before), (after, face_after))
    ]
    return float(np.mean(color.delta_e(*colours)))
