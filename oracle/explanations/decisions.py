"""Decisions inside an operation that rounding turns: the sign of a relu, a window's maximum, a threshold, an arg-max.

Between two evaluations of the same operation every comparison of its program is looked at. Where one falls the other
way, the operation's result jumps or bends, and no derivative explains that part of the error.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from oracle.networks.lowered import LoweredNode, Signature, meaning
from oracle.networks.network import Values
from oracle.reference.plain import plain
from oracle.reference.pooling import chosen_places
from oracle.reference.program import Program, Step, trace

Array = np.ndarray
# Primitives whose results are the decisions.
_DECIDED = {"eq", "ne", "lt", "le", "gt", "ge", "sign", "floor", "ceil", "round", "argmax", "argmin", "is_finite"}
# Primitives that decide by comparing their operands.
_DECIDING: dict[str, Callable[..., Array]] = {
    "max": lambda x, y: x >= y,
    "min": lambda x, y: x <= y,
    "abs": np.signbit,
    "clamp": lambda low, x, high: (x > high).astype(int) - (x < low),
    "reduce_max": lambda x, *, axes, **_: _place(np.argmax, x, axes),
    "reduce_min": lambda x, *, axes, **_: _place(np.argmin, x, axes),
    "sort": lambda x, *_, dimension, **__: np.argsort(x, dimension, kind="stable"),
    "reduce_window_max": lambda x, **params: chosen_places(x, False, params),
    "reduce_window_min": lambda x, **params: chosen_places(x, True, params),
    "select_and_scatter_add": lambda _, x, *, select_prim, **p: chosen_places(x, select_prim.name != "ge", p),
    "select_and_gather_add": lambda _, x, *, select_prim, **p: chosen_places(x, select_prim.name != "ge", p),
}


def flips(node: LoweredNode, one: Values, other: Values) -> int:
    """How many elements of `node` are decided otherwise in `one` than in `other`; of its comparisons the most turned.

    Integers and booleans that reach the operation from elsewhere count too.
    """
    if node.signature is None:
        return 0
    arrived = [int(np.sum(one[i] != other[i])) for i in node.facts]
    try:
        decide = _decisions(node.signature, tuple(one[i].shape for i in (*node.reals, *node.facts)))
        taken = [decide(*[values[i] for i in (*node.reals, *node.facts)]) for values in (one, other)]
    except ValueError:  # another shape than the recorded one
        return max(arrived, default=0)
    return max([*arrived, *(int(np.sum(a != b)) for a, b in zip(*taken, strict=True))], default=0)


@functools.lru_cache(maxsize=512)
def _decisions(signature: Signature, shapes: tuple[tuple[int, ...], ...]) -> Callable[..., list[Array]]:
    """`(reals, facts) -> the decisions taken on the way`."""
    count, kinds = len(signature.reals), ["f8"] * len(signature.reals) + list(signature.fact_dtypes)
    apply = meaning(signature)
    program = trace(
        lambda *operands: [y for y in apply(operands[:count], operands[count:]) if y is not None],
        *[np.zeros(shape, kind) for shape, kind in zip(shapes, kinds, strict=True)],
        unfold=False,
    )
    deciders = [(step, _decider(step)) for step in program.steps if _on_reals(program, step)]
    found = [(step, decide) for step, decide in deciders if decide is not None]
    watched = tuple(v for step, _ in found for v in (*step.inputs, *step.outputs))
    evaluate = plain(replace(program, outputs=watched))

    def decisions(*operands: Array) -> list[Array]:
        values = iter(evaluate(*operands))
        taken = []
        for step, decide in found:
            ins, outs = ([next(values) for _ in part] for part in (step.inputs, step.outputs))
            taken.append(decide(ins, outs))
        return taken

    return decisions


def _on_reals(program: Program, step: Step) -> bool:
    return any(program.variables[i].is_real for i in step.inputs)


def _decider(step: Step) -> Callable[[Sequence[Array], Sequence[Array]], Array] | None:
    if step.primitive in _DECIDED:
        return lambda ins, outs: outs[0]
    rule = _DECIDING.get(step.primitive)
    return None if rule is None else lambda ins, outs: rule(*ins, **_named(step))


def _named(step: Step) -> dict[str, Any]:
    """The parameters that a rule needs: those of reductions, windows and orders, none of pointwise primitives."""
    return {} if step.primitive in ("max", "min", "abs", "clamp") else step.params


def _place(best: Callable[..., Array], x: Array, axes: Sequence[int]) -> Array:
    """Where along `axes` the best element lies, as one number."""
    kept = [k for k in range(x.ndim) if k not in axes]
    return best(x.transpose([*kept, *axes]).reshape([x.shape[k] for k in kept] + [-1]), -1)
