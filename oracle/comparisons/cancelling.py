"""Formulas that cancel: two ways to compute one value from the same operands, of which one errs sixteen times as much.

    |x|^2 + |y|^2 - 2 x.y   against   sum (x - y)^2,      mean(x^2) - mean(x)^2   against   mean (x - mean(x))^2

Every operation is within its budget. The errors are those of the formulas alone, each on the operands that it was
given. The unstable one errs more than the rounding of the other's operands would explain, too: else the value itself is
ill-conditioned, and nobody's formula is to blame (backward error; Higham, Accuracy and Stability of Numerical
Algorithms, 1.5). And some sum in it is much smaller than what is added, so that an order of summation is never taken
for it. (`oracle.comparisons.accusing.unstable` holds a formula to the one operation that means the same.)

Codes:
    numerically-unstable-formula: nearly equal numbers are subtracted.
"""

import numpy as np

from oracle.alignments.alignment import Alignment, Side, difference, norm
from oracle.alignments.formulas import short_name
from oracle.comparisons.accusing import Finding, between
from oracle.comparisons.comparison import Accused
from oracle.networks.lowered import LoweredNode
from oracle.networks.network import Edits
from oracle.reference.formats import FORMATS, format_named

# Four lost bits make a formula unstable; as many must be lost in one sum.
_UNSTABLE = 16.0
_LONGEST = 40
# The digit by which a number goes up or down.
_SCATTERING = 2.0**17
_ADDING = ("add", "sub", "sum", "mean", "mm", "matmul", "dot", "conv")


def cancelling(sides: tuple[Side, Side], alignment: Alignment) -> list[Finding]:
    """Formulas that lose bits against another formula for the same value, on either side."""
    a, b = sides
    return _cancelling("B", (a, b), alignment) + _cancelling("A", (b, a), alignment.turned)


def _cancelling(name: str, sides: tuple[Side, Side], alignment: Alignment) -> list[Finding]:
    one, many = sides
    found: list[Finding] = []
    named: set[int] = set()
    for node in one.network.nodes:
        i = node.outputs[0] if node.outputs else -1
        for j in alignment.a_to_b.get(i, ())[:1] if node.node.phase == "forward" else ():
            if not _comparable(one, many, (i, j)) or _imbalance(one, many, (i, j)) <= _UNSTABLE:
                continue
            formulas = _formulas(one, many, (i, j), alignment)
            if formulas is None:
                continue
            own, other = formulas
            honest = max(_own_error(one, i, own), _rounding(many, j), _unavoidable(one, i, own))
            used = _own_error(many, j, other) / honest
            nodes = [n for n in many.network.nodes if n.node.index in other[0]]
            if used > _UNSTABLE and named.isdisjoint(other[0]) and any(_cancels(many, n) for n in nodes):
                named |= other[0]
                last = nodes[-1].node
                accused = Accused(name, last.op, last.scope, last.source, used, "numerically-unstable-formula")
                found.append(Finding(accused, other[0]))
    return found


def _comparable(one: Side, many: Side, pair: tuple[int, int]) -> bool:
    """Whether both values are numbers of one format."""
    i, j = pair
    dtype = one.network.trace.values[i].dtype
    arrays = (one.network.actual[i], many.network.actual[j], one.run.values[i], many.run.values[j])
    return (
        dtype in FORMATS
        and dtype == many.network.trace.values[j].dtype
        and j in many.producers
        and all(np.isfinite(x).all() for x in arrays)
    )


def _imbalance(one: Side, many: Side, pair: tuple[int, int]) -> float:
    """How many times as far from the exact value the one side is, inherited errors included."""
    i, j = pair
    ours = norm(difference(many.network.actual[j], many.run.values[j]))
    theirs = norm(difference(one.network.actual[i], one.run.values[i]))
    return ours / max(theirs, _rounding(many, j))


def _rounding(side: Side, value: int) -> float:
    """The error of a result that is rounded once."""
    fmt = format_named(side.network.trace.values[value].dtype)
    return norm(np.maximum(fmt.u * np.abs(side.run.values[value]), fmt.quantum))


_Formula = tuple[frozenset[int], set[int]]


def _formulas(one: Side, many: Side, pair: tuple[int, int], alignment: Alignment) -> tuple[_Formula, _Formula] | None:
    """The nodes of either side that make the value from operands that both have, and those operands."""
    i, j = pair
    own = _since_common(one, i, alignment)
    if own is None:
        return None
    other = between(many, j, [alignment.a_to_b[k] for k in own[1]])
    return (own, other) if other is not None and len(other[0]) > 1 else None


def _since_common(side: Side, value: int, alignment: Alignment) -> _Formula | None:
    """The nodes that make `value` from the nearest values with a counterpart, and these; None if they are many."""
    nodes, used, wanted = set(), set(), [value]
    while wanted:
        i = wanted.pop()
        if i != value and alignment.a_to_b.get(i):
            used.add(i)
            continue
        producer = side.producers.get(i)
        if producer is not None and producer.node.index not in nodes:
            nodes.add(producer.node.index)
            wanted.extend(producer.reals)
        if len(nodes) > _LONGEST:
            return None
    return (frozenset(nodes), used) if used else None


def _own_error(side: Side, value: int, formula: _Formula) -> float:
    """The error of the formula on the operands that it was given."""
    nodes, used = formula
    values = dict(side.network.actual)
    for _ in side.network.walk(values, Edits(), Edits({i: values[i] for i in used}), nodes):
        pass
    return norm(difference(side.network.actual[value], values[value]))


def _unavoidable(side: Side, value: int, formula: _Formula) -> float:
    """How far the value moves where the formula's operands move by half a unit of their format."""
    nodes, used = formula
    values = dict(side.run.values)
    for _ in side.network.walk(values, Edits(), Edits({i: _moved(side, i) for i in used}), nodes):
        pass
    return norm(difference(values[value], side.run.values[value]))


def _moved(side: Side, value: int) -> np.ndarray:
    """Each number half a unit up or down; equal numbers alike, since an operand may be there twice."""
    x, dtype = side.run.values[value], side.network.trace.values[value].dtype
    if dtype not in FORMATS:
        return x
    up = np.floor(np.abs(np.frexp(x)[0]) * _SCATTERING) % 2 == 0
    return x + np.where(up, 1, -1) * format_named(dtype).u * x


def _cancels(side: Side, node: LoweredNode) -> bool:
    """Whether a sum is much smaller than what is added."""
    if not any(word in short_name(node.node.op) for word in _ADDING) or not node.outputs or not node.reals:
        return False
    added = max(_rms(side.network.actual[i]) for i in node.reals)
    return added > _UNSTABLE * _rms(side.network.actual[node.outputs[0]])


def _rms(x: np.ndarray) -> float:
    return norm(x) / max(x.size, 1) ** 0.5
