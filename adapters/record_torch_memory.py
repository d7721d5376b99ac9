"""Where the elements of a torch tensor lie in memory, and copies of them in NumPy."""

import functools
import math
from collections.abc import Sequence
from typing import Any

import ml_dtypes  # noqa: F401 - makes NumPy know bfloat16 and float8
import numpy as np

Geometry = tuple[int, tuple[int, ...], tuple[int, ...], Any]
"""Offset, shape, strides (in elements) and dtype of a tensor in its storage."""


@functools.cache
def dtype_name(dtype: Any) -> str:
    """The name of a torch dtype, as NumPy and ml_dtypes spell it."""
    return str(dtype).removeprefix("torch.")


def geometry_of(tensor: Any) -> Geometry:
    """Where in its storage the elements of `tensor` lie."""
    return (tensor.storage_offset(), tuple(tensor.shape), tensor.stride(), tensor.dtype)


def described(geometry: Geometry) -> list:
    """A geometry as a tree: [offset, shape, strides]."""
    offset, shape, strides, _ = geometry
    return [offset, list(shape), list(strides)]


def end_of(offset: int, shape: Sequence[int], strides: Sequence[int]) -> int:
    """The place in memory after the last element."""
    for n, stride in zip(shape, strides, strict=True):
        offset += (n - 1) * stride
    return offset + 1


def touch(a: Geometry, b: Geometry) -> bool:
    """Whether two views may share an element. Two boxes of one grid do not if they are apart along an axis."""
    if a[0] >= end_of(*b[:3]) or b[0] >= end_of(*a[:3]):
        return False
    return a[2] != b[2] or not _apart(a, b)


def _apart(a: Geometry, b: Geometry) -> bool:
    """Whether two boxes with the same strides are disjoint, where the strides make a grid that tells axes apart."""
    low = min(a[0], b[0])
    rest = (a[0] - low, b[0] - low)
    limit, apart = math.inf, False
    for axis in sorted(range(len(a[1])), key=lambda i: -a[2][i]):
        stride = a[2][axis]
        if stride <= 0:
            return False
        starts = (rest[0] // stride, rest[1] // stride)
        ends = (starts[0] + a[1][axis], starts[1] + b[1][axis])
        if max(ends) * stride > limit:
            return False
        apart = apart or starts[0] >= ends[1] or starts[1] >= ends[0]
        rest, limit = (rest[0] % stride, rest[1] % stride), stride
    return apart and rest == (0, 0)


def covers(base: Geometry, view: Geometry) -> bool:
    """Whether every element of `view` is one of `base`."""
    size = math.prod(base[1])
    return base[3] == view[3] and is_dense(base, size) and base[0] <= view[0] and end_of(*base[:3]) >= end_of(*view[:3])


def is_dense(geometry: Geometry, size: int) -> bool:
    """Whether the elements, `size` of them, fill a span of memory, in whatever order."""
    offset, shape, strides, _ = geometry
    return math.prod(shape) == size > 0 and end_of(offset, shape, strides) - offset == size


def numpy_dtype(tensor: Any) -> np.dtype:
    """The NumPy dtype that holds the elements of `tensor` as they are. `ValueError` for quantized ones."""
    if tensor.is_quantized:
        raise ValueError(
            f"a tensor of {tensor.dtype} cannot be recorded: it holds codes and a scale; record the model before it is "
            "quantized, or one that quantizes and dequantizes in floating point (torch.fake_quantize_...)"
        )
    return np.dtype(dtype_name(tensor.dtype))


def in_memory(tensor: Any) -> Any:
    """The tensor of the numbers that lie in memory, not of their conjugates or negatives."""
    import torch  # noqa: PLC0415

    if tensor._is_zerotensor():  # autograd's zeros have no memory
        return torch.zeros(tensor.shape, dtype=tensor.dtype).as_strided(tensor.shape, tensor.stride())
    if tensor.is_conj():
        tensor = tensor.conj()
    return torch._neg_view(tensor) if tensor.is_neg() else tensor


def to_numpy(flat: Any) -> np.ndarray:
    """A copy of a contiguous one-dimensional tensor."""
    import torch  # noqa: PLC0415

    dtype = numpy_dtype(flat)
    if dtype.kind == "V" or dtype.name.startswith(("bfloat", "float8")):
        carrier = {1: torch.uint8, 2: torch.int16}[dtype.itemsize]
        return flat.view(carrier).cpu().numpy().copy().view(dtype)
    return flat.cpu().numpy().copy()
