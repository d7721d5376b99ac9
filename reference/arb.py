"""Rung R3: Arb balls, on the demanded elements alone, at any precision.

Values are object arrays of `flint.arb`; elements nobody demands are None. Integer and boolean variables are exact in R0
already and are taken from there, except booleans that R0 could not decide.

Source: F. Johansson, Arb: efficient arbitrary-precision midpoint-radius interval arithmetic, IEEE Trans. Comput. 66
(2017).
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import flint
import numpy as np

from oracle.reference.balls import Ball, MissingRule
from oracle.reference.constants import constant_ball
from oracle.reference.demand import Masks
from oracle.reference.program import Program, Step
from oracle.reference.rules import contraction
from oracle.reference.structure import MOVES, scatter_targets

arb = flint.arb
Values = list[np.ndarray | None]


def evaluate_arb(
    program: Program, inputs: Sequence[np.ndarray], known: list[Ball | None], masks: Masks, precision: int
) -> Values:
    """The demanded elements of all real variables as Arb balls of `precision` bits.

    `known` are the balls of R0: the source of integers and booleans.
    """
    with flint.ctx.workprec(precision):
        return _Run(program, known, masks).run(inputs)


def to_arb(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """An object array of exact Arb numbers where `mask`, None elsewhere."""
    result = np.full(values.shape, None, object)
    result[mask] = [arb(v) for v in np.asarray(values, np.float64)[mask].tolist()]
    return result


class _Run:
    def __init__(self, program: Program, known: list[Ball | None], masks: Masks) -> None:
        self.program, self.known, self.masks = program, known, masks
        self.values: Values = [None] * len(program.variables)

    def run(self, inputs: Sequence[np.ndarray]) -> Values:
        for variable, value in [
            *zip(self.program.inputs, inputs, strict=True),
            *self.program.constants.items(),
        ]:
            self._load(variable, np.asarray(value))
        for step in self.program.steps:
            if any(self.masks[o] is not None for o in step.outputs):
                self._step(step)
        return self.values

    def _load(self, variable: int, value: np.ndarray) -> None:
        mask = self.masks[variable]
        if mask is not None and self.program.variables[variable].is_real:
            self.values[variable] = to_arb(value, mask)

    def operand(self, variable: int) -> np.ndarray:
        """The object array of a variable; integers and decided booleans come from R0."""
        value = self.values[variable]
        if value is not None:
            return value
        ball = self.known[variable]
        assert ball is not None
        return np.asarray(ball.mid)

    def _step(self, step: Step) -> None:
        output = step.outputs[0]
        variable = self.program.variables[output]
        if not variable.is_real and not self._is_contested(step):
            return
        if step.primitive in MOVES:
            self._move(step)
        elif step.primitive in POINTWISE or step.primitive == "integer_pow":
            self.values[output] = self._pointwise(step)
        else:
            rule = BLOCKWISE.get(step.primitive)
            if rule is None:
                raise MissingRule(f"Arb has no rule for the primitive `{step.primitive}`")
            results = rule(self, step)
            results = results if isinstance(results, list) else [results]
            for index, result in zip(step.outputs, results, strict=True):
                self.values[index] = result

    def _is_contested(self, step: Step) -> bool:
        """Whether R0 left an integer or boolean result undecided."""
        balls = [self.known[o] for o in step.outputs]
        return any(b is not None and b.rad is not None and bool(np.any(b.rad)) for b in balls)

    def _move(self, step: Step) -> None:
        move, movers = MOVES[step.primitive]
        moving = set(movers(len(step.inputs)))
        operands = [self.operand(v) for v in step.inputs]
        real = self.program.variables[step.outputs[0]].is_real
        if real or any(o.dtype == object for o in operands):
            operands = [o.astype(object) if i in moving else o for i, o in enumerate(operands)]
        results = move(*operands, **step.params)
        for index, result in zip(step.outputs, results if isinstance(results, list) else [results], strict=True):
            self.values[index] = result

    def _pointwise(self, step: Step) -> np.ndarray:
        mask = self.masks[step.outputs[0]]
        assert mask is not None
        columns = [np.broadcast_to(self.operand(v), mask.shape)[mask].tolist() for v in step.inputs]
        result = np.full(mask.shape, None, object)
        function = POINTWISE.get(step.primitive)
        if step.primitive == "integer_pow":
            exponent = step.params["y"]
            values = [v**exponent for v in columns[0]]
        else:
            assert function is not None
            values = [function(*row) for row in zip(*columns, strict=True)]
        flat = np.empty(len(values), object)
        flat[:] = values
        result[mask] = flat
        return result


def _select(which: Any, *cases: Any) -> Any:
    if which is None:  # undecided: the hull of the branches
        hull = cases[0]
        for case in cases[1:]:
            hull = hull.union(case)
        return hull
    return cases[int(which)]


def _compare(surely: Callable[[Any, Any], bool], surely_not: Callable[[Any, Any], bool]) -> Callable[[Any, Any], Any]:
    def compare(x: Any, y: Any) -> bool | None:
        if not isinstance(x, arb):
            return bool(surely(x, y))
        if x.is_exact() and y.is_exact():
            return bool(surely(x, y))
        return True if surely(x, y) else False if surely_not(x, y) else None

    return compare


def _maximum(x: arb, y: arb) -> arb:
    return x.max(y)


def _sign(x: arb) -> arb:
    if x > 0 or x < 0:
        return arb(1 if x > 0 else -1)
    return arb(0) if x.is_zero() else arb(0, 1)


def _power(x: arb, y: arb) -> arb:
    # Arb's general power needs x > 0; an integer exponent is defined everywhere.
    integer = y.unique_fmpz() if y.is_exact() and y.is_integer() else None
    if integer is not None and abs(integer) < 2**20:
        return x**integer
    if x.is_zero() and y > 0:
        return arb(0)
    return x**y


def _logical(table: Callable[[bool, bool], bool], dominant: bool) -> Callable[[Any, Any], Any]:
    def combine(x: Any, y: Any) -> bool | None:
        if x is None or y is None:
            return dominant if dominant in (x, y) else None
        return table(bool(x), bool(y))

    return combine


def _polygamma(order: arb, x: arb) -> arb:
    # psi^(n)(x) = (-1)^(n+1) n! zeta(n+1, x) (DLMF 25.11.12).
    n = int(order.unique_fmpz())
    if n == 1 and x < 0:  # reflection, DLMF 5.15.6
        return (arb.pi() / x.sin_pi()) ** 2 - arb(2).zeta(1 - x)
    return (-1) ** (n + 1) * math.factorial(n) * arb(n + 1).zeta(x)


def _convert(x: Any) -> Any:
    return x if isinstance(x, arb) or x is None else arb(int(x))


POINTWISE: dict[str, Callable[..., Any]] = {
    "add": lambda x, y: x + y, "add_any": lambda x, y: x + y, "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y, "div": lambda x, y: x / y, "neg": lambda x: -x, "abs": abs, "sign": _sign,
    "max": _maximum, "min": lambda x, y: x.min(y), "clamp": lambda low, x, high: x.max(low).min(high),
    "exp": arb.exp, "exp2": lambda x: arb(2) ** x, "expm1": arb.expm1, "log": arb.log, "log1p": arb.log1p,
    "sin": arb.sin, "cos": arb.cos, "tan": arb.tan, "sinh": arb.sinh, "cosh": arb.cosh, "tanh": arb.tanh,
    "asin": arb.asin, "acos": arb.acos, "atan": arb.atan, "asinh": arb.asinh, "acosh": arb.acosh, "atanh": arb.atanh,
    "atan2": arb.atan2, "sqrt": arb.sqrt, "rsqrt": arb.rsqrt, "square": lambda x: x * x,
    "cbrt": lambda x: x.root(3) if x >= 0 else -((-x).root(3)),
    "pow": _power, "logistic": lambda x: 1 / (1 + (-x).exp()), "erf": arb.erf, "erfc": arb.erfc, "erf_inv": arb.erfinv,
    "polygamma": _polygamma,
    "lgamma": lambda x: x.lgamma() if x > 0 else abs(x.gamma()).log(), "digamma": arb.digamma,
    "floor": arb.floor, "ceil": arb.ceil,
    "select_n": _select, "stop_gradient": lambda x: x, "copy": lambda x: x, "copy_p": lambda x: x,
    "convert_element_type": _convert, "reduce_precision": lambda x: x, "optimization_barrier": lambda x: x,
    "lt": _compare(lambda x, y: x < y, lambda x, y: x >= y), "le": _compare(lambda x, y: x <= y, lambda x, y: x > y),
    "gt": _compare(lambda x, y: x > y, lambda x, y: x <= y), "ge": _compare(lambda x, y: x >= y, lambda x, y: x < y),
    "eq": _compare(lambda x, y: x == y, lambda x, y: not x.overlaps(y)),
    "ne": _compare(lambda x, y: x != y, lambda x, y: False),
    "and": _logical(lambda x, y: x and y, False), "or": _logical(lambda x, y: x or y, True),
    "xor": lambda x, y: None if x is None or y is None else bool(x) != bool(y),
    "not": lambda x: None if x is None else not x,
}  # fmt: skip


BLOCKWISE: dict[str, Callable[[_Run, Step], np.ndarray | list[np.ndarray]]] = {}


def _blockwise(*names: str) -> Callable:
    def register(rule: Callable) -> Callable:
        BLOCKWISE.update(dict.fromkeys(names, rule))
        return rule

    return register


def _reduce(combine: Callable[[list], Any]) -> Callable[[_Run, Step], np.ndarray]:
    def rule(run: _Run, step: Step) -> np.ndarray:
        mask = run.masks[step.outputs[0]]
        assert mask is not None
        x = run.operand(step.inputs[0])
        axes = tuple(step.params["axes"])
        kept = [i for i in range(x.ndim) if i not in axes]
        rows = x.transpose([*kept, *axes]).reshape(*mask.shape, -1)
        result = np.full(mask.shape, None, object)
        for place in np.ndindex(mask.shape):
            if mask[place]:
                result[place] = combine(rows[place].tolist())
        return result

    return rule


def _scalar(value: Any) -> np.ndarray:
    result = np.empty((), object)
    result[()] = value
    return result


def _product(values: list) -> arb:
    result = arb(1)
    for value in values:
        result = result * value
    return result


def _largest(values: list) -> arb:
    result = values[0]
    for value in values[1:]:
        result = result.max(value)
    return result


def _smallest(values: list) -> arb:
    result = values[0]
    for value in values[1:]:
        result = result.min(value)
    return result


BLOCKWISE["reduce_sum"] = _reduce(lambda values: sum(values, arb(0)))
BLOCKWISE["reduce_prod"] = _reduce(_product)
BLOCKWISE["reduce_max"] = _reduce(_largest)
BLOCKWISE["reduce_min"] = _reduce(_smallest)
BLOCKWISE["reduce_or"] = _reduce(lambda values: True if any(v is True for v in values) else
                                 None if None in values else False)  # fmt: skip
BLOCKWISE["reduce_and"] = _reduce(lambda values: False if any(v is False for v in values) else
                                  None if None in values else True)  # fmt: skip


@_blockwise("cumsum", "cummax")
def _accumulate(run: _Run, step: Step) -> np.ndarray:
    axis, reverse = step.params["axis"], step.params["reverse"]
    combine = (lambda p, q: p + q) if step.primitive == "cumsum" else _maximum
    x = np.moveaxis(run.operand(step.inputs[0]), axis, -1)
    result = np.full(x.shape, None, object)
    order = range(x.shape[-1])
    for place in np.ndindex(x.shape[:-1]):
        total = None
        for i in reversed(order) if reverse else order:
            value = x[place][i]
            if value is None:  # the whole line is demanded or none of it
                break
            total = value if total is None else combine(total, value)
            result[(*place, i)] = total
    return np.moveaxis(result, -1, axis)


@_blockwise("dot_general")
def _dot_general(run: _Run, step: Step) -> np.ndarray:
    x, y = (run.operand(v) for v in step.inputs)
    mask = run.masks[step.outputs[0]]
    assert mask is not None
    left, right, shape = contraction(x.shape, y.shape, step.params["dimension_numbers"])
    rows, columns = left(x), right(y)
    block = mask.reshape(rows.shape[0], rows.shape[1], columns.shape[2])
    result = np.full(block.shape, None, object)
    for b in range(block.shape[0]):
        m, n = np.flatnonzero(block[b].any(1)), np.flatnonzero(block[b].any(0))
        if m.size:
            product = flint.arb_mat(rows[b][m].tolist()) * flint.arb_mat(columns[b][:, n].tolist())
            entries = np.empty(m.size * n.size, object)
            entries[:] = product.entries()
            result[b][np.ix_(m, n)] = entries.reshape(m.size, n.size)
    return result.reshape(shape)


@_blockwise("scatter-add", "scatter_add", "scatter")
def _scatter(run: _Run, step: Step) -> np.ndarray:
    x, _, updates = (run.operand(v) for v in step.inputs)
    indices = run.known[step.inputs[1]]
    assert indices is not None
    target = scatter_targets(x.shape, indices.mid, updates.shape, step.params).reshape(-1)
    flat = np.array(x, object).reshape(-1)
    adds = step.primitive != "scatter"
    for place, value in zip(target.tolist(), updates.reshape(-1).tolist(), strict=True):
        if place >= 0 and value is not None and flat[place] is not None:
            flat[place] = flat[place] + value if adds else value
    return flat.reshape(x.shape)


@_blockwise("add_at")
def _add_at(run: _Run, step: Step) -> np.ndarray:
    mask = run.masks[step.outputs[0]]
    assert mask is not None
    flat = [arb(0) if needed else None for needed in mask.reshape(-1)]
    values = run.operand(step.inputs[0])
    for place, value in zip(step.params["target"].reshape(-1).tolist(), values.reshape(-1).tolist(), strict=True):
        if place >= 0 and flat[place] is not None and value is not None:
            flat[place] = flat[place] + value
    result = np.empty(len(flat), object)
    result[:] = flat
    return result.reshape(mask.shape)


@_blockwise("exact_constant")
def _constant(run: _Run, step: Step) -> np.ndarray:
    return _scalar(constant_ball(step.params["expression"]))


@_blockwise("sort")
def _sort(run: _Run, step: Step) -> list[np.ndarray]:
    """Only where the keys' order is certain at R0; else undecided stays undecided."""
    key = run.known[step.inputs[0]]
    assert key is not None
    axis = step.params["dimension"]
    order = np.argsort(key.mid, axis, kind="stable")
    if key.rad is not None and np.any(key.rad):
        raise MissingRule("sorting by values that R0 cannot order")
    return [np.take_along_axis(run.operand(v), order, axis) for v in step.inputs]
