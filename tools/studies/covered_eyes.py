"""python -m tools.studies.covered_eyes --portraits=PHOTOS

How well covered eyes are recognized (gaze_tf/inference/covered.py), on a folder of portraits. It paints covers over one
or both eyes of each, or makes the whole picture harder to read, finds the face again, and prints for each kind

    faces           how many pictures
    none found      share of them in which no face was found
    left alone      share of the faces found that are left alone, as covered or for any other reason

`--fit` fits the weights on these portraits instead and prints them. Those in the package were fitted on half-length
portraits of members of the US Congress (public domain), of other people than those measured in docs/editing.md.
Portraits whose face would be left alone for another reason are skipped.
"""

import os
import re
import sys
import zlib

# before TensorFlow is imported: its start-up chatter buries the table
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

import cv2
import numpy as np
from absl import app, flags
from PIL import Image
from scipy.optimize import minimize
from tqdm import tqdm

from gaze_tf.datasets.from_photos import find_photos
from gaze_tf.errors import GazeError
from gaze_tf.inference.covered import features, with_seen
from gaze_tf.inference.faces import why_not
from gaze_tf.inference.mediapipe_detector import MediapipeDetector
from gaze_tf.media.photo import Photo

COVERS = ('sunglasses', 'with reflections', 'gradient', 'bar', 'grey', 'skin', 'cheek', 'fingers', 'hair', 'cloth')
CONDITIONS = (
    'untouched',
    'blurred',
    'dark',
    'noisy',
    'small',
    'dark and noisy',
    'shadow',
    'shaded eyes',
    'reflections',
    'make-up',
    'dark irises',
    'tinted glasses',
)
WORSE = 6  # of CONDITIONS: as many may befall covered eyes, too
APART = 80  # pixels between the eyes, to which larger portraits are brought
ALARMS = 0.005  # share of the pictures with seen eyes, conditions among them, that may count as covered when fitting


class Places:
    """Where pixels of a picture lie: along, down float [2, H, W], from the middle of each eye in widths of the eye."""

    def __init__(self, face, shape):
        y, x = np.mgrid[: shape[0], : shape[1]] + 0.5
        eyes = np.reshape(face.eyes, (2, 2))
        self.apart = np.linalg.norm(eyes[1] - eyes[0])
        self.width = face.eye_width
        self.level = (eyes[1] - eyes[0]) / self.apart
        cos, sin = self.level
        self.along = np.stack([((x - ex) * cos + (y - ey) * sin) / self.width for ex, ey in eyes])
        self.down = np.stack([((y - ey) * cos - (x - ex) * sin) / self.width for ex, ey in eyes])
        self.from_irises = np.stack(
            [np.hypot(x - ix, y - iy) / self.width for ix, iy in np.reshape(face.irises, (2, 2))]
        )


def soft(inside, edge):
    """1 inside, 0 outside, a ramp as wide as `edge` between; inside: distance from the border, positive inside."""
    return np.clip(inside / edge + 0.5, 0, 1)


def shapes(places, rng, bar):
    """Masks float [2, H, W] that hide each eye: rounded, or a bar."""
    edge = rng.choice([0.03, 0.15, 0.4])
    across, high = rng.uniform(0.8, 1.5 if bar else 1.1) + edge / 2, rng.uniform(0.55, 0.9) + edge / 2
    along, down = places.along - rng.uniform(-0.1, 0.1), places.down - rng.uniform(-0.1, 0.15)
    if bar:
        return np.minimum(
            soft(high - abs(down + rng.uniform(-0.1, 0.1) * along), edge), soft(across - abs(along), edge)
        )
    power = rng.choice([2, 3, 4])
    return soft((1 - (abs(along / across) ** power + abs(down / high) ** power) ** (1 / power)) * high, edge)


def spot(along, down, rng, reach):
    """Mask [H, W] of a small ellipse somewhere within `reach` of the eye's middle, (along, down)."""
    turn = rng.uniform(0, np.pi)
    along, down = along - rng.uniform(-1, 1) * reach[0], down - rng.uniform(-1, 1) * reach[1]
    long, short = rng.uniform(0.05, 0.6), rng.uniform(0.05, 0.25)
    return soft(
        (
            1
            - np.hypot(
                (along * np.cos(turn) + down * np.sin(turn)) / long,
                (down * np.cos(turn) - along * np.sin(turn)) / short,
            )
        )
        * short,
        0.05,
    )


def streaks(across, rng, wide):
    """Random brightness along a coordinate, with mean 0 and standard deviation 1."""
    knots = np.convolve(rng.normal(size=400), np.exp(-0.5 * (np.arange(-30, 31) / (wide * 50)) ** 2), 'same')
    return np.interp(across, np.linspace(-4, 4, 400), (knots - knots.mean()) / knots.std())


def cover_of(rgb, kind, places, k, rng, skin):
    """What hides an eye, float [H, W, 3]."""
    along, down = places.along[k], places.down[k]
    turn = rng.uniform(0, np.pi)
    slope = along * np.cos(turn) + down * np.sin(turn)
    tint = 6 * rng.normal(size=3)
    if kind in ('sunglasses', 'with reflections'):
        glass = rng.uniform(0, 55) + tint + (rng.uniform(0, 50) * (down + 0.5))[..., None]
        for _ in range(rng.integers(1, 4) if kind == 'with reflections' else 0):
            glass = glass + rng.uniform(30, 200) * spot(along, down, rng, (0.6, 0.4))[..., None]
        return glass
    if kind == 'gradient':
        first, last = rng.uniform(0, 255, 2)
        return (first + (last - first) * np.clip(slope / 1.6 + 0.5, 0, 1))[..., None] + tint
    if kind in ('bar', 'grey'):
        level = 0 if kind == 'bar' and rng.random() < 0.3 else rng.uniform(*((0, 255) if kind == 'bar' else (80, 170)))
        return np.full(rgb.shape, level + tint)
    if kind == 'skin':
        return skin * rng.uniform(0.6, 1.15) + (rng.uniform(-30, 30) * slope)[..., None]
    if kind == 'cheek':
        by = 1.35 * places.width * places.level[::-1] * (-1, 1)
        return cv2.warpAffine(
            rgb, np.array([[1, 0, -by[0]], [0, 1, -by[1]]]), rgb.shape[1::-1], borderMode=cv2.BORDER_REFLECT
        ).astype(float)
    if kind == 'fingers':
        turn = rng.uniform(0.9, 2.2)
        gap = (
            abs(((along * np.cos(turn) + down * np.sin(turn) + rng.uniform(0, 1)) / rng.uniform(0.45, 0.8)) % 1 - 0.5)
            * 2
        )
        shade = 1.05 - 0.2 * gap**2 - rng.uniform(0.2, 0.6) * np.clip((gap - 0.85) / 0.15, 0, 1)
        return skin * rng.uniform(0.75, 1.1) * shade[..., None]
    if kind == 'hair':
        turn = rng.uniform(-0.7, 0.7)
        lines = streaks(along * np.cos(turn) + down * np.sin(turn), rng, rng.uniform(0.03, 0.12))
        return (rng.uniform(15, 150) + tint) * (1 + rng.uniform(0.15, 0.5) * lines[..., None])
    folds = streaks(slope, rng, rng.uniform(0.1, 0.5))
    return (rng.uniform(10, 230) + 5 * tint) * (1 + rng.uniform(0.02, 0.15) * folds[..., None])


def covered(rgb, face, kind, which, rng):
    """The portrait uint8 [H, W, 3] with a cover over eyes `which`, a tuple of 0 and 1."""
    places = Places(face, rgb.shape)
    cheeks = (abs(places.along) < 0.5) & (abs(places.down - 1) < 0.25)
    skin = np.median(rgb[cheeks.any(axis=0)], axis=0)
    masks = shapes(places, rng, kind in ('bar', 'cloth', 'fingers') or rng.random() < 0.2)
    seed, opaque, grain = rng.integers(1 << 30), rng.uniform(0.9, 1) if 'glasses' in kind else 1, rng.uniform(0, 4)
    out = rgb.astype(float)
    for k in which:
        # both lenses are alike, strands and fingers are not
        own = np.random.default_rng(seed + (k if kind in ('hair', 'fingers') else 0))
        cover = cover_of(rgb, kind, places, k, own, skin) + rng.normal(0, grain, rgb.shape[:2])[..., None]
        out += opaque * masks[k][..., None] * (cover - out)
    return levels(out)


def conditioned(rgb, face, kind, rng):
    """The portrait uint8 [H, W, 3] under a condition, with its eyes to be seen."""
    places = Places(face, rgb.shape)
    out = rgb.astype(float)
    if kind == 'blurred':
        return cv2.GaussianBlur(rgb, (0, 0), 0.035 * places.apart)
    if kind == 'small':
        return cv2.resize(rgb, None, fx=30 / places.apart, fy=30 / places.apart, interpolation=cv2.INTER_AREA)
    if kind.startswith('dark') and 'irises' not in kind:
        out /= 3
    if kind.endswith('noisy'):
        out += rng.normal(0, 6 if 'dark' in kind else 15, out.shape)
    if kind == 'shadow':  # from one side
        light = np.clip(0.5 + rng.choice([-1, 1]) * places.along.mean(axis=0) / rng.uniform(0.3, 3), 0, 1)
        out *= (rng.uniform(0.3, 0.5) + 0.6 * light)[..., None]
    if kind == 'shaded eyes':  # by a hat: the cheeks are lit
        lit = soft(places.down.mean(axis=0) - rng.uniform(-0.2, 0.6), rng.uniform(0.05, 0.6))
        out *= (lit + rng.uniform(0.3, 0.5) * (1 - lit))[..., None]
    if kind == 'tinted glasses':
        out += shapes(places, rng, False).max(axis=0)[..., None] * rng.uniform(0.2, 0.45) * (rng.uniform(0, 60) - out)
    for k in (0, 1):
        along, down = places.along[k], places.down[k]
        if kind == 'reflections':  # in glasses
            for _ in range(rng.integers(1, 3)):
                out += rng.uniform(0.15, 0.5) * spot(along, down, rng, (0.7, 0.5))[..., None] * (245 - out)
        if kind == 'make-up':  # around the opening
            far = np.hypot(along / 0.6, down / 0.3)
            out *= 1 - rng.uniform(0.4, 0.65) * (soft(far - 0.92, 0.15) * soft(1.5 - far, 0.6))[..., None]
        if kind == 'dark irises':
            out *= 1 - 0.7 * soft(0.18 - places.from_irises[k], 0.04)[..., None]
    return levels(out)


def levels(values):
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def portrait_of(path, detector):
    """(rgb, Face) of a photo, no larger than need be; None if it has no face that could be edited."""
    rgb = Photo.open(path).rgb
    faces = detector(rgb)
    if not faces or why_not(faces[0]):
        return None
    eyes = np.reshape(faces[0].eyes, (2, 2))
    apart = np.linalg.norm(eyes[1] - eyes[0])
    low = np.maximum(eyes.mean(axis=0) - 2.6 * apart, 0).astype(int)
    high = (eyes.mean(axis=0) + 2.6 * apart).astype(int)
    scale = min(APART / apart, 1)
    image = Image.fromarray(rgb[low[1] : high[1], low[0] : high[0]])
    rgb = np.array(image.resize([round(side * scale) for side in image.size], Image.Resampling.LANCZOS))
    faces = detector(rgb)
    return (rgb, faces[0]) if faces and not why_not(faces[0]) else None


def pictures(rgb, face, number, rng):
    """Yields (kind, eyes that are covered, picture): under six conditions, covered five times."""
    for n in range(6):
        kind = CONDITIONS[0 if n == 0 else 1 + (5 * number + n) % (len(CONDITIONS) - 1)]
        yield kind, (), conditioned(rgb, face, kind, rng)
    for n in range(5):
        kind, which = COVERS[(5 * number + n) % len(COVERS)], ((0, 1), (0,), (0, 1), (1,))[rng.integers(4)]
        worse = CONDITIONS[rng.integers(1, WORSE) if rng.random() < 0.5 else 0]
        yield kind, which, conditioned(covered(rgb, face, kind, which, rng), face, worse, rng)


def look_at(paths):
    """[(kind, eyes that are covered, Face or None, features or None)] of pictures made from portraits."""
    detector = MediapipeDetector(smallest=0.12)
    rows = []
    for number, path in enumerate(tqdm(paths, unit=' portraits', dynamic_ncols=True)):
        portrait = portrait_of(path, detector)
        if portrait is None:
            continue
        for kind, which, picture in pictures(*portrait, number, np.random.default_rng(zlib.crc32(path.name.encode()))):
            found = with_seen(picture, detector(picture)[:1])
            rows.append((kind, which, *(found or [None]), features(picture, found[0]) if found else None))
    return rows


def fitted(rows):
    """Weights as `covered.WEIGHTS`: logistic regression on eyes, its constant such that ALARMS of the seen faces count
    as covered."""
    rows = [row for row in rows if row[2] is not None and row[2].seen is not None]
    values = np.array([row[3] for row in rows])
    hidden = np.array([[k in which for k in (0, 1)] for _, which, *_ in rows])
    # the other eye of a face with one that is covered is neither
    taken = hidden | ~hidden.any(axis=1, keepdims=True)
    x, sign = values[taken], np.where(hidden[taken], -1, 1)
    middle, spread = x.mean(axis=0), x.std(axis=0)
    x = np.c_[(x - middle) / spread, np.ones(len(x))]
    share = np.where(sign < 0, 1 / (sign < 0).sum(), 1 / (sign > 0).sum()) / 2

    def loss(weights):
        margin = sign * (x @ weights)
        slope = -share * sign / (1 + np.exp(np.clip(margin, -50, 50)))
        small = np.r_[weights[:-1], 0]
        return share @ np.logaddexp(0, -margin) + 1e-4 * small @ small, x.T @ slope + 2e-4 * small

    weights = minimize(loss, np.zeros(x.shape[1]), jac=True, method='L-BFGS-B').x[:-1] / spread
    scores = (values[~hidden.any(axis=1)] @ weights).min(axis=1)
    return np.r_[weights, -np.quantile(scores, ALARMS)]


def table(rows):
    """Lines of text: a row for each kind, and for all conditions but the first, and all covers."""
    kinds = {kind: [row for row in rows if row[0] == kind] for kind in (*CONDITIONS, *COVERS)}
    kinds['all conditions'] = [row for row in rows if row[0] in CONDITIONS[1:]]
    kinds['all covers'] = [row for row in rows if row[1]]
    kinds['one eye covered'] = [row for row in rows if len(row[1]) == 1]
    lines = [f'{"":20}{"faces":>8}{"none found":>12}{"left alone":>12}']
    for kind, those in kinds.items():
        found = [face for _, _, face, _ in those if face is not None]
        if found:
            lines.append(
                f'{kind:20}{len(those):8}{1 - len(found) / len(those):12.3f}'
                f'{np.mean([bool(why_not(face)) for face in found]):12.3f}'
            )
    return lines


def define_flags(values):
    flags.DEFINE_string('portraits', '', 'Folder of photos with a face each, whose eyes are open.', flag_values=values)
    flags.DEFINE_string(
        'people', '', 'Regular expression; only photos take part in whose names it is found.', flag_values=values
    )
    flags.DEFINE_boolean('fit', False, 'Fit the weights, and print them.', flag_values=values)


def main(args):
    del args
    values = flags.FLAGS
    try:
        paths = [path for path in find_photos(values.portraits) if re.search(values.people, path.stem)]
        rows = look_at(paths)
        if not rows:
            raise GazeError(f'--portraits={values.portraits} has no photo that takes part.')
    except GazeError as error:
        sys.exit(f'Error: {error}')
    print('\n'.join(table(rows)))
    if values.fit:
        print('WEIGHTS =', np.round(fitted(rows), 3).tolist())


if __name__ == '__main__':
    define_flags(flags.FLAGS)
    app.run(main)
