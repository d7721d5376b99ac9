"""Whether gradients are derivatives that were clipped, and how: by value, by the norm of each, by the norm of all."""

import math
from collections.abc import Mapping

import numpy as np

from oracle.alignments.alignment import CLOSE, norm

# torch divides by the norm plus this.
_ADDED = (0.0, 1e-6)
_DIGITS = 2

Arrays = Mapping[str, np.ndarray]


def found_clipping(wrong: Arrays, recorded: Arrays) -> tuple[str, float] | None:
    """("value", "norm" or "global norm", limit) that makes the `recorded` gradients of the derivatives; None for none.

    `wrong` are the derivatives where the recorded gradients are others. A limit is a number as people write it, of two
    digits: a gradient that is wrong by a factor is not clipped.
    """
    return _by_value(wrong, recorded) or _by_norm(wrong, recorded)


def _by_value(wrong: Arrays, recorded: Arrays) -> tuple[str, float] | None:
    limit = _written(max(float(np.max(np.abs(recorded[n]))) for n in wrong))
    if limit is None or any(float(np.max(np.abs(x), initial=0.0)) > limit * (1 + CLOSE) for x in recorded.values()):
        return None
    fits = all(_alike(np.clip(d, -limit, limit), recorded[n]) for n, d in wrong.items())
    return ("value", limit) if fits else None


def _by_norm(wrong: Arrays, recorded: Arrays) -> tuple[str, float] | None:
    factors = {n: float(np.vdot(d, recorded[n])) / (float(np.vdot(d, d)) or 1.0) for n, d in wrong.items()}
    if not all(0 < k < 1 and _alike(k * wrong[n], recorded[n]) for n, k in factors.items()):
        return None
    shared = list(factors.values())
    if wrong.keys() == recorded.keys() and np.ptp(shared) <= CLOSE * max(shared):
        limit = _limit(shared[0], math.hypot(*(norm(d) for d in wrong.values())))
        if limit is not None:
            return "global norm", limit
    limits = {_limit(k, norm(wrong[n])) for n, k in factors.items()}
    limit = limits.pop()
    return ("norm", limit) if limit is not None and not limits else None


def _limit(factor: float, size: float) -> float | None:
    """The limit for which a gradient of this size is scaled by this factor."""
    return next((x for x in (_written(factor * (size + e)) for e in _ADDED) if x is not None), None)


def _written(x: float) -> float | None:
    short = float(f"{x:.{_DIGITS - 1}e}")
    return short if x and math.isclose(x, short, rel_tol=4 * CLOSE) else None


def _alike(x: np.ndarray, y: np.ndarray) -> bool:
    return norm(x - y) <= 4 * CLOSE * norm(y)
