"""Synthetic faces: who is drawn (Identity), in which photo (View), the picture that is painted, and the light.

Lengths are in face units: one pixel of a 256-pixel image at scale 1. The origin of the face frame is midway
between the eyes, u points to larger image x, v down. Colors are linear light (the square of sRGB / 255), with
planes first: [3, h, w]. Light vectors point from the face to the light: x to larger image x, y down, z to the
camera.
Gaze: yaw is positive towards larger image x, pitch is positive up, both in degrees and in the frame of the
head, which `roll` then turns; (0, 0) looks at the camera. Pixel i of an image has its center at i.
"""

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from gaze_tf.easing import ease

EYEBALL = 19.0  # radius of the eyeball, face units
EYE_BOX = (60, 40)  # width and height of the boxes around the eyes that hold all that the gaze can change
F32 = np.float32

SKINS = ((237, 196, 171), (232, 186, 158), (214, 160, 126), (180, 124, 92), (136, 88, 64), (98, 62, 46))
HAIRS = ((28, 22, 20), (46, 32, 25), (74, 49, 33), (110, 74, 46), (168, 128, 80), (116, 62, 38), (150, 148, 145))
# rim color, color around the pupil, frequency
IRISES = (
    ((66, 38, 22), (104, 62, 32), 3),
    ((40, 24, 17), (62, 37, 24), 3),
    ((88, 84, 46), (142, 94, 44), 1.5),
    ((76, 104, 72), (140, 130, 70), 1.5),
    ((74, 112, 150), (142, 170, 188), 2.5),
    ((98, 112, 122), (150, 160, 164), 1.5),
)


def linear(rgb: Sequence[float] | np.ndarray) -> tuple[float, ...]:
    """The linear light of an sRGB color, 0 to 255."""
    return tuple(float(max(value, 0) / 255) ** 2 for value in rgb)


def planes(color: Sequence[float] | np.ndarray) -> np.ndarray:
    """A color as float32 [3, 1, 1], with planes first."""
    return np.asarray(color, F32).reshape(3, 1, 1)


def _normal(rng: np.random.Generator, mean: float, std: float, limit: float = 2.4) -> float:
    """A normal number, drawn again until it is within `limit` standard deviations."""
    while True:
        draw = rng.standard_normal()
        if abs(draw) <= limit:
            return float(mean + std * draw)


@dataclasses.dataclass(frozen=True)
class Identity:
    """What stays the same over the photos of one person. Lengths in face units, strengths in 0..1."""

    seed: int  # of the textures
    skin: tuple
    hair: tuple
    iris_rim: tuple
    iris_core: tuple
    limbal: float  # darkness of the ring around the iris
    iris_radius: float
    eye_distance: float
    eye_width: float  # from corner to corner
    eye_tilt: float  # rise of the outer corner over the inner one, as a slope
    lid_up: float  # height of the upper lid over the line between the corners
    lid_low: float
    lid_peak: float  # sideways shift of the top of the upper lid, positive towards the nose
    lid_round: float  # exponent of the lid curves: small is boxy, large is almond
    rest: tuple  # iris center when looking at the camera, from the eye's center; x to the nose
    crease: float  # distance of the crease above the upper lid
    crease_depth: float
    lash: float  # length of the lashes
    liner: float  # darkness of the line of the lashes
    shadow: float  # make-up on the upper lid
    brow: tuple  # height over the eye, half thickness, arch, tilt, darkness
    age: float
    nose: tuple  # half width, length, height
    mouth: tuple  # half width, distance below the eyes, fullness
    lips: tuple
    face: tuple  # half width, chin below the eyes, narrowing of the jaw
    hairline: tuple  # height over the eyes, roundness (power), overlap of the temples, long (0, 1)
    beard: float
    freckles: float
    blush: float

    @classmethod
    def sample(cls, rng: np.random.Generator) -> 'Identity':
        tone = rng.uniform(0, len(SKINS) - 1.01)
        darkness, part = SKINS[int(tone)], tone % 1
        skin = np.asarray(darkness) * (1 - part) + np.asarray(SKINS[int(tone) + 1]) * part
        skin *= rng.normal(1, 0.02, 3)
        weights = np.array([iris[2] for iris in IRISES])
        if tone > 2.5:  # light eyes are rare in dark faces
            weights[2:] *= 0.15
        kind = IRISES[rng.choice(len(IRISES), p=weights / weights.sum())]
        age, male = rng.uniform() ** 1.5, rng.uniform() < 0.5
        made_up = not male and rng.uniform() < 0.6
        hairs = HAIRS[:3] if tone > 2.5 else HAIRS
        hair = HAIRS[-1] if rng.uniform() < age - 0.6 else hairs[rng.integers(len(hairs))]
        up, low = rng.uniform(9.0, 11.6), rng.uniform(5.2, 7.0)
        lips = skin * (0.86, 0.66, 0.66) + (12, 0, 4)
        if made_up:
            lips = lips * 0.5 + np.array((170, 40, 60)) * rng.uniform(0.3, 0.5)
        return cls(
            seed=int(rng.integers(2**31)),
            skin=linear(skin),
            hair=linear(np.asarray(hair) * rng.uniform(0.8, 1.15)),
            iris_rim=linear(np.asarray(kind[0]) * rng.uniform(0.8, 1.15) + rng.normal(0, 4, 3)),
            iris_core=linear(np.asarray(kind[1]) * rng.uniform(0.8, 1.15) + rng.normal(0, 4, 3)),
            limbal=rng.uniform(0.2, 0.85),
            iris_radius=rng.uniform(8.95, 9.5),
            eye_distance=_normal(rng, 99.2, 3.3),
            eye_width=rng.uniform(42.4, 46.4),
            eye_tilt=_normal(rng, 0.05, 0.035),
            lid_up=up,
            lid_low=low,
            lid_peak=rng.uniform(-0.12, 0.2),
            lid_round=rng.uniform(0.72, 1.05),
            rest=(rng.uniform(-0.3, 0.8), (low - up) / 2 + rng.uniform(-0.6, 0.4)),
            crease=rng.uniform(3.0, 7.5),
            crease_depth=rng.uniform(0.1, 1) * (rng.uniform() < 0.85),
            lash=rng.uniform(2.0, 3.6) + 1.4 * made_up,
            liner=rng.uniform(0.35, 0.7) + 0.25 * made_up,
            shadow=rng.uniform(0.2, 0.8) * made_up,
            brow=(
                rng.uniform(28, 36),
                rng.uniform(2.6, 4.6) + 0.8 * male,
                rng.uniform(1, 6),
                rng.uniform(-0.08, 0.12),
                rng.uniform(0.6, 1),
            ),
            age=age,
            nose=(rng.uniform(14, 22), rng.uniform(64, 80), rng.uniform(0.75, 1.25)),
            mouth=(rng.uniform(28, 38), rng.uniform(100, 114), rng.uniform(5, 9.5)),
            lips=linear(lips),
            face=(rng.uniform(101, 117), rng.uniform(150, 182), rng.uniform(0.12, 0.36)),
            hairline=(
                rng.uniform(66, 104),
                rng.uniform(2, 4.5),
                rng.uniform(2, 14),
                int(rng.uniform() > 0.25 + 0.55 * male),
            ),
            beard=rng.uniform(0.2, 1) * (male and rng.uniform() < 0.5),
            freckles=rng.uniform() * (tone < 2 and rng.uniform() < 0.3),
            blush=rng.uniform(0.1, 1),
        )


@dataclasses.dataclass(frozen=True)
class View:
    """What differs from photo to photo. Angles in degrees; center in pixels of a 256-pixel image."""

    seed: int  # of background, noise and the like
    yaw: float
    pitch: float
    openness: float  # factor on the height of both lids, 0.9..1.08
    center: tuple  # midway between the eyes
    scale: float
    roll: float  # positive turns the eye at larger x down
    light: tuple  # unit vector
    key: tuple  # color of the light from `light`
    ambient: tuple  # color of the light from everywhere
    catch: tuple  # half width, half height, squareness (0, 1), strength of the catchlight
    smile: float
    mouth_open: float
    brow_raise: float
    turn: float  # shift of the nose by a slight turn of the head
    pupil: float  # radius of the pupil over that of the iris
    glasses: tuple  # () for none; half width, half height, squareness, thickness, color
    exposure: float
    blur: float  # standard deviation at 256 pixels
    noise: float  # of the sensor, in gray levels

    @classmethod
    def sample(cls, rng: np.random.Generator, yaw: float = 0.0, pitch: float = 0.0) -> 'View':
        """A random photo with a gaze in degrees."""
        light = np.array((_normal(rng, 0, 0.5), _normal(rng, -0.35, 0.3), 1.0))
        tint = np.array((1, 1, 1)) + np.array((1, 0.1, -1)) * rng.normal(0, 0.06)
        strength = rng.uniform(0.55, 0.85)
        glasses: tuple = ()
        if rng.uniform() < 0.12:
            tone = rng.uniform(0.0, 0.35) + np.array((0.12, 0.06, 0.03)) * (rng.uniform() < 0.4)
            glasses = (
                rng.uniform(37, 43),
                rng.uniform(24, 30),
                rng.uniform(2.2, 5),
                rng.uniform(0.9, 2),
                tuple(tone.tolist()),
            )
        size = rng.uniform(0.8, 1.55)
        return cls(
            seed=int(rng.integers(2**31)),
            yaw=float(yaw),
            pitch=float(pitch),
            openness=rng.uniform(0.9, 1.08),
            center=(_normal(rng, 128.2, 8.2), _normal(rng, 92.8, 5.14)),
            scale=_normal(rng, 1, 0.0205),
            roll=_normal(rng, 0, 2.45),
            light=tuple((light / np.linalg.norm(light)).tolist()),
            key=tuple((tint * strength).tolist()),
            ambient=tuple(((1.12 - strength) * (2 - tint)).tolist()),
            catch=(size, size * rng.uniform(0.9, 1.5), int(rng.uniform() < 0.4), rng.uniform(0.55, 1)),
            smile=rng.uniform(),
            mouth_open=max(0.0, rng.uniform(-1, 1)),
            brow_raise=rng.uniform(-2, 3),
            turn=_normal(rng, 0, 3),
            pupil=rng.uniform(0.3, 0.5),
            glasses=glasses,
            exposure=float(np.exp(rng.normal(0, 0.16))),
            blur=rng.uniform(0.35, 1.0),
            noise=rng.uniform(0.6, 4.5),
        )


def gaze_vector(yaw: float, pitch: float) -> np.ndarray:
    """Unit vector (x, y down, z to the camera) of a gaze given in degrees."""
    yaw, pitch = np.radians(yaw), np.radians(pitch)
    return np.array((np.sin(yaw) * np.cos(pitch), -np.sin(pitch), np.cos(yaw) * np.cos(pitch)))


def smooth(low: float, high: float, x: np.ndarray) -> np.ndarray:
    """0 at low, 1 at high, smooth in between; high may be smaller than low."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return ease(t)


def cover(distance: np.ndarray, pixel: float) -> np.ndarray:
    """Antialiased coverage of the area where `distance` (face units) is positive."""
    return np.clip(distance / pixel + 0.5, 0, 1)


def bump(u: np.ndarray, v: np.ndarray, u0: float, v0: float, width: float, height: float) -> np.ndarray:
    """A Gaussian bump at (u0, v0), 1 in its middle."""
    return np.exp(-(((u - u0) / width) ** 2) - ((v - v0) / height) ** 2)


@functools.lru_cache(maxsize=32)
def _spline_basis(size: int, cells: int) -> np.ndarray:
    """[size, cells + 3] cubic B-spline weights, rows of unit length, so that noise keeps unit variance."""
    place = (np.arange(size) + 0.5) * cells / size
    t = np.abs(place[:, None] + 1 - np.arange(cells + 3))
    weights = np.where(t < 1, 2 / 3 - t * t + t**3 / 2, np.clip(2 - t, 0, None) ** 3 / 6)
    return (weights / np.linalg.norm(weights, axis=1, keepdims=True)).astype(F32)


def noise(rng: np.random.Generator, size: int, cells: int) -> np.ndarray:
    """[size, size] smooth noise of unit variance with `cells` bumps along a side."""
    basis = _spline_basis(size, cells)
    return basis @ rng.standard_normal((cells + 3, cells + 3), F32) @ basis.T


def strands(rng: np.random.Generator, place: np.ndarray, per_unit: float, pixel: float) -> np.ndarray:
    """Random values from 0 to 1 that depend on `place` alone: hair along its strands, no finer than a pixel."""
    table = ndimage.gaussian_filter1d(rng.uniform(0, 1, 2048), max(1.2, 2 * pixel * per_unit), mode='wrap')
    table = np.clip(0.5 + 1.8 * (table - 0.5), 0, 1).astype(F32)
    return table[(place * (4 * per_unit)).astype(np.int32) & 2047]


class Picture:
    """The picture being painted, in linear light, and the face coordinates of its pixels."""

    def __init__(self, view: View, size: int) -> None:
        self.view, self.size = view, size
        self.pixel = 256 / size / view.scale  # face units a pixel
        axis = self.to_units(np.arange(size)).astype(F32)
        self.u, self.v = self.face_coordinates(axis[None], axis[:, None])
        self.rgb = np.empty((3, size, size), F32)

    def to_units(self, index: np.ndarray) -> np.ndarray:
        """Positions in pixels of a 256-pixel image, of pixels of this one."""
        return (index + 0.5) * 256 / self.size - 0.5

    def face_coordinates(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(u, v) of positions in pixels of a 256-pixel image."""
        angle = np.radians(self.view.roll)
        cos, sin = F32(np.cos(angle) / self.view.scale), F32(np.sin(angle) / self.view.scale)
        x, y = x - F32(self.view.center[0]), y - F32(self.view.center[1])
        return cos * x + sin * y, cos * y - sin * x

    def to_image(self, u: float, v: float) -> tuple[float, float]:
        """Pixel coordinates of a place on the face."""
        angle, scale = np.radians(self.view.roll), self.view.scale
        x = self.view.center[0] + scale * (np.cos(angle) * u - np.sin(angle) * v)
        y = self.view.center[1] + scale * (np.sin(angle) * u + np.cos(angle) * v)
        return (x + 0.5) * self.size / 256 - 0.5, (y + 0.5) * self.size / 256 - 0.5

    def box(self, u: float, v: float, width: float, height: float) -> tuple[slice, slice]:
        """Slices (rows, columns) of the pixels around a place on the face; width and height are half sizes."""
        x, y = self.to_image(u, v)
        scale = self.size / 256

        def span(middle: float, half: float) -> slice:
            return slice(max(0, int(middle - half * scale)), max(0, int(middle + half * scale) + 2))

        return span(y, height), span(x, width)

    def paint(self, color, alpha, box=(slice(None), slice(None))):
        part = self.rgb[(slice(None),) + box]
        part += (color - part) * alpha


def shade(view: View, nx: np.ndarray, ny: np.ndarray, nz: np.ndarray) -> np.ndarray:
    """Light [3, h, w] on surfaces with these normals; soft, as from a large lamp."""
    facing = nx * F32(view.light[0]) + ny * F32(view.light[1]) + nz * F32(view.light[2])
    key = np.clip((facing + F32(0.3)) / F32(1.3), 0, None)
    return key * (planes(view.key) * F32(1.25)) + (F32(0.8) - F32(0.2) * ny) * planes(view.ambient)


def flat_light(view: View, facing: float) -> np.ndarray:
    """Light [3, 1, 1] on things too small to be shaded; facing: share of the lamp's light."""
    return planes(view.ambient) + F32(facing) * planes(view.key)
