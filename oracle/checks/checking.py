"""A user's own function or layer against its definition in JAX, with no tolerance to choose."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from oracle.audits.inputs import cotangents
from oracle.checks.causes import named
from oracle.checks.foreign import PullBack, call, leaves, to_numpy
from oracle.checks.judging import Asked, judged
from oracle.errors import OracleError
from oracle.judgements.verdict import Judgement
from oracle.reference.formats import Format, format_named
from oracle.reference.program import Program, trace, vjp
from oracle.types import Verdict

_GRAVITY = (Verdict.CORRECT, Verdict.WITHIN_BUDGET, Verdict.UNDECIDED, Verdict.BEYOND_BUDGET)


@dataclass(frozen=True)
class CheckedArray:
    """One result, or the gradient of one input, judged; `code` names the cause (`oracle.checks.causes`)."""

    name: str
    format: str
    judgement: Judgement
    code: str
    detail: str = ""


@dataclass(frozen=True)
class CheckResult:
    """What `check` found. It has a verdict and is no bool: `assert result.verdict == "WITHIN_BUDGET"`, or
    `result.raise_if_beyond()`."""

    arrays: tuple[CheckedArray, ...]

    @property
    def gravest(self) -> CheckedArray:
        """The array with the worst verdict; among equals the one that uses most of its budget."""
        return max(self.arrays, key=lambda a: (_GRAVITY.index(a.judgement.verdict), a.judgement.budget_used or 0.0))

    @property
    def verdict(self) -> Verdict:
        """The worst verdict of all arrays."""
        return self.gravest.judgement.verdict

    @property
    def code(self) -> str:
        """The cause of the worst verdict, "rounding-only" if there is none (`oracle.checks.causes`)."""
        return self.gravest.code

    @property
    def reason(self) -> str:
        """What the worst verdict rests on, in words."""
        return self.gravest.judgement.reason

    @property
    def max_ulp(self) -> float | None:
        """Largest error of all arrays, in ulp of their formats."""
        return _largest(a.judgement.max_ulp for a in self.arrays)

    @property
    def budget_used(self) -> float | None:
        """Largest error as a share of the fused rounding budget."""
        return _largest(a.judgement.budget_used for a in self.arrays)

    @property
    def worst(self) -> Mapping[str, Any] | None:
        """The worst element of the gravest array: index, inputs, answer, true value, error."""
        return next(iter(self.gravest.judgement.worst), None)

    def raise_if_beyond(self) -> "CheckResult":
        """This result; `AssertionError` with the whole finding if the verdict is BEYOND_BUDGET."""
        if self.verdict is Verdict.BEYOND_BUDGET:
            raise AssertionError(str(self))
        return self

    def __bool__(self) -> NoReturn:
        raise TypeError(
            "a check has a verdict and is neither true nor false; compare result.verdict, or call "
            "result.raise_if_beyond()"
        )

    def __str__(self) -> str:
        lines = [f"{self.verdict}: {self.reason}" if self.reason else str(self.verdict)]
        for array in self.arrays:
            found = array.judgement
            lines.append(
                f"  {array.name} ({array.format}): {found.verdict}, max {_number(found.max_ulp)} ulp, "
                f"{_number(found.budget_used)} of the budget, {found.elements} elements"
            )
            if array.code != "rounding-only":
                lines.append(f"    {array.code}: {array.detail}" if array.detail else f"    {array.code}")
        if self.worst:
            given = "".join(f" {name}={x['decimal']}" for name, x in self.worst["inputs"].items())
            lines.append(
                f"  worst of {self.gravest.name}: at {self.worst['index']}{given} got "
                f"{self.worst['actual']['decimal']}, true value {self.worst['truth']}"
            )
        return "\n".join(lines)

    __repr__ = __str__


def check(
    fn: Callable[..., Any],
    *,
    reference: Callable[..., Any],
    inputs: Any,
    format: str | None = None,
    grad: bool | Callable[..., Any] = False,
    forms: Sequence[Callable[..., Any]] = (),
) -> CheckResult:
    """How far `fn(*inputs)` is from the exact value of `reference(*inputs)`, and whether that is still rounding.

    `fn` takes and returns arrays of NumPy, torch, TensorFlow or JAX; `reference` is a JAX function of the same arrays,
    the mathematics, evaluated exactly at the very numbers given. `inputs` is one array, a sequence or a mapping (whose
    order is the order of the arguments). The number format is that of each result; `format` names it where the type of
    the result does not say. With `grad=True` the gradients of `fn` with respect to its floating-point inputs are
    checked too, by its framework's own differentiation at normal cotangents; for NumPy give a function `grad(*inputs,
    *cotangents)` that returns them. `forms` are further honest formulas of the same mathematics, in JAX: a rounding
    error within the budget of any of them is rounding. Raises `OracleError` where the two cannot be compared.

        >>> oracle.check(torch.nn.functional.gelu, reference=jax.nn.gelu, inputs=x).raise_if_beyond()
    """
    names, given = _named(inputs)
    operands = {name: _exact(x, name) for name, x in zip(names, given, strict=True)}
    positions = [i for i, x in enumerate(operands.values()) if x.dtype.kind == "f"] if grad else []
    results, pull_back = call(fn, given, positions)
    answers = {"out" if len(results) == 1 else f"out[{i}]": y for i, y in enumerate(results)}
    definitions = (reference, *forms)
    checked = _judge_all(definitions, operands, answers, format)
    if not grad:
        return CheckResult(checked)
    drawn = {f"cotangent of {name}": _stored_cotangent(name, y, format) for name, y in answers.items()}
    slopes = _gradients(grad, pull_back, given, list(drawn.values()))
    gradients = {f"gradient of {names[p]}": g for p, g in zip(positions, _as_many(slopes, positions), strict=True)}
    slopes_of = [vjp(definition, positions, len(given)) for definition in definitions]
    operands |= {name: c.astype(np.float64) for name, c in drawn.items()}
    return CheckResult(checked + _judge_all(slopes_of, operands, gradients, format))


def _judge_all(
    definitions: Sequence[Callable],
    operands: Mapping[str, np.ndarray],
    answers: Mapping[str, np.ndarray],
    format: str | None,
) -> tuple[CheckedArray, ...]:
    """Each answer against the exact value of the first of `definitions` at `operands`; the others add to the budget."""
    programs = [_traced(definition, list(operands.values())) for definition in definitions]
    _must_fit(programs[0], answers)
    asked = Asked(operands, answers, {name: _format_of(name, y, format) for name, y in answers.items()})
    checked = []
    for name, found in judged(programs, asked).items():
        cause = named(programs, asked, name, found)
        checked.append(CheckedArray(name, asked.formats[name].name, found, cause.code, cause.detail))
    return tuple(checked)


def _traced(definition: Callable, operands: Sequence[np.ndarray]) -> Program:
    try:
        return trace(definition, *operands)
    except (TypeError, ValueError, NotImplementedError) as error:
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise OracleError(f"the reference cannot be evaluated at these inputs: {said}") from error


def _must_fit(program: Program, answers: Mapping[str, np.ndarray]) -> None:
    shapes = [program.variables[v].shape for v in program.outputs]
    if len(shapes) != len(answers):
        raise OracleError(f"the reference returns {len(shapes)} arrays, the function {len(answers)}")
    for (name, y), shape in zip(answers.items(), shapes, strict=True):
        if y.shape != shape:
            raise OracleError(f"{name} has shape {list(y.shape)}, the reference {list(shape)}")


def _format_of(name: str, y: np.ndarray, format: str | None) -> Format:
    try:
        return format_named(format or y.dtype.name)
    except ValueError as error:
        raise OracleError(f"{name}: {error}") from error


def _named(inputs: Any) -> tuple[list[str], list[Any]]:
    if isinstance(inputs, Mapping):
        return list(inputs), list(inputs.values())
    given = list(inputs) if isinstance(inputs, list | tuple) else [inputs]
    if not given:
        raise OracleError("no inputs; give at least one array")
    return ["x"] if len(given) == 1 else [f"x{i}" for i in range(len(given))], given


def _exact(x: Any, name: str) -> np.ndarray:
    """The numbers of an input: float64, integers or booleans."""
    array = to_numpy(x)
    if array.dtype.kind in "iub":
        return array
    _format_of(f"input {name}", array, None)
    return array.astype(np.float64)


def _stored_cotangent(name: str, y: np.ndarray, format: str | None) -> np.ndarray:
    fmt = _format_of(name, y, format)
    return cotangents({name: y.shape}, fmt, name)[name].astype(y.dtype)


def _gradients(grad: bool | Callable, pull_back: PullBack | None, given: list[Any], drawn: list[np.ndarray]) -> list:
    if callable(grad):
        return [to_numpy(g) for g in leaves(grad(*given, *drawn))]
    if pull_back is None:
        raise OracleError(
            "grad=True needs the inputs as arrays of one framework that differentiates (torch, TensorFlow, JAX); "
            "for NumPy give a function grad(*inputs, *cotangents) that returns the gradients"
        )
    return pull_back(drawn)


def _as_many(slopes: list[np.ndarray], positions: Sequence[int]) -> list[np.ndarray]:
    if len(slopes) != len(positions):
        raise OracleError(f"{len(slopes)} gradients for {len(positions)} floating-point inputs; one each is expected")
    return slopes


def _largest(values: Iterable[float | None]) -> float | None:
    return max((v for v in values if v is not None), default=None)


def _number(value: float | None) -> str:
    return "no" if value is None else f"{value:.3g}"
