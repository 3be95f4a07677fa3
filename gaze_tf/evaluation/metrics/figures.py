"""The metrics that are one value for all faces together. Part of `catalog.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gaze_tf.evaluation import conditions
from gaze_tf.evaluation.metrics.metric import Figure, number
from gaze_tf.evaluation.metrics.statistics import before_after, between_people, share_within, stats
from gaze_tf.evaluation.painted import ALPHAS

if TYPE_CHECKING:
    from gaze_tf.evaluation.measured import Measured

SHARP = 0.6, 1.4  # a share of the input's sharpness within which eyes look like the rest of the picture
TINTED = 2  # levels between the channels of a gray picture beyond which it has a color
_STEP = 5  # degrees of the groups by size
_OF_FACES = '% of the faces'


def _before_after(measured: Measured, column: str) -> dict:
    """`before_after` of the columns COLUMN_before and COLUMN_after."""
    return before_after(measured.column(f'{column}_before'), measured.column(f'{column}_after'))


def _ratio(result, column, title=''):
    """Mean after / mean before."""
    return Figure(
        result=result,
        needs=(f'{column}_after',),
        function=lambda measured: _before_after(measured, column)['ratio'],
        title=title,
        digits=3,
    )


def _smaller(result, column, title='', unit: Any = _OF_FACES):
    """The share of faces whose value is smaller than before."""
    return Figure(
        result=result,
        needs=(f'{column}_after',),
        function=lambda measured: _before_after(measured, column)['smaller'],
        title=title,
        unit=unit,
        digits=1,
        scale=100,
    )


def direction(row: dict) -> str:
    """Where a face looks as seen in the image: 'right' is towards larger x; by the larger of yaw and pitch."""
    if abs(row['true_yaw']) >= abs(row['true_pitch']):
        return 'right' if row['true_yaw'] > 0 else 'left'
    return 'up' if row['true_pitch'] > 0 else 'down'


def _size(row):
    low = int(row['true_angle'] // _STEP) * _STEP
    return f'{low}-{low + _STEP}'


def _groups(measured, key, names):
    """{group: before_after of its faces} of the groups that have faces."""
    rows = measured.rows['y']
    groups = {name: [row for row in rows if key(row) == name] for name in names}
    return {
        name: before_after(*(np.array([row[f'angle_{when}'] for row in own], float) for when in ('before', 'after')))
        for name, own in groups.items()
        if own
    }


def _by_size(measured):
    names = {_size(row) for row in measured.rows['y']}
    return _groups(measured, _size, sorted(names, key=lambda text: float(text.split('-')[0])))


def _errors(inside):
    """Statistics of the animation's errors at all alphas inside (or outside of) 0 to 1."""

    def function(measured):
        alphas = [alpha for alpha in ALPHAS if (0 <= alpha <= 1) == inside]
        found = stats(np.concatenate([measured.column(f'error@{alpha:g}') for alpha in alphas]))
        # of several frames of a face the number of values is no number of faces
        return {name: value for name, value in found.items() if name != 'faces'}

    return function


_GAZE = (
    Figure(
        result='gaze/true',
        needs=('angle_after',),
        function=lambda measured: stats(measured.column('true_angle')),
        title='true angle to the camera',
        unit='degrees',
    ),
    _ratio('gaze/ratio', 'angle', 'estimated angle, mean after / mean before'),
    _smaller('gaze/smaller', 'angle', 'estimated angle smaller than before'),
    Figure(
        result='gaze/by_direction',
        needs=('angle_after',),
        function=lambda measured: _groups(measured, direction, ('left', 'right', 'up', 'down')),
    ),
    Figure(result='gaze/by_size', needs=('angle_after',), function=_by_size),
)


def _own_error(report):
    return f'degrees (the estimator errs by {number(report["estimator"]["own_error"]["mean"], 1)})'


def _intended(alpha):
    return lambda measured: stats(abs(1 - alpha) * measured.column('true_angle'))


_ANIMATION = (
    *(
        Figure(
            result=f'animation/error_{name}_0_1',
            needs=('rank_correlation',),
            function=_errors(inside),
            title=f'angle between achieved and intended gaze, alpha {what}',
            unit=_own_error,
        )
        for name, what, inside in (('within', '0 to 1', True), ('beyond', 'beyond that', False))
    ),
    *(
        Figure(
            result=f'animation/by_alpha/{alpha:g}/intended_angle',
            needs=('rank_correlation',),
            function=_intended(alpha),
        )
        for alpha in ALPHAS
    ),
)


def _different_people(measured):
    people = [row.get('identity', row['name']) for row in measured.rows['y']]
    return between_people(measured.codes, people)


def _changed(measured):
    return np.concatenate([measured.column('changed_outside', domain) for domain in 'xy'])


_PERSON = (
    Figure(result='identity/content_distance_of_different_people', needs=('codes',), function=_different_people),
    Figure(
        result='containment/changed_outside',
        function=lambda measured: int(_changed(measured).sum()),
        title='pixels changed outside the eye boxes',
        unit=lambda report: f'in {report["results"]["containment"]["outputs"]} outputs',
        digits=0,
    ),
    Figure(result='containment/faces', function=lambda measured: int((_changed(measured) > 0).sum())),
    # of X the correction; of Y also every frame of the animation
    Figure(
        result='containment/outputs',
        function=lambda measured: len(measured.rows['x']) + (1 + len(ALPHAS)) * len(measured.rows['y']),
    ),
)


def _sharp_enough(result, column, title):
    return Figure(
        result=result,
        needs=(column,),
        function=lambda measured: share_within(measured.column(column), SHARP),
        title=title,
        unit=_OF_FACES,
        digits=1,
        scale=100,
    )


def _faces(*path):
    """The unit of a share, with how many faces it is of."""

    def unit(report):
        block = report['results']
        for key in path:
            block = block[key]
        return f'% of {block["before"]["faces"]} faces'

    return unit


_OFFSETS = (
    _ratio('iris_offset/ratio', 'offset_size'),
    _smaller('iris_offset/smaller', 'offset_size', 'iris offset smaller than before', _faces('iris_offset')),
    _smaller(
        'iris_offset/smaller_along',
        'offset_along',
        'iris offset along the eyes smaller than before',
        _faces('iris_offset'),
    ),
    *(_ratio(f'iris_offset/{axis}_to_twin/ratio', f'offset_{axis}_to_twin') for axis in ('along', 'up')),
    _smaller(
        'iris_offset/along_to_twin/smaller',
        'offset_along_to_twin',
        "iris offset along the eyes less the twin's, smaller than before",
        _faces('iris_offset', 'along_to_twin'),
    ),
    _smaller('iris_offset/up_to_twin/smaller', 'offset_up_to_twin'),
    Figure(
        result='iris_offset/not_found',
        needs=('offset_size_before',),
        function=lambda measured: int(np.isnan(measured.column('offset_size_before')).sum()),
        title='faces of Y that were not found before and after',
        digits=0,
    ),
)


def _true_degrees(measured):
    """Of the faces whose degrees are known."""
    true = np.hypot(measured.column('true_yaw'), measured.column('true_pitch'))
    return stats(true[~np.isnan(measured.column('degrees_before'))])


def _slope_note(axis):
    return lambda report: f'eye widths; R² {number(report["results"]["calibrated"]["fits"][axis]["r2"])}'


def _of_fit(axis, name):
    return lambda measured: getattr(measured.fits[axis], name)


_DEGREES = (
    *(
        Figure(
            result=f'calibrated/fits/{axis}/slope',
            needs=('fits',),
            function=_of_fit(axis, 'slope'),
            title=f'iris offset {axis} for a sine of 1',
            unit=_slope_note(axis),
            digits=3,
        )
        for axis in ('along', 'up')
    ),
    *(
        Figure(result=f'calibrated/fits/{axis}/r2', needs=('fits',), function=_of_fit(axis, 'r2'))
        for axis in ('along', 'up')
    ),
    Figure(
        result='calibrated/true',
        needs=('fits',),
        function=_true_degrees,
        title='true degrees to the camera, sqrt(yaw² + pitch²)',
        unit='degrees',
    ),
    _ratio('calibrated/ratio', 'degrees'),
    _smaller('calibrated/smaller', 'degrees', 'degrees by iris offset smaller than before', _faces('calibrated')),
)


def _offset_ratio(measured, name):
    """Mean offset along the eyes after correction, to that of the same faces without the condition."""
    altered, plain = (np.abs(measured.column(f'{prefix}offset_along_after')) for prefix in (f'{name}_', ''))
    both = ~(np.isnan(altered) | np.isnan(plain))
    return float(altered[both].sum() / plain[both].sum()) if plain[both].any() else None


def _under(name):
    found = [
        _sharp_enough(
            f'conditions/{name}/sharpness/within', f'{name}_sharpness', f'{name}: eyes about as sharp as their input'
        ),
        Figure(
            result=f'conditions/{name}/offset_along_ratio',
            needs=(f'{name}_offset_along_after',),
            function=lambda measured: _offset_ratio(measured, name),
            title=f'{name}: iris offset along the eyes, ratio to that without it',
        ),
    ]
    if name != 'grey':
        return found
    chroma = 'grey_chroma'
    return [
        *found,
        Figure(
            result='conditions/grey/chroma_max',
            needs=(chroma,),
            function=lambda measured: float(measured.column(chroma).max()),
            title='grey: most color gained',
            unit='levels',
            digits=0,
        ),
        Figure(
            result='conditions/grey/tinted',
            needs=(chroma,),
            function=lambda measured: float((measured.column(chroma) > TINTED).mean()),
            title='grey: faces that gained a color',
            unit=_OF_FACES,
            digits=1,
            scale=100,
        ),
    ]


def _distance(kind, which, name):
    """FID and KID of Y to X; name: of Measured.features."""

    def figure(key, **options):
        return Figure(
            result=f'distribution/{kind}_{which}/{key}',
            needs=('features',),
            function=lambda measured: measured.distance(kind, name)[key],
            **options,
        )

    def pictures(report):
        return '{} and {} pictures'.format(*report['results']['distribution'][f'{kind}_{which}']['pictures'])

    def deviation(report):
        return f'± {number(report["results"]["distribution"][f"{kind}_{which}"]["kid_std"], 4)}'

    return [
        figure('fid', title=f'FID of {which} Y to X, {kind}', unit=pictures, digits=1),
        figure('kid', title=f'KID of {which} Y to X, {kind}', unit=deviation, digits=4),
        figure('kid_std'),
        figure('pictures'),
    ]


FIGURES: tuple[Figure, ...] = (
    *_GAZE,
    *_ANIMATION,
    *_PERSON,
    _sharp_enough('sharpness/y/within', 'sharpness', 'corrected eyes of Y about as sharp as their input'),
    *_OFFSETS,
    *_DEGREES,
    *(figure for name in conditions.NAMES for figure in _under(name)),
    *(
        figure
        for kind in ('faces', 'eyes')
        for which, name in (('corrected', 'corrected'), ('untouched', 'y'))
        for figure in _distance(kind, which, name)
    ),
)
