"""index.html of a report: plain HTML and CSS, without scripts or requests to anywhere else."""

import html
import json

from gaze_tf.evaluation.report import table

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 1180px; margin: 2em auto; padding: 0 1em; color: #222; }
h1 { margin-bottom: 0; } h2 { margin-top: 2em; border-bottom: 1px solid #ccc; }
table { border-collapse: collapse; margin: 1em 0; } th, td { text-align: left; padding: .25em 1.2em .25em 0;
border-bottom: 1px solid #e4e4e4; vertical-align: top; } td.number { text-align: right; white-space: nowrap;
font-variant-numeric: tabular-nums; } td.none { color: #777; }
figure { margin: 0 0 1.2em; } figcaption { color: #555; font-size: 14px; } img { max-width: 100%; }
.plots { display: flex; flex-wrap: wrap; gap: 1em; } .plots figure { flex: 1 1 480px; }
pre { background: #f5f5f5; padding: 1em; overflow-x: auto; font-size: 13px; } code { overflow-wrap: anywhere; }
"""
_ANGLES = (
    'Angles are in degrees between the gaze and the direction to the camera, as a small network trained on real '
    'renderings reads them off the eyes; its own error is beside them. '
)
_ABOUT = (
    'Inside the boxes: the two eye boxes that the model repaints. Everything is in <a href="report.json">report.json</a>, every face '
    'in <a href="per_image.csv">per_image.csv</a>.'
)


def page(report, rows, chosen, drawn, plots):
    """The page as text.

    report: content of report.json. rows: {name: row} of Y. chosen: cases.Cases. drawn: what cases.draw returned. plots: what
    plots.draw returned.
    """
    shown, strips = drawn
    names = report['data']['samples']
    kind = 'with known angles' if report['data']['rendered'] else 'photos'
    parts = [
        f'<h1>Gaze correction, measured</h1><p>Held-out faces ({kind}): {len(names["x"])} of domain X, '
        f'{len(names["y"])} of domain Y; {_text(report["run"]["date"])}.</p>'
        f'<p>{_ANGLES if report["estimator"] else ""}{_ABOUT}</p>',
        _results(report),
    ]
    if report['estimator']:
        parts.append(f'<p>{_own_error(report)}</p>')
    for title, blocks in (('By direction of the true gaze', 'by_direction'), ('By size of the true angle', 'by_size')):
        if 'gaze' in report['results']:
            parts.append(f'<h2>{title}</h2>' + _groups(report['results']['gaze'][blocks]))
    if 'animation' in report['results']:
        parts.append('<h2>Animation</h2>' + _alphas(report['results']['animation']['by_alpha']))
    figures = ''.join(_figure(name, title) for name, title in plots.items())
    parts.append(f'<h2>Plots</h2><div class="plots">{figures}</div>')
    for title, faces in (('Best', chosen.best), ('Worst', chosen.worst)):
        parts.append(f'<h2>{title} cases</h2><p>By {_text(chosen.ranked_by)}.</p>' + _cases(faces, shown, rows))
    parts.append('<h2>Random cases</h2>' + _cases(chosen.random, shown, rows))
    parts.append(
        '<h2>Animations</h2><p>The random cases by frames; alpha 0 is the gaze as it was, 1 at the camera.</p>'
        + ''.join(_figure(file, name) for name, file in strips.items())
    )
    parts.append('<h2>What this rests on</h2>' + _rests_on(report))
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" '
        f'content="width=device-width"><title>gaze-tf evaluate</title><style>{_STYLE}</style></head>\n<body>\n'
        + '\n'.join(parts)
        + '\n</body></html>\n'
    )


def _text(value):
    return html.escape(str(value))


def _results(report):
    rows = [
        [_cell(what, ''), *(_cell(cell) for cell in numbers), _cell(unit, '')]
        for what, *numbers, unit in table.lines(report)
    ]
    rows += [
        [_cell(line['what'], ''), '<td class="none" colspan="3">not computed</td>', _cell(line['why'], '')]
        for line in report['not_computed']
    ]
    return _table(table.HEADER, rows)


def _cell(value, kind='number'):
    return f'<td class="{kind}">{_text(value)}</td>' if kind else f'<td>{_text(value)}</td>'


def _table(header, rows):
    lines = [''.join(f'<th>{_text(name)}</th>' for name in header), *(''.join(cells) for cells in rows)]
    return '<table>' + '\n'.join(f'<tr>{line}</tr>' for line in lines) + '</table>'


def _three(values):
    return [_cell(table.number(value)) for value in (values['mean'], values['median'], table.tail(values))]


def _own_error(report):
    error = report['estimator']['own_error']
    own = ', '.join(
        f'{_text(name)} {value:.2f}' if isinstance(value, float) else f'{_text(name)} {_text(value)}'
        for name, value in error.items()
        if isinstance(value, (int, float))
    )
    return f"The gaze estimator's own error in degrees, on renderings of people it was not trained on: {own}."


def _groups(groups):
    rows = [
        [
            _cell(name, ''),
            _cell(group['before']['faces']),
            *_three(group['before']),
            *_three(group['after']),
            _cell(table.number(group['ratio'], 3)),
            _cell(table.share(group['smaller'])),
        ]
        for name, group in groups.items()
    ]
    header = (
        '',
        'faces',
        'before: mean',
        'median',
        'p90',
        'after: mean',
        'median',
        'p90',
        'ratio of means',
        'smaller, %',
    )
    return _table(header, rows)


def _alphas(alphas):
    rows = [
        [
            _cell(alpha),
            _cell(table.number(found['intended_angle']['mean'])),
            _cell(table.number(found['achieved_angle']['mean'])),
            *_three(found['error']),
        ]
        for alpha, found in alphas.items()
    ]
    header = 'alpha', 'intended angle, mean', 'achieved angle, mean', 'between both gazes: mean', 'median', 'p90'
    return _table(header, rows)


def _cases(names, shown, rows):
    return ''.join(_figure(shown[name], _caption(rows[name])) for name in names)


def _caption(row):
    text = row['name']
    if 'angle_after' in row:
        text += (
            f': true angle {row["true_angle"]:.1f}°, estimated {row["angle_before"]:.1f}° before and '
            f'{row["angle_after"]:.1f}° after ({row["angle_twin"]:.1f}° at the camera)'
        )
    if 'l1_twin' in row:
        text += f'; difference to the twin {row["l1_twin"]:.1f} grey levels, iris ΔE {row["iris_de"]:.1f}'
    return text


def _figure(file, caption):
    return (
        f'<figure><img src="images/{_text(file)}" alt="{_text(caption)}"><figcaption>{_text(caption)}</figcaption>'
        '</figure>\n'
    )


def _rests_on(report):
    data, lines = report['data'], []
    lines.append(('data', f'sha256 {data["fingerprint"]} over names, eyes, truth and files of what is held out'))
    if data['identities_also_in_training'] is not None:
        lines.append(('people', f'{data["identities_also_in_training"]} of the held-out Y occur in training rows, too'))
    if data['left_out']:
        lines.append(('left out', f'{len(data["left_out"])} bad rows or images, the first: {data["left_out"][0]}'))
    lines += [(name, f'sha256 {checksum}') for name, checksum in report['model']['files'].items()]
    if report['estimator']:
        lines.append(('gaze estimator', f'sha256 {report["estimator"]["sha256"]}'))
    lines.append(('versions', ', '.join(f'{name} {version}' for name, version in report['versions'].items())))
    lines.append(('flags', ' '.join(f'--{name}={value}' for name, value in report['flags'].items())))
    machine, run = report['machine'], report['run']
    lines.append(('machine', f'{machine["cpu"]}, {machine["cores"]} cores; this took {run["seconds"]} seconds'))
    rows = ''.join(f'<tr><td>{_text(name)}</td><td><code>{_text(value)}</code></td></tr>' for name, value in lines)
    return (
        f'<table>{rows}</table><h3>Model</h3><pre>{_text(json.dumps(report["model"]["config"], indent=1))}</pre>'
        f'<h3>Speed, seconds a face or frame</h3><pre>{_text(json.dumps(machine["speed"], indent=1))}</pre>'
    )
