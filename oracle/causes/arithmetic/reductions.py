"""The same numbers reduced, or normalised, over another axis or in another way: softmax axis, mean for max, one step.

Both what B computes and what A waits for are recognised by their effect on a value that both sides have.
"""

import functools
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import scipy.special as sp

from oracle.alignments.alignment import CLOSE
from oracle.causes import Candidate, Context, hypothesis
from oracle.causes.local import Compute, Wanted, close, matched_inputs, overridden, soon, upstream
from oracle.causes.sequences.masks import Mask, masks
from oracle.networks.lowered import LoweredNode
from oracle.networks.network import Values
from oracle.networks.node_reading import place

Axes = tuple[int, ...]
_NODES = 30
_STEPS = 6
_SOON = 3
_LARGE = 4_000_000


@dataclass(frozen=True)
class Effect:
    """A function of one array along some of its axes; it keeps the array's size, or reduces those axes away.

    `several`: along several axes too. `least`: how many elements along the axis it needs.
    """

    name: str
    function: Callable[[np.ndarray, Axes], np.ndarray]
    keeps: bool = False
    several: bool = True
    least: int = 2


def _taken(place_: int) -> Callable[[np.ndarray, Axes], np.ndarray]:
    return lambda x, axes: np.take(x, place_, axes[0])


def _ends(x: np.ndarray, axes: Axes) -> np.ndarray:
    """The last step of the first half of the features, the first of the second: where a bidirectional layer ends."""
    forward, backward = np.split(x, 2, -1)
    return np.concatenate([np.take(forward, -1, axes[0]), np.take(backward, 0, axes[0])], -1)


def _from_behind(x: np.ndarray, axes: Axes) -> np.ndarray:
    return np.flip(np.cumsum(np.flip(x, axes[0]), axes[0]), axes[0])


def _part(function: Callable[[np.ndarray, Axes], np.ndarray], part: slice) -> Callable[[np.ndarray, Axes], np.ndarray]:
    """The function without the elements at an end of the axis."""

    def of_part(x: np.ndarray, axes: Axes) -> np.ndarray:
        kept = x[(slice(None),) * axes[0] + (part,)]
        if kept.shape[axes[0]]:
            return function(kept, axes)
        return np.full(kept.shape[: axes[0]] + kept.shape[axes[0] + 1 :], np.nan)

    return of_part


def _lower_median(x: np.ndarray, axes: Axes) -> np.ndarray:
    return np.quantile(x, 0.5, axes, method="lower")


_WITHOUT = {"without the first": slice(1, None), "without the last": slice(None, -1), "without both ends": slice(1, -1)}
_PARTIAL: dict[str, Callable[[np.ndarray, Axes], np.ndarray]] = {"mean": np.mean, "maximum": np.max, "sum": np.sum}
EFFECTS = (
    Effect("softmax", sp.softmax, keeps=True),
    Effect("log_softmax", sp.log_softmax, keeps=True),
    Effect("mean", np.mean),
    Effect("maximum", np.max),
    Effect("sum", np.sum),
    Effect("minimum", np.min),
    Effect("first element", _taken(0), several=False),
    Effect("last element", _taken(-1), several=False),
    Effect("last step of both directions", _ends, several=False),
    Effect("variance", np.var),
    Effect("variance with n - 1", lambda x, axes: np.var(x, axes, ddof=1)),
    Effect("standard deviation", np.std),
    Effect("standard deviation with n - 1", lambda x, axes: np.std(x, axes, ddof=1)),
    Effect("Euclidean norm", lambda x, axes: np.sqrt(np.sum(x * x, axes))),
    Effect("median", np.median),
    Effect("lower median", _lower_median, several=False),
    Effect("logarithm of the sum of exponentials", sp.logsumexp),
    *(
        Effect(f"{name} {words}", _part(function, part), several=False, least=4)
        for name, function in _PARTIAL.items()
        for words, part in _WITHOUT.items()
    ),
)
CUMULATIVE = (
    Effect("cumulative sum", lambda x, axes: np.cumsum(x, axes[0]), keeps=True, several=False),
    Effect("exclusive cumulative sum", lambda x, axes: np.cumsum(x, axes[0]) - x, keeps=True, several=False),
    Effect("cumulative sum from behind", _from_behind, keeps=True, several=False),
    Effect(
        "exclusive cumulative sum from behind", lambda x, axes: _from_behind(x, axes) - x, keeps=True, several=False
    ),
    Effect("cumulative product", lambda x, axes: np.cumprod(x, axes[0]), keeps=True, several=False),
    Effect("cumulative maximum", lambda x, axes: np.maximum.accumulate(x, axes[0]), keeps=True, several=False),
)
_POOLING = frozenset((
    "mean", "maximum", "minimum", "first element", "last element", "median", "lower median",
    "logarithm of the sum of exponentials",
))  # fmt: skip


@hypothesis(priority=29)
def other_axis(context: Context) -> Iterator[Candidate]:
    """B applies a function along some axes of a common value; A applies it, or its like, along others."""
    yield from _applied_otherwise(context, EFFECTS)


@hypothesis(priority=11)
def other_accumulation(context: Context) -> Iterator[Candidate]:
    """B accumulates along an axis; A along another, from the other end, or without the element itself."""
    yield from _applied_otherwise(context, CUMULATIVE)


def _applied_otherwise(context: Context, effects: tuple[Effect, ...]) -> Iterator[Candidate]:
    wanted = Wanted(context)
    matched = matched_inputs(context, _NODES)
    used = {p.a if context.exchanged else p.b for p in context.pairs} | context.b.consumers.keys()
    for node in context.at_b.region[:_NODES]:
        near = [i for n in (node, *upstream(context.b, node.outputs[0], _STEPS)) for i in n.reals]
        outputs = [o for o in node.outputs if o in used][:2]  # a fused norm makes more than anybody reads
        for output, i in itertools.product(outputs, dict.fromkeys([*near, *matched[:_STEPS]])):
            x, y = context.b.run.values[i], context.b.run.values[output]
            if 2 <= x.ndim <= 5 and x.size <= _LARGE and i not in node.outputs:
                present = identify(x, y, effects)
                if present is not None:
                    yield from _others(context, wanted, (node, output, y), (i, x), (present, effects))


def _others(context: Context, wanted: Wanted, made: tuple, read: tuple, known: tuple) -> Iterator[Candidate]:
    (node, output, y), (i, x), (present, effects) = made, read, known
    effect, axes = present
    for other, other_axes in applications(x, effects):
        size = x.size if other.keeps else x.size // int(np.prod([x.shape[k] for k in other_axes]))
        if (other is effect and other_axes == axes) or size != y.size:
            continue
        found = wanted.find(np.asarray(other.function(x, other_axes)))
        edits = overridden(context.b, {output: functools.partial(_applied, other, other_axes, i)})
        if found is None and effects is CUMULATIVE:  # what A accumulates may have its counterpart in B already
            found = soon(context, wanted, edits, _SOON)
        if found is not None:
            yield _candidate((node, wanted.node(found)), edits, (present, (other, other_axes)))


@hypothesis(priority=10)
def masked_pooling(context: Context) -> Iterator[Candidate]:
    """B pools all steps of a sequence; A leaves the padded ones out."""
    wanted = Wanted(context)
    side = context.b
    for node in context.at_b.region[:_NODES]:
        y = side.run.values[node.outputs[0]]
        if not wanted.has_size(y.size):
            continue
        near = [i for n in (node, *upstream(side, node.outputs[0], _STEPS)) for i in n.reals]
        for i in (i for i in dict.fromkeys(near) if side.run.values[i].ndim == 3):
            present = identify(side.run.values[i], y)
            if present is None or present[1] not in ((0,), (1,)) or present[0].name not in _MASKED:
                continue
            for mask in masks(context, i, present[1][0]):
                compute = functools.partial(_masked, present, i, mask)
                found = wanted.find(compute(side.run.values))
                if found is not None:
                    yield _masked_candidate(context, (node, wanted.node(found)), compute, (present, mask))


_MASKED = {"mean": 0.0, "sum": 0.0, "maximum": -np.inf, "minimum": np.inf}


def _masked(present: tuple[Effect, Axes], value: int, mask: Mask, values: Values) -> np.ndarray:
    effect, axes = present
    keep = mask.of(values)[..., None]
    filled = np.where(keep, values[value], _MASKED[effect.name])
    if effect.name == "mean":
        return np.sum(filled, axes) / np.maximum(np.sum(keep, axes), 1)
    return np.asarray(effect.function(filled, axes))


def _masked_candidate(
    context: Context, nodes: tuple[LoweredNode, LoweredNode | None], compute: Compute, change: tuple
) -> Candidate:
    (node, node_a), (present, mask) = nodes, change
    words = _written(*present)
    return Candidate(
        "masking",
        overridden(context.b, {node.outputs[0]: compute}),
        node_a,
        node,
        fix_a=f"take the {words} of every step at {place(node_a)}",
        fix_b=f"take the {words} with {mask.words} at {place(node)} (Keras: Masking() or mask_zero=True)",
        detail=f"{{A}} takes the {words} with {mask.words}, {{B}} of every step",
        tested=True,
    )


def _applied(effect: Effect, axes: Axes, value: int, values: Values) -> np.ndarray:
    return np.asarray(effect.function(values[value], axes))


def applications(x: np.ndarray, effects: tuple[Effect, ...] = EFFECTS) -> Iterator[tuple[Effect, Axes]]:
    """Every effect along every choice of axes that changes something, single axes first."""
    long = [k for k in range(x.ndim) if x.shape[k] > 1]
    subsets = [axes for count in range(1, len(long) + 1) for axes in itertools.combinations(long, count)]
    for axes in subsets:
        for effect in effects:
            fits = effect.several or len(axes) == 1
            if fits and x.shape[axes[0]] >= effect.least and (effect.function is not _ends or _has_halves(x, axes)):
                yield effect, axes


def _has_halves(x: np.ndarray, axes: Axes) -> bool:
    return x.shape[-1] % 2 == 0 and axes[0] != x.ndim - 1


def identify(x: np.ndarray, y: np.ndarray, effects: tuple[Effect, ...] = EFFECTS) -> tuple[Effect, Axes] | None:
    """The effect, and its axes, that makes `y` of `x`."""
    for effect, axes in applications(x, effects):
        size = x.size if effect.keeps else x.size // int(np.prod([x.shape[k] for k in axes]))
        if size == y.size and size > 1:
            with np.errstate(all="ignore"):
                if _begins(effect, axes, x, y) and close(np.asarray(effect.function(x, axes)), y):
                    return effect, axes
    return None


def _begins(effect: Effect, axes: Axes, x: np.ndarray, y: np.ndarray) -> bool:
    """Whether the effect makes the first of `y` of the first of `x`: the cheap test before the full one."""
    if effect.function is _ends:
        return True
    first = tuple(slice(None) if k in axes else slice(0, 1) for k in range(x.ndim))
    made = np.asarray(effect.function(x[first], axes)).reshape(-1)
    there = y.reshape(x.shape)[first].reshape(-1) if effect.keeps else y.reshape(-1)[:1]
    return bool(np.max(np.abs(made - there)) <= CLOSE * np.max(np.abs(y)))


def _candidate(nodes: tuple[LoweredNode, LoweredNode | None], edits: object, change: tuple) -> Candidate:
    node, node_a = nodes
    (effect, axes), (other, other_axes) = change
    return Candidate(
        _code(effect, axes, other, other_axes),
        edits,  # type: ignore[arg-type]
        node_a,
        node,
        fix_a=f"take the {_written(effect, axes)} at {place(node_a)}",
        fix_b=f"take the {_written(other, other_axes)} at {place(node)}",
        detail=f"{{A}} takes the {_written(other, other_axes)}, {{B}} the {_written(effect, axes)} (in {{B}}'s layout)",
        tested=True,
    )


def _written(effect: Effect, axes: Axes) -> str:
    return f"{effect.name} along axis {axes[0]}" if len(axes) == 1 else f"{effect.name} along axes {list(axes)}"


def _code(effect: Effect, axes: Axes, other: Effect, other_axes: Axes) -> str:
    if _ends in (effect.function, other.function):
        return "reverse-direction"
    if effect is other:
        return "softmax-axis" if "softmax" in effect.name else "reduction-axis"
    names = {effect.name, other.name}
    if all("cumulative sum" in name for name in names) and axes == other_axes:
        behind = [("behind" in name) for name in names]
        return "reverse-direction" if any(behind) and not all(behind) else "cumulative-exclusive"
    if any("without" in name for name in names) and len({name.split()[0] for name in names}) == 1:
        return "indexing" if axes == other_axes else "reduction-axis"
    if names == {"softmax", "log_softmax"}:
        return "activation-variant" if axes == other_axes else "softmax-axis"
    if "last element" in names and "first element" in names and axes == other_axes:
        return "reverse-direction"
    if axes != other_axes and names <= {"first element", "last element"}:
        return "batch-first"
    if names == {"mean", "sum"}:
        return "reduction"
    if axes == other_axes and any(names == {name, f"{name} with n - 1"} for name in ("variance", "standard deviation")):
        return "variance-ddof"
    if names <= _POOLING:
        return "pooling-type"
    return "reduction" if axes == other_axes else "reduction-axis"
