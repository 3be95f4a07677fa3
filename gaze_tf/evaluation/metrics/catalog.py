"""Every metric of a report, in the order of the columns of per_image.csv.

To add a metric, add an object here, to `offset_metrics.py` (iris offsets) or to `figures.py` (one value for all faces),
and the function that measures it beside those it resembles. Rows, results, the table, captions and per_image.csv
follow.
"""

from __future__ import annotations

from gaze_tf.evaluation import conditions
from gaze_tf.evaluation.metrics import gaze_angles, person
from gaze_tf.evaluation.metrics.figures import FIGURES
from gaze_tf.evaluation.metrics.metric import DELTA_E, EYE_WIDTHS, ColumnMetric, FaceMetric, Metric, number
from gaze_tf.evaluation.metrics.offset_metrics import DEGREES, OFFSETS_X, OFFSETS_Y
from gaze_tf.evaluation.painted import ALPHAS

# name, title, unit, decimals, whether more is better: of how far two pictures lie apart
_LIKENESS = (
    ('l1', 'L1', 'gray levels', 2, False),
    ('psnr', 'PSNR', 'dB', 2, True),
    ('ssim', 'SSIM', '', 3, True),
    ('ms_ssim', 'MS-SSIM', '', 3, True),
)
_REBUILT = {'x': 'held-out X, corrected', 'y': 'held-out Y, animated with alpha 0'}
_ESTIMATED = ('twin', 'estimator')


def _with_own_error(report):
    return f'degrees (the estimator errs by {number(report["estimator"]["own_error"]["mean"], 1)})'


def _different_people(report):
    others = report['results']['identity']['content_distance_of_different_people']
    return f'(different people: {number(others, 3)})'


def _reconstruction(domain):
    """How well the model gives back what it was given."""

    def metric(name, title, function, **options):
        result = f'reconstruction/{domain}/{name}'
        return FaceMetric(column=name, domain=domain, result=result, title=title, function=function, **options)

    def likeness(kind, where):
        return lambda painted: painted.likeness[where][kind]

    # of whole images only LPIPS is in the table: most of their pixels are never painted
    pixels = [
        metric(
            f'{kind}_{where}',
            f'{_REBUILT[domain]}: {title} in the eye boxes' if where == 'boxes' else '',
            likeness(kind, where),
            unit=unit,
            digits=digits,
            higher_is_better=higher,
        )
        for where in ('boxes', 'image')
        for kind, title, unit, digits, higher in _LIKENESS
    ]
    lpips = [
        metric(
            f'lpips_{where}',
            f'{_REBUILT[domain]}: LPIPS {place}',
            lambda painted, where=where: painted.lpips(where),
            digits=3,
            needs=('lpips',),
        )
        for where, place in (('eyes', 'of the eyes'), ('image', 'of the whole image'))
    ]
    return [*pixels, *lpips]


def _same_person(domain):
    """Of both domains."""
    return [
        FaceMetric(column='changed_outside', domain=domain, function=person.changed_outside),
        FaceMetric(
            column='skin_de',
            domain=domain,
            function=lambda painted: person.skin_differences(painted, painted.images, painted.corrected),
            result='identity/skin_de' if domain == 'y' else '',
            title='skin color, corrected to input' if domain == 'y' else '',
            unit=DELTA_E,
        ),
        FaceMetric(
            column='sharpness',
            domain=domain,
            function=lambda painted: person.sharpness(painted, painted.images),
            result=f'sharpness/{domain}',
            title=f'sharpness of the eyes, corrected {domain.upper()} to input',
            unit='times',
            higher_is_better=True,
        ),
    ]


_OF_Y = (
    FaceMetric(
        column='sharpness_twin',
        domain='y',
        needs=('twin',),
        function=lambda painted: person.sharpness(painted, painted.twins),
        result='sharpness/y_to_twin',
        title='sharpness of the eyes, corrected Y to picture at the camera',
        unit='times',
        higher_is_better=True,
    ),
    FaceMetric(
        column='content_distance',
        domain='y',
        needs=('content',),
        function=lambda painted: person.code_distance(painted.content, painted.content_corrected),
        result='identity/content_distance',
        title='content codes, corrected to input',
        unit=_different_people,
        digits=3,
    ),
    FaceMetric(
        column='content_distance_twin',
        domain='y',
        needs=('content', 'twin'),
        function=lambda painted: person.code_distance(painted.content, painted.content_twin),
        result='identity/content_distance_twin',
    ),
)


def _truth(name, function, **options):
    return FaceMetric(column=name, domain='y', needs=('twin',), function=function, **options)


_TRUTH = (
    _truth('identity', lambda painted: [sample.truth.identity for sample in painted.samples]),
    _truth('true_yaw', lambda painted: painted.gaze_true[:, 0]),
    _truth('true_pitch', lambda painted: painted.gaze_true[:, 1]),
    _truth('true_angle', lambda painted: gaze_angles.angle(painted.gaze_true), caption='true angle {:.1f}°'),
)
_TO_TWIN = (
    _truth(
        'iris_de',
        lambda painted: person.iris_differences(painted, 'input', 'corrected'),
        result='identity/iris_de',
        title='iris color, corrected to input',
        unit=DELTA_E,
        caption='iris ΔE {:.1f}',
    ),
    _truth(
        'iris_de_twin',
        lambda painted: person.iris_differences(painted, 'twin', 'corrected'),
        result='identity/iris_de_twin',
        title='iris color, corrected to picture at the camera',
        unit=DELTA_E,
    ),
    _truth(
        'iris_de_floor',
        lambda painted: person.iris_differences(painted, 'input', 'twin'),
        result='identity/iris_de_floor',
        title='iris color, picture at the camera to input',
        unit=DELTA_E,
    ),
    _truth(
        'skin_de_twin',
        lambda painted: person.skin_differences(painted, painted.corrected, painted.twins),
        result='identity/skin_de_twin',
    ),
    *(
        _truth(
            f'{kind}_{which}',
            lambda painted, kind=kind, which=which: painted.likeness_to_twin[which][kind],
            result=f'twin/{kind}_{which}',
            title=f'{what} to the picture at the camera: {title} in the eye boxes' if kind == 'l1' else '',
            unit=unit,
            digits=digits,
            higher_is_better=higher,
            caption='difference to the twin {:.1f} gray levels' if (kind, which) == ('l1', 'twin') else '',
        )
        for which, what in (('twin', 'corrected Y'), ('twin_untouched', 'untouched Y'))
        for kind, title, unit, digits, higher in _LIKENESS
    ),
)


def _estimated(name, function, **options):
    return FaceMetric(column=name, domain='y', needs=_ESTIMATED, function=function, **options)


def _angle(name, result, what, caption, function):
    title = f'estimated angle {what}'
    return _estimated(name, function, result=result, title=title, unit=_with_own_error, caption=caption)


_GAZE = (
    _estimated('before_yaw', lambda painted: painted.gaze_before[:, 0]),
    _estimated('before_pitch', lambda painted: painted.gaze_before[:, 1]),
    _estimated('after_yaw', lambda painted: painted.gaze_after[:, 0]),
    _estimated('after_pitch', lambda painted: painted.gaze_after[:, 1]),
    _angle(
        'angle_before',
        'gaze/before',
        'before correction',
        'estimated {:.1f}° before',
        lambda painted: gaze_angles.angle(painted.gaze_before),
    ),
    _angle(
        'angle_after',
        'gaze/after',
        'after correction',
        '{:.1f}° after',
        lambda painted: gaze_angles.angle(painted.gaze_after),
    ),
    _angle(
        'angle_twin',
        'gaze/twin',
        'of the picture at the camera',
        '{:.1f}° at the camera',
        lambda painted: gaze_angles.angle(painted.gaze_twin),
    ),
    _estimated(
        'estimator_error_input',
        lambda painted: gaze_angles.between(painted.gaze_before, painted.gaze_true),
        result='gaze/estimator_error_input',
        title="the estimator's own error on these inputs",
        unit='degrees',
    ),
    _estimated(
        'rank_correlation',
        lambda painted: gaze_angles.rank_correlations(ALPHAS, painted.gaze_frames, painted.gaze_true),
        result='animation/rank_correlation',
        title='rank correlation of alpha and gaze, alpha 0 to 1',
        digits=3,
        higher_is_better=True,
    ),
    *(
        _estimated(f'{name}@{alpha:g}', function, result=f'animation/by_alpha/{alpha:g}/{key}')
        for k, alpha in enumerate(ALPHAS)
        for name, key, function in (
            ('angle', 'achieved_angle', lambda painted, k=k: gaze_angles.angle(painted.gaze_frames[:, k])),
            ('progress', 'progress', lambda painted, k=k: painted.gaze_progress[:, k]),
            ('error', 'error', lambda painted, k=k: painted.gaze_errors[:, k]),
        )
    ),
)


def _under(name):
    """Of faces that are altered before the network sees them."""

    def metric(what, function, needs=(), **options):
        return FaceMetric(
            column=f'{name}_{what}',
            domain='y',
            needs=(name, *needs),
            function=lambda painted: function(painted.under(name)),
            **options,
        )

    found = [
        metric(
            'sharpness',
            lambda painted: person.sharpness(painted, painted.images),
            result=f'conditions/{name}/sharpness',
            title=f'{name}: sharpness of the eyes, corrected to input',
            unit='times',
            higher_is_better=True,
        ),
        metric(
            'psnr_twin',
            person.psnr_to_twin,
            ('twin',),
            result=f'conditions/{name}/psnr_twin',
            title=f'{name}: PSNR in the eye boxes to the picture at the camera',
            unit=lambda report: f'dB (without: {number(report["results"]["twin"]["psnr_twin"]["mean"])})',
            higher_is_better=True,
        ),
        metric(
            'offset_along_after',
            lambda painted: painted.offset_after_alone[:, 0],
            ('detector',),
            result=f'conditions/{name}/offset_along_after',
            title=f'{name}: iris offset along the eyes after correction',
            unit=EYE_WIDTHS,
            digits=3,
            absolute=True,
        ),
    ]
    return [*found, metric('chroma', person.color_gained)] if name == 'grey' else found


COLUMNS: tuple[ColumnMetric, ...] = (
    *_reconstruction('x'),
    *_same_person('x'),
    *OFFSETS_X,
    *_reconstruction('y'),
    *_same_person('y'),
    *_OF_Y,
    *_TRUTH,
    *_TO_TWIN,
    *_GAZE,
    *OFFSETS_Y,
    *(metric for name in conditions.NAMES for metric in _under(name)),
    *DEGREES,
)
METRICS: tuple[Metric, ...] = (*COLUMNS, *FIGURES)


def column_metric(name: str, domain: str = 'y') -> ColumnMetric:
    """The metric of a column of per_image.csv."""
    return next(metric for metric in COLUMNS if (metric.column, metric.domain) == (name, domain))
