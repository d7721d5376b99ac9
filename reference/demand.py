"""Demand: which elements of every variable the wanted elements of the outputs depend on.

Climbing to a slower arithmetic pays for the few elements that need it, so their dependencies are found backward
through the program: a mask per variable.
"""

import math

import numpy as np

from oracle.reference.balls import Ball
from oracle.reference.program import Program, Step
from oracle.reference.structure import MOVES, contraction, scatter_targets

Masks = list[np.ndarray | None]

_REDUCTIONS = {
    "reduce_sum",
    "reduce_prod",
    "reduce_max",
    "reduce_min",
    "argmax",
    "argmin",
    "reduce_or",
    "reduce_and",
}
_SCANS = {"cumsum", "cumprod", "cummax", "cummin"}


def demanded(program: Program, wanted: dict[int, np.ndarray], values: list[Ball | None]) -> Masks:
    """Masks of the elements needed for the elements `wanted` (variable to mask). `values` supplies integer operands."""
    masks: Masks = [None] * len(program.variables)

    def want(variable: int, mask: np.ndarray) -> None:
        if not program.variables[variable].is_real and not is_undecided(values[variable]):
            return  # integers and booleans are exact in R0 already
        known = masks[variable]
        masks[variable] = np.array(mask) if known is None else known | mask

    for variable, mask in wanted.items():
        want(variable, np.asarray(mask))
    for step in reversed(program.steps):
        outputs = [masks[o] for o in step.outputs]
        if any(m is not None for m in outputs):
            for variable, mask in _needed_inputs(program, step, outputs, values):
                want(variable, mask)
    return masks


def is_undecided(ball: Ball | None) -> bool:
    """Whether R0 left an integer or boolean unknown."""
    return ball is None or ball.is_unknown_anywhere


def _needed_inputs(
    program: Program, step: Step, outputs: list[np.ndarray | None], values: list[Ball | None]
) -> list[tuple[int, np.ndarray]]:
    shapes = [program.variables[i].shape for i in step.inputs]
    if step.primitive in MOVES:
        return _needed_by_move(program, step, outputs, values)
    mask = outputs[0]
    if step.primitive in ("sort", "top_k") or mask is None:
        return [(i, np.ones(s, bool)) for i, s in zip(step.inputs, shapes, strict=True)]
    if step.primitive in _REDUCTIONS:
        axes = tuple(step.params["axes"])
        return [(step.inputs[0], np.broadcast_to(np.expand_dims(mask, axes), shapes[0]))]
    if step.primitive in _SCANS:
        axis = step.params["axis"]
        return [(step.inputs[0], np.broadcast_to(mask.any(axis, keepdims=True), shapes[0]))]
    if step.primitive == "add_at":
        target = step.params["target"]
        return [(step.inputs[0], np.where(target >= 0, mask.reshape(-1)[np.maximum(target, 0)], False))]
    if step.primitive == "dot_general":
        return _needed_by_product(step, mask, shapes)
    if step.primitive in ("scatter", "scatter-add", "scatter_add"):
        return _needed_by_scatter(step, mask, shapes, values)
    return [(i, _broadcast_back(mask, s)) for i, s in zip(step.inputs, shapes, strict=True)]


def _broadcast_back(mask: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Demand on an operand of an elementwise step; where it was broadcast, one element serves many."""
    if mask.shape == shape:
        return mask
    aligned = (1,) * (mask.ndim - len(shape)) + shape
    repeated = tuple(axis for axis, n in enumerate(aligned) if n == 1)
    return mask.any(repeated, keepdims=True).reshape(shape)


def _needed_by_move(
    program: Program, step: Step, outputs: list[np.ndarray | None], values: list[Ball | None]
) -> list[tuple[int, np.ndarray]]:
    move, movers = MOVES[step.primitive]
    moving = list(movers(len(step.inputs)))
    if any(is_undecided(values[v]) for i, v in enumerate(step.inputs) if i not in moving):
        return []  # where they move from is unknown, and so is the result
    sizes = [math.prod(program.variables[step.inputs[i]].shape) for i in moving]
    starts = np.cumsum([1, *sizes[:-1]])
    operands = [values[i].mid if values[i] is not None else None for i in step.inputs]  # type: ignore[union-attr]
    for i, start, size in zip(moving, starts, sizes, strict=True):
        operands[i] = np.arange(start, start + size).reshape(program.variables[step.inputs[i]].shape)
    params = {**step.params, "fill_value": 0} if "fill_value" in step.params else step.params
    sources = move(*operands, **params)
    sources = sources if isinstance(sources, list) else [sources]
    wanted = np.zeros(sum(sizes) + 1, bool)
    for source, mask in zip(sources, outputs, strict=True):
        if mask is not None:
            wanted[source[mask]] = True
    return [
        (step.inputs[i], wanted[start : start + size].reshape(program.variables[step.inputs[i]].shape))
        for i, start, size in zip(moving, starts, sizes, strict=True)
    ]


def _needed_by_product(step: Step, mask: np.ndarray, shapes: list[tuple[int, ...]]) -> list[tuple[int, np.ndarray]]:
    left, right, _ = contraction(shapes[0], shapes[1], step.params["dimension_numbers"])
    x = left(np.arange(math.prod(shapes[0])).reshape(shapes[0]))
    y = right(np.arange(math.prod(shapes[1])).reshape(shapes[1]))
    block = mask.reshape(x.shape[0], x.shape[1], y.shape[2])
    need_x, need_y = np.zeros(math.prod(shapes[0]), bool), np.zeros(math.prod(shapes[1]), bool)
    need_x[x[block.any(2)]] = True
    need_y[y.swapaxes(1, 2)[block.any(1)]] = True
    return [(step.inputs[0], need_x.reshape(shapes[0])), (step.inputs[1], need_y.reshape(shapes[1]))]


def _needed_by_scatter(
    step: Step, mask: np.ndarray, shapes: list[tuple[int, ...]], values: list[Ball | None]
) -> list[tuple[int, np.ndarray]]:
    indices = values[step.inputs[1]]
    assert indices is not None
    if is_undecided(indices):
        return []
    target = scatter_targets(shapes[0], indices.mid, shapes[2], step.params)
    needed = np.where(target >= 0, mask.reshape(-1)[np.maximum(target, 0)], False)
    return [(step.inputs[0], mask), (step.inputs[2], needed)]
