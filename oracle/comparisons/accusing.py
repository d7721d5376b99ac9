"""Operations whose error is more than rounding, each with what its error looks like.

An operation is accused where its local error exceeds the stepwise budget of its format. The error's own shape then
tells what was done to it: operands rounded to ten bits, a sum kept in a coarse format, subnormals lost, a NaN.

Codes:
    kernel-inaccuracy: beyond the budget, and nothing more is known.
    tf32: the operands of a product were rounded to the 10 bits of TensorFloat-32.
    accumulation-precision: the result, or the sums that make it, were kept in bfloat16 or float16.
    reduced-precision: numbers are rounded to a coarser format and at once taken for the finer one again, or only the
        backward pass computes in the coarser one.
    flush-to-zero: subnormal operands or results were taken for zero.
    nonfinite-result: NaN or infinity where the true value of these operands is a number.
    numerically-unstable-formula: each operation is within its budget, and together they err by more than four bits
        beyond the one operation that the other model takes: a difference of nearly equal numbers.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from oracle.alignments.alignment import Alignment, Side, difference, norm
from oracle.alignments.formulas import short_name
from oracle.alignments.pairing import Pair
from oracle.comparisons.comparison import Accused, Cause
from oracle.comparisons.compiled import compiled_use
from oracle.comparisons.round_trips import coarsest_forward, round_trip
from oracle.explanations.node_budget import budget_use
from oracle.networks.lowered import LoweredNode, real_program
from oracle.networks.network import Edits, Values
from oracle.reference.balls import MissingRule
from oracle.reference.budget import rounding_budget
from oracle.reference.formats import FORMATS, Format, format_named, rounded_to

# Four lost bits make a formula unstable.
_UNSTABLE = 16.0
_TF32_BITS = 11
# An error is explained where what the explanation leaves is below this share of it.
_EXPLAINED = 0.25
# So many different numbers on a coarse grid are no accident.
_MANY = 16
_COARSE = ("bfloat16", "float16")


@dataclass(frozen=True)
class Finding:
    """An accusation with the nodes that it accuses."""

    accused: Accused
    nodes: frozenset[int]


def accuse(name: str, side: Side) -> list[Finding]:
    """The operations of one side beyond their budgets, the worst first."""
    network = side.network
    found = []
    coarsest = coarsest_forward(side)
    for node in network.nodes:
        truth = network.apply(node, network.actual)
        errors = {o: _error(network.actual[o], truth[o]) for o in node.outputs}
        use = budget_use(network, node, errors.__getitem__)
        if loses_numbers(side, node, truth):
            found.append(_finding(name, [node], "nonfinite-result", float("inf")))
        elif use.stepwise > 1:
            found.append(_finding(name, [node], _code(side, node, errors, truth), use.stepwise))
        else:
            trip = round_trip(side, node)
            if trip is not None and (trip.direct or (node.node.phase == "backward" and trip.bits < coarsest)):
                found.append(_finding(name, [node], "reduced-precision", trip.used))
    for output, used in compiled_use(side).items():
        if used > 1:
            found.append(Finding(Accused(name, "the compiled form", output, "", used), frozenset()))
    return sorted(found, key=lambda f: -f.accused.budget_used)


def _finding(name: str, nodes: Sequence[LoweredNode], code: str, used: float) -> Finding:
    last = nodes[-1].node
    return Finding(Accused(name, last.op, last.scope, last.source, used, code), frozenset(n.node.index for n in nodes))


def _finite(x: np.ndarray) -> np.ndarray:
    return np.nan_to_num(np.asarray(x, np.float64), nan=0.0, posinf=0.0, neginf=0.0)


def _error(actual: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Actual minus true, nothing where either is no number: that is a class of its own."""
    return _finite(difference(np.where(np.isfinite(actual), actual, truth), truth))


def loses_numbers(side: Side, node: LoweredNode, truth: Values) -> bool:
    """Whether a result is no number although the true one is, and fits the format."""
    for o in node.outputs:
        dtype = side.network.trace.values[o].dtype
        if dtype in FORMATS and node.signature is not None:
            fits = np.isfinite(truth[o]) & (np.abs(_finite(truth[o])) <= format_named(dtype).max_finite / 2)
            if np.any(fits & ~np.isfinite(side.network.actual[o])):
                return True
    return False


def _code(side: Side, node: LoweredNode, errors: Values, truth: Values) -> str:
    """What the error of an operation beyond its budget looks like."""
    o = max(node.outputs, key=lambda i: float(np.linalg.norm(errors[i])))
    fmt = format_named(side.network.trace.values[o].dtype)
    actual, size = side.network.actual[o], float(np.linalg.norm(errors[o]))

    def explains(operand: Callable[[np.ndarray], np.ndarray]) -> bool:
        values = {**side.network.actual, **{i: operand(side.network.actual[i]) for i in node.reals}}
        rounded = side.network.apply(node, values)[o]
        return bool(np.linalg.norm(_error(actual, rounded)) <= _EXPLAINED * size)

    if _flushed(actual, truth[o], fmt) or explains(lambda x: np.where(np.abs(x) < fmt.tiny, 0.0, x)):
        return "flush-to-zero"
    if fmt.precision > _TF32_BITS and explains(functools.partial(rounded_to, bits=_TF32_BITS)):
        return "tf32"
    for name in _COARSE:
        coarse = format_named(name)
        if coarse.precision >= fmt.precision:
            continue
        if explains(functools.partial(rounded_to, bits=coarse.precision)):
            return "reduced-precision"
        if _stored_in(actual, coarse):
            return "accumulation-precision"
        if not _is_factor(actual, truth[o], size) and _within(side, node, o, (errors[o], coarse)):
            return "accumulation-precision"
    return "kernel-inaccuracy"


def _stored_in(x: np.ndarray, coarse: Format) -> bool:
    """Whether many different numbers all lie on the coarse format's grid."""
    different = np.unique(x[(x != 0) & np.isfinite(x)])
    return different.size >= _MANY and np.array_equal(rounded_to(different, coarse.precision), different)


def _is_factor(actual: np.ndarray, truth: np.ndarray, size: float) -> bool:
    """Whether the error is mostly one common factor, which no rounding makes."""
    x, y = _finite(truth).reshape(-1), _finite(actual).reshape(-1)
    factor = float(x @ y) / (float(x @ x) or 1.0)
    return bool(np.linalg.norm(y - factor * x) <= _EXPLAINED * size)


def _flushed(actual: np.ndarray, truth: np.ndarray, fmt: Format) -> bool:
    """Whether every wrong element is a zero in the place of a subnormal number."""
    lost = (actual == 0) & (truth != 0) & (np.abs(truth) < fmt.tiny)
    wrong = np.abs(_error(actual, truth)) > fmt.u * np.abs(_finite(truth)) * 4 + fmt.quantum
    return bool(np.any(lost)) and not np.any(wrong & ~lost)


def _within(side: Side, node: LoweredNode, output: int, error: tuple[np.ndarray, Format]) -> bool:
    """Whether the error of a sum is what sums in the coarse format may have."""
    errors, coarse = error
    if node.signature is None or not any(
        w in short_name(node.node.op)
        for w in ("mm", "matmul", "sum", "mean", "conv", "dot", "linear", "einsum", "grad")
    ):
        return False
    arrays = [side.network.actual[i] for i in (*node.reals, *node.facts)]
    try:
        budgets = rounding_budget(real_program(node.signature), arrays, coarse)
    except MissingRule:
        return False
    bound = budgets[min(node.outputs.index(output), len(budgets) - 1)].stepwise
    return bool(np.linalg.norm(errors) <= np.linalg.norm(np.where(np.isfinite(bound), bound, 0.0)))


def not_of_both(findings: list[Finding], sides: tuple[Side, Side], alignment: Alignment) -> list[Finding]:
    """The findings without the casts to a coarser format that both sides make of the same numbers: they are meant."""
    a, b = sides
    casts = {f.accused.side: set[int]() for f in findings}
    for f in findings:
        if f.accused.code == "reduced-precision":
            side = a if f.accused.side == "A" else b
            casts[f.accused.side].update(o for n in side.network.nodes if n.node.index in f.nodes for o in n.outputs)
    dtypes = [
        {i: side.network.trace.values[i].dtype for i in casts.get(name, ())}
        for name, side in zip("AB", sides, strict=True)
    ]
    pairs = [(i, j) for i in dtypes[0] for j in alignment.a_to_b.get(i, ()) if dtypes[0][i] == dtypes[1].get(j)]
    meant = {("A", a.producers[i].node.index) for i, _ in pairs} | {("B", b.producers[j].node.index) for _, j in pairs}
    return [f for f in findings if not meant & {(f.accused.side, n) for n in f.nodes}]


def unstable(sides: tuple[Side, Side], alignment: Alignment) -> list[Finding]:
    """Formulas of many operations that lose bits against one operation of the other side, on either side."""
    a, b = sides
    return _unstable("B", (a, b), alignment) + _unstable("A", (b, a), alignment.turned)


def _unstable(name: str, sides: tuple[Side, Side], alignment: Alignment) -> list[Finding]:
    one, many = sides
    found = []
    for node in one.network.nodes:
        if node.signature is None or not node.reals or not node.outputs or node.node.phase != "forward":
            continue
        for j in alignment.a_to_b.get(node.outputs[0], ())[:1]:
            if one.network.trace.values[node.outputs[0]].dtype != many.network.trace.values[j].dtype:
                continue
            formula = between(many, j, [alignment.a_to_b.get(i, ()) for i in node.reals])
            if formula is not None and len(formula[0]) > 1:
                used = _lost(one, many, (node, j), formula)
                if used > _UNSTABLE:
                    nodes = [n for n in many.network.nodes if n.node.index in formula[0]]
                    found.append(_finding(name, nodes, "numerically-unstable-formula", used))
    return found


def between(side: Side, value: int, starts: list[tuple[int, ...]]) -> tuple[frozenset[int], set[int]] | None:
    """The nodes that make `value` from the counterparts of the other's operands; None where it needs others too."""
    given = {i for group in starts for i in group}
    nodes, wanted = set(), [value]
    used: set[int] = set()
    while wanted:
        i = wanted.pop()
        if i in given and i != value:
            used.add(i)
            continue
        producer = side.producers.get(i)
        if producer is None:
            continue
        if producer.node.index not in nodes:
            nodes.add(producer.node.index)
            wanted.extend(producer.reals)
        if len(nodes) > 40:
            return None
    return (frozenset(nodes), used) if used else None


def _lost(one: Side, many: Side, pair: tuple[LoweredNode, int], formula: tuple[frozenset[int], set[int]]) -> float:
    """The error that the formula makes on its actual operands, over that of the one operation.

    The one operation's error is the measured one, but no less than a rounding of each element to its format.
    """
    (node, j), (nodes, used) = pair, formula
    values = dict(many.network.actual)
    for _ in many.network.walk(values, Edits(), Edits({i: values[i] for i in used}), nodes):
        pass
    error = float(np.linalg.norm(_error(many.network.actual[j], values[j])))
    o = node.outputs[0]
    truth = one.network.apply(node, one.network.actual)[o]
    measured = float(np.linalg.norm(_error(one.network.actual[o], truth)))
    fmt = format_named(many.network.trace.values[j].dtype)
    rounding = float(np.linalg.norm(np.maximum(fmt.u * np.abs(_finite(truth)), fmt.quantum)))
    return error / max(measured, rounding)


_ADVICE = {
    "tf32": 'torch.set_float32_matmul_precision("highest"); '
    "tf.config.experimental.enable_tensor_float_32_execution(False)",
    "accumulation-precision": "accumulate in float32",
    "reduced-precision": "leave out the cast to the coarser format",
    "flush-to-zero": "torch.set_flush_denormal(False); XLA flushes subnormals on the CPU",
    "numerically-unstable-formula": "use the one operation, or its stable form (less the maximum, log1p)",
    "nan-gradient": "keep the branch that is not taken in range: safe = where(c, x, 0); where(c, f(safe), g(x))",
}


def proved(finding: Finding, sides: tuple[Side, Side], pair: Pair) -> Cause:
    """The accusation as a cause: what of the recorded difference goes with the operation's own error."""
    a, b = sides
    side, own = (a, pair.a) if finding.accused.side == "A" else (b, pair.b)
    errors = side.network.local_errors()
    of_node = {o for n in side.network.nodes if n.node.index in finding.nodes for o in n.outputs}
    kept = {o: np.zeros_like(e) if o in of_node else e for o, e in errors.items()}
    run = side.network.run(kept).values[own]
    x, y = a.network.actual[pair.a], b.network.actual[pair.b]
    before = norm(difference(x, pair.in_layout_of_a(x, y)))
    x, y = (run, y) if side is a else (x, run)
    after = norm(difference(x, pair.in_layout_of_a(x, y)))
    where = " ".join(t for t in (finding.accused.op, finding.accused.scope, finding.accused.source) if t)
    fix = _ADVICE.get(finding.accused.code, "an honest kernel errs less: report it with the reproduction")
    return Cause(
        finding.accused.code,
        where if side is a else "",
        where if side is b else "",
        1 - after / before if before and np.isfinite(before) else 1.0,
        after,
        before,
        fix if side is a else "",
        fix if side is b else "",
        f"{where} of {finding.accused.side} errs by {finding.accused.budget_used:.3g} times its rounding budget",
        target=pair.kind,
    )
