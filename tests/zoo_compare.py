"""Architectures written twice, in torch and in Keras, with the weights carried over by hand: correct ports.

`KERAS_BACKEND=jax python tests/zoo_compare.py [NAME ...]` compares them on one backend, a JSON line for each.
"""
# ruff: noqa: PLC0415 - the backend is chosen before Keras is imported

import json
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass
class Port:
    """A model in both frameworks, its inputs in each layout, and a target for both losses."""

    torch: Any
    keras: Any
    x_torch: Any
    x_keras: Any
    target: Any = None
    train: bool = True


def images(channels: int = 3, size: int = 8, batch: int = 2, seed: int = 0) -> tuple[Any, np.ndarray]:
    """The same images for torch (NCHW) and Keras (NHWC)."""
    import torch

    x = np.random.default_rng(seed).normal(size=(batch, size, size, channels)).astype(np.float32)
    return torch.from_numpy(np.ascontiguousarray(x.transpose(0, 3, 1, 2))), x


def sequences(length: int = 5, features: int = 6, batch: int = 3) -> tuple[Any, np.ndarray]:
    """The same sequences for both, (batch, time, features)."""
    import torch

    x = np.random.default_rng(1).normal(size=(batch, length, features)).astype(np.float32)
    return torch.from_numpy(x.copy()), x


def tokens(length: int = 6, vocabulary: int = 11, batch: int = 2) -> tuple[Any, np.ndarray]:
    """The same token indices for both, none of them zero."""
    import torch

    x = np.random.default_rng(2).integers(1, vocabulary, (batch, length))
    return torch.from_numpy(x), x.astype(np.int32)


def randomize(model: Any, seed: int = 3) -> Any:
    """Give every parameter and running statistic of a torch model a random value: nothing is left at ones or zeros."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in [*model.named_parameters(), *model.named_buffers()]:
            if p.dtype.is_floating_point:
                noise = torch.randn(p.shape, generator=generator)
                fan = max(int(np.prod(p.shape[1:])), 1)
                scale = 1 + 0.3 * noise
                if "running_var" in name:
                    p.copy_(scale.abs() + 0.2)
                elif p.dim() == 1 and name.endswith("weight"):
                    p.copy_(scale)
                else:
                    p.copy_(noise * (0.3 if p.dim() == 1 else (1.5 / fan) ** 0.5))
    return model


def carry(pairs: Iterable[tuple[Any, Any]]) -> None:
    """Copy the weights of each torch module into the Keras layer beside it."""
    for module, layer in pairs:
        layer.set_weights([np.array(w) for w in _weights(module, layer)])  # JAX would share the memory


def _weights(module: Any, layer: Any) -> list[np.ndarray]:
    state = {k: v.detach().numpy() for k, v in module.state_dict().items()}
    return _CARRIERS[type(module).__name__](state, layer)


def _kernel(axes: tuple[int, ...]) -> Callable:
    def carried(state: dict, layer: Any) -> list[np.ndarray]:
        return [state["weight"].transpose(axes), *([state["bias"]] if "bias" in state else [])]

    return carried


def _conv2d(state: dict, layer: Any) -> list[np.ndarray]:
    if type(layer).__name__ == "DepthwiseConv2D":
        channels, multiplier = layer.weights[0].shape[2:]
        kernel = state["weight"].reshape(channels, multiplier, *state["weight"].shape[2:]).transpose(2, 3, 0, 1)
        return [kernel, *([state["bias"]] if "bias" in state else [])]
    return _kernel((2, 3, 1, 0))(state, layer)


def _batch_norm(state: dict, layer: Any) -> list[np.ndarray]:
    return [state[k] for k in ("weight", "bias", "running_mean", "running_var")]


def _affine(state: dict, layer: Any) -> list[np.ndarray]:
    return [state[k] for k in ("weight", "bias") if k in state]


def gates(x: np.ndarray, order: Iterable[int], parts: int) -> np.ndarray:
    """The stacked gates of `x` along its first axis in another order."""
    blocks = np.split(x, parts)
    return np.concatenate([blocks[k] for k in order])


def _lstm(state: dict, layer: Any) -> list[np.ndarray]:
    def one(suffix: str) -> list[np.ndarray]:
        ih, hh = state[f"weight_ih_l0{suffix}"], state[f"weight_hh_l0{suffix}"]
        return [ih.T, hh.T, state[f"bias_ih_l0{suffix}"] + state[f"bias_hh_l0{suffix}"]]

    return one("") + (one("_reverse") if "weight_ih_l0_reverse" in state else [])


def _gru(state: dict, layer: Any) -> list[np.ndarray]:
    def one(suffix: str) -> list[np.ndarray]:
        parts = [
            gates(state[f"{k}_l0{suffix}"], (1, 0, 2), 3) for k in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        ]
        return [parts[0].T, parts[1].T, np.stack(parts[2:])]

    return one("") + (one("_reverse") if "weight_ih_l0_reverse" in state else [])


def _rnn(state: dict, layer: Any) -> list[np.ndarray]:
    return _lstm(state, layer)


def _attention(state: dict, layer: Any) -> list[np.ndarray]:
    """torch stacks the projections; Keras keeps (features, heads, size) kernels."""
    weight, bias = np.split(state["in_proj_weight"], 3), np.split(state["in_proj_bias"], 3)
    heads, size = layer.num_heads, layer.key_dim
    parts = []
    for w, b in zip(weight, bias, strict=True):
        parts += [w.T.reshape(-1, heads, size), b.reshape(heads, size)]
    out = state["out_proj.weight"].T.reshape(heads, size, -1)
    return [*parts, out, state["out_proj.bias"]]


_CARRIERS: dict[str, Callable[[dict, Any], list[np.ndarray]]] = {
    "Linear": _kernel((1, 0)), "Conv1d": _kernel((2, 1, 0)), "Conv2d": _conv2d,
    "ConvTranspose2d": _kernel((2, 3, 1, 0)), "ConvTranspose1d": _kernel((2, 1, 0)),
    "BatchNorm1d": _batch_norm, "BatchNorm2d": _batch_norm, "LayerNorm": _affine, "GroupNorm": _affine,
    "RMSNorm": _affine, "Embedding": _affine, "LSTM": _lstm, "GRU": _gru, "RNN": _rnn,
    "MultiheadAttention": _attention,
}  # fmt: skip


def functional(inputs: Any, call: Callable[[Any], Any], batch: int = 2) -> Any:
    """A Keras model of `call` on arrays like `inputs`."""
    import keras

    given = keras.Input(inputs.shape[1:], dtype=str(inputs.dtype))
    return keras.Model(given, call(given))


def chained(*layers: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The composition of layers, first to last."""

    def call(x: Any) -> Any:
        for layer in layers:
            x = layer(x)
        return x

    return call


def measure(name: str, train: bool) -> dict[str, Any]:
    """Compare one architecture; what was found, as plain data."""
    import zoo_ports

    start = time.perf_counter()
    found = compare_port(zoo_ports.PORTS[name](), train)
    return {
        "name": name, "train": train, "verdict": str(found.verdict), "causes": [c.code for c in found.causes],
        "targets": len(found.targets), "aligned": found.aligned, "unmatched": found.unmatched,
        "accused": [f"{a.side}:{a.op} {a.budget_used:.3g}" for a in found.accused],
        "seconds": round(time.perf_counter() - start, 2),
    }  # fmt: skip


def compare_port(port: Port, train: bool = False, **options: Any) -> Any:
    """`oracle.compare` of the torch and the Keras side; with `train`, mean squared error and its gradients too."""
    from oracle.comparisons.comparing import compare

    port.torch.train(train)
    if not train:
        return compare(port.torch, port.keras, inputs_a=port.x_torch, inputs_b=port.x_keras, **options)
    import torch

    losses = (torch.nn.functional.mse_loss, "mean_squared_error")
    shape = tuple(port.torch.eval()(port.x_torch).shape)  # a call in training would move the running statistics
    port.torch.train()
    target = np.random.default_rng(9).normal(size=shape).astype(np.float32)
    ours = target.transpose(0, 2, 3, 1) if target.ndim == 4 else target
    return compare(
        port.torch, port.keras, inputs_a=port.x_torch, inputs_b=port.x_keras, train_step=True, loss=losses,
        target=(torch.from_numpy(target), ours), **options,
    )  # fmt: skip


def main(chosen: list[str]) -> None:
    """A JSON line for each architecture, forward and with gradients."""
    import zoo_ports

    for name in chosen or list(zoo_ports.PORTS):
        for train in (False, True):
            try:
                print(json.dumps(measure(name, train)), flush=True)
            except Exception as error:
                print(
                    json.dumps({"name": name, "train": train, "error": f"{type(error).__name__}: {error}"[:600]}),
                    flush=True,
                )


if __name__ == "__main__":
    main(sys.argv[1:])
