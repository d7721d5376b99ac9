"""A trace as a file: one zip of a JSON document and NumPy arrays, read without executing anything in it.

`trace.json` holds all but the numbers of the arrays; `arrays/<n>.npy` the memory that values view. Values that share
memory share it in the file. No pickle is written, and none is read.
"""

import dataclasses
import json
import math
import os
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import ml_dtypes  # noqa: F401 - makes NumPy know bfloat16 and float8
import numpy as np

from oracle.errors import OracleError
from oracle.trace import Layer, Node, Observation, Stats, StepResult, Trace, Value, references

VERSION = 1
_DOCUMENT = "trace.json"
# What reading a file raises whose bytes are not what was written.
_DAMAGE = (zipfile.BadZipFile, zlib.error, LookupError, ValueError, TypeError, AttributeError, EOFError,
           NotImplementedError, RuntimeError, ArithmeticError, MemoryError)  # fmt: skip
_DEFAULTS = {f.name: f.default for f in dataclasses.fields(Node) if f.default is not dataclasses.MISSING}


def save_trace(trace: Trace, path: str | os.PathLike[str], *, statistics_only: bool = False) -> Path:
    """Write `trace` to `path` and return the path.

    With `statistics_only` no array is written. The file appears complete or not at all. Raises `OracleError` where it
    cannot be written.
    """
    target = Path(path)
    partial = target.with_name(f"{target.name}.{os.getpid()}.partial")
    try:
        with zipfile.ZipFile(partial, "w") as archive:
            arrays = {} if statistics_only else _write_arrays(archive, trace.values.values())
            document = json.dumps(_strict(_document(trace, arrays)), allow_nan=False)
            archive.writestr(_DOCUMENT, document, zipfile.ZIP_DEFLATED)  # arrays hardly shrink, and slowly
        partial.replace(target)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise OracleError(
            f"cannot write the trace {str(target)!r} ({error.strerror}): choose a folder that can be written"
        ) from None
    return target


def load_trace(path: str | os.PathLike[str]) -> Trace:
    """Read a trace. Raises `OracleError` where `path` is no trace, damaged, or of a newer version of the format."""
    try:
        with zipfile.ZipFile(path) as archive:
            document = _loose(json.loads(archive.read(_DOCUMENT)))
            if document["format"] > VERSION:
                raise OracleError(
                    f"{str(path)!r} is a trace of format {document['format']}, newer than {VERSION}: update the oracle"
                )
            return _checked(_trace(document, archive))
    except OSError as error:
        raise OracleError(
            f"cannot read the trace {str(path)!r} ({error.strerror}): check the path; a model is passed as the object, "
            "not by its name"
        ) from None
    except _DAMAGE as error:
        raise OracleError(
            f"{str(path)!r} is no trace, or a damaged one ({type(error).__name__}: {error}): "
            "record it again with `oracle record`"
        ) from None


def _document(trace: Trace, arrays: Mapping[int, dict[str, Any]]) -> dict[str, Any]:
    rest = {f.name: getattr(trace, f.name) for f in dataclasses.fields(Trace)}
    return {
        **rest,
        "format": VERSION,
        "nodes": [_node_document(n) for n in trace.nodes],
        "values": [_value_document(v, arrays.get(v.id)) for v in trace.values.values()],
        "steps": [dataclasses.asdict(s) for s in trace.steps],
        "layers": {name: dataclasses.asdict(layer) for name, layer in trace.layers.items()},
        "observation": dataclasses.asdict(trace.observation),
    }


def _node_document(node: Node) -> dict[str, Any]:
    """The fields that differ from their defaults: most nodes have few."""
    fields = {f.name: getattr(node, f.name) for f in dataclasses.fields(Node)}
    return {k: v for k, v in fields.items() if k not in _DEFAULTS or v != _DEFAULTS[k]}


def _value_document(value: Value, array: dict[str, Any] | None) -> dict[str, Any]:
    document: dict[str, Any] = {"id": value.id, "shape": value.shape, "dtype": value.dtype, "role": value.role}
    if value.name:
        document["name"] = value.name
    if value.stats is not None:
        document["stats"] = [_short(s) for s in dataclasses.astuple(value.stats)]
    if array is not None:
        document["array"] = array
    return document


def _short(number: Any) -> Any:
    """Statistics to nine digits: enough to tell float32 values apart."""
    if isinstance(number, tuple):
        return [_short(n) for n in number]
    return float(f"{number:.9g}") if isinstance(number, float) else number


def _write_arrays(archive: zipfile.ZipFile, values: Iterable[Value]) -> dict[int, dict[str, Any]]:
    """Write the memory of all arrays, each once, and say for each value which part of which memory it is."""
    numbers: dict[int, int] = {}
    places: dict[int, dict[str, Any]] = {}
    for value in values:
        if value.array is None:
            continue
        owner, offset, strides = _memory(value.array)
        shared = owner is not value.array and owner.base is None
        number = numbers.get(id(owner)) if shared else None
        if number is None:
            number = len(archive.NameToInfo)
            _write_array(archive, number, owner)
            if shared:
                numbers[id(owner)] = number
        places[value.id] = {"memory": number, "offset": offset, "strides": strides}
    return places


def _write_array(archive: zipfile.ZipFile, number: int, array: np.ndarray) -> None:
    bits = array if array.dtype.kind in "iubfc" else array.view(f"u{array.itemsize}")
    with archive.open(f"arrays/{number}.npy", "w", force_zip64=True) as stream:
        np.lib.format.write_array(stream, bits, allow_pickle=False)


def _memory(array: np.ndarray) -> tuple[np.ndarray, int, list[int]]:
    """The flat array whose memory `array` views, and where in it the elements lie: offset and strides in elements."""
    base: Any = array
    while getattr(base, "base", None) is not None:
        base = base.base
    flat = isinstance(base, np.ndarray) and base.ndim == 1 and base.dtype == array.dtype and base.size > 0
    if flat and all(s >= 0 for s in array.strides):
        offset = (array.__array_interface__["data"][0] - base.__array_interface__["data"][0]) // array.itemsize
        return base, offset, [s // array.itemsize for s in array.strides]
    own = np.ascontiguousarray(array).reshape(-1)
    return own, 0, [s // array.itemsize for s in np.empty(array.shape, array.dtype).strides]


class _Arrays:
    """The arrays of a file, each memory read once."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self.archive = archive
        self.memories: dict[int, np.ndarray] = {}

    def memory(self, number: int) -> np.ndarray:
        """The memory of that number, as it was written."""
        if number not in self.memories:
            with self.archive.open(f"arrays/{int(number)}.npy") as stream:
                self.memories[number] = np.lib.format.read_array(stream, allow_pickle=False)
        return self.memories[number]

    def view(self, value: Mapping[str, Any]) -> np.ndarray | None:
        """The array of one value: a view, checked to lie within its memory."""
        if "array" not in value:
            return None
        place, shape = value["array"], tuple(value["shape"])
        memory = self.memory(place["memory"]).view(np.dtype(value["dtype"]))
        offset, strides = place["offset"], place["strides"]
        end = offset + sum((n - 1) * s for n, s in zip(shape, strides, strict=True)) + 1
        if math.prod(shape) == 0:
            return np.empty(shape, memory.dtype)
        if offset < 0 or min(strides, default=0) < 0 or end > memory.size:
            raise ValueError(f"value {value['id']} lies outside of its memory")
        steps = tuple(s * memory.itemsize for s in strides)
        return np.lib.stride_tricks.as_strided(memory[offset:], shape, steps, writeable=False)


def _trace(document: dict[str, Any], archive: zipfile.ZipFile) -> Trace:
    arrays = _Arrays(archive)
    # What an older version did not write has its default.
    read = {f.name: document[f.name] for f in dataclasses.fields(Trace) if f.name in document or _is_needed(f)}
    return Trace(
        **{
            **read,
            "nodes": tuple(_node(n) for n in document["nodes"]),
            "values": {v["id"]: _value(v, arrays) for v in document["values"]},
            "steps": tuple(StepResult(**{**s, "unreached": tuple(s.get("unreached", ()))}) for s in document["steps"]),
            "layers": {name: Layer(**layer) for name, layer in document["layers"].items()},
            "observation": Observation(**document["observation"]),
        }
    )


def _is_needed(field: dataclasses.Field) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _node(document: dict[str, Any]) -> Node:
    return Node(**{**document, "inputs": tuple(document["inputs"]), "outputs": tuple(document["outputs"])})


def _value(document: dict[str, Any], arrays: _Arrays) -> Value:
    stats = document.get("stats")
    return Value(
        document["id"],
        tuple(document["shape"]),
        document["dtype"],
        document["role"],
        document.get("name", ""),
        arrays.view(document),
        None if stats is None else Stats(*[*stats[:-1], tuple(stats[-1])]),
    )


def _checked(trace: Trace) -> Trace:
    """The trace, if every value that it names is there."""
    named = {i for n in trace.nodes for i in (*references([*n.inputs, *n.attrs.values()]), *n.outputs)}
    for step in trace.steps:
        named.update(*(getattr(step, f).values() for f in ("outputs", "gradients", "parameters", "buffers")))
    named.update(*(getattr(trace, f).values() for f in ("inputs", "parameters", "buffers", "compiled")))
    absent = sorted(i for i in named if i is not None and i not in trace.values)
    if absent:
        raise ValueError(f"value {absent[0]} is named and not there")
    return trace


def _strict(tree: Any) -> Any:
    """`tree` with the floats that JSON has no words for as objects: {"float": "inf"}."""
    if isinstance(tree, float) and not math.isfinite(tree):
        return {"float": str(tree)}
    if isinstance(tree, Mapping):
        return {str(k): _strict(v) for k, v in tree.items()}
    if isinstance(tree, list | tuple):
        return [_strict(v) for v in tree]
    return tree


def _loose(tree: Any) -> Any:
    """The inverse of `_strict`."""
    if isinstance(tree, dict):
        if tree.keys() == {"float"}:
            return float(tree["float"])
        return {k: _loose(v) for k, v in tree.items()}
    return [_loose(v) for v in tree] if isinstance(tree, list) else tree
