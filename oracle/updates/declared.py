"""The update rule that an optimizer's class and settings promise; the recorded updates tell whether it was kept."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from oracle.trace import Layer
from oracle.updates.rules import Rule

Settings = Mapping[str, Any]


def declared(layer: Layer | None) -> Rule | None:
    """The rule of a torch or Keras optimizer as recorded under the path "optimizer"; None for one unknown here."""
    if layer is None:
        return None
    makers = _TORCH if layer.kind.startswith("torch.optim.") else _KERAS if layer.kind.startswith("keras.") else {}
    make = makers.get(layer.kind.rpartition(".")[2])
    if make is None:
        return None
    rule = make(layer.settings)
    return _torch_decay(rule, layer) if makers is _TORCH else _keras_common(rule, layer.settings)


# fmt: off
_SHIPPED = frozenset(
    ["adadelta", "adafactor", "adagrad", "adam", "adamax", "adamw", "asgd", "ftrl", "lamb", "lbfgs", "lion", "muon",
     "nadam", "radam", "rmsprop", "rprop", "sgd", "sparseadam"]
)
# fmt: on


def shipped(layer: Layer | None) -> str:
    """The name of an optimizer that torch or Keras ships; nothing for any other."""
    name = (layer.kind if layer else "").rpartition(".")[2].lower()
    return {"adamw": "adam"}.get(name, name) if name in _SHIPPED else ""


def is_foreign(layer: Layer | None) -> bool:
    """Whether it is an optimizer that a framework ships and that no rule here describes."""
    return bool(shipped(layer)) and declared(layer) is None


def _number(settings: Settings, name: str) -> float:
    value = settings.get(name)
    return float(value) if isinstance(value, int | float) else 0.0


def _torch_decay(rule: Rule, layer: Layer) -> Rule:
    decoupled = layer.kind.endswith("AdamW") or layer.settings.get("decoupled_weight_decay")
    form = "decoupled" if decoupled else "coupled"
    return replace(rule, decay=_number(layer.settings, "weight_decay"), decay_form=form)


def _keras_common(rule: Rule, s: Settings) -> Rule:
    clips = (("value", "clipvalue"), ("norm", "clipnorm"), ("global norm", "global_clipnorm"))
    clip, limit = next(((kind, _number(s, name)) for kind, name in clips if s.get(name)), ("off", 0.0))
    return replace(rule, decay=_number(s, "weight_decay"), decay_form="decoupled", clip=clip, limit=limit)


def _torch_betas(s: Settings) -> tuple[float, float]:
    first, second = s["betas"]
    return float(first), float(second)


def _torch_adam(s: Settings) -> Rule:
    return Rule("Adam", *_torch_betas(s), _number(s, "eps"), amsgrad="raw" if s.get("amsgrad") else "off")


def _keras_adam(s: Settings) -> Rule:
    betas = _number(s, "beta_1"), _number(s, "beta_2")
    return Rule("Adam", *betas, _number(s, "epsilon"), "hat", amsgrad="raw" if s.get("amsgrad") else "off")


def _torch_rmsprop(s: Settings) -> Rule:
    centered = bool(s.get("centered"))
    return Rule("RMSprop", _number(s, "momentum"), _number(s, "alpha"), _number(s, "eps"), centered=centered)


def _keras_rmsprop(s: Settings) -> Rule:
    momentum, centered = _number(s, "momentum"), bool(s.get("centered"))
    numbers = (momentum, _number(s, "rho"), _number(s, "epsilon"))
    return Rule("RMSprop", *numbers, "inside", centered=centered, inside=bool(momentum))


def _torch_sgd(s: Settings) -> Rule:
    momentum, dampening = _number(s, "momentum"), _number(s, "dampening")
    return Rule("SGD", momentum, dampening=dampening if momentum else 0.0, nesterov=bool(s.get("nesterov")))


def _keras_sgd(s: Settings) -> Rule:
    momentum = _number(s, "momentum")
    return Rule("SGD", momentum, nesterov=bool(momentum and s.get("nesterov")), inside=bool(momentum))


def _keras_two(family: str, **fixed: Any) -> Callable[[Settings], Rule]:
    return lambda s: Rule(family, _number(s, "beta_1"), _number(s, "beta_2"), _number(s, "epsilon"), **fixed)


_TORCH: dict[str, Callable[[Settings], Rule]] = {
    "SGD": _torch_sgd,
    "Adam": _torch_adam,
    "AdamW": _torch_adam,
    "RMSprop": _torch_rmsprop,
    "Adagrad": lambda s: Rule("Adagrad", eps=_number(s, "eps"), start=_number(s, "initial_accumulator_value")),
    "Adadelta": lambda s: Rule("Adadelta", 0.0, _number(s, "rho"), _number(s, "eps"), "inside"),
    "Adamax": lambda s: Rule("Adamax", *_torch_betas(s), _number(s, "eps"), "inside"),
    "NAdam": lambda s: Rule("Nadam", *_torch_betas(s), _number(s, "eps"), schedule=_number(s, "momentum_decay")),
}
_KERAS: dict[str, Callable[[Settings], Rule]] = {
    "SGD": _keras_sgd,
    "Adam": _keras_adam,
    "AdamW": _keras_adam,
    "RMSprop": _keras_rmsprop,
    "Adagrad": lambda s: Rule(
        "Adagrad", eps=_number(s, "epsilon"), place="inside", start=_number(s, "initial_accumulator_value")
    ),
    "Adadelta": lambda s: Rule("Adadelta", 0.0, _number(s, "rho"), _number(s, "epsilon"), "inside"),
    "Adamax": _keras_two("Adamax"),
    "Nadam": _keras_two("Nadam", schedule=1.0),
    "Lion": _keras_two("Lion"),
}
