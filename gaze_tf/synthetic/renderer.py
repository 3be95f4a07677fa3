"""Draws one synthetic face photo: `image, info = render(Identity.sample(rng), View.sample(rng), 256)`.

For units, frames and signs see `model`.
"""

import functools
from typing import Any

import numpy as np
from scipy import ndimage

from gaze_tf.synthetic.eyes import draw_eye
from gaze_tf.synthetic.model import (
    F32,
    Identity,
    Picture,
    View,
    bump,
    cover,
    flat_light,
    linear,
    noise,
    planes,
    shade,
    smooth,
    strands,
)

__all__ = ['Identity', 'View', 'render']


def _draw_background(canvas: Picture, rng: np.random.Generator) -> None:
    """Out-of-focus room: a gradient, soft blobs and a few blurred edges."""
    colors = []
    for _ in range(2):
        gray = rng.uniform(25, 225)
        colors.append(
            planes(
                linear(
                    np.clip(gray + rng.normal(0, 0.13) * gray * np.array((1, 0.1, -1)) + rng.normal(0, 9, 3), 5, 250)
                )
            )
        )
    mix = 0.35 + 0.3 * noise(rng, canvas.size, 3)
    for _ in range(3):
        angle, soft = rng.uniform(0, np.pi), rng.uniform(2, 12)
        place = np.cos(angle) * canvas.u + np.sin(angle) * (canvas.v - 40) - rng.uniform(-130, 130)
        mix += rng.uniform(-0.4, 0.4) * smooth(-2 * soft, 2 * soft, place)
    canvas.rgb[:] = colors[0] + (colors[1] - colors[0]) * np.clip(mix, 0, 1)


def _relief(identity: Identity, view: View, u: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Height of the face towards the camera, and the sideways place that follows a turn of the head."""
    width, length, rise = identity.nose
    mouth, chin = identity.mouth[1], identity.face[1]
    eye, a = identity.eye_distance / 2, np.abs(u)
    n = u - view.turn * smooth(-10, 40, v)
    m = np.abs(n)
    # the radius to the power of 2.5, for a slope that stays finite at the outline
    square = (u / identity.face[0]) ** 2 + ((v - 45) / 158) ** 2
    z = -68 * square * np.sqrt(np.sqrt(square))
    z += 5 * bump(a, v, eye - 4, -30, 38, 12) + 3 * bump(u, v, 0, -24, 14, 14)
    z -= 9 * bump(a, v, eye - 8, -4, 27, 17)
    z += 5 * bump(a, v, eye, -2, 22, 13)
    ramp = smooth(-40, length, v) * smooth(length + 10, length - 6, v)
    z += 21 * rise * ramp * np.exp(-((n / (0.66 * width + 0.06 * np.clip(v, 0, length))) ** 2))
    z += 7 * rise * bump(n, v, 0, length - 7, 0.7 * width, 11)
    z += 6 * bump(m, v, 0.92 * width, length - 2, 6.5, 8)
    z += (6 + 5 * view.smile) * bump(a, v, 58, 62 - 6 * view.smile, 34, 30)
    z += 6 * bump(n, v, 0, mouth, 42, 26)
    z += 3.5 * bump(n, v, 0, mouth - 5, 24, 5) + 4.5 * bump(n, v, 0, mouth + 7, 20, 6)
    z -= 2.5 * bump(n, v, 0, mouth + 18, 20, 7) + 1.2 * bump(n, v, 0, length + 16, 3.5, 9)
    z += 7 * bump(n, v, 0, chin - 16, 26, 18)
    z -= (0.5 + 2.0 * identity.age) * bump(a - 0.35 * (v - 14), v, eye - 8, 18, 16, 4.5)  # below the eyes
    fold = m - (width + 7 + 0.42 * (v - length) + 0.004 * (v - length) ** 2)
    depth = (0.3 + 1.2 * view.smile + 1.6 * identity.age) * smooth(length - 14, length + 4, v)
    z -= depth * smooth(mouth + 16, mouth - 6, v) * np.exp(-((fold / 4.5) ** 2))
    if identity.age > 0.3:
        z += (identity.age - 0.3) * _wrinkles(identity, view, a, v)
    return z, n


def _wrinkles(identity: Identity, view: View, a: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Lines across the forehead and crow's feet."""
    lines = np.sin((v + 5 * np.cos(a / 28)) * 0.62 + identity.seed % 7)
    forehead = 0.55 * (1 + 0.3 * view.brow_raise) * lines * bump(a, v, 0, -62, 52, 15)
    outer = a - identity.eye_distance / 2 - 24
    feet = np.sin(9 * np.arctan2(v, outer + 14) + identity.seed % 5)
    return forehead + 0.9 * feet * bump(outer, v, 11, 1, 6, 11)


def _skin(identity: Identity, canvas: Picture, n: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Albedo of the skin with its blemishes, redness and beard."""
    u, v, size = canvas.u, canvas.v, canvas.size
    a, (_, length, _) = np.abs(u), identity.nose
    eye = identity.eye_distance / 2
    mottle = 1 + 0.035 * noise(rng, size, 20) + 0.035 * noise(rng, size, 85)
    red = identity.blush * (0.35 * bump(a, v, 60, 62, 30, 26) + 0.35 * bump(n, v, 0, length - 4, 15, 10))
    red += 0.12 * bump(a, v, eye - 2, 0, 27, 14) + 0.05 * noise(rng, size, 12)
    if identity.freckles:
        spots = np.clip(noise(rng, size, 75) - 1.3, 0, 1) * bump(a, v, 34, 46, 48, 30)
        mottle -= 0.4 * identity.freckles * spots
        red += 0.5 * identity.freckles * spots
    mottle *= 1 - 0.35 * (0.3 + identity.age) * bump(a, v, eye - 9, 11, 17, 11)
    mottle *= 1 - 0.16 * bump(a, v, eye - 17, -6, 10, 10)
    albedo = planes(identity.skin) * mottle * (1 + red * planes((0.1, -0.38, -0.36)))
    if identity.beard:
        jaw = np.maximum(smooth(62, 92, a) * smooth(10, 70, v), smooth(length + 6, length + 28, v + 0.1 * a))
        jaw *= 1 - 0.8 * bump(u, v, 0, identity.mouth[1] + 1, identity.mouth[0] + 4, 8)
        jaw *= identity.beard * 0.75 * np.clip(0.88 + 0.12 * noise(rng, size, 110), 0, 1)
        albedo += (planes(identity.hair) * F32(0.8) + planes(identity.skin) * F32(0.15) - albedo) * jaw
    return albedo


def _draw_mouth(
    identity: Identity, view: View, canvas: Picture, albedo: np.ndarray, n: np.ndarray
) -> tuple[tuple[slice, slice], np.ndarray, np.ndarray]:
    """Paints the lips on the albedo; returns box, color and coverage of the inside of the mouth."""
    half, low, full = identity.mouth
    half = half * (1 + 0.12 * view.smile)
    box = canvas.box(view.turn, low, 48, 32)
    u, v = n[box], canvas.v[box]
    s = np.clip(np.abs(u) / half, 0, 1)
    arch = 1 - s * s
    middle = low + view.smile * (5 * arch - 3) + 1.2 * np.cos(u * 0.22) * arch
    gap = 7 * view.mouth_open * arch * (0.4 + view.smile)
    top = middle - gap * 0.4 - full * 0.85 * arch**0.8 * (1 - 0.25 * np.exp(-((u / 5) ** 2)))
    bottom = middle + gap * 0.6 + full * 1.15 * arch**0.7
    lips = cover(np.minimum(v - top, bottom - v), max(canvas.pixel, 2.5)) * smooth(1, 0.93, s) * 0.8
    part = albedo[(slice(None),) + box]
    part += (planes(identity.lips) - part) * lips
    part *= 1 - 0.18 * np.exp(-(((v - top - 0.6 * full) / (0.5 * full)) ** 2)) * lips
    line = np.exp(-(((v - middle) / 1.3) ** 2)) * smooth(1.04, 0.9, s) * 0.75
    depth = np.minimum(v - middle + gap * 0.4, middle + gap * 0.6 - v)
    inside = np.maximum(cover(depth, 1.4) * (gap > 0.4), line)
    teeth = smooth(0.6, 2.5, v - middle + gap * 0.4) * smooth(1.2, 4, gap) * smooth(0.95, 0.5, s)
    teeth = teeth * (0.85 + 0.15 * np.abs(np.sin(u * 0.36)))
    return box, planes(linear((58, 22, 20))) + teeth * planes(linear((186, 176, 164))), inside


def _draw_head(identity: Identity, canvas: Picture) -> None:
    """Neck and ears."""
    a, v = np.abs(canvas.u), canvas.v
    half, skin = identity.face[0], planes(identity.skin) * flat_light(canvas.view, 0.4)
    canvas.paint(skin * F32(0.5), cover(66 - 0.1 * (v - 150) - a, 3) * cover(v - 110, 20))
    ear = ((a - half - 2) / 10) ** 2 + ((v - 32) / 31) ** 2
    tone = 0.75 - 0.35 * bump(a, v, half + 4, 30, 4, 20)
    canvas.paint(skin * planes((0.95, 0.75, 0.72)) * tone, cover(8 - 8 * ear, 1.5))


def _draw_face(identity: Identity, view: View, canvas: Picture, rng: np.random.Generator) -> None:
    u, v = canvas.u, canvas.v
    half, chin, jaw = identity.face
    z, n = _relief(identity, view, u, v)
    down, right = np.gradient(z, canvas.pixel)
    length = 1 / np.sqrt(1 + down * down + right * right)
    lit = shade(view, -right * length, -down * length, length)

    # The nose shades the skin on the side away from the light; below it and in the nostrils it is dark.
    width, tip, rise = identity.nose
    side, m = -view.light[0], np.abs(n)
    fall = bump(n, v, side * 2.0 * width, tip - 12, 10, 24) * smooth(-8, 8, n * np.sign(side))
    dark = 1 - 0.45 * abs(side) * rise * fall - 0.16 * bump(n, v, 0, tip + 9, width + 4, 5)
    dark *= 1 - 0.62 * bump(m, v + 0.25 * m, 0.5 * width, tip + 5 + 0.12 * width, 0.25 * width, 2.2)
    dark *= 1 - 0.3 * np.exp(-(((m - width - 3.5) / 2.2) ** 2) - ((v - tip + 1) / 6) ** 2)
    albedo = _skin(identity, canvas, n, rng)
    box, mouth_color, inside = _draw_mouth(identity, view, canvas, albedo, n)
    albedo *= lit
    albedo *= dark
    part = albedo[(slice(None),) + box]
    part += (mouth_color * flat_light(view, 0.4) - part) * inside
    h: np.ndarray = np.asarray(view.light) + (0, 0, 1)
    h /= np.linalg.norm(h)
    gloss = np.clip(length * (h[2] - h[0] * right - h[1] * down), 0, 1) ** 24
    albedo += gloss * (planes(view.key) * F32(0.08))

    taper = 1 - jaw * smooth(45, chin + 10, v)
    middle = (chin - 125) / 2
    tall = np.abs(v - middle) / (chin - middle)
    rim = 1 - np.sqrt((u / (half * taper)) ** 2 + tall * tall * tall)
    albedo *= 0.55 + 0.45 * smooth(-0.02, 0.12, rim)
    canvas.paint(albedo, cover(rim * half, max(1.5, canvas.pixel)))


def _hair(identity: Identity, view: View, canvas: Picture) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Color of the hair, its coverage behind the head and in front of it, and its shade on the skin."""
    u, v, a = canvas.u, canvas.v, np.abs(canvas.u)
    height, power, overlap, long = identity.hairline
    half = identity.face[0]
    rng = np.random.default_rng(identity.seed)
    wave = 3 * np.sin(v / 17 + u / 40 + identity.seed % 6) + 512
    across = (u - rng.uniform(-40, 40)) / (1 + np.clip(-30 - v, 0, None) / 60) + wave
    shine = 0.6 * strands(rng, across, 0.6, canvas.pixel) + 0.4 * strands(rng, across, 1.7, canvas.pixel)
    ragged = 3 * strands(rng, across, 0.25, canvas.pixel)
    outer = half + (26 if long else 10) + ragged - a - (0 if long else 40 * smooth(-10, 50, v))
    top = (half - 10) * (a / half) ** power - height + ragged - v
    side = a - half + overlap + ragged + 8 * smooth(60, -20, v)
    if not long:
        side -= 60 * smooth(0, 50, v)
    inner = np.maximum(top, side)
    tone = (0.45 + 1.1 * shine) * (0.75 + 0.4 * np.exp(-(((v + 95 + 0.2 * a) / 25) ** 2)))
    color = planes(identity.hair) * flat_light(view, 0.8) * tone
    shadow = 1 - 0.4 * np.exp(np.minimum(inner, 0) / 6)
    return color, cover(outer, 5), cover(np.minimum(inner, outer), 7), shadow


def _draw_brows(identity: Identity, view: View, canvas: Picture) -> None:
    height, thick, arch, tilt, dark = identity.brow
    rng = np.random.default_rng((identity.seed, 3))
    color = planes(identity.hair) * F32(0.6) + planes(identity.skin) * F32(0.05)
    for side in (-1, 1):
        box = canvas.box(side * identity.eye_distance / 2, -height, 46, 22)
        t = canvas.u[box] * side - identity.eye_distance / 2  # positive towards the temple
        curve = -height - view.brow_raise - arch * (1 - ((t - 8) / 26) ** 2) - tilt * t
        across = (canvas.v[box] - curve) / (thick * smooth(36, 4, t) * 0.75 + thick * 0.25)
        # Hairs lean outwards and lie flatter towards the temple.
        lean = t - across * thick * (0.3 + 0.9 * smooth(-25, 10, t)) + 200
        hairs = 0.6 * strands(rng, lean, 1.1, canvas.pixel)
        hairs += 0.4 * strands(rng, lean + 1.5 * across, 0.5, canvas.pixel)
        body = smooth(1.35, 0.45, np.abs(across) + 0.35 * hairs) * smooth(-29, -19, t) * smooth(35, 24, t)
        canvas.paint(color * flat_light(view, 0.6), body * dark * (0.62 + 0.38 * hairs), box)


def _draw_glasses(identity: Identity, view: View, canvas: Picture) -> None:
    half, height, square, thick, tone = view.glasses
    color = planes(tone) ** 2 * flat_light(view, 1)
    eye = identity.eye_distance / 2
    half, middle = min(half, eye - 6), eye * 1.02
    for side in (-1, 1):
        box = canvas.box(side * eye, 3, 62, 44)
        x, y = canvas.u[box] * side - middle, canvas.v[box] - 3
        f = (np.abs(x / half) ** square + np.abs(y / height) ** square) ** (1 / square)
        away = (f - 1) * (half + height) / 2
        part = canvas.rgb[(slice(None),) + box]
        part *= 1 - 0.22 * np.exp(-(((away - 1.5) / 3) ** 2)) - 0.03 * (away < 0)  # shade and glass
        part += 0.05 * smooth(0, -4, away) * np.exp(-(((x * 0.8 - y - half * 0.95) / 5) ** 2))
        canvas.paint(color, cover(thick / 2 + 0.3 - np.abs(away), canvas.pixel), box)
        box = canvas.box(side * (eye + half + 24), -8, 34, 12)
        out = canvas.u[box] * side
        temple = cover(thick * 0.7 - np.abs(canvas.v[box] + 8), canvas.pixel)
        temple *= cover(out - middle - half + 1, canvas.pixel) * cover(identity.face[0] + 2 - out, 2)
        canvas.paint(color, temple, box)
    box, gap = canvas.box(0, -4, 30, 14), max(middle - half, 3)
    arc = canvas.v[box] + 8 - 5 * (canvas.u[box] / gap) ** 2
    bridge = cover(thick * 0.6 - np.abs(arc) * 0.7, canvas.pixel)
    bridge *= cover(gap - np.abs(canvas.u[box]), canvas.pixel)
    canvas.paint(color, bridge, box)


@functools.lru_cache(maxsize=1)
def _grain() -> np.ndarray:
    """Normal numbers that all images cut their sensor noise from: drawing them anew is slow."""
    return np.random.default_rng(0).standard_normal(2**21, F32)


def _photograph(view: View, rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Exposure, lens and sensor: linear light [3, h, w] to uint8 [h, w, 3]."""
    sigma = view.blur * rgb.shape[-1] / 256
    radius = max(1, int(np.ceil(2.5 * sigma)))
    for axis in (1, 2):
        rgb = ndimage.gaussian_filter1d(rgb, sigma, axis=axis, radius=radius)
    tone = np.sqrt(1 - np.exp(rgb * F32(-1.35 * view.exposure)))
    table = _grain()
    start = rng.integers(len(table) - rgb.size) if rgb.size < len(table) else 0
    grain = np.resize(table[start : start + rgb.size], rgb.shape)
    image = tone * 255 + (F32(view.noise) * grain) * (F32(1.15) - F32(0.5) * tone) + F32(0.5)
    return np.ascontiguousarray(np.clip(image, 0, 255).astype(np.uint8).transpose(1, 2, 0))


def render(identity: Identity, view: View, img_size: int = 256) -> tuple[np.ndarray, dict[str, Any]]:
    """Draws a face; the same arguments give the same bytes.

    Returns the image, uint8 [img_size, img_size, 3] sRGB, and a dict in pixels of it, rows left eye (smaller
    x) then right: `eyes` int [2, 2] (x, y) midway between the corners, `iris` float [2, 2], `iris_radius`."""
    canvas = Picture(view, img_size)
    rngs = [np.random.default_rng((view.seed, part)) for part in range(3)]
    _draw_background(canvas, rngs[0])
    hair, behind, front, shadow = _hair(identity, view, canvas)
    canvas.paint(hair * F32(0.45), behind)
    _draw_head(identity, canvas)
    _draw_face(identity, view, canvas, rngs[1])
    eyes, iris = zip(*(draw_eye(identity, view, canvas, side) for side in (-1, 1)))
    _draw_brows(identity, view, canvas)
    canvas.rgb *= shadow
    canvas.paint(hair, front)
    if view.glasses:
        _draw_glasses(identity, view, canvas)
    image = _photograph(view, canvas.rgb, rngs[2])
    info = {
        'eyes': np.array(eyes),
        'iris': np.array(iris),
        'iris_radius': identity.iris_radius * view.scale * img_size / 256,
    }
    return image, info
