"""Another loss of the same argument: another delta, margin or eps, KL the other way round, a loss of another kind.

Either loss is found among known formulas by its gradient for several values of its argument.

Codes:
    loss-kind: a loss of another kind (squared against absolute error).
    loss-delta, loss-margin, loss-quantile, loss-gamma, loss-smooth: another number in the same formula.
    eps: what keeps a logarithm from zero: clipped, added, or another number.
    argument-order: the divergence the other way round.
    double-softmax, double-sigmoid, probabilities-as-logits: what the argument is taken for.
    renormalised-probabilities: the probabilities are divided by their sum on one side alone.
    sign, reduction, loss-offset: the same formula times another constant, or plus one.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from oracle.alignments.alignment import Side
from oracle.causes import Candidate, Context, hypothesis, replaced_output
from oracle.causes.training.losses import factor_code, is_distribution, shared_arguments
from oracle.losses.formulas import Formula, formulas
from oracle.losses.reading import between, equal, gradient
from oracle.losses.words import Wish, loss_fix, loss_layer, loss_name
from oracle.networks.network import Values
from oracle.networks.node_reading import numbers

_FITS = 1e-6
_ROUNDING = 1e-12
# What 1 - eps, rounded to float32, may change of a logarithm.
_ROUNDED = 0.02
_DRAWS = 3
_NEAR = 12
_ARGUMENTS_TRIED = 3


@dataclass(frozen=True)
class Found:
    """A recorded loss as `scale` times a formula of its argument and of the value `targets`, plus `offset`.

    `encoding` says what was made of the targets: "" (nothing), "one-hot", "signed" (2 t - 1).
    """

    formula: Formula
    targets: int
    encoding: str
    scale: float
    offset: float

    def value(self, argument: np.ndarray, targets: np.ndarray) -> float:
        """The loss at these."""
        encoded = _encoded(targets, argument, self.encoding)
        return self.scale * self.formula(argument, encoded)[0] + self.offset


def find(side: Side, argument: int, loss: int) -> list[Found]:
    """The formulas that `loss` is of `argument`: those that fit best, the plain first."""
    v = side.run.values[argument]
    generator = np.random.default_rng(3)
    edge = bool(np.all((v >= 0) & (v <= 1)) and np.any((v == 0) | (v == 1)))
    # At a probability of zero or one a gradient says nothing; there the value tells what keeps it from the logarithm.
    middle = 0.05 + 0.85 * v if edge else v
    places = [middle, *(middle * (1 + 0.1 * generator.random(v.shape)) for _ in range(_DRAWS - 1))]
    slopes = [gradient(side, argument, loss, x) for x in places]
    if any(g is None or not np.isfinite(g).all() or not g.any() for g in slopes):
        return []
    seen: list[tuple[np.ndarray, np.ndarray]] = list(zip(places, slopes, strict=True))  # type: ignore[arg-type]
    within = between(side, argument, loss)
    fits: list[tuple[float, Found]] = []
    for formula in formulas(_known(side, within)):
        for targets, encoding, t in _targets(side, within, argument):
            fit = _fit(formula, t, seen)
            if fit is not None:
                value = float(side.run.values[loss].reshape(()))
                offset = value - fit[1] * formula(v, t)[0]
                if not edge or (formula.family.guard and abs(offset) <= _ROUNDED * abs(value)):
                    fits.append((max(fit[0], _ROUNDING), Found(formula, targets, encoding, fit[1], offset)))
    best = min((misfit for misfit, _ in fits), default=0.0)
    return [found for misfit, found in fits if misfit <= 10 * best]


def _nearest(context: Context, of_a: list[Found], of_b: list[Found]) -> tuple[Found, Found] | None:
    """A formula for either side, of the same targets, as alike as the fits allow."""
    pairs = [(a, b) for a in of_a for b in of_b if _same_targets(context, a, b)]
    return min(pairs, key=lambda pair: _distance(*pair), default=None)


def _distance(a: Found, b: Found) -> tuple[bool, bool, bool]:
    (x, y), alike = (a.formula, b.formula), a.formula.family is b.formula.family
    scaled = math.isclose(a.scale, b.scale, rel_tol=_FITS)
    return x.family.name != y.family.name, x.link != y.link or x.number != y.number, not (alike and scaled)


def _fit(formula: Formula, t: np.ndarray, seen: list[tuple[np.ndarray, np.ndarray]]) -> tuple[float, float] | None:
    """(misfit, factor) where the recorded gradients are one multiple of the formula's; None elsewhere."""
    factor = None
    worst = 0.0
    for v, g in seen:
        slope = formula(v, t)[1]
        if not np.isfinite(slope).all() or not slope.any():
            return None
        if factor is None:
            factor = float(np.vdot(slope, g) / np.vdot(slope, slope))
        worst = max(worst, float(np.linalg.norm(g - factor * slope) / np.linalg.norm(g)))
        if worst > _FITS:
            return None
    return (worst, factor) if factor else None


def _known(side: Side, within: frozenset[int]) -> list[float]:
    """The numbers that the loss was given."""
    found: dict[float, None] = {}
    for name, layer in side.network.trace.layers.items():
        if name == "loss" or "loss" in layer.kind.lower():
            found.update((float(x), None) for x in layer.settings.values() if isinstance(x, float))
    for node in side.network.nodes:
        if node.node.index in within:
            found.update((abs(x), None) for _, x in numbers(node))
            leaves = (side.run.values[i] for i in node.reals if i not in side.producers)
            found.update((abs(float(x.reshape(()))), None) for x in leaves if x.size == 1)
    return [float(f"{x:.7g}") for x in found if 0 < x < 1e6]


def _targets(side: Side, within: frozenset[int], argument: int) -> list[tuple[int, str, np.ndarray]]:
    """(value, encoding, array) of what the loss reads beside its argument and may compare it with."""
    v = side.run.values[argument]
    made = {argument, *(o for n in side.network.nodes if n.node.index in within for o in n.results)}
    beside = (i for n in side.network.nodes if n.node.index in within for i in n.node.reads if i not in made)
    found: dict[tuple[int, str], np.ndarray] = {}
    for i in dict.fromkeys(k for value in dict.fromkeys(beside) for k in _upstream(side, value)):
        t = side.run.values[i]
        found.update({(i, e): _encoded(t, v, e) for e in _encodings(t, v)})
    return [(i, e, t) for (i, e), t in found.items()]


def _upstream(side: Side, value: int) -> list[int]:
    """`value` and what it was made of, near by."""
    found = [value]
    for i in found:
        if i in side.producers and len(found) < _NEAR:
            found += [k for k in side.producers[i].node.reads if k not in found]
    return found


def _encodings(t: np.ndarray, v: np.ndarray) -> tuple[str, ...]:
    if t.dtype.kind in "iu":
        labels = v.ndim > 1 and t.size == v.size // v.shape[-1] and t.min(initial=0) >= 0
        return ("one-hot",) if labels and t.max(initial=0) < v.shape[-1] else ()
    if t.size != v.size or t.dtype.kind != "f":
        return ()
    return ("", "signed") if set(np.unique(t)) <= {0.0, 1.0} else ("",)


def _encoded(t: np.ndarray, v: np.ndarray, encoding: str) -> np.ndarray:
    if encoding == "one-hot":
        return np.eye(v.shape[-1])[t.reshape(v.shape[:-1])]
    t = np.asarray(t, np.float64).reshape(v.shape)
    return 2 * t - 1 if encoding == "signed" else t


@hypothesis(priority=4)
def other_formula(context: Context) -> Iterator[Candidate]:
    """Both losses are found among the formulas; B's takes A's formula, number, factor and constant in turn."""
    if context.exchanged or not context.pairs or context.kind not in ("loss", "outputs"):
        return
    pair = context.pairs[0]
    if context.a.run.values[pair.a].size != 1 or pair.b not in context.b.producers:
        return
    yielded = 0
    for i, j in shared_arguments(context, pair):
        if yielded == _ARGUMENTS_TRIED:
            return
        of_a = find(context.a, i, pair.a)
        found = _nearest(context, of_a, find(context.b, j, pair.b)) if of_a else None
        if found is None:
            continue
        v = context.b.run.values[j]
        binary = any("sigmoid" in f.formula.link for f in found)
        stages = list(_stages(*found, v.size, j in context.b.producers and is_distribution(v, binary)))
        if stages:
            parts = [_part(context, found, stage, j) for stage in stages]
            yield replace(parts[0], also=tuple(parts[1:]))
            yielded += 1


def _same_targets(context: Context, a: Found, b: Found) -> bool:
    x, y = context.a.run.values[a.targets], context.b.run.values[b.targets]
    return x.size != y.size or equal(np.asarray(x, np.float64).reshape(-1), np.asarray(y, np.float64).reshape(-1))


Stage = tuple[str, str, Found]


def _stages(a: Found, b: Found, size: int, squashed: bool) -> Iterator[Stage]:
    """(code, words, B's loss after it) for each respect in which the losses differ."""
    now = b
    if a.formula != b.formula:
        code, words = _formula_code(a.formula, b.formula)
        if code == "probabilities-as-logits" and squashed:  # its own softmax or sigmoid came before
            code = f"double-{max(a.formula.link, b.formula.link, key=len)}"
        now = replace(now, formula=a.formula, offset=a.offset if code == "eps" else now.offset)
        alike = code not in ("loss-kind", "argument-order")
        if not alike:  # factors and constants of unlike formulas are not comparable
            yield code, words, replace(now, scale=a.scale, offset=a.offset)
            return
        yield code, words, now
    if a.encoding != b.encoding:
        now = replace(now, encoding=a.encoding)
        taken = {"signed": "as -1 and 1", "": "as they are", "one-hot": "as classes"}
        yield "targets-differ", f"targets are taken {taken[a.encoding]} in {{A}}, {taken[b.encoding]} in {{B}}", now
    if not math.isclose(a.scale, b.scale, rel_tol=1e-6):
        now = replace(now, scale=a.scale)
        code, words = factor_code(a.scale / b.scale, np.ones(size))
        yield code, words, now
    if abs(a.offset - now.offset) > 1e-6 * max(abs(a.offset), abs(b.offset), abs(a.scale)):
        yield (
            "loss-offset",
            f"{{A}} is {a.offset - b.offset:.6g} more than {{B}} beside the factor",
            replace(now, offset=a.offset),
        )


_NUMBERS = {"beta": "loss-delta"}


def _formula_code(a: Formula, b: Formula) -> tuple[str, str]:
    words = f"{_described(a)} in {{A}}, {_described(b)} in {{B}}"
    plain_a, plain_b = (f.family.like or f.family.name for f in (a, b))
    if plain_a == plain_b and a.link == b.link:
        return (
            "eps" if a.family.guard or b.family.guard else _NUMBERS.get(a.family.number, f"loss-{a.family.number}")
        ), words
    if plain_a == plain_b:
        return _link_code(a.link, b.link), words
    names = {plain_a, plain_b}
    if names in (
        {"cross entropy", "KL divergence from the targets"},
        {"negative log likelihood", "KL divergence from the targets"},
    ):
        return "argument-order", words
    if names == {"cross entropy", "renormalised cross entropy"}:
        return ("renormalised-probabilities" if a.link == b.link else _link_code(a.link, b.link)), words
    return "loss-kind", words


def _link_code(a: str, b: str) -> str:
    if {a, b} == {"softmax", "sigmoid"}:
        return "activation-variant"
    for name in ("softmax", "sigmoid"):
        if f"{name} of {name}" in (a, b):
            return f"double-{name}"
    return "probabilities-as-logits"


def _described(formula: Formula) -> str:
    family = formula.family
    number = f"{family.number} {formula.number:g}" if formula.number is not None else ""
    of = f" of the {formula.link}" if formula.link else ""
    return f"{family.name}{of}" + (f" with {number}" if number else "")


def _part(context: Context, losses: tuple[Found, Found], stage: Stage, argument: int) -> Candidate:
    (a, b), (code, words, after) = losses, stage
    size = context.b.run.values[argument].size
    pair = context.pairs[0]
    return Candidate(
        code,
        replaced_output(context.b.producers[pair.b], _Changed(context.b, argument, (b, after), pair.b)),
        context.a.producers.get(pair.a),
        context.b.producers[pair.b],
        fix_a=fix(context.a, code, (a, b), size),
        fix_b=fix(context.b, code, (b, a), size),
        detail=words,
    )


class _Changed:
    """B's loss plus the change from what it is to what it should be, as formulas."""

    def __init__(self, side: Side, argument: int, losses: tuple[Found, Found], loss: int) -> None:
        self.side, self.argument, self.losses, self.loss = side, argument, losses, loss

    def __call__(self, values: Values) -> np.ndarray:
        made = self.side.network.apply(self.side.producers[self.loss], values)[self.loss]
        v = values[self.argument]
        was, is_ = (loss.value(v, values[self.losses[0].targets]) for loss in self.losses)
        return np.asarray(made + (is_ - was)).reshape(made.shape)


_ARGUMENTS = ("margin", "delta", "beta", "quantile", "gamma", "smooth")


def fix(side: Side, code: str, losses: tuple[Found, Found], size: int) -> str:
    """What to write on `side`, whose loss is the first of `losses`, so that it means the second."""
    own, wanted = losses
    formula = wanted.formula
    layer = loss_layer(side)
    kind = loss_name(side, "") if layer else ""
    if code.startswith("loss-") and formula.family.number in _ARGUMENTS and kind:
        return f"{kind}(..., {formula.family.number}={formula.number:g})"
    if code == "reduction":
        return loss_fix(side, code, "", Wish("", np.full(size, abs(wanted.scale)), abs(wanted.scale / own.scale)))
    if code == "probabilities-as-logits" and kind.startswith("keras"):
        return f"{kind}(..., from_logits={len(formula.link) > len(own.formula.link)})"
    if code == "sign":
        return f"-{kind or 'loss'}(...)"
    if code == "loss-offset":
        return f"add {wanted.offset - own.offset:.6g} to {kind or 'the loss'}"
    if code == "argument-order":
        return f"exchange the arguments of {kind or 'the loss'}: it is the {_described(formula)}"
    return f"use the {_described(formula)}"
