"""Another activation: the other GELU, a hard sigmoid with another slope, relu for relu6."""

import functools
import math
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import scipy.special as sp

from oracle.alignment import Side
from oracle.causes import Candidate, Context, hypothesis, place, replaced_output
from oracle.lowered import LoweredNode
from oracle.network import Values

Function = Callable[[np.ndarray], np.ndarray]
_SELU = (1.0507009873554804934193349852946, 1.6732632423543772848170429916717)
ACTIVATIONS: dict[str, Function] = {
    "gelu (erf)": lambda x: 0.5 * x * sp.erfc(-x / math.sqrt(2)),
    "gelu (tanh)": lambda x: 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    "gelu (sigmoid)": lambda x: x * sp.expit(1.702 * x),
    "relu": lambda x: np.maximum(x, 0.0),
    "relu6": lambda x: np.clip(x, 0.0, 6.0),
    "silu": lambda x: x * sp.expit(x),
    "mish": lambda x: x * np.tanh(np.logaddexp(x, 0.0)),
    "softplus": lambda x: np.logaddexp(x, 0.0),
    "softsign": lambda x: x / (1 + np.abs(x)),
    "sigmoid": sp.expit,
    "hard_sigmoid (x/6 + 1/2)": lambda x: np.clip(x / 6 + 0.5, 0.0, 1.0),
    "hard_sigmoid (0.2 x + 1/2)": lambda x: np.clip(0.2 * x + 0.5, 0.0, 1.0),
    "hard_swish": lambda x: x * np.clip(x / 6 + 0.5, 0.0, 1.0),
    "tanh": np.tanh,
    "hard_tanh": lambda x: np.clip(x, -1.0, 1.0),
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0.0))),
    "selu": lambda x: _SELU[0] * np.where(x > 0, x, _SELU[1] * np.expm1(np.minimum(x, 0.0))),
    "identity": lambda x: x,
    "exp": np.exp,
}
_AGREE = 1e-6


@hypothesis(priority=40)
def other_activation(context: Context) -> Iterator[Candidate]:
    """B's activation of a common value is replaced by the activation that A applies to it."""
    for x_b, node_b, name_b in _applied(context.b, context.at_b.region[:20], context.alignment.b_to_a):
        for x_a in context.matched(x_b):
            for name_a, node_a in _known(context.a, x_a, context.at_a.region[:20]):
                if name_a != name_b:
                    yield Candidate(
                        _code(name_a, name_b),
                        replaced_output(node_b, functools.partial(_apply, _function(name_a), x_b)),
                        node_a,
                        node_b,
                        fix_a=f"use {name_b} at {place(node_a)}",
                        fix_b=f"use {name_a} at {place(node_b)}",
                        detail=f"{name_a} in {{A}}, {name_b} in {{B}}",
                    )


def _apply(function: Function, x: int, values: Values) -> np.ndarray:
    return function(values[x])


def _applied(
    side: Side, region: tuple, matches: Mapping[int, tuple[int, ...]]
) -> Iterator[tuple[int, LoweredNode, str]]:
    """(input, node, activation) for nodes that make an activation of a value with a counterpart."""
    inputs = [i for node in region for i in node.reals if matches.get(i) and side.run.values[i].size > 1]
    for x in dict.fromkeys(inputs):
        for name, node in _known(side, x, region):
            yield x, node, name


def _known(side: Side, x: int, region: tuple) -> Iterator[tuple[str, LoweredNode]]:
    """The activations of value `x` that nodes of the region make, by their effect."""
    array = side.run.values[x]
    for node in region:
        y = side.run.values[node.outputs[0]]
        if y.size == array.size and array.size > 1:
            name = identify(array.reshape(-1), y.reshape(-1))
            if name:
                yield name, node


def identify(x: np.ndarray, y: np.ndarray) -> str:
    """The activation that maps `x` to `y`: its name, with the slope or alpha for the families that have one; or ""."""
    with np.errstate(all="ignore"):
        for name, function in ACTIVATIONS.items():
            if _equal(function(x), y):
                return name
        for family, parameter, function in _families(x, y):
            if parameter is not None and math.isfinite(parameter) and _equal(function(x), y):
                return f"{family}({parameter:.6g})"
    return ""


def _families(x: np.ndarray, y: np.ndarray) -> Iterator[tuple[str, float | None, Function]]:
    negative = x < -0.1
    if not negative.any():
        return
    ratio = float(np.median(y[negative] / x[negative]))
    yield "leaky_relu", ratio, _function(f"leaky_relu({ratio:.12g})")
    alpha = float(np.median(y[negative] / np.expm1(x[negative])))
    yield "elu", alpha, _function(f"elu({alpha:.12g})")


def _function(name: str) -> Function:
    if name in ACTIVATIONS:
        return ACTIVATIONS[name]
    family, _, rest = name.partition("(")
    parameter = float(rest.rstrip(")"))
    if family == "leaky_relu":
        return lambda x: np.where(x > 0, x, parameter * x)
    return lambda x: np.where(x > 0, x, parameter * np.expm1(np.minimum(x, 0.0)))


def _equal(a: np.ndarray, b: np.ndarray) -> bool:
    size = max(float(np.max(np.abs(b), initial=0.0)), 1e-300)
    return bool(np.max(np.abs(a - b), initial=0.0) <= _AGREE * size)


def _code(a: str, b: str) -> str:
    if a.startswith("gelu") and b.startswith("gelu"):
        return "gelu-form"
    if "identity" in (a, b):
        return "extra-node"
    same_family = a.partition("(")[0].strip() == b.partition("(")[0].strip()
    return "activation-slope" if same_family else "activation-variant"
