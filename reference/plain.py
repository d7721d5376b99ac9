"""Float64 evaluation of a program by NumPy: the midpoints alone, without radii.

The carrier of whole networks, where the error of an operation is explained at the level of float32: no compilation, no
contraction of a·b + c, no flushing of subnormals. Its own error is bounded by the balls of `oracle.reference.balls`.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import scipy.special as sp

from oracle.reference.balls import MissingRule
from oracle.reference.constants import nearest_float64
from oracle.reference.convolution import convolve
from oracle.reference.pooling import RULES as POOLING
from oracle.reference.program import Program, Step
from oracle.reference.structure import MOVES, contraction, scatter_targets

Array = np.ndarray


def evaluate_plain(program: Program, inputs: Sequence[Array]) -> list[Array]:
    """The outputs of `program` in float64."""
    return plain(program)(*inputs)


def plain(program: Program) -> Callable[..., list[Array]]:
    """`program` as a function of arrays. What no later step reads is let go, so that its memory serves the next.

    An input that no step reads may be anything with a shape and a dtype. Raises `MissingRule` for a primitive that
    this arithmetic does not know.
    """
    steps = [
        (_rule(step), step.inputs, step.outputs, dead) for step, dead in zip(program.steps, _dead(program), strict=True)
    ]

    read = {i for step in program.steps for i in step.inputs} | set(program.outputs)
    inputs = [(place, index) for place, index in enumerate(program.inputs) if index in read]

    def evaluate(*given: Any) -> list[Array]:
        values: list[Any] = [None] * len(program.variables)
        for index, constant in program.constants.items():
            values[index] = constant
        for place, index in inputs:
            value = given[place]
            values[index] = np.asarray(value) if value.dtype.kind in "iub" else np.asarray(value, np.float64)
        with np.errstate(all="ignore"):
            for rule, operands, results, dead in steps:
                made = rule(*[values[i] for i in operands])
                if len(results) == 1 and not isinstance(made, list):
                    values[results[0]] = made
                else:
                    for index, result in zip(results, made, strict=True):
                        values[index] = result
                for index in dead:
                    values[index] = None
        return [np.asarray(values[o]) for o in program.outputs]

    return evaluate


def _dead(program: Program) -> list[tuple[int, ...]]:
    """For each step the variables that are read there for the last time, or never."""
    kept = {*program.outputs, *program.constants}
    found: list[tuple[int, ...]] = []
    for step in reversed(program.steps):
        last = {*step.inputs, *step.outputs} - kept
        kept |= last
        found.append(tuple(last))
    return found[::-1]


def _rule(step: Step) -> Callable[..., Any]:
    name, params = step.primitive, step.params
    if name in POINTWISE:
        return POINTWISE[name]
    rule = MOVES[name][0] if name in MOVES else WITH_PARAMETERS.get(name)
    if rule is None:
        raise MissingRule(f"no rule for the primitive `{name}`; write the definition without it")
    return functools.partial(rule, **params)


def _divide(x: Array, y: Array) -> Array:
    if x.dtype.kind == "f":
        return x / y
    return (np.sign(x) * np.sign(y) * (np.abs(x) // np.abs(y))).astype(x.dtype)


POINTWISE: dict[str, Callable[..., Any]] = {
    "add": np.add, "add_any": np.add, "sub": np.subtract, "mul": np.multiply, "div": _divide, "rem": np.fmod,
    "neg": np.negative, "abs": np.abs, "sign": np.sign, "floor": np.floor, "ceil": np.ceil,
    "max": np.maximum, "min": np.minimum, "clamp": lambda low, x, high: np.minimum(np.maximum(x, low), high),
    "exp": np.exp, "exp2": np.exp2, "expm1": np.expm1, "log": np.log, "log1p": np.log1p, "sin": np.sin, "cos": np.cos,
    "tan": np.tan, "sinh": np.sinh, "cosh": np.cosh, "tanh": np.tanh, "asin": np.arcsin, "acos": np.arccos,
    "atan": np.arctan, "asinh": np.arcsinh, "acosh": np.arccosh, "atanh": np.arctanh, "atan2": np.arctan2,
    "sqrt": np.sqrt, "rsqrt": lambda x: 1 / np.sqrt(x), "cbrt": np.cbrt, "square": np.square, "pow": np.power,
    "logistic": sp.expit, "erf": sp.erf, "erfc": sp.erfc, "erf_inv": sp.erfinv, "lgamma": sp.gammaln,
    "digamma": sp.digamma, "polygamma": lambda n, x: sp.polygamma(n.astype(int), x),
    "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal, "eq": np.equal, "ne": np.not_equal,
    "and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor, "not": np.bitwise_not,
    "is_finite": np.isfinite,
}  # fmt: skip

WITH_PARAMETERS: dict[str, Callable[..., Any]] = {"conv_general_dilated": convolve, **POOLING}


def _with_parameters(*names: str) -> Callable:
    def register(rule: Callable) -> Callable:
        WITH_PARAMETERS.update(dict.fromkeys(names, rule))
        return rule

    return register


@_with_parameters("stop_gradient", "copy", "copy_p", "reduce_precision", "optimization_barrier")
def _same(*xs: Array, **_: Any) -> list[Array]:
    return list(xs)


@_with_parameters("integer_pow")
def _integer_pow(x: Array, *, y: int) -> Array:
    return x ** float(y)


@_with_parameters("round")
def _round(x: Array, *, rounding_method: Any = None, **_: Any) -> Array:
    away = int(rounding_method or 0) == 0
    return np.copysign(np.floor(np.abs(x) + 0.5), x) if away else np.rint(x)


@_with_parameters("select_n")
def _select(which: Array, *cases: Array) -> Array:
    if len(cases) == 2:
        return np.where(which, cases[1], cases[0])
    choice, *branches = np.broadcast_arrays(which, *cases)
    return np.choose(choice, branches)


@_with_parameters("convert_element_type")
def _convert(x: Array, *, new_dtype: Any, **_: Any) -> Array:
    kind = np.dtype(new_dtype).kind
    return np.asarray(x, np.float64) if kind not in "iub" else x.astype(new_dtype)


@_with_parameters("exact_constant")
def _constant(*, expression: str) -> Array:
    return np.asarray(nearest_float64(expression)[0])


@_with_parameters("iota")
def _iota(*, dtype: Any, shape: Sequence[int], dimension: int, **_: Any) -> Array:
    line = np.arange(shape[dimension]).astype(dtype)
    return np.broadcast_to(line.reshape([-1 if i == dimension else 1 for i in range(len(shape))]), tuple(shape))


def _reduction(function: Callable) -> Callable:
    return lambda x, *, axes, **_: function(x, axis=tuple(axes))


WITH_PARAMETERS.update(
    reduce_sum=_reduction(np.sum), reduce_prod=_reduction(np.prod), reduce_max=_reduction(np.max),
    reduce_min=_reduction(np.min), reduce_or=_reduction(np.any), reduce_and=_reduction(np.all),
    argmax=lambda x, *, axes, index_dtype, **_: np.argmax(x, axes[0]).astype(index_dtype),
    argmin=lambda x, *, axes, index_dtype, **_: np.argmin(x, axes[0]).astype(index_dtype),
)  # fmt: skip


def _accumulation(function: Callable) -> Callable:
    def accumulate(x: Array, *, axis: int, reverse: bool = False, **_: Any) -> Array:
        x = np.flip(x, axis) if reverse else x
        total = function(x, axis)
        return np.flip(total, axis) if reverse else total

    return accumulate


WITH_PARAMETERS.update(
    cumsum=_accumulation(np.cumsum), cumprod=_accumulation(np.cumprod), cummax=_accumulation(np.maximum.accumulate),
    cummin=_accumulation(np.minimum.accumulate), cumlogsumexp=_accumulation(np.logaddexp.accumulate),
)  # fmt: skip


@_with_parameters("dot_general")
def _dot_general(x: Array, y: Array, *, dimension_numbers: Any, **_: Any) -> Array:
    left, right, shape = contraction(x.shape, y.shape, dimension_numbers)
    return (left(x) @ right(y)).reshape(shape)


@_with_parameters("sort")
def _sort(*operands: Array, dimension: int, **_: Any) -> list[Array]:
    order = np.argsort(operands[0], dimension, kind="stable")
    return [np.take_along_axis(x, order, dimension) for x in operands]


@_with_parameters("top_k")
def _top_k(x: Array, *, k: int, **_: Any) -> list[Array]:
    order = np.argsort(-x, -1, kind="stable")[..., :k]
    return [np.take_along_axis(x, order, -1), order.astype(np.int32)]


@_with_parameters("scatter-add", "scatter_add")
def _scatter_add(x: Array, indices: Array, updates: Array, **params: Any) -> Array:
    target = scatter_targets(x.shape, indices, updates.shape, params)
    return add_at(np.array(x), target, updates)


@_with_parameters("scatter")
def _scatter(x: Array, indices: Array, updates: Array, **params: Any) -> Array:
    target = scatter_targets(x.shape, indices, updates.shape, params).reshape(-1)
    keep = target >= 0
    flat = np.array(x).reshape(-1)
    flat[target[keep]] = updates.reshape(-1)[keep]
    return flat.reshape(x.shape)


@_with_parameters("add_at")
def _add_at(x: Array, *, target: Array, shape: Sequence[int]) -> Array:
    return add_at(np.zeros(shape), target, x)


def add_at(base: Array, target: Array, values: Array) -> Array:
    """`base` with `values` added at their flat places; places below zero are dropped."""
    keep = target >= 0
    total = np.bincount(target[keep], values[keep], minlength=base.size) if values.dtype.kind == "f" else None
    if total is None:
        np.add.at(base.reshape(-1), target[keep], values[keep])
        return base
    return base + total.reshape(base.shape)
