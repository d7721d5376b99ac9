"""Lowerings: each framework operation expressed in reference operations, and the registry that finds them.

A module of this package registers functions with the decorator `lowers`; the package is walked on first use,
so there is no second list to keep. A lowering is a JAX function, traced in float64 and evaluated in any
arithmetic:

- it takes the operation's inputs in the framework's order and its attributes as keywords, exactly as
  recorded;
- it returns one array, or a tuple with one entry per output of the operation. `None` stands for an output
  that has no mathematical meaning (a scratch buffer): the recorded value is used;
- floating-point arrays are float64 whatever the recorded format: rounding to the format is the error being
  explained, so a cast between floating-point formats is the identity;
- the inputs at the positions `static` arrive as concrete NumPy arrays (the shape given to a reshape, a
  reduction's axes); all others may be tracers.
"""

import functools
import importlib
import pkgutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

_LOWERINGS: dict[tuple[str, str], "Lowering"] = {}


@dataclass(frozen=True)
class Lowering:
    """The meaning of one framework operation. `ignores` names attributes that do not change the result."""

    define: Callable[..., Any]
    static: tuple[int, ...] = ()
    ignores: frozenset[str] = frozenset()

    def __call__(self, *inputs: Any, **attrs: Any) -> Any:
        return self.define(*inputs, **{k: v for k, v in attrs.items() if k not in self.ignores})

    def static_positions(self, count: int) -> frozenset[int]:
        """Positions, among `count` inputs, that must be concrete; negative ones count from the end."""
        return frozenset(i % count for i in self.static if -count <= i < count)


def lowers(framework: str, *names: str, static: Iterable[int] = (), ignores: Iterable[str] = ()) -> Callable:
    """Register the decorated function as the lowering of the operations `names` of `framework`."""

    def register(define: Callable) -> Callable:
        for name in names:
            if (framework, name) in _LOWERINGS:
                raise ValueError(f"the lowering of {framework} {name!r} is defined twice")
            _LOWERINGS[framework, name] = Lowering(define, tuple(static), frozenset(ignores))
        return define

    return register


@functools.cache
def _discover() -> None:
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")


def lowering(framework: str, op: str) -> Lowering | None:
    """The lowering of the operation `op` of `framework` ("torch", "tensorflow", "jax"), or None."""
    _discover()
    return _LOWERINGS.get((framework, op))


def lowerings(framework: str) -> tuple[str, ...]:
    """The names of the operations of `framework` that have a lowering."""
    _discover()
    return tuple(sorted(name for known, name in _LOWERINGS if known == framework))
