"""What the zoo holds: correct ports by name, and porting mistakes by name with the codes of their causes."""
# ruff: noqa: PLC0415 - the backend is chosen before Keras is imported

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from zoo_compare import Port


@dataclass
class Mistake:
    """Two models that should agree and do not, and how each is recorded."""

    a: Any
    b: Any
    x_a: Any
    x_b: Any
    options: dict[str, Any] = field(default_factory=dict)


MISTAKES: dict[str, tuple[tuple[str, ...], Callable[[], Mistake]]] = {}
PORTS: dict[str, Callable[[], Port]] = {}


def mistake(*codes: str) -> Callable:
    """Register a mistake that `compare` must name by these codes."""

    def register(function: Callable[[], Mistake]) -> Callable[[], Mistake]:
        MISTAKES[function.__name__] = (codes, function)
        return function

    return register


def port(function: Callable[[], Port]) -> Callable[[], Port]:
    """Register an architecture under its function's name."""
    PORTS[function.__name__] = function
    return function


def modules() -> tuple[Any, Any, Any]:
    """`torch.nn`, `keras.layers`, `keras.ops`."""
    import keras
    from torch import nn

    return nn, keras.layers, keras.ops
