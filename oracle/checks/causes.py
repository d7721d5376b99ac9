"""What the error of a checked result looks like: its cause by code, proved by holding the result to another program.

A result that is beyond the budget of its definition is held to the definition with one thing changed: operands rounded
to fewer bits, constants rounded to float32, a formula that cancels. The change whose budget it keeps is the cause.

Codes:
    rounding-only: within the budget.
    flush-to-zero: within it, where a subnormal was taken for zero.
    overflow: infinite where the definition's own intermediate results leave the format.
    ill-conditioned: within the budget, and no bit of the result is certain: the fault is the formula's.
    singular-gradient: the true gradient does not exist here, or no precision decides it.
    nan-gradient: a gradient is NaN where the true one is a number, and the result itself is right.
    nonfinite-result: NaN or infinity where the true value is a number.
    tf32, reduced-precision: operands rounded to 10 bits, or to a 16-bit format.
    rounded-constant: a constant rounded to float32 in a float64 formula.
    numerically-unstable-formula: the budget of a formula of the same function that loses bits.
    kernel-inaccuracy: beyond the budget, and none of these.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from oracle.checks.judging import Asked, judged
from oracle.checks.unstable_formulas import formulas_like
from oracle.judgements.verdict import Judgement
from oracle.reference.balls import MissingRule
from oracle.reference.evaluate import evaluate
from oracle.reference.formats import FORMATS, rounded_to
from oracle.reference.program import Program
from oracle.types import Verdict

_BITS = ((11, "tf32", "TensorFloat-32"), (8, "reduced-precision", "bfloat16"), (11, "reduced-precision", "float16"))


@dataclass(frozen=True)
class Named:
    """A cause: its code, and how it shows."""

    code: str
    detail: str = ""


def named(programs: Sequence[Program], asked: Asked, name: str, found: Judgement) -> Named:
    """The cause of what `found` says of the result `name`."""
    gradient = name.startswith("gradient of ")
    if found.verdict is Verdict.UNDECIDED:
        return Named("singular-gradient" if gradient else "undecided", "no precision decides the true value here")
    if found.verdict is not Verdict.BEYOND_BUDGET:
        return _honest(asked, name, found)
    if found.classes.get("nan_mismatch") and gradient:
        return Named("nan-gradient", "NaN where the true gradient is a number: 0 * inf in the chain rule")
    for cause, changed, others in _changes(programs, asked):
        if judged(others, changed)[name].verdict is not Verdict.BEYOND_BUDGET:
            return cause
    lost = found.classes.get("nan_mismatch", 0) + found.classes.get("wrong_infinity", 0)
    return Named("nonfinite-result" if lost else "kernel-inaccuracy")


def _honest(asked: Asked, name: str, found: Judgement) -> Named:
    """What an error within the budget is: rounding, and whether it leaves anything."""
    if "overflow" in found.reason:
        return Named("overflow", found.reason)
    if "FLUSHED" in found.reason:
        return Named("flush-to-zero", found.reason)
    bits = asked.formats[name].precision
    truth = next((w.get("truth") for w in found.worst), None)
    zero = truth is None or float(truth) == 0
    if not zero and found.mean_abs_ulp is not None and found.mean_abs_ulp >= 2.0 ** (bits - 2):
        return Named("ill-conditioned", "rounding within the budget leaves no bit certain: the formula is at fault")
    return Named("rounding-only")


def _changes(programs: Sequence[Program], asked: Asked) -> Iterator[tuple[Named, Asked, list[Program]]]:
    """Each change: its cause, what was given then, and the programs to hold the results to."""
    if any(step.primitive.startswith(("dot", "conv")) for step in programs[0].steps):
        for bits, code, name in _BITS:
            rounded = {n: rounded_to(x, bits) if x.dtype.kind == "f" else x for n, x in asked.operands.items()}
            yield Named(code, f"its operands rounded to {name}"), replace(asked, operands=rounded), list(programs)
    if any(fmt.name == "float64" for fmt in asked.formats.values()):
        narrow = [_with_narrow_constants(program) for program in programs]
        if any(n is not p for n, p in zip(narrow, programs, strict=True)):
            yield Named("rounded-constant", "its constants rounded to float32"), asked, narrow
    try:
        for formula, program in formulas_like(programs[0], list(asked.operands.values())):
            told = Named("numerically-unstable-formula", f"computed as {formula.text}: {formula.fault}")
            yield told, asked, [*programs, program]
    except MissingRule:
        return


def _with_narrow_constants(program: Program) -> Program:
    """The program with every constant rounded to float32 that it does not hold: whatever depends on no input."""
    known = set(program.constants)
    for step in program.steps:
        if known.issuperset(step.inputs):
            known.update(step.outputs)
    made = tuple(s for s in program.steps if known.issuperset(s.inputs))
    rest = tuple(s for s in program.steps if not known.issuperset(s.inputs))
    used = sorted({v for s in rest for v in s.inputs} & known & {v for s in made for v in s.outputs})
    constants = dict(program.constants)
    if used:
        truths = evaluate(replace(program, inputs=(), outputs=tuple(used), steps=made), [])
        constants |= {v: t.rounded(FORMATS["float64"]) for v, t in zip(used, truths, strict=True)}
    narrow = {v: _narrow(np.asarray(x)) for v, x in constants.items()}
    changed = any(narrow[v] is not constants[v] for v in narrow)
    return replace(program, constants=narrow, steps=rest) if changed else program


def _narrow(x: np.ndarray) -> np.ndarray:
    if x.dtype.kind != "f" or not np.isfinite(x).all():
        return x
    narrow = x.astype(np.float32).astype(np.float64)
    return x if np.array_equal(narrow, x, equal_nan=True) else narrow
