"""Causes planted in models of twenty layers: a model is a list of layer specifications, a plant changes some of them.

The unchanged list is built in torch; the changed one in torch or in Keras, with the same weights. What `compare` names
is held against what was planted.
"""
# ruff: noqa: PLC0415 - the backend is chosen before Keras is imported

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from zoo_compare import gates, images, sequences
from zoo_planted_models import WIDTH, Model, Spec, keras_model, torch_model

DEPTH = 20


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
_register("pool-padding", ("avg_pool",), _setting("count_include_pad", True), "counted")
_register("pool-padding", ("max_pool",), _setting("pads", (2, 0), (0, 2)), "sides")
_register("flatten-order", ("flatten",), _setting("last", True))
_register("resize-convention", ("resample",), _setting("align", True))
_register("softmax-axis", ("softmax",), _setting("dim", 1))
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
    others = [
        n for n in (*_ACTS, "selu", "softsign", "sigmoid", "mish", "hard_silu") if n != specs[at].settings["name"]
    ]
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
    rng = random.Random(f"{seed} {names} {framework}")
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
    from oracle.comparisons.comparing import compare

    return tuple(c.code for c in compare(case.a, case.b, inputs_a=case.x_a, inputs_b=case.x_b, budgets=False).causes)
