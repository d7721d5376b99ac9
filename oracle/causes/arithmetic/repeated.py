"""A function applied once too often: a second softmax or sigmoid, dropout left on, any extra elementwise step."""

import functools
from collections.abc import Callable, Iterator

import numpy as np
import scipy.special as sp

from oracle.alignments.alignment import Side
from oracle.causes import Candidate, Context, hypothesis, replaced_output
from oracle.causes.arithmetic.elementwise import ROUNDINGS, code_of, identify
from oracle.causes.local import downstream, upstream
from oracle.networks.lowered import LoweredNode
from oracle.networks.network import Values
from oracle.networks.node_reading import place

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

_NODES, _STEPS, _BESIDE = 20, 12, 5


@hypothesis(priority=18)
def extra_node(context: Context) -> Iterator[Candidate]:
    """B transforms a value that A uses as it is: the value takes the place of what B makes of it."""
    for node in context.at_b.region[:_NODES]:
        if not node.outputs:
            continue
        y = context.b.run.values[node.outputs[0]]
        for i in _originals(context, node, y.size):
            x = context.b.run.values[i]
            name, code = _named(context, (node, i), x.reshape(y.shape), y)
            yield Candidate(
                "missing-node" if code == "extra-node" and context.exchanged else code,
                replaced_output(node, functools.partial(_value, i, y.shape)),
                context.a.producers.get(context.matched(i)[0]),
                node,
                fix_a=f"apply {name} there too",
                fix_b=f"remove {name} at {place(node)}",
                detail=f"{{B}} applies {name} to a value that {{A}} uses as it is",
            )


def _value(i: int, shape: tuple[int, ...], values: Values) -> np.ndarray:
    return values[i].reshape(shape)


def _originals(context: Context, node: LoweredNode, size: int) -> list[int]:
    """Matched values of one size from which the node makes its own: those that it reads, then those further up."""
    near = [i for i in dict.fromkeys(node.reals) if context.b.run.values[i].size == size and context.matched(i)]
    read_by_a = {i for n in context.at_a.first for i in n.reals}
    above = list(upstream(context.b, node.outputs[0], _STEPS))
    far = [
        i
        for up in (above if not node.moves else ())  # of numbers merely moved, what made them otherwise is too much
        for i in up.reals
        if context.b.run.values[i].size == size
        and read_by_a.intersection(context.matched(i))
        and not _learned_between(context, i, above)
    ]
    return [i for i in dict.fromkeys((*near, *far)) if not _is_stored(context, i)]


def _learned_between(context: Context, value: int, above: list[LoweredNode]) -> bool:
    """Whether weights come in between `value` and what is made of it: no function of the value alone."""
    made, between = {value}, []
    for node in sorted(above, key=lambda n: n.node.index):
        if not made.isdisjoint(node.reads):
            made.update(node.results)
            between.append(node)
    return any(_is_stored(context, i) for node in between for i in node.reads)


def _is_stored(context: Context, value: int) -> bool:
    return context.b.network.trace.values[value].role in ("parameter", "buffer", "random")


def _named(context: Context, read: tuple[LoweredNode, int], x: np.ndarray, y: np.ndarray) -> tuple[str, str]:
    """What B does to value `read[1]` up to the node `read[0]`, by its effect, and the code."""
    node, origin = read
    if any(_is_random(context, i) for i in node.reads if i != origin) or "dropout" in node.node.op.lower():
        return "dropout", "dropout-active"
    if context.kind == "gradients" and len(node.reals) == 2 and "add" in node.node.op.lower():
        return "a second use of the same weight", "weights-shared"
    if _keeps_or_zeroes(context.b, node, origin):
        return "a mask of zeros and ones", "masking"
    for name, (function, code) in FUNCTIONS.items():
        with np.errstate(all="ignore"):
            if np.allclose(function(x), y, rtol=1e-9, atol=1e-300, equal_nan=True):
                return name, _once_or_twice(context, node, name, code)
    if context.kind != "gradients" and _is_rounded(x, y):
        return "a rounding to whole numbers", "division" if _is_quotient(context.b, origin) else "extra-node"
    behind = (context.b.run.values[n.outputs[0]] for n in downstream(context.b, node.outputs[0], 2) if n.outputs)
    made = list(_as_activation(context.b, origin))
    called = (_as_activations(made, z) for z in (y, *behind) if made)
    return next((c for c in called if c), (node.node.op, "extra-node"))


def _is_rounded(x: np.ndarray, y: np.ndarray) -> bool:
    return y.size > 1 and any(np.array_equal(rounded(x), y) for rounded in ROUNDINGS.values())


def _is_quotient(side: Side, value: int) -> bool:
    producer = side.producers.get(value)
    return producer is not None and "div" in producer.node.op.lower()


def _as_activation(side: Side, value: int) -> Iterator[tuple[np.ndarray, str]]:
    """Arrays near by of which `value` is an activation, with its name."""
    made = side.run.values[value]
    for near in upstream(side, value, _BESIDE):
        for i in near.reals:
            x = side.run.values[i]
            name = identify(x.reshape(-1), made.reshape(-1)) if x.shape == made.shape and i != value else ""
            if name and name != "identity" and x.size > 1:
                yield x, name


def _as_activations(made: list[tuple[np.ndarray, str]], y: np.ndarray) -> tuple[str, str] | None:
    """What it is called where `y` is another activation of one of the arrays: the factor of an ELU is its slope."""
    for x, name in made:
        other = identify(x.reshape(-1), y.reshape(-1)) if x.shape == y.shape else ""
        if other and other not in ("identity", name):
            return f"{other} for {name}", code_of(other, name)
    return None


def _once_or_twice(context: Context, node: LoweredNode, name: str, code: str) -> str:
    """A second softmax where the network, or its loss, has one just before or after; else merely an extra node."""
    if not code.startswith("double"):
        return code
    side, stem = context.b, name.removeprefix("log_")
    before = (n for i in node.reals for n in upstream(side, i, _BESIDE))
    behind = (n for o in node.outputs for n in downstream(side, o, _BESIDE))
    size = side.run.values[node.outputs[0]].size
    around = [n for n in (*before, *behind) if n.node.index != node.node.index]
    return code if any(_does(side, n, stem, size) for n in around) else "extra-node"


def _does(side: Side, node: LoweredNode, stem: str, size: int) -> bool:
    """Whether the node is the function of so many numbers, alone or within a loss, or has its effect."""
    op = node.node.op.lower().replace("_", "")
    if "crossentropy" in op:
        return True
    if not node.reals or not node.outputs or side.run.values[node.reals[0]].size != size:
        return False
    if stem in op and "hard" not in op:
        return True
    x, y = side.run.values[node.reals[0]], side.run.values[node.outputs[0]]
    with np.errstate(all="ignore"):
        return x.shape == y.shape and bool(np.allclose(FUNCTIONS[stem][0](x), y, rtol=1e-9, atol=1e-300))


def _keeps_or_zeroes(side: Side, node: LoweredNode, origin: int) -> bool:
    """Whether the node multiplies by zeros and ones, or sets to zero where told, and `origin` does not tell where."""
    x, y = side.run.values[origin], side.run.values[node.outputs[0]]
    kept = y.reshape(x.shape) == x
    if origin not in node.reals or kept.all() or not kept.any() or np.any(y.reshape(x.shape)[~kept]):
        return False
    marks = [i for i in node.reads if i != origin and side.run.values[i].size > 1 and _is_marking(side.run.values[i])]
    return any(not any(origin in n.reads for n in upstream(side, i, _BESIDE)) for i in marks)


def _is_marking(array: np.ndarray) -> bool:
    return array.dtype.kind == "b" or bool(np.all((array == 0) | (array == 1)) and np.ptp(array) == 1)


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
