"""Comparisons, choices, casts and constants."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from oracle.reference.lazy import jnp
from oracle.reference.lowerings.aten import aten, cast, filled

_COMPARISONS = {
    "eq": "equal",
    "ne": "not_equal",
    "lt": "less",
    "le": "less_equal",
    "gt": "greater",
    "ge": "greater_equal",
}


def _comparison(function: str) -> Any:
    def compare(a: Any, b: Any) -> Any:
        return getattr(jnp, function)(a, b)

    return compare


for _name, _function in _COMPARISONS.items():
    aten(f"{_name}.Tensor", f"{_name}.Scalar", inplace=True)(_comparison(_function))

for _name in ("and", "or", "xor"):
    aten(f"logical_{_name}", inplace=True)(_comparison(f"logical_{_name}"))
    _overloads = (f"bitwise_{_name}.Tensor", f"bitwise_{_name}.Scalar")
    aten(*_overloads, inplace=True)(_comparison(f"bitwise_{_name}"))


@aten("logical_not", inplace=True)
def _logical_not(x: Any) -> Any:
    return jnp.logical_not(x)


@aten("bitwise_not", inplace=True)
def _bitwise_not(x: Any) -> Any:
    return jnp.bitwise_not(x)


@aten("__lshift__.Tensor", "__lshift__.Scalar", "bitwise_left_shift.Tensor", "bitwise_left_shift.Tensor_Scalar")
def _left_shift(a: Any, b: Any) -> Any:
    return a * _power_of_two(b)


def _power_of_two(exponent: Any) -> Any:
    return jnp.take(jnp.asarray(2 ** np.arange(63)), jnp.asarray(exponent), mode="clip")


@aten("__rshift__.Tensor", "__rshift__.Scalar", "bitwise_right_shift.Tensor", "bitwise_right_shift.Tensor_Scalar")
def _right_shift(a: Any, b: Any) -> Any:
    return jnp.floor_divide(a, _power_of_two(b))


@aten("isnan")
def _isnan(x: Any) -> Any:
    return jnp.isnan(x)


@aten("isinf")
def _isinf(x: Any) -> Any:
    return jnp.abs(x) == jnp.inf


@aten("signbit")
def _signbit(x: Any) -> Any:
    return x < 0


@aten("isin.Tensor_Tensor", "isin.Tensor_Scalar", "isin.Scalar_Tensor")
def _isin(x: Any, among: Any, assume_unique: bool = False, invert: bool = False) -> Any:
    found = jnp.any(jnp.expand_dims(jnp.asarray(x), -1) == jnp.reshape(jnp.asarray(among), (-1,)), axis=-1)
    return ~found if invert else found


@aten("where.self")
def _where(condition: Any, a: Any, b: Any) -> Any:
    return jnp.where(condition, a, b)


@aten("masked_fill.Scalar", "masked_fill.Tensor", inplace=True)
def _masked_fill(x: Any, mask: Any, value: Any) -> Any:
    return jnp.where(mask, jnp.asarray(value).astype(x.dtype), x)


@aten("_to_copy")
def _to_copy(x: Any, dtype: str | None = None) -> Any:
    return cast(x, dtype)


@aten("zeros")
def _zeros(size: Sequence[int], dtype: str | None = None) -> Any:
    return filled(size, 0.0, dtype)


@aten("ones")
def _ones(size: Sequence[int], dtype: str | None = None) -> Any:
    return filled(size, 1.0, dtype)


@aten("full")
def _full(size: Sequence[int], fill_value: Any, dtype: str | None = None) -> Any:
    return filled(size, fill_value, dtype)


@aten("zeros_like")
def _zeros_like(x: Any, dtype: str | None = None) -> Any:
    return _like(x, 0, dtype)


@aten("ones_like")
def _ones_like(x: Any, dtype: str | None = None) -> Any:
    return _like(x, 1, dtype)


@aten("full_like")
def _full_like(x: Any, fill_value: Any, dtype: str | None = None) -> Any:
    return _like(x, fill_value, dtype)


@aten("new_zeros")
def _new_zeros(x: Any, size: Sequence[int], dtype: str | None = None) -> Any:
    return _like(x, 0, dtype, size)


@aten("new_ones")
def _new_ones(x: Any, size: Sequence[int], dtype: str | None = None) -> Any:
    return _like(x, 1, dtype, size)


@aten("new_full")
def _new_full(x: Any, size: Sequence[int], fill_value: Any, dtype: str | None = None) -> Any:
    return _like(x, fill_value, dtype, size)


@aten("fill.Scalar", "fill.Tensor", inplace=True)
def _fill(x: Any, value: Any) -> Any:
    return _like(x, value, None)


@aten("zero", inplace=True)
def _zero(x: Any) -> Any:
    return _like(x, 0, None)


def _like(x: Any, value: Any, dtype: str | None, size: Sequence[int] | None = None) -> Any:
    kind = dtype or np.dtype(x.dtype).name
    return filled(jnp.shape(x) if size is None else size, value, kind)


@aten("scalar_tensor")
def _scalar_tensor(value: Any, dtype: str | None = None) -> Any:
    return cast(value, dtype or "float32")


@aten("arange")
def _arange(end: Any, dtype: str | None = None) -> Any:
    return _arange_from(0, end, 1, dtype)


@aten("arange.start", "arange.start_step")
def _arange_from(start: Any, end: Any, step: Any = 1, dtype: str | None = None) -> Any:
    """start + i * step, in reals: the step is not rounded to a format and not accumulated.

    Without `dtype` one float among the three makes reals, integers alone make integers.
    """
    count = max(math.ceil((end - start) / step), 0)
    whole = all(isinstance(given, int) for given in (start, end, step))
    return cast(start + np.arange(count) * jnp.asarray(step), dtype or (None if whole else "float32"))


@aten("linspace")
def _linspace(start: Any, end: Any, steps: int, dtype: str | None = None) -> Any:
    index = np.arange(steps)
    return cast((start * (steps - 1 - index) + end * jnp.asarray(index)) / max(steps - 1, 1), dtype or "float32")


@aten("eye", "eye.m")
def _eye(n: int, m: int | None = None, dtype: str | None = None) -> Any:
    return cast(np.eye(n, m), dtype or "float32")


@aten("tril_indices")
def _tril_indices(row: int, col: int, offset: int = 0, dtype: str = "int64") -> Any:
    return jnp.asarray(np.stack(np.tril_indices(row, offset, col)))


@aten("triu_indices")
def _triu_indices(row: int, col: int, offset: int = 0, dtype: str = "int64") -> Any:
    return jnp.asarray(np.stack(np.triu_indices(row, offset, col)))
