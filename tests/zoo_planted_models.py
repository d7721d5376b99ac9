"""Layer specifications built in torch and in Keras with the same weights: what causes are planted in."""
# ruff: noqa: PLC0415 - the backend is chosen before Keras is imported

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from zoo_compare import carry, randomize

WIDTH = 6


@dataclass(frozen=True)
class Spec:
    """One layer: its kind, its settings, the layer whose weights it has, and what was done to those weights."""

    kind: str
    settings: dict[str, Any] = field(default_factory=dict)
    key: int = -1
    change: Callable[[Any], None] | None = None

    def having(self, **settings: Any) -> "Spec":
        """The same with other settings."""
        return replace(self, settings={**self.settings, **settings})


Model = list[Spec]
Settings = dict[str, Any]
SAME = (1, 1)


# torch.


def torch_model(specs: Model, weights: dict[int, Any]) -> Any:
    """The model in torch; layers of a known key take the weights of that module in `weights`, others go there."""
    import torch
    from torch import nn

    modules = []
    for spec in specs:
        module = _torch_layer(spec)
        if spec.key in weights:
            module.load_state_dict(weights[spec.key].state_dict())
        else:
            weights[spec.key] = randomize(module, seed=spec.key + 10)
        if spec.change is not None:
            with torch.no_grad():
                spec.change(module)
        modules.append(module)
    return nn.Sequential(*modules)


def _torch_layer(spec: Spec) -> Any:
    return _TORCH[spec.kind](spec.settings)


def _torch_conv(s: Settings) -> Any:
    from torch import nn

    lo, hi = s.get("pads", SAME)
    if lo == hi:
        return nn.Conv2d(s["inputs"], WIDTH, 3, padding=lo)
    return _then(nn.Conv2d(s["inputs"], WIDTH, 3), before=nn.ZeroPad2d((lo, hi, lo, hi)))


def _torch_max_pool(s: Settings) -> Any:
    from torch import nn

    lo, hi = s.get("pads", SAME)
    pad = nn.ConstantPad2d((lo, hi, lo, hi), float("-inf"))
    return nn.MaxPool2d(3, 1, 1) if lo == hi else _then(nn.MaxPool2d(3, 1), before=pad)


def _torch_resample(s: Settings) -> Any:
    from torch import nn

    align = s.get("align", False)
    return nn.Sequential(nn.AvgPool2d(2), nn.Upsample(scale_factor=2, mode="bilinear", align_corners=align))


def _torch_flatten(s: Settings) -> Any:
    return _called(lambda x: (x.permute(0, 2, 3, 1) if s.get("last") else x).flatten(1))


def _torch(name: str, *given: Any, **of_settings: Any) -> Callable[[Settings], Any]:
    """A module of `torch.nn`; `of_settings` are its arguments' defaults, unless the settings say otherwise."""

    def build(s: Settings) -> Any:
        from torch import nn

        return getattr(nn, name)(*given, **{k: s.get(k, default) for k, default in of_settings.items()})

    return build


def _in_mode(build: Callable[[Settings], Any]) -> Callable[[Settings], Any]:
    return lambda s: build(s).train(s.get("training", False))


def _torch_activation(s: Settings) -> Any:
    from torch import nn

    name, parameter = s["name"], s.get("parameter")
    table = {
        "relu": nn.ReLU, "gelu": nn.GELU, "gelu_tanh": lambda: nn.GELU("tanh"), "silu": nn.SiLU, "tanh": nn.Tanh,
        "softplus": nn.Softplus, "hard_sigmoid": nn.Hardsigmoid, "sigmoid": nn.Sigmoid, "selu": nn.SELU,
        "softsign": nn.Softsign, "hard_silu": nn.Hardswish, "mish": nn.Mish, "identity": nn.Identity,
    }  # fmt: skip
    if name == "leaky_relu":
        return nn.LeakyReLU(0.2 if parameter is None else parameter)
    return nn.ELU(1.0 if parameter is None else parameter) if name == "elu" else table[name]()


def _called(function: Callable) -> Any:
    from torch import nn

    class Call(nn.Module):
        def forward(self, x: Any) -> Any:
            return function(x)

    return Call()


def _then(inner: Any, before: Any) -> Any:
    """`inner` with something without weights before it; its state is that of `inner`."""

    class Then(type(inner)):  # type: ignore[misc]
        def forward(self, x: Any) -> Any:
            return super().forward(before(x))

    inner.__class__ = Then
    return inner


def _torch_recurrent(name: str) -> Callable[[Settings], Any]:
    def build(s: Settings) -> Any:
        from torch import nn

        class Recurrent(getattr(nn, name)):  # type: ignore[misc]
            def forward(self, x: Any) -> Any:
                return super().forward(x.flip(1) if s.get("backwards") else x)[0]

        Recurrent.__name__ = name
        return Recurrent(WIDTH, WIDTH, batch_first=True)

    return build


def _torch_attention(s: dict[str, Any]) -> Any:
    from torch import nn

    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.q, self.k, self.v = (nn.Linear(WIDTH, WIDTH) for _ in range(3))

        def forward(self, x: Any) -> Any:
            heads = [p(x).unflatten(-1, (2, -1)).transpose(1, 2) for p in (self.q, self.k, self.v)]
            y = nn.functional.scaled_dot_product_attention(
                *heads, is_causal=s.get("causal", False), scale=s.get("scale", (WIDTH / 2) ** -0.5)
            )
            return y.transpose(1, 2).flatten(2)

    return Attention()


_TORCH: dict[str, Callable[[Settings], Any]] = {
    "conv": _torch_conv, "dense": lambda s: _torch("Linear", s["inputs"], WIDTH)(s),
    "batch_norm": _in_mode(_torch("BatchNorm2d", WIDTH, eps=1e-5)),
    "group_norm": _torch("GroupNorm", 2, WIDTH, eps=1e-5),
    "layer_norm": _torch("LayerNorm", WIDTH, eps=1e-5), "rms_norm": _torch("RMSNorm", WIDTH, eps=1e-5),
    "avg_pool": _torch("AvgPool2d", 3, 1, 1, count_include_pad=False), "max_pool": _torch_max_pool,
    "resample": _torch_resample, "flatten": _torch_flatten, "dropout": _in_mode(_torch("Dropout", 0.4)),
    "softmax": _torch("Softmax", dim=-1), "act": _torch_activation, "lstm": _torch_recurrent("LSTM"),
    "gru": _torch_recurrent("GRU"), "attention": _torch_attention,
}  # fmt: skip


# Keras.


def keras_model(specs: Model, weights: dict[int, Any], x: np.ndarray) -> Any:
    """The model in Keras with the weights of the torch modules in `weights`."""
    import copy

    import keras
    import torch

    given = keras.Input(x.shape[1:])
    y, pairs = given, []
    for spec in specs:
        y, layers = _keras_layer(spec, y)
        source = weights.get(spec.key)
        if source is not None and layers:
            if spec.change is not None:
                source = copy.deepcopy(source)
                with torch.no_grad():
                    spec.change(source)
            pairs += _keras_pairs(source, layers)
    made = keras.Model(given, y)
    carry(pairs)
    return made


def _keras_pairs(source: Any, layers: list[Any]) -> list[tuple[Any, Any]]:
    if len(layers) == 3:
        return list(zip((source.q, source.k, source.v), layers, strict=True))
    return [(source, layers[0])] if list(source.parameters()) else []


def _keras_layer(spec: Spec, x: Any) -> tuple[Any, list[Any]]:
    return _KERAS[spec.kind](spec.settings, x)


def _keras_conv(s: Settings, x: Any) -> tuple[Any, list[Any]]:
    from keras import layers

    pads = s.get("pads", SAME)
    layer = layers.Conv2D(WIDTH, 3, padding="same" if pads == SAME else "valid")
    return layer(x if pads == SAME else layers.ZeroPadding2D((pads, pads))(x)), [layer]


def _keras_batch_norm(s: Settings, x: Any) -> tuple[Any, list[Any]]:
    from keras import layers

    layer = layers.BatchNormalization(epsilon=s.get("eps", 1e-5))
    return layer(x, training=s.get("training", False)), [layer]


def _keras_avg_pool(s: Settings, x: Any) -> tuple[Any, list[Any]]:
    from keras import layers

    if s.get("count_include_pad"):
        return layers.AveragePooling2D(3, 1)(layers.ZeroPadding2D(1)(x)), []
    return layers.AveragePooling2D(3, 1, padding="same")(x), []


def _keras_max_pool(s: Settings, x: Any) -> tuple[Any, list[Any]]:
    from keras import layers, ops

    pads = s.get("pads", SAME)
    if pads == SAME:
        return layers.MaxPooling2D(3, 1, padding="same")(x), []
    padded = layers.Lambda(lambda v: ops.pad(v, ((0, 0), pads, pads, (0, 0)), constant_values=-1e30))(x)
    return layers.MaxPooling2D(3, 1)(padded), []


def _keras_resample(s: Settings, x: Any) -> tuple[Any, list[Any]]:
    from keras import layers

    interpolation = "nearest" if s.get("align") else "bilinear"
    return layers.UpSampling2D(2, interpolation=interpolation)(layers.AveragePooling2D(2)(x)), []


def _keras_flatten(s: Settings, x: Any) -> tuple[Any, list[Any]]:
    from keras import layers

    return layers.Flatten()(x if s.get("last") else layers.Permute((3, 1, 2))(x)), []


def _keras_dropout(s: Settings, x: Any) -> tuple[Any, list[Any]]:
    from keras import layers

    return layers.Dropout(0.4)(x, training=s.get("training", False)), []


def _keras_softmax(s: Settings, x: Any) -> tuple[Any, list[Any]]:
    from keras import layers

    return layers.Softmax(s.get("dim", -1))(x), []


def _keras(name: str, *given: Any, **fixed: Any) -> Callable[[Settings, Any], tuple[Any, list[Any]]]:
    """A layer of Keras with weights; `eps` and `backwards` are taken from the settings."""

    def build(s: Settings, x: Any) -> tuple[Any, list[Any]]:
        import keras

        asked = {"epsilon": s.get("eps", 1e-5)} if "Normalization" in name else {}
        asked |= {"go_backwards": s.get("backwards", False)} if name in ("LSTM", "GRU") else {}
        return _applied(getattr(keras.layers, name)(*given, **fixed, **asked), x)

    return build


def _applied(layer: Any, x: Any) -> tuple[Any, list[Any]]:
    return layer(x), [layer]


def _keras_activation(s: Settings, x: Any) -> tuple[Any, list[Any]]:
    return _keras_function(s["name"], s.get("parameter"))(x), []


def _keras_function(name: str, parameter: float | None) -> Any:
    import keras

    if name == "leaky_relu":
        return keras.layers.LeakyReLU(negative_slope=0.2 if parameter is None else parameter)
    if name == "elu":
        return keras.layers.ELU(alpha=1.0 if parameter is None else parameter)
    if name == "gelu_tanh":
        return keras.layers.Activation(lambda x: keras.activations.gelu(x, approximate=True))
    return keras.layers.Activation({"identity": "linear"}.get(name, name))


def _keras_attention(s: dict[str, Any], x: Any) -> tuple[Any, list[Any]]:
    from keras import layers, ops

    projections = [layers.Dense(WIDTH) for _ in range(3)]
    heads = [ops.transpose(ops.reshape(p(x), (-1, 5, 2, WIDTH // 2)), (0, 2, 1, 3)) for p in projections]
    scores = ops.matmul(heads[0], ops.transpose(heads[1], (0, 1, 3, 2))) * s.get("scale", (WIDTH / 2) ** -0.5)
    if s.get("causal"):
        scores = scores + (1 - np.tri(5, dtype=np.float32)) * -1e9
    y = ops.matmul(ops.softmax(scores), heads[2])
    return ops.reshape(ops.transpose(y, (0, 2, 1, 3)), (-1, 5, WIDTH)), projections


_KERAS: dict[str, Callable[[Settings, Any], tuple[Any, list[Any]]]] = {
    "conv": _keras_conv, "dense": _keras("Dense", WIDTH), "batch_norm": _keras_batch_norm,
    "group_norm": _keras("GroupNormalization", 2), "layer_norm": _keras("LayerNormalization"),
    "rms_norm": _keras("RMSNormalization"), "avg_pool": _keras_avg_pool, "max_pool": _keras_max_pool,
    "resample": _keras_resample, "flatten": _keras_flatten, "dropout": _keras_dropout, "softmax": _keras_softmax,
    "act": _keras_activation, "lstm": _keras("LSTM", WIDTH, return_sequences=True),
    "gru": _keras("GRU", WIDTH, return_sequences=True), "attention": _keras_attention,
}  # fmt: skip
