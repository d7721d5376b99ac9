"""`oracle.port`: the weights of one model into another, by structure; all of them, or none and the reason.

Layers are paired by what they are and by their sizes: kinds, canonical shapes, heads. Among layers that agree in all of
this, equal names decide if every one has its namesake, else the order. Whatever has no counterpart, or fits two ways,
is an error that names it; nothing is written before everything is known to fit.
"""

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from oracle.adapters.weights import NEUTRAL, Unit, Values, Weights, Writer
from oracle.errors import OracleError
from oracle.ports.port_report import Mapped, Port, rearranged

_SHOWN = 6


@dataclass(frozen=True)
class _Write:
    """One array that is ready to be stored."""

    writer: Writer
    array: np.ndarray
    row: Mapped


def port(src: Any, dst: Any, *, mapping: Mapping[str, str] | None = None) -> Port:
    """Copy the weights of `src` into `dst`: Keras on any backend, torch, a nested mapping of arrays as Flax has them.

    Args:
        src: the model that has the weights, or a sequence of arrays in the order and the shapes of `dst`'s own.
        dst: the model that gets them; it is changed in place.
        mapping: layers of `dst` by path, each with the path of the layer of `src` that it takes, where structure does
            not tell.

    Returns what went where and how it was rearranged. Raises `OracleError`, and changes nothing, where a layer or an
    array of either side has no counterpart or more than one.

        >>> oracle.port(keras_model, torch_model)
        >>> oracle.compare(keras_model, torch_model, inputs_a=x, inputs_b=x_in_nchw)
    """
    target = read_weights(dst)
    if isinstance(src, list | tuple | np.ndarray):
        return _stored(_from_arrays(src, target), "arrays", target)
    source = read_weights(src)
    pairs = _pairs(source, target, dict(mapping or {}))
    writes = [w for a, b in pairs for w in _writes(a, b, source, target)]
    return _stored(writes, source.framework, target, (*source.notes, *target.notes))


def read_weights(model: Any) -> Weights:
    """The weights of a model of any framework, in canonical layout."""
    framework = _framework(model)
    module = importlib.import_module(f"oracle.adapters.weights_{framework}")
    return getattr(module, f"read_{framework}")(model)


def own_arrays(model: Any) -> dict[str, np.ndarray]:
    """A model's arrays by its own names and in its own layout."""
    found: dict[str, np.ndarray] = {}
    for unit in read_weights(model).units:
        values, _ = _completed(unit, unit, unit.values)
        found |= {w.name: np.asarray(w.make(values)) for w in unit.writers}
    return found


def _framework(model: Any) -> str:
    if isinstance(model, Mapping):
        return "tree"
    for cls in type(model).__mro__:
        top = cls.__module__.partition(".")[0]
        if top == "keras" and hasattr(model, "weights"):
            return "keras"
        if top == "torch" and hasattr(model, "named_parameters"):
            return "torch"
    raise OracleError(
        f"cannot port weights of a {type(model).__name__}",
        "pass a Keras model, a torch module, or a mapping of parameters ({'params': {...}})",
    )


def _stored(writes: list[_Write], framework: str, target: Weights, notes: tuple[str, ...] = ()) -> Port:
    for write in writes:
        if write.array.shape != write.writer.shape:
            raise OracleError(
                f"{write.writer.name} has shape {write.writer.shape}, its counterpart gives {write.array.shape}",
                "nothing was loaded",
            )
    for write in writes:
        write.writer.assign(write.array)
    return Port(framework, target.framework, tuple(w.row for w in writes), notes)


def _pairs(source: Weights, target: Weights, mapping: dict[str, str]) -> list[tuple[Unit, Unit]]:
    """Each unit of the target with its unit of the source, in the order of the target."""
    of_source, of_target = ({u.path: u for u in w.units} for w in (source, target))
    for side, known, wanted in (("source", of_source, mapping.values()), ("target", of_target, mapping)):
        unknown = [path for path in wanted if path not in known]
        if unknown:
            raise OracleError(f"mapping: the {side} has no layer {unknown[0]!r}", f"it has {', '.join(known)[:300]}")
    chosen = {path: of_source[other] for path, other in mapping.items()}
    taken = set(mapping.values())
    left = _by_signature([u for u in source.units if u.path not in taken])
    right = _by_signature([u for u in target.units if u.path not in chosen])
    for signature, units in right.items():
        others = left.get(signature, [])
        if len(others) == len(units):
            chosen |= {b.path: a for a, b in _matched(others, units)}
    lost_b = [u for u in target.units if u.path not in chosen]
    used = {id(u) for u in chosen.values()}
    lost_a = [u for u in source.units if id(u) not in used]
    if lost_a or lost_b:
        raise _incomplete(source, target, lost_a, lost_b)
    return [(chosen[u.path], u) for u in target.units]


def _by_signature(units: Sequence[Unit]) -> dict[tuple, list[Unit]]:
    found: dict[tuple, list[Unit]] = {}
    for unit in units:
        found.setdefault(unit.signature, []).append(unit)
    return found


def _matched(left: list[Unit], right: list[Unit]) -> list[tuple[Unit, Unit]]:
    """Units that agree in structure: by name where every one has its namesake, else in order."""
    for name in (lambda u: u.path, lambda u: u.path.rpartition(".")[2]):
        names = {name(u): u for u in left}
        if len(names) == len(left) and {name(u) for u in right} == names.keys() and len(left) > 1:
            return [(names[name(u)], u) for u in right]
    return list(zip(left, right, strict=True))


def _incomplete(source: Weights, target: Weights, lost_a: list[Unit], lost_b: list[Unit]) -> OracleError:
    have, need = (sum(u.numbers for u in w.units) for w in (source, target))
    parts = [f"the weights do not fit, nothing was loaded: the target holds {need} numbers, the source {have}"]
    if lost_b:
        parts.append("without counterpart in the source: " + _listed(lost_b))
    if lost_a:
        parts.append("without counterpart in the target: " + _listed(lost_a))
    if any(u.facts.get("reset_after") is False for u in (*lost_a, *lost_b)):
        parts.append("a GRU that resets before the product is another cell: use reset_after=True")
    if lost_a and lost_b and sorted(u.kind for u in lost_a) == sorted(u.kind for u in lost_b):
        parts.append("say which is which: oracle.port(src, dst, mapping={'layer of dst': 'layer of src'})")
    return OracleError(*parts)


def _listed(units: list[Unit]) -> str:
    def told(u: Unit) -> str:
        return f"{u.path or 'the model'} ({u.kind}: " + ", ".join(f"{w.name} {w.shape}" for w in u.writers) + ")"

    more = f" and {len(units) - _SHOWN} more" if len(units) > _SHOWN else ""
    return ", ".join(told(u) for u in units[:_SHOWN]) + more


def _writes(a: Unit, b: Unit, source: Weights, target: Weights) -> list[_Write]:
    values, words = _in_layout_of(a, b, source, target)
    values, filled = _completed(a, b, values)
    roles = {r for w in b.writers for r in w.roles}
    for role in values.keys() - roles:
        if role not in NEUTRAL or np.any(values[role] != NEUTRAL[role]):
            raise OracleError(
                f"{b.path or 'the model'} of the target has no {role} to hold the one of {a.path}", "nothing was loaded"
            )
    names = {r: w.name for w in a.writers for r in w.roles}
    writes = []
    for writer in b.writers:
        array = np.asarray(writer.make(values))
        more = [told[r] for told in (words, filled) for r in writer.roles if r in told]
        given = dict.fromkeys(names[r] for r in writer.roles if r in names)
        row = Mapped(b.kind, " + ".join(given), writer.name, rearranged(a, writer, more), array.size)
        writes.append(_Write(writer, array, row))
    return writes


def _completed(a: Unit, b: Unit, values: Values) -> tuple[dict, dict[str, str]]:
    """`values` with what the source lacks and the target has, where something leaves the meaning as it is."""
    full, filled = dict(values), {}
    for role in {r for w in b.writers for r in w.roles} - values.keys():
        if role not in NEUTRAL:
            raise OracleError(f"{a.path or 'the model'} of the source has no {role} for {b.path}", "nothing was loaded")
        like = b.values.get(role)
        size = like.shape if like is not None else next(iter(b.values[r].shape for r in ("bias",) if r in b.values))
        full[role] = np.full(size, NEUTRAL[role], np.float32)
        if role in b.values:
            filled[role] = f"{NEUTRAL[role]:g}: the source has no {role}"
    return full, filled


def _in_layout_of(a: Unit, b: Unit, source: Weights, target: Weights) -> tuple[Values, dict[str, str]]:
    """The values of `a` with flattened features and custom arrays in the order of `b`, and what was done."""
    if a.kind == "custom" and source.framework != target.framework:
        return _custom(a, b)
    if a.kind != "dense" or a.channels_last == b.channels_last:
        return a.values, {}
    shape = a.flattened or b.flattened or _inferred(a, source) or _inferred(b, target)
    kernel = a.values["kernel"]
    if shape is None or np.prod(shape[:-1]) == 1 or shape[-1] == 1:
        return a.values, {}
    *places, channels = shape
    count = int(np.prod(places))
    split = (count, channels) if a.channels_last else (channels, count)
    rows = kernel.reshape(*split, -1).swapaxes(0, 1).reshape(kernel.shape)
    first, last = f"({channels}, {', '.join(map(str, places))})", f"({', '.join(map(str, places))}, {channels})"
    words = f"rows from the order {last if a.channels_last else first} to {first if a.channels_last else last}"
    return {**a.values, "kernel": rows}, {"kernel": words}


def _inferred(unit: Unit, weights: Weights) -> tuple[int, ...] | None:
    """(places, channels) of a dense layer right behind a convolution, of models that do not tell shapes."""
    if weights.framework != "tree":
        return None
    units = list(weights.units)
    behind = [u for u in units[: units.index(unit)] if u.kind not in ("batch_norm", "prelu")][-1:]
    if not behind or behind[0].kind not in ("conv", "conv_transpose"):
        return None
    channels = behind[0].values["kernel"].shape[-1 if behind[0].kind == "conv" else -2]
    rows = unit.values["kernel"].shape[0]
    return (rows // channels, channels) if rows % channels == 0 and rows > channels else None


def _custom(a: Unit, b: Unit) -> tuple[Values, dict[str, str]]:
    """Arrays of a layer that the oracle does not know: as they are, or transposed where the shapes leave no choice."""
    values, words = {}, {}
    for role, x in a.values.items():
        wanted = b.values[role].shape
        if x.shape == wanted and (x.ndim < 2 or len(set(x.shape)) > 1):
            values[role] = x
        elif x.ndim == 2 and x.shape == wanted[::-1] and x.shape != wanted:
            values[role], words[role] = x.T, "transposed"
        else:
            raise OracleError(
                f"{b.path}: whether the {x.shape} array of this layer of your own is transposed cannot be told",
                "copy it yourself",
            )
    return values, words


def _from_arrays(src: Any, target: Weights) -> list[_Write]:
    """Arrays in the order and the shapes of the target's own; numbers alone are counted."""
    arrays = [src] if isinstance(src, np.ndarray) else [np.asarray(x) for x in src]
    writers = [w for u in target.units for w in u.writers]
    need = sum(int(np.prod(w.shape)) for w in writers)
    lacking = [
        f"{w.name} needs {w.shape} = {int(np.prod(w.shape))} numbers, "
        + (f"given {arrays[k].shape}" if k < len(arrays) and arrays[k].ndim else "given none")
        for k, w in enumerate(writers)
        if k >= len(arrays) or arrays[k].shape != w.shape
    ]
    if lacking or len(arrays) != len(writers):
        raise OracleError(
            f"the weights do not fit, nothing was loaded: the target holds {need} numbers in {len(writers)} arrays, "
            f"given {sum(x.size for x in arrays)} in {len(arrays)}",
            *lacking[:_SHOWN],
        )
    return [
        _Write(w, np.asarray(x), Mapped("array", f"arrays[{k}]", w.name, "as it is", x.size))
        for k, (w, x) in enumerate(zip(writers, arrays, strict=True))
    ]
