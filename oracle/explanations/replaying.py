"""What the script of a recorded operation prints: is the result the recorded one, and how far is it from the truth."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from oracle.errors import OracleError
from oracle.judgements.metric import measure
from oracle.networks.lowered import LoweredNode, lower, real_program
from oracle.reference.balls import MissingRule
from oracle.reference.evaluate import evaluate
from oracle.reference.formats import format_named
from oracle.reference.truth import Truth
from oracle.trace import Trace

# Elements whose truth is made sharper than float64 where that is needed; the error of others is an upper bound.
_CLIMBERS = 200


def report(trace: Trace, index: int, made: Sequence[Any]) -> str:
    """Lines about the outputs `made` of operation `index`, run again on its recorded inputs.

    Raises `OracleError` for an unknown operation, a recording of statistics alone, or another number of outputs.
    """
    if not 0 <= index < len(trace.nodes):
        raise OracleError(f"the trace has no operation {index}: it has {len(trace.nodes)}, counted from 0")
    node = trace.nodes[index]
    outputs = [o for o in node.outputs if o is not None]
    if any(trace.values[i].array is None for i in (*node.reads, *outputs)):
        raise OracleError("the trace holds statistics only", "record again with full=True (`oracle record --full`)")
    if len(made) != len(outputs):
        raise OracleError(f"operation {index} made {len(made)} arrays, and {len(outputs)} were recorded")
    truths = _truths(trace, index)
    return "\n".join(_line(trace, o, np.asarray(y), truths.get(o)) for o, y in zip(outputs, made, strict=True))


def _line(trace: Trace, output: int, made: np.ndarray, truth: Truth | None) -> str:
    value = trace.values[output]
    return f"value {output}, {value.dtype}{list(value.shape)}: " + "; ".join(_said(value.array, made, truth))


def _said(recorded: Any, made: np.ndarray, truth: Truth | None) -> Iterator[str]:
    differing = int(np.sum(~_same(recorded, made))) if made.shape == recorded.shape else made.size
    yield "bit for bit as recorded" if not differing else f"{differing} of {made.size} elements are not as recorded"
    if truth is not None and truth.hi.shape == made.shape:
        errors = measure(made, truth, format_named(str(made.dtype)))
        worst = errors.magnitude()[1][errors.numeric]
        yield f"at most {worst.max():.3g} ulp from the truth, {worst.mean():.2g} on average" if worst.size else "exact"


def _same(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Where two arrays hold the same bits; NaNs are alike."""
    if a.dtype != b.dtype:
        return np.zeros(a.shape, bool)
    alike = np.asarray(a == b)
    return alike if a.dtype.kind in "iub" else alike & (np.signbit(a) == np.signbit(b)) | np.isnan(a) & np.isnan(b)


def _truths(trace: Trace, index: int) -> dict[int, Truth]:
    """The true values of the outputs in a format of real numbers, where the operation has a lowering."""
    node = trace.nodes[index]
    arrays = {i: _widened(trace.values[i].array) for i in (*node.reads, *node.outputs) if i is not None}
    lowered = lower(trace, node, arrays)
    if lowered.signature is None or not lowered.outputs:
        return {}
    program = real_program(lowered.signature)
    if len(program.outputs) != len(lowered.outputs):
        return {}
    return dict(_evaluated(trace, lowered, [arrays[i] for i in (*lowered.reals, *lowered.facts)]))


def _evaluated(trace: Trace, lowered: LoweredNode, arrays: list[np.ndarray]) -> Iterator[tuple[int, Truth]]:
    assert lowered.signature is not None
    program = real_program(lowered.signature)
    try:
        for place, o in enumerate(lowered.outputs):
            yield o, evaluate(program, arrays, format_named(trace.values[o].dtype), limit=_CLIMBERS)[place]
    except MissingRule:
        return


def _widened(array: Any) -> np.ndarray:
    return array if array.dtype.kind in "iub" else np.asarray(array, np.float64)
