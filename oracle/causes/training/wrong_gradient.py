"""A gradient that is not the derivative of its own loss: a path that was detached, a backward pass that is wrong.

Both sides are held to the derivatives of their own losses (`oracle.alignments.backward`); the search asks for it before
any other
cause of a gradient.

Codes:
    wrong-gradient: the backward pass is not the derivative of the forward pass.
    gradient-clipping: the gradients are the derivatives, clipped.
    gradient-scale: every gradient is the same whole multiple, or fraction, of the derivative.
"""

import functools
import math
from collections.abc import Mapping

import numpy as np

from oracle.alignments.alignment import Side
from oracle.alignments.backward import Derivatives, differentiated, not_derivatives
from oracle.alignments.backward_fault import Fault, find_fault
from oracle.alignments.clipped_gradients import found_clipping
from oracle.causes import Candidate
from oracle.networks.network import Edits, Values
from oracle.networks.node_reading import place

_EQUAL = 1e-6
_NAMED = 4


class Held:
    """One side's gradients of one step held to the derivatives of its loss.

    `wrong` are those that differ from them (None where they cannot be told). `cut`: they are the derivatives without
    the paths that lead through parameters for which there is no gradient: those have their own cause.
    """

    def __init__(self, side: Side, step: int, gradients: Mapping[str, int]) -> None:
        self.side, self.step, self.gradients = side, step, gradients
        self.known = differentiated(side, step)
        self.wrong = not_derivatives(side, step, gradients, self.known)
        self.cut = bool(self.wrong) and self._cut_elsewhere()
        if self.cut:
            self.wrong = {}

    def _cut_elsewhere(self) -> bool:
        trace = self.side.network.trace
        sources = (trace.parameters.get(n, trace.inputs.get(n)) for n in trace.steps[self.step].unreached)
        readers = {n.node.index for i in sources if i is not None for n in self.side.consumers.get(i, ())}
        if not readers:
            return False
        others = differentiated(self.side, self.step, without=readers)
        return not_derivatives(self.side, self.step, self.gradients, others) == {}

    def candidate(self) -> Candidate:
        """The cause: the wrong gradients of this side, taken for B, become the derivatives."""
        assert self.wrong
        assert self.known is not None
        edits = _given(self.side, {self.gradients[n]: d for n, d in self.wrong.items()})
        clipping = found_clipping(self.wrong, {n: self.side.run.values[g] for n, g in self.gradients.items()})
        if clipping is not None:
            return self._clipped(edits, clipping)
        scale = self._scale()
        if scale is not None:
            return self._scaled(edits, scale, self.known)
        fault = find_fault(self.side, self.step, self.wrong, self.gradients, self.known)
        where = fault.forward
        names = _listed(self.wrong)
        return Candidate(
            "wrong-gradient",
            edits,
            None,
            where if _cut(fault) else fault.backward or where,
            fix_a="",
            fix_b=_fix(fault),
            detail=f"the gradient of {names} in {{B}} is not the derivative of its own loss: {_described(fault)}",
        )

    def error(self) -> float:
        """How far the wrong gradients are from the derivatives."""
        errors = (self.side.run.values[self.gradients[n]] - d for n, d in (self.wrong or {}).items())
        return math.hypot(*(float(np.linalg.norm(e)) for e in errors))

    def _scale(self) -> float | None:
        """The whole number, or one over it, that all gradients are times the derivatives; None for no such."""
        assert self.wrong is not None
        if self.wrong.keys() != self.gradients.keys():
            return None
        flat = np.concatenate([d.reshape(-1) for d in self.wrong.values()])
        recorded = np.concatenate([self.side.run.values[self.gradients[n]].reshape(-1) for n in self.wrong])
        factor = float(flat @ recorded) / float(flat @ flat) if flat.any() else 0.0
        if not factor or np.linalg.norm(recorded - factor * flat) > _EQUAL * np.linalg.norm(recorded):
            return None
        whole = max(abs(factor), 1 / abs(factor))
        return factor if whole > 1.5 and math.isclose(whole, round(whole), rel_tol=_EQUAL) else None

    def _clipped(self, edits: Edits, clipping: tuple[str, float]) -> Candidate:
        assert self.wrong is not None
        node = self.side.producers[self.gradients[next(iter(self.wrong))]]
        words = f"{clipping[0]} at {clipping[1]:g}"
        return Candidate(
            "gradient-clipping",
            edits,
            None,
            node,
            fix_a=f"clip the gradients by {words} before the step",
            fix_b=f"do not clip the gradients, or clip those of the other model too  # {place(node)}",
            detail=f"the gradients of {{B}} are the derivatives of its loss, clipped by {words}",
        )

    def _scaled(self, edits: Edits, scale: float, known: Derivatives) -> Candidate:
        last = known.forward[-1]
        return Candidate(
            "gradient-scale",
            edits,
            None,
            last,
            fix_a="",
            fix_b=f"multiply the loss, or every gradient, by {1 / scale:.6g} before the step: a loss scale is divided "
            "out again, gradients of several parts of a batch are averaged",
            detail=f"every gradient in {{B}} is {scale:.6g} times the derivative of its loss",
        )


def _given(side: Side, wanted: Mapping[int, np.ndarray]) -> Edits:
    """The edit that gives these values these numbers."""
    nodes: dict[int, Values] = {}
    for value, array in wanted.items():
        nodes.setdefault(side.producers[value].node.index, {})[value] = array
    makers = {n.node.index: n for n in side.network.nodes if n.node.index in nodes}
    return Edits(nodes={k: functools.partial(_overridden, side, makers[k], results) for k, results in nodes.items()})


def _overridden(side: Side, node: object, results: Values, values: Values) -> Values:
    return side.network.apply(node, values) | results  # type: ignore[arg-type]


def _listed(names: Mapping[str, object]) -> str:
    shown = list(names)[:_NAMED]
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _described(fault: Fault) -> str:
    later = place(fault.backward)
    if _cut(fault):
        return f"no gradient passes {place(fault.forward)}"
    times = "" if fault.factor is None else f": {fault.factor:.7g} times the derivative is passed on"
    of = f" in the backward pass of {place(fault.forward)}" if _local(fault) else ""
    return f"it parts from it at {later}{of}{times}" if later else f"it parts from it{of}{times}"


def _fix(fault: Fault) -> str:
    if _cut(fault):
        return f"let the gradient pass: no detach(), stop_gradient or no_grad at {place(fault.forward)}"
    where = f" of {place(fault.forward)}" if _local(fault) else ""
    by = "" if fault.factor is None else f": divide what it passes on by {fault.factor:.7g}"
    shown = f"  # {place(fault.backward)}" if fault.backward is not None else ""
    return f"correct the custom backward pass, or the hook{where}{by}{shown}"


def _cut(fault: Fault) -> bool:
    return fault.forward is not None and fault.factor is not None and abs(fault.factor) < _EQUAL


def _local(fault: Fault) -> bool:
    """Whether the operation at fault is known: it is in the layer in which the backward pass goes wrong."""
    if fault.forward is None:
        return False
    return fault.backward is None or fault.backward.node.scope == fault.forward.node.scope
