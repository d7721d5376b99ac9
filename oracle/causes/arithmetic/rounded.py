"""Numbers rounded to fewer bits on one side: operands to TensorFloat-32, constants of a float64 formula to float32."""

import functools
from collections.abc import Iterator

import numpy as np

from oracle.alignments.alignment import Side
from oracle.causes import Candidate, Context, hypothesis, replaced_output
from oracle.networks.lowered import LoweredNode
from oracle.networks.network import Edits, Values
from oracle.networks.node_reading import place
from oracle.reference.formats import rounded_to

_REACH = 40
# Significant bits, the code of the cause and what is said of it, the coarsest last.
_COARSE = (
    (24, "reduced-precision", "float32"), (11, "tf32", "the 10 bits of TensorFloat-32"),
    (8, "reduced-precision", "bfloat16"),
)  # fmt: skip
# Numbers that formulas hold and no format does; those that are short decimals are found as such.
_IRRATIONAL = {
    "sqrt(2)": np.sqrt(2.0), "1/sqrt(2)": np.sqrt(0.5), "sqrt(2/pi)": np.sqrt(2 / np.pi), "pi": np.pi, "e": np.e,
    "ln(2)": np.log(2.0), "1/ln(2)": 1 / np.log(2.0), "sqrt(pi)": np.sqrt(np.pi), "2/sqrt(pi)": 2 / np.sqrt(np.pi),
    "1/sqrt(2 pi)": 1 / np.sqrt(2 * np.pi), "ln(2 pi)/2": np.log(2 * np.pi) / 2, "ln(10)": np.log(10.0),
    "1/3": 1 / 3, "1/6": 1 / 6, "sqrt(3)": np.sqrt(3.0), "1/sqrt(3)": np.sqrt(1 / 3),
}  # fmt: skip


@hypothesis(priority=11)
def operands_rounded(context: Context) -> Iterator[Candidate]:
    """A value of B is a value of A rounded to fewer bits: all such values of the region take A's numbers."""
    for bits, code, name in _COARSE:
        pairs = dict(_rounded(context, bits))
        if pairs:
            nodes = [context.b.producers[j] for j in pairs]
            edits = Edits()
            for node, i in zip(nodes, pairs.values(), strict=True):
                edits = edits | replaced_output(node, functools.partial(_given, context.a.run.values[i]))
            yield Candidate(
                code,
                edits,
                context.at_a.first[0] if context.at_a.first else None,
                nodes[0],
                fix_a=f"round the operands to {name} too",
                fix_b=f"keep the operands as they are at {place(nodes[0])}",
                detail=f"{{B}} rounds {len(pairs)} array(s) to {name} that {{A}} uses as they are",
            )


def _given(array: np.ndarray, values: Values) -> np.ndarray:
    return array


def _rounded(context: Context, bits: int) -> Iterator[tuple[int, int]]:
    """(value of B, value of A) where B's, made by a divergent node, is A's rounded to `bits` bits."""
    a = context.a.run.values
    ours = [i for i, v in a.items() if i in context.a.network.trace.values and v.dtype.kind == "f" and v.size > 1]
    for node in context.at_b.region[:_REACH]:
        for j in node.outputs:
            y = context.b.run.values[j]
            if y.size < 2 or not np.array_equal(rounded_to(y, bits), y):
                continue
            for i in ours:
                x = a[i]
                if x.shape == y.shape and not np.array_equal(x, y) and _is_rounding(x, y, bits):
                    yield j, i
                    break


def _is_rounding(x: np.ndarray, y: np.ndarray, bits: int) -> bool:
    """Whether `y` is `x` to nearest in so many bits, whichever way ties go."""
    finite = np.isfinite(x)
    if not np.array_equal(finite, np.isfinite(y)):
        return False
    x, y = x[finite], y[finite]
    return bool(np.all(np.abs(x - y) <= 2.0**-bits * np.maximum(np.abs(x), np.abs(y))))


@hypothesis(priority=11)
def constant_rounded(context: Context) -> Iterator[Candidate]:
    """A float64 formula of B holds a constant that was rounded to float32: it takes the number that was meant."""
    side = context.b
    for node in context.at_b.region[:_REACH]:
        for j in node.reals:
            array = side.run.values[j]
            found = meant(float(array.reshape(()))) if array.size == 1 and _is_constant(side, j) else None
            if found is not None and side.network.trace.values[node.outputs[0]].dtype == "float64":
                yield _constant(context, node, j, found)


def _is_constant(side: Side, value: int) -> bool:
    """Whether nothing that is fed or trained reaches `value`."""
    roles: set[str] = set()
    wanted = [value]
    for _ in range(8):
        if not wanted:
            return roles <= {"constant"}
        i = wanted.pop()
        producer = side.producers.get(i)
        if producer is None:
            roles.add(side.network.trace.values[i].role)
        else:
            wanted.extend(producer.reals)
    return False


def meant(number: float) -> tuple[str, float] | None:
    """The number of which a float32 is the rounding, with its name: a known irrational one or a short decimal."""
    if number == 0 or not np.isfinite(number) or float(np.float32(number)) != number:
        return None
    for name, exact in _IRRATIONAL.items():
        for sign in (1, -1):
            if float(np.float32(sign * exact)) == number:
                return name if sign > 0 else f"-{name}", float(sign * exact)
    short = repr(np.float32(number).item())
    decimal = str(np.float32(number))
    return (decimal, float(decimal)) if float(decimal) != number and len(decimal) < len(short) else None


def _constant(context: Context, node: LoweredNode, value: int, found: tuple[str, float]) -> Candidate:
    name, exact = found
    held = float(context.b.run.values[value].reshape(()))
    producer = context.b.producers.get(value)
    shape = context.b.run.values[value].shape
    edits = (
        Edits(leaves={value: np.full(shape, exact)})
        if producer is None
        else replaced_output(producer, functools.partial(_given, np.full(shape, exact)))
    )
    return Candidate(
        "rounded-constant",
        edits,
        context.at_a.first[0] if context.at_a.first else None,
        node,
        fix_a=f"hold {name} as {held!r} too",
        fix_b=f"hold {name} in float64: {exact!r} in the place of {held!r} at {place(node)}",
        detail=f"{{B}} computes in float64 with {name} rounded to float32: {held!r}",
    )
