"""The weights of a nested mapping of arrays, named as Flax names them, in canonical layout.

A layer is a mapping of arrays; what it is follows from the names and ranks of its arrays (`kernel`, `embedding`,
`scale`) and from its own name (`ConvTranspose`). Running statistics stand under `batch_stats`, weights under `params`.
Layers called `Name_0`, `Name_1` ... come in that order, others as they stand in the mapping.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from oracle.adapters.weights import Unit, Values, Weights, Writer, plain
from oracle.errors import OracleError

_LSTM = (("ii", "if", "ig", "io"), ("hi", "hf", "hg", "ho"))
_GRU = (("iz", "ir", "in"), ("hz", "hr", "hn"))


def read_tree(tree: Mapping[str, Any]) -> Weights:
    """The units of `{"params": {...}, "batch_stats": {...}}`, or of the mapping of parameters alone."""
    params = tree.get("params", tree)
    units = list(_units("", params, tree.get("batch_stats", {})))
    if not units:
        raise OracleError("the mapping holds no arrays", "pass Flax's variables: {'params': {...}}")
    return Weights("tree", tuple(units))


def _units(path: str, node: Mapping[str, Any], stats: Mapping[str, Any]) -> Iterator[Unit]:
    made = _unit(path, node, stats)
    if made is not None:
        yield made
        return
    for name in _in_order(node):
        inner = stats.get(name, {}) if isinstance(stats, Mapping) else {}
        yield from _units(f"{path}.{name}" if path else name, node[name], inner)


def _in_order(node: Mapping[str, Any]) -> list[str]:
    """Inner mappings: those of one kind by their number, at the places where the kind stands."""

    def number(name: str) -> int:
        found = re.fullmatch(r".*_(\d+)", name)
        return int(found[1]) if found else -1

    names = [n for n, x in node.items() if isinstance(x, Mapping)]
    return sorted(names, key=number) if all(number(n) >= 0 for n in names) else names


def _unit(path: str, node: Mapping[str, Any], stats: Mapping[str, Any]) -> Unit | None:
    names = set(node)
    if names >= {"query", "key", "value", "out"}:
        return _attention(path, node)
    for kind, (inputs, hidden) in (("lstm", _LSTM), ("gru", _GRU)):
        if names >= {*inputs, *hidden}:
            return _recurrent(path, node, kind, (inputs, hidden))
    own = [n for n, x in node.items() if not isinstance(x, Mapping)]
    if not own:
        return None
    if "kernel" in own:
        return _kernel(path, node)
    if "embedding" in own:
        return _renamed(path, (node,), "embedding", {"embedding": "table"})
    if {"scale", "bias"} & names and names <= {"scale", "bias"}:
        roles = {"scale": "gamma", "bias": "beta", "mean": "mean", "var": "variance"}
        return _renamed(path, (node, stats), "batch_norm" if "mean" in stats else _norm(path), roles)
    if own == ["negative_slope"]:
        return _renamed(path, (node,), "prelu", {"negative_slope": "alpha"})
    return _renamed(path, (node,), "custom", {n: f"p{k}" for k, n in enumerate(own)})


def _norm(path: str) -> str:
    last = path.rpartition(".")[2].lower()
    return "rms_norm" if "rms" in last else "group_norm" if "group" in last else "layer_norm"


def _numpy(x: Any) -> np.ndarray:
    array = np.asarray(x)
    return np.array(array, np.float32) if array.dtype.itemsize < 4 else np.array(array)


def _store(node: Any, name: str) -> Callable[[np.ndarray], None]:
    """Puts an array of the same type into a mapping."""

    def assign(array: np.ndarray) -> None:
        old = node[name]
        new = np.ascontiguousarray(array).astype(np.asarray(old).dtype)
        try:
            node[name] = new if isinstance(old, np.ndarray) else _like(old, new)
        except TypeError as error:
            raise OracleError(
                f"{type(node).__name__} cannot be changed", "pass a dict, e.g. flax's unfreeze"
            ) from error

    return assign


def _like(old: Any, new: np.ndarray) -> Any:
    import jax  # noqa: PLC0415 - the old array is one of JAX's

    return jax.device_put(new, getattr(old, "sharding", None))


def _kernel(path: str, node: Mapping[str, Any]) -> Unit:
    x = _numpy(node["kernel"])
    name = f"{path}.kernel"
    transposed = "transpose" in path.rpartition(".")[2].lower()
    if x.ndim < 2:
        raise OracleError(f"{name} has shape {x.shape}: no layer that is known", "port it by hand")
    if transposed:
        axes = tuple(range(x.ndim - 2))
        values = {"kernel": np.swapaxes(np.flip(x, axes), -1, -2)}
        writer = Writer(name, x.shape, ("kernel",), lambda v: np.flip(np.swapaxes(v["kernel"], -1, -2), axes),
                        _store(node, "kernel"), "flipped, in and out exchanged")  # fmt: skip
        kind = "conv_transpose"
    else:
        values, kind = {"kernel": x}, "dense" if x.ndim == 2 else "conv"
        writer = plain(name, x, "kernel", _store(node, "kernel"))
    writers = [writer]
    if "bias" in node:
        values["bias"] = _numpy(node["bias"])
        writers.append(plain(f"{path}.bias", values["bias"], "bias", _store(node, "bias")))
    return Unit(path, kind, values, tuple(writers))


def _renamed(path: str, nodes: tuple[Any, ...], kind: str, roles: dict[str, str]) -> Unit:
    values, writers = {}, []
    for node in nodes:
        for name, role in roles.items():
            if name in node:
                values[role] = _numpy(node[name])
                writers.append(plain(f"{path}.{name}", values[role], role, _store(node, name)))
    return Unit(path, kind, values, tuple(writers))


def _recurrent(path: str, node: Mapping[str, Any], kind: str, gates: tuple[tuple[str, ...], tuple[str, ...]]) -> Unit:
    """Gates that Flax keeps apart, joined; a gate with one bias for both products takes the sum of both."""
    width = _numpy(node[gates[1][0]]["kernel"]).shape[-1]
    values: dict[str, np.ndarray] = {}
    writers: list[Writer] = []
    for names, role, bias_role in zip(gates, ("kernel", "recurrent"), ("bias", "bias_recurrent"), strict=True):
        values[role] = np.concatenate([_numpy(node[n]["kernel"]) for n in names], -1)
        values[bias_role] = np.concatenate([_numpy(node[n].get("bias", np.zeros(width, np.float32))) for n in names])
        writers += [_block(f"{path}.{n}.kernel", node[n], (role,), (k, width)) for k, n in enumerate(names)]
    for k, pair in enumerate(zip(*gates, strict=True)):
        biased = [(n, r) for n, r in zip(pair, ("bias", "bias_recurrent"), strict=True) if "bias" in node[n]]
        for n, role in biased:
            roles = (role,) if len(biased) == 2 else ("bias", "bias_recurrent")
            writers.append(_block(f"{path}.{n}.bias", node[n], roles, (k, width)))
    return Unit(path, kind, values, tuple(writers))


def _block(name: str, node: Any, roles: tuple[str, ...], place: tuple[int, int]) -> Writer:
    k, width = place
    own = name.rpartition(".")[2]

    def make(v: Values) -> np.ndarray:
        return np.asarray(sum(v[r][..., k * width : (k + 1) * width] for r in roles))

    words = f"gate {k}" + (", the sum of both biases" if len(roles) == 2 else "")
    return Writer(name, _numpy(node[own]).shape, roles, make, _store(node, own), words)


def _attention(path: str, node: Mapping[str, Any]) -> Unit:
    values: dict[str, np.ndarray] = {}
    writers: list[Writer] = []
    heads = _numpy(node["query"]["kernel"]).shape[1]
    for letter, name in (("q", "query"), ("k", "key"), ("v", "value"), ("o", "out")):
        for own, role in (("kernel", f"{letter}_kernel"), ("bias", f"{letter}_bias")):
            if own in node[name]:
                x = _numpy(node[name][own])
                rows = -1 if own == "bias" else (x.shape[0] if name != "out" else x.shape[0] * x.shape[1])
                values[role] = x.reshape(-1) if own == "bias" else x.reshape(rows, -1)
                writers.append(_reshaped(f"{path}.{name}.{own}", x.shape, role, _store(node[name], own)))
    return Unit(path, "attention", values, tuple(writers), {"heads": heads})


def _reshaped(name: str, shape: tuple[int, ...], role: str, assign: Callable[[np.ndarray], None]) -> Writer:
    return Writer(name, shape, (role,), lambda v: v[role].reshape(shape), assign, "heads split")
