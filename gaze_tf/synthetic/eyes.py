"""Draws the eyes of a synthetic face; for units, frames and signs see `model`."""

from typing import Any

import numpy as np
from scipy import ndimage

from gaze_tf.synthetic.model import (
    EYEBALL,
    F32,
    Identity,
    Picture,
    View,
    cover,
    flat_light,
    gaze_vector,
    linear,
    planes,
    shade,
    smooth,
)


def lid_curves(identity: Identity, view: View, nasal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Heights v of the upper and the lower lid from the eye's center, at places `nasal` (positive: nose).

    The upper lid follows a gaze downwards half way and upwards a little; the lower lid gives way less."""
    _, drop, _ = EYEBALL * gaze_vector(view.yaw, view.pitch)
    up = min(identity.lid_up * view.openness - (0.5 if drop > 0 else 0.25) * drop, 13.3)
    low = identity.lid_low * view.openness + (0.3 if drop > 0 else 0.1) * drop
    s = np.clip(nasal / (identity.eye_width / 2), -1, 1)
    arch = 1 - s * s
    line = identity.eye_tilt * nasal
    upper = line - up * np.clip(1 - (s - identity.lid_peak * arch) ** 2, 0, 1) ** identity.lid_round
    lower = line + low * np.clip(1 - (s + 0.12 * arch) ** 2, 0, 1) ** (0.9 * identity.lid_round)
    return upper, lower


def _iris(
    identity: Identity, view: View, dx: np.ndarray, dy: np.ndarray, rng: np.random.Generator, pixel: float
) -> tuple[np.ndarray, np.ndarray]:
    """Albedo and coverage of iris and pupil at places dx, dy from the iris center."""
    gaze = gaze_vector(view.yaw, view.pitch)
    slant = np.hypot(gaze[0], gaze[1])
    radius = identity.iris_radius
    if slant > 1e-6:  # a disc seen askew is shortened along the way it has turned
        ex, ey = gaze[:2] / slant
        along = (dx * ex + dy * ey) * (1 / gaze[2] - 1)
        dx, dy = dx + along * ex, dy + along * ey
    rho = np.sqrt(dx * dx + dy * dy) / radius
    table = ndimage.gaussian_filter(rng.standard_normal((32, 256)), (6, 1.0), mode=('nearest', 'wrap'))
    table = (table / table.std()).astype(F32)
    angle = ((np.arctan2(dy, dx) / (2 * np.pi) + 0.5) * 255.9).astype(np.int32)
    fibre = table[np.minimum((rho * 30).astype(np.int32), 31), angle]
    rim, core = planes(identity.iris_rim), planes(identity.iris_core)
    inward = np.clip(smooth(0.85, 0.4, rho) + 0.15 * fibre, 0, 1)
    # The iris is a shallow bowl: it is brightest across from the light.
    bowl = 1 - (0.55 / radius) * (dx * view.light[0] + dy * view.light[1])
    tone = (1 + 0.22 * fibre) * bowl * (1 - 0.8 * identity.limbal * smooth(0.76, 0.98, rho))
    tone = np.clip(tone, 0.15, 2.5) * (1 - 0.97 * cover((view.pupil - rho) * radius, max(0.7, pixel)))
    return (rim + (core - rim) * inward) * tone, cover((1 - rho) * radius, max(1.1, pixel))


def _eyeball(
    identity: Identity,
    view: View,
    side: int,
    x: np.ndarray,
    y: np.ndarray,
    lids: tuple[np.ndarray, np.ndarray],
    rng: np.random.Generator,
    pixel: float,
) -> np.ndarray:
    """Light from the open part of the eye, [3, h, w]."""
    upper, lower = lids
    nasal = -side * x / (identity.eye_width / 2)
    s = np.minimum(np.abs(nasal), 1)
    below, above = np.clip(y - upper, 0, None), np.clip(lower - y, 0, None)
    x, y = x + side * identity.rest[0], y - identity.rest[1]
    gaze = EYEBALL * gaze_vector(view.yaw, view.pitch)
    white, flesh = planes(linear((217, 207, 199))), planes(linear((186, 112, 102)))
    pink = np.clip(0.35 * s**3 + 0.8 * smooth(0.74, 0.88, nasal), 0, 0.85)
    color, iris = _iris(identity, view, x - gaze[0], y - gaze[1], rng, pixel)
    white = white + (flesh - white) * pink
    color = white + (color * F32(1.25) - white) * iris

    nx, ny = x / 26, y / 26
    light = shade(view, nx, ny, np.sqrt(np.clip(1 - nx * nx - ny * ny, 0.1, 1)))
    dim = 0.9 * (1 - 0.65 * np.exp(-below / 3)) * (1 - 0.3 * np.exp(-above / 1.3)) * (1 - 0.5 * s**3)
    color *= light * dim

    # The glint sits where the light puts it and is stronger on the cornea than on the white.
    h: np.ndarray = np.asarray(view.light) + (0, 0, 1)
    h /= np.linalg.norm(h)
    width, height, square, strength = view.catch
    gx, gy = (x - 13 * h[0]) / width, (y - 13 * h[1]) / height
    reach = (gx**4 + gy**4) ** 0.25 if square else np.sqrt(gx * gx + gy * gy)
    glint = strength * cover((1 - reach) * width, 0.8) * (0.3 + 0.7 * iris)
    film = (above - 0.5) ** 2 * 4 + ((x - 8 * h[0]) / 9) ** 2  # of tears, along the lower lid
    glint += 0.22 * np.exp(-film)
    return color + glint * (planes(view.key) * F32(1.5)) + 0.035 * iris * smooth(4, -8, y)


def _lashes(
    identity: Identity,
    rng: np.random.Generator,
    nasal: np.ndarray,
    height: np.ndarray,
    length: float,
    spacing: float,
    pixel: float,
) -> np.ndarray:
    """Coverage of lashes that grow outwards from a lid; height is the distance from its edge."""
    s = nasal / (identity.eye_width / 2)
    place = (nasal + (0.3 - 0.6 * s) * np.clip(height, 0, None)) / spacing + 64
    cell = place.astype(np.int32) % 128
    longs, shifts = rng.uniform(0.65, 1, 128).astype(F32), rng.uniform(-0.25, 0.25, 128).astype(F32)
    part = height / np.maximum(length * longs[cell] * (0.75 - 0.4 * s), 0.1)
    thick = 0.42 * np.clip(1 - part, 0, 1)
    hair = cover(thick - np.abs(place % 1 - 0.5 + shifts[cell]) * spacing, max(pixel, 0.35))
    return hair * (part < 1) * (height > -0.4) * smooth(1.1, 0.98, -s) * smooth(0.98, 0.7, s)


def _lid_shade(identity: Identity, view: View, nasal: np.ndarray, y: np.ndarray) -> np.ndarray:
    """[3, h, w] factor on the skin around the eye: crease, fold and make-up; the gaze does not change it."""
    s = np.clip(nasal / (identity.eye_width * 0.55), -1, 1)
    up = identity.lid_up * view.openness
    arch = np.clip(1 - (s - 0.6 * identity.lid_peak * (1 - s * s)) ** 2, 0, 1) ** 0.75
    above = identity.eye_tilt * nasal + 1.5 - (up + identity.crease) * arch - y
    ends = smooth(1, 0.6, np.abs(s))
    fold = 0.55 * np.exp(-((above / 1.1) ** 2)) + 0.25 * np.exp(-np.abs(above - 1) / 3.5)
    dark = identity.crease_depth * ends * fold + 0.14 * smooth(1, -1, above) * smooth(6, 0, y) * ends
    below = y - 5 - identity.lid_low - identity.eye_tilt * nasal
    dark += 0.12 * np.exp(-(((below - 2.5) / 2) ** 2)) * smooth(1.1, 0.5, np.abs(s))
    dark -= 0.05 * np.exp(-((below / 1.6) ** 2))
    made_up = identity.shadow * smooth(6, 0, y) * np.exp(-((np.clip(above, 0, None) / 5) ** 2)) * ends
    return (1 - dark * planes((0.88, 1.03, 1.03))) * (1 - 0.5 * made_up * planes((0.7, 1, 0.85)))


def _eye_layers(
    identity: Identity, view: View, side: int, x: np.ndarray, y: np.ndarray, pixel: float
) -> tuple[np.ndarray, np.ndarray]:
    """Light of the eyeball [3, h, w] and coverages [4, h, w]: lid edge, eyeball over it, lid line, lashes."""
    rng = np.random.default_rng((identity.seed, side + 1))
    nasal, half = -side * x, identity.eye_width / 2
    upper, lower = lids = lid_curves(identity, view, nasal)
    s = np.abs(x) / half
    # the moist edge of the lower lid
    edge = 0.6 * np.exp(-(((y - lower - 0.7) / 0.8) ** 2)) * smooth(1.02, 0.85, s)
    opening = cover(np.minimum(y - upper, lower - y), pixel) * cover(half - np.abs(x), pixel)
    over, under = np.clip(upper - 0.5 - y, 0, None) / 0.9, np.clip(y - upper - 0.3, 0, None) / 0.6
    line = np.exp(-over * over - under * under) * identity.liner * smooth(1.06, 0.97, s)
    line *= np.clip(0.75 - (0.25 / half) * nasal, 0, 1)
    lashes = np.maximum(
        0.9 * _lashes(identity, rng, nasal, upper - y, identity.lash, 1.25, pixel),
        0.5 * _lashes(identity, rng, nasal, y - lower - 1.2, 0.6 * identity.lash, 1.9, pixel),
    )
    light = _eyeball(identity, view, side, x, y, lids, rng, pixel)
    return light, np.stack((edge, opening, line, lashes))


def _shrink(fine_planes: np.ndarray, fine: int) -> np.ndarray:
    """Mean over blocks of fine x fine."""
    # (sum begins with the number 0)
    rows: Any = sum(fine_planes[:, k::fine] for k in range(fine))
    return sum(rows[:, :, k::fine] for k in range(fine)) * F32(1 / fine**2)


def draw_eye(identity: Identity, view: View, canvas: Picture, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Draws an eye (side: -1, at smaller x, or 1).

    Returns (x, y) in pixels of the middle of its opening, int [2], and of its iris, float [2].
    """
    middle_u = side * identity.eye_distance / 2
    label = np.rint(canvas.to_image(middle_u, 0)).astype(int)
    box = canvas.box(middle_u, -3, 36, 26)
    nasal = (middle_u - canvas.u[box]) * side
    canvas.rgb[(slice(None),) + box] *= _lid_shade(identity, view, nasal, canvas.v[box])

    # All that moves with the gaze is drawn finer; its window leaves room in EYE_BOX for the blur of the lens.
    rows, columns = canvas.box(middle_u, 0, 26.5, 16.5)
    fine = int(np.clip(round(512 / canvas.size), 2, 6))
    axes = []
    for span in (columns, rows):
        axis = np.arange(span.start * fine, min(span.stop, canvas.size) * fine)
        axes.append(((axis + 0.5) / fine - 0.5).astype(F32))
    x, y = canvas.face_coordinates(canvas.to_units(axes[0])[None], canvas.to_units(axes[1])[:, None])
    across, down = (np.abs(axis - at) * F32(256 / canvas.size) for axis, at in zip(axes, label))
    window = np.clip((26.2 - across) / 1.2, 0, 1)[None] * np.clip((16.4 - down) / 1.6, 0, 1)[:, None]
    light, alphas = _eye_layers(identity, view, side, x - F32(middle_u), y, canvas.pixel / fine)
    alphas *= window
    edge, opening, line, lashes = alphas
    bare = (1 - line) * (1 - lashes)
    skin_part = (1 - edge) * (1 - opening) * bare
    weights = _shrink(np.stack((skin_part, edge * (1 - opening) * bare, 1 - bare)), fine)
    lamp = flat_light(view, 0.6)
    moist = planes(identity.skin) * F32(1.05) + planes(linear((120, 62, 58))) * F32(0.5)
    black = planes(identity.hair) * F32(0.15) + planes(linear((24, 16, 14)))
    part = canvas.rgb[:, rows, columns]
    part *= weights[0]
    part += _shrink(light * (opening * bare), fine)
    part += weights[1] * (moist * lamp) + weights[2] * (black * lamp)

    gaze = EYEBALL * gaze_vector(view.yaw, view.pitch)
    iris = canvas.to_image(middle_u - side * identity.rest[0] + gaze[0], identity.rest[1] + gaze[1])
    return label, np.array(iris)
