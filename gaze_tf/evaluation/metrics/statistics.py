"""Many numbers → what they say together: means, medians, worst tails, and comparisons of before and after."""

from typing import Any

import numpy as np


def stats(values: Any, higher_is_better: bool = False) -> dict:
    """{'mean', 'median', 'p90' or 'p10' (where the worst tenth begins), 'faces'} of numbers, without those that are
    nan.

    Infinities (the PSNR of equal pictures) count. All but 'faces' are None where there are no numbers.
    """
    values = np.array(values, float)
    values = values[~np.isnan(values)]
    tail = 'p10' if higher_is_better else 'p90'
    if not len(values):
        return {'mean': None, 'median': None, tail: None, 'faces': 0}
    # between infinities numpy interpolates nan
    method: Any = 'linear' if np.isfinite(values).all() else 'nearest'
    return {
        'mean': float(values.mean()),
        'median': float(np.quantile(values, 0.5, method=method)),
        tail: float(np.quantile(values, 0.1 if higher_is_better else 0.9, method=method)),
        'faces': len(values),
    }


def worst_tail(values: dict) -> float | None:
    """Where the worst tenth begins, of `stats`."""
    return values['p90'] if 'p90' in values else values['p10']


def before_after(before: np.ndarray, after: np.ndarray) -> dict:
    """Absolute values [N] before and after, of the faces that have both.

    Returns {'before': stats, 'after': stats, 'ratio': mean after / mean before, 'smaller': share of the faces}; the
    latter two are None where they are not defined.
    """
    before, after = np.abs(before), np.abs(after)
    known = ~(np.isnan(before) | np.isnan(after))
    before, after = before[known], after[known]
    return {
        'before': stats(before),
        'after': stats(after),
        'ratio': float(after.mean()) / float(before.mean()) if before.any() else None,
        'smaller': float((after < before).mean()) if len(before) else None,
    }


def share_within(values: np.ndarray, limits: tuple[float, float]) -> float | None:
    """The share of numbers [N] from limits[0] to limits[1], without those that are nan; None if there are none."""
    known = values[~np.isnan(values)]
    return float(np.mean((known >= limits[0]) & (known <= limits[1]))) if len(known) else None


def between_people(codes: np.ndarray, people: list) -> float | None:
    """Mean absolute difference of the codes [N, c] of all pairs of different people; None if there is one person."""
    total, count = 0.0, 0
    for n, code in enumerate(codes[:-1], 1):
        others = np.array([person != people[n - 1] for person in people[n:]])
        total += np.abs(codes[n:] - code).mean(1)[others].sum()
        count += others.sum()
    return float(total / count) if count else None
