"""A function applied once too often, or left out: a second softmax, a second sigmoid, a missing activation."""

from collections.abc import Callable, Iterator

import numpy as np
import scipy.special as sp

from oracle.causes import Candidate, Context, after, hypothesis, place
from oracle.lowered import LoweredNode

# Functions a network ends or continues with, by the name a user knows, and the code when one is applied twice.
FUNCTIONS: dict[str, tuple[Callable[[np.ndarray], np.ndarray], str]] = {
    "softmax": (lambda x: sp.softmax(x, -1), "double-softmax"),
    "log_softmax": (lambda x: sp.log_softmax(x, -1), "double-softmax"),
    "sigmoid": (sp.expit, "double-sigmoid"),
    "tanh": (np.tanh, "extra-node"),
    "relu": (lambda x: np.maximum(x, 0.0), "extra-node"),
    "exp": (np.exp, "extra-node"),
    "log": (np.log, "extra-node"),
    "sqrt": (np.sqrt, "extra-node"),
    "square": (np.square, "extra-node"),
    "negative": (np.negative, "extra-node"),
}


@hypothesis(priority=30)
def missing_in_b(context: Context) -> Iterator[Candidate]:
    """A applies a function to a value that B has, and B does not: B's producer gets it."""
    for node_a in context.at_a.first:
        for j, name, code in _applied(context, node_a):
            producer = context.b.producers.get(j)
            if producer is not None and producer.outputs and producer.outputs[0] == j:
                yield Candidate(
                    code if code.startswith("double") else "missing-node",
                    after(context.b, producer, FUNCTIONS[name][0]),
                    node_a,
                    producer,
                    fix_a=f"remove the {name} at {place(node_a)}",
                    fix_b=f"apply {name} after {place(producer)}",
                    detail=f"A applies {name} to a value that B uses as it is",
                )


def _applied(context: Context, node_a: LoweredNode) -> Iterator[tuple[int, str, str]]:
    """B's values that equal an input of `node_a`, with the function by which `node_a` makes its output of it."""
    output = context.a.run.values[node_a.outputs[0]]
    for i in node_a.reals:
        x = context.a.run.values[i]
        if x.shape != output.shape:
            continue
        for name, (function, code) in FUNCTIONS.items():
            with np.errstate(all="ignore"):
                if np.allclose(function(x), output, rtol=1e-9, atol=1e-300, equal_nan=True):
                    yield from ((j, name, code) for j in context.alignment.a_to_b.get(i, ()))


@hypothesis(priority=30)
def extra_in_b(context: Context) -> Iterator[Candidate]:
    """B applies a function to a value that A uses as it is: B's node is bypassed."""
    from oracle.causes import bypassed  # noqa: PLC0415 - read beside its use

    for node_b in context.at_b.first:
        x, y = (
            context.b.run.values[i] for i in (node_b.reals[0] if node_b.reals else node_b.outputs[0], node_b.outputs[0])
        )
        if not node_b.reals or x.shape != y.shape:
            continue
        for name, (function, code) in FUNCTIONS.items():
            with np.errstate(all="ignore"):
                if np.allclose(function(x), y, rtol=1e-9, atol=1e-300, equal_nan=True):
                    yield Candidate(
                        code,
                        bypassed(node_b),
                        None,
                        node_b,
                        fix_a=f"apply {name} there too",
                        fix_b=f"remove the {name} at {place(node_b)}",
                        detail=f"B applies {name} to a value that A uses as it is",
                    )
