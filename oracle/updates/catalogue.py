"""Every update rule worth trying, made of the numbers that an optimizer was seen to use and of common defaults."""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from oracle.updates.rules import Rule

_MOMENTA = (0.9, 0.99, 0.95)
_MEMORIES = (0.999, 0.9, 0.99, 0.95)
_EPS = (1e-8, 1e-7, 1e-10, 1e-6)
_STARTS = (0.0, 0.1)
_PLACES = ("outside", "inside", "hat", "hat inside")

Beginning = tuple[float, float, float]


def short(x: float) -> float:
    """The number that was meant: 0.9 for the float32 nearest to it."""
    return float(f"{x:.6g}")


def catalogue(known: Sequence[float], steps: int) -> Iterator[Rule]:
    """Rules in order, the plain before the odd; `known` are the numbers that the optimizer was given."""
    decays = [0.0, *(x for x in known if 0 < x <= 1)]
    one = steps == 1
    yield from _sgd(known, decays, one)
    yield from _adam(known, one)
    yield from _rmsprop(known, one)
    yield from _adagrad(known)
    yield from _others(known)
    yield from (replace(rule, decay=decay) for decay in decays[1:] for rule in _plain(known))


def beginnings(known: Sequence[float]) -> set[Beginning]:
    """Every way in which the first update may depend on the first gradient, but for its size."""
    memories, small = _memories(known, _MEMORIES), _small(known)
    rules = [Rule("SGD"), Rule("Lion")]
    rules += [Rule("Adam", 0.9, m, e, p) for m, e, p in itertools.product(memories, small, _PLACES)]
    rules += [Rule("RMSprop", 0.0, m, e, p, centered=c)
              for m, e, p, c in itertools.product(memories, small, _PLACES[:2], (False, True))]  # fmt: skip
    rules += [Rule("Adagrad", eps=e, place=p, start=s)
              for e, p, s in itertools.product(small, _PLACES[:2], _starts(known))]  # fmt: skip
    shapes = {beginning(rule)[1:] for rule in rules}
    decays = [0.0, *(x for x in known if 0 < x <= 1)]
    return {(decay, *shape) for decay in decays for shape in shapes}


def beginning(rule: Rule) -> Beginning:
    """(decay, p, q): the first update is a multiple of g / (sqrt(g^2 + p) + q), g with its coupled decay.

    The multiple follows from the learning rate; momenta, schedules and a decoupled decay do not show in the first step.
    """
    decay = rule.decay if rule.decay_form == "coupled" else 0.0
    if rule.family in ("SGD", "Lion"):
        return decay, math.inf if rule.family == "SGD" else 0.0, 0.0
    scale, fresh = 1.0, 1 - rule.memory
    if rule.family in ("RMSprop", "Adadelta"):
        scale = fresh * rule.memory if rule.centered else fresh
    elif rule.family == "Adam" and (rule.place.startswith("hat") or rule.correction in ("none", "first")):
        scale = fresh
    if scale <= 0:
        return decay, 0.0, 0.0
    inside = rule.place.endswith("inside") and rule.family != "Adamax"
    start = rule.start if rule.family == "Adagrad" else 0.0
    return decay, _ten(start + (rule.eps / scale if inside else 0.0)), _ten(0.0 if inside else rule.eps / scale**0.5)


def _ten(x: float) -> float:
    return float(f"{x:.10g}")


def neighbours(rule: Rule, known: Sequence[float]) -> Iterator[Rule]:
    """`rule`, and the rules that differ from it in one respect, then in two."""
    yield rule
    ones = list(_one_away(rule, known))
    yield from ones
    yield from dict.fromkeys(two for one in ones for two in _one_away(one, known))


def _one_away(rule: Rule, known: Sequence[float]) -> Iterator[Rule]:
    changes: dict[str, Sequence[Any]] = {"decay": [0.0, *(x for x in known if 0 < x <= 1)]}
    if rule.family != "SGD":
        changes |= {"eps": _small(known), "place": ("outside", "inside", "hat", "hat inside")}
        changes["memory"] = _memories(known, _MEMORIES)
    if rule.family in ("SGD", "RMSprop"):
        changes |= {"inside": (False, True), "nesterov": (False, True), "first_step": ("whole", "dampened")}
        changes |= {"momentum": (0.0, *_memories(known, _MOMENTA)), "dampening": (0.0, *(x for x in known if x < 1))}
        changes["centered"] = (False, True)
    if rule.family == "Adam":
        changes |= {"correction": ("both", "none", "first", "second"), "amsgrad": ("off", "raw", "corrected")}
        changes["momentum"] = _memories(known, _MOMENTA)
    if rule.family == "Adagrad":
        changes["start"] = (*_STARTS, *(x for x in known if 0 < x <= 1))
    for name, values in changes.items():
        yield from (replace(rule, **{name: v}, rates=()) for v in values if v != getattr(rule, name))


def _plain(known: Sequence[float]) -> Iterator[Rule]:
    """The adaptive rules as the frameworks ship them, for a coupled decay to be tried with."""
    pairs = itertools.product(_pairs(_memories(known, _MEMORIES)), _small(known), ("outside", "hat", "inside"))
    yield from (Rule("Adam", mu, rho, e, place) for (mu, rho), e, place in pairs)
    yield from (r for r in _rmsprop(known, one=True) if not r.centered)
    yield from _adagrad(known)
    yield from _others(known)


def _memories(known: Sequence[float], common: tuple[float, ...]) -> list[float]:
    """Decays of a moving average: numbers between one half and one, or what they leave to one; recorded ones first."""
    recorded = [x for x in known if 0.5 <= x < 1] + [short(1 - x) for x in known if 1e-4 <= x <= 0.5]
    return list(dict.fromkeys(recorded or common))


def _starts(known: Sequence[float]) -> list[float]:
    """What an accumulator may start from."""
    return list(dict.fromkeys([*_STARTS, *(x for x in known if 0 < x <= 1)]))


def _small(known: Sequence[float]) -> list[float]:
    """Numbers that an eps may be: recorded ones, the smallest first."""
    return sorted({x for x in known if 0 < x <= 0.1}) or list(_EPS)


def _sgd(known: Sequence[float], decays: list[float], one: bool) -> Iterator[Rule]:
    momenta = [0.0] if one else [0.0, *_memories(known, _MOMENTA)]
    for mu, decay in itertools.product(momenta, decays):
        yield Rule("SGD", mu, decay=decay)
    for mu, decay in itertools.product(_memories(known, _MOMENTA), decays[:1] if one else decays):
        yield Rule("SGD", mu, decay=decay, nesterov=True)
        if not one:
            yield from (Rule("SGD", mu, decay=decay, nesterov=n, inside=True) for n in (False, True))
        for dampening in dict.fromkeys([short(1 - mu), *(x for x in known if 0 < x < 1)]):
            for first, nesterov in itertools.product(("dampened", "whole"), (False, True)):
                if not (one and first == "whole"):
                    yield Rule("SGD", mu, decay=decay, dampening=dampening, first_step=first, nesterov=nesterov)


def _adam(known: Sequence[float], one: bool) -> Iterator[Rule]:
    corrections = ("both", "none", "first", "second")
    places = ("outside", "hat", "inside", "hat inside")
    memories = _memories(known, _MEMORIES)
    eps = _small(known)
    for correction in corrections:
        pairs = [(0.9, 0.999)] if one and correction == "both" else _pairs(memories)
        for (mu, rho), e, place in itertools.product(pairs, eps, places):
            if correction in ("both", "second") or not place.startswith("hat"):
                yield Rule("Adam", mu, rho, e, place, correction)
        if not one:
            for (mu, rho), e, kind in itertools.product(pairs, eps, ("raw", "corrected")):
                for place in ("outside", "hat"):
                    yield Rule("Adam", mu, rho, e, place, correction, amsgrad=kind)


def _pairs(memories: list[float]) -> list[tuple[float, float]]:
    """Two decays, the usual order of sizes first."""
    ordered = [(x, y) for x in memories for y in memories if x <= y]
    return ordered + [(y, x) for x, y in ordered if x != y]


def _rmsprop(known: Sequence[float], one: bool) -> Iterator[Rule]:
    memories = _memories(known, _MEMORIES)
    for centered, rho, e, place in itertools.product((False, True), memories, _small(known), ("outside", "inside")):
        yield Rule("RMSprop", 0.0, rho, e, place, centered=centered)
    if one:
        return
    for centered, rho, e, place in itertools.product((False, True), memories, _small(known), ("outside", "inside")):
        for mu, inside in itertools.product(_memories(known, _MOMENTA), (False, True)):
            yield Rule("RMSprop", mu, rho, e, place, centered=centered, inside=inside)


def _adagrad(known: Sequence[float]) -> Iterator[Rule]:
    for start, e, place in itertools.product(_starts(known), _small(known), ("outside", "inside")):
        yield Rule("Adagrad", eps=e, place=place, start=start)


def _others(known: Sequence[float]) -> Iterator[Rule]:
    memories = _memories(known, _MEMORIES)
    for mu, rho in _pairs(memories):
        yield Rule("Lion", mu, rho)
    for rho, e, place in itertools.product(memories, _small(known), ("inside", "outside")):
        yield Rule("Adadelta", 0.0, rho, e, place)
    for (mu, rho), e in itertools.product(_pairs(memories), _small(known)):
        yield from (Rule("Adamax", mu, rho, e, place) for place in ("outside", "inside"))
        yield from (Rule("Nadam", mu, rho, e, schedule=s) for s in (1.0, 0.004))
        yield Rule("Adam", mu, rho, e, nesterov=True)
