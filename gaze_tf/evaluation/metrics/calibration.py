"""Degrees of real people: iris offsets, calibrated on photos whose eyes were turned by known angles.

The offset of an iris, less that of the same head at the camera, is proportional to the sine of the angle: along the
eyes to that of yaw, across to that of pitch. Both factors are fitted to the held-out faces before correction, by least
squares through zero, without faces that lie far off the line; inverted, they give the degrees after correction.
"""

from typing import NamedTuple

import numpy as np

MIN_FACES = 10
_FAR = 3 * 1.4826  # median absolute residuals: three standard deviations of normal ones
_ROUNDS = 3
_AXES = {'along': 'true_yaw', 'up': 'true_pitch'}


class Fit(NamedTuple):
    """slope: eye widths for a sine of 1. r2: share of the offsets' variance, over all faces, that the line explains."""

    slope: float
    r2: float


def fits(rows: list[dict]) -> dict[str, Fit] | None:
    """{'along': Fit, 'up': Fit} of rows of Y, or None (`why_not` says why)."""
    if why_not(rows):
        return None
    return {axis: _fit(*_pairs(rows, axis)) for axis in _AXES}


def why_not(rows: list[dict]) -> str:
    """Why rows of Y with offsets and truth give no degrees, as the end of a sentence; '' where they do."""
    for axis in _AXES:
        sines, offsets = _pairs(rows, axis)
        if len(sines) < MIN_FACES:
            return (
                f'it takes {MIN_FACES} faces that are found before correction, after it and in their pictures at '
                f'the camera; there are {len(sines)}'
            )
        if not sines @ offsets > 0:
            return f'the offsets {axis} the eyes do not follow the true angles'
    return ''


def degrees(rows: list[dict], found: dict[str, Fit], when: str) -> list[float]:
    """sqrt(yaw² + pitch²) in degrees of each row of Y, 'before' or 'after' correction, by `fits`; nan without
    offsets."""
    values = []
    for row in rows:
        sines = [row[f'offset_{axis}_to_twin_{when}'] / fit.slope for axis, fit in found.items()]
        values.append(float(np.hypot(*np.degrees(np.arcsin(np.clip(sines, -1, 1))))))
    return values


def _pairs(rows, axis):
    """Sines of the true angles and offsets [N] of the faces that have both."""
    if not rows or f'offset_{axis}_to_twin_before' not in rows[0]:
        return np.zeros(0), np.zeros(0)
    sines = np.sin(np.radians([row[_AXES[axis]] for row in rows]))
    offsets = np.array([row[f'offset_{axis}_to_twin_before'] for row in rows])
    known = ~np.isnan(offsets)
    return sines[known], offsets[known]


def _fit(sines, offsets):
    near = np.ones(len(sines), bool)
    for _ in range(_ROUNDS):
        slope = sines[near] @ offsets[near] / (sines[near] @ sines[near])
        away = np.abs(offsets - slope * sines)
        # (where all lie on the line, rounding alone is no distance)
        near = away <= _FAR * np.median(away) + 1e-9
    total = np.sum((offsets - offsets.mean()) ** 2)
    return Fit(float(slope), float(1 - np.sum(away**2) / total) if total else float('nan'))
