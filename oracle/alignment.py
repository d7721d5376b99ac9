"""Which values of two networks are the same numbers, whatever their names, layout, order or fusion.

In exact arithmetic two nodes that mean the same hold the same multiset of numbers. Values are matched by their sorted
elements; what follows from matched inputs and has no match, nor a matched descendant, is where the meanings part.
Alignment proposes; the edit that makes the difference vanish proves.
"""

import itertools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from oracle.lowered import LoweredNode
from oracle.network import Network, Run

# Differences of at most this many float32 roundings of a constant are not a difference of meaning.
CLOSE = 2.0**-21
_PROBES = 9


def _sorted(array: np.ndarray) -> np.ndarray:
    return np.sort(np.asarray(array, np.float64), axis=None)


def same_multiset(a: np.ndarray, b: np.ndarray, tolerance: float = CLOSE) -> bool:
    """Whether two arrays hold the same numbers in some order, to `tolerance` of the largest."""
    if a.size != b.size:
        return False
    return _close(_sorted(a), _sorted(b), tolerance)


def _close(a: np.ndarray, b: np.ndarray, tolerance: float) -> bool:
    with np.errstate(invalid="ignore"):
        if not np.array_equal(np.isfinite(a), np.isfinite(b)):
            return False
        finite = np.isfinite(a)
        size = max(np.max(np.abs(a[finite]), initial=0.0), np.max(np.abs(b[finite]), initial=0.0))
        return bool(np.max(np.abs(a[finite] - b[finite]), initial=0.0) <= tolerance * size)


@dataclass(frozen=True)
class Side:
    """One of the two networks with its exact run."""

    network: Network
    run: Run

    @cached_property
    def sorted_values(self) -> dict[int, np.ndarray]:
        """Sorted elements of every real value."""
        values = self.network.trace.values
        return {i: _sorted(a) for i, a in self.run.values.items() if i in values and a.dtype.kind == "f" and a.size}

    @cached_property
    def producers(self) -> dict[int, LoweredNode]:
        """The node that makes each value."""
        return {o: n for n in self.network.nodes for o in n.results}

    @cached_property
    def consumers(self) -> dict[int, list[LoweredNode]]:
        """The nodes that read each value."""
        table: dict[int, list[LoweredNode]] = {}
        for node in self.network.nodes:
            for i in dict.fromkeys(node.node.reads):
                table.setdefault(i, []).append(node)
        return table


@dataclass(frozen=True)
class Alignment:
    """For each real value of a side, the values of the other that hold the same numbers (in order of execution)."""

    a_to_b: Mapping[int, tuple[int, ...]]
    b_to_a: Mapping[int, tuple[int, ...]]


def align(a: Side, b: Side, tolerance: float = CLOSE) -> Alignment:
    """Match the values of two exact runs by their sorted elements."""
    buckets: dict[int, list[int]] = {}
    for j, ordered in b.sorted_values.items():
        buckets.setdefault(ordered.size, []).append(j)
    forward: dict[int, tuple[int, ...]] = {}
    backward: dict[int, list[int]] = {j: [] for j in b.sorted_values}
    for i, ordered in a.sorted_values.items():
        found = [j for j in buckets.get(ordered.size, ()) if matches(ordered, b.sorted_values[j], tolerance)]
        forward[i] = tuple(found)
        for j in found:
            backward[j].append(i)
    return Alignment(forward, {j: tuple(i) for j, i in backward.items()})


def matches(a: np.ndarray, b: np.ndarray, tolerance: float) -> bool:
    """Whether two sorted arrays of one size are equal, to `tolerance` of the largest; a few probes first."""
    places = np.linspace(0, a.size - 1, min(a.size, _PROBES)).astype(int)
    return _close(a[places], b[places], 4 * tolerance) and _close(a, b, tolerance)


@dataclass(frozen=True)
class Divergence:
    """Where meaning parts on one side: the first nodes after aligned inputs whose results have no counterpart.

    `region` holds every node without counterpart that the first ones lead to, in order of execution.
    """

    first: tuple[LoweredNode, ...]
    region: tuple[LoweredNode, ...]


def divergence(side: Side, counterparts: Mapping[int, tuple[int, ...]], targets: Iterable[int] = ()) -> Divergence:
    """The divergent nodes of `side`; a value is in order if it, or anything computed from it, has a counterpart.

    Only nodes on which one of `targets` depends count, where targets are given.
    """
    chosen = _ancestors(side, targets)
    in_order: dict[int, bool] = {}
    for node in reversed(side.network.nodes):
        for o in node.outputs:
            used = any(in_order.get(p, False) for c in side.consumers.get(o, ()) for p in c.outputs)
            in_order[o] = bool(counterparts.get(o)) or used or not side.run.values[o].size
    region = [n for n in side.network.nodes if n.node.index in chosen and n.outputs and not in_order[n.outputs[0]]]
    inside = {o for n in region for o in n.outputs}
    first = tuple(n for n in region if not any(i in inside for i in n.reals))
    return Divergence(first, tuple(region))


def _ancestors(side: Side, targets: Iterable[int]) -> set[int]:
    """Indices of the nodes on which a target depends; of all nodes where there is no target."""
    wanted = set(targets)
    if not wanted:
        return {n.node.index for n in side.network.nodes}
    chosen = set()
    for node in reversed(side.network.nodes):
        if wanted.intersection(node.results):
            wanted.update(node.node.reads)
            chosen.add(node.node.index)
    return chosen


def best_layout(a: np.ndarray, b: np.ndarray, limit: int = 5) -> tuple[tuple[int, ...], np.ndarray] | None:
    """The axis permutation p for which `b.transpose(p)` is closest to `a`, and that array; None if no shape fits.

    Axes of size one are free: shapes are compared without them. Arrays of equal size and no fitting permutation are
    compared flat.
    """
    if a.size != b.size:
        return None
    x, y = np.squeeze(a), np.squeeze(b)
    if x.ndim != y.ndim or x.ndim > limit or math.prod(x.shape) != math.prod(y.shape):
        return (), b.reshape(a.shape)
    best: tuple[float, tuple[int, ...], np.ndarray] | None = None
    for permutation in itertools.permutations(range(x.ndim)):
        moved = y.transpose(permutation)
        if moved.shape == x.shape:
            distance = float(np.max(np.abs(np.nan_to_num(moved - x)), initial=0.0))
            if best is None or distance < best[0]:
                best = (distance, permutation, moved)
    if best is None:
        return (), b.reshape(a.shape)
    return best[1], best[2].reshape(a.shape)
