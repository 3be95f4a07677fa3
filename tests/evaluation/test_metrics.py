"""The objects that say what is measured: all of them are told apart, and a new one needs nothing but itself."""

import collections

import pytest

from gaze_tf.evaluation import measured
from gaze_tf.evaluation.metrics.catalog import COLUMNS, METRICS, column_metric
from gaze_tf.evaluation.metrics.metric import FaceMetric, Figure
from gaze_tf.evaluation.report import table
from tests import rendered

REPORT = {'machine': {'speed': {'correct_one': 0.1}, 'cores': 2}, 'model': {'size': {'bytes': 1e6, 'parameters': 5}}}


def repeated(values):
    return [value for value, count in collections.Counter(values).items() if count > 1]


def test_columns_and_results_have_one_metric_each():
    assert repeated((metric.column, metric.domain) for metric in COLUMNS) == []
    assert repeated(metric.result for metric in METRICS if metric.result) == []
    assert repeated(metric.title for metric in METRICS if metric.title) == []
    # what the table shows is in report.json
    assert all(metric.result for metric in METRICS if metric.title)


def test_a_column_has_its_metric():
    assert column_metric('psnr_boxes').unit == 'dB' and column_metric('psnr_boxes').higher_is_better
    assert column_metric('iris_de', 'x').result != column_metric('iris_de').result


def test_a_new_metric_is_one_object(rendered_dir, monkeypatch):
    brightness = FaceMetric(
        column='brightness',
        domain='y',
        function=lambda painted: painted.corrected.mean(axis=(1, 2, 3)),
        result='light/brightness',
        title='brightness',
        unit='gray levels',
        higher_is_better=True,
    )
    highest = Figure(
        result='light/highest',
        needs=('brightness',),
        function=lambda found: found.column('brightness').max(),
        title='highest brightness',
        unit=lambda report: f'of {report["results"]["light"]["brightness"]["faces"]} faces',
        digits=0,
    )
    unknown = Figure(result='light/unknown', needs=('no_such_column',), function=lambda found: 1, title='unknown')
    for module in (measured, table):
        monkeypatch.setattr(module, 'METRICS', (brightness, highest, unknown))
    samples = rendered.samples(rendered_dir)
    found = measured.measure(rendered.DoNothing(), samples)
    means = [sample.image.mean() for sample in samples.read('y', samples.names['y'])]
    assert [row['brightness'] for row in found.rows['y']] == pytest.approx(means)
    assert list(found.rows['x'][0]) == ['domain', 'name']
    results = found.results()
    assert set(results['light']) == {'brightness', 'highest'} and results['light']['highest'] == max(means)
    assert set(results['light']['brightness']) == {'mean', 'median', 'p10', 'faces'}
    rows = table.lines({**REPORT, 'results': results})
    assert rows[0][0] == 'brightness' and rows[0][1] == f'{sum(means) / 8:.2f}'
    assert rows[1] == ('highest brightness', f'{max(means):.0f}', '', '', 'of 8 faces')
