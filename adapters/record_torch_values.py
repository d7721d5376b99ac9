"""Versions of torch tensors: which value a tensor holds now, whatever views and in-place writes came before.

A tensor is known by its storage and its geometry (offset, shape, strides, dtype) in it. Writing through one
tensor makes a new version of the storage; the other tensors on it are brought up to date when they are next read, by a
node "oracle.overwrite" that says what the write meant for them.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from oracle.adapters.record_torch_memory import (
    Geometry,
    covers,
    described,
    dtype_name,
    end_of,
    geometry_of,
    in_memory,
    is_dense,
    numpy_dtype,
    to_numpy,
    touch,
)
from oracle.adapters.record_torch_stats import sample, summarise, thinned
from oracle.adapters.recording import Draft
from oracle.trace import Value, reference

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
class _Draft(Draft):
    """A value while the recording lasts; another may hold the same elements."""

    same_elements_as: int | None = None


class Versions:
    """The values of a recording, and which of them each tensor holds. `emit` records an overwrite as a node."""

    def __init__(self, full: bool, emit: Emit) -> None:
        import torch  # noqa: PLC0415
        from torch.multiprocessing.reductions import StorageWeakRef  # noqa: PLC0415

        self.strided = torch.strided
        self.full = full
        self.emit = emit
        self.guard = StorageWeakRef
        self.drafts: list[_Draft] = []
        self.storages: dict[int, _Storage] = {}
        self.opaque: dict[int, tuple[Any, int]] = {}
        self.lazy: dict[tuple[str, int], int] = {}

    def read(self, tensor: Any) -> int:
        """The id of the value that `tensor` holds; one never seen before becomes a constant."""
        return self.leaf(tensor, "constant")

    def leaf(self, tensor: Any, role: str, name: str = "") -> int:
        """The id of the value that `tensor` holds; one never seen before becomes a leaf."""
        if tensor.layout is not self.strided:
            return self._opaque(tensor, role, name)
        memory = tensor.untyped_storage()
        storage, geometry = self.storages.get(memory._cdata), geometry_of(tensor)
        if storage is None:
            return self._first(tensor, geometry, memory, role, name)
        known = storage.holders.get(geometry)
        if known is None:
            return self._unseen_view(storage, tensor, geometry)
        return known[0] if known[1] == storage.version else self._brought_up_to_date(storage, tensor, geometry, known)

    def read_through(self, tensor: Any) -> int:
        """The value that a tensor stands for whose memory holds the conjugate, or the negative, of its numbers."""
        held = self.read(tensor)
        for op, bit in (("aten.conj_physical.default", tensor.is_conj()), ("aten.neg.default", tensor.is_neg())):
            if bit:
                held = self._lazily(op, held, tensor)
        return held

    def _lazily(self, op: str, held: int, tensor: Any) -> int:
        if (op, held) not in self.lazy:
            physical = tensor.detach().resolve_conj().resolve_neg()
            if op != "aten.neg.default" and tensor.is_neg():  # both: the negative of the conjugate comes next
                physical = -physical
            array = to_numpy(physical.reshape(-1)).reshape(physical.shape) if self.full else None
            few = None if self.full else sample(physical)
            dtype = dtype_name(tensor.dtype)
            self.drafts.append(_Draft(tuple(tensor.shape), dtype, "intermediate", "", array, few))
            self.lazy[op, held] = len(self.drafts) - 1
            self.emit(op, [reference(held)], [self.lazy[op, held]])
        return self.lazy[op, held]

    def result(self, tensor: Any, role: str) -> tuple[int, bool]:
        """The id of the value that an operation returned, and whether it is new: a known view is not."""
        if tensor.layout is not self.strided:
            return self._opaque(tensor, role), True
        memory = tensor.untyped_storage()
        storage, geometry = self.storages.get(memory._cdata), geometry_of(tensor)
        if storage is None:
            return self._first(tensor, geometry, memory, role, ""), True
        known = storage.holders.get(geometry)
        if known is not None and known[1] == storage.version:
            return known[0], False
        return self._view(storage, tensor, geometry), True

    def written(self, tensor: Any, role: str) -> int:
        """Record that `tensor` has been written: a new version of it, and of its storage."""
        if tensor.layout is not self.strided:
            self.opaque.pop(id(tensor), None)
            return self._opaque(tensor, role)
        storage, geometry = self._storage(tensor.untyped_storage()), geometry_of(tensor)
        storage.version += 1
        storage.copy = None
        value = self._draft(storage, tensor, geometry, role, "")
        storage.writes.append((storage.version, geometry, value))
        return value

    def uninitialised(self, tensor: Any) -> int:
        """Record memory that was allocated and not written, as zeros: nobody may depend on what it holds.

        The zeros are written: views of it, and what is left of it beside later writes, then hold what is recorded.
        """
        tensor.zero_()
        storage, geometry = self._storage(tensor.untyped_storage()), geometry_of(tensor)
        nothing = np.broadcast_to(np.zeros((), numpy_dtype(tensor)), geometry[1]) if self.full else None
        draft = _Draft(geometry[1], dtype_name(tensor.dtype), "constant", "uninitialised", nothing, None)
        return self._keep(storage, geometry, draft)

    def _opaque(self, tensor: Any, role: str, name: str = "") -> int:
        """A sparse tensor, or one in another library's layout: known as an object, kept dense."""
        if id(tensor) not in self.opaque:
            dense = tensor.detach().to_dense()
            array = to_numpy(dense.reshape(-1)).reshape(dense.shape) if self.full else None
            few = None if self.full else sample(dense)
            self.drafts.append(_Draft(tuple(dense.shape), dtype_name(dense.dtype), role, name, array, few))
            self.opaque[id(tensor)] = (tensor, len(self.drafts) - 1)
        return self.opaque[id(tensor)][1]

    def _first(self, tensor: Any, geometry: Geometry, memory: Any, role: str, name: str) -> int:
        storage = self.storages[memory._cdata] = _Storage(self.guard(memory))
        return self._draft(storage, tensor, geometry, role, name)

    def _storage(self, memory: Any) -> _Storage:
        storage = self.storages.get(memory._cdata)
        if storage is None:
            storage = self.storages[memory._cdata] = _Storage(self.guard(memory))
        return storage

    def _view(self, storage: _Storage, tensor: Any, geometry: Geometry) -> int:
        """Record a new view of known memory. One that rearranges a known value has that value's statistics."""
        if not self.full:
            size = math.prod(geometry[1])
            for other, (held, version) in storage.holders.items():
                same = version == storage.version and other[0] == geometry[0] and math.prod(other[1]) == size
                if same and is_dense(other, size) and is_dense(geometry, size):
                    draft = _Draft(geometry[1], dtype_name(tensor.dtype), "intermediate", "", None, None, held)
                    return self._keep(storage, geometry, draft)
        return self._draft(storage, tensor, geometry, "intermediate", "")

    def _unseen_view(self, storage: _Storage, tensor: Any, geometry: Geometry) -> int:
        """A view that no recorded operation made (`.data`, a view made before the recording)."""
        base = next((g for g in storage.holders if covers(g, geometry)), None)
        if base is None:
            return self._draft(storage, tensor, geometry, "constant", "")
        whole = tensor.detach().as_strided(base[1], base[2], base[0])
        source = self._brought_up_to_date(storage, whole, base, storage.holders[base])
        value = self._view(storage, tensor, geometry)
        self.emit("oracle.view", [reference(source), described(base), described(geometry)], [value])
        return value

    def _brought_up_to_date(self, storage: _Storage, tensor: Any, geometry: Geometry, known: tuple[int, int]) -> int:
        """The value of a tensor after the writes since it was last known."""
        held, version = known
        since: list[tuple[int, Geometry]] = []
        for when, where, written in storage.writes:
            if when > version and where == geometry:
                held, since = written, []
            elif when > version and touch(where, geometry):
                since.append((written, where))
        if since:
            writes = [[reference(w) for w, _ in since], described(geometry), [described(g) for _, g in since]]
            trees = [reference(held), *writes]
            held = self._draft(storage, tensor, geometry, "intermediate", "")
            self.emit("oracle.overwrite", trees, [held])
        storage.holders[geometry] = (held, storage.version)
        return held

    def _draft(self, storage: _Storage, tensor: Any, geometry: Geometry, role: str, name: str) -> int:
        array = self._array(storage, tensor, geometry) if self.full else None
        few = sample(in_memory(tensor)) if array is None else None
        return self._keep(storage, geometry, _Draft(geometry[1], dtype_name(tensor.dtype), role, name, array, few))

    def _keep(self, storage: _Storage, geometry: Geometry, draft: _Draft) -> int:
        self.drafts.append(draft)
        value = len(self.drafts) - 1
        storage.holders[geometry] = (value, storage.version)
        return value

    def _array(self, storage: _Storage, tensor: Any, geometry: Geometry) -> np.ndarray:
        """The elements as a view of one copy of the storage's span, which all views of this version share."""
        offset, shape, strides, _ = geometry
        dtype = numpy_dtype(tensor)
        if math.prod(shape) == 0:
            return np.zeros(shape, dtype)
        end = end_of(offset, shape, strides)
        copy = storage.copy
        if copy is None or copy[0] > offset or copy[1] < end or copy[2].dtype != dtype:
            copy = (offset, end, to_numpy(in_memory(tensor.detach()).as_strided((end - offset,), (1,), offset)))
            storage.copy = copy
        start, _, flat = copy
        steps = tuple(s * flat.itemsize for s in strides)
        return np.lib.stride_tricks.as_strided(flat[offset - start :], shape, steps, writeable=False)

    def values(self) -> dict[int, Value]:
        """The finished values with their statistics."""
        samples = [d.sample if d.array is None else thinned(d.array) for d in self.drafts]
        stats = summarise(samples, [math.prod(d.shape) for d in self.drafts])
        for i, d in enumerate(self.drafts):
            if d.same_elements_as is not None:
                stats[i] = stats[d.same_elements_as]
        return {
            i: Value(i, d.shape, d.dtype, d.role, d.name, _whole(d), s)
            for i, (d, s) in enumerate(zip(self.drafts, stats, strict=True))
        }


def _whole(draft: _Draft) -> np.ndarray | None:
    """The array, which the sample of a small one holds completely."""
    if draft.array is None and draft.sample is not None and draft.shape == () and draft.sample.size == 1:
        return draft.sample.reshape(()).astype(draft.dtype)
    return draft.array
