"""A data set of turned eyes whose positions a stand-in detector reads off their colours, as truth.csv has them.

Eyes are checkerboards of 16 x 12 pixels around (20, 29) and (45, 29) in faces of 64 pixels. Their mean red is 128 + 300
times the iris offset along the eyes, their mean green the same for the offset up. An offset is that of the person's
head plus, in domain Y, SLOPES times the sines of yaw and pitch.
"""

import csv

import numpy as np
from PIL import Image

from gaze_tf.evaluation.samples import Samples
from gaze_tf.inference.faces import Face

EYES = (20.0, 29.0, 45.0, 29.0)
SLOPES = np.array([0.5, 0.4])
ANGLES = [(yaw, pitch) for yaw in (-24, -12, 10, 28) for pitch in (-17, 3, 14)]
HEADS = np.array([(0.08, 0.02), (-0.06, 0.03), (0.04, -0.05), (-0.02, 0.0)])  # of one photo after the other
SHIFT = 300
COLUMNS = (
    'domain',
    'name',
    'split',
    'identity',
    'yaw_deg',
    'pitch_deg',
    'left_iris_x',
    'left_iris_y',
    'right_iris_x',
    'right_iris_y',
    'iris_radius',
    'twin',
    'twin_left_iris_x',
    'twin_left_iris_y',
    'twin_right_iris_x',
    'twin_right_iris_y',
)


def inside(eyes=EYES):
    """Slices (rows, columns) of both eyes."""
    return [(slice(int(y) - 6, int(y) + 6), slice(int(x) - 8, int(x) + 8)) for x, y in np.reshape(eyes, (2, 2))]


def face(offset):
    y, x = np.mgrid[:64, :64]
    image = np.repeat((110 + 10 * np.sin(x / 4) + 10 * np.cos(y / 5))[..., None], 3, axis=-1)
    for eye in inside():
        image[eye] = 128 + np.array([SHIFT * offset[0], SHIFT * offset[1], 0]) + 12 * (-1.0) ** (x + y)[eye][..., None]
    return np.rint(image).astype(np.uint8)


def make(folder):
    """The folder with 4 faces of X and 12 of Y."""
    for name in ('0', '1', 'twins'):
        (folder / name).mkdir(parents=True)
    rows, line = [], ' '.join(f'{value:g}' for value in EYES)
    for n, head in enumerate(HEADS):
        Image.fromarray(face(head)).save(folder / '1' / f'x{n}.jpg', quality=100, subsampling=0)
    for n, angles in enumerate(ANGLES):
        head = HEADS[n % len(HEADS)]
        Image.fromarray(face(head)).save(folder / 'twins' / f'y{n}.png')
        turned = face(head + SLOPES * np.sin(np.radians(angles)))
        Image.fromarray(turned).save(folder / '0' / f'y{n}.jpg', quality=100, subsampling=0)
        rows.append(['Y', f'y{n}', 'test', f'p{n % len(HEADS)}', *angles, *EYES, 5, f'twins/y{n}.png', *EYES])
    for name, domain, count in (('1', 'x', len(HEADS)), ('0', 'y', len(ANGLES))):
        (folder / f'{name}.txt').write_text(''.join(f'{domain}{n} {line}\n' for n in range(count)))
    with open(folder / 'truth.csv', 'w', newline='') as file:
        csv.writer(file).writerows([COLUMNS, *rows])
    return folder


def samples(folder, y=None, **options):
    y = len(ANGLES) if y is None else y
    return Samples(folder, 64, {'x': len(HEADS), 'y': y}, **options)


def detector(image):
    """Stands in for MediapipeDetector, on the data set's images."""
    red, green = (np.mean([image[eye][..., channel].mean() for eye in inside()]) for channel in range(2))
    width, along, up = 10, (red - 128) / SHIFT, (green - 128) / SHIFT
    irises = np.reshape(EYES, (2, 2)) + [width * along, -width * up]
    return [Face(EYES, tuple(irises.ravel()), eye_width=width)]
