"""The weights of a Keras model on any backend, layer by layer, in canonical layout (which is Keras's own)."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from oracle.adapters.weights import Unit, Values, Weights, Writer, plain
from oracle.errors import OracleError

_NORM_ROLES = {"gamma": "gamma", "scale": "gamma", "beta": "beta", "moving_mean": "mean", "moving_variance": "variance"}
_NORMS = {"BatchNormalization": "batch_norm", "LayerNormalization": "layer_norm", "GroupNormalization": "group_norm",
          "RMSNormalization": "rms_norm"}  # fmt: skip
_CONV = ("Conv1D", "Conv2D", "Conv3D")
_TRANSPOSED = ("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose")
_KERNEL = {"kernel": "kernel", "bias": "bias"}
_RECURRENT = {"LSTMCell": "lstm", "GRUCell": "gru", "SimpleRNNCell": "simple_rnn"}


def read_keras(model: Any) -> Weights:
    """The units of `model`, in the order in which its layers were made. Raises `OracleError` for an unbuilt model."""
    units: list[Unit] = []
    seen: set[int] = set()
    notes: list[str] = []
    flattened = _flattened_features(model)
    for path, layer in _layers(model, ""):
        if id(layer) in seen:
            notes.append(f"{path} is used again: its weights are ported once")
            continue
        seen.add(id(layer))
        units += _units(path, layer, flattened.get(id(layer)))
    if not any(u.writers for u in units) and not getattr(model, "built", True):
        raise OracleError(f"the Keras model {model.name!r} has no weights yet", "build it or call it once, then port")
    return Weights("keras", tuple(u for u in units if u.writers), tuple(notes))


def _kind(layer: Any) -> str:
    """The Keras class that the layer is, or inherits its meaning from."""
    for cls in type(layer).__mro__:
        if cls.__module__.startswith("keras"):
            return cls.__name__
    return type(layer).__name__


_WHOLE = {"Bidirectional", "MultiHeadAttention", "SeparableConv1D", "SeparableConv2D", "DepthwiseConv1D",
          "DepthwiseConv2D", "LSTM", "GRU", "SimpleRNN", "RNN", *_NORMS, *_CONV, *_TRANSPOSED, "Dense", "EinsumDense",
          "Embedding", "PReLU", *_RECURRENT}  # fmt: skip


def _layers(layer: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Layers in order; what a known layer holds inside is its own business."""
    yield path, layer
    if _kind(layer) in _WHOLE:
        return
    children = getattr(layer, "layers", None) or getattr(layer, "_layers", None) or ()
    for child in children:
        if hasattr(child, "weights") and hasattr(child, "name"):
            yield from _layers(child, _at(path, child.name))


def _units(path: str, layer: Any, flattened: tuple[int, ...] | None) -> list[Unit]:
    kind = _kind(layer)
    if kind == "Dense":
        return [_named(path, layer, "dense", _KERNEL, flattened)]
    if kind in _CONV or kind in _TRANSPOSED:
        return [_named(path, layer, "conv" if kind in _CONV else "conv_transpose", _KERNEL)]
    if kind in _NORMS:
        return [_named(path, layer, _NORMS[kind], _NORM_ROLES)]
    if kind == "Embedding":
        return [_named(path, layer, "embedding", {"embeddings": "table", "_embeddings": "table"})]
    if kind.startswith("SeparableConv"):
        return _separable(path, layer)
    if kind in ("LSTM", "GRU", "SimpleRNN", "RNN", "Bidirectional") or kind in _RECURRENT:
        return [_cell(place, cell) for place, cell in _cells(path, layer)]
    return [_SINGLE.get(kind, _custom)(path, layer)]


def _cells(path: str, layer: Any) -> Iterator[tuple[str, Any]]:
    """The cells of a recurrent layer, of both directions, of a stack."""
    if hasattr(layer, "forward_layer"):
        yield from _cells(_at(path, "forward"), layer.forward_layer)
        yield from _cells(_at(path, "backward"), layer.backward_layer)
    elif hasattr(layer, "cell"):
        cells = getattr(layer.cell, "cells", [layer.cell])
        yield from ((path if len(cells) == 1 else _at(path, str(k)), cell) for k, cell in enumerate(cells))
    else:
        yield path, layer


def _at(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _numpy(variable: Any) -> np.ndarray:
    value = variable.value
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        value = value.float() if value.element_size() < 4 else value
    x = value.numpy() if hasattr(value, "numpy") else np.asarray(value)
    return x.astype(np.float32) if x.dtype.itemsize < 4 else np.array(x)


def _pair(path: str, name: str, variable: Any, role: str) -> tuple[str, np.ndarray, str, Callable[[np.ndarray], None]]:
    return (_at(path, name), _numpy(variable), role, variable.assign)


def _unit(path: str, kind: str, found: list[tuple], flattened: tuple[int, ...] | None = None) -> Unit:
    values = {role: x for _, x, role, _ in found}
    writers = tuple(plain(name, x, role, assign) for name, x, role, assign in found)
    return Unit(path, kind, values, writers, flattened=flattened)


def _named(path: str, layer: Any, kind: str, roles: dict[str, str], flattened: tuple[int, ...] | None = None) -> Unit:
    found = {
        role: _pair(path, name.lstrip("_"), getattr(layer, name), role)
        for name, role in roles.items()
        if getattr(layer, name, None) is not None and hasattr(getattr(layer, name), "assign")
    }
    return _unit(path, kind, list(found.values()), flattened)


def _separable(path: str, layer: Any) -> list[Unit]:
    """A convolution of each channel, then one of all of them."""
    found = [_pair(path, "pointwise_kernel", layer.pointwise_kernel, "kernel")]
    if layer.use_bias:
        found.append(_pair(path, "bias", layer.bias, "bias"))
    depthwise = _grouped(_at(path, "depthwise_kernel"), layer.depthwise_kernel)
    return [Unit(_at(path, "depthwise"), "conv", *depthwise), _unit(_at(path, "pointwise"), "conv", found)]


def _grouped(name: str, kernel: Any) -> tuple[dict[str, np.ndarray], tuple[Writer, ...]]:
    """The kernel of a depthwise convolution as one in groups: (spatial..., 1, in * multiplier)."""
    x = _numpy(kernel)
    writer = Writer(name, x.shape, ("kernel",), lambda v: v["kernel"].reshape(x.shape), kernel.assign,
                    "groups to (in, multiplier)")  # fmt: skip
    return {"kernel": x.reshape(*x.shape[:-2], 1, -1)}, (writer,)


def _depthwise(path: str, layer: Any) -> Unit:
    values, writers = _grouped(_at(path, "kernel"), layer.kernel)
    if not layer.use_bias:
        return Unit(path, "conv", values, writers)
    bias = _numpy(layer.bias)
    return Unit(
        path, "conv", {**values, "bias": bias}, (*writers, plain(_at(path, "bias"), bias, "bias", layer.bias.assign))
    )


def _prelu(path: str, layer: Any) -> Unit:
    """One slope for each channel (or one in all): what shared axes leave."""
    x = _numpy(layer.alpha)
    if x.size != x.shape[-1]:
        raise OracleError(
            f"{path}: this PReLU has a slope for each of {x.shape} places, torch one for each channel",
            "share the spatial axes: PReLU(shared_axes=[1, 2])",
        )
    writer = Writer(_at(path, "alpha"), x.shape, ("alpha",), lambda v: v["alpha"].reshape(x.shape), layer.alpha.assign,
                    "one for each channel")  # fmt: skip
    return Unit(path, "prelu", {"alpha": x.reshape(-1)}, (writer,))


def _cell(path: str, cell: Any) -> Unit:
    kind = _RECURRENT.get(_kind(cell))
    if kind is None:
        raise OracleError(f"{path}: the cell {type(cell).__name__} has no counterpart", "port it by hand")
    found = [_pair(path, "kernel", cell.kernel, "kernel")]
    found.append(_pair(path, "recurrent_kernel", cell.recurrent_kernel, "recurrent"))
    unit = _unit(path, kind, found)
    if not cell.use_bias:
        return unit
    bias = _numpy(cell.bias)
    if kind == "gru" and getattr(cell, "reset_after", False):
        values = {"bias": bias[0], "bias_recurrent": bias[1]}
        writer = Writer(
            _at(path, "bias"), bias.shape, tuple(values), _stacked, cell.bias.assign, "input and recurrent bias"
        )
        return Unit(path, "gru", {**unit.values, **values}, (*unit.writers, writer))
    writer = Writer(_at(path, "bias"), bias.shape, ("bias", "bias_recurrent"), _added, cell.bias.assign,
                    "the sum of both biases, rounded")  # fmt: skip
    # With the reset gate before the product the GRU is another cell: its biases and numbers do not transfer.
    facts = {"reset_after": False} if kind == "gru" else {}
    return Unit(path, kind, {**unit.values, "bias": bias}, (*unit.writers, writer), facts)


def _stacked(values: Values) -> np.ndarray:
    return np.stack([values["bias"], values["bias_recurrent"]])


def _added(values: Values) -> np.ndarray:
    return values["bias"] + values["bias_recurrent"]


def _attention(path: str, layer: Any) -> Unit:
    values: dict[str, np.ndarray] = {}
    writers: list[Writer] = []
    for letter, name in (("q", "query"), ("k", "key"), ("v", "value"), ("o", "output")):
        dense = getattr(layer, f"_{name}_dense", None)
        if dense is None:
            raise OracleError(f"{path} has no weights yet", "call the model once, then port")
        part = _einsum(_at(path, name), dense, f"{letter}_")
        values |= part.values
        writers += part.writers
    return Unit(path, "attention", values, tuple(writers), {"heads": layer.num_heads})


def _einsum(path: str, layer: Any, prefix: str = "") -> Unit:
    """A dense layer over several axes as the matrix that it is: the axes that are summed, then those that are not."""
    left, _, output = layer.equation.replace("...", "").partition("->")
    kernel_axes = left.split(",")[1]
    summed = sum(letter not in output for letter in kernel_axes)
    kernel = _numpy(layer.kernel)
    if any(letter in output for letter in kernel_axes[:summed]):
        raise OracleError(f"{path}: the equation {layer.equation!r} has no counterpart", "port it by hand")
    rows = math.prod(kernel.shape[:summed])
    role, bias_role = f"{prefix}kernel", f"{prefix}bias"
    values: dict[str, np.ndarray] = {role: kernel.reshape(rows, -1)}
    words = "as it is" if kernel.ndim == 2 else "heads split"
    writers = [
        Writer(_at(path, "kernel"), kernel.shape, (role,), lambda v: v[role].reshape(kernel.shape), layer.kernel.assign,
               words)
    ]  # fmt: skip
    if layer.bias is not None:
        bias = _numpy(layer.bias)
        values[bias_role] = bias.reshape(-1)
        writers.append(
            Writer(_at(path, "bias"), bias.shape, (bias_role,), lambda v: v[bias_role].reshape(bias.shape),
                   layer.bias.assign, words)
        )  # fmt: skip
    return Unit(path, "dense", values, tuple(writers))


def _custom(path: str, layer: Any) -> Unit:
    """A layer of the user's: the weights that no inner layer holds, in order."""
    inner = {id(w) for child in getattr(layer, "_layers", ()) for w in getattr(child, "weights", ())}
    inner |= {id(w) for child in getattr(layer, "layers", ()) for w in getattr(child, "weights", ())}
    own = [w for w in getattr(layer, "weights", ()) if id(w) not in inner]
    own = [w for w in own if "float" in str(w.dtype)]
    return _unit(path, "custom", [_pair(path, w.name, w, f"p{k}") for k, w in enumerate(own)])


_SINGLE: dict[str, Callable[[str, Any], Unit]] = {
    "EinsumDense": _einsum, "PReLU": _prelu, "MultiHeadAttention": _attention, "DepthwiseConv1D": _depthwise,
    "DepthwiseConv2D": _depthwise,
}  # fmt: skip


def _flattened_features(model: Any) -> dict[int, tuple[int, ...]]:
    """For each dense layer behind a flattened image of a built graph: the image's shape, channels last."""
    found: dict[int, tuple[int, ...]] = {}
    for layer in getattr(model, "layers", ()):
        found |= _flattened_features(layer)
        for node in getattr(layer, "_inbound_nodes", ()) if _kind(layer) == "Dense" else ():
            shape = _before_flatten(list(node.input_tensors))
            if shape:
                found[id(layer)] = shape
    return found


# What changes neither the order of features nor whether they are an image.
_TRANSPARENT = ("Dropout", "Activation", "ReLU", "LeakyReLU", "PReLU", "ELU", "BatchNormalization",
                "LayerNormalization", "GroupNormalization", "GaussianNoise", "GaussianDropout", "AlphaDropout", "Add",
                "Multiply", "Concatenate", "Rescaling")  # fmt: skip
_IMAGES = ("Conv", "DepthwiseConv", "SeparableConv", "MaxPooling", "AveragePooling", "UpSampling", "ZeroPadding",
           "Cropping", "SpatialDropout", "InputLayer")  # fmt: skip


def _before_flatten(tensors: list[Any]) -> tuple[int, ...] | None:
    """The shape of the image that was flattened into these features; None for what is the same in any layout."""
    layer, inputs = _source(tensors)
    while layer is not None and _kind(layer) in _TRANSPARENT:
        layer, inputs = _source(inputs)
    if layer is None or not (_kind(layer) == "Flatten" or (_kind(layer) == "Reshape" and len(layer.target_shape) == 1)):
        return None
    shape = tuple(int(n) for n in inputs[0].shape[1:])
    turned = _kind(layer) == "Flatten" and layer.data_format == "channels_first"
    image, inputs = _source(inputs)
    while image is not None and _kind(image) in _TRANSPARENT:
        image, inputs = _source(inputs)
    if image is None or len(shape) < 2 or not _kind(image).startswith(_IMAGES):
        return None
    first = getattr(image, "data_format", "channels_last") == "channels_first"
    if first and not turned:
        return None
    return (*shape[1:], shape[0]) if first else shape


def _source(tensors: list[Any]) -> tuple[Any, list[Any]]:
    """The layer that made the first of these tensors, and what it made it of."""
    history = getattr(tensors[0], "_keras_history", None) if tensors else None
    if history is None or history.operation is None or not history.operation._inbound_nodes:
        return None, []
    node = history.operation._inbound_nodes[history.node_index]
    return history.operation, list(node.input_tensors)
