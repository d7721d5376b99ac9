"""The weights of a torch module, layer by layer in the order of registration, in canonical layout."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from oracle.adapters.weights import Unit, Values, Weights, Writer, blocks, plain
from oracle.errors import OracleError

_CONV = ("Conv1d", "Conv2d", "Conv3d")
_TRANSPOSED = ("ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d")
_NORMS = {"BatchNorm1d": "batch_norm", "BatchNorm2d": "batch_norm", "BatchNorm3d": "batch_norm",
          "SyncBatchNorm": "batch_norm", "LayerNorm": "layer_norm", "GroupNorm": "group_norm", "RMSNorm": "rms_norm",
          "InstanceNorm1d": "group_norm", "InstanceNorm2d": "group_norm", "InstanceNorm3d": "group_norm"}  # fmt: skip
_NORM_ROLES = {"weight": "gamma", "bias": "beta", "running_mean": "mean", "running_var": "variance"}
_GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
_RECURRENT = {"LSTM": "lstm", "GRU": "gru", "RNN": "simple_rnn"}
# torch's r z n are the z r h of the canonical layout with the first two exchanged; the exchange undoes itself.
_EXCHANGED = (1, 0, 2)


def read_torch(model: Any) -> Weights:
    """The units of `model`. Raises `OracleError` for lazy modules that never ran and arrays without a counterpart."""
    units: list[Unit] = []
    seen: set[int] = set()
    notes: list[str] = []
    for path, module in _modules(model, ""):
        own = dict(module.named_parameters(recurse=False))
        if own and all(id(p) in seen for p in own.values()):
            notes.append(f"{path} shares its weights with an earlier layer")
            continue
        seen.update(id(p) for p in own.values())
        units += _units(path, module)
    return Weights("torch", tuple(u for u in units if u.writers), tuple(notes))


def _modules(module: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Modules in order of registration; what a known layer holds inside is its own business."""
    yield path, module
    if type(module).__name__ == "MultiheadAttention":
        return
    for name, child in module.named_children():
        yield from _modules(child, f"{path}.{name}" if path else name)


def _units(path: str, module: Any) -> list[Unit]:
    kind = _kind(module)
    for name, p in module.named_parameters(recurse=False):
        if type(p).__name__ == "UninitializedParameter":
            raise OracleError(f"{path}.{name} has no shape yet", "run the lazy module once on an input, then port")
    if kind in ("Linear", "NonDynamicallyQuantizableLinear"):
        return [_simple(path, module, "dense", lambda w: w.T, "transposed")]
    if kind in _CONV:
        return [_simple(path, module, "conv", _to_last, "OI... to ...IO")]
    if kind in _TRANSPOSED:
        if module.groups != 1:
            raise OracleError(f"{path}: a transposed convolution in groups has no counterpart", "port it by hand")
        return [_simple(path, module, "conv_transpose", _to_last_transposed, "IO... to ...OI")]
    if kind in _NORMS:
        return [_renamed(path, module, _NORMS[kind], _NORM_ROLES)]
    if kind == "Embedding":
        return [_renamed(path, module, "embedding", {"weight": "table"})]
    if kind == "PReLU":
        return [_renamed(path, module, "prelu", {"weight": "alpha"})]
    if kind.removesuffix("Cell") in _GATES:
        return _recurrent(path, module, kind.removesuffix("Cell"))
    if kind == "MultiheadAttention":
        return [_attention(path, module)]
    return [_custom(path, module)]


def _kind(module: Any) -> str:
    """The torch class that the module is, or inherits its meaning from."""
    for cls in type(module).__mro__:
        if cls.__module__.startswith("torch.nn"):
            return cls.__name__
    return type(module).__name__


def _numpy(tensor: Any) -> np.ndarray:
    import torch  # noqa: PLC0415

    x = tensor.detach().cpu()
    return (x.float() if x.dtype in (torch.bfloat16, torch.float16) else x.clone()).numpy()


def _assign(tensor: Any) -> Callable[[np.ndarray], None]:
    def store(array: np.ndarray) -> None:
        import torch  # noqa: PLC0415

        with torch.no_grad():
            tensor.copy_(torch.from_numpy(np.ascontiguousarray(array)))

    return store


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _to_last(w: np.ndarray) -> np.ndarray:
    return np.moveaxis(w, (0, 1), (-1, -2))


def _from_last(w: np.ndarray) -> np.ndarray:
    return np.moveaxis(w, (-1, -2), (0, 1))


def _to_last_transposed(w: np.ndarray) -> np.ndarray:
    return np.moveaxis(w, (0, 1), (-1, -2))


_INVERSE: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "transposed": lambda w: w.T, "OI... to ...IO": _from_last, "IO... to ...OI": _from_last,
}  # fmt: skip
_BACK = {"transposed": "transposed", "OI... to ...IO": "...IO to OI...", "IO... to ...OI": "...OI to IO..."}


def _simple(path: str, module: Any, kind: str, canonical: Callable[[np.ndarray], np.ndarray], words: str) -> Unit:
    """A kernel and perhaps a bias."""
    weight = module.weight
    values = {"kernel": canonical(_numpy(weight))}
    back = _INVERSE[words]
    writers = [
        Writer(_join(path, "weight"), tuple(weight.shape), ("kernel",), lambda v: back(v["kernel"]), _assign(weight),
               _BACK[words])
    ]  # fmt: skip
    if module.bias is not None:
        values["bias"] = _numpy(module.bias)
        writers.append(plain(_join(path, "bias"), values["bias"], "bias", _assign(module.bias)))
    return Unit(path, kind, values, tuple(writers), channels_last=False)


def _renamed(path: str, module: Any, kind: str, roles: dict[str, str]) -> Unit:
    values, writers = {}, []
    for name, role in roles.items():
        tensor = getattr(module, name, None)
        if tensor is not None:
            values[role] = _numpy(tensor)
            writers.append(plain(_join(path, name), values[role], role, _assign(tensor)))
    return Unit(path, kind, values, tuple(writers), channels_last=False)


def _recurrent(path: str, module: Any, kind: str) -> list[Unit]:
    if getattr(module, "proj_size", 0):
        raise OracleError(f"{path}: an LSTM with projections has no counterpart", "port it by hand")
    if not hasattr(module, "num_layers"):
        return [_cell(path, module, kind, "")]
    directions = ("", "_reverse") if module.bidirectional else ("",)
    return [_cell(path, module, kind, f"_l{k}{d}") for k in range(module.num_layers) for d in directions]


def _cell(path: str, module: Any, kind: str, suffix: str) -> Unit:
    gates = _GATES[kind]

    def reordered(x: np.ndarray) -> np.ndarray:
        return blocks(x, gates, _EXCHANGED, 0) if kind == "GRU" else x

    order = "gates z r h to r z n" if kind == "GRU" else ""
    roles = {"weight_ih": "kernel", "weight_hh": "recurrent", "bias_ih": "bias", "bias_hh": "bias_recurrent"}
    values, writers = {}, []
    for name, role in roles.items():
        tensor = getattr(module, name + suffix, None)
        if tensor is not None:
            values[role] = reordered(_numpy(tensor)).T

            def make(v: Values, role: str = role) -> np.ndarray:
                return reordered(v[role].T)

            words = ", ".join(w for w in ("transposed" if "weight" in name else "", order) if w) or "as it is"
            shape = tuple(tensor.shape)
            writers.append(Writer(_join(path, name + suffix), shape, (role,), make, _assign(tensor), words))
    return Unit(_join(path, suffix.lstrip("_")), _RECURRENT[kind], values, tuple(writers), channels_last=False)


def _attention(path: str, module: Any) -> Unit:
    if module.bias_k is not None or module.bias_v is not None:
        raise OracleError(f"{path}: attention with bias_k and bias_v has no counterpart", "port it by hand")
    values: dict[str, np.ndarray] = {}
    writers: list[Writer] = []
    if module.in_proj_weight is not None:
        kernels = ("q_kernel", "k_kernel", "v_kernel")
        values |= dict(zip(kernels, (w.T for w in np.split(_numpy(module.in_proj_weight), 3)), strict=True))
        writers.append(_packed(_join(path, "in_proj_weight"), module.in_proj_weight, kernels, transposed=True))
    else:
        for letter in "qkv":
            _attach(values, writers, (_join(path, f"{letter}_proj_weight"), f"{letter}_kernel"),
                    getattr(module, f"{letter}_proj_weight"))  # fmt: skip
    if module.in_proj_bias is not None:
        biases = ("q_bias", "k_bias", "v_bias")
        values |= dict(zip(biases, np.split(_numpy(module.in_proj_bias), 3), strict=True))
        writers.append(_packed(_join(path, "in_proj_bias"), module.in_proj_bias, biases, transposed=False))
    _attach(values, writers, (_join(path, "out_proj.weight"), "o_kernel"), module.out_proj.weight)
    if module.out_proj.bias is not None:
        values["o_bias"] = _numpy(module.out_proj.bias)
        name = _join(path, "out_proj.bias")
        writers.append(plain(name, values["o_bias"], "o_bias", _assign(module.out_proj.bias)))
    return Unit(path, "attention", values, tuple(writers), {"heads": module.num_heads}, channels_last=False)


def _attach(values: dict[str, np.ndarray], writers: list[Writer], names: tuple[str, str], tensor: Any) -> None:
    name, role = names
    values[role] = _numpy(tensor).T
    writers.append(
        Writer(name, tuple(tensor.shape), (role,), lambda v: v[role].T, _assign(tensor), "transposed, heads joined")
    )


def _packed(name: str, tensor: Any, roles: tuple[str, ...], *, transposed: bool) -> Writer:
    def make(v: Values) -> np.ndarray:
        return np.concatenate([v[r].T if transposed else v[r] for r in roles])

    words = "q k v stacked" + (", transposed" if transposed else "")
    return Writer(name, tuple(tensor.shape), roles, make, _assign(tensor), words)


def _custom(path: str, module: Any) -> Unit:
    """A module of the user's: its own parameters, in order."""
    values, writers = {}, []
    own = [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]
    for k, (name, tensor) in enumerate((n, t) for n, t in own if t.is_floating_point()):
        role = f"p{k}"
        values[role] = _numpy(tensor)
        writers.append(plain(_join(path, name), values[role], role, _assign(tensor)))
    return Unit(path, "custom", values, tuple(writers), channels_last=False)
