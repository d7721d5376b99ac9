"""What keeps a root, a logarithm or a divisor from zero: a small number added, or a lower bound, inside or outside.

    s + e    max(s, e)    sqrt(s + e)    sqrt(s) + e    max(sqrt(s), e)    sqrt(max(s, e))    and their reciprocals

Codes:
    eps: the number, or where it stands, differs; or one side has none.
"""

import functools
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from oracle.alignments.alignment import Side
from oracle.causes import Candidate, Context, hypothesis, replaced_output
from oracle.causes.arithmetic.roles import keeps_from_zero
from oracle.causes.local import close, upstream
from oracle.networks.lowered import LoweredNode
from oracle.networks.network import Values
from oracle.networks.node_reading import numbers, place

_REACH = 40
_STEPS = 3
_SMALL = 0.5
_EXACT = 1e-11
Form = Callable[[np.ndarray, float], np.ndarray]
# By what is made of s: itself or its root. The first form of each has no guard.
PLAIN: dict[str, Form] = {"s": lambda s, e: s, "s + eps": lambda s, e: s + e, "max(s, eps)": np.maximum}
ROOTS: dict[str, Form] = {
    "sqrt(s)": lambda s, e: np.sqrt(s),
    "sqrt(s + eps)": lambda s, e: np.sqrt(s + e),
    "sqrt(s) + eps": lambda s, e: np.sqrt(s) + e,
    "max(sqrt(s), eps)": lambda s, e: np.maximum(np.sqrt(s), e),
    "sqrt(max(s, eps))": lambda s, e: np.sqrt(np.maximum(s, e)),
}


def _inverse(form: Form, s: np.ndarray, e: float) -> np.ndarray:
    return np.asarray(1 / form(s, e))


_RECIPROCALS: dict[str, Form] = {f"1 / ({name})": functools.partial(_inverse, form) for name, form in ROOTS.items()}


@dataclass(frozen=True)
class Guard:
    """A node that makes `form(s, eps)` of the value `source`; `forms` are those that may stand in its place."""

    node: LoweredNode
    source: int
    form: str
    eps: float
    forms: dict[str, Form]

    def words(self, form: str, eps: float) -> str:
        """The form with its number."""
        return form.replace("eps", f"{eps:g}")


@hypothesis(priority=21)
def other_guard(context: Context) -> Iterator[Candidate]:
    """B keeps a value from zero in one way; A in another. Asked after A's numbers have been tried in B's way."""
    theirs = small_numbers(context.a, context.at_a.region[:_REACH])
    for guard in guards(context.b, context.at_b.region[:_REACH]):
        for form, eps in _others(guard, theirs):
            if _acts(context.b, guard, form, eps):
                yield _candidate(context, guard, form, eps)


@hypothesis(priority=23)
def no_guard(context: Context) -> Iterator[Candidate]:
    """B keeps a value from zero; A does not. Asked after every number of A has been tried as B's."""
    for guard in guards(context.b, context.at_b.region[:_REACH]):
        yield _candidate(context, guard, next(iter(guard.forms)), guard.eps)


def _acts(side: Side, guard: Guard, form: str, eps: float) -> bool:
    """Whether the form changes a number here: a bound that is never reached is no guard at all."""
    s = side.run.values[guard.source]
    with np.errstate(all="ignore"):
        bare = next(iter(guard.forms.values()))(s, eps)
        return not np.array_equal(guard.forms[form](s, eps), bare)


def _candidate(context: Context, guard: Guard, form: str, eps: float) -> Candidate:
    was, now = guard.words(guard.form, guard.eps), guard.words(form, eps)
    node_a = context.at_a.first[0] if context.at_a.first else None
    return Candidate(
        "eps",
        replaced_output(guard.node, functools.partial(_formed, guard.forms[form], guard.source, eps)),
        node_a,
        guard.node,
        fix_a=f"compute {was} at {place(node_a)}",
        fix_b=f"compute {now} in place of {was} at {place(guard.node)}",
        detail=f"{{A}} keeps s from zero as {now}, {{B}} as {was} ({place(guard.node)})",
    )


def _formed(form: Form, source: int, eps: float, values: Values) -> np.ndarray:
    with np.errstate(all="ignore"):
        return np.asarray(form(values[source], eps))


def _others(guard: Guard, theirs: list[float]) -> Iterator[tuple[str, float]]:
    """Every other form with B's own number, those of A, their squares and roots: max(sqrt(s), e) bounds s by e^2.

    The same form with another number is told with the name that its layer has for it
    (`oracle.causes.arithmetic.scalars`).
    """
    given = [guard.eps, *theirs]
    own = list(dict.fromkeys([*given, *(e**2 for e in given), *(e**0.5 for e in given)]))
    for form, eps in itertools.product(list(guard.forms)[1:], own):
        if form != guard.form:
            yield form, eps


def guards(side: Side, region: tuple[LoweredNode, ...]) -> Iterator[Guard]:
    """The nodes of the region that keep a value from zero, by their effect."""
    for node in region:
        y = side.run.values[node.outputs[0]]
        near = (node, *upstream(side, node.outputs[0], _STEPS))
        known = small_numbers(side, near)
        sources = dict.fromkeys(i for n in near for i in n.reals)
        found = (_guard(side, node, (i, y), known) for i in sources if side.run.values[i].shape == y.shape)
        yield from itertools.islice((g for g in found if g is not None), 1)


def _guard(side: Side, node: LoweredNode, read: tuple[int, np.ndarray], known: list[float]) -> Guard | None:
    source, y = read
    s = side.run.values[source]
    if not np.isfinite(y).all() or not y.size:
        return None
    for forms in (PLAIN, ROOTS, _RECIPROCALS):
        if forms is not PLAIN and np.min(s) < 0:
            continue
        with np.errstate(all="ignore"):
            bare = next(iter(forms.values()))(s, 0.0)
        for form, eps in itertools.product(list(forms)[1:], known):
            with np.errstate(all="ignore"):
                made = np.asarray(forms[form](s, eps))
            acts = np.isfinite(made).all() and close(made, y, _EXACT) and not np.array_equal(made, bare)
            if acts and (forms is not PLAIN or keeps_from_zero(side, node)):
                return Guard(node, source, form, eps, forms)
    return None


def small_numbers(side: Side, nodes: tuple[LoweredNode, ...]) -> list[float]:
    """The small positive numbers that the nodes hold, as literals or as constants."""
    found: dict[float, None] = {}
    for node in nodes:
        found.update((value, None) for _, value in numbers(node) if 0 < value < _SMALL)
        for i in node.reals:
            array = side.run.values[i]
            if array.size == 1 and side.network.trace.values[i].role == "constant":
                number = float(array.reshape(()))
                found.update({number: None} if 0 < number < _SMALL else {})
    return list(found)
