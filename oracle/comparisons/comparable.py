"""What of two recorded runs can be compared at all, and what is left out: nothing drops from view unsaid."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from oracle.alignments.alignment import Side
from oracle.alignments.pairing import Pair
from oracle.errors import OracleError
from oracle.trace import Trace, Value

_NAMED = 6


def comparable(a: Side, b: Side, pairs: list[Pair]) -> list[Pair]:
    """The pairs that hold numbers. Raises `OracleError`, with the reason, where none is left."""
    sides = (a.network.trace, b.network.trace)
    if not pairs:
        raise OracleError(*_why_unpaired(*sides))
    filled = [p for p in pairs if a.run.values[p.a].size]
    if not filled:
        shapes = ", ".join(str(a.run.values[p.a].shape) for p in pairs[:4])
        raise OracleError(f"the outputs hold no numbers (shapes {shapes})", "pass inputs of at least one element")
    if all(_undefined(a, p.a) and _undefined(b, p.b) for p in filled):
        raise OracleError(f"every number of every output is NaN on both sides{_undefined_inputs(sides[0])}",
                          "pass inputs for which the models return numbers")  # fmt: skip
    return filled


def _undefined(side: Side, value: int) -> bool:
    return bool(np.isnan(side.run.values[value]).all())


def _undefined_inputs(trace: Trace) -> str:
    """The inputs and weights that are no finite numbers, in words."""
    given = {**trace.inputs, **trace.parameters, **trace.buffers}
    names = [n for n, i in given.items() if not _is_finite(trace.values[i].array)]
    return f"; {', '.join(names[:_NAMED])} hold{'s' * (len(names) == 1)} NaN or infinities" if names else ""


def _is_finite(array: Any) -> bool:
    return array is None or array.dtype.kind not in "fV" or bool(np.isfinite(array.astype(np.float64)).all())


def _why_unpaired(a: Trace, b: Trace) -> tuple[str, str]:
    """What is wrong with outputs that have no counterpart, and what to do."""
    for name, trace in (("A", a), ("B", b)):
        if not trace.outputs:
            return (
                f"{name} returned no array to compare",
                "let it return arrays or tensors, in any nest of tuples, lists, mappings and dataclasses",
            )
        if all("complex" in v.dtype for v in _outputs(trace)):
            return (
                f"{name} returns complex numbers alone ({_shapes(trace)})",
                "let it return their real and imaginary parts, torch.view_as_real(y) for instance",
            )
        if not any(_is_real(v) for v in _outputs(trace)):
            return (
                f"{name} returns whole numbers alone ({_shapes(trace)}), which show no rounding and little meaning",
                "let the model also return the numbers from which they are decided, the logits for instance",
            )
    inputs = ""
    if _sizes(a.inputs.values(), a) != _sizes(b.inputs.values(), b):
        inputs = f"; the inputs differ too: {_shapes(a, 'inputs')} and {_shapes(b, 'inputs')}"
    return (
        f"no output of A ({_shapes(a)}) has a counterpart in B ({_shapes(b)}){inputs}",
        "compare models with outputs of the same size, run on the same inputs",
    )


def _outputs(trace: Trace) -> list[Value]:
    return [trace.values[i] for i in trace.outputs.values()]


def _is_real(value: Value) -> bool:
    return "float" in value.dtype


def _sizes(values: Iterable[int], trace: Trace) -> list[int]:
    return sorted(int(np.prod(trace.values[i].shape)) for i in values)


def _shapes(trace: Trace, kind: str = "outputs") -> str:
    found = [trace.values[i] for i in getattr(trace, kind).values()]
    listed = ", ".join(f"{v.shape} {v.dtype}" for v in found[:4])
    return listed + (f" and {len(found) - 4} more" if len(found) > 4 else "")


def left_out(a: Side, b: Side, pairs: list[Pair]) -> Iterator[str]:
    """What a reader must know about numbers that the comparison leaves out or cannot tell apart."""
    last = max(p.step for p in pairs)
    steps = [len(side.network.trace.steps) for side in (a, b)]
    if steps[0] != steps[1]:
        yield f"A ran {steps[0]} steps and B {steps[1]}: the first {min(steps)} are compared"
    for name, side, taken in (("A", a, {p.a for p in pairs}), ("B", b, {p.b for p in pairs})):
        step = side.network.trace.steps[last]
        for kind, values in (("outputs", step.outputs), ("gradients", step.gradients)):
            lost = [n for n, i in values.items() if i not in taken and _is_real(side.network.trace.values[i])]
            if lost:
                more = f" and {len(lost) - _NAMED} more" if len(lost) > _NAMED else ""
                yield f"{kind} of {name} without a counterpart, not compared: {', '.join(lost[:_NAMED])}{more}"
    yield from _decided(a, b, last)
    for pair in pairs:
        missing = int(np.isnan(a.run.values[pair.a]).sum())
        if missing and pair.step == last:
            yield f"{pair.name_a}: {missing} of {a.run.values[pair.a].size} numbers of A are NaN in exact arithmetic"


def _decided(a: Side, b: Side, step: int) -> Iterator[str]:
    """Outputs of whole numbers: how many differ."""
    of_a, of_b = (s.network.trace.steps[step].outputs for s in (a, b))
    for name in of_a.keys() & of_b.keys():
        x, y = a.network.actual[of_a[name]], b.network.actual[of_b[name]]
        if x.dtype.kind in "iub" and y.dtype.kind in "iub" and x.shape == y.shape:
            yield f"{name} holds whole numbers, no part of the identity: {int((x != y).sum())} of {x.size} differ"
