"""Rows of numbers, one a face → what they say together: means, medians and worst tails, as plain dicts.

Values that are not finite (a picture too small for a window of MS-SSIM, the PSNR of equal pictures) stay what they are
in the rows; `stats` counts and leaves them out, except infinities, of which a median may be the better for knowing.
"""

import numpy as np

from gaze_tf.evaluation import conditions, people
from gaze_tf.evaluation.evaluate import ALPHAS
from gaze_tf.evaluation.metrics import calibration, frechet

RECONSTRUCTION = tuple(
    f'{kind}_{where}' for kind in ('l1', 'psnr', 'ssim', 'ms_ssim', 'lpips') for where in ('boxes', 'eyes', 'image')
)
_STEP = 5  # degrees of the table by size


def stats(values, higher_is_better=False):
    """{'mean', 'median', 'p90' or 'p10' (the worst tail), 'faces'} of numbers, without those that are nan."""
    values = np.array(values, float)
    values = values[~np.isnan(values)]
    tail = 'p10' if higher_is_better else 'p90'
    if not len(values):
        return {'mean': None, 'median': None, tail: None, 'faces': 0}
    # between infinities numpy interpolates nan
    method = 'linear' if np.isfinite(values).all() else 'nearest'
    return {
        'mean': float(values.mean()),
        'median': float(np.quantile(values, 0.5, method=method)),
        tail: float(np.quantile(values, 0.1 if higher_is_better else 0.9, method=method)),
        'faces': len(values),
    }


def summarise(measured, seed=0):
    """All results of Measured, by block; a block that was not measured is absent. `seed`: of KID's subsets."""
    rows = {domain: [row for row in measured.rows if row['domain'] == domain] for domain in 'xy'}
    blocks = {
        'reconstruction': {domain: reconstruction(own) for domain, own in rows.items()},
        'gaze': gazes(rows['y']),
        'animation': animation(rows['y']),
        'identity': identity(rows['y'], measured.codes),
        'twin': twin(rows['y']),
        'containment': containment(measured.rows),
        'sharpness': sharpness(rows['y'], rows['x']),
        'iris_offset': offsets(rows['y'], rows['x']),
        'calibrated': calibrated(rows['y']),
        'animation_by_offset': animation_by_offset(rows['y']),
        'conditions': under_conditions(rows['y']),
        'distribution': distribution(measured.features, seed),
    }
    return {name: block for name, block in blocks.items() if block}


def column(rows, name):
    return np.array([row[name] for row in rows], float)


def reconstruction(rows):
    return {
        name: stats(column(rows, name), name.startswith(('psnr', 'ssim', 'ms_ssim')))
        for name in RECONSTRUCTION
        if name in rows[0]
    }


def gazes(rows):
    """Angles to the camera in degrees: true ones, and as estimated before and after."""
    if 'angle_after' not in rows[0]:
        return None
    sizes = sorted({_size(row) for row in rows}, key=lambda text: float(text.split('-')[0]))
    return {
        'true': stats(column(rows, 'true_angle')),
        **_before_after(rows),
        'twin': stats(column(rows, 'angle_twin')),
        'estimator_error_input': stats(column(rows, 'estimator_error_input')),
        'by_direction': _groups(rows, direction, ('left', 'right', 'up', 'down')),
        'by_size': _groups(rows, _size, sizes),
    }


def _before_after(rows, name='angle'):
    before, after = (np.abs(column(rows, f'{name}_{when}')) for when in ('before', 'after'))
    known = ~(np.isnan(before) | np.isnan(after))
    before, after = before[known], after[known]
    means = [float(values.mean()) if len(values) else None for values in (before, after)]
    return {
        'before': stats(before),
        'after': stats(after),
        'ratio': means[1] / means[0] if means[0] else None,
        'smaller': float((after < before).mean()) if len(before) else None,
    }


def direction(row):
    """Where a face looks as seen in the image: 'right' is towards larger x; by the larger of yaw and pitch."""
    if abs(row['true_yaw']) >= abs(row['true_pitch']):
        return 'right' if row['true_yaw'] > 0 else 'left'
    return 'up' if row['true_pitch'] > 0 else 'down'


def _size(row):
    low = int(row['true_angle'] // _STEP) * _STEP
    return f'{low}-{low + _STEP}'


def _groups(rows, key, names):
    groups = {name: [row for row in rows if key(row) == name] for name in names}
    return {name: _before_after(own) for name, own in groups.items() if own}


def animation(rows):
    """Does alpha order the gazes, and is each where it was meant to be? Alphas beyond 0 to 1 are in `by_alpha` only."""
    if 'rank_correlation' not in rows[0]:
        return None
    true = column(rows, 'true_angle')
    by_alpha = {}
    for alpha in ALPHAS:
        found = {name: column(rows, f'{name}@{alpha:g}') for name in ('angle', 'progress', 'error')}
        by_alpha[f'{alpha:g}'] = {
            'intended_angle': stats(abs(1 - alpha) * true),
            'achieved_angle': stats(found['angle']),
            'progress': stats(found['progress']),
            'error': stats(found['error']),
        }
    within, beyond = (
        np.concatenate([column(rows, f'error@{alpha:g}') for alpha in ALPHAS if (0 <= alpha <= 1) == inside])
        for inside in (True, False)
    )
    return {
        'rank_correlation': stats(column(rows, 'rank_correlation'), higher_is_better=True),
        'error_within_0_1': _without_count(stats(within)),
        'error_beyond_0_1': _without_count(stats(beyond)),
        'by_alpha': by_alpha,
    }


def _without_count(found):
    """Of several frames of a face its number of values is no number of faces."""
    return {name: value for name, value in found.items() if name != 'faces'}


def identity(rows, codes):
    """Differences of colour (CIEDE2000) and of content codes between input and output; `…_floor` and `…_twin` say what the
    renderer's own picture at the camera has."""
    names = (
        'iris_de',
        'iris_de_twin',
        'iris_de_floor',
        'skin_de',
        'skin_de_twin',
        'content_distance',
        'content_distance_twin',
    )
    found = {name: stats(column(rows, name)) for name in names if name in rows[0]}
    if codes is not None:
        found['content_distance_of_different_people'] = between_people(
            codes, [row.get('identity', row['name']) for row in rows]
        )
    return found


def between_people(codes, people):
    """Mean absolute difference of the codes [N, c] of all pairs of different people, or None if there is one person."""
    total = count = 0
    for n, code in enumerate(codes[:-1], 1):
        others = np.array([person != people[n - 1] for person in people[n:]])
        total += np.abs(codes[n:] - code).mean(1)[others].sum()
        count += others.sum()
    return float(total / count) if count else None


def twin(rows):
    """Differences inside the boxes to the same face rendered at the camera, of the correction and of the untouched input."""
    if 'l1_twin' not in rows[0]:
        return None
    return {
        f'{kind}_{name}': stats(column(rows, f'{kind}_{name}'), kind != 'l1')
        for kind in ('l1', 'psnr', 'ssim', 'ms_ssim')
        for name in ('twin', 'twin_untouched')
    }


def containment(rows):
    """Pixels that changed outside the eye boxes, over all outputs; every animation frame is one."""
    changed = column(rows, 'changed_outside')
    frames = sum(1 if row['domain'] == 'x' else 1 + len(ALPHAS) for row in rows)
    return {'changed_outside': int(changed.sum()), 'faces': int((changed > 0).sum()), 'outputs': frames}


def sharpness(rows, rows_x):
    """Of corrected eyes as a share of the input's, of both domains, and of the twin's; `within`: the share of faces of Y that
    are as sharp as their input, more or less."""
    found = {'x': stats(column(rows_x, 'sharpness'), higher_is_better=True), 'y': _sharpness(rows)}
    if 'sharpness_twin' in rows[0]:
        found['y_to_twin'] = stats(column(rows, 'sharpness_twin'), higher_is_better=True)
    return found


def _sharpness(rows, prefix=''):
    values = column(rows, f'{prefix}sharpness')
    known = values[~np.isnan(values)]
    within = float(np.mean((known >= conditions.SHARP[0]) & (known <= conditions.SHARP[1]))) if len(known) else None
    return {**stats(values, higher_is_better=True), 'within': within}


def offsets(rows, rows_x):
    """Sizes of iris offsets in eye widths, of the faces that were found before and after; `along` and `up` are means of
    their absolute values, with the share of faces whose offset along is smaller than before, `…_to_twin` the same less the
    twin's offset; of faces of X, who look at the camera, `at_camera` is untouched, `at_camera_moved` how far correction moved
    the offset (`…_along`: along the eyes alone), `at_camera_iris_de` the difference of the irises' colour that it made."""
    if 'offset_size_before' not in rows[0]:
        return None
    parts = {
        f'{kind}_{when}': stats(np.abs(column(rows, f'offset_{kind}_{when}')))
        for kind in ('along', 'up')
        for when in ('before', 'after')
    }
    to_twin = {
        f'{kind}_to_twin': _before_after(rows, f'offset_{kind}_to_twin')
        for kind in ('along', 'up')
        if 'offset_along_to_twin_before' in rows[0]
    }
    return {
        **_before_after(rows, 'offset_size'),
        **parts,
        'smaller_along': _before_after(rows, 'offset_along')['smaller'],
        **to_twin,
        'at_camera': stats(column(rows_x, 'offset_size_before')),
        'at_camera_moved': stats(column(rows_x, 'offset_moved')),
        'at_camera_moved_along': stats(column(rows_x, 'offset_moved_along')),
        'at_camera_iris_de': stats(column(rows_x, 'iris_de')),
        'not_found': int(np.isnan(column(rows, 'offset_size_before')).sum()),
    }


def calibrated(rows):
    """Degrees to the camera by iris offsets, and the lines that they rest on."""
    fits = calibration.fits(rows)
    if fits is None:
        return None
    known = [row for row in rows if not np.isnan(row['degrees_before'])]
    true = np.hypot(column(known, 'true_yaw'), column(known, 'true_pitch'))
    return {
        'fits': {axis: fit._asdict() for axis, fit in fits.items()},
        'true': stats(true),
        **_before_after(known, 'degrees'),
    }


def animation_by_offset(rows):
    """Does alpha order the offsets between the input's and the corrected face's, and does alpha 0 leave them?"""
    if 'offset_rank_correlation' not in rows[0]:
        return None
    return {
        'rank_correlation': stats(column(rows, 'offset_rank_correlation'), higher_is_better=True),
        'alpha_0': stats(column(rows, 'offset_alpha_0')),
        'progress': {f'{alpha:g}': stats(column(rows, f'offset_progress@{alpha:g}')) for alpha in people.ALPHAS},
    }


def under_conditions(rows):
    """{condition: …} of those that were measured; `offset_along_ratio` is to the same faces' offset after correction without
    the condition, `tinted` the share of grey faces that have got a colour."""
    found = {}
    for name in conditions.NAMES:
        if f'{name}_sharpness' not in rows[0]:
            continue
        own = found[name] = {'sharpness': _sharpness(rows, f'{name}_')}
        if f'{name}_psnr_twin' in rows[0]:
            own['psnr_twin'] = stats(column(rows, f'{name}_psnr_twin'), higher_is_better=True)
        if f'{name}_offset_along_after' in rows[0]:
            altered, plain = (np.abs(column(rows, f'{prefix}offset_along_after')) for prefix in (f'{name}_', ''))
            known = ~(np.isnan(altered) | np.isnan(plain))
            own['offset_along_after'] = stats(altered)
            own['offset_along_ratio'] = float(altered[known].sum() / plain[known].sum()) if plain[known].any() else None
        if f'{name}_chroma' in rows[0]:
            chroma = column(rows, f'{name}_chroma')
            own.update(chroma_max=float(chroma.max()), tinted=float((chroma > conditions.TINTED).mean()))
    return found


def distribution(features, seed):
    """FID and KID of the corrected and of the untouched Y against real X, of faces and of eyes."""
    found = {}
    for kind in ('faces', 'eyes') if features else ():
        for name in ('corrected', 'y'):
            pair = features[name][kind], features['x'][kind]
            mean, deviation = frechet.kid(*pair, seed)
            found[f'{kind}_{"corrected" if name == "corrected" else "untouched"}'] = {
                'fid': float(frechet.fid(*pair)),
                'kid': float(mean),
                'kid_std': float(deviation),
                'pictures': [len(part) for part in pair],
            }
    return found
