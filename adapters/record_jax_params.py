"""The parameters of a JAX primitive as literals: what `oracle.reference.lowerings.jax` reads back."""

import enum
from typing import Any

import numpy as np

from oracle.trace import Tree


def encode(params: dict[str, Any]) -> dict[str, Tree]:
    """Every parameter as a literal. Programs, functions and placements on devices have none: they are null."""
    return {name: _encode(value) for name, value in params.items()}


def _encode(value: Any) -> Tree:
    if value is None or (isinstance(value, bool | int | float | str) and not isinstance(value, enum.Enum)):
        return value
    if isinstance(value, enum.Enum):
        return {"enum": f"{type(value).__name__}.{value.name}"}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return _record(value, value._fields)
    if isinstance(value, tuple | list):
        return [_encode(v) for v in value]
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.dtype) or (isinstance(value, type) and issubclass(value, np.generic)):
        return {"dtype": np.dtype(value).name}
    if hasattr(value, "bind"):
        return {"primitive": value.name}
    if hasattr(value, "offset_dims") or hasattr(value, "update_window_dims"):
        return _record(value, [n for n in vars(value) if not n.startswith("_")])
    return None


def _record(value: Any, names: Any) -> Tree:
    return {"type": type(value).__name__, "fields": {n: _encode(getattr(value, n)) for n in names}}
