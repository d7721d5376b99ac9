"""The truth and the budget of an operation: its definition, traced once, evaluated at given inputs."""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from oracle.reference.budget import Budget, rounding_budget
from oracle.reference.evaluate import R4, evaluate
from oracle.reference.formats import Format
from oracle.reference.operation import Config, Operation
from oracle.reference.program import Program, trace, vjp
from oracle.reference.truth import MINUS_INF, NAN, PLUS_INF, REAL, UNDEFINED, Truth

FORWARD, VJP = "forward", "vjp"


def operands(operation: Operation, inputs: Mapping[str, np.ndarray], cotangents: Sequence[np.ndarray] = ()) -> list:
    """The arrays of a call in the order of the program's inputs: arguments, then cotangents."""
    return [inputs[a.name] for a in operation.args] + list(cotangents)


def true_value(
    operation: Operation,
    config: Config,
    arrays: Sequence[np.ndarray],
    fmt: Format,
    *,
    limit: int | None = None,
) -> tuple[Truth, ...]:
    """The truth of every output at `arrays` (arguments in order; then cotangents, which make it the gradient)."""
    truths = evaluate(program_of(operation, config, arrays), arrays, fmt, limit=limit)
    forward = len(arrays) == len(operation.args)
    if forward and operation.elementwise and len(operation.args) == 1 and operation.special:
        return (_with_limits(truths[0], np.asarray(arrays[0], np.float64), operation.special),)
    if not forward and operation.kinks:
        return tuple(map(_without, truths, kinks_of(operation, config, arrays)))
    return truths


def kinks_of(operation: Operation, config: Config, arrays: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
    """For each differentiable argument, where its gradient does not exist (`arrays` as for `true_value`)."""
    if operation.kinks is None:
        return tuple(np.zeros(np.shape(arrays[p]), bool) for p in operation.differentiable_args)
    args = [np.asarray(a, None if np.asarray(a).dtype.kind in "iub" else np.float64) for a in arrays]
    return operation.kinks(*args[: len(operation.args)], **config.attrs)


def budget_of(operation: Operation, config: Config, arrays: Sequence[np.ndarray], fmt: Format) -> tuple[Budget, ...]:
    """The rounding budget of every output: the hull over the operation's honest formulas."""
    budgets = rounding_budget(program_of(operation, config, arrays), arrays, fmt)
    for form in range(len(operation.forms)):
        others = rounding_budget(program_of(operation, config, arrays, form), arrays, fmt)
        budgets = tuple(a.hull(b) for a, b in zip(budgets, others, strict=True))
    return budgets


def program_of(operation: Operation, config: Config, arrays: Sequence[np.ndarray], form: int | None = None) -> Program:
    """The traced program for arrays of these shapes: the definition or, given `form`, another honest formula."""
    signature = tuple((np.shape(a), np.asarray(a).dtype.kind in "iub") for a in arrays)
    return _program(_Definition(operation.name, repr(sorted(config.attrs.items())), form, operation, config), signature)


@dataclass(frozen=True)
class _Definition:
    """An operation with its attributes, told apart by name and by the attributes' text."""

    name: str
    attrs: str
    form: int | None
    operation: Operation = field(compare=False)
    config: Config = field(compare=False)

    def define(self) -> Callable[..., Any]:
        if self.form is None:
            return self.operation.bind(self.config)
        return functools.partial(self.operation.forms[self.form], **self.config.attrs)


@functools.lru_cache(maxsize=512)
def _program(definition: _Definition, signature: tuple) -> Program:
    operation, define = definition.operation, definition.define()
    examples: list[Any] = [np.zeros(shape, np.int64 if integer else np.float64) for shape, integer in signature]
    if len(examples) > len(operation.args):
        define = vjp(define, operation.differentiable_args, len(operation.args))
    return trace(define, *examples)


def _without(truth: Truth, mask: np.ndarray) -> Truth:
    """The truth with the masked elements left to convention."""
    return replace(truth, special=np.where(mask, UNDEFINED, truth.special).astype(np.uint8))


def _with_limits(truth: Truth, x: np.ndarray, limits: Sequence[tuple[float, float]]) -> Truth:
    """The truth with the documented limits at infinities and signed zeros in place of the formula's values (R4)."""
    hi, lo, rad, special = (np.array(a) for a in (truth.hi, truth.lo, truth.rad, truth.special))
    rung, signed = np.array(truth.rung), np.zeros(x.shape, bool)
    for at, limit in limits:
        here = (x == at) & (np.signbit(x) == np.signbit(at))
        code = NAN if np.isnan(limit) else PLUS_INF if limit == np.inf else MINUS_INF if limit == -np.inf else REAL
        hi[here], lo[here], rad[here] = (limit if code == REAL else 0.0), 0.0, 0.0
        special[here], rung[here] = code, R4
        signed |= here & (limit == 0)
    return Truth(hi, lo, rad, np.where(rung == R4, 0, truth.exponent), special, rung, signed)
