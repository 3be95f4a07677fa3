"""A report as a folder: report.json, per_image.csv, index.html and its pictures; whole or not at all.

The same model, data and options on the same versions give the same report.json, but for its blocks `machine` (speed)
and `run` (date, place, seconds).
"""

import csv
import dataclasses
import datetime
import json
import math
import pathlib
import time
from typing import Any

import tensorflow as tf

from gaze_tf.errors import GazeError
from gaze_tf.evaluation.measured import Measured, measure
from gaze_tf.evaluation.metrics import calibration, inception, lpips
from gaze_tf.evaluation.options import EvaluationOptions
from gaze_tf.evaluation.painted import Painted, Tools
from gaze_tf.evaluation.report import cases, pages, plots, provenance
from gaze_tf.evaluation.samples import Samples
from gaze_tf.files import new_folder, reason
from gaze_tf.options import as_text

JSON, ROWS, PAGE, IMAGES = 'report.json', 'per_image.csv', 'index.html', 'images'


def write(network: Any, samples: Samples, tools: Tools, options: EvaluationOptions) -> dict:
    """Measures a Network on Samples with Tools and writes the report into `output`; returns the content of report.json.

    Raises GazeError: the folder exists or cannot be written, a face cannot be read any more, or the model fails.
    """
    start, date = time.monotonic(), datetime.datetime.now(datetime.UTC)
    with new_folder(options.output, replace=options.overwrite) as folder:
        try:
            measured = measure(network, samples, tools, options.batch_size, options.seed)
            report = {
                'results': measured.results(),
                'not_computed': not_computed(network, samples, tools) + _no_degrees(samples, tools, measured),
                **sources(network, samples, tools, options),
                'machine': _machine(network, samples, options.batch_size),
            }
            (folder / IMAGES).mkdir()
            rows = {row['name']: row for row in measured.rows['y']}
            chosen = cases.choose(measured.rows['y'], options.seed)
            drawn = cases.draw(network, samples, chosen, rows, folder / IMAGES, options.batch_size)
        except tf.errors.OpError as error:
            raise GazeError(f'the model fails on these faces ({reason(error)}).', network.path) from error
        plotted = plots.draw(measured, report['results'], folder / IMAGES)
        report['run'] = {
            'date': date.isoformat(timespec='seconds'),
            'seconds': round(time.monotonic() - start, 1),
            'output': options.output,
        }
        report = plain(report)
        (folder / JSON).write_text(json.dumps(report, indent=1, allow_nan=False) + '\n', encoding='utf-8')
        write_rows(folder / ROWS, measured)
        (folder / PAGE).write_text(pages.page(report, rows, chosen, drawn, plotted), encoding='utf-8')
    return report


def sources(network: Any, samples: Samples, tools: Tools, options: EvaluationOptions) -> dict:
    """What the results come from: the blocks `model`, `data`, `estimator` (or None), `versions` and `flags`."""
    estimator = tools.estimator and {'sha256': tools.estimator.fingerprint, 'own_error': tools.estimator.error}
    return {
        'model': {
            'files': provenance.model_files(network.path),
            'size': provenance.model_size(network.path),
            'config': dataclasses.asdict(network.config),
        },
        'data': {
            'fingerprint': samples.fingerprint,
            'rendered': samples.has_truth,
            'samples': samples.names,
            'identities_also_in_training': samples.shared_identities,
            'left_out': samples.left_out,
        },
        'estimator': estimator,
        'versions': provenance.versions(),
        'flags': {**options.affecting('results'), 'conditions': as_text(options.conditions)},
    }


def not_computed(network: Any, samples: Samples, tools: Tools) -> list[dict[str, str]]:
    """[{'what', 'why'}]: what was not measured, and what that takes."""
    found = []
    if not samples.has_truth:
        found.append(
            (
                'degrees, iris color, distance to the picture at the camera',
                'nobody knows them for photos as they are: `data` has no truth.csv, as `gaze-tf turn-dataset` '
                'writes it',
            )
        )
    elif not tools.estimator and not tools.detector:
        found.append(('degrees and animation', 'they need `iris_offset` or, for drawn faces, a gaze estimator'))
    if not tools.lpips:
        backbone, linear = (_where(*item) for item in lpips.WEIGHTS.items())
        found.append(
            (
                'LPIPS',
                f'it needs `lpips_backbone`, {backbone}, and `lpips_linear`, the weights of its linear layers, '
                f'{linear}',
            )
        )
    if not tools.inception:
        (graph,) = (_where(*item) for item in inception.WEIGHTS.items())
        found.append(('FID and KID', f'they need `inception`, the frozen Inception graph {graph}'))
    if not tools.detector:
        instead = ' (the gaze estimator gives degrees instead)' if tools.estimator else ''
        found.append(('iris offset by mediapipe', f'`iris_offset` measures it{instead}'))
    if not _first(network, samples, 1).has('content'):
        found.append(('content codes', 'the model was exported by an earlier version: export it again'))
    return [{'what': what, 'why': why} for what, why in found]


def _no_degrees(samples, tools, measured):
    """The same for degrees by iris offsets; only the faces tell whether there are any."""
    why = calibration.why_not(measured.rows['y']) if samples.has_truth and tools.detector else ''
    return [{'what': 'degrees by iris offset', 'why': why}] if why else []


def _where(name, source):
    return f'{name} ({source[0]})'


def plain(value: Any) -> Any:
    """For JSON: numbers of Python, and None for what is not finite."""
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    value = value.item() if hasattr(value, 'item') else value
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_rows(path: pathlib.Path, measured: Measured) -> None:
    """Writes per_image.csv. A field is empty where a face has no such number or it is not finite."""
    rows = [*measured.rows['x'], *measured.rows['y']]
    names = list(dict.fromkeys(name for row in rows[::-1] for name in row))
    with open(path, 'w', newline='', encoding='utf-8') as file:
        writer = csv.DictWriter(file, names, restval='')
        writer.writeheader()
        for row in rows:
            writer.writerow({name: '' if value is None else value for name, value in plain(row).items()})


def _machine(network, samples, batch_size):
    first = _first(network, samples, batch_size)
    return {**provenance.cpu(), 'speed': provenance.speed(network, first.images, first.eyes)}


def _first(network, samples, count):
    return Painted(network, samples.read('y', samples.names['y'][:count]))
