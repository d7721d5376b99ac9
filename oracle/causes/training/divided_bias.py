"""A bias that one side keeps in two parts and trains both: their sum moves twice as far.

torch's recurrent layers add `bias_ih` and `bias_hh`, Keras's and flax's have one bias. A port that carries the sum over
means the same until the first update: either part has the gradient of the whole, and each takes a step of its own.

Codes:
    double-bias: both parts of a bias are trained on one side.
"""

import functools
import itertools
from collections.abc import Iterator

import numpy as np

from oracle.alignments.alignment import CLOSE, Side
from oracle.causes import Candidate, Context, hypothesis
from oracle.causes.local import Compute, overridden
from oracle.networks.network import Values
from oracle.networks.node_reading import place
from oracle.updates.fitting import Places, places


@hypothesis(priority=2)
def bias_in_two_parts(context: Context) -> Iterator[Candidate]:
    """B's bias moves twice as far in each step, as the sum of A's two parts does."""
    of_a, of_b = places(context.a.network), places(context.b.network)
    if not context.pairs or context.pairs[0].step == 0 or of_a is None or of_b is None:
        return
    found = list(_divided(context, of_a, of_b))
    if not found:
        return
    doubled: dict[int, Compute] = {}
    for _, column in found:
        for before, after in zip(of_b.before, of_b.updated, strict=True):
            if after[column] in context.b.producers:
                doubled[after[column]] = functools.partial(_twice, context.b, before[column], after[column])
    parts, column = found[0]
    names, whole = [of_a.names[k] for k in parts], of_b.names[column]
    node_a, node_b = (
        side.producers.get(where.updated[0][k])
        for side, where, k in ((context.a, of_a, parts[0]), (context.b, of_b, column))
    )
    yield Candidate(
        "double-bias",
        overridden(context.b, doubled),
        node_a,
        node_b,
        fix_a=f"train one part: {names[1]}.requires_grad_(False)",
        fix_b=f"scale the update of {whole} by two, or give it a second part  # {place(node_b)}",
        detail=f"{names[0]} and {names[1]} of {{A}} are both trained: their sum moves twice as far as {whole} of {{B}}",
        tested=True,
    )


def _divided(context: Context, of_a: Places, of_b: Places) -> Iterator[tuple[tuple[int, int], int]]:
    """Columns of two parts in A and of what is their sum in B, all with the same gradient."""
    taken: set[int] = set()
    for whole, _ in enumerate(of_b.names):
        r, h = _start(context.b, of_b, whole)
        for parts in itertools.combinations((k for k in range(len(of_a.names)) if k not in taken), 2):
            (p, g), (q, other) = (_start(context.a, of_a, k) for k in parts)
            if not p.size == q.size == r.size or p.size < 2 or not _alike(g, other):
                continue
            ours, theirs = np.lexsort((p + q, g)), np.lexsort((r, h))
            if _alike((p + q)[ours], r[theirs]) and _alike(g[ours], h[theirs]):
                taken.update(parts)
                yield parts, whole
                break


def _twice(side: Side, before: int, after: int, values: Values) -> np.ndarray:
    made = side.network.apply(side.producers[after], values)[after]
    return 2 * made - values[before].reshape(made.shape)


def _start(side: Side, where: Places, column: int) -> tuple[np.ndarray, np.ndarray]:
    """A parameter before the first step, and its gradient."""
    values = side.run.values
    return values[where.before[0][column]].reshape(-1), values[where.gradients[0][column]].reshape(-1)


def _alike(x: np.ndarray, y: np.ndarray) -> bool:
    size = max(float(np.max(np.abs(x), initial=0.0)), float(np.max(np.abs(y), initial=0.0)))
    return bool(np.max(np.abs(x - y), initial=0.0) <= 4 * CLOSE * size)
