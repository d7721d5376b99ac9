"""Normalisation over other axes or by another measure: layer, instance, group and batch norm; RMS, L2, L1, maximum.

    y = (x - mean(x)) / sqrt(var(x) + eps), or x / measure(x); over some axes, or over groups of channels

Codes:
    normalization-axes: the same measure over other axes. normalization-kind: another measure.
"""

import functools
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from oracle.causes import Candidate, Context, hypothesis
from oracle.causes.local import Wanted, close, overridden, soon, upstream
from oracle.networks.lowered import LoweredNode
from oracle.networks.network import Values
from oracle.networks.node_reading import numbers, place

_REGION = 30
_UPSTREAM = 8
_SOON = 8
_STORED = ("parameter", "buffer", "constant")
_VECTORS = 2
# How near to its value without eps a norm must be before any eps is tried.
_ROUGHLY = 0.1
_LARGE = 1_000_000
_EPS = (1e-5, 1e-3, 1e-6, 1e-12, 1e-8, 0.0)


Measure = Callable[[np.ndarray, tuple[int, ...], float], np.ndarray]


def _standardised(x: np.ndarray, axes: tuple[int, ...], eps: float) -> np.ndarray:
    centred = x - np.mean(x, axes, keepdims=True)
    return centred / np.sqrt(np.mean(centred * centred, axes, keepdims=True) + eps)


# What a norm makes of an array along some axes.
KINDS: dict[str, Measure] = {
    "mean and variance": _standardised,
    "root mean square": lambda x, axes, eps: x / np.sqrt(np.mean(x * x, axes, keepdims=True) + eps),
    "Euclidean norm": lambda x, axes, eps: x / np.sqrt(np.sum(x * x, axes, keepdims=True) + eps),
    "sum of magnitudes": lambda x, axes, eps: x / (np.sum(np.abs(x), axes, keepdims=True) + eps),
    "largest magnitude": lambda x, axes, eps: x / (np.max(np.abs(x), axes, keepdims=True) + eps),
    "smallest and largest": lambda x, axes, eps: (
        (x - np.min(x, axes, keepdims=True)) / (np.ptp(x, axes, keepdims=True) + eps)
    ),
}


@dataclass(frozen=True)
class Moments:
    """What is measured, and over which axes, or (axis, number) groups of channels and all axes but the first."""

    axes: tuple[int, ...]
    groups: tuple[int, int] | None = None
    kind: str = "mean and variance"

    def __str__(self) -> str:
        return f"the {self.kind} over {self.where}"

    @property
    def where(self) -> str:
        """The axes or groups in words."""
        if self.groups:
            return f"{self.groups[1]} groups of the channels of axis {self.groups[0]}"
        return f"axis {self.axes[0]}" if len(self.axes) == 1 else f"axes {list(self.axes)}"

    def standardise(self, x: np.ndarray, eps: float) -> np.ndarray:
        """`x` normalised by what is measured."""
        if self.groups is None:
            return KINDS[self.kind](x, self.axes, eps)
        axis, groups = self.groups
        moved = np.moveaxis(x, axis, 1)
        grouped = moved.reshape(len(moved), groups, -1)
        return np.moveaxis(KINDS[self.kind](grouped, (2,), eps).reshape(moved.shape), 1, axis)


@dataclass(frozen=True)
class Norm:
    """A node that makes `scale * normalised + shift` of the value `source`; scale and shift broadcast over it."""

    node: LoweredNode
    source: int
    scale: np.ndarray | float = 1.0
    shift: np.ndarray | float = 0.0

    def compute(self, moments: Moments, eps: float, values: Values) -> np.ndarray:
        """What the node makes where it normalises by `moments`."""
        made = moments.standardise(values[self.source], eps)
        return self.scale * made.reshape(values[self.node.outputs[0]].shape) + self.shift


@hypothesis(priority=11)
def other_moments(context: Context) -> Iterator[Candidate]:
    """B normalises a value by what it measures over some axes; A over others, or by another measure."""
    wanted, side = Wanted(context), context.b
    every = {e for n in (*context.at_b.region[:_REGION], *context.at_a.region[:_REGION]) for _, e in numbers(n)}
    eps = tuple(dict.fromkeys([*(e for e in sorted(every) if 0 < e < 0.01), *_EPS]))
    for node in context.at_b.region[:_REGION]:
        y = side.run.values[node.outputs[0]]
        if not 1 < y.size <= _LARGE or not np.isfinite(y).all():
            continue
        plain, scale, shift = _without_affine(context, node)
        near = [i for n in (node, *upstream(side, node.outputs[0], _UPSTREAM)) for i in n.reals]
        for i in (i for i in dict.fromkeys(near) if side.run.values[i].size == y.size):
            x = side.run.values[i]
            present = identify(x, plain.reshape(x.shape), eps) if 2 <= x.ndim <= 5 else None
            if present is not None:
                yield from _others(context, wanted, Norm(node, i, scale, shift), present)


def _without_affine(context: Context, node: LoweredNode) -> tuple[np.ndarray, np.ndarray | float, np.ndarray | float]:
    """The node's result before its scale and shift, and both as it applies them, where it stores such vectors."""
    side, y = context.b, context.b.run.values[node.outputs[0]]
    stored = [i for i in dict.fromkeys(node.reals) if side.network.trace.values[i].role in _STORED]
    if not stored or len(stored) == len(node.reals) or len(stored) > _VECTORS:
        return y, 1.0, 0.0

    def made(**kept: float) -> np.ndarray:
        given = {i: np.full_like(side.run.values[i], kept.get(f"v{i}", 0.0)) for i in stored}
        return side.network.apply(node, {**side.run.values, **given})[node.outputs[0]]

    with np.errstate(all="ignore"):
        shifts = [i for i in stored if np.array_equal(made(**{f"v{i}": 1.0}), np.ones_like(y))]
        scales = [i for i in stored if i not in shifts]
        if len(scales) > 1 or np.any(made()):
            return y, 1.0, 0.0
        plain = made(**{f"v{i}": 1.0 for i in scales})
        zeros = {i: np.zeros_like(side.run.values[i]) for i in scales}
        shift = side.network.apply(node, {**side.run.values, **zeros})[node.outputs[0]] if shifts else 0.0
        scale = (y - shift) / plain if scales else 1.0
    return (plain, scale, shift) if np.isfinite(scale).all() else (y, 1.0, 0.0)


def _others(context: Context, wanted: Wanted, norm: Norm, present: tuple[Moments, float]) -> Iterator[Candidate]:
    moments, eps = present
    x = context.b.run.values[norm.source]
    same_kind = (replace(m, kind=moments.kind) for m in choices(x.shape))
    for other in (*(m for m in same_kind if m != moments), *_kinds(moments)):
        compute = functools.partial(norm.compute, other, eps)
        edits = overridden(context.b, {norm.node.outputs[0]: compute})
        found = soon(context, wanted, edits, _SOON) if np.ptp(compute(context.b.run.values)) else None
        if found is not None:
            yield Candidate(
                "normalization-axes" if other.kind == moments.kind else "normalization-kind",
                edits,
                wanted.node(found),
                norm.node,
                fix_a=f"normalise by {moments} (in the other's layout) at {place(wanted.node(found))}",
                fix_b=f"normalise by {other} at {place(norm.node)}",
                detail=f"{{A}} normalises by {other}, {{B}} by {moments} (in {{B}}'s layout)",
                tested=True,
            )


def _kinds(moments: Moments) -> Iterator[Moments]:
    """The other measures, over the same axes."""
    yield from (replace(moments, kind=kind) for kind in KINDS if kind != moments.kind)


def identify(x: np.ndarray, y: np.ndarray, eps: tuple[float, ...]) -> tuple[Moments, float] | None:
    """What is measured of `x`, and the eps, by which `y` is `x` normalised."""
    if not np.isfinite(y).all() or not np.ptp(y):
        return None
    if abs(float(np.mean(y))) < 1e-3 and 0.1 < float(np.std(y)) < 1.01:
        for moments in choices(x.shape):
            found = _nearest(moments, x, y, eps)
            if found is not None:
                return moments, found
    if not np.array_equal(np.sign(x), np.sign(y)):
        return None
    with np.errstate(all="ignore"):
        for moments in (m for m in choices(x.shape) if m.groups is None):
            for other in _kinds(moments):
                if close(other.standardise(x, 0.0), y, _ROUGHLY):
                    found = _nearest(other, x, y, eps)
                    if found is not None:
                        return other, found
    return None


def _nearest(moments: Moments, x: np.ndarray, y: np.ndarray, eps: tuple[float, ...]) -> float | None:
    """The eps with which `y` is `x` normalised by `moments`; of several that fit, the one that fits best."""
    made = {e: moments.standardise(x, e) for e in eps}
    errors = {e: float(np.max(np.abs(m - y))) for e, m in made.items() if close(m, y)}
    return min(errors, key=lambda e: errors[e], default=None)


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
