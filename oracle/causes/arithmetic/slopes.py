"""A leaky slope for each channel, or one for all: PReLU with as many slopes as channels, and with one.

y = x where x > 0, else slope[c] x
"""

import functools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from oracle.alignments.alignment import Side
from oracle.causes import Candidate, Context, hypothesis
from oracle.causes.local import close, overridden
from oracle.networks.lowered import LoweredNode
from oracle.networks.network import Values
from oracle.networks.node_reading import place

_REGION = 12


@dataclass(frozen=True)
class Slopes:
    """The slopes of a leaky activation, shaped to broadcast against its input, and the axis along which they lie."""

    axis: int | None
    slopes: np.ndarray

    def __str__(self) -> str:
        if self.axis is None:
            return f"one slope of {float(self.slopes.flat[0]):.6g}"
        return f"a slope for each of the {self.slopes.size} elements of axis {self.axis}"

    def of(self, x: np.ndarray) -> np.ndarray:
        """The activation of `x`."""
        return np.where(x > 0, x, self.slopes * x)


@hypothesis(priority=17)
def other_slopes(context: Context) -> Iterator[Candidate]:
    """B's leaky slopes of a common value become those of A."""
    for node in context.at_b.region[:_REGION]:
        for i in (i for i in dict.fromkeys(node.reals) if context.matched(i)):
            x = context.b.run.values[i]
            ours = slopes_of(x, context.b.run.values[node.outputs[0]])
            if ours is None:
                continue
            for there, node_a in _activated(context, i):
                if there.axis is not None or ours.axis is not None:
                    for other in _laid_out(there, x.shape):
                        yield Candidate(
                            "activation-slope",
                            overridden(context.b, {node.outputs[0]: functools.partial(_applied, other, i)}),
                            node_a,
                            node,
                            fix_a=f"give {place(node_a)} {ours} (torch: num_parameters; Keras: shared_axes)",
                            fix_b=f"give {place(node)} {there} (torch: num_parameters; Keras: shared_axes)",
                            detail=f"{{A}} has {there}, {{B}} {ours}",
                        )


def _applied(slopes: Slopes, value: int, values: Values) -> np.ndarray:
    return slopes.of(values[value])


def _activated(context: Context, value: int) -> Iterator[tuple[Slopes, LoweredNode]]:
    """The slopes with which A activates its counterparts of B's `value`."""
    side: Side = context.a
    for node in context.at_a.region[:_REGION]:
        for i in (i for i in node.reals if i in context.matched(value)):
            found = slopes_of(side.run.values[i], side.run.values[node.outputs[0]])
            if found is not None:
                yield found, node


def _laid_out(slopes: Slopes, shape: tuple[int, ...]) -> Iterator[Slopes]:
    """The slopes along each axis of an array of `shape` that is as long."""
    for axis, size in enumerate(shape):
        if slopes.axis is None or size == slopes.slopes.size:
            lies = [size if k == axis and slopes.axis is not None else 1 for k in range(len(shape))]
            yield Slopes(axis if slopes.axis is not None else None, slopes.slopes.reshape(lies))


def slopes_of(x: np.ndarray, y: np.ndarray) -> Slopes | None:
    """The slopes with which `y` is a leaky activation of `x`; None if it is none, or nothing is negative."""
    if x.shape != y.shape or x.size < 2 or not np.array_equal(x[x > 0], y[x > 0]) or not np.any(x < 0):
        return None
    with np.errstate(all="ignore"):
        ratio = np.where(x < 0, y / x, np.nan)
    for axis in (None, *range(x.ndim)):
        rest = tuple(k for k in range(x.ndim) if k != axis)
        seen = np.any(x < 0, rest, keepdims=True)
        if np.all(seen) and (axis is None or 1 < x.shape[axis] < x.size):
            found = Slopes(axis, np.nanmean(ratio, rest, keepdims=True))
            if close(found.of(x), y):
                return found
    return None
