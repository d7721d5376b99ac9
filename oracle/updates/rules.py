"""What an optimizer does with a gradient: the update rules that the frameworks ship, convention by convention.

All parameters are one flat vector. A rule's update is linear in the learning rate of its step,

    w_t - w_(t-1) = base_t - rate_t (direction_t + decay w_(t-1)),

`base_t` being what earlier steps left in a momentum that holds the learning rate; so the rate of each step follows
from a recorded update by least squares, whatever it was.

Sources: the optimizers of torch 2.13, Keras 3.15 and optax; Kingma and Ba 2015 (Adam, "epsilon hat" in section 2),
Loshchilov and Hutter 2019 (decoupled decay), Reddi et al. 2018 (amsgrad).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

Vector = np.ndarray


@dataclass(frozen=True)
class Rule:
    """An update rule with its settings; what a family does not have is at its default.

    `momentum` is the decay of the first moment (or of the momentum buffer), `memory` that of the second moment. `place`
    of eps: "outside" or "inside" the root, "hat" for Adam's epsilon-hat (added before the bias correction), "hat
    inside" for both. `correction` of the bias: "both", "first", "second" or "none". `first_step`: whether a momentum
    starts from the first gradient itself ("whole") or from zero ("dampened"). `inside`: the momentum holds the learning
    rate. `decay` of the weights is "coupled" (added to the gradient) or "decoupled". `clip` by "value", "norm" of each
    parameter or "global norm", at `limit`. `rates`: the learning rate of each step.
    """

    family: str
    momentum: float = 0.0
    memory: float = 0.0
    eps: float = 0.0
    place: str = "outside"
    correction: str = "both"
    dampening: float = 0.0
    first_step: str = "whole"
    nesterov: bool = False
    inside: bool = False
    decay: float = 0.0
    decay_form: str = "coupled"
    amsgrad: str = "off"
    centered: bool = False
    start: float = 0.0
    schedule: float = 0.0
    clip: str = "off"
    limit: float = 0.0
    rates: tuple[float, ...] = ()


@dataclass(frozen=True)
class History:
    """Gradients and weights before each step, step by step, each a vector over all parameters of the given `sizes`."""

    gradients: Sequence[Vector]
    weights: Sequence[Vector]
    sizes: tuple[int, ...]


def updates(rule: Rule, history: History) -> list[Vector]:
    """What the rule adds to the weights at each step."""
    found = _walk(rule, history, lambda t, base, direction: rule.rates[min(t, len(rule.rates) - 1)])
    return [update for update, _ in found]


def fitted(rule: Rule, history: History, actual: Sequence[Vector]) -> tuple[list[Vector], tuple[float, ...]]:
    """The rule's updates with the learning rates that fit `actual` best, and those rates."""

    def rate(t: int, base: Vector, direction: Vector) -> float:
        square = float(direction @ direction)
        return float(direction @ (base - actual[t])) / square if square else 0.0

    found = list(_walk(rule, history, rate))
    return [update for update, _ in found], tuple(r for _, r in found)


def clipped(rule: Rule, gradient: Vector, sizes: tuple[int, ...]) -> Vector:
    """The gradient after the rule's clipping."""
    if rule.clip == "value":
        return np.clip(gradient, -rule.limit, rule.limit)
    if rule.clip == "global norm":
        return gradient * (rule.limit / max(float(np.linalg.norm(gradient)), rule.limit))
    if rule.clip == "norm":
        parts = np.split(gradient, np.cumsum(sizes)[:-1])
        return np.concatenate([p * (rule.limit / max(float(np.linalg.norm(p)), rule.limit)) for p in parts])
    return gradient


def _walk(rule: Rule, history: History, rate: Callable[[int, Vector, Vector], float]) -> Iterator[tuple[Vector, float]]:
    """(update, rate) of each step; `rate(t, base, direction)` chooses the learning rate."""
    state = _State(rule, history.gradients[0].size)
    for t, (raw, weights) in enumerate(zip(history.gradients, history.weights, strict=True)):
        gradient = clipped(rule, raw, history.sizes)
        if rule.decay_form == "coupled":
            gradient = gradient + rule.decay * weights
        base, direction, push = _DIRECTIONS[rule.family](rule, state, gradient)
        if rule.decay_form == "decoupled":
            direction = direction + rule.decay * weights
        chosen = rate(t, base, direction)
        state.velocity = state.velocity * rule.momentum - chosen * push if rule.inside else state.velocity
        yield base - chosen * direction, chosen


class _State:
    """The vectors that a rule keeps between steps."""

    def __init__(self, rule: Rule, size: int) -> None:
        self.step = 0
        self.first, self.mean, self.largest, self.velocity = (np.zeros(size) for _ in range(4))
        self.second = np.full(size, rule.start)
        self.product = 1.0


Step = tuple[Vector, Vector, Vector]


def _momentum(rule: Rule, state: _State, u: Vector) -> Step:
    """`u` through the momentum buffer: (base, direction for rate one, what enters a buffer that holds the rate)."""
    mu = rule.momentum
    if rule.inside:
        keep = mu * mu if rule.nesterov else mu
        return keep * state.velocity, (1 + mu) * u if rule.nesterov else u, u
    zero = np.zeros_like(u)
    if not mu:
        return zero, (1 - rule.dampening) * u if rule.first_step == "dampened" else u, u
    whole = state.step == 1 and rule.first_step == "whole"
    state.first = u if whole else mu * state.first + (1 - rule.dampening) * u
    return zero, u + mu * state.first if rule.nesterov else state.first, u


def _sgd(rule: Rule, state: _State, g: Vector) -> Step:
    state.step += 1
    return _momentum(rule, state, g)


def _rmsprop(rule: Rule, state: _State, g: Vector) -> Step:
    state.step += 1
    state.second = rule.memory * state.second + (1 - rule.memory) * g * g
    second = state.second
    if rule.centered:
        state.mean = rule.memory * state.mean + (1 - rule.memory) * g
        second = second - state.mean**2
    return _momentum(rule, state, g / _root(second, rule.eps, rule.place))


def _adagrad(rule: Rule, state: _State, g: Vector) -> Step:
    state.second = state.second + g * g
    return np.zeros_like(g), g / _root(state.second, rule.eps, rule.place), g


def _adadelta(rule: Rule, state: _State, g: Vector) -> Step:
    state.second = rule.memory * state.second + (1 - rule.memory) * g * g
    if rule.place == "inside":
        delta = g * np.sqrt(state.first + rule.eps) / np.sqrt(state.second + rule.eps)
    else:
        delta = g * (np.sqrt(state.first) + rule.eps) / (np.sqrt(state.second) + rule.eps)
    state.first = rule.memory * state.first + (1 - rule.memory) * delta**2
    return np.zeros_like(g), delta, g


def _adam(rule: Rule, state: _State, g: Vector) -> Step:
    state.step += 1
    c1, c2 = _corrections(rule, state.step)
    state.first = rule.momentum * state.first + (1 - rule.momentum) * g
    state.second = rule.memory * state.second + (1 - rule.memory) * g * g
    second = state.second
    if rule.amsgrad != "off":
        state.largest = np.maximum(state.largest, second / c2 if rule.amsgrad == "corrected" else second)
        second = state.largest * c2 if rule.amsgrad == "corrected" else state.largest
    first = state.first
    if rule.nesterov:
        first = rule.momentum * first + (1 - rule.momentum) * g
    if rule.place.startswith("hat"):
        denominator = _root(second, rule.eps, "inside" if rule.place == "hat inside" else "outside") / np.sqrt(c2)
    else:
        denominator = _root(second / c2, rule.eps, rule.place)
    return np.zeros_like(g), first / c1 / denominator, g


def _adamax(rule: Rule, state: _State, g: Vector) -> Step:
    state.step += 1
    c1, _ = _corrections(rule, state.step)
    state.first = rule.momentum * state.first + (1 - rule.momentum) * g
    size = np.abs(g) + (rule.eps if rule.place == "inside" else 0.0)
    state.second = np.maximum(rule.memory * state.second, size)
    denominator = state.second + (0.0 if rule.place == "inside" else rule.eps)
    return np.zeros_like(g), state.first / c1 / denominator, g


def _nadam(rule: Rule, state: _State, g: Vector) -> Step:
    state.step += 1
    t, rate = state.step, rule.schedule
    now, following = (rule.momentum * (1 - 0.5 * 0.96 ** (k * rate)) for k in (t, t + 1))
    state.product *= now
    state.first = rule.momentum * state.first + (1 - rule.momentum) * g
    state.second = rule.memory * state.second + (1 - rule.memory) * g * g
    first = following * state.first / (1 - state.product * following) + (1 - now) * g / (1 - state.product)
    return np.zeros_like(g), first / _root(state.second / (1 - rule.memory**t), rule.eps, rule.place), g


def _lion(rule: Rule, state: _State, g: Vector) -> Step:
    direction = np.sign(rule.momentum * state.first + (1 - rule.momentum) * g)
    state.first = rule.memory * state.first + (1 - rule.memory) * g
    return np.zeros_like(g), direction, g


def _corrections(rule: Rule, step: int) -> tuple[float, float]:
    first = 1 - rule.momentum**step if rule.correction in ("both", "first") else 1.0
    second = 1 - rule.memory**step if rule.correction in ("both", "second") else 1.0
    return first, second


def _root(second: Vector, eps: float, place: str) -> Vector:
    with np.errstate(invalid="ignore"):
        return np.sqrt(second + eps) if place == "inside" else np.sqrt(second) + eps


_DIRECTIONS: dict[str, Callable[[Rule, _State, Vector], Step]] = {
    "SGD": _sgd, "RMSprop": _rmsprop, "Adagrad": _adagrad, "Adadelta": _adadelta, "Adam": _adam, "Adamax": _adamax,
    "Nadam": _nadam, "Lion": _lion,
}  # fmt: skip
FAMILIES = tuple(_DIRECTIONS)
