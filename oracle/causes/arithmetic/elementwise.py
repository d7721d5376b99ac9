"""Functions of one number by name: activations, roundings, elementary functions; recognised by their effect."""

import math
from collections.abc import Callable

import numpy as np
import scipy.special as sp

Function = Callable[[np.ndarray], np.ndarray]
_SELU = (1.0507009873554804934193349852946, 1.6732632423543772848170429916717)
ACTIVATIONS: dict[str, Function] = {
    "identity": lambda x: x,
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
    "log_sigmoid": lambda x: -np.logaddexp(-x, 0.0),
    "hard_sigmoid (x/6 + 1/2)": lambda x: np.clip(x / 6 + 0.5, 0.0, 1.0),
    "hard_sigmoid (0.2 x + 1/2)": lambda x: np.clip(0.2 * x + 0.5, 0.0, 1.0),
    "hard_swish": lambda x: x * np.clip(x / 6 + 0.5, 0.0, 1.0),
    "tanh": np.tanh,
    "scaled tanh (1.7159 tanh(2x/3))": lambda x: 1.7159 * np.tanh(2 * x / 3),
    "hard_tanh": lambda x: np.clip(x, -1.0, 1.0),
    "tanh_shrink": lambda x: x - np.tanh(x),
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0.0))),
    "selu": lambda x: _SELU[0] * np.where(x > 0, x, _SELU[1] * np.expm1(np.minimum(x, 0.0))),
    "squareplus": lambda x: (x + np.sqrt(x * x + 4)) / 2,
    "squared relu": lambda x: np.maximum(x, 0.0) ** 2,
    "erf": sp.erf,
    "sin": np.sin,
    "sign": np.sign,
    "sign, 1 at 0": lambda x: np.where(x >= 0, 1.0, -1.0),
    "step": lambda x: np.where(x > 0, 1.0, 0.0),
    "step, 1 at 0": lambda x: np.where(x >= 0, 1.0, 0.0),
    "step, 1/2 at 0": lambda x: np.heaviside(x, 0.5),
}
ROUNDINGS: dict[str, Function] = {
    "round to nearest, half to even": np.rint,
    "round to nearest, half away from zero": lambda x: np.trunc(x + np.copysign(0.5, x)),
    "round to nearest, half up": lambda x: np.floor(x + 0.5),
    "round down": np.floor,
    "round up": np.ceil,
    "round to zero": np.trunc,
}
# Functions of one number that are no activations: one for another is another operation.
ELEMENTARY: dict[str, Function] = {
    "absolute value": np.abs, "square": np.square, "cube": lambda x: x**3, "square root": np.sqrt,
    "1 / square root": lambda x: 1 / np.sqrt(x), "reciprocal": lambda x: 1 / x, "log": np.log, "log2": np.log2,
    "log10": np.log10, "log(1 + x)": np.log1p, "exp": np.exp, "exp2": np.exp2, "exp(x) - 1": np.expm1, "cos": np.cos,
    "sinh": np.sinh, "cosh": np.cosh, "arctan": np.arctan, "arcsinh": np.arcsinh,
}  # fmt: skip
ACTIVATIONS |= ROUNDINGS | ELEMENTARY


def _hard_shrink(x: np.ndarray, p: float) -> np.ndarray:
    return np.where(np.abs(x) > p, x, 0.0)


# Families with one parameter, by name: (x, parameter) -> y. The parameter is estimated from the values.
FAMILIES: dict[str, Callable[[np.ndarray, float], np.ndarray]] = {
    "leaky_relu": lambda x, p: np.where(x > 0, x, p * x),
    "elu": lambda x, p: np.where(x > 0, x, p * np.expm1(np.minimum(x, 0.0))),
    "celu": lambda x, p: np.where(x > 0, x, p * np.expm1(np.minimum(x, 0.0) / p)),
    "silu": lambda x, p: x * sp.expit(p * x),
    "softplus": lambda x, p: np.logaddexp(p * x, 0.0) / p,
    "hard_sigmoid": lambda x, p: np.clip(p * x + 0.5, 0.0, 1.0),
    "hard_swish": lambda x, p: x * np.clip(p * x + 0.5, 0.0, 1.0),
    "relu with a maximum": lambda x, p: np.clip(x, 0.0, p),
    "thresholded relu": lambda x, p: np.where(x > p, x, 0.0),
    "hard_tanh": lambda x, p: np.clip(x, -p, p),
    "soft_shrink": lambda x, p: np.sign(x) * np.maximum(np.abs(x) - p, 0.0),
    "hard_shrink": _hard_shrink,
    "scaled tanh": lambda x, p: np.tanh(p * x),
    "sigmoid of a multiple": lambda x, p: sp.expit(p * x),
}
_AGREE = 1e-6
_ROUNDING = 1e-13
# So many elements are looked at before all are.
_FEW = 64
_HALVINGS = 64
# Parameters are looked for among these, and between them where none fits.
_GRID = (0.01, 0.05, 0.1, 1 / 6, 0.2, 0.25, 0.3, 0.5, 1.0, 1.5, 1.702, 2.0, 3.0, 6.0, 8.0, 20.0)
# Families in which a parameter can only be read off elements of the values themselves.
_THRESHOLDS = ("thresholded relu", "hard_shrink")


def identify(x: np.ndarray, y: np.ndarray) -> str:
    """The activation that maps `x` to `y`: its name, with the parameter for the families that have one; or ""."""
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        return ""
    few = _telling(x, y)
    with np.errstate(all="ignore"):
        errors = {name: _error(f(x), y) for name, f in ACTIVATIONS.items() if agree(f(few[0]), few[1], few[2])}
        least = min(errors.values(), default=np.inf)
        if least <= _AGREE:  # near zero several agree: the best, and of equally good ones the first
            return next(name for name, error in errors.items() if error <= 4 * least + _ROUNDING)
        for family, function in FAMILIES.items():
            parameter = _parameter(family, function, x, y) if _may_fit(family, function, few) else None
            if parameter is not None:
                return f"{family}({parameter:.6g})"
    return ""


def _telling(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Some elements of both arrays, extremes among them, and the size of `y`: what does not fit them fits nowhere."""
    size = float(np.max(np.abs(y), initial=0.0))
    if x.size <= _FEW:
        return x, y, size
    spread = np.linspace(0, x.size - 1, _FEW).astype(int)
    places = np.unique([*spread, *(find(v) for find in (np.argmin, np.argmax) for v in (x, y))])
    return x[places], y[places], size


def _may_fit(
    family: str, function: Callable[[np.ndarray, float], np.ndarray], few: tuple[np.ndarray, np.ndarray, float]
) -> bool:
    """Whether some parameter fits a few elements: the cheap test before the full one."""
    x, y, size = few
    if family in _THRESHOLDS:
        return bool(np.all((y == 0) | (np.abs(y - x) <= _AGREE * size)))
    if any(agree(function(x, p), y, size) for p in _GRID):
        return True
    found = _solved(function, x, y)
    return found is not None and agree(function(x, found), y, size)


def _parameter(
    family: str, function: Callable[[np.ndarray, float], np.ndarray], x: np.ndarray, y: np.ndarray
) -> float | None:
    """The parameter with which the family maps `x` to `y`; None if there is none, or nothing tells it."""
    if family in _THRESHOLDS:
        kept = np.abs(x)[y != 0]
        lost = np.abs(x)[y == 0]
        usual = [p for p in _GRID if kept.size and lost.size and np.max(lost) <= p < np.min(kept)]
        return next((p for p in usual if agree(function(x, p), y)), None)
    fits = [p for p in _GRID if agree(function(x, p), y)]
    if len(fits) > 1:  # the values do not reach where the parameter acts
        return None
    found = fits[0] if fits else _solved(function, x, y)
    return found if found is not None and agree(function(x, float(f"{found:.6g}")), y) else None


def _solved(function: Callable[[np.ndarray, float], np.ndarray], x: np.ndarray, y: np.ndarray) -> float | None:
    """The parameter at which the family passes through the point where it moves most."""
    k = int(np.argmax(np.abs(function(x, _GRID[-1]) - function(x, _GRID[0]))))
    point, value = x[k : k + 1], float(y[k])

    def miss(p: float) -> float:
        return float(function(point, p)[0]) - value

    if not miss(1e-4) * miss(1e2) < 0:
        return None
    low, high, falls = 1e-4, 1e2, miss(1e-4) > 0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if (miss(middle) > 0) == falls else (low, middle)
    return (low + high) / 2


def named_function(name: str) -> Function:
    """The function that `identify` calls so."""
    if name in ACTIVATIONS:
        return ACTIVATIONS[name]
    family, _, rest = name.rpartition("(")
    parameter, of_family = float(rest.rstrip(")")), FAMILIES[family]
    return lambda x: of_family(x, parameter)


def agree(a: np.ndarray, b: np.ndarray, size: float = 0.0) -> bool:
    """Whether two arrays are equal to what recognition asks for, relative to `size` or to the largest of `b`."""
    return _error(a, b, size) <= _AGREE


def _error(a: np.ndarray, b: np.ndarray, size: float = 0.0) -> float:
    """The largest difference, relative to `size` or to the largest of `b`."""
    size = size or max(float(np.max(np.abs(b), initial=0.0)), 1e-300)
    worst = float(np.max(np.abs(a - b), initial=0.0)) / size
    return worst if np.isfinite(worst) else np.inf


def code_of(a: str, b: str) -> str:
    """What it means that one side applies activation `a` and the other `b`."""
    if a.startswith("gelu") and b.startswith("gelu"):
        return "gelu-form"
    if a in ROUNDINGS and b in ROUNDINGS:
        return "rounding-mode"
    if a in ELEMENTARY or b in ELEMENTARY:
        return "operation"
    return "activation-slope" if _family(a) == _family(b) else "activation-variant"


def _family(name: str) -> str:
    stem = name.partition("(")[0].strip()
    return {"relu6": "relu with a maximum", "celu": "elu"}.get(stem, stem)
