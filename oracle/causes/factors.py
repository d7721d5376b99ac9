"""A constant factor: a sum for a mean, Bessel's correction, a forgotten attention scale."""

import functools
import math
from collections.abc import Iterator

import numpy as np

from oracle.alignment import Side, same_multiset
from oracle.causes import Candidate, Context, after, hypothesis, place
from oracle.lowered import LoweredNode

_LIMIT = 20
_NEAR = 1e-9


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
    for n in sizes:
        if _is(factor, n) or _is(factor, 1 / n):
            return "reduction", f"the number of elements {n} of an axis or array: sum against mean"
        if _is(factor, math.sqrt(n)) or _is(factor, 1 / math.sqrt(n)):
            return "attention-scale", f"the root of the size {n}"
    if _is(abs(factor), 1.0):
        return "sign", "the opposite sign"
    for n in (2, 4, 8, 10, 100):
        if _is(factor, n) or _is(factor, 1 / n):
            return "constant-factor", f"the factor {n}"
    return "", ""


def _takes_squares(side: Side, node: LoweredNode) -> bool:
    """Whether the node, or one near by that leads to it, squares: without squares there is no variance."""
    near = [node]
    for n in near:
        if len(near) < _LIMIT:
            near += [side.producers[i] for i in n.reals if i in side.producers and side.producers[i] not in near]
    words = ("var", "std", "square", "pow", "norm", "moments", "rsqrt")
    return any(any(w in n.node.op.lower() for w in words) or len(n.node.reads) > len(set(n.node.reads)) for n in near)


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
