"""JAX's primitives mean themselves: each is bound again, in float64, with the parameters that were recorded.

What differs: real types become float64, roundings (`reduce_precision`) become the identity, and primitives whose
parameters hold programs (`scatter-add`) are named by their public form. Source: jax.lax.
"""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from oracle.reference.lazy import jnp, lax
from oracle.reference.lowerings import lowers

_THEMSELVES = """
    " abs acos acosh add add_any and argmax argmin asin asinh atan atan2 atanh broadcast_in_dim cbrt
    ceil clamp concatenate copy conv_general_dilated convert_element_type cos cosh cumlogsumexp cummax
    cummin cumprod cumsum digamma div dot_general eq erf erf_inv erfc exp exp2 expm1 floor gather ge gt
    integer_pow iota is_finite le lgamma log log1p logistic lt max min mul ne neg not or pad pow
    reduce_and reduce_max reduce_min reduce_or reduce_prod reduce_sum reduce_window_max
    reduce_window_min reduce_window_sum rem reshape rev round rsqrt select_and_scatter_add select_n sign
    sin sinh slice sort sqrt square squeeze stop_gradient sub tan tanh top_k transpose xor polygamma
"""


def _again(name: str) -> Callable[..., Any]:
    def define(*operands: Any, **params: Any) -> Any:
        primitive = _primitives()[name]
        bound = primitive.get_bind_params(decode(params))
        operands = tuple(jnp.asarray(x) for x in operands)
        result = primitive.bind(*operands, **bound)
        return tuple(result) if primitive.multiple_results else result

    return define


for _name in _THEMSELVES.split():
    lowers("jax", _name)(_again(_name))


@functools.cache
def _primitives() -> dict[str, Any]:
    """Every primitive of JAX by its name."""
    from jax.extend.core import primitives  # noqa: PLC0415 - listing lowerings needs no JAX

    return {p.name: p for n, p in vars(primitives).items() if n.endswith("_p")}


def decode(tree: Any) -> Any:
    """A parameter as JAX takes it: lists as tuples, names of types and enumerations as what they name."""
    if isinstance(tree, list):
        return tuple(decode(part) for part in tree)
    if not isinstance(tree, dict):
        return tree
    if tree.keys() == {"dtype"}:
        return carrier(tree["dtype"])
    if tree.keys() == {"primitive"}:
        return _primitives()[tree["primitive"]]
    if tree.keys() == {"enum"}:
        kind, _, member = tree["enum"].partition(".")
        return getattr(lax, kind)[member]
    if tree.keys() == {"type", "fields"}:
        return getattr(lax, tree["type"])(**{k: decode(v) for k, v in tree["fields"].items()})
    return {key: decode(part) for key, part in tree.items()}


def carrier(dtype: str) -> np.dtype:
    """The NumPy type that carries `dtype` in a lowering: float64 for every real format."""
    return np.dtype(np.float64 if "float" in dtype else dtype)


_UNCHANGED = ("reduce_precision", "name", "device_put", "sharding_constraint", "optimization_barrier", "pvary")


@lowers("jax", *_UNCHANGED)
def unchanged(*values: Any, **_: Any) -> Any:
    """Roundings to a narrower format, names and placements: the identity in exact arithmetic."""
    return values if len(values) > 1 else values[0]


_BITS = (
    "bitcast_convert_type",
    "shift_left",
    "shift_right_arithmetic",
    "shift_right_logical",
    "population_count",
    "clz",
)


@lowers("jax", *_BITS)
def bits(*_: Any, **__: Any) -> None:
    """What is done to the bits of a number: a real number has none, so the recorded result stands."""


@lowers("jax", "split")
def split(x: Any, sizes: list[int], axis: int) -> Any:
    return lax.split(x, sizes, axis)


@lowers("jax", "stack", "scan.stack")
def stack(*values: Any, axis: int = 0) -> Any:
    """`scan.stack` is the recorder's name for what a scan collects over its steps."""
    return jnp.stack(values, axis)


@lowers("jax", "unstack")
def unstack(x: Any, axis: int) -> Any:
    return tuple(lax.index_in_dim(x, i, axis, keepdims=False) for i in range(x.shape[axis]))


@lowers("jax", "scan.element")
def element(sequence: Any, index: int) -> Any:
    """The recorder's name for what a scan hands to its step `index`."""
    return lax.index_in_dim(sequence, index, keepdims=False)


@lowers("jax", "dynamic_slice", static=range(1, 12))
def dynamic_slice(x: Any, *starts: Any, slice_sizes: list[int]) -> Any:
    begin = _clamped(starts, x.shape, slice_sizes)
    return lax.slice(x, begin, [b + n for b, n in zip(begin, slice_sizes, strict=True)])


@lowers("jax", "dynamic_update_slice", static=range(2, 12))
def dynamic_update_slice(x: Any, update: Any, *starts: Any) -> Any:
    begin = _clamped(starts, x.shape, update.shape)
    return x.at[tuple(slice(b, b + n) for b, n in zip(begin, update.shape, strict=True))].set(update)


def _clamped(starts: Any, shape: Any, sizes: Any) -> list[int]:
    """JAX moves a slice that would reach outside back inside."""
    return [int(np.clip(int(s), 0, n - k)) for s, n, k in zip(starts, shape, sizes, strict=True)]


def _scatter(name: str, operand: Any, indices: Any, updates: Any, **params: Any) -> Any:
    return getattr(lax, name.replace("-", "_"))(operand, indices, updates, **decode(params))


for _name in ("scatter", "scatter-add"):
    lowers("jax", _name, ignores=["update_jaxpr", "update_consts"])(functools.partial(_scatter, _name))
