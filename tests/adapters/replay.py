"""Replays a recording: every node's lowering on the node's recorded inputs, against its recorded outputs."""

from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from oracle.reference.formats import FORMATS
from oracle.reference.lowerings import lowering
from oracle.trace import Node, Trace


def lowered_outputs(trace: Trace, node: Node) -> tuple[Any, ...]:
    """What the lowering of `node` makes of the node's recorded inputs, in float64."""
    arrays = {i: _widened(trace.values[i].array) for i in node.reads}
    define = lowering(trace.framework, node.op)
    assert define is not None, f"{node.op} has no lowering"
    with jax.enable_x64(True):
        inputs, attrs = node.arguments(arrays)
        result = define(*inputs, **attrs)
    return tuple(result) if isinstance(result, tuple | list) else (result,)


def deviations(trace: Trace) -> Iterator[tuple[Node, float]]:
    """For each node with a lowering: the largest error of its outputs, in unit roundoffs of their scale."""
    for node in trace.nodes:
        if any(out is not None for out in node.outputs) and lowering(trace.framework, node.op) is not None:
            yield node, deviation(trace, node)


def deviation(trace: Trace, node: Node) -> float:
    """The largest difference between lowered and recorded outputs of `node`, relative to their largest element.

    It is counted in unit roundoffs of the recorded format, and in ones for integers, which must agree.
    """
    results = lowered_outputs(trace, node)
    assert len(results) == len(node.outputs), f"{node.op}: {len(results)} outputs for {len(node.outputs)} recorded"
    worst = 0.0
    for result, out in zip(results, node.outputs, strict=True):
        if out is None or result is None:
            continue
        actual, truth = _widened(trace.values[out].array), np.asarray(result)
        assert truth.shape == actual.shape, f"{node.op}: shape {truth.shape}, recorded {actual.shape}"
        worst = max(worst, _distance(actual, truth) / _unit(trace.values[out].dtype))
    return worst


def _unit(dtype: str) -> float:
    return FORMATS[dtype].u if dtype in FORMATS else 1.0


def _distance(actual: np.ndarray, truth: np.ndarray) -> float:
    if actual.dtype.kind != "f":
        return float(np.any(actual != truth))
    same = (actual == truth) | (np.isnan(actual) & np.isnan(truth))
    scale = np.abs(actual, where=np.isfinite(actual), out=np.zeros_like(actual)).max(initial=0.0)
    with np.errstate(invalid="ignore"):
        return float(np.where(same, 0.0, np.abs(actual - truth)).max(initial=0.0) / (scale or 1.0))


def _widened(array: np.ndarray | None) -> np.ndarray:
    assert array is not None, "the recording is not full"
    return array.astype(np.float64) if array.dtype.kind not in "iubc" else np.asarray(array)
