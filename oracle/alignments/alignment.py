"""Which values of two networks are the same numbers, whatever their names, layout, order or fusion.

In exact arithmetic two nodes that mean the same hold the same multiset of numbers. Values are matched by their sorted
elements; what follows from matched inputs and has no match, nor a matched descendant, is where the meanings part.
Alignment proposes; the edit that makes the difference vanish proves.
"""

import bisect
import itertools
import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from oracle.networks.lowered import LoweredNode
from oracle.networks.network import Edits, Network, Run, reads_of

# Differences of at most this many float32 roundings of a constant are not a difference of meaning.
CLOSE = 2.0**-21
_PROBES = 9
# An array of one number that is a multiple of this says nothing: zeros, ones, halves, counts are everywhere.
_COMMON = 2.0**-8
# Scores are hidden by numbers below this, which are so many times larger than the rest.
_FILL, _APART = -1e3, 100.0
# An operation with more outputs than this makes a list; with fewer, one result and what its gradient needs: five of a
# batch norm that updates its running statistics.
_BY_PRODUCTS = 5
# Operations whose results are parts of an array.
_PARTS = ("slice", "select", "unbind", "split", "chunk", "gather", "unpack", "unstack", "narrow", "take", "index")


def _sorted(array: np.ndarray) -> np.ndarray:
    return np.sort(np.asarray(array, np.float64), axis=None)


def difference(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """x - y; zero where both are the same infinity or NaN, infinite where only one is, or they are not the same."""
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        found = x - y
    if np.isfinite(found).all():
        return found
    same = (np.isnan(x) & np.isnan(y)) | (x == y)
    return np.where(same, 0.0, np.where(np.isnan(found), np.inf, found))


def norm(x: np.ndarray) -> float:
    """The Euclidean norm; infinite where an element is."""
    largest = float(np.max(np.abs(x), initial=0.0))
    if largest == 0 or not math.isfinite(largest):
        return largest
    return largest * float(np.linalg.norm((x / largest).reshape(-1)))


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
        x, y = a[finite], b[finite]
        hidden = _hidden(x)
        if not hidden.any():
            return _within(x, y, tolerance)
        same = np.array_equal(hidden, _hidden(y)) and _within(x[hidden], y[hidden], tolerance)
        return same and _within(x[~hidden], y[~hidden], tolerance)


def _within(a: np.ndarray, b: np.ndarray, tolerance: float) -> bool:
    size = max(np.max(np.abs(a), initial=0.0), np.max(np.abs(b), initial=0.0))
    return bool(np.max(np.abs(a - b), initial=0.0) <= tolerance * size)


def _hidden(x: np.ndarray) -> np.ndarray:
    """Where a mask's fill, say -1e9, stands among numbers of another size: it is no measure of them."""
    low = x < _FILL
    if not low.any() or low.all():
        return np.zeros(x.shape, bool)
    apart = _APART * np.max(np.abs(x[~low])) < np.min(np.abs(x[low]))
    return low if apart else np.zeros(x.shape, bool)


class Digest:
    """A value as alignment sees it: size, root mean square, largest magnitude, and the sorted elements on demand."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array
        finite = np.nan_to_num(np.asarray(array, np.float64).reshape(-1), nan=0.0, posinf=0.0, neginf=0.0)
        self.size = finite.size
        self.largest = float(np.max(np.abs(finite), initial=0.0))
        scaled = finite / self.largest if self.largest else finite
        self.rms = self.largest * math.sqrt(float(np.vdot(scaled, scaled)) / max(self.size, 1))

    @cached_property
    def ordered(self) -> np.ndarray:
        """The elements in order of size."""
        return _sorted(self.array)

    @cached_property
    def telling(self) -> bool:
        """Whether equal numbers elsewhere can be no coincidence: not all one common number."""
        first = float(self.array.reshape(-1)[0]) if self.size else 0.0
        constant = bool(np.all(self.array == first))
        return not (constant and math.isfinite(first) and (first / _COMMON).is_integer())

    def matches(self, other: "Digest", tolerance: float) -> bool:
        """Whether both hold the same numbers in some order, to `tolerance` of the largest."""
        near = 2 * tolerance * max(self.largest, other.largest)
        if self.size != other.size or abs(self.rms - other.rms) > near or abs(self.largest - other.largest) > near:
            return False
        places = np.linspace(0, self.size - 1, min(self.size, _PROBES)).astype(int)
        few = _close(self.ordered[places], other.ordered[places], 4 * tolerance)
        return few and _close(self.ordered, other.ordered, tolerance)


@dataclass(frozen=True)
class Side:
    """One of the two networks with its exact run.

    `noise` is what `oracle.alignments.noise` has measured of the targets of the side as it was recorded, which is
    `unedited`
    where this is an edited one; an edit hardly changes it.
    """

    network: Network
    run: Run
    _digests: dict[int, Digest] = field(default_factory=dict, repr=False)
    noise: dict[frozenset[int], dict[int, float]] = field(default_factory=dict, repr=False)
    unedited: "Side | None" = field(default=None, repr=False)
    edits: Edits = field(default_factory=Edits, repr=False)
    _reads: dict[Any, frozenset[int]] = field(default_factory=dict, repr=False)

    def digest(self, value: int) -> Digest | None:
        """The digest of a real value of the trace; None for integers, booleans and empty arrays."""
        array = self.run.values[value]
        known = self._digests.get(value)
        if known is None or known.array is not array:
            if array.dtype.kind != "f" or not array.size or value not in self.network.trace.values:
                return None
            known = self._digests[value] = Digest(array)
        return known

    def changed(self, network: Network, run: Run, edits: Edits) -> "Side":
        """The side with another run, that of these edits; digests of what did not change are kept."""
        return Side(network, run, dict(self._digests), self.noise, self.unedited or self, edits, self._reads)

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

    def ancestors(self, targets: Iterable[int]) -> frozenset[int]:
        """Indices of the nodes on which a target depends."""
        wanted, chosen = set(targets), set()
        for node in reversed(self.network.nodes):
            if not wanted.isdisjoint(node.results):
                wanted.update(self._read_by(node))
                chosen.add(node.node.index)
        return frozenset(chosen)

    def _read_by(self, node: LoweredNode) -> Collection[int]:
        """The values that the node reads; of an edited one, those that its edit does."""
        compute = self.edits.nodes.get(node.node.index)
        if compute is None or node.node.index in self.edits.literals:
            return node.node.reads
        if compute not in self._reads:
            self._reads[compute] = reads_of(compute, self.run.values)
        return self._reads[compute]


@dataclass(frozen=True)
class Alignment:
    """For each real value of a side, the values of the other that hold the same numbers (in order of execution).

    `telling` are the values (of A, of B) whose match can be no coincidence.
    """

    a_to_b: Mapping[int, tuple[int, ...]]
    b_to_a: Mapping[int, tuple[int, ...]]
    telling: tuple[frozenset[int], frozenset[int]] = (frozenset(), frozenset())

    @property
    def turned(self) -> "Alignment":
        """The same with the sides exchanged."""
        return Alignment(self.b_to_a, self.a_to_b, (self.telling[1], self.telling[0]))


def align(
    a: Side,
    b: Side,
    tolerance: float = CLOSE,
    within: tuple[Collection[int] | None, Collection[int] | None] = (None, None),
) -> Alignment:
    """Match the values of two exact runs by their sorted elements: of all nodes, or of those `within` (A's, B's)."""
    of_a, of_b = _digests(a, within[0]), _digests(b, within[1])
    buckets: dict[int, list[tuple[float, int]]] = {}
    for j, digest in of_b.items():
        buckets.setdefault(digest.size, []).append((digest.rms, j))
    for bucket in buckets.values():
        bucket.sort()
    forward: dict[int, tuple[int, ...]] = {}
    backward: dict[int, list[int]] = {j: [] for j in of_b}
    for i, digest in of_a.items():
        bucket, near = buckets.get(digest.size, []), 4 * tolerance * digest.largest
        start = bisect.bisect_left(bucket, (digest.rms - near, -1))
        window = bucket[start : bisect.bisect_right(bucket, (digest.rms + near, math.inf))]
        forward[i] = tuple(sorted(j for _, j in window if digest.matches(of_b[j], tolerance)))
        for j in forward[i]:
            backward[j].append(i)
    telling = (
        frozenset(i for i, found in forward.items() if found and of_a[i].telling),
        frozenset(j for j, found in backward.items() if found and of_b[j].telling),
    )
    return Alignment(forward, {j: tuple(i) for j, i in backward.items()}, telling)


def _digests(side: Side, within: Collection[int] | None) -> dict[int, Digest]:
    if within is None:
        ids: Iterable[int] = side.run.values
    else:
        nodes = [n for n in side.network.nodes if n.node.index in within]
        ids = dict.fromkeys(i for n in nodes for i in (*n.node.reads, *n.results))
    found = ((i, side.digest(i)) for i in ids if i in side.run.values)
    return {i: digest for i, digest in found if digest is not None}


@dataclass(frozen=True)
class Divergence:
    """Where meaning parts on one side: the first nodes after aligned inputs whose results have no counterpart.

    `region` holds every node without counterpart that the first ones lead to, in order of execution; `open` its values
    without one; `live` the indices of all nodes on which the targets depend.
    """

    first: tuple[LoweredNode, ...]
    region: tuple[LoweredNode, ...]
    open: frozenset[int] = frozenset()
    live: frozenset[int] = frozenset()


def divergence(
    side: Side,
    counterparts: Mapping[int, tuple[int, ...]],
    targets: Iterable[int] = (),
    telling: Collection[int] | None = None,
) -> Divergence:
    """The divergent nodes of `side`; a value is in order if it, or anything computed from it, has a counterpart.

    Only nodes on which one of `targets` depends count, where targets are given; only a `telling` counterpart, one
    that can be no coincidence, speaks for what it was computed from, and a part of an array for that part alone.
    """
    targets = list(targets)
    chosen = side.ancestors(targets) if targets else frozenset(n.node.index for n in side.network.nodes)
    in_order: dict[int, bool] = {}
    speaks: dict[int, bool] = {}
    for node in reversed(side.network.nodes):
        if node.node.index not in chosen:
            continue
        for o in node.outputs:
            used = _spoken_for(side, o, speaks)
            matched = bool(counterparts.get(o))
            in_order[o] = matched or used or not side.run.values[o].size
            speaks[o] = used or (matched and (telling is None or o in telling))
    region = [n for n in side.network.nodes if n.node.index in chosen and _diverges(n, in_order)]
    inside = {o for n in region for o in n.outputs}
    first = tuple(n for n in region if not any(i in inside for i in n.reals))
    return Divergence(first, tuple(region), frozenset(o for o in inside if not in_order[o]), chosen)


def _spoken_for(side: Side, value: int, speaks: Mapping[int, bool]) -> bool:
    """Whether what is computed from all of `value` has a counterpart that speaks for it."""
    covered = 0
    for node in side.consumers.get(value, ()):
        speaking = [p for p in node.outputs if speaks.get(p, False)]
        if speaking and not any(word in node.node.op.lower() for word in _PARTS):
            return True
        covered += sum(side.run.values[p].size for p in speaking)
    return 0 < side.run.values[value].size <= covered


def _diverges(node: LoweredNode, in_order: Mapping[int, bool]) -> bool:
    """Whether the node's result is out of order: its first, or any of a list (others are by-products)."""
    results = node.outputs if len(node.outputs) > _BY_PRODUCTS else node.outputs[:1]
    return not all(in_order[o] for o in results)


def best_layout(a: np.ndarray, b: np.ndarray, limit: int = 5) -> tuple[tuple[int, ...], np.ndarray] | None:
    """The axis permutation p for which `b.transpose(p)` is closest to `a`, and that array; None if no shape fits.

    Axes of size one are free: shapes are compared without them. Arrays of equal size and no fitting permutation are
    compared flat. Arrays of one shape keep their axes where no permutation makes them the same numbers.
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
            with np.errstate(invalid="ignore"):
                distance = float(np.max(np.abs(np.nan_to_num(moved - x)), initial=0.0))
            if best is None or distance < best[0]:
                best = (distance, permutation, moved)
    if best is None:
        return (), b.reshape(a.shape)
    if x.shape == y.shape and best[0] > CLOSE * float(np.max(np.abs(np.nan_to_num(x)), initial=0.0)):
        return tuple(range(x.ndim)), b.reshape(a.shape)
    return best[1], best[2].reshape(a.shape)
