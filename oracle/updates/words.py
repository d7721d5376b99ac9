"""Update rules in words and in the user's own API: what differs between two, and how to write the other's."""

import math
from collections.abc import Iterator
from dataclasses import fields, replace

from oracle.trace import Layer
from oracle.updates.catalogue import short
from oracle.updates.rules import Rule

# What may differ, in the order in which it is tried: code, settings of the rule.
GROUPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("gradient-clipping", ("clip", "limit")),
    ("weight-decay", ("decay", "decay_form")),
    ("bias-correction", ("correction",)),
    ("optimizer-betas", ("momentum", "memory")),
    ("centered", ("centered",)),
    ("amsgrad", ("amsgrad",)),
    ("initial-accumulator", ("start",)),
    ("momentum-schedule", ("schedule",)),
    ("nesterov", ("nesterov",)),
    ("dampening", ("dampening", "first_step")),
    ("lr-in-momentum", ("inside",)),
    ("optimizer-eps", ("eps", "place")),
    ("learning-rate", ("rates",)),
)
_IN_TORCH = ("SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "Adadelta", "Adamax", "NAdam")
_SAME_RATE = 5e-5
_NUMBER = 1e-5
_PLACES = {
    "outside": "outside the root", "inside": "inside the root", "hat": "outside the root, before the bias correction "
    "(epsilon-hat)", "hat inside": "inside the root, before the bias correction",
}  # fmt: skip


def differences(a: Rule, b: Rule) -> list[tuple[str, Rule]]:
    """(code, B's rule with A's settings there) for each respect in which the rules differ."""
    if a.family != b.family:
        return [("optimizer-kind", a)]
    found = []
    for code, names in GROUPS:
        if not all(_equal(getattr(a, n), getattr(b, n)) for n in names):
            found.append((_code(code, a, b), replace(b, **{n: getattr(a, n) for n in names})))
    return found


def switched(rule: Rule, towards: Rule, code: str) -> Rule:
    """`rule` with the settings of `towards` that `code` speaks of."""
    if code == "optimizer-kind":
        return towards
    names = next(names for known, names in GROUPS if known == _GROUP.get(code, code))
    return replace(rule, **{n: getattr(towards, n) for n in names})


_GROUP = {"weight-decay-coupling": "weight-decay", "optimizer-momentum": "optimizer-betas", "sign": "learning-rate"}


def _code(code: str, a: Rule, b: Rule) -> str:
    if code == "weight-decay" and a.decay and b.decay and a.decay_form != b.decay_form:
        return "weight-decay-coupling"
    if code == "optimizer-betas" and a.family in ("SGD", "RMSprop") and not math.isclose(a.momentum, b.momentum):
        return "optimizer-momentum"
    if code == "learning-rate" and a.rates[0] * b.rates[0] < 0:
        return "sign"
    return code


def _equal(x: object, y: object) -> bool:
    if isinstance(x, tuple) and isinstance(y, tuple):
        return all(math.isclose(p, q, rel_tol=_SAME_RATE) for p, q in zip(x, y, strict=False))
    if isinstance(x, float) and isinstance(y, float):
        return math.isclose(x, y, rel_tol=_NUMBER)
    return x == y


def words(rule: Rule, code: str) -> str:
    """What the rule has in the respect that `code` speaks of."""
    texts = {
        "optimizer-kind": rule.family,
        "learning-rate": f"learning rate {_rates(rule)}",
        "sign": "gradient ascent" if rule.rates and rule.rates[0] < 0 else "gradient descent",
        "optimizer-eps": f"eps {rule.eps:g} {_PLACES[rule.place]}",
        "bias-correction": {"both": "both moments are corrected for their bias", "none": "no bias correction"}.get(
            rule.correction, f"only the {rule.correction} moment is corrected for its bias"
        ),
        "weight-decay": f"{rule.decay_form} weight decay {rule.decay:g}" if rule.decay else "no weight decay",
        "optimizer-betas": ", ".join(f"{n} {v:g}" for n, v in _decays(rule)),
        "optimizer-momentum": f"momentum {rule.momentum:g}",
        "nesterov": "Nesterov momentum" if rule.nesterov else "plain momentum",
        "dampening": _dampening(rule),
        "lr-in-momentum": f"the learning rate is {'inside' if rule.inside else 'outside'} the momentum",
        "amsgrad": {"off": "no amsgrad", "raw": "amsgrad"}.get(rule.amsgrad, "amsgrad of the corrected moment"),
        "centered": "centered second moment" if rule.centered else "second moment not centered",
        "initial-accumulator": f"the accumulator starts at {rule.start:g}",
        "momentum-schedule": f"momentum schedule 0.96^({rule.schedule:g} t)",
        "gradient-clipping": f"gradients clipped by {rule.clip} at {rule.limit:g}" if rule.limit else "no clipping",
    }
    coupling = f"{rule.decay_form} weight decay " + (
        "(added to the gradient)" if rule.decay_form == "coupled" else "(taken from the weights)"
    )
    return coupling if code == "weight-decay-coupling" else texts[code]


def has_one_rate(rule: Rule) -> bool:
    """Whether the learning rate is the same in all steps."""
    return all(math.isclose(r, rule.rates[0], rel_tol=_SAME_RATE) for r in rule.rates)


def _rates(rule: Rule) -> str:
    numbers = [short(r) for r in rule.rates]
    return f"{numbers[0]:.4g}" if has_one_rate(rule) else ", ".join(f"{n:.4g}" for n in numbers)


def _decays(rule: Rule) -> Iterator[tuple[str, float]]:
    if rule.family in ("SGD", "RMSprop"):
        if rule.momentum or rule.family == "SGD":
            yield "momentum", rule.momentum
    elif rule.family != "Adadelta":
        yield "beta1", rule.momentum
    if rule.family in ("RMSprop", "Adadelta"):
        yield "rho", rule.memory
    elif rule.memory:
        yield "beta2", rule.memory


def _dampening(rule: Rule) -> str:
    start = "; the first gradient enters whole" if rule.dampening and rule.first_step == "whole" else ""
    return f"dampening {rule.dampening:g}{start}" if rule.dampening else "no dampening"


def fix(layer: Layer | None, own: Rule, other: Rule, code: str) -> str:
    """What to write on a side whose optimizer is `own`, so that it is the `other` in the respect of `code`."""
    kind = layer.kind if layer else ""
    if code == "optimizer-kind":
        return f"{_class(kind, other)}({_arguments(kind, other)})"
    if not kind:
        return f"in the update of the weights: {words(other, code)}"
    known = _settings(kind, other, code)
    if code == "weight-decay-coupling":
        return _coupling(kind, other)
    if code == "gradient-clipping":
        return _clipping(kind, other, known)
    if code == "lr-in-momentum":
        return _momentum(kind, other)
    if not known:
        return f"{kind} has no argument for it: write the update with {words(other, code)}"
    remark = ""
    if code == "optimizer-eps" and own.place != other.place:
        remark = f"  # and {words(other, code)}: no argument says so"
    return f"{kind}(..., {', '.join(known)}){remark}"


def _coupling(kind: str, other: Rule) -> str:
    if kind.startswith("torch"):
        name = "AdamW" if other.decay_form == "decoupled" else "Adam"
        if kind.rpartition(".")[2] in ("Adam", "AdamW"):
            return f"torch.optim.{name}(..., weight_decay={other.decay:g})"
        return f"{kind}(..., decoupled_weight_decay={other.decay_form == 'decoupled'})"
    if other.decay_form == "coupled":
        return f"{kind}(...) without weight_decay, and keras.regularizers.L2({other.decay / 2:g}) on each weight"
    return f"{kind}(..., weight_decay={other.decay:g})"


def _clipping(kind: str, other: Rule, known: list[str]) -> str:
    if not other.limit:
        return f"{kind}(...) without clipping"
    calls = {
        "value": f"torch.nn.utils.clip_grad_value_(model.parameters(), {other.limit:g})",
        "norm": f"for p in model.parameters(): torch.nn.utils.clip_grad_norm_(p, {other.limit:g})",
        "global norm": f"torch.nn.utils.clip_grad_norm_(model.parameters(), {other.limit:g})",
    }
    before = "before optimizer.step()"
    return f"{calls[other.clip]}  # {before}" if kind.startswith("torch") else f"{kind}(..., {', '.join(known)})"


def _momentum(kind: str, other: Rule) -> str:
    scale = "divide" if other.inside else "multiply"
    update = "m = mu m - lr g; w += m" if other.inside else "m = mu m + g; w -= lr m"
    return f"{kind}: {update}; there, whenever the learning rate changes, {scale} the momentum by old / new rate"


def _class(kind: str, rule: Rule) -> str:
    package = "keras.optimizers" if kind.startswith("keras") else "torch.optim" if kind.startswith("torch") else ""
    name = {"Nadam": "NAdam"}.get(rule.family, rule.family) if package == "torch.optim" else rule.family
    if rule.family == "Adam" and rule.decay and rule.decay_form == "decoupled":
        name = "AdamW"
    exists = package == "keras.optimizers" or name in _IN_TORCH
    return f"{package}.{name}" if package and exists else f"the update rule {name}"


def _arguments(kind: str, rule: Rule) -> str:
    names = {f.name for f in fields(rule)}
    texts = [t for code, group in GROUPS if names.issuperset(group) for t in _settings(kind, rule, code)]
    return ", ".join(dict.fromkeys(t for t in texts if not t.endswith(("=0", "=False"))))


def _settings(kind: str, rule: Rule, code: str) -> list[str]:
    """The arguments, in the API of `kind`, for what `code` speaks of."""
    torch = not kind.startswith("keras")
    adam = rule.family in ("Adam", "Adamax", "Nadam", "Lion")
    betas = (
        [f"betas=({rule.momentum:g}, {rule.memory:g})"]
        if torch
        else [f"beta_1={rule.momentum:g}", f"beta_2={rule.memory:g}"]
    )
    heavy = rule.family == "SGD" or (rule.family == "RMSprop" and (rule.momentum or code == "optimizer-momentum"))
    moments = [f"momentum={rule.momentum:g}"] if heavy else []
    if rule.family in ("RMSprop", "Adadelta"):
        moments.append(f"{'alpha' if torch and rule.family == 'RMSprop' else 'rho'}={rule.memory:g}")
    rate = short(abs(rule.rates[0])) if rule.rates else 0.0
    clips = {"value": "clipvalue", "norm": "clipnorm", "global norm": "global_clipnorm"}
    table = {
        "learning-rate": [f"{'lr' if torch else 'learning_rate'}={rate:g}"],
        "sign": [f"maximize={bool(rule.rates and rule.rates[0] < 0)}"] if torch else [],
        "optimizer-eps": [f"{'eps' if torch else 'epsilon'}={rule.eps:g}"]
        if rule.family not in ("SGD", "Lion")
        else [],
        "optimizer-betas": betas if adam else moments,
        "optimizer-momentum": moments[:1],
        "weight-decay": [f"weight_decay={rule.decay:g}"],
        "nesterov": [f"nesterov={rule.nesterov}"] if rule.family == "SGD" else [],
        "dampening": [f"dampening={rule.dampening:g}"] if torch and rule.first_step == "whole" else [],
        "amsgrad": [f"amsgrad={rule.amsgrad != 'off'}"] if rule.family == "Adam" else [],
        "centered": [f"centered={rule.centered}"] if rule.family == "RMSprop" else [],
        "initial-accumulator": [f"initial_accumulator_value={rule.start:g}"] if rule.family == "Adagrad" else [],
        "momentum-schedule": [f"momentum_decay={rule.schedule:g}"] if torch and rule.schedule else [],
        "gradient-clipping": [f"{clips[rule.clip]}={rule.limit:g}"] if rule.limit and not torch else [],
    }
    return table.get(code, [])
