"""The catalogue held to its independent mpmath definitions: values and derivatives lie inside the balls."""

import functools
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from mpmath import mp, mpf

from oracle.reference.evaluate import evaluate
from oracle.reference.formats import FORMATS
from oracle.reference.lazy import jnp, lax
from oracle.reference.operation import Arg, Config, Operation, get_operation, operations, textbook_definition
from oracle.reference.program import trace, vjp
from oracle.reference.truth import REAL, Truth

DIGITS = 60
CASES = [
    (operation.name, config.name) for operation in operations().values() for config in operation.configs if config.quick
]


# ---- inputs small enough for mpmath ----------------------------------------------------------------------------------


def small_shape(operation: Operation, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape with its long axes cut, equal lengths alike; recurrent layers are short and tie lengths by a factor."""
    if operation.family == "recurrent":
        return shape
    return tuple(n if n < 30 else 3 + n % 7 for n in shape)


def drawn(arg: Arg, shape: tuple[int, ...], config: Config, rng: np.random.Generator) -> np.ndarray:
    """An ordinary value of the argument: inside its domain and representable in float32."""
    if arg.kind == "index":
        return rng.integers(0, config.highs[arg.name], shape)
    if arg.kind == "mask":
        return rng.random(shape) < 0.7
    low, high = arg.domain
    if arg.kind == "probability":
        x = rng.dirichlet(np.ones(shape[-1]), shape[:-1])
    elif np.isfinite(low) and np.isfinite(high):
        x = rng.uniform(low, high, shape)
    else:
        x = arg.scale * rng.normal(size=shape)
        x = x if not np.isfinite(low) else low + np.exp(x)
    return x.astype(np.float32).astype(np.float64)


def inputs_of(operation: Operation, config: Config) -> list[np.ndarray]:
    rng = np.random.default_rng([ord(c) for c in operation.name + config.name])
    return [drawn(a, small_shape(operation, config.shapes[a.name]), config, rng) for a in operation.args]


# ---- the check -------------------------------------------------------------------------------------------------------


def textbook_values(operation: Operation, config: Config, arrays: Sequence) -> tuple[np.ndarray, ...]:
    """The outputs by the textbook definition, from object arrays of mpf."""
    define = functools.partial(textbook_definition(operation.name), **config.attrs)
    if operation.elementwise:
        values = [define(*x) for x in zip(*(np.ravel(a) for a in arrays), strict=True)]
        return (np.array(values, object).reshape(np.shape(arrays[0])),)
    result = define(*arrays)
    return result if isinstance(result, tuple) else (result,)


def as_mpf(x: np.ndarray) -> np.ndarray:
    return np.vectorize(mpf, otypes=[object])(x) if x.dtype.kind == "f" else x


def ends(truth: Truth) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper end of every ball."""
    assert np.all(truth.special == REAL), "an ordinary input has no special value"
    hi, lo, rad = as_mpf(truth.hi), as_mpf(truth.lo), as_mpf(truth.rad)
    unit = np.vectorize(lambda n: mp.ldexp(1, int(n)), otypes=[object])(truth.exponent)
    return (hi + lo - rad) * unit, (hi + lo + rad) * unit


@functools.cache
def expected_values(name: str, config_name: str) -> tuple[np.ndarray, ...]:
    """The textbook values at the inputs of the test."""
    operation = get_operation(name)
    config = operation.config(config_name)
    with mp.workdps(DIGITS):
        return textbook_values(operation, config, [as_mpf(a) for a in inputs_of(operation, config)])


@functools.cache
def expected_slope(name: str, config_name: str) -> tuple[list[np.ndarray], list[np.ndarray], mpf]:
    """Cotangents, directions of the differentiable arguments, and the slope of <cotangent, f(x + t direction)>."""
    operation = get_operation(name)
    config, positions = operation.config(config_name), operation.differentiable_args
    arrays, rng = [as_mpf(a) for a in inputs_of(operation, config)], np.random.default_rng(len(name))

    def eighths(x: np.ndarray) -> np.ndarray:
        return rng.integers(-8, 9, np.shape(x)) / 8.0

    cotangents = [eighths(y) for y in expected_values(name, config_name)]
    directions = [eighths(arrays[p]) for p in positions]

    def along(t: mpf) -> mpf:
        moved = list(arrays)
        for p, direction in zip(positions, directions, strict=True):
            moved[p] = moved[p] + t * as_mpf(direction)
        outputs = textbook_values(operation, config, moved)
        return sum(np.sum(as_mpf(c) * y) for c, y in zip(cotangents, outputs, strict=True))

    with mp.workdps(DIGITS):
        return cotangents, directions, mp.diff(along, 0)


def value_disagreement(operation: Operation, config: Config, define: Callable, fmt: str) -> str:
    """Where the ball of `define` does not hold the textbook value: a description, or nothing."""
    arrays = inputs_of(operation, config)
    truths = evaluate(trace(define, *arrays), arrays, FORMATS[fmt])
    expected = expected_values(operation.name, config.name)
    with mp.workdps(DIGITS):
        for name, truth, value in zip(operation.outputs, truths, expected, strict=True):
            low, high = ends(truth)
            assert truth.decided(FORMATS[fmt]).all(), "an ordinary input is decided"
            if truth.shape != np.shape(value):
                return f"{name} has shape {truth.shape}, not {np.shape(value)}"
            outside = np.flatnonzero((value < low) | (value > high))
            if len(outside):
                there = int(outside[0])
                return f"{name}[{there}] is {mp.nstr(np.ravel(value)[there], 25)}, not {truth.digits(there, 25)}"
    return ""


def derivative_disagreement(operation: Operation, config: Config, define: Callable, fmt: str) -> str:
    """Whether <vjp(cotangent), direction> holds the slope of the textbook definition: why not, or nothing.

    The difference quotient of mpmath is exact to its working precision, of which ten digits are given away.
    """
    arrays, positions = inputs_of(operation, config), operation.differentiable_args
    cotangents, directions, slope = expected_slope(operation.name, config.name)
    gradient = trace(vjp(define, positions, len(arrays)), *arrays, *cotangents)
    truths = evaluate(gradient, [*arrays, *cotangents], FORMATS[fmt])
    with mp.workdps(DIGITS):
        low = high = size = mpf(0)
        for direction, truth in zip(directions, truths, strict=True):
            (below, above), weight = ends(truth), as_mpf(direction)
            low += np.sum(np.minimum(weight * below, weight * above))
            high += np.sum(np.maximum(weight * below, weight * above))
            size += np.sum(np.abs(weight * above))
        slack = size * mpf(10) ** (10 - DIGITS)
        inside = low - slack <= slope <= high + slack
        return "" if inside else f"the slope is {mp.nstr(slope, 25)}, outside {low}, {high}"


@pytest.mark.parametrize("fmt", ["float32", "float64"])
@pytest.mark.parametrize(("name", "config_name"), CASES)
def test_values_lie_inside_the_balls(name: str, config_name: str, fmt: str) -> None:
    operation = get_operation(name)
    config = operation.config(config_name)
    assert value_disagreement(operation, config, operation.bind(config), fmt) == ""


@pytest.mark.parametrize("fmt", ["float32", "float64"])
@pytest.mark.parametrize(("name", "config_name"), [c for c in CASES if get_operation(c[0]).differentiable_args])
def test_derivatives_lie_inside_the_balls(name: str, config_name: str, fmt: str) -> None:
    operation = get_operation(name)
    config = operation.config(config_name)
    assert derivative_disagreement(operation, config, operation.bind(config), fmt) == ""


FORMS = [(name, config_name, form) for name, config_name in CASES for form in range(len(get_operation(name).forms))]


@pytest.mark.parametrize(("name", "config_name", "form"), FORMS)
def test_another_honest_formula_is_the_same_function(name: str, config_name: str, form: int) -> None:
    operation = get_operation(name)
    config = operation.config(config_name)
    define = functools.partial(operation.forms[form], **config.attrs)
    assert value_disagreement(operation, config, define, "float64") == ""
    assert derivative_disagreement(operation, config, define, "float64") == ""


# ---- the check is seen to fail ---------------------------------------------------------------------------------------


def float32_root(x):
    return 0.5 * x * lax.erfc(-x / float(np.float32(np.sqrt(2))))


def float64_root(x):
    return 0.5 * x * lax.erfc(-x / float(np.sqrt(2)))


def swapped_gates(  # noqa: PLR0917 - an operation's arrays are positional
    x, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh
):
    order = np.r_[0:10, 20:30, 10:20, 30:40]
    stacked = (w[order] for w in (weight_ih, weight_hh, bias_ih, bias_hh))
    return get_operation("lstm").define(x, h0, c0, *stacked)


def unbiased_normalization(x, weight, bias, *, eps):
    deviation = x - jnp.mean(x, -1, keepdims=True)
    return deviation / jnp.sqrt(jnp.var(x, -1, keepdims=True, ddof=1) + eps) * weight + bias


def flipped_kernel(x, weight, bias, **attrs):
    return get_operation("conv2d").define(x, jnp.flip(weight, (2, 3)), bias, **attrs)


def smoothing_over_the_others(logits, target, *, ignore_index, label_smoothing):
    classes = logits.shape[-1]
    scaled = label_smoothing * classes / (classes - 1)
    define = get_operation("cross_entropy_indices").define
    return define(logits, target, ignore_index=ignore_index, label_smoothing=scaled)


def without_eps(operation: str) -> Callable:
    return lambda *arrays, eps, **attrs: get_operation(operation).define(*arrays, eps=0.0, **attrs)


WRONG_VALUES = {
    "sqrt(2) rounded to float32": ("gelu_erf", "elementwise", float32_root, "float32"),
    "sqrt(2) rounded to float64": ("gelu_erf", "elementwise", float64_root, "float64"),
    "tanh form for erf form": ("gelu_erf", "elementwise", get_operation("gelu_tanh").define, "float32"),
    "swapped gates": ("lstm", "short", swapped_gates, "float32"),
    "reset before for after": ("gru_reset_after", "short", get_operation("gru_reset_before").define, "float32"),
    "eps dropped": ("layer_norm", "rows", without_eps("layer_norm"), "float32"),
    "eps dropped in a step": ("adam", "eps_hat", without_eps("adam"), "float64"),
    "unbiased variance": ("layer_norm", "rows", unbiased_normalization, "float32"),
    "kernel flipped": ("conv2d", "basic", flipped_kernel, "float32"),
    "smoothing over the other classes": (
        "cross_entropy_indices", "label_smoothing", smoothing_over_the_others, "float32"),
    "one part in 10^9": ("exp", "elementwise", lambda x: lax.exp(x) * (1 + 1e-9), "float32"),
}  # fmt: skip


@pytest.mark.parametrize("fault", WRONG_VALUES)
def test_a_wrong_definition_is_caught(fault: str) -> None:
    name, config_name, wrong, fmt = WRONG_VALUES[fault]
    operation = get_operation(name)
    config = operation.config(config_name)
    assert value_disagreement(operation, config, functools.partial(wrong, **config.attrs), fmt)


def mean_held_fixed(x, weight, bias, *, eps):
    mean = lax.stop_gradient(jnp.mean(x, -1, keepdims=True))
    return (x - mean) / jnp.sqrt(jnp.mean((x - mean) ** 2, -1, keepdims=True) + eps) * weight + bias


WRONG_DERIVATIVES = {
    "2/sqrt(pi) rounded to float64 in JAX's own rule": ("erf", "elementwise", lax.erf, "float64"),
    "no gradient through the mean": ("layer_norm", "rows", mean_held_fixed, "float32"),
    "wrong by 0.1 %": ("tanh", "elementwise", lambda x: lax.tanh(x) + 0.001 * (x - lax.stop_gradient(x)), "float32"),
}


@pytest.mark.parametrize("fault", WRONG_DERIVATIVES)
def test_a_wrong_derivative_of_a_right_value_is_caught(fault: str) -> None:
    name, config_name, wrong, fmt = WRONG_DERIVATIVES[fault]
    operation = get_operation(name)
    config = operation.config(config_name)
    define = functools.partial(wrong, **config.attrs)
    assert value_disagreement(operation, config, define, fmt) == ""
    assert derivative_disagreement(operation, config, define, fmt)
