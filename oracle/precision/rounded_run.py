"""A recorded network run again in a lower precision: what each operation stores is rounded, in exact arithmetic else.

In a storage format (bfloat16, float16) an operation computes wide and rounds its results once; parameters, inputs and
constants are rounded when an operation reads them. TensorFloat-32 keeps float32 everywhere and rounds the operands of
matrix products and convolutions to 11 bits. An operation that is *kept* in float32 rounds nothing.
"""

from collections import ChainMap
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np

from oracle.errors import OracleError
from oracle.networks.lowered import LoweredNode, Signature, is_real, real_program
from oracle.networks.network import Edits, Network, Run, Values
from oracle.reference.formats import FORMATS, Format, format_named
from oracle.reference.program import Program
from oracle.reference.structure import MOVES

_PRODUCTS = ("dot_general", "conv_general_dilated", "convolution")


@dataclass(frozen=True)
class LowFormat:
    """A precision to run in; with `products` only the operands of matrix products and convolutions are rounded."""

    name: str
    precision: int
    e_min: int
    products: bool = False

    @property
    def storage(self) -> Format | None:
        """The storage format; None where values stay float32."""
        return None if self.products else FORMATS[self.name]

    def round(self, x: np.ndarray) -> np.ndarray:
        """`x` (float64) rounded once, as float64; beyond the largest finite number lies infinity."""
        if self.storage is not None:
            return self.storage.round(x).astype(np.float64)
        with np.errstate(invalid="ignore", over="ignore"):
            spacing = self.spacing(x)
            return np.where(np.isfinite(x), np.rint(x / spacing) * spacing, x)

    def spacing(self, x: np.ndarray) -> np.ndarray:
        """The distance of neighbours of the format around `x`."""
        normal = np.isfinite(x) & (np.abs(x) >= 2.0**self.e_min)
        exponent = np.where(normal, np.frexp(np.where(normal, x, 1.0))[1] - 1, self.e_min)
        return np.ldexp(1.0, exponent - self.precision + 1)


LOW_FORMATS = {
    "bfloat16": LowFormat("bfloat16", 8, -126),
    "float16": LowFormat("float16", 11, -14),
    "tf32": LowFormat("tf32", 11, -126, products=True),
}


def low_format(name: str) -> LowFormat:
    """The precision called `name`; `OracleError` lists those known."""
    if name not in LOW_FORMATS:
        raise OracleError(f"unknown precision {name!r}", f"use one of {', '.join(LOW_FORMATS)}")
    return LOW_FORMATS[name]


@dataclass(frozen=True)
class Roundings:
    """What one operation rounded in a run: by value id the change of what it read, and of what it stored."""

    read: Mapping[int, np.ndarray] = field(default_factory=dict)
    stored: Mapping[int, np.ndarray] = field(default_factory=dict)
    overflowed: int = 0
    vanished: int = 0


class LowPrecision:
    """A network that can be run with some of its operations in a lower precision."""

    def __init__(self, network: Network, low: LowFormat) -> None:
        self.network = network
        self.low = low
        values = network.trace.values
        wide = {i for i, v in values.items() if is_real(v.dtype) and _precision(v.dtype) > low.precision}
        self.wide = wide
        self.leaves = {i: low.round(network.actual[i]) for i in wide if values[i].is_leaf and not low.products}

    def run(self, kept: Collection[int] = ()) -> tuple[Run, dict[int, Roundings]]:
        """Every operation in the lower precision but those `kept` (node indices), and what each rounded."""
        trace, network = self.network.trace, self.network
        values: Values = {i: a for i, a in network.actual.items() if trace.values[i].is_leaf}
        made: dict[int, Roundings] = {}
        for node in network.nodes:
            if node.node.index in kept:
                values.update(network.apply(node, values))
            else:
                results, made[node.node.index] = self.apply(node, values)
                values.update(results)
        return Run(values), made

    def alone(self, exact: Run, index: int) -> Run:
        """The exact run in which one operation alone is in the lower precision."""
        node = self.network.nodes[index]
        return self.network.edited(exact, Edits(nodes={index: lambda values: self.apply(node, values)[0]}))

    def apply(self, node: LoweredNode, values: Mapping[int, np.ndarray]) -> tuple[Values, Roundings]:
        """The node's results in the lower precision, and what it rounded."""
        reads = {i: self._read(values, i) for i in self._rounded_reads(node)}
        results = self.network.apply(node, ChainMap(reads, values))  # type: ignore[arg-type]
        changes = {i: _change(x, values[i]) for i, x in reads.items()}
        if self.low.products:
            return results, Roundings(changes)
        stored = {o: self.low.round(results[o]) for o in node.outputs if o in self.wide}
        lost = {o: (x, results[o]) for o, x in stored.items()}
        overflowed = sum(int(np.sum(np.isinf(x) & np.isfinite(y))) for x, y in lost.values())
        vanished = sum(int(np.sum((x == 0) & (y != 0))) for x, y in lost.values())
        errors = {o: _change(x, y) for o, (x, y) in lost.items()}
        return results | stored, Roundings(changes, errors, overflowed, vanished)

    def overflows(self, run: Run, node: LoweredNode) -> int:
        """How many finite results that the node has in `run` the format cannot hold."""
        if self.low.products:
            return 0
        results = [run.values[o] for o in node.outputs if o in self.wide]
        return sum(int(np.sum(np.isfinite(y) & np.isinf(self.low.round(y)))) for y in results)

    def _rounded_reads(self, node: LoweredNode) -> list[int]:
        if not self.low.products:
            return [i for i in node.reals if i in self.leaves]
        if node.signature is None:
            return []
        return [node.reals[k] for k in product_operands(node.signature) if node.reals[k] in self.wide]

    def _read(self, values: Mapping[int, np.ndarray], value: int) -> np.ndarray:
        return self.low.round(values[value]) if self.low.products else self.leaves[value]


def product_operands(signature: Signature) -> tuple[int, ...]:
    """Which real inputs of an operation are operands of its matrix products or convolutions, moved at most."""
    program = real_program(signature)
    makers = {out: step for step in program.steps for out in step.outputs}
    pending = [i for step in program.steps if step.primitive in _PRODUCTS for i in step.inputs]
    seen: set[int] = set()
    while pending:
        variable = pending.pop()
        if variable in seen:
            continue
        seen.add(variable)
        step = makers.get(variable)
        if step is not None and step.primitive in MOVES:
            pending.extend(step.inputs[i] for i in MOVES[step.primitive][1](len(step.inputs)))
    return tuple(k for k, variable in enumerate(_reals(program, signature)) if variable in seen)


def _reals(program: Program, signature: Signature) -> tuple[int, ...]:
    return program.inputs[: len(signature.reals)]


def _precision(dtype: str) -> int:
    return format_named(dtype).precision


def _change(rounded: np.ndarray, exact: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        return np.nan_to_num(rounded - exact, nan=0.0, posinf=0.0, neginf=0.0)


Scores = dict[int, float]


def predicted_errors(
    lower: LowPrecision, exact: Run, made: Mapping[int, Roundings], targets: Collection[int], probes: int
) -> Scores:
    """The error of the targets that each operation's roundings are expected to make, by node index.

    A rounding is an independent error of root mean square spacing/√12 wherever the run rounded; with J the derivative
    of the targets at the exact run, an operation's part is the root of E‖J d‖² = Σ_k σ_k² ‖J e_k‖². The norms come
    from random signs r (`probes` of them; one number needs one): E (Jᵀ r)_k² = ‖J e_k‖² (Hutchinson).
    """
    network = lower.network
    size = sum(network.actual[t].size for t in targets)
    count = 1 if size == 1 else probes
    generator = np.random.default_rng(11)
    expected = _Expected(low=lower.low, exact=exact, made=made)
    squares: Scores = {n.node.index: 0.0 for n in network.nodes}
    for _ in range(count):
        signs = {t: generator.choice([-1.0, 1.0], network.actual[t].shape) for t in dict.fromkeys(targets)}
        for node, own, passed in network.reverse(exact, signs, expected.of_read):
            rounding = expected.of(node)
            stored = sum(expected.square(own[o], o, change) for o, change in rounding.stored.items() if o in own)
            squares[node.node.index] += (stored + sum(passed.get(i, 0.0) for i in rounding.read)) / count
    return {index: float(np.sqrt(square)) for index, square in squares.items()}


@dataclass(frozen=True)
class _Expected:
    """Expected squares of the target's error: roundings of root mean square spacing/√12 along a cotangent."""

    low: LowFormat
    exact: Run
    made: Mapping[int, Roundings]

    def of(self, node: LoweredNode) -> Roundings:
        """What the node rounded."""
        return self.made.get(node.node.index, Roundings())

    def square(self, cotangent: np.ndarray, value: int, change: np.ndarray) -> float:
        """Of a rounding of `value`, which the run changed by `change`. Equal elements are rounded alike."""
        x = self.exact.values[value]
        deviation = np.where(change != 0, self.low.spacing(x) / np.sqrt(12.0), 0.0)
        with np.errstate(over="ignore", invalid="ignore"):
            parts = cotangent * deviation
            if x.size > 1 and np.all(x == x.reshape(-1)[0]):
                return float(np.square(np.sum(parts)))
            return float(np.sum(np.square(parts)))

    def of_read(self, node: LoweredNode, value: int, cotangent: np.ndarray) -> float:
        """Of the rounding of a value that is read; where there is none the sum, to see that all is finite."""
        change = self.of(node).read.get(value)
        return float(np.sum(cotangent)) if change is None else self.square(cotangent, value, change)
