"""A report as a folder: report.json, per_image.csv, index.html and its pictures; whole or not at all.

report.json has the same content whenever the same model, data and flags are given on the same versions, but for its blocks
`machine` (speed) and `run` (date, place, seconds).
"""

import csv
import dataclasses
import datetime
import json
import math
import time

import tensorflow as tf

from gaze_tf.errors import GazeError
from gaze_tf.evaluation.evaluate import batch_of, measure
from gaze_tf.evaluation.metrics import calibration, inception, lpips
from gaze_tf.evaluation.report import cases, pages, plots, provenance
from gaze_tf.evaluation.summary import summarise
from gaze_tf.files import new_folder, reason

JSON, ROWS, PAGE, IMAGES = 'report.json', 'per_image.csv', 'index.html', 'images'


def write(output, network, samples, tools, flags, batch_size=16, seed=0, overwrite=False):
    """Measures a Network on Samples with Tools and writes the report into the folder `output`; returns report.json.

    flags: {name: value} of what was asked for, for the record. Raises GazeError: the folder exists or cannot be written, a
    face cannot be read any more, or the model fails.
    """
    start, date = time.monotonic(), datetime.datetime.now(datetime.UTC)
    with new_folder(output, '--output', overwrite) as folder:
        try:
            measured = measure(network, samples, tools, batch_size)
            report = {
                'results': summarise(measured, seed),
                'not_computed': not_computed(network, samples, tools) + _no_degrees(samples, tools, measured.rows),
                **about(network, samples, tools, flags),
                'machine': _machine(network, samples, batch_size),
            }
            (folder / IMAGES).mkdir()
            chosen = cases.choose(measured.rows, seed)
            drawn = cases.draw(network, samples, chosen, measured.rows, folder / IMAGES, batch_size)
        except tf.errors.OpError as error:
            raise GazeError(f'--model: {network.path} fails on these faces ({reason(error)}).') from error
        plotted = plots.draw(measured.rows, report['results'], folder / IMAGES)
        report['run'] = {
            'date': date.isoformat(timespec='seconds'),
            'seconds': round(time.monotonic() - start, 1),
            'output': str(output),
        }
        report = plain(report)
        (folder / JSON).write_text(json.dumps(report, indent=1, allow_nan=False) + '\n', encoding='utf-8')
        write_rows(folder / ROWS, measured.rows)
        rows = {row['name']: row for row in measured.rows if row['domain'] == 'y'}
        page = pages.page(report, rows, chosen, drawn, plotted)
        (folder / PAGE).write_text(page, encoding='utf-8')
    return report


def about(network, samples, tools, flags):
    """What the results rest on: the blocks `model`, `data`, `estimator` (or None), `versions` and `flags`."""
    estimator = tools.estimator and {'sha256': tools.estimator.fingerprint, 'own_error': tools.estimator.error}
    return {
        'model': {
            'files': provenance.model_files(network.path),
            'size': provenance.model_size(network.path),
            'config': dataclasses.asdict(network.config),
        },
        'data': {
            'fingerprint': samples.fingerprint,
            'rendered': samples.rendered,
            'samples': samples.names,
            'identities_also_in_training': samples.shared_identities,
            'left_out': samples.left_out,
        },
        'estimator': estimator,
        'versions': provenance.versions(),
        'flags': flags,
    }


def not_computed(network, samples, tools):
    """[{'what', 'why'}]: what was not measured, and what that takes."""
    found = []
    if not samples.rendered:
        found.append(
            (
                'degrees, iris colour, distance to the picture at the camera',
                'nobody knows them of photos: --data has no truth.csv as gaze_tf/synthetic/faces.py writes it',
            )
        )
    elif not tools.estimator and not tools.detector:
        found.append(
            (
                'degrees and animation',
                'they need --iris_offset or, of rendered faces, --gaze_estimator=FILE, which '
                '`python -m tools.train_gaze_estimator --output=FILE` makes',
            )
        )
    if not tools.lpips:
        backbone, linear = (_where(*item) for item in lpips.WEIGHTS.items())
        found.append(
            (
                'LPIPS',
                f"it needs --lpips_backbone, AlexNet's weights {backbone}, and --lpips_linear, its linear "
                f'layers {linear}',
            )
        )
    if not tools.inception:
        (graph,) = (_where(*item) for item in inception.WEIGHTS.items())
        found.append(('FID and KID', f'they need --inception, the frozen Inception graph {graph}'))
    if not tools.detector:
        found.append(
            (
                'iris offset by mediapipe',
                '--iris_offset measures it' + (' (rendered faces have degrees instead)' if samples.rendered else ''),
            )
        )
    if not network.encode(*_first(network, samples, 1)):
        found.append(('content codes', 'the model was exported by an earlier version: export it again'))
    return [{'what': what, 'why': why} for what, why in found]


def _no_degrees(samples, tools, rows):
    """The same of degrees by iris offsets, which it takes the faces to tell."""
    why = (
        calibration.why_not([row for row in rows if row['domain'] == 'y'])
        if samples.rendered and tools.detector
        else ''
    )
    return [{'what': 'degrees by iris offset', 'why': why}] if why else []


def _where(name, source):
    return f'{name} ({source[0]})'


def plain(value):
    """For JSON: numbers of Python, and None for what is not finite."""
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    value = value.item() if hasattr(value, 'item') else value
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_rows(path, rows):
    """Writes per_image.csv; a field is empty where a face has no such number or it is not finite."""
    names = list(dict.fromkeys(name for row in rows[::-1] for name in row))
    with open(path, 'w', newline='', encoding='utf-8') as file:
        writer = csv.DictWriter(file, names, restval='')
        writer.writeheader()
        for row in rows:
            writer.writerow({name: '' if value is None else value for name, value in plain(row).items()})


def _machine(network, samples, batch_size):
    return {**provenance.cpu(), 'speed': provenance.speed(network, *_first(network, samples, batch_size))}


def _first(network, samples, count):
    batch = batch_of(network, samples.read('y', samples.names['y'][:count]))
    return batch.images, batch.eyes
