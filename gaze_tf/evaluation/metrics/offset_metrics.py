"""The metrics of iris offsets: where a detector sees the irises before and after. Part of `catalog.py`."""

from __future__ import annotations

import numpy as np

from gaze_tf.evaluation.metrics import calibration, iris_offset
from gaze_tf.evaluation.metrics.metric import DELTA_E, EYE_WIDTHS, FaceMetric, LateMetric


def _offsets(domain, suffix, needs, function, results):
    """The three columns of an iris offset; results: {kind: (result, title)} of some of them."""

    def part(kind):
        if kind == 'size':
            return lambda painted: iris_offset.size(function(painted.sightings))
        return lambda painted: function(painted.sightings)[:, ('along', 'up').index(kind)]

    return [
        FaceMetric(
            column=f'offset_{kind}_{suffix}',
            domain=domain,
            needs=needs,
            function=part(kind),
            result=results.get(kind, ('', ''))[0],
            title=results.get(kind, ('', ''))[1],
            unit=EYE_WIDTHS,
            digits=3,
            absolute=True,
        )
        for kind in ('along', 'up', 'size')
    ]


def _shift(name, result, title, function):
    return FaceMetric(
        column=name,
        domain='x',
        needs=('detector',),
        function=function,
        result=f'iris_offset/{result}',
        title=title,
        unit=EYE_WIDTHS,
        digits=3,
    )


OFFSETS_X = (
    *_offsets(
        'x',
        'before',
        ('detector',),
        iris_offset.before,
        {'size': ('iris_offset/at_camera', 'iris offset of X, who look at the camera')},
    ),
    *_offsets('x', 'after', ('detector',), iris_offset.after, {}),
    _shift(
        'offset_moved',
        'at_camera_moved',
        'iris offset of X, moved by correction',
        lambda painted: iris_offset.size(iris_offset.moved(painted.sightings)),
    ),
    _shift(
        'offset_moved_along',
        'at_camera_moved_along',
        'iris offset of X, moved along the eyes',
        lambda painted: np.abs(iris_offset.moved(painted.sightings)[:, 0]),
    ),
    FaceMetric(
        column='iris_de',
        domain='x',
        needs=('detector',),
        function=lambda painted: iris_offset.iris_difference(painted.sightings),
        result='iris_offset/at_camera_iris_de',
        title='iris color of X, corrected to input',
        unit=DELTA_E,
    ),
)


def _progress(k):
    return lambda painted: iris_offset.progress(painted.sightings)[:, k]


def _less_twin(function):
    return lambda seen: function(seen) - iris_offset.twin(seen)


_LESS_TWIN = "iris offset along the eyes less the twin's, {} (free of the head's turn)"
OFFSETS_Y = (
    *(
        metric
        for when, function in (('before', iris_offset.before), ('after', iris_offset.after))
        for metric in _offsets(
            'y',
            when,
            ('detector',),
            function,
            {
                'along': (f'iris_offset/along_{when}', f'iris offset along the eyes {when} correction'),
                'up': (f'iris_offset/up_{when}', ''),
                'size': (f'iris_offset/{when}', f'iris offset {when} correction'),
            },
        )
    ),
    *_offsets('y', 'twin', ('twin', 'detector'), iris_offset.twin, {}),
    *(
        metric
        for when, function in (('before', iris_offset.before), ('after', iris_offset.after))
        for metric in _offsets(
            'y',
            f'to_twin_{when}',
            ('twin', 'detector'),
            _less_twin(function),
            {
                'along': (f'iris_offset/along_to_twin/{when}', _LESS_TWIN.format(when)),
                'up': (f'iris_offset/up_to_twin/{when}', ''),
            },
        )
    ),
    FaceMetric(
        column='offset_rank_correlation',
        domain='y',
        needs=('twin', 'detector'),
        function=lambda painted: iris_offset.rank_correlations(painted.sightings),
        result='animation_by_offset/rank_correlation',
        title='rank correlation of alpha and iris offset, alpha 0 to 1',
        digits=3,
        higher_is_better=True,
    ),
    FaceMetric(
        column='offset_alpha_0',
        domain='y',
        needs=('twin', 'detector'),
        function=lambda painted: iris_offset.moved_at_alpha_0(painted.sightings),
        result='animation_by_offset/alpha_0',
        title="iris offset of the animation with alpha 0 to the input's",
        unit=EYE_WIDTHS,
        digits=3,
    ),
    *(
        FaceMetric(
            column=f'offset_progress@{alpha:g}',
            domain='y',
            needs=('twin', 'detector'),
            function=_progress(k),
            result=f'animation_by_offset/progress/{alpha:g}',
        )
        for k, alpha in enumerate(iris_offset.ALPHAS)
    ),
)


def _degrees(when):
    return LateMetric(
        column=f'degrees_{when}',
        domain='y',
        needs=('fits',),
        function=lambda measured: calibration.degrees(measured.rows['y'], measured.fits, when),
        result=f'calibrated/{when}',
        title=f'degrees by iris offset {when} correction',
        unit='degrees',
    )


DEGREES = (_degrees('before'), _degrees('after'))
