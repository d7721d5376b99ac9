"""What the page of an operation shows beside its errors: its arrays in numbers, its attributes, how to run it again."""

import importlib

import numpy as np

from oracle.explanations.details import ArrayFacts, Details
from oracle.networks.network import Network
from oracle.trace import Trace, Value


def node_details(network: Network) -> Details:
    """The details of every operation of a recorded run."""
    trace = network.trace
    shown = {i for n in trace.nodes for i in (*n.reads, *n.outputs) if i is not None}
    names = _names(trace)
    return Details(
        {i: _facts(trace.values[i], network.actual[i], names.get(i, "")) for i in sorted(shown)},
        {n.index: tuple(dict.fromkeys(n.reads)) for n in trace.nodes},
        {n.index: tuple(o for o in n.outputs if o is not None) for n in trace.nodes},
        {n.index: {"arguments": list(n.inputs), **n.attrs} for n in trace.nodes},
        _scripts(trace),
    )


def _names(trace: Trace) -> dict[int, str]:
    """What the user calls the results of the run's steps."""
    names: dict[int, str] = {}
    for step in trace.steps:
        names |= {i: f"{n}, updated" for n, i in (*step.parameters.items(), *step.buffers.items())}
        names |= {i: f"gradient of {n}" for n, i in step.gradients.items()}
        names |= {i: n for n, i in step.outputs.items()} | ({} if step.loss is None else {step.loss: "loss"})
    return names


def _facts(value: Value, array: np.ndarray, name: str) -> ArrayFacts:
    known, nonfinite = array.reshape(-1), 0
    if array.dtype.kind == "c":
        known = np.abs(known)
    if array.dtype.kind == "f" and not np.isfinite(known.sum()):
        finite = np.isfinite(known)
        known, nonfinite = known[finite], int(known.size - finite.sum())
    numbers = [float("nan")] * 3
    if known.size:
        numbers = [float(known.min()), float(known.max()), float(known.mean())]
    low, high, mean = numbers
    largest = max(abs(low), abs(high))
    return ArrayFacts(value.name or name, value.role, value.dtype, value.shape, low, high, mean, largest, nonfinite)


def _scripts(trace: Trace) -> dict[int, str]:
    replay = importlib.import_module("oracle.adapters.replay")
    try:
        return {n.index: replay.script(trace, n) for n in trace.nodes}
    except ImportError:  # another machine's trace: the framework that it was recorded with is not here
        told = f"# {trace.framework} is not installed here: explain the trace where it is, to see the call\n"
        return {n.index: told for n in trace.nodes}
