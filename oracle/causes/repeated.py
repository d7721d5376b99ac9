"""A function applied once too often: a second softmax or sigmoid, dropout left on, any extra elementwise step."""

from collections.abc import Callable, Iterator

import numpy as np
import scipy.special as sp

from oracle.causes import Candidate, Context, bypassed, hypothesis, place
from oracle.lowered import LoweredNode

# Functions a network applies by mistake, by the name a user knows, with the code of the mistake.
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
}


@hypothesis(priority=30)
def extra_node(context: Context) -> Iterator[Candidate]:
    """B transforms a value that A uses as it is: B's node is bypassed."""
    for node in context.at_b.region[:20]:
        if not node.reals or not node.outputs:
            continue
        x, y = context.b.run.values[node.reals[0]], context.b.run.values[node.outputs[0]]
        if x.shape == y.shape and context.matched(node.reals[0]):
            name, code = _named(context, node, x, y)
            yield Candidate(
                code,
                bypassed(node),
                None,
                node,
                fix_a=f"apply {name} there too",
                fix_b=f"remove {name} at {place(node)}",
                detail=f"{{B}} applies {name} to a value that {{A}} uses as it is",
            )


def _named(context: Context, node: LoweredNode, x: np.ndarray, y: np.ndarray) -> tuple[str, str]:
    """What the node does, by its effect, and the code."""
    if any(_is_random(context, i) for i in node.reals[1:]) or "dropout" in node.node.op.lower():
        return "dropout", "dropout-active"
    for name, (function, code) in FUNCTIONS.items():
        with np.errstate(all="ignore"):
            if np.allclose(function(x), y, rtol=1e-9, atol=1e-300, equal_nan=True):
                return name, _once_or_twice(context, node, name, code)
    return node.node.op, "extra-node"


def _once_or_twice(context: Context, node: LoweredNode, name: str, code: str) -> str:
    """A second softmax where the network, or its loss, has one already; else merely an extra node."""
    if not code.startswith("double"):
        return code
    stem = name.removeprefix("log_")
    others = [n for n in context.b.network.nodes if n is not node and n.node.phase == node.node.phase]
    return (
        code if any(stem in n.node.op.lower() or "crossentropy" in n.node.op.lower() for n in others) else "extra-node"
    )


def _is_random(context: Context, value: int) -> bool:
    seen, wanted = set(), [value]
    while wanted:
        i = wanted.pop()
        if i in seen:
            continue
        seen.add(i)
        known = context.b.network.trace.values[i]
        if known.role == "random":
            return True
        producer = context.b.producers.get(i)
        if producer is not None and len(seen) < 12:
            wanted.extend(producer.node.reads)
    return False
