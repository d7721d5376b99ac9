"""Operations: one definition in JAX, its arguments, its configurations, and the registry that finds them.

A module of `oracle.reference.operations` defines operations with the decorator `operation`; a module of
`oracle.reference.textbook` gives each its independent mpmath definition with `textbook`. Both folders are
walked on first use: there is no second list to keep.
"""

import functools
import importlib
import pkgutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Interval = tuple[float, float]
INF = float("inf")
REAL: Interval = (-INF, INF)
POSITIVE: Interval = (0.0, INF)
UNIT: Interval = (0.0, 1.0)
SYMMETRIC_UNIT: Interval = (-1.0, 1.0)
Limits = tuple[tuple[float, float], ...]


def limits(
    at_minus_inf: float, at_inf: float, at_minus_zero: float | None = None, at_zero: float | None = None
) -> Limits:
    """What a function of one variable gives at the two infinities and the two zeros, as (input, limit) pairs.

    Pairs and not a mapping, because -0.0 and 0.0 are one key. A zero where conventions differ is left out.
    """
    pairs = ((-INF, at_minus_inf), (INF, at_inf), (-0.0, at_minus_zero), (0.0, at_zero))
    return tuple((x, limit) for x, limit in pairs if limit is not None)


def odd_limits(at_inf: float) -> Limits:
    """The limits of an odd increasing function through zero: it keeps the sign of zero."""
    return limits(-at_inf, at_inf, -0.0, 0.0)


@dataclass(frozen=True)
class Arg:
    """One array argument of an operation.

    `kind` is "real" (a number of the format under test), "index" (integers in [0, high)), "probability"
    (non-negative, last axis sums to about one) or "mask" (booleans). `domain` is where the mathematics is
    defined; `scale` the standard deviation of a typical draw (a domain of positive numbers is drawn as scale
    * exp(normal)).
    """

    name: str
    kind: str = "real"
    domain: Interval = REAL
    scale: float = 1.0
    high: int = 0
    differentiable: bool = True


@dataclass(frozen=True)
class Config:
    """Shapes and attributes of one audit of an operation. Attributes are exactly the Python values given."""

    name: str
    shapes: Mapping[str, tuple[int, ...]]
    attrs: Mapping[str, Any] = field(default_factory=dict)
    highs: Mapping[str, int] = field(default_factory=dict)
    quick: bool = True


@dataclass(frozen=True)
class Operation:
    """A mathematical operation: the one JAX definition that all rungs evaluate.

    `outputs` names the results. `elementwise` operations take any common shape and are swept over whole
    formats when they have one argument. `at_scale` marks sums, products and recurrences, whose errors are
    also counted in ulps of the terms' magnitude. `special` holds (input, limit) pairs for the infinities and
    signed zeros of a one-argument operation: exact values only, so an irrational limit is left to the formula.
    `kinks(*arrays, **attrs)` gives for each differentiable argument a boolean mask of the elements whose gradient
    does not exist, so that any convention is right. `forms` are further honest textbook formulas: a rounding error
    within the budget of any of them is rounding.
    """

    name: str
    define: Callable[..., Any]
    args: tuple[Arg, ...]
    family: str
    formula: str
    source: str
    configs: tuple[Config, ...]
    outputs: tuple[str, ...] = ("out",)
    elementwise: bool = False
    at_scale: bool = False
    special: Limits = ()
    kinks: Callable[..., tuple] | None = None
    forms: tuple[Callable[..., Any], ...] = ()
    differentiable: bool = True

    def bind(self, config: Config) -> Callable[..., Any]:
        """The definition as a function of its arrays alone, attributes fixed."""
        return functools.partial(self.define, **config.attrs)

    @property
    def differentiable_args(self) -> tuple[int, ...]:
        """Positions of the arguments that have a gradient."""
        if not self.differentiable:
            return ()
        return tuple(i for i, a in enumerate(self.args) if a.kind in ("real", "probability") and a.differentiable)

    def config(self, name: str) -> Config:
        """The configuration called `name`."""
        for config in self.configs:
            if config.name == name:
                return config
        raise ValueError(f"{self.name} has no configuration {name!r}; expected one of {[c.name for c in self.configs]}")


_OPERATIONS: dict[str, Operation] = {}
_TEXTBOOK: dict[str, Callable[..., Any]] = {}


def operation(name: str, args: Iterable[Arg | str], *, configs: Iterable[Config] = (), **details: Any) -> Callable:
    """Register the decorated JAX function as the operation `name`.

    An elementwise operation needs no configurations: it gets one of 4099 elements, a length that is no
    multiple of a vector width, so that a kernel's vector path and scalar tail both run.
    """
    arguments = tuple(a if isinstance(a, Arg) else Arg(a) for a in args)
    configs = tuple(configs)
    if details.get("elementwise") and not configs:
        configs = (Config("elementwise", {a.name: (4099,) for a in arguments}),)

    def register(define: Callable) -> Callable:
        if name in _OPERATIONS:
            raise ValueError(f"operation {name!r} is defined twice")
        _OPERATIONS[name] = Operation(name, define, arguments, configs=configs, **details)
        return define

    return register


def textbook(name: str) -> Callable:
    """Register the decorated function as the independent mpmath definition of the operation `name`.

    It takes the arrays as NumPy object arrays of `mpmath.mpf` (integers and booleans as themselves) and the
    attributes as keywords, and returns an object array or a tuple of them. Elementwise operations take and
    return scalars.
    """

    def register(define: Callable) -> Callable:
        if name in _TEXTBOOK:
            raise ValueError(f"textbook definition of {name!r} is given twice")
        _TEXTBOOK[name] = define
        return define

    return register


@functools.cache
def _discover(package: str) -> None:
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
        importlib.import_module(f"{package}.{module.name}")


def operations() -> dict[str, Operation]:
    """All operations by name, in the order of their families and names."""
    _discover("oracle.reference.operations")
    return dict(sorted(_OPERATIONS.items(), key=lambda item: (item[1].family, item[0])))


def get_operation(name: str) -> Operation:
    """The operation called `name`; `ValueError` suggests the closest names."""
    import difflib  # noqa: PLC0415 - only on the error path

    known = operations()
    if name not in known:
        close = difflib.get_close_matches(name, known, n=3) or sorted(known)[:5]
        raise ValueError(f"unknown operation {name!r}; did you mean {', '.join(close)}? `oracle ops` lists all")
    return known[name]


def textbook_definition(name: str) -> Callable[..., Any]:
    """The independent mpmath definition of the operation `name`."""
    _discover("oracle.reference.textbook")
    return _TEXTBOOK[name]
