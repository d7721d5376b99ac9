"""A scale or a shift that one side has and the other lacks: the affine part of a norm, gamma alone, beta alone.

Codes:
    extra-node, missing-node: a stored vector multiplies, or is added, on one side alone.
"""

import functools
import itertools
from collections.abc import Iterator

import numpy as np

from oracle.causes import Candidate, Context, hypothesis
from oracle.causes.local import rewired
from oracle.networks.lowered import LoweredNode
from oracle.networks.network import Values
from oracle.networks.node_reading import place

_NODES = 4
_MOST = 3
_STORED = ("parameter", "buffer", "constant")
_LINEAR = ("mm", "matmul", "conv", "linear", "dot", "einsum", "lstm", "gru", "rnn")
_WORDS = {1.0: "a scale", 0.0: "a shift"}


@hypothesis(priority=28)
def affine_left_out(context: Context) -> Iterator[Candidate]:
    """Vectors that a node of B stores become ones, or zeros: the scale or the shift that A does not have."""
    for node in context.at_b.first[:_NODES]:
        if any(word in node.node.op.lower() for word in _LINEAR):
            continue
        vectors = [i for i in dict.fromkeys(node.reals) if _is_vector(context, i)][:_MOST]
        for count in range(1, len(vectors) + 1):
            for chosen in itertools.combinations(vectors, count):
                for neutral in itertools.product(_WORDS, repeat=count):
                    yield _candidate(context, node, dict(zip(chosen, neutral, strict=True)))


def _is_vector(context: Context, value: int) -> bool:
    side = context.b
    array = side.run.values[value]
    return (
        side.network.trace.values[value].role in _STORED
        and np.squeeze(array).ndim == 1
        and array.size > 1
        and np.ptp(array) > 0
    )


def _candidate(context: Context, node: LoweredNode, neutral: dict[int, float]) -> Candidate:
    reads = {i: functools.partial(_filled, i, number) for i, number in neutral.items()}
    stored = context.b.network.trace.values
    names = " and ".join(
        _WORDS[number] + (f" ({stored[i].name})" if stored[i].name else "") for i, number in neutral.items()
    )
    node_a = context.at_a.first[0] if context.at_a.first else None
    return Candidate(
        "missing-node" if context.exchanged else "extra-node",
        rewired(context.b, node, reads),
        node_a,
        node,
        fix_a=f"add {names} with the numbers of the other model at {place(node_a)}",
        fix_b=f"leave out {names} at {place(node)} (torch: elementwise_affine=False, affine=False; Keras: scale=False, "
        "center=False)",
        detail=f"{{B}} has {names} that {{A}} lacks",
    )


def _filled(value: int, number: float, values: Values) -> np.ndarray:
    return np.full_like(values[value], number)
