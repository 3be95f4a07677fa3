"""Results by group: the lightness that is read off a face, and the table of thirds."""

import numpy as np
import pytest
from PIL import Image

from tools.studies import report_groups

TRUTH = {
    'twin_left_iris_x': '30',
    'twin_left_iris_y': '40',
    'twin_right_iris_x': '70',
    'twin_right_iris_y': '40',
    'iris_radius': '5',
}


def lightness_of_grey(level):
    """CIE 1976, of an sRGB level."""
    linear = ((level / 255 + 0.055) / 1.055) ** 2.4
    return 116 * linear ** (1 / 3) - 16


def test_lightness():
    face = np.full((100, 100, 3), 180, np.uint8)
    rows, columns = np.mgrid[:100, :100]
    for x in (30, 70):
        far = np.hypot(columns - x, rows - 40)
        face[far < 5] = 90
        face[far < 2.2] = 0
    found = report_groups.lightness(Image.fromarray(face), TRUTH)
    assert found['skin'] == pytest.approx(lightness_of_grey(180), abs=0.1)
    assert found['irises'] == pytest.approx(lightness_of_grey(90), abs=0.1)


def test_a_row_for_each_third():
    results = {f'face{n}': {column: str(float(n)) for column in report_groups.COLUMNS.values()} for n in range(6)}
    results['face5']['psnr_twin'] = ''
    light = {f'face{n}': {'skin': -n, 'irises': n} for n in range(6)}
    lines = report_groups.table(results, light)
    assert len(lines) == 8 and lines[0].count('|') == lines[2].count('|') == 7
    assert lines[2].split('|')[1:4] == [' skin, darkest third ', ' 2 ', ' 4.50 ']
    assert lines[2].split('|')[4] == ' 4.00 '  # what was not measured does not count
    assert lines[7].split('|')[1:4] == [' irises, lightest third ', ' 2 ', ' 4.50 ']
