"""Normalisation over other axes: layer norm of one axis or of several, instance, group and batch norm.

y = (x - mean(x)) / sqrt(var(x) + eps), moments over some axes, or over groups of channels
"""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from oracle.causes import Candidate, Context, hypothesis, numbers, place
from oracle.causes.local import Wanted, close, overridden, soon, upstream
from oracle.lowered import LoweredNode
from oracle.network import Values

_REGION = 30
_UPSTREAM = 8
_SOON = 8
_LARGE = 1_000_000
_EPS = (1e-5, 1e-3, 1e-6, 1e-12, 1e-8, 0.0)


@dataclass(frozen=True)
class Moments:
    """Over which axes moments are taken, or over which (axis, number) groups of channels and all axes but the first."""

    axes: tuple[int, ...]
    groups: tuple[int, int] | None = None

    def __str__(self) -> str:
        if self.groups:
            return f"{self.groups[1]} groups of the channels of axis {self.groups[0]}"
        return f"axis {self.axes[0]}" if len(self.axes) == 1 else f"axes {list(self.axes)}"

    def standardise(self, x: np.ndarray, eps: float) -> np.ndarray:
        """`x` less its mean, divided by the root of its variance and eps."""
        if self.groups is None:
            return _standardised(x, self.axes, eps)
        axis, groups = self.groups
        moved = np.moveaxis(x, axis, 1)
        grouped = moved.reshape(len(moved), groups, -1)
        return np.moveaxis(_standardised(grouped, (2,), eps).reshape(moved.shape), 1, axis)


def _standardised(x: np.ndarray, axes: tuple[int, ...], eps: float) -> np.ndarray:
    centred = x - np.mean(x, axes, keepdims=True)
    return centred / np.sqrt(np.mean(centred * centred, axes, keepdims=True) + eps)


@hypothesis(priority=27)
def other_moments(context: Context) -> Iterator[Candidate]:
    """B standardises a value over some axes; A over others."""
    wanted, side = Wanted(context), context.b
    every = {e for n in (*context.at_b.region[:_REGION], *context.at_a.region[:_REGION]) for _, e in numbers(n)}
    eps = tuple(dict.fromkeys([*(e for e in sorted(every) if 0 < e < 0.01), *_EPS]))
    for node in context.at_b.region[:_REGION]:
        y = side.run.values[node.outputs[0]]
        near = [i for n in (node, *upstream(side, node.outputs[0], _UPSTREAM)) for i in n.reals]
        for i in (i for i in dict.fromkeys(near) if side.run.values[i].size == y.size <= _LARGE):
            x = side.run.values[i]
            present = identify(x, y.reshape(x.shape), eps) if 2 <= x.ndim <= 5 else None
            if present is not None:
                yield from _others(context, wanted, (node, i), present)


def _others(
    context: Context, wanted: Wanted, read: tuple[LoweredNode, int], present: tuple[Moments, float]
) -> Iterator[Candidate]:
    (node, i), (moments, eps) = read, present
    x = context.b.run.values[i]
    for other in choices(x.shape):
        if other == moments:
            continue

        def compute(values: Values, other: Moments = other) -> np.ndarray:
            return other.standardise(values[i], eps)

        edits = overridden(context.b, {node.outputs[0]: compute})
        found = soon(context, wanted, edits, _SOON) if np.ptp(compute(context.b.run.values)) else None
        if found is not None:
            yield Candidate(
                "normalization-axes",
                edits,
                wanted.node(found),
                node,
                fix_a=f"normalise over {moments} (in the other's layout) at {place(wanted.node(found))}",
                fix_b=f"normalise over {other} at {place(node)}",
                detail=f"{{A}} normalises over {other}, {{B}} over {moments} (in {{B}}'s layout)",
                tested=True,
            )


def identify(x: np.ndarray, y: np.ndarray, eps: tuple[float, ...]) -> tuple[Moments, float] | None:
    """The moments, and the eps, by which `y` is `x` standardised."""
    if not math.isfinite(float(np.sum(y))) or abs(float(np.mean(y))) > 1e-3 or not 0.1 < float(np.std(y)) < 1.01:
        return None
    for moments, e in itertools.product(choices(x.shape), eps):
        if close(moments.standardise(x, e), y):
            return moments, e
    return None


def choices(shape: tuple[int, ...]) -> Iterator[Moments]:
    """Axes, several axes, and groups of channels of the second or last axis."""
    long = [k for k, n in enumerate(shape) if n > 1]
    for count in range(1, len(long) + 1):
        for axes in itertools.combinations(long, count):
            yield Moments(axes)
    for axis in {1, len(shape) - 1}:
        for groups in range(2, shape[axis]):
            if shape[axis] % groups == 0:
                yield Moments((), (axis, groups))
