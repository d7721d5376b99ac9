"""eps on the other side of the root: (x - m) / (sqrt(v) + eps) for (x - m) / sqrt(v + eps)."""

import functools
from collections.abc import Iterator

import numpy as np

from oracle.alignment import Side
from oracle.causes import Candidate, Context, hypothesis, place, replaced_output
from oracle.lowered import LoweredNode
from oracle.network import Values

_REACH = 24


@hypothesis(priority=16)
def eps_outside_the_root(context: Context) -> Iterator[Candidate]:
    """B adds a small number to a root that A takes of a sum: the number goes inside."""
    for node in context.at_b.region[:_REACH]:
        found = _added_to_root(context.b, node)
        if found is None:
            continue
        inner, eps = found
        yield Candidate(
            "eps",
            replaced_output(node, functools.partial(_root_of_sum, inner, eps)),
            context.at_a.first[0] if context.at_a.first else None,
            node,
            fix_a=f"add eps to the root: sqrt(v) + {eps:g}",
            fix_b=f"add eps inside the root: sqrt(v + {eps:g})  # {place(node)}",
            detail=f"eps = {eps:g} stands outside the root in {{B}}, inside it in {{A}}",
        )


def _root_of_sum(inner: int, eps: float, values: Values) -> np.ndarray:
    return np.sqrt(values[inner] + eps)


def _added_to_root(side: Side, node: LoweredNode) -> tuple[int, float] | None:
    """(what the root is taken of, the number added) where the node adds one number to a square root."""
    values = side.run.values
    out = values[node.outputs[0]]
    for root in node.reals:
        producer = side.producers.get(root)
        if producer is None or len(producer.reals) != 1 or values[root].shape != out.shape:
            continue
        (inner,) = producer.reals
        with np.errstate(invalid="ignore"):
            is_root = values[inner].shape == values[root].shape and np.allclose(
                np.sqrt(values[inner]), values[root], 1e-9, 0
            )
        difference = out - values[root]
        eps = float(np.median(difference)) if difference.size else 0.0
        if is_root and 0 < eps < 0.1 and np.allclose(difference, eps, rtol=1e-4, atol=1e-12):
            return inner, eps
    return None
