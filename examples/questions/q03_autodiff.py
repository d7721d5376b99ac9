"""Question 3: do gradients differ because automatic differentiation accumulates in another order?"""

import numpy as np
from asking import show
from pairs import Pair, all_pairs

import oracle
from oracle.trace import Trace

NAMES = ("relu, ported", "GELU, ported", "CNN, NHWC to NCHW, eps given", "LSTM, ported", "layer norm, defaults")


def measure(names: tuple[str, ...] = NAMES) -> dict:
    """The gradients of the same program on both sides: semantics, made in the backward pass, inherited."""
    rows, comparisons = [], {}
    for name in names:
        traces = gradients(all_pairs()[name]())
        found = comparisons[name] = oracle.compare(*traces)
        parts = [t for t in found.targets if t.kind == "gradients"]
        row = {"pair": name, "difference": _total(t.difference for t in parts),
               "semantics": _total(t.semantics for t in parts if not t.same)}  # fmt: skip
        for side, trace in zip(("Keras", "torch"), traces, strict=True):
            explained = oracle.explain(trace, "gradients")
            phases = explained.grouped("phase")
            row[f"{side}, made backward"] = phases.get("backward", 0.0)
            row[f"{side}, inherited"] = phases.get("forward", 0.0)
        rows.append(row)
    return {"pairs": rows, "comparisons": comparisons}


def gradients(pair: Pair) -> tuple[Trace, Trace]:
    """Both models, recorded with the gradients of their mean squared output."""
    from torch import nn

    zeros = np.zeros(pair.keras.compute_output_shape(pair.inputs_keras.shape), np.float32)
    a = oracle.record(pair.keras, pair.inputs_keras, loss="mse", target=zeros, training=False, full=True)
    b = oracle.record(pair.torch, pair.inputs_torch, loss=nn.MSELoss(), target=zeros, full=True)
    return a, b


def _total(parts) -> float:
    return float(np.sqrt(sum(p.norm**2 for p in parts)))


if __name__ == "__main__":
    show(__doc__, measure)
