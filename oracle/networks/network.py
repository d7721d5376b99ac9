"""The recorded run as one function `F(d)` of the local errors of its operations.

`d` is added at the output of each node. `F(0)` is the run in exact arithmetic; with `d` = the error that each
operation really made on its actual inputs, `F(d)` is the run that was recorded: that identity is checked, and a trace
for which it fails is wrong. The arithmetic is NumPy's float64, op by op: a carrier, not truth, whose own error is
bounded where it could matter.
"""

import copy
import math
from collections import UserDict
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np

from oracle.errors import OracleError
from oracle.networks.lowered import LoweredNode, is_complex, lower
from oracle.networks.self_reference import own_results
from oracle.networks.unfit import UNFIT, Unfit
from oracle.trace import Node, Trace

Progress = Callable[[int, int], None]
Values = dict[int, np.ndarray]
_ZERO = np.zeros(())


class IncompleteTraceError(OracleError):
    """The trace does not hold what an explanation needs; the message says how to record it again."""


@dataclass(frozen=True)
class Run:
    """The arrays of one evaluation of the network: values by id, and the decisions that differ from the recorded."""

    values: Values
    flips: dict[int, int] = field(default_factory=dict)


class LocalErrors(Values):
    """Errors by value id. `restored` are the values that truth plus error gives back bit for bit, decisions included.

    On the recorded inputs such a node need not be computed a second time.
    """

    def __init__(self) -> None:
        super().__init__()
        self.restored: set[int] = set()


@dataclass(frozen=True)
class Edits:
    """Changes to a network's meaning: other leaves, and nodes whose results another function computes.

    A node's function takes the values so far and returns its results by value id. `literals` are the nodes, as they
    would have been recorded, of those edits that change a literal alone: further edits build on them.
    """

    leaves: Mapping[int, np.ndarray] = field(default_factory=dict)
    nodes: Mapping[int, Callable[[Values], Values]] = field(default_factory=dict)
    literals: Mapping[int, Node] = field(default_factory=dict)

    def __or__(self, other: "Edits") -> "Edits":
        return Edits(
            {**self.leaves, **other.leaves}, {**self.nodes, **other.nodes}, {**self.literals, **other.literals}
        )


class _Reading(UserDict[int, np.ndarray]):
    """Values that note which of them are read."""

    def __init__(self, values: Values) -> None:
        super().__init__()
        self.data, self.read = values, set[int]()

    def __getitem__(self, key: int) -> np.ndarray:
        self.read.add(key)
        return self.data[key]


def reads_of(compute: Callable[[Values], Values], values: Values) -> frozenset[int]:
    """The ids of the `values` that a function of them reads."""
    reading = _Reading(values)
    with np.errstate(all="ignore"):
        compute(cast("Values", reading))
    return frozenset(reading.read)


class Network:
    """A trace lowered to reference operations."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.actual: Values = {i: _widened(v.array) for i, v in trace.values.items() if v.array is not None}
        missing = [v.id for v in trace.values.values() if v.array is None]
        if missing:
            raise IncompleteTraceError(
                f"{len(missing)} of {len(trace.values)} values were recorded as statistics only; an explanation needs "
                "the arrays: record again with full=True (`oracle record --full`)"
            )
        # Carried along in double precision, with errors of their own; no derivative passes through them.
        self._complex = frozenset(i for i, v in trace.values.items() if is_complex(v.dtype))
        self.nodes: list[LoweredNode] = [lower(trace, node, self.actual) for node in trace.nodes]

    def _numbers(self, node: LoweredNode) -> Iterator[int]:
        """The real and complex outputs of a node: those that have an error."""
        yield from node.outputs
        yield from (o for o in node.decisions if o in self._complex)

    @property
    def self_referenced(self) -> list[LoweredNode]:
        """Nodes whose operation has no lowering and makes a real output."""
        return [n for n in self.nodes if n.self_referenced and n.outputs]

    def apply(self, node: LoweredNode, values: Mapping[int, np.ndarray]) -> dict[int, np.ndarray]:
        """The true outputs of one node on `values`, by id.

        Without a lowering they are what its framework makes in float64; the recorded ones where it cannot.
        """
        if node.signature is None:
            some = next(self._numbers(node), None) is not None
            own = own_results(self.trace.framework, node.node, values) if some else {}
            return {o: _shaped(own.get(o, self.actual[o]), self.actual[o].shape) for o in node.results}
        reals, facts = [values[i] for i in node.reals], [values[i] for i in node.facts]
        outputs = node.forward(reals, facts)
        named = zip(node.node.outputs, outputs, strict=False)
        results = {o: _shaped(np.asarray(y), self.actual[o].shape) for o, y in named if o is not None and y is not None}
        return {o: results.get(o, self.actual[o]) for o in node.results}

    def _as_recorded(self, place: int, values: Mapping[int, np.ndarray]) -> dict[int, np.ndarray]:
        """The true outputs of a node on operands of the recorded shapes.

        A lowering that does not fit even these is ours to mend: the operation is taken as one without.
        """
        try:
            return self.apply(self.nodes[place], values)
        except UNFIT:
            self.nodes[place] = replace(self.nodes[place], signature=None, facts=())
            return self.apply(self.nodes[place], values)

    def local_errors(self, progress: Progress = lambda done, total: None) -> "LocalErrors":
        """For each real or complex output: the recorded value minus the truth on the recorded inputs."""
        errors = LocalErrors()
        for done in range(len(self.nodes)):
            truth, node = self._as_recorded(done, self.actual), self.nodes[done]
            for o in self._numbers(node):
                kept = node.moves and np.array_equal(truth[o], self.actual[o])
                errors[o] = np.broadcast_to(_ZERO, truth[o].shape) if kept else _difference(self.actual[o], truth[o])
            errors.restored.update(o for o in self._numbers(node) if _restores(truth[o], errors[o], self.actual[o]))
            errors.restored.update(o for o in node.decisions if np.array_equal(truth[o], self.actual[o]))
            progress(done + 1, len(self.nodes))
        return errors

    def run(self, errors: Mapping[int, np.ndarray] | None = None, scale: float = 1.0) -> Run:
        """`F(scale · errors)`; without `errors`, `F(0)`. Decisions (integers, booleans) are taken anew."""
        return self._evaluate((errors, scale))

    def edited(self, exact: Run, edits: Edits, within: Container[int] | None = None) -> Run:
        """`F(0)` of the edited network: only what depends on an edit is computed again (of the nodes `within`)."""
        values = dict(exact.values)
        for _ in self.walk(values, edits, edits, within):
            pass
        return Run(values)

    def walk(
        self, values: Values, edits: Edits, seeds: Edits, within: Container[int] | None = None
    ) -> Iterator[LoweredNode]:
        """Compute, one node after another and into `values`, what depends on `seeds`, under all `edits`."""
        values.update(seeds.leaves)
        dirty = set(seeds.leaves)
        for node in self.nodes:
            index = node.node.index
            if within is not None and index not in within:
                continue
            if index in seeds.nodes or not dirty.isdisjoint(node.reads):
                compute = edits.nodes.get(index)
                values.update(self.apply(node, values) if compute is None else self._edited(node, compute, values))
                dirty.update(node.results)
                yield node

    def _edited(self, node: LoweredNode, compute: Callable[[Values], Values], values: Values) -> Values:
        """What an edit makes of a node; raises `Unfit` where other edits left it values of other shapes."""
        try:
            return compute(values)
        except Exception as error:
            if any(x.shape != self.actual[i].shape for i, x in values.items() if i in self.actual):
                raise Unfit(f"the edit of {node.node.op} was not made for these shapes: {error}") from error
            raise

    def with_nodes(self, changed: Mapping[int, Node]) -> "Network":
        """The same network in which some nodes are recorded otherwise (other literals)."""
        other = copy.copy(self)
        other.nodes = [
            lower(self.trace, changed[n.node.index], self.actual) if n.node.index in changed else n for n in self.nodes
        ]
        return other

    def _evaluate(self, perturbation: tuple[Mapping[int, np.ndarray] | None, float]) -> Run:
        values = {i: a for i, a in self.actual.items() if self.trace.values[i].is_leaf}
        errors, scale = perturbation
        flips: dict[int, int] = {}
        restored: set[int] = errors.restored if isinstance(errors, LocalErrors) and scale == 1 else set()
        for place, node in enumerate(self.nodes):
            if restored.issuperset(node.results) and all(values[i] is self.actual[i] for i in node.reads):
                values.update({o: self.actual[o] for o in node.results})
                continue
            results = self._as_recorded(place, values)
            if errors is not None:
                results |= {o: results[o] + scale * errors[o] for o in self._numbers(node)}
            made = [o for o in node.decisions if o not in self._complex]
            changed = {o: int(np.sum(results[o] != self.actual[o])) for o in made}
            flips |= {o: count for o, count in changed.items() if count}
            values.update(results)
        return Run(values, flips)

    def influenced(self, errors: Mapping[int, np.ndarray]) -> set[int]:
        """Ids of the values that an error can reach: those that have one, and all that is computed from them."""
        reached = {i for i, error in errors.items() if error.any()}
        for node in self.nodes:
            if node.signature is not None and not reached.isdisjoint(node.reads):
                reached.update(node.results)
            elif isinstance(errors, LocalErrors):  # a decision, or an infinity, that is not the true one
                reached.update(o for o in node.results if o not in errors.restored)
        return reached

    def pull_back(self, run: Run, cotangents: Mapping[int, np.ndarray], within: Container[int] | None = None) -> Values:
        """Cotangents of every value that the target depends on (through the nodes `within`), given the target's."""
        total: Values = {i: np.array(c, np.float64) for i, c in cotangents.items()}
        kept: Values = {}
        for _, own, _ in self.reverse(run, total, lambda _, __, c: float(np.sum(c)), within):
            kept |= own
        return kept | total

    def reverse(
        self,
        run: Run,
        total: Values,
        measure: Callable[[LoweredNode, int, np.ndarray], float],
        within: Container[int] | None = None,
        wanted: Container[int] | None = None,
    ) -> Iterator[tuple[LoweredNode, Values, dict[int, float]]]:
        """The nodes that the target depends on, last first, with their cotangents and measures of what they pass.

        `total` begins as the target's cotangents; a cotangent that is complete leaves it. `measure` is told each
        cotangent that a node passes to a value, and is finite only if that is. Only through the nodes `within` and to
        the values `wanted`, where these are given.
        """
        for node in reversed(self.nodes):
            own = {o: total.pop(o) for o in node.outputs if o in total}
            if not own:
                continue
            measures: dict[int, float] = {}
            if within is None or node.node.index in within:
                for i, passed in self._passed(node, run.values, own, wanted):
                    measures[i], c = measure(node, i, passed), passed
                    if not np.isfinite(measures[i]):
                        # Where no derivative exists (0 * inf in the chain rule) nothing can be attributed.
                        c = finite(passed)
                        measures[i] = measure(node, i, c)
                    total[i] = total[i] + c if i in total else c
            yield node, own, measures

    def _passed(
        self, node: LoweredNode, values: Values, own: Values, wanted: Container[int] | None
    ) -> Iterable[tuple[int, np.ndarray]]:
        """The cotangents that the node passes to its inputs."""
        given = tuple(k for k, o in enumerate(node.outputs) if o in own)
        places = tuple(k for k, i in enumerate(node.reals) if wanted is None or i in wanted)
        if node.signature is None or not places:
            return ()
        reals, facts = [values[i] for i in node.reals], [values[i] for i in node.facts]
        results = node.pullback(given, places)(reals, facts, [own[node.outputs[k]] for k in given])
        return zip((node.reals[k] for k in places), results, strict=True)

    def completeness(self, errors: Mapping[int, np.ndarray], targets: Iterable[int]) -> float:
        """Largest |F(d) - actual| over the targets, relative to the largest actual magnitude."""
        run = self.run(errors)
        worst = 0.0
        for t in targets:
            size = float(np.max(np.abs(self.actual[t]), initial=0.0)) or 1.0
            worst = max(worst, float(np.max(np.abs(_difference(run.values[t], self.actual[t])), initial=0.0)) / size)
        return worst


def _shaped(y: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """`y` in the recorded shape; an edited network may have another size."""
    return y if y.shape == shape or y.size != math.prod(shape) else y.reshape(shape)


def _widened(array: np.ndarray) -> np.ndarray:
    return array if array.dtype.kind in "iub" else np.asarray(array, wide(array))


def wide(array: np.ndarray) -> type[np.floating] | type[np.complexfloating]:
    """The double format that holds the array's numbers."""
    return np.complex128 if array.dtype.kind == "c" else np.float64


def _difference(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a - b, zero where both are the same infinity or NaN; an infinity against a number counts as zero error here.

    Non-finite results are classes, reported apart; they have no size to attribute.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        return finite(np.subtract(a, b, dtype=wide(a)))


def _restores(truth: np.ndarray, error: np.ndarray, actual: np.ndarray) -> bool:
    return is_nothing(error) or np.array_equal(truth + error, actual)


def is_nothing(error: np.ndarray) -> bool:
    """Whether it is the one zero that stands for the error of what was moved and not computed."""
    return error.base is _ZERO


def finite(x: np.ndarray) -> np.ndarray:
    """`x` (float64) with zeros in the places of NaN and infinities; `x` itself where there are none."""
    with np.errstate(invalid="ignore", over="ignore"):
        return x if np.isfinite(np.sum(x)) else np.nan_to_num(x, nan=0.0, posinf=0.0, neginf=0.0)


def target_values(trace: Trace, target: str) -> dict[str, int]:
    """The values that `target` names: "loss", "outputs", "gradients", "parameters", "buffers", or one of their names.

    Raises `OracleError` listing what the trace has.
    """
    last = trace.steps[-1]
    groups: dict[str, dict[str, Any]] = {
        "outputs": dict(last.outputs),
        "loss": {"loss": last.loss} if last.loss is not None else {},
        "gradients": dict(last.gradients),
        "parameters": dict(last.parameters),
        "buffers": dict(last.buffers),
    }
    if groups.get(target):
        return groups[target]
    everything = {name: i for group in groups.values() for name, i in group.items()}
    if target in everything:
        return {target: everything[target]}
    present = [name for name, group in groups.items() if group]
    raise OracleError(f"the trace has no target {target!r}; it has {', '.join(present)} and {', '.join(everything)}")
