"""The table with which a report opens: what was measured, what was reached, in what unit."""

from gaze_tf.evaluation.metrics.catalog import METRICS
from gaze_tf.evaluation.metrics.metric import Metric, number
from gaze_tf.evaluation.metrics.statistics import worst_tail

HEADER = 'what', 'mean', 'median', 'worst tenth from', 'unit'
# order of the rows, by block of the results
BLOCKS = (
    'gaze',
    'animation',
    'iris_offset',
    'calibrated',
    'animation_by_offset',
    'identity',
    'twin',
    'reconstruction',
    'sharpness',
    'conditions',
    'distribution',
    'containment',
)


def lines(report: dict) -> list[tuple[str, ...]]:
    """The table of a report (content of report.json): rows of five texts as HEADER has them; single values are in the
    second."""
    shown = [metric for metric in METRICS if metric.title]
    shown.sort(key=_block)
    found = [row for metric in shown for row in _row(metric, report)]
    machine, size = report['machine'], report['model']['size']
    return [
        *found,
        (
            'correction of one face',
            number(1000 * machine['speed']['correct_one'], 1),
            '',
            '',
            f'ms on {machine["cores"]} cores',
        ),
        ('size of the model', number(size['bytes'] / 1e6, 1), '', '', f'MB, {size["parameters"]:,} parameters'),
    ]


def text(report: dict) -> str:
    """The table and what was not measured, for a terminal."""
    rows = [HEADER, *lines(report)]
    widths = [max(len(row[k]) for row in rows) for k in range(4)]
    found = [
        '  '.join(
            [f'{row[0]:{widths[0]}}', *(f'{cell:>{width}}' for cell, width in zip(row[1:4], widths[1:])), row[4]]
        ).rstrip()
        for row in rows
    ]
    return '\n'.join(found + [f'{line["what"]}: not computed; {line["why"]}.' for line in report['not_computed']])


def value_of(metric: Metric, report: dict):
    """What report.json has of a metric, or None where it was not measured."""
    value = report['results']
    for key in metric.result.split('/'):
        if not isinstance(value, dict) or key not in value:
            return None
        value = value[key]
    return value


def _block(metric):
    """The place of a metric's block; blocks that BLOCKS does not name come last."""
    block = metric.result.split('/')[0]
    return BLOCKS.index(block) if block in BLOCKS else len(BLOCKS)


def _row(metric, report):
    """One row, or none where the metric was not measured on any face."""
    value = value_of(metric, report)
    if value is None or (isinstance(value, dict) and not value.get('faces', 1)):
        return []
    values = (value['mean'], value['median'], worst_tail(value)) if isinstance(value, dict) else (value,)
    cells = [number(None if one is None else metric.scale * one, metric.digits) for one in values]
    unit = metric.unit(report) if callable(metric.unit) else metric.unit
    return [(metric.title, *cells, *[''] * (3 - len(cells)), unit)]
