"""index.html of a report: plain HTML and CSS, without scripts or requests to anywhere else."""

import json
from typing import Any

from gaze_tf.evaluation.metrics.catalog import COLUMNS
from gaze_tf.evaluation.metrics.metric import number
from gaze_tf.evaluation.metrics.statistics import worst_tail
from gaze_tf.evaluation.report import table
from gaze_tf.evaluation.report.cases import Cases
from gaze_tf.evaluation.report.markup import Html, fill, join, style

_ANGLES = (
    'Angles are in degrees between the gaze and the direction to the camera. A small network, trained on drawn '
    'faces, reads them off the eyes; its own error is beside them.'
)
_GROUPS = ('', 'faces', 'before: mean', 'median', 'p90', 'after: mean', 'median', 'p90', 'ratio of means', 'smaller, %')
_ALPHAS = 'alpha', 'intended angle, mean', 'achieved angle, mean', 'between both gazes: mean', 'median', 'p90'


def page(report: dict, rows: dict[str, dict], chosen: Cases, drawn: tuple[dict, dict], plots: dict[str, str]) -> str:
    """The page as text.

    report: content of report.json. rows: {name: row} of Y. drawn: what cases.draw returned. plots: what plots.draw
    returned.
    """
    shown, strips = drawn
    names, estimator = report['data']['samples'], report['estimator']
    machine = report['machine']

    def figures(faces):
        return join(_figure(shown[name], _caption(rows[name])) for name in faces)

    return fill(
        'page',
        style=style(),
        kind='with known angles' if report['data']['rendered'] else 'photos',
        count_x=len(names['x']),
        count_y=len(names['y']),
        date=report['run']['date'],
        about_angles=_ANGLES if estimator else '',
        results=_results(report),
        own_error=_own_error(estimator['own_error']) if estimator else '',
        groups=_groups(report['results'].get('gaze')),
        animation=_alphas(report['results'].get('animation')),
        plots=join(_figure(file, title) for file, title in plots.items()),
        ranked_by=chosen.ranked_by,
        best=figures(chosen.best),
        worst=figures(chosen.worst),
        random=figures(chosen.random),
        strips=join(_figure(file, name) for name, file in strips.items()),
        sources=_table([], [[_cell(name, ''), _cell(value, 'code')] for name, value in _sources(report)]),
        config=json.dumps(report['model']['config'], indent=1),
        speed=json.dumps(machine['speed'], indent=1),
    )


def _results(report):
    rows = [
        [_cell(what, ''), *(_cell(cell) for cell in numbers), _cell(unit, '')]
        for what, *numbers, unit in table.lines(report)
    ]
    rows += [
        [_cell(line['what'], ''), _cell('not computed', 'none', 3), _cell(line['why'], '')]
        for line in report['not_computed']
    ]
    return _table(table.HEADER, rows)


def _cell(value: Any, kind: str = 'number', columns: int = 1) -> Html:
    return fill('cell', text=value, kind=kind, columns=columns)


def _table(header: Any, rows: list) -> Html:
    lines = [[fill('head', text=name) for name in header]] if header else []
    return fill('table', rows=join(fill('row', cells=join(cells)) for cells in [*lines, *rows]))


def _three(values):
    return [_cell(number(value)) for value in (values['mean'], values['median'], worst_tail(values))]


def _own_error(error):
    own = ', '.join(
        f'{name} {value:.2f}' if isinstance(value, float) else f'{name} {value}'
        for name, value in error.items()
        if isinstance(value, (int, float))
    )
    return f"The gaze estimator's own error in degrees, on drawings of people it was not trained on: {own}."


def _groups(gaze):
    if not gaze:
        return ''
    return join(
        fill('section', title=title, content=_table(_GROUPS, [_group(*item) for item in gaze[block].items()]))
        for title, block in (
            ('By direction of the true gaze', 'by_direction'),
            ('By size of the true angle', 'by_size'),
        )
    )


def _group(name, group):
    smaller = group['smaller']
    return [
        _cell(name, ''),
        _cell(group['before']['faces']),
        *_three(group['before']),
        *_three(group['after']),
        _cell(number(group['ratio'], 3)),
        _cell(number(None if smaller is None else 100 * smaller, 1)),
    ]


def _alphas(animation):
    if not animation:
        return ''
    rows = [
        [
            _cell(alpha),
            _cell(number(found['intended_angle']['mean'])),
            _cell(number(found['achieved_angle']['mean'])),
            *_three(found['error']),
        ]
        for alpha, found in animation['by_alpha'].items()
    ]
    return fill('section', title='Animation', content=_table(_ALPHAS, rows))


def _caption(row):
    """A face's name and what was measured of it."""
    found = [
        metric.caption.format(row[metric.column])
        for metric in COLUMNS
        if metric.domain == 'y' and metric.caption and metric.column in row
    ]
    return ': '.join(filter(None, (row['name'], ', '.join(found))))


def _figure(file, caption):
    return fill('figure', file=file, caption=caption)


def _sources(report):
    """(what, text) of everything that the results rest on."""
    data, found = report['data'], []
    found.append(('data', f'sha256 {data["fingerprint"]} over names, eyes, truth and files of the held-out faces'))
    if data['identities_also_in_training'] is not None:
        found.append(('people', f'{data["identities_also_in_training"]} of the held-out Y are in training rows, too'))
    if data['left_out']:
        found.append(('left out', f'{len(data["left_out"])} bad rows or images, the first: {data["left_out"][0]}'))
    found += [(name, f'sha256 {checksum}') for name, checksum in report['model']['files'].items()]
    if report['estimator']:
        found.append(('gaze estimator', f'sha256 {report["estimator"]["sha256"]}'))
    found.append(('versions', ', '.join(f'{name} {version}' for name, version in report['versions'].items())))
    found.append(('options', ' '.join(f'--{name}={value}' for name, value in report['flags'].items())))
    machine, run = report['machine'], report['run']
    found.append(('machine', f'{machine["cpu"]}, {machine["cores"]} cores; this took {run["seconds"]} seconds'))
    return found
