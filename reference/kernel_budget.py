"""The budget of one kernel inside of a network: what every honest implementation of the operation stays within.

An audit of a single operation asks how good a kernel is; a network asks whether an operation is to blame. So this
budget grants what honest kernels are known to do beyond the stepwise budget of `oracle.reference.budget`: a sum that
is a result itself may be accumulated in its own memory (the gradient of an embedding or of a bias in bfloat16: each
addition is a primitive that rounds to the format), and a square root, like a division, may come from a vector library
that rounds faithfully (an error below one unit in the last place) and not correctly.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from oracle.reference.balls import Arithmetic, Ball, evaluate_balls
from oracle.reference.budget import (
    DIVISION_ROUNDINGS,
    fused_arithmetic,
    stepwise_arithmetic,
    stored_radius,
    with_probable_sums,
)
from oracle.reference.formats import Format
from oracle.reference.program import Program, Step
from oracle.reference.structure import MOVES

_SUMS = frozenset(("reduce_sum", "scatter-add", "scatter_add", "add_at", "cumsum"))
_SCALINGS = frozenset(("mul", "div"))
_UNCHANGING = frozenset(("neg", "convert_element_type"))


@dataclass(frozen=True)
class KernelBudget:
    """Absolute bounds of one output's error, elementwise.

    `fused` rounds once at the end; `honest` is the loosest: beyond it no rounding explains the error. `probable` is
    the honest one with 5 sqrt n in place of n roundings of a sum.
    """

    fused: np.ndarray
    probable: np.ndarray
    honest: np.ndarray


def kernel_budgets(program: Program, inputs: Sequence[np.ndarray], fmt: Format) -> tuple[KernelBudget, ...]:
    """One `KernelBudget` for each output of `program` at `inputs`, for a kernel that works and stores in `fmt`.

    Raises `MissingRule` for a primitive without a rule.
    """
    balls = [Ball(x if np.asarray(x).dtype.kind in "iub" else np.asarray(x, np.float64)) for x in inputs]

    def radii(arithmetic: Arithmetic, accumulated: Arithmetic | None = None) -> list[np.ndarray]:
        others = dict.fromkeys(accumulators(program), accumulated) if accumulated else None
        values = evaluate_balls(program, balls, _faithful(arithmetic), others)  # type: ignore[arg-type]
        return [stored_radius(values[o], fmt) for o in program.outputs]  # type: ignore[arg-type]

    fused = radii(fused_arithmetic(fmt))
    stepwise, in_format = (fused_arithmetic(fmt), None) if fmt.accumulate == fmt.name else _loosest(fmt)
    honest = fused if in_format is None else radii(stepwise, in_format)
    probable = radii(with_probable_sums(stepwise), in_format and with_probable_sums(in_format))
    return tuple(KernelBudget(f, p, np.maximum(f, h)) for f, p, h in zip(fused, probable, honest, strict=True))


def accumulators(program: Program) -> tuple[int, ...]:
    """Positions of the sums that are results themselves: only moved, negated or scaled by a constant afterwards."""
    makers = {out: position for position, step in enumerate(program.steps) for out in step.outputs}
    constants = set(program.constants)
    found: set[int] = set()
    pending = list(program.outputs)
    while pending:
        position = makers.get(pending.pop())
        if position is None or position in found:
            continue
        step = program.steps[position]
        if step.primitive in _SUMS:
            found.add(position)
        else:
            pending.extend(_passed_through(step, constants))
    return tuple(sorted(found))


def _passed_through(step: Step, constants: set[int]) -> list[int]:
    """The operands that the step hands on, apart from their places, sign or scale."""
    if step.primitive in MOVES:
        return [step.inputs[i] for i in MOVES[step.primitive][1](len(step.inputs))]
    if step.primitive in _UNCHANGING:
        return list(step.inputs)
    varying = [i for i in step.inputs if i not in constants]
    return varying if step.primitive in _SCALINGS and len(varying) == 1 else []


def _loosest(fmt: Format) -> tuple[Arithmetic, Arithmetic]:
    """Stepwise, and what a sum that is a result itself may do: accumulate in the format."""
    stepwise = stepwise_arithmetic(fmt)
    in_format = replace(stepwise, u_sum=stepwise.u, quantum_sum=fmt.quantum, largest_sum=fmt.max_finite)
    return stepwise, _faithful(in_format)


def _faithful(arithmetic: Arithmetic) -> Arithmetic:
    return replace(arithmetic, root=DIVISION_ROUNDINGS)
