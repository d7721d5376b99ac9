"""What TensorFlow's raw operations say about themselves: attributes in full, draws, writes to variables."""

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from oracle.trace import Tree

_DRAWS = (
    "Random",
    "Multinomial",
    "TruncatedNormal",
    "ParameterizedTruncatedNormal",
    "Stateful",
    "RngSkip",
    "RngReadAndSkip",
)
_WRITES = ("Assign", "ResourceApply", "ResourceSparseApply", "ResourceScatter", "ResourceStridedSliceAssign")


@functools.cache
def is_draw(op: str) -> bool:
    """Whether the operation draws random numbers (or makes the keys to draw them with)."""
    return op.removeprefix("Stateless").startswith(_DRAWS)


@functools.cache
def is_write(op: str) -> bool:
    """Whether the operation gives every variable among its inputs a new value."""
    return op.startswith(_WRITES)


@functools.cache
def _definition(op: str) -> tuple[tuple[str, str, Any], ...]:
    """Name, type and default of each attribute of the operation."""
    from tensorflow.python.framework import op_def_registry  # noqa: PLC0415

    definition = op_def_registry.get(op)
    return tuple((a.name, a.type, _default(a)) for a in definition.attr) if definition else ()


def _default(attr: Any) -> Any:
    """The default that the operation's definition gives an attribute, or None."""
    if not attr.HasField("default_value"):
        return None
    field = attr.default_value.WhichOneof("value")
    value = getattr(attr.default_value, field)
    if field == "list":
        parts = [getattr(value, f.name) for f in value.DESCRIPTOR.fields]
        return next((list(p) for p in parts if len(p)), [])
    return value


def attributes(op: str, given: Sequence[Any]) -> dict[str, Tree]:
    """Every attribute as a literal, those not given with their default.

    A float attribute is a float32 in TensorFlow: the recorded value is the one that the kernel sees.
    """
    named = dict(zip(given[::2], given[1::2], strict=True))
    known = _definition(op)
    if not known:
        return {str(k): _literal(v, "string") for k, v in named.items()}
    return {
        name: _literal(default if named.get(name) is None else named[name], kind)
        for name, kind, default in known
        if name in named or default is not None
    }


def _literal(value: Any, kind: str) -> Tree:
    if kind.startswith("list("):
        return [_literal(v, kind[5:-1]) for v in value]
    match kind:
        case "float":
            return float(np.float32(value))
        case "type":
            return _type_name(value)
        case "int":
            return int(value)
        case "bool":
            return bool(value)
        case "shape":
            return [int(d) if d is not None else None for d in value] if hasattr(value, "__iter__") else None
    return value.decode(errors="backslashreplace") if isinstance(value, bytes) else str(value)


def _type_name(value: Any) -> str:
    import tensorflow as tf  # noqa: PLC0415

    return tf.dtypes.as_dtype(value).name
