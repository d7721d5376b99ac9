"""Which outputs, losses, gradients and weights of A and B are to be compared, and in which layout."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from oracle.alignment import Side, best_layout, same_multiset


@dataclass(frozen=True)
class Pair:
    """A target of both sides: kind, names, value ids, and the axis permutation that brings B to A's layout."""

    kind: str
    name_a: str
    name_b: str
    a: int
    b: int
    permutation: tuple[int, ...] | None = None

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

    Parameters that hold the same numbers (ones, zeros) are paired by shape in the order of their first use.
    """
    pairs: dict[str, tuple[str, tuple[int, ...]]] = {}
    for group in ("parameters", "buffers"):
        of_a, of_b = _by_use(a, getattr(a.network.trace, group)), _by_use(b, getattr(b.network.trace, group))
        free = dict(of_b)
        for name_a, i in of_a.items():
            x = a.network.actual[i]
            for name_b, j in free.items():
                found = _same_in_some_layout(x, b.network.actual[j])
                if found is not None:
                    pairs[name_a] = (name_b, found)
                    del free[name_b]
                    break
    return pairs


def _by_use(side: Side, named: Mapping[str, int]) -> dict[str, int]:
    def first_use(value: int) -> int:
        return min((n.node.index for n in side.consumers.get(value, ())), default=len(side.network.nodes))

    return dict(sorted(named.items(), key=lambda item: first_use(item[1])))


def _same_in_some_layout(x: np.ndarray, y: np.ndarray) -> tuple[int, ...] | None:
    if x.dtype.kind != "f" or not same_multiset(x, y, 0.0):
        return None
    layout = best_layout(x, y)
    return layout[0] if layout is not None and np.array_equal(layout[1], x) else None


def pair_targets(a: Side, b: Side) -> list[Pair]:
    """Outputs in order, the loss, and gradients, updated parameters and buffers by paired parameters."""
    pairs = _pair_outputs(a, b)
    last_a, last_b = a.network.trace.steps[-1], b.network.trace.steps[-1]
    if last_a.loss is not None and last_b.loss is not None:
        pairs.append(Pair("loss", "loss", "loss", last_a.loss, last_b.loss))
    names = pair_parameters(a, b)
    for kind in ("gradients", "parameters", "buffers"):
        of_a, of_b = getattr(last_a, kind), getattr(last_b, kind)
        for name_a, i in of_a.items():
            name_b, permutation = names.get(name_a, ("", ()))
            if name_b in of_b and _is_made(a, i) and _is_made(b, of_b[name_b]):
                pairs.append(Pair(kind, name_a, name_b, i, of_b[name_b], permutation))
    return pairs


def _is_made(side: Side, value: int) -> bool:
    return value in side.producers


def _pair_outputs(a: Side, b: Side) -> list[Pair]:
    pairs = []
    for (name_a, i), (name_b, j) in zip(a.network.trace.outputs.items(), b.network.trace.outputs.items(), strict=False):
        x, y = a.run.values[i], b.run.values[j]
        if x.dtype.kind == "f" and y.dtype.kind == "f" and x.size == y.size:
            layout = best_layout(x, y)
            pairs.append(Pair("outputs", name_a, name_b, i, j, layout[0] if layout else None))
    return pairs
