"""A constant factor or shift: a sum for a mean, Bessel's correction, a forgotten scale, a division by 255 left out."""

import functools
import math
from collections.abc import Iterator

import numpy as np

from oracle.alignments.alignment import Side, same_multiset
from oracle.causes import Candidate, Context, after, hypothesis, replaced_output
from oracle.causes.arithmetic.relations import relate
from oracle.causes.arithmetic.roles import code_of_number
from oracle.causes.local import downstream, upstream
from oracle.networks.lowered import LoweredNode
from oracle.networks.network import Values
from oracle.networks.node_reading import place

_LIMIT = 20
_NEAR = 1e-9
_AROUND = 8
_JUST_BEFORE = 3
# Operations that make one number of several, and those that multiply arrays.
_REDUCING = ("mean", "sum", "avg", "average", "reduce", "loss", "entropy", "nll", "divergence", "norm", "pool")
_PRODUCTS = ("mm", "matmul", "dot", "einsum", "attention")


@hypothesis(priority=35)
def constant_factor(context: Context) -> Iterator[Candidate]:
    """A value of B's region is a constant multiple of one of A's, by a factor that has a name."""
    for node_b in context.at_b.region[:_LIMIT]:
        y = context.b.run.values[node_b.outputs[0]]
        for node_a in context.at_a.region[:_LIMIT]:
            x = context.a.run.values[node_a.outputs[0]]
            factor = _factor(x, y)
            if factor is None:
                continue
            code, meaning = name_factor(factor, context, node_b)
            if code:
                yield Candidate(
                    code,
                    after(context.b, node_b, functools.partial(np.multiply, factor)),
                    node_a,
                    node_b,
                    fix_a=f"divide by {factor:.10g} at {place(node_a)}",
                    fix_b=f"multiply by {factor:.10g} at {place(node_b)}",
                    detail=f"{{A}} is {factor:.10g} times {{B}} here: {meaning}",
                )


@hypothesis(priority=36)
def constant_step(context: Context) -> Iterator[Candidate]:
    """B multiplies by a number, or adds one, where A uses the value as it is: B uses it as it is, too."""
    for node in context.at_b.region[:_LIMIT]:
        y = context.b.run.values[node.outputs[0]]
        near = (node, *upstream(context.b, node.outputs[0], _JUST_BEFORE))
        for i in dict.fromkeys(i for n in near for i in n.reals):
            x = context.b.run.values[i]
            if x.shape != y.shape or not context.matched(i) or context.b.network.trace.values[i].role == "random":
                continue
            relation = relate(y, x)
            if relation is not None and not relation[0].endswith("axis"):
                yield _step(context, (node, i), relation[0], (float(y.flat[0]), float(x.flat[0]), relation[3]))


def _step(context: Context, read: tuple[LoweredNode, int], code: str, numbers: tuple) -> Candidate:
    (node, i), (y, x, factor) = read, numbers
    words = {
        "constant-factor": f"multiplies by {factor:.10g}" if factor else "",
        "constant-shift": f"adds {y - x:.10g}",
        "sign": "changes the sign",
    }.get(code, "multiplies by a number and adds one")
    if code == "constant-shift":
        code = code_of_number(context.b, node, y - x) or code
    if factor is not None:
        code = name_factor(factor, context, node)[0] or code
    node_a = context.a.producers.get(context.matched(i)[0])
    return Candidate(
        code,
        replaced_output(node, functools.partial(_as_it_is, i)),
        node_a,
        node,
        fix_a=f"do it there too{f', behind {place(node_a)}' if node_a is not None else ''}: the other model {words}",
        fix_b=f"leave out {place(node)}",
        detail=f"{{B}} {words} where {{A}} uses the value as it is",
    )


def _as_it_is(value: int, values: Values) -> np.ndarray:
    return values[value]


def _factor(x: np.ndarray, y: np.ndarray) -> float | None:
    """c with x = c y as multisets; None where there is none, or it is one."""
    if x.size != y.size or not x.size:
        return None
    size_x, size_y = float(np.linalg.norm(x)), float(np.linalg.norm(y))
    if not (math.isfinite(size_x) and math.isfinite(size_y)) or size_x == 0 or size_y == 0:
        return None
    largest_x, largest_y = x.reshape(-1)[np.argmax(np.abs(x))], y.reshape(-1)[np.argmax(np.abs(y))]
    factor = math.copysign(size_x / size_y, largest_x * largest_y)
    return factor if abs(factor - 1) > _NEAR and same_multiset(x, factor * y) else None


def name_factor(factor: float, context: Context, node: LoweredNode) -> tuple[str, str]:
    """The code and the meaning of a factor, from the sizes at hand; empty where it means nothing."""
    sizes = sorted({n for n in _sizes(context.b, node) if n > 1})
    for n in sizes if _takes_squares(context.b, node) else ():
        if any(_is(factor, c) for c in (n / (n - 1), (n - 1) / n)):
            return "variance-ddof", f"a variance over {n} elements divided by {n} or by {n - 1}"
        if any(_is(factor, c) for c in (math.sqrt(n / (n - 1)), math.sqrt((n - 1) / n))):
            return "variance-ddof", f"a standard deviation over {n} elements with {n} or {n - 1} in the divisor"
    for n in sizes if _reduces(context.b, node) else ():
        if _is(factor, n) or _is(factor, 1 / n):
            return "reduction", f"the number of elements {n} of an axis or array: sum against mean"
    for n in sizes if _makes_scores(context.b, node) else ():
        if _is(factor, math.sqrt(n)) or _is(factor, 1 / math.sqrt(n)):
            return "attention-scale", f"the root of the size {n}"
    if _is(factor, -1.0):
        return "sign", "the opposite sign"
    for n in (2, 4, 8, 10, 100):
        if _is(factor, n) or _is(factor, 1 / n):
            return "constant-factor", f"the factor {n}"
    return "", ""


def code_of_ratio(ratio: float, context: Context, node: LoweredNode) -> str:
    """What it means that the node multiplies, or divides, by a number so many times as large; empty for nothing."""
    code, _ = name_factor(ratio, context, node)
    if code == "variance-ddof":
        return code
    return "attention-scale" if _makes_scores(context.b, node) and _weighs(context.b, node) else ""


def _weighs(side: Side, node: LoweredNode) -> bool:
    """Whether a softmax follows soon."""
    return any("softmax" in n.node.op.lower() for n in downstream(side, node.outputs[0], _AROUND))


def _takes_squares(side: Side, node: LoweredNode) -> bool:
    """Whether the node, or one near by that leads to it, squares: without squares there is no variance."""
    near = [node]
    for n in near:
        if len(near) < _LIMIT:
            near += [side.producers[i] for i in n.reals if i in side.producers and side.producers[i] not in near]
    words = ("var", "std", "square", "pow", "norm", "moments", "rsqrt")
    return any(
        any(w in n.node.op.lower() for w in words)
        or len(n.node.reads) > len(set(n.node.reads))
        or _multiplies_itself(side, n)
        for n in near
    )


def _multiplies_itself(side: Side, node: LoweredNode) -> bool:
    """Whether an array is multiplied by itself, transposed: a covariance."""
    if len(node.reals) != 2 or not any(word in node.node.op.lower() for word in _PRODUCTS):
        return False
    left, right = (side.run.values[i] for i in node.reals)
    return same_multiset(left, right)


def _reduces(side: Side, node: LoweredNode) -> bool:
    """Whether the node, or one near by that leads to it, makes one number of several, as a sum or a mean does."""
    for near in (node, *upstream(side, node.outputs[0], _JUST_BEFORE)):
        smaller = any(side.run.values[i].size > side.run.values[near.outputs[0]].size for i in near.reals)
        if smaller and any(word in near.node.op.lower() for word in _REDUCING):
            return True
    return False


def _makes_scores(side: Side, node: LoweredNode) -> bool:
    """Whether the product of two computed arrays, as of queries and keys, lies just before the node, or just behind."""
    near = (node, *upstream(side, node.outputs[0], _AROUND), *downstream(side, node.outputs[0], _AROUND))
    products = [n for n in near if any(word in n.node.op.lower() for word in _PRODUCTS)]
    return any(sum(_is_computed(side, i) for i in n.reals) > 1 for n in products)


def _is_computed(side: Side, value: int) -> bool:
    """Whether the array comes from data, not from stored numbers alone."""
    trace = side.network.trace
    return trace.values[value].role == "input" or any(
        trace.values[i].role == "input" or len(n.reals) > 1 for n in upstream(side, value, _AROUND) for i in n.reals
    )


def _is(a: float, b: float) -> bool:
    return math.isclose(a, b, rel_tol=1e-7)


def _sizes(side: Side, node: LoweredNode) -> set[int]:
    """Axis lengths, and products of leading or trailing ones, of the arrays around the node, upstream too."""
    shapes, wanted = [side.run.values[node.outputs[0]].shape], list(node.reals)
    for _ in range(12):
        if not wanted:
            break
        i = wanted.pop(0)
        shapes.append(side.run.values[i].shape)
        producer = side.producers.get(i)
        wanted.extend(producer.reals if producer else ())
    sizes: set[int] = set()
    for shape in shapes:
        sizes.update(shape)
        sizes.update(math.prod(shape[i:j]) for i in range(len(shape)) for j in range(i + 1, len(shape) + 1))
    return sizes
