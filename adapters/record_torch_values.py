"""Versions of torch tensors: which value a tensor holds now, whatever views and in-place writes came before.

A tensor is known by its storage and its geometry (offset, shape, strides, dtype) in it. Writing through one
tensor makes a new version of the storage; the other tensors on it are brought up to date when they are next read, by a
node "oracle.overwrite" that says what the write meant for them.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from oracle.adapters.record_torch_stats import sample, summarise
from oracle.trace import Value, reference

Geometry = tuple[int, tuple[int, ...], tuple[int, ...], Any]
Emit = Callable[[str, list, list], None]


@dataclass
class _Storage:
    """What is known of one storage. `guard` keeps its identity from being reused after it is freed."""

    guard: Any
    version: int = 0
    writes: list[tuple[int, Geometry, int]] = field(default_factory=list)
    holders: dict[Geometry, tuple[int, int]] = field(default_factory=dict)
    copy: tuple[int, int, np.ndarray] | None = None


@dataclass
class _Draft:
    """A value while the recording lasts."""

    shape: tuple[int, ...]
    dtype: str
    role: str
    name: str
    array: np.ndarray | None
    sample: np.ndarray | None
    same_elements_as: int | None = None


class Versions:
    """The values of a recording, and which of them each tensor holds. `emit` records an overwrite as a node."""

    def __init__(self, full: bool, emit: Emit) -> None:
        self.full = full
        self.emit = emit
        self.drafts: list[_Draft] = []
        self.storages: dict[int, _Storage] = {}

    def read(self, tensor: Any) -> int:
        """The id of the value that `tensor` holds; one never seen before becomes a constant."""
        storage, geometry = self.storages.get(_key(tensor)), geometry_of(tensor)
        if storage is None:
            return self.leaf(tensor, "constant")
        known = storage.holders.get(geometry)
        if known is None:
            return self._unseen_view(storage, tensor, geometry)
        held, version = known
        if version == storage.version:
            return held
        return self._bring_up_to_date(storage, tensor, geometry, held, version)

    def is_current(self, tensor: Any) -> bool:
        """Whether `tensor` holds a value that is already recorded."""
        storage = self.storages.get(_key(tensor))
        known = storage.holders.get(geometry_of(tensor)) if storage else None
        return known is not None and known[1] == storage.version

    def knows_storage(self, tensor: Any) -> bool:
        """Whether `tensor` shares memory with a value already recorded."""
        return _key(tensor) in self.storages

    def leaf(self, tensor: Any, role: str, name: str = "") -> int:
        """Record `tensor` as a value that no node made; one that is already known keeps its first role."""
        if self.is_current(tensor):
            return self.read(tensor)
        return self.new(tensor, role, name)

    def new(self, tensor: Any, role: str = "intermediate", name: str = "") -> int:
        """Record the value of a tensor in memory of its own, or a new view of memory that is known."""
        storage, geometry = self._storage(tensor), geometry_of(tensor)
        source = self._same_elements(storage, tensor)
        value = self._draft(storage, tensor, role, name, source)
        storage.holders[geometry] = (value, storage.version)
        return value

    def written(self, tensor: Any, role: str = "intermediate") -> int:
        """Record that `tensor` has been written: a new version of it, and of its storage."""
        storage, geometry = self._storage(tensor), geometry_of(tensor)
        storage.version += 1
        storage.copy = None
        value = self._draft(storage, tensor, role, "", None)
        storage.holders[geometry] = (value, storage.version)
        storage.writes.append((storage.version, geometry, value))
        return value

    def uninitialised(self, tensor: Any) -> int:
        """Record memory that was allocated and not written: zeros stand for contents nobody may depend on."""
        storage, shape = self._storage(tensor), tuple(tensor.shape)
        nothing = np.broadcast_to(np.zeros((), _numpy_dtype(tensor)), shape) if self.full else None
        self.drafts.append(_Draft(shape, dtype_name(tensor.dtype), "constant", "uninitialised", nothing, None))
        storage.holders[geometry_of(tensor)] = (len(self.drafts) - 1, storage.version)
        return len(self.drafts) - 1

    def _unseen_view(self, storage: _Storage, tensor: Any, geometry: Geometry) -> int:
        """A view that no recorded operation made (`.data`, a view made before the recording)."""
        base = next((g for g in storage.holders if _covers(g, geometry)), None)
        if base is None:
            return self.new(tensor, "constant")
        held, version = storage.holders[base]
        source = self._bring_up_to_date(storage, tensor.as_strided(base[1], base[2], base[0]), base, held, version)
        value = self.new(tensor)
        self.emit("oracle.view", [reference(source), described(base), described(geometry)], [value])
        return value

    def _bring_up_to_date(self, storage: _Storage, tensor: Any, geometry: Geometry, held: int, version: int) -> int:
        since: list[tuple[int, Geometry]] = []
        for when, where, written in storage.writes:
            if when > version and where == geometry:
                held, since = written, []
            elif when > version and _touch(where, geometry):
                since.append((written, where))
        if since:
            value = self._draft(storage, tensor, "intermediate", "", None)
            writes = [[reference(w) for w, _ in since], described(geometry), [described(g) for _, g in since]]
            self.emit("oracle.overwrite", [reference(held), *writes], [value])
            held = value
        storage.holders[geometry] = (held, storage.version)
        return held

    def _storage(self, tensor: Any) -> _Storage:
        from torch.multiprocessing.reductions import StorageWeakRef  # noqa: PLC0415

        key = _key(tensor)
        if key not in self.storages:
            self.storages[key] = _Storage(StorageWeakRef(tensor.untyped_storage()))
        return self.storages[key]

    def _same_elements(self, storage: _Storage, tensor: Any) -> int | None:
        """A current value on the storage with as many elements, all distinct in memory: a rearrangement."""
        size = tensor.numel()
        for geometry, (held, version) in storage.holders.items():
            if version == storage.version and _is_dense(geometry, size) and _is_dense(geometry_of(tensor), size):
                return held if geometry[0] == tensor.storage_offset() else None
        return None

    def _draft(self, storage: _Storage, tensor: Any, role: str, name: str, source: int | None) -> int:
        array = self._array(storage, tensor) if self.full else None
        few = (
            None if self.full or source is not None else sample(tensor, _is_dense(geometry_of(tensor), tensor.numel()))
        )
        shape = tuple(tensor.shape)
        self.drafts.append(_Draft(shape, dtype_name(tensor.dtype), role, name, array, few, source))
        return len(self.drafts) - 1

    def _array(self, storage: _Storage, tensor: Any) -> np.ndarray:
        """The elements as a view of one copy of the storage's span, which all views of this version share."""
        offset, shape, strides, _ = geometry_of(tensor)
        if tensor.numel() == 0:
            return np.zeros(shape, _numpy_dtype(tensor))
        end = _end(offset, shape, strides)
        copy = storage.copy
        if copy is None or copy[0] > offset or copy[1] < end or copy[2].dtype != _numpy_dtype(tensor):
            copy = (offset, end, _to_numpy(tensor.detach().as_strided((end - offset,), (1,), offset)))
            storage.copy = copy
        start, _, flat = copy
        steps = tuple(s * flat.itemsize for s in strides)
        return np.lib.stride_tricks.as_strided(flat[offset - start :], shape, steps, writeable=False)

    def values(self) -> dict[int, Value]:
        """The finished values with their statistics; a rearrangement has those of the value it rearranges."""
        stats = summarise([d.sample for d in self.drafts], [math.prod(d.shape) for d in self.drafts])
        for i, d in enumerate(self.drafts):
            if d.same_elements_as is not None:
                stats[i] = stats[d.same_elements_as]
        return {
            i: Value(i, d.shape, d.dtype, d.role, d.name, d.array, s)
            for i, (d, s) in enumerate(zip(self.drafts, stats, strict=True))
        }


def dtype_name(dtype: Any) -> str:
    """The name of a torch dtype, as NumPy and ml_dtypes spell it."""
    return str(dtype).removeprefix("torch.")


def _key(tensor: Any) -> int:
    return tensor.untyped_storage()._cdata


def geometry_of(tensor: Any) -> Geometry:
    """Where in its storage the elements of `tensor` lie."""
    return (tensor.storage_offset(), tuple(tensor.shape), tensor.stride(), tensor.dtype)


def described(geometry: Geometry) -> list:
    """A geometry as a tree: [offset, shape, strides]."""
    offset, shape, strides, _ = geometry
    return [offset, list(shape), list(strides)]


def _end(offset: int, shape: Sequence[int], strides: Sequence[int]) -> int:
    return offset + sum((n - 1) * s for n, s in zip(shape, strides, strict=True)) + 1


def _touch(a: Geometry, b: Geometry) -> bool:
    """Whether two views may share an element. Two boxes of one grid do not if they are apart along an axis."""
    if a[0] >= _end(*b[:3]) or b[0] >= _end(*a[:3]):
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


def _covers(base: Geometry, view: Geometry) -> bool:
    size = math.prod(base[1])
    return base[3] == view[3] and _is_dense(base, size) and base[0] <= view[0] and _end(*base[:3]) >= _end(*view[:3])


def _is_dense(geometry: Geometry, size: int) -> bool:
    offset, shape, strides, _ = geometry
    return math.prod(shape) == size > 0 and _end(offset, shape, strides) - offset == size


def _numpy_dtype(tensor: Any) -> np.dtype:
    import ml_dtypes  # noqa: F401, PLC0415 - makes NumPy know bfloat16 and float8

    return np.dtype(dtype_name(tensor.dtype))


def _to_numpy(flat: Any) -> np.ndarray:
    """A copy of a contiguous one-dimensional tensor."""
    import torch  # noqa: PLC0415

    dtype = _numpy_dtype(flat)
    if dtype.kind == "V" or dtype.name.startswith(("bfloat", "float8")):
        carrier = {1: torch.uint8, 2: torch.int16}[dtype.itemsize]
        return flat.view(carrier).cpu().numpy().copy().view(dtype)
    return flat.cpu().numpy().copy()
