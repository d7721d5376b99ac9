"""Pools of another kind, or with other windows: maximum and average, another size or stride, adaptive or fixed.

Codes:
    pooling-type: one takes the maximum of each window, the other the average.
    pooling-window: windows of another size, at other distances, or fitted to the size of the output (adaptive).
"""

import functools
import math
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from oracle.causes import Candidate, Context, hypothesis
from oracle.causes.images.pooling import windows
from oracle.causes.images.windows import Window
from oracle.causes.local import Wanted, overridden
from oracle.networks.network import Values
from oracle.networks.node_reading import place

_NEAR = 12
_POOLS = ("max", "average")
_NAMES = {"max": "maximum", "average": "average"}
_REDUCTIONS: dict[str, Callable] = {"max": np.max, "average": np.mean}


@hypothesis(priority=11)
def other_pool(context: Context) -> Iterator[Candidate]:
    """B's pool becomes the pool that A has here."""
    theirs = [w for w in windows(context.a, context.at_a.region[:_NEAR]) if w.kind in _POOLS]
    for window in windows(context.b, context.at_b.region[:_NEAR]):
        if window.kind not in _POOLS:
            continue
        for other in theirs:
            of_a, of_b = ((w.kind, w.kernel, w.stride) for w in (other, window))
            if len(other.axes) == len(window.axes) and of_a != of_b:
                yield _as_there(context, window, other)
        single = replace(window, kernel=(1,) * len(window.axes), pads=((0, 0),) * len(window.axes))
        if any(k > 1 for k in window.stride):  # every so many elements, whatever takes them; else there is no pool
            yield _as_there(context, window, single)


@hypothesis(priority=13)
def adaptive_pool(context: Context) -> Iterator[Candidate]:
    """B's pool becomes an adaptive one, after every padding has been tried: the two may agree."""
    for window in windows(context.b, context.at_b.region[:_NEAR]):
        if window.kind in _POOLS:
            yield from _adaptive(context, window)


def _as_there(context: Context, window: Window, other: Window) -> Candidate:
    changed = replace(
        window, kind=other.kind, kernel=other.kernel, stride=other.stride, pads=other.pads, counted=other.counted
    )
    was, now = (f"{_NAMES[w.kind]} of {list(w.kernel)}, stride {list(w.stride)}" for w in (window, changed))
    first = context.at_a.first[0] if context.at_a.first else None
    node_a = other.node if other.node is not window.node else first
    return Candidate(
        "pooling-type" if other.kind != window.kind else "pooling-window",
        overridden(context.b, {window.result: functools.partial(changed.compute, changed)}),
        node_a,
        window.node,
        fix_a=f"pool by {was} at {place(node_a)}",
        fix_b=f"pool by {now} at {place(window.node)}",
        detail=f"{{A}} takes the {now} and padding {list(other.pads)}, {{B}} the {was} and padding {list(window.pads)}",
    )


def _adaptive(context: Context, window: Window) -> Iterator[Candidate]:
    """The pool of either kind with windows fitted to the number of results, as in torch's adaptive pools."""
    wanted, values = Wanted(context), context.b.run.values
    shape = np.shape(window.source(values))
    sizes = window.outputs(window.pads, [shape[k] for k in window.axes])
    for kind in _POOLS:
        compute = functools.partial(_fitted, window, sizes, kind)
        found = wanted.find(compute(values))
        if found is not None:
            node_a = wanted.node(found)
            name = f"adaptive {_NAMES[kind]} pool to {sizes}"
            yield Candidate(
                "pooling-type" if kind != window.kind else "pooling-window",
                overridden(context.b, {window.result: compute}),
                node_a,
                window.node,
                fix_a=f"pool by windows of {list(window.kernel)}, stride {list(window.stride)} at {place(node_a)}",
                fix_b=f"use an {name} (torch: nn.Adaptive{'Max' if kind == 'max' else 'Avg'}Pool2d) at "
                f"{place(window.node)}",
                detail=f"{{A}} has an {name}, {{B}} windows of {list(window.kernel)} with stride {list(window.stride)}",
                tested=True,
            )


def _fitted(window: Window, sizes: list[int], kind: str, values: Values) -> np.ndarray:
    """The i-th of m windows along an axis of n is from floor(i n / m) up to ceil((i + 1) n / m)."""
    x = window.source(values)
    for axis, m in zip(window.axes, sizes, strict=True):
        n = x.shape[axis]
        parts = [
            _REDUCTIONS[kind](np.take(x, range(i * n // m, math.ceil((i + 1) * n / m)), axis), axis) for i in range(m)
        ]
        x = np.stack(parts, axis)
    return x
