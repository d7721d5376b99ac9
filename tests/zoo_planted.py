"""Causes planted in models of twenty layers: a model is a list of layer specifications, a plant changes some of them.

The unchanged list is built in torch; the changed one in torch or in Keras, with the same weights. What `compare` names
is held against what was planted.
"""
# ruff: noqa: PLC0415 - the backend is chosen before Keras is imported

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from zoo_compare import carry, gates, images, randomize, sequences

DEPTH = 20


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
Plant = Callable[[Model, int, random.Random], Model]
PLANTS: dict[str, tuple[tuple[str, ...], Plant]] = {}


def plant(code: str, *kinds: str) -> Callable[[Plant], Plant]:
    """Register a plant of `code` for layers of these kinds."""

    def register(function: Plant) -> Plant:
        PLANTS[f"{code}/{function.__name__}"] = (kinds, function)
        return function

    return register


# Models.

_ACTS = ("relu", "gelu", "leaky_relu", "elu", "silu", "tanh", "softplus", "hard_sigmoid")
_IMAGE = ("conv", "batch_norm", "act", "conv", "group_norm", "act", "avg_pool", "conv", "act", "max_pool", "dropout",
          "conv", "act", "resample", "batch_norm", "conv", "flatten", "dense", "act", "dense")  # fmt: skip
_VECTOR = ("dense", "layer_norm", "act", "dense", "act", "dropout", "dense", "layer_norm", "act", "dense", "act",
           "rms_norm", "dense", "act", "dense", "layer_norm", "dense", "act", "dense", "softmax")  # fmt: skip
_SEQUENCE = ("dense", "act", "lstm", "layer_norm", "dense", "attention", "act", "gru", "dense", "act", "layer_norm",
             "attention", "dense", "lstm", "act", "dense", "layer_norm", "gru", "dense", "dense")  # fmt: skip
BODIES = {"image": _IMAGE, "vector": _VECTOR, "sequence": _SEQUENCE}
WIDTH = 6


def model(body: str, rng: random.Random) -> Model:
    """A model of twenty layers with activations drawn at random."""
    specs = []
    for key, kind in enumerate(BODIES[body]):
        settings = {"name": rng.choice(_ACTS)} if kind == "act" else {}
        if kind == "conv":
            settings = {"inputs": 3 if key == 0 else WIDTH}
        if kind == "dense":
            first = WIDTH * 64 if body == "image" and BODIES[body][key - 1] == "flatten" else WIDTH
            settings = {"inputs": first}
        specs.append(Spec(kind, settings, key))
    return specs


def inputs(body: str) -> tuple[Any, np.ndarray]:
    """The same input for torch and for Keras."""
    return images(3, 8) if body == "image" else sequences(5, WIDTH, 3)


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
    from torch import nn

    s = spec.settings
    match spec.kind:
        case "conv":
            lo, hi = s.get("pads", (1, 1))
            if lo == hi:
                return nn.Conv2d(s["inputs"], WIDTH, 3, padding=lo)
            return _then(nn.Conv2d(s["inputs"], WIDTH, 3), before=nn.ZeroPad2d((lo, hi, lo, hi)))
        case "dense":
            return nn.Linear(s["inputs"], WIDTH)
        case "batch_norm":
            return nn.BatchNorm2d(WIDTH, eps=s.get("eps", 1e-5)).train(s.get("training", False))
        case "group_norm":
            return nn.GroupNorm(2, WIDTH, eps=s.get("eps", 1e-5))
        case "layer_norm":
            return nn.LayerNorm(WIDTH, eps=s.get("eps", 1e-5))
        case "rms_norm":
            return nn.RMSNorm(WIDTH, eps=s.get("eps", 1e-5))
        case "avg_pool":
            return nn.AvgPool2d(3, 1, 1, count_include_pad=s.get("counted", False))
        case "max_pool":
            lo, hi = s.get("pads", (1, 1))
            pad = nn.ConstantPad2d((lo, hi, lo, hi), float("-inf"))
            return nn.MaxPool2d(3, 1, 1) if lo == hi else _then(nn.MaxPool2d(3, 1), before=pad)
        case "resample":
            mode = {"mode": "nearest"} if s.get("nearest") else {"mode": "bilinear", "align_corners": s.get("align", False)}
            return nn.Sequential(nn.AvgPool2d(2), nn.Upsample(scale_factor=2, **mode))
        case "flatten":
            return _Call(lambda x: (x.permute(0, 2, 3, 1) if s.get("last") else x).flatten(1))
        case "dropout":
            return nn.Dropout(0.4).train(s.get("training", False))
        case "softmax":
            return nn.Softmax(s.get("axis", -1))
        case "act":
            return _torch_activation(s["name"], s.get("parameter"))
        case "lstm" | "gru":
            return _torch_recurrent(spec)
        case "attention":
            return _torch_attention(s)
    raise ValueError(spec.kind)


def _torch_activation(name: str, parameter: float | None) -> Any:
    from torch import nn

    table = {
        "relu": nn.ReLU, "gelu": nn.GELU, "gelu_tanh": lambda: nn.GELU("tanh"), "silu": nn.SiLU, "tanh": nn.Tanh,
        "softplus": nn.Softplus, "hard_sigmoid": nn.Hardsigmoid, "sigmoid": nn.Sigmoid, "selu": nn.SELU,
        "softsign": nn.Softsign, "hard_silu": nn.Hardswish, "mish": nn.Mish, "identity": nn.Identity,
    }  # fmt: skip
    if name == "leaky_relu":
        return nn.LeakyReLU(0.2 if parameter is None else parameter)
    return nn.ELU(1.0 if parameter is None else parameter) if name == "elu" else table[name]()


def _Call(function: Callable) -> Any:
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


def _torch_recurrent(spec: Spec) -> Any:
    from torch import nn

    s = spec.settings
    base = nn.LSTM if spec.kind == "lstm" else nn.GRU

    class Recurrent(base):  # type: ignore[misc, valid-type]
        def forward(self, x: Any) -> Any:
            if s.get("backwards"):
                return super().forward(x.flip(1))[0]
            return super().forward(x)[0]

    Recurrent.__name__ = base.__name__
    return Recurrent(WIDTH, WIDTH, batch_first=not s.get("time_first", False))


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
    for pair in pairs:  # a GRU that resets before the product has one bias: the sum
        del pair
    return made


def _keras_pairs(source: Any, layers: list[Any]) -> list[tuple[Any, Any]]:
    if len(layers) == 3:
        return list(zip((source.q, source.k, source.v), layers, strict=True))
    return [(source, layers[0])] if list(source.parameters()) else []


def _keras_layer(spec: Spec, x: Any) -> tuple[Any, list[Any]]:
    from keras import layers, ops

    s = spec.settings
    match spec.kind:
        case "conv":
            pads = s.get("pads", (1, 1))
            layer = layers.Conv2D(WIDTH, 3, padding="same" if pads == (1, 1) else "valid")
            return layer(x if pads == (1, 1) else layers.ZeroPadding2D((pads, pads))(x)), [layer]
        case "dense":
            return _applied(layers.Dense(WIDTH), x)
        case "batch_norm":
            layer = layers.BatchNormalization(epsilon=s.get("eps", 1e-5))
            return layer(x, training=s.get("training", False)), [layer]
        case "group_norm":
            return _applied(layers.GroupNormalization(2, epsilon=s.get("eps", 1e-5)), x)
        case "layer_norm":
            return _applied(layers.LayerNormalization(epsilon=s.get("eps", 1e-5)), x)
        case "rms_norm":
            return _applied(layers.RMSNormalization(epsilon=s.get("eps", 1e-5)), x)
        case "avg_pool":
            if s.get("counted"):
                return layers.AveragePooling2D(3, 1)(layers.ZeroPadding2D(1)(x)), []
            return layers.AveragePooling2D(3, 1, padding="same")(x), []
        case "max_pool":
            pads = s.get("pads", (1, 1))
            if pads == (1, 1):
                return layers.MaxPooling2D(3, 1, padding="same")(x), []
            padded = layers.Lambda(lambda v: ops.pad(v, ((0, 0), pads, pads, (0, 0)), constant_values=-1e30))(x)
            return layers.MaxPooling2D(3, 1)(padded), []
        case "resample":
            small = layers.AveragePooling2D(2)(x)
            if s.get("align"):
                return layers.UpSampling2D(2, interpolation="nearest")(small), []
            return layers.UpSampling2D(2, interpolation="nearest" if s.get("nearest") else "bilinear")(small), []
        case "flatten":
            return layers.Flatten()(x if s.get("last") else layers.Permute((3, 1, 2))(x)), []
        case "dropout":
            return layers.Dropout(0.4)(x, training=s.get("training", False)), []
        case "softmax":
            return layers.Softmax(s.get("axis", -1))(x), []
        case "act":
            return _keras_activation(s["name"], s.get("parameter"))(x), []
        case "lstm":
            return _applied(layers.LSTM(WIDTH, return_sequences=True, go_backwards=s.get("backwards", False)), x)
        case "gru":
            return _applied(layers.GRU(WIDTH, return_sequences=True, go_backwards=s.get("backwards", False)), x)
        case "attention":
            return _keras_attention(s, x)
    raise ValueError(spec.kind)


def _applied(layer: Any, x: Any) -> tuple[Any, list[Any]]:
    return layer(x), [layer]


def _keras_activation(name: str, parameter: float | None) -> Any:
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


# Plants.


def _changed(specs: Model, at: int, spec: Spec) -> Model:
    return [*specs[:at], spec, *specs[at + 1 :]]


def _setting(name: str, *values: Any) -> Plant:
    def planted(specs: Model, at: int, rng: random.Random) -> Model:
        return _changed(specs, at, specs[at].having(**{name: rng.choice(values)}))

    return planted


def _register(code: str, kinds: tuple[str, ...], function: Plant, name: str = "plain") -> None:
    PLANTS[f"{code}/{name}"] = (kinds, function)


_NORMS = ("batch_norm", "group_norm", "layer_norm", "rms_norm")
_register("eps", _NORMS, _setting("eps", 1e-3, 1e-2, 1e-6))
_register("train-eval-mode", ("batch_norm",), _setting("training", True))
_register("dropout-active", ("dropout",), _setting("training", True))
_register("padding", ("conv",), _setting("pads", (2, 0), (0, 2)))
_register("pool-padding", ("avg_pool",), _setting("counted", True), "counted")
_register("pool-padding", ("max_pool",), _setting("pads", (2, 0), (0, 2)), "sides")
_register("flatten-order", ("flatten",), _setting("last", True))
_register("resize-convention", ("resample",), _setting("align", True))
_register("softmax-axis", ("softmax",), _setting("axis", 1))
_register("reverse-direction", ("lstm", "gru"), _setting("backwards", True))
_register("attention-scale", ("attention",), _setting("scale", 1.0, WIDTH**-0.5))
_register("attention-mask", ("attention",), _setting("causal", True))


@plant("gelu-form", "act")
def tanh_gelu(specs: Model, at: int, rng: random.Random) -> Model:
    """The tanh form; the activation is made a GELU on both sides by `prepared`."""
    return _changed(specs, at, specs[at].having(name="gelu_tanh"))


@plant("activation-slope", "act")
def slope(specs: Model, at: int, rng: random.Random) -> Model:
    parameter = rng.choice((0.01, 0.3, 0.5))
    return _changed(specs, at, specs[at].having(parameter=parameter))


@plant("activation-variant", "act")
def variant(specs: Model, at: int, rng: random.Random) -> Model:
    others = [n for n in (*_ACTS, "selu", "softsign", "sigmoid", "mish", "hard_silu") if n != specs[at].settings["name"]]
    return _changed(specs, at, Spec("act", {"name": rng.choice(others)}, specs[at].key))


@plant("missing-node", "act", "layer_norm")
def left_out(specs: Model, at: int, rng: random.Random) -> Model:
    return _changed(specs, at, Spec("act", {"name": "identity"}, -at - 2))


@plant("extra-node", "dense", "conv")
def twice(specs: Model, at: int, rng: random.Random) -> Model:
    extra = Spec("act", {"name": rng.choice(("tanh", "sigmoid", "softsign"))}, -at - 2)
    return [*specs[: at + 1], extra, *specs[at + 1 :]]


@plant("double-softmax", "softmax")
def softmax_again(specs: Model, at: int, rng: random.Random) -> Model:
    return [*specs[: at + 1], replace(specs[at], key=-at - 2), *specs[at + 1 :]]


def _weights(change: Callable[[Any], None]) -> Plant:
    def planted(specs: Model, at: int, rng: random.Random) -> Model:
        return _changed(specs, at, replace(specs[at], change=change))

    return planted


def _flip(module: Any) -> None:
    module.weight.copy_(module.weight.flip(2, 3).clone())


def _transpose(module: Any) -> None:
    w = module.weight
    module.weight.copy_((w.T if w.dim() == 2 else w.transpose(0, 1)).clone())


def _other(module: Any) -> None:
    module.weight.mul_(1.01).add_(0.003)


def _zero_bias(module: Any) -> None:
    module.bias.zero_()


def _fresh_statistics(module: Any) -> None:
    module.running_mean.zero_()
    module.running_var.fill_(1.0)


def _gates_moved(module: Any) -> None:
    import torch

    count = 4 if "LSTM" in type(module).__name__ else 3
    order = (0, 2, 1, 3) if count == 4 else (1, 0, 2)
    for parameter in module.parameters():
        parameter.copy_(torch.from_numpy(gates(parameter.detach().numpy().copy(), order, count)))


def _bias_twice(module: Any) -> None:
    module.bias.mul_(2)


def _forget_one(module: Any) -> None:
    module.bias_ih_l0[WIDTH : 2 * WIDTH].add_(1.0)


_register("kernel-flip", ("conv",), _weights(_flip))
_register("kernel-layout", ("dense", "conv"), _weights(_transpose))
_register("weights-differ", ("dense", "conv"), _weights(_other))
_register("weights-not-loaded", ("dense", "conv", "layer_norm"), _weights(_zero_bias), "bias")
_register("weights-not-loaded", ("batch_norm",), _weights(_fresh_statistics), "statistics")
_register("gate-order", ("lstm", "gru"), _weights(_gates_moved))
_register("double-bias", ("dense", "conv"), _weights(_bias_twice))
_register("forget-bias", ("lstm",), _weights(_forget_one))


def prepared(code: str, specs: Model, at: int, rng: random.Random) -> Model:
    """What both sides must have before the plant: a GELU, an activation with a slope, a square kernel."""
    if code == "gelu-form":
        return _changed(specs, at, specs[at].having(name="gelu"))
    if code == "activation-slope":
        return _changed(specs, at, specs[at].having(name=rng.choice(("leaky_relu", "elu"))))
    if code == "missing-node" and specs[at].kind == "act":
        return _changed(specs, at, specs[at].having(name=rng.choice(("relu", "tanh", "silu"))))
    return specs


@dataclass(frozen=True)
class Planted:
    """Two models of twenty layers that differ by the causes planted, and their inputs."""

    codes: tuple[str, ...]
    a: Any
    b: Any
    x_a: Any
    x_b: Any


def planted(names: Sequence[str], seed: int, framework: str) -> Planted | None:
    """The causes `names`, each in a layer of its own drawn at random; None where no body has room for them all."""
    rng = random.Random(f"{seed} {names} {framework}")  # noqa: S311 - reproducible, not secret
    bodies = [b for b in BODIES if all(set(PLANTS[n][0]) & set(BODIES[b]) for n in names)]
    if not bodies:
        return None
    body = rng.choice(bodies)
    specs = model(body, rng)
    places: list[int] = []
    for name in names:
        fitting = [k for k, s in enumerate(specs) if _fits(name, s, k) and k not in places]
        if not fitting:
            return None
        places.append(rng.choice(fitting))
    for name, at in zip(names, places, strict=True):
        specs = prepared(name.partition("/")[0], specs, at, rng)
    changed = list(specs)
    for name, at in sorted(zip(names, places, strict=True), key=lambda p: -p[1]):
        changed = PLANTS[name][1](changed, at, rng)
    x_t, x_k = inputs(body)
    weights: dict[int, Any] = {}
    a = torch_model(specs, weights)
    codes = tuple(n.partition("/")[0] for n in names)
    if framework == "torch":
        return Planted(codes, a, torch_model(changed, weights), x_t, x_t)
    return Planted(codes, a, keras_model(changed, weights, x_k), x_t, x_k)


def _fits(name: str, spec: Spec, at: int) -> bool:
    if spec.kind not in PLANTS[name][0]:
        return False
    square = spec.kind not in ("dense", "conv") or spec.settings["inputs"] == WIDTH
    return square or not name.startswith("kernel-layout")


def found_codes(case: Planted) -> tuple[str, ...]:
    """What `compare` names."""
    from oracle.comparing import compare

    return tuple(c.code for c in compare(case.a, case.b, inputs_a=case.x_a, inputs_b=case.x_b, budgets=False).causes)
