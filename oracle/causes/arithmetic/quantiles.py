"""Medians and quantiles: what lies between two elements, and which quantile.

Codes:
    quantile-interpolation: the lower, higher or nearest element, the middle of both, or what lies linearly between.
"""

import functools
import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from oracle.alignments.alignment import Side
from oracle.causes import Candidate, Context, hypothesis
from oracle.causes.local import Wanted, close, overridden, soon, upstream
from oracle.networks.lowered import LoweredNode
from oracle.networks.network import Values
from oracle.networks.node_reading import numbers, place

_REGION, _STEPS, _SOON = 20, 10, 4
_METHODS = ("linear", "lower", "higher", "nearest", "midpoint")
_LARGE = 200_000
_LEVELS = 30
_SORTING = ("sort", "median", "quantile", "percentile", "topk", "top_k", "kthvalue")


@dataclass(frozen=True)
class Quantile:
    """The quantile `q` along `axis`, by NumPy's name of the interpolation."""

    q: float
    method: str
    axis: int

    def __str__(self) -> str:
        name = "median" if self.q == 0.5 else f"quantile {self.q:g}"
        return f"{name} along axis {self.axis}, interpolation {self.method!r}"

    def of(self, x: np.ndarray) -> np.ndarray:
        """The quantile of `x`."""
        return np.asarray(np.quantile(x, self.q, axis=self.axis, method=self.method))  # type: ignore[call-overload]


@hypothesis(priority=15)
def other_quantile(context: Context) -> Iterator[Candidate]:
    """B takes a quantile of a value, A the same with another interpolation."""
    wanted, side = Wanted(context), context.b
    if not any(_sorts(n) for s in (context.a, side) for n in s.network.nodes):
        return
    levels = sorted(dict.fromkeys([0.5, *_fractions(context.b), *_fractions(context.a)]))[:_LEVELS]
    for node in context.at_b.region[:_REGION]:
        y = side.run.values[node.outputs[0]]
        nodes = (node, *upstream(side, node.outputs[0], _STEPS))
        for i in dict.fromkeys(i for n in nodes for i in n.reals) if any(map(_sorts, nodes)) else ():
            x = side.run.values[i]
            if context.matched(i) and y.size < x.size <= _LARGE and x.dtype.kind == "f":
                yield from _others(context, wanted, (node.outputs[0], i), levels)


def _sorts(node: LoweredNode) -> bool:
    return any(word in node.node.op.lower() for word in _SORTING)


def _fractions(side: Side) -> Iterator[float]:
    """The numbers between zero and one that the side holds, as literals or as constants."""
    for node in side.network.nodes:
        yield from (n for _, n in numbers(node) if 0 < n < 1)
    for i, value in side.network.trace.values.items():
        if value.role == "constant" and side.run.values[i].size == 1 and 0 < side.run.values[i].reshape(()) < 1:
            yield float(side.run.values[i].reshape(()))


def _others(context: Context, wanted: Wanted, at: tuple[int, int], levels: list[float]) -> Iterator[Candidate]:
    output, i = at
    x, y = context.b.run.values[i], context.b.run.values[output]
    axes = [k for k in range(x.ndim) if x.shape[k] * y.size == x.size]
    known = [Quantile(q, method, axis) for q, method, axis in itertools.product(levels, _METHODS, axes)]
    present = next((q for q in known if close(q.of(x), y)), None)
    if present is None:
        return
    for other in known:
        if (other.q, other.axis) != (present.q, present.axis) or close(other.of(x), y):
            continue
        edits = overridden(context.b, {output: functools.partial(_taken, other, i)})
        found = soon(context, wanted, edits, _SOON)
        if found is not None:
            node, node_a = context.b.producers[output], wanted.node(found)
            yield Candidate(
                "quantile-interpolation",
                edits,
                node_a,
                node,
                fix_a=f"take the {present} at {place(node_a)}",
                fix_b=f"take the {other} at {place(node)}",
                detail=f"{{A}} takes the {other}, {{B}} the {present}",
                tested=True,
            )


def _taken(quantile: Quantile, value: int, values: Values) -> np.ndarray:
    return quantile.of(values[value])
