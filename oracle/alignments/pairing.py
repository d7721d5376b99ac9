"""Which outputs, losses, gradients and weights of A and B are to be compared, and in which layout."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from oracle.alignments.alignment import CLOSE, Side, best_layout, same_multiset


@dataclass(frozen=True)
class Pair:
    """A target of both sides: kind, names, value ids, step, and the axis permutation that brings B to A's layout."""

    kind: str
    name_a: str
    name_b: str
    a: int
    b: int
    permutation: tuple[int, ...] | None = None
    step: int = 0

    def in_layout_of_a(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """`b` in A's shape and layout."""
        if self.permutation:
            return np.squeeze(b).transpose(self.permutation).reshape(a.shape)
        return b.reshape(a.shape)

    def in_layout_of_b(self, x: np.ndarray, b: np.ndarray) -> np.ndarray:
        """`x`, in A's layout, in the shape and layout of `b`."""
        if not self.permutation:
            return x.reshape(b.shape)
        moved = np.squeeze(b).transpose(self.permutation).shape
        return x.reshape(moved).transpose(np.argsort(self.permutation)).reshape(b.shape)


def pair_parameters(a: Side, b: Side) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Parameters and buffers of A with B's of the same numbers, in some layout: `{name_a: (name_b, permutation)}`.

    Parameters that hold the same numbers (ones, zeros) are paired by shape in the order of their first use; those that
    hold other numbers by name, where name and shape agree.
    """
    pairs: dict[str, tuple[str, tuple[int, ...]]] = {}
    for group in ("parameters", "buffers"):
        of_a, of_b = _by_use(a, getattr(a.network.trace, group)), _by_use(b, getattr(b.network.trace, group))
        free = dict(of_b)
        for name_a, i in of_a.items():
            x = a.run.values[i]
            for name_b, j in free.items():
                found = same_in_some_layout(x, b.run.values[j])
                if found is not None:
                    pairs[name_a] = (name_b, found)
                    del free[name_b]
                    break
        for name_a in of_a.keys() - pairs.keys():
            if name_a in free and a.network.actual[of_a[name_a]].shape == b.network.actual[free[name_a]].shape:
                pairs[name_a] = (name_a, ())
    return pairs


def _by_use(side: Side, named: Mapping[str, int]) -> dict[str, int]:
    def first_use(value: int) -> int:
        return min((n.node.index for n in side.consumers.get(value, ())), default=len(side.network.nodes))

    return dict(sorted(named.items(), key=lambda item: first_use(item[1])))


def same_in_some_layout(x: np.ndarray, y: np.ndarray) -> tuple[int, ...] | None:
    """The permutation of the axes of `y` (of length one: none) that gives the very numbers of `x`; None without one."""
    if x.dtype.kind != "f" or not same_multiset(x, y, 0.0):
        return None
    layout = best_layout(x, y)
    return layout[0] if layout is not None and np.array_equal(layout[1], x) else None


def pair_targets(a: Side, b: Side) -> list[Pair]:
    """For each step: outputs in order, buffers, the loss, gradients and updated parameters by paired parameters."""
    names = {p.name_a: (p.name_b, p.permutation or ()) for p in pair_inputs(a, b)} | pair_parameters(a, b)
    pairs: list[Pair] = []
    for step, (of_a, of_b) in enumerate(zip(a.network.trace.steps, b.network.trace.steps, strict=False)):
        pairs += _pair_outputs(a, b, step)
        pairs += _pair_named(a, b, "buffers", step, names)
        if of_a.loss is not None and of_b.loss is not None:
            pairs.append(Pair("loss", "loss", "loss", of_a.loss, of_b.loss, step=step))
        pairs += _pair_named(a, b, "gradients", step, names)
        pairs += _pair_named(a, b, "parameters", step, names)
    return pairs


def _pair_named(
    a: Side, b: Side, kind: str, step: int, names: Mapping[str, tuple[str, tuple[int, ...]]]
) -> Iterator[Pair]:
    """What a step makes on both sides, and what it updates on one and leaves on the other.

    A weight is updated from its gradient: one without is frozen, which `missing_gradients` tells; a side without an
    optimizer updates none. Counters are updated by layers of a framework alone.
    """
    steps = [side.network.trace.steps[step] for side in (a, b)]
    stepped = all(
        any(i in side.producers for i in s.parameters.values()) for side, s in zip((a, b), steps, strict=True)
    )
    of_a, of_b = (getattr(s, kind) for s in steps)
    for name_a, i in of_a.items():
        name_b, permutation = names.get(name_a, ("", ()))
        if name_b not in of_b:
            continue
        pair = Pair(kind, name_a, name_b, i, of_b[name_b], permutation, step)
        made = (pair.a in a.producers, pair.b in b.producers)
        real = all(_real_size(side.run.values[v]) for side, v in ((a, pair.a), (b, pair.b)))
        trained = kind == "buffers" or (
            kind == "parameters" and stepped and name_a in steps[0].gradients and name_b in steps[1].gradients
        )
        if all(made) or (any(made) and real and trained):
            yield pair


def _pair_outputs(a: Side, b: Side, step: int) -> Iterator[Pair]:
    """Outputs by name where both sides have the name, the others in their order; of unequal sizes none."""
    of_a, of_b = (side.network.trace.steps[step].outputs for side in (a, b))
    for name_a, name_b in _counterparts(a, b, of_a, of_b):
        i, j = of_a[name_a], of_b[name_b]
        yield in_best_layout(Pair("outputs", name_a, name_b, i, j, step=step), a, b)


def _counterparts(a: Side, b: Side, of_a: Mapping[str, int], of_b: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    sizes_a, sizes_b = ({n: _real_size(s.run.values[i]) for n, i in of.items()} for s, of in ((a, of_a), (b, of_b)))
    named = [n for n, size in sizes_a.items() if size is not None and sizes_b.get(n) == size]
    rest_a, rest_b = ([n for n, s in z.items() if s is not None and n not in named] for z in (sizes_a, sizes_b))
    yield from ((n, n) for n in named)
    start = 0
    for name in rest_a:
        found = next((k for k in range(start, len(rest_b)) if sizes_b[rest_b[k]] == sizes_a[name]), None)
        if found is not None:
            yield name, rest_b[found]
            start = found + 1


def _real_size(x: np.ndarray) -> int | None:
    return x.size if x.dtype.kind == "f" else None


def in_best_layout(pair: Pair, a: Side, b: Side) -> Pair:
    """The pair with the axis permutation that fits the values as they stand.

    Where the shapes are equal, the axes stay unless the inputs have theirs in another order too and another order of
    the output's gives the same numbers.
    """
    x, y = a.run.values[pair.a], b.run.values[pair.b]
    layout = best_layout(x, y) if pair.kind == "outputs" else None
    if layout is None:
        return pair
    if x.shape == y.shape and _given_alike(a, b):
        return replace(pair, permutation=())
    permutation, moved = layout
    if x.shape == y.shape and permutation != tuple(range(len(permutation))):
        size = np.max(np.abs(np.nan_to_num(x)), initial=0.0)
        if not np.max(np.abs(np.nan_to_num(moved - x)), initial=0.0) <= CLOSE * size:
            return replace(pair, permutation=())
    return replace(pair, permutation=permutation)


def _given_alike(a: Side, b: Side) -> bool:
    """Whether both were given inputs of the same shapes, and none is the other's with its axes in another order."""
    of_a, of_b = ([s.network.actual[i] for i in s.network.trace.inputs.values()] for s in (a, b))
    if [x.shape for x in of_a] != [y.shape for y in of_b]:
        return False
    return all(np.array_equal(x, y) or not same_multiset(x, y, 0.0) for x, y in zip(of_a, of_b, strict=True))


def pair_inputs(a: Side, b: Side) -> list[Pair]:
    """The inputs of A with those of B that hold the same numbers in some layout."""
    pairs = []
    free = dict(b.network.trace.inputs)
    for name_a, i in a.network.trace.inputs.items():
        for name_b, j in free.items():
            x, y = a.run.values[i], b.run.values[j]
            found = same_in_some_layout(x, y) if x.dtype.kind == y.dtype.kind == "f" else None
            if found is not None:
                pairs.append(Pair("inputs", name_a, name_b, i, j, found))
                del free[name_b]
                break
    return pairs
