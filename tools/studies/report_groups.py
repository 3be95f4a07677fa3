"""python -m tools.studies.report_groups --report=runs/people/report --data=data/london

Results of a `gaze-tf evaluate` report by group of people, as far as a folder of `gaze-tf turn-dataset` has groups: the
third of its turned faces with the darkest skin, the middle third and the lightest (lightness L* of the cheeks below the
eyes), and the same for irises, all read in the photos as they were taken. Prints a table of means within each group.
"""

import csv
import pathlib
import sys

import numpy as np
from absl import app, flags
from PIL import Image
from skimage import color

THIRDS = ('darkest third', 'middle third', 'lightest third')
COLUMNS = {
    'degrees after': 'degrees_after',
    'PSNR to the twin, dB': 'psnr_twin',
    'iris color, ΔE': 'iris_de_twin',
    'sharpness': 'sharpness',
}
CHEEK = 0.45, 0.08  # below an eye, half the side of the square: shares of the distance of the eyes
IRIS = 0.5, 0.85  # of the radius


def lightness(image, truth):
    """{'skin': L*, 'irises': L*} of a face; truth: its row of truth.csv, irises as in the photo as taken."""
    light = color.rgb2lab(np.asarray(image.convert('RGB')))[..., 0]
    irises = np.array([[float(truth[f'twin_{side}_iris_{axis}']) for axis in 'xy'] for side in ('left', 'right')])
    apart = np.ptp(irises[:, 0])
    rows, columns = np.mgrid[: light.shape[0], : light.shape[1]]
    rings, cheeks = [], []
    for x, y in irises:
        far = np.hypot(columns - x, rows - y) / float(truth['iris_radius'])
        rings.append(np.median(light[(far > IRIS[0]) & (far < IRIS[1])]))
        cheek = np.maximum(np.abs(columns - x), np.abs(rows - y - CHEEK[0] * apart)) < CHEEK[1] * apart
        cheeks.append(np.median(light[cheek]))
    return {'skin': np.mean(cheeks), 'irises': np.mean(rings)}


def table(results, light):
    """Markdown lines: results {name: row of per_image.csv}, light {name: as of lightness}."""
    lines = [f'| | faces | {" | ".join(COLUMNS)} |', f'|---|---|{"---|" * len(COLUMNS)}']
    for what in ('skin', 'irises'):
        names = sorted(results, key=lambda name: light[name][what])
        for title, group in zip(THIRDS, np.array_split(names, 3)):
            means = [
                np.nanmean([float(results[name][column] or 'nan') for name in group]) for column in COLUMNS.values()
            ]
            lines.append(f'| {what}, {title} | {len(group)} | {" | ".join(f"{mean:.2f}" for mean in means)} |')
    return lines


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f'{argv[1]!r} is not a flag: every option is given as --name=value.')
    report, data = pathlib.Path(flags.FLAGS.report), pathlib.Path(flags.FLAGS.data)
    try:
        with (report / 'per_image.csv').open(newline='') as file:
            results = {row['name']: row for row in csv.DictReader(file) if row['domain'] == 'y'}
        with (data / 'truth.csv').open(newline='') as file:
            truth = {row['name']: row for row in csv.DictReader(file) if row['domain'] == 'Y'}
        light = {}
        for name in results:
            with Image.open(data / 'twins' / f'{name}.jpg') as image:
                light[name] = lightness(image, truth[name])
    except OSError as error:
        sys.exit(
            f'{error.filename}: {error.strerror}. --report is a folder of gaze-tf evaluate, --data the one it measured.'
        )
    except KeyError as error:
        sys.exit(f'--data={data} is not what --report={report} measured: {error} is missing.')
    print('\n'.join(table(results, light)))


if __name__ == '__main__':
    flags.DEFINE_string('report', None, 'Folder of gaze-tf evaluate.', required=True)
    flags.DEFINE_string('data', None, 'Folder of gaze-tf turn-dataset that it measured.', required=True)
    app.run(main)
