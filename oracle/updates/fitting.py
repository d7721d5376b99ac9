"""Which update rule an optimizer used, told from its gradients and what it made of the weights.

Every rule of the catalogue is tried with the numbers that the optimizer's operations were given (and common defaults);
the learning rate follows from each trial. Rules that one step cannot tell apart are equal there; then the one whose
numbers were recorded is taken.
"""

import functools
import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from oracle.networks.network import Network, Run, Values
from oracle.networks.node_reading import numbers
from oracle.updates.catalogue import Beginning, beginning, beginnings, catalogue, neighbours, short
from oracle.updates.declared import declared, is_foreign
from oracle.updates.rules import History, Rule, Vector, clipped, fitted, updates

# A rule is the one that ran if it explains the update to this much: constants rounded to float32 reach 1e-5.
_FITS = 1e-4
# In decades: a rule that was not promised must explain more (few elements fit many rules); as good as it gets.
_CONVINCES = -6.0
_EXACT = -8.5
_SAMPLE = 400
_SAME_NUMBER = 3e-5
# A rule that needs a rate that nobody wrote, or that changes from step to step, must explain this much (decades) more.
_ODD = 3.0
# How many of the numbers that an optimizer was given may be the limit of a clipping; what is no direction of its own.
_LIMITS = 8
_EMPTY = 1e-20


@dataclass(frozen=True)
class Places:
    """Where a run keeps what an optimizer reads and writes: value ids by parameter, for each step."""

    names: tuple[str, ...]
    gradients: tuple[tuple[int, ...], ...]
    before: tuple[tuple[int, ...], ...]
    updated: tuple[tuple[int, ...], ...]

    def history(self, values: Values, steps: int, names: Iterable[str] | None = None) -> History:
        """Gradients and weights of the first `steps` steps, of the parameters `names` (all of them if not given)."""
        chosen = [k for k, name in enumerate(self.names) if names is None or name in set(names)]

        def vectors(table: tuple[tuple[int, ...], ...]) -> list[Vector]:
            return [np.concatenate([values[row[k]].reshape(-1) for k in chosen]) for row in table[:steps]]

        sizes = tuple(values[self.before[0][k]].size for k in chosen)
        return History(vectors(self.gradients), vectors(self.before), sizes)


@functools.lru_cache(maxsize=4)
def places(network: Network) -> Places | None:
    """The parameters that every step differentiates and updates; None where there are none."""
    trace = network.trace
    made = {o for n in network.nodes for o in n.outputs}
    names = [
        name
        for name, value in trace.parameters.items()
        if value in network.actual
        and all(name in s.gradients and s.parameters.get(name) in made for s in trace.steps)
        and all(network.actual[s.gradients[name]].size == network.actual[value].size for s in trace.steps)
    ]
    if not names:
        return None
    before = [trace.parameters, *(s.parameters for s in trace.steps[:-1])]
    return Places(
        tuple(names),
        tuple(tuple(_given(network, s.gradients[n]) for n in names) for s in trace.steps),
        tuple(tuple(b[n] for n in names) for b in before),
        tuple(tuple(s.parameters[n] for n in names) for s in trace.steps),
    )


def _given(network: Network, gradient: int) -> int:
    """The gradient as the optimizer was given it: a fused kernel is recorded to write it anew, unchanged."""
    maker = next((n for n in network.nodes if gradient in n.outputs), None)
    if maker is None or maker.node.phase != "optimizer":
        return gradient
    wanted = network.actual[gradient]
    return next((i for i in maker.reals if np.array_equal(network.actual[i], wanted)), gradient)


@functools.lru_cache(maxsize=4)
def exact_run(network: Network) -> Run:
    """The unedited run in exact arithmetic."""
    with np.errstate(all="ignore"):
        return network.run()


@functools.lru_cache(maxsize=4)
def rules_of(a: Network, b: Network) -> tuple[dict[str, Rule], dict[str, Rule]]:
    """The update rules of the parameters of A and of B, as far as known ones explain the updates.

    The promised rule comes before any other; a rule that one step cannot tell from others is taken nearest to that of
    the other side.
    """
    of_a = _rules(a, None)
    of_b = _rules(b, next(iter(of_a.values()), None))
    if of_b and declared(a.trace.layers.get("optimizer")) is None:
        of_a = _rules(a, next(iter(of_b.values())))
    return _as_written(a, of_a), _as_written(b, of_b)


def _as_written(network: Network, rules: dict[str, Rule]) -> dict[str, Rule]:
    """The rules with the learning rates that were written, where the fitted ones are these but for rounding."""
    where = places(network)
    known = scalars(network, where) if where is not None else ()

    def written(rate: float) -> float:
        same = (math.copysign(x, rate) for x in known if math.isclose(abs(rate), x, rel_tol=_SAME_NUMBER))
        return next(same, rate)

    return {name: replace(rule, rates=tuple(map(written, rule.rates))) for name, rule in rules.items()}


def _rules(network: Network, other: Rule | None) -> dict[str, Rule]:
    where = places(network)
    if where is None or is_foreign(network.trace.layers.get("optimizer")):
        return {}
    values = exact_run(network).values
    promised = declared(network.trace.layers.get("optimizer"))
    likely = [promised, replace(promised, decay=0.0)] if promised is not None else []
    known = scalars(network, where)
    kept = {name: _kept(likely, where, values, (name,)) for name in where.names}
    if all(kept.values()) and len({replace(r, rates=()) for r in kept.values() if r}) > 1:
        return {name: rule for name, rule in kept.items() if rule is not None}
    joint = _kept(likely, where, values, where.names) or _best((known, other), where, values, where.names)
    if joint is not None:
        return dict.fromkeys(where.names, joint)
    found: dict[str, Rule] = {}
    for name in where.names:
        earlier = dict.fromkeys(found.values())
        rule = kept[name] or _kept(earlier, where, values, (name,)) or _best((known, other), where, values, (name,))
        if rule is not None:
            found[name] = rule
    return found


def _kept(rules: Iterable[Rule], where: Places, values: Values, names: tuple[str, ...]) -> Rule | None:
    """The first of `rules` that explains the updates of `names`, with the rates that fit."""
    evidence = _evidence(where, values, names)
    if evidence is None:
        return None
    history, actual = evidence
    for rule in rules:
        residual, rates = _residual(rule, history, actual)
        if residual < _FITS:
            return replace(rule, rates=rates)
    return None


def scalars(network: Network, where: Places) -> tuple[float, ...]:
    """The numbers that the operations between gradients and updated weights were given; settings come first."""
    trace = network.trace
    found: dict[float, None] = {}
    settings = trace.layers["optimizer"].settings if "optimizer" in trace.layers else {}
    for setting in settings.values():
        for x in setting if isinstance(setting, list | tuple) else [setting]:
            if isinstance(x, int | float) and not isinstance(x, bool):
                found[short(float(x))] = None
    made = {i for row in where.gradients for i in row}
    for node in network.nodes:
        if node.node.phase == "optimizer" or (made & node.reads):
            for _, x in numbers(node):
                found.setdefault(short(x))
            for i in node.reals:
                if network.actual[i].size == 1 and trace.values[i].is_leaf:
                    found.setdefault(short(float(network.actual[i].reshape(()))))
    return tuple(found)


def _evidence(where: Places, values: Values, names: tuple[str, ...]) -> tuple[History, list[Vector]] | None:
    """What the updates of `names` were made from, and the updates; None where a step changed nothing."""
    steps = len(where.gradients)
    history = where.history(values, steps, names)
    columns = [k for k, name in enumerate(where.names) if name in names]
    last = np.concatenate([values[where.updated[-1][k]].reshape(-1) for k in columns])
    actual = [y - x for x, y in itertools.pairwise([*history.weights, last])]
    return (history, actual) if all(np.isfinite(u).all() and u.any() for u in actual) else None


def _best(
    hints: tuple[Sequence[float], Rule | None], where: Places, values: Values, names: tuple[str, ...]
) -> Rule | None:
    """The rule that explains the updates of `names` best: near the other side's, or of the catalogue; None for none."""
    known, other = hints
    evidence = _evidence(where, values, names)
    if evidence is None:
        return None
    history, actual = evidence
    near = list(neighbours(other, known)) if other is not None else []
    shapes = beginnings(known) | {beginning(rule) for rule in near}
    found: list[tuple[float, Rule]] = []
    for clip, limit in (("off", 0.0), *_clips(known, history)):
        seed = Rule("", clip=clip, limit=limit)
        pulled = History([clipped(seed, g, history.sizes) for g in history.gradients], history.weights, history.sizes)
        sample = _sampled(pulled, actual)
        begun = _begun(shapes, *sample)
        best = _search(_only(near, begun), known, *sample)
        if best is None and begun:
            best = _search(_only(catalogue(known, len(actual)), begun), known, *sample)
        if best is not None:
            found.append((best[0], replace(best[1], clip=clip, limit=limit)))
            if clip == "off":
                break
    return min(found, key=lambda item: item[0])[1] if found else None


def _begun(beginnings: Iterable[Beginning], history: History, actual: list[Vector]) -> set[Beginning]:
    """Those that explain the first update, with whatever learning rate and decoupled decay."""
    found: set[Beginning] = set()
    u, w = actual[0], history.weights[0]
    by_decay: dict[float, list[Beginning]] = {}
    for shape in beginnings:
        by_decay.setdefault(shape[0], []).append(shape)
    for decay, shapes in by_decay.items():
        g = history.gradients[0] + decay * w
        p, q = (np.array([[shape[k]] for shape in shapes]) for k in (1, 2))
        with np.errstate(all="ignore"):
            directions = np.where(np.isinf(p), g, g / (np.sqrt(g * g + p) + q))
            fits = _spanned(u, np.nan_to_num(directions), w)
        found.update(shape for shape, fit in zip(shapes, fits, strict=True) if fit)
    return found


def _spanned(u: Vector, directions: Vector, w: Vector) -> Vector:
    """For each row d of `directions`, whether `u` is a sum of multiples of d and `w`."""
    d = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    rest, left = w - (d @ w)[:, None] * d, u - (d @ u)[:, None] * d
    square = np.sum(rest * rest, 1)
    share = np.where(square > _EMPTY * float(w @ w), np.sum(rest * left, 1) / square, 0.0)
    return np.linalg.norm(left - share[:, None] * rest, axis=1) <= 10.0**_CONVINCES * np.linalg.norm(u)


def _only(rules: Iterable[Rule], begun: set[Beginning]) -> Iterator[Rule]:
    return (rule for rule in rules if beginning(rule) in begun)


def _sampled(history: History, actual: list[Vector]) -> tuple[History, list[Vector]]:
    """At most `_SAMPLE` elements, with gradients of every size: small ones tell where eps stands."""
    order = np.argsort(np.abs(history.gradients[0]))
    chosen = order[np.linspace(0, order.size - 1, min(order.size, _SAMPLE)).astype(int)]
    gradients, weights = ([v[chosen] for v in table] for table in (history.gradients, history.weights))
    return History(gradients, weights, (chosen.size,)), [u[chosen] for u in actual]


def _clips(known: Sequence[float], history: History) -> Iterator[tuple[str, float]]:
    largest = max(float(np.linalg.norm(g)) for g in history.gradients)
    for limit in [x for x in known if 0 < x < largest][:_LIMITS]:
        yield from (("global norm", limit), ("norm", limit), ("value", limit))


def _search(
    rules: Iterable[Rule], known: Sequence[float], history: History, actual: list[Vector]
) -> tuple[float, Rule] | None:
    """(score, rule) of the best of `rules`; None where none convinces."""
    best: tuple[float, Rule] | None = None
    for count, rule in enumerate(rules):
        for tried in _with_decays(rule, known, history, actual):
            residual, rates = _residual(tried, history, actual)
            score = _score(residual, rates, known)
            if score > _CONVINCES:
                continue
            if best is None or score + 1e-4 * count < best[0]:
                best = (score + 1e-4 * count, replace(tried, rates=rates))
            break
        if best is not None and best[0] < _EXACT:
            break
    return best


def _residual(rule: Rule, history: History, actual: list[Vector]) -> tuple[float, tuple[float, ...]]:
    with np.errstate(all="ignore"):
        made, rates = fitted(rule, history, actual)
        worst = max(float(np.linalg.norm(x - y) / np.linalg.norm(y)) for x, y in zip(made, actual, strict=True))
    return worst, rates


def _score(residual: float, rates: tuple[float, ...], known: Sequence[float]) -> float:
    """How well a rule explains the updates: decades of the residual, and more where its rates are odd."""
    if not residual < 1:
        return math.inf
    constant = all(math.isclose(r, rates[0], rel_tol=_SAME_NUMBER) for r in rates)
    written = any(math.isclose(abs(rates[0]), x, rel_tol=_SAME_NUMBER) for x in known)
    return math.log10(max(residual, 1e-13)) + _ODD * (not constant) + _ODD * (not written)


def _with_decays(rule: Rule, known: Sequence[float], history: History, actual: list[Vector]) -> Iterator[Rule]:
    """The rule as it is, then with the decoupled weight decay that its first step would show, if it was written."""
    yield rule
    if rule.decay or rule.inside:
        return
    with np.errstate(all="ignore"):
        first = History(history.gradients[:1], history.weights[:1], history.sizes)
        (update,) = updates(replace(rule, rates=(1.0,)), first)
        columns = np.stack([update, -history.weights[0]], 1)
    if np.isfinite(columns).all() and np.linalg.matrix_rank(columns) == 2:
        (rate, pull), *_ = np.linalg.lstsq(columns, actual[0], rcond=None)
        forms = (pull / rate, pull, 1 - pull) if rate else ()
        if any(math.isclose(f, x, rel_tol=_SAME_NUMBER) for f in forms for x in known if 0 < x < 1):
            yield replace(rule, decay=short(pull / rate), decay_form="decoupled")
