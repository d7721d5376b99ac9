"""A norm whose variance is unbiased and whose eps is another one, or stands elsewhere: both at one place.

    (x - mean) / (std(x, ddof=1) + eps)   for   (x - mean) / sqrt(var(x, ddof=0) + eps)

A fused norm shows neither by itself, so both are changed together. (One alone is told by `guards`, or by the argument.)

Codes:
    variance-ddof: the variance divided by n or by n - 1.
    eps: its value, or its place inside or outside the root.
"""

import functools
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from oracle.causes import Candidate, Context, hypothesis, replaced_output
from oracle.causes.local import Wanted, close, soon, upstream
from oracle.causes.normalisations.guards import PLAIN, ROOTS, small_numbers
from oracle.networks.lowered import LoweredNode
from oracle.networks.network import Values
from oracle.networks.node_reading import place

_REGION = 24
_STEPS = 4
_SOON = 8
_LARGE = 1_000_000
_EXACT = 1e-11
Form = Callable[[np.ndarray, float], np.ndarray]


def _reciprocal(root: Form, s: np.ndarray, eps: float) -> np.ndarray:
    return 1 / root(s, eps)


_FORMS: dict[str, dict[str, Form]] = {
    "var": PLAIN,
    "root": ROOTS,
    "reciprocal": {f"1 / ({name})": functools.partial(_reciprocal, f) for name, f in ROOTS.items()},
}


@dataclass(frozen=True)
class Spread:
    """What a node makes of the variance of `source` along `axes`: divided by n - `ddof`, guarded by `eps`."""

    source: int
    axes: tuple[int, ...]
    ddof: int
    family: str
    form: str
    eps: float

    def compute(self, values: Values) -> np.ndarray:
        """The variance, or its root, as it is guarded."""
        variance = np.var(values[self.source], self.axes, ddof=self.ddof, keepdims=True)
        with np.errstate(all="ignore"):
            return np.asarray(_FORMS[self.family][self.form](variance, self.eps))

    def __str__(self) -> str:
        return f"{self.form.replace('eps', f'{self.eps:g}')} with s the variance over n{' - 1' if self.ddof else ''}"


@hypothesis(priority=28)
def other_spread(context: Context) -> Iterator[Candidate]:
    """B divides by the root of another variance and guards it otherwise: both as A does."""
    wanted = Wanted(context)
    theirs = small_numbers(context.a, context.at_a.region[:_REGION])
    for node in context.at_b.region[:_REGION]:
        present = _spread(context, node)
        if present is None:
            continue
        for form, eps in itertools.product(_FORMS[present.family], dict.fromkeys([*theirs, present.eps])):
            if (form, eps) == (present.form, present.eps):
                continue
            wish = replace(present, ddof=1 - present.ddof, form=form, eps=eps)
            edits = replaced_output(node, _shaped(context, node, wish))
            found = soon(context, wanted, edits, _SOON)
            if found is not None:
                yield _candidate(context, (node, wanted.node(found)), present, wish)


def _shaped(context: Context, node: LoweredNode, spread: Spread) -> Callable[[Values], np.ndarray]:
    shape = context.b.run.values[node.outputs[0]].shape
    return lambda values: spread.compute(values).reshape(shape)


def _candidate(
    context: Context, nodes: tuple[LoweredNode, LoweredNode | None], present: Spread, wish: Spread
) -> Candidate:
    node, node_a = nodes

    def cause(code: str, was: Spread, now: Spread) -> Candidate:
        return Candidate(
            code,
            replaced_output(node, _shaped(context, node, now)),
            node_a,
            node,
            fix_a=f"compute {was} at {place(node_a)}",
            fix_b=f"compute {now} in place of {was} at {place(node)}",
            detail=f"{{A}} has {now}, {{B}} {was}",
            tested=True,
        )

    half = replace(present, ddof=wish.ddof)
    return replace(cause("variance-ddof", present, half), also=(cause("eps", half, wish),))


def _spread(context: Context, node: LoweredNode) -> Spread | None:
    """What the node makes of the variance of a common value; None where it makes something else."""
    side = context.b
    y = side.run.values[node.outputs[0]]
    near = (node, *upstream(side, node.outputs[0], _STEPS))
    known = [0.0, *small_numbers(side, near)]
    for i in dict.fromkeys(i for n in near for i in n.reals):
        x = side.run.values[i]
        if not (2 <= x.ndim <= 5 and y.size < x.size <= _LARGE and x.size % y.size == 0 and context.matched(i)):
            continue
        for axes, ddof in itertools.product(_axes(x.shape, y.size), (0, 1)):
            for family, forms in _FORMS.items():
                for form, eps in itertools.product(forms, known):
                    spread = Spread(i, axes, ddof, family, form, eps)
                    if ("eps" in form) == (eps > 0) and _makes(spread, side.run.values, y):
                        return spread
    return None


def _makes(spread: Spread, values: Values, y: np.ndarray) -> bool:
    made = spread.compute(values)
    return bool(np.isfinite(made).all()) and close(made, y, _EXACT)


@functools.cache
def _axes(shape: tuple[int, ...], left: int) -> tuple[tuple[int, ...], ...]:
    """The axes over which moments leave so many numbers."""
    every = (a for count in range(1, len(shape) + 1) for a in itertools.combinations(range(len(shape)), count))
    return tuple(a for a in every if np.prod([n for k, n in enumerate(shape) if k not in a], initial=1) == left)
