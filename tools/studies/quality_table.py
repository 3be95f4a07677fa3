"""The table of the quality benchmark: what the reports of a variant's seeds say together, as numbers and as
Markdown."""

import json
import statistics

# of the table: path in a report's results, what to multiply it by, decimals, unit
FIGURES = {
    'degrees to the camera': (('gaze', 'after', 'mean'), 1, 2, ''),
    'smaller': (('gaze', 'smaller'), 100, 1, '%'),
    'rank correlation': (('animation', 'rank_correlation', 'mean'), 1, 3, ''),
    'animation errs by': (('animation', 'error_within_0_1', 'mean'), 1, 2, '°'),
    'iris ΔE to the input': (('identity', 'iris_de', 'mean'), 1, 2, ''),
    'iris ΔE to the twin': (('identity', 'iris_de_twin', 'mean'), 1, 2, ''),
    'PSNR of X': (('reconstruction', 'x', 'psnr_boxes', 'mean'), 1, 2, ' dB'),
    'L1 to the twin': (('twin', 'l1_twin', 'mean'), 1, 2, ''),
}
TRAINED = 'trained for'  # minutes of processor time
UNTOUCHED = {
    'degrees to the camera': ('gaze', 'before', 'mean'),
    'iris ΔE to the twin': ('identity', 'iris_de_floor', 'mean'),
    'L1 to the twin': ('twin', 'l1_twin_untouched', 'mean'),
}


def runs(out, name, report_on):
    """[(seed, folder)] of a variant's runs that have a report on 'validation' or 'test', by seed.

    All seeds in the folder count, whichever were asked for last, so that nobody can leave out unwelcome ones.
    """
    found = [
        (int(folder.name[len('seed-') :]), folder)
        for folder in (out / name).glob('seed-*')
        if (folder / f'report-{report_on}' / 'report.json').exists()
    ]
    return sorted(found)


def summarize(out, variants, report_on):
    """What table.json holds; variants: {name: what it is}, of which those without a report are left out.

    Each figure of a variant: mean, std (sample standard deviation over the seeds; None of one seed), min, max, and
    values in the order of its seeds.
    """
    rows, untouched = {}, None
    for name, what in variants.items():
        own = runs(out, name, report_on)
        if not own:
            continue
        results = [
            json.loads((folder / f'report-{report_on}' / 'report.json').read_text())['results'] for _, folder in own
        ]
        figures = {
            title: _spread([factor * _at(found, path) for found in results])
            for title, (path, factor, *_) in FIGURES.items()
        }
        figures[TRAINED] = _spread([_minutes(folder) for _, folder in own])
        rows[name] = {'what': what, 'seeds': [seed for seed, _ in own], 'figures': figures}
        # the same faces for all
        untouched = {title: _at(results[0], path) for title, path in UNTOUCHED.items()}
    return {'measured_on': report_on, 'untouched': untouched, 'variants': rows}


def markdown(summary):
    """The table as Markdown, with a sentence that says what its figures are."""
    shown = {title: pattern for title, (_, _, *pattern) in FIGURES.items()} | {TRAINED: [1, ' min']}
    header = ['', 'runs', *shown]
    lines = [header, ['---'] * len(header)]
    if summary['untouched']:
        own = {**{title: f'{value:.2f}' for title, value in summary['untouched'].items()}, 'iris ΔE to the input': '0'}
        lines.append(['untouched', '', *(own.get(title, '') for title in shown)])
    for row in summary['variants'].values():
        lines.append(
            [
                row['what'],
                str(len(row['seeds'])),
                *(_cell(row['figures'][title], *pattern) for title, pattern in shown.items()),
            ]
        )
    table = ''.join(f'| {" | ".join(line)} |\n' for line in lines)
    return (
        f'Measured on the {summary["measured_on"]} faces. Mean ± standard deviation over runs with different seeds; '
        f'figures in brackets are of one run and no result.\n\n{table}'
    )


def _at(results, path):
    for key in path:
        results = results[key]
    return results


def _minutes(folder):
    seconds = json.loads((folder / 'seconds.json').read_text())
    return (seconds['train'] + seconds.get('finetune', 0)) / 60


def _spread(values):
    return {
        'mean': statistics.fmean(values),
        'std': statistics.stdev(values) if len(values) > 1 else None,
        'min': min(values),
        'max': max(values),
        'values': values,
    }


def _cell(figure, decimals, unit):
    mean = f'{figure["mean"]:.{decimals}f}'
    return f'({mean}{unit})' if figure['std'] is None else f'{mean} ± {figure["std"]:.{decimals}f}{unit}'
