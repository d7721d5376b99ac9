"""What an operation without a lowering would have made in its framework's own float64: its reference is itself."""

import importlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from oracle.trace import Node


def own_results(framework: str, node: Node, values: Mapping[int, np.ndarray]) -> dict[int, np.ndarray]:
    """The node's outputs by id, run in float64 on `values`; nothing where the framework is absent or cannot."""
    try:
        adapter: Any = importlib.import_module("oracle.adapters.in_float64")
        results = adapter.run(framework, node.op, *node.arguments(values))
    except ImportError:
        return {}
    outputs = [o for o in node.outputs if o is not None]
    if results is None or len(results) != len(outputs):
        return {}
    return {o: _wide(y) for o, y in zip(outputs, results, strict=True)}


def _wide(y: np.ndarray) -> np.ndarray:
    return np.asarray(y, {"f": np.float64, "c": np.complex128}.get(y.dtype.kind, y.dtype))
