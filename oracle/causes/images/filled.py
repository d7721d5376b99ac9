"""Padding that is an operation of its own, filled otherwise: by a number, a reflection, the edge, the other side."""

import functools
from collections.abc import Iterator

import numpy as np

from oracle.causes import Candidate, Context, hypothesis
from oracle.causes.images.windows import pad_of
from oracle.causes.local import Wanted, overridden, soon
from oracle.networks.lowered import LoweredNode
from oracle.networks.network import Values
from oracle.networks.node_reading import numbers, place

_NEAR, _SOON = 12, 3
# NumPy's names of what fills the padding, and in words.
_MODES = {
    "reflect": "a reflection", "edge": "the edge repeated", "wrap": "the other side",
    "symmetric": "a reflection that repeats the edge",
}  # fmt: skip
_FILLS = (0.0, -np.inf, 1.0, -1.0)


@hypothesis(priority=12)
def filled_otherwise(context: Context) -> Iterator[Candidate]:
    """B pads an array; A pads it with other numbers."""
    wanted, side = Wanted(context), context.b
    given = [n for a in context.at_a.region[:_NEAR] for _, n in numbers(a) if "pad" in a.node.op.lower()]
    for node in side.network.nodes:
        if node.node.index not in {n.node.index for n in context.at_b.region[:_NEAR]}:
            continue
        found = pad_of(side, node)
        if found is None:
            continue
        source, pads, _ = found
        width = [pads.get(k, (0, 0)) for k in range(side.run.values[source].ndim)]
        for words, compute in _ways(source, width, dict.fromkeys([*given, *_FILLS])):
            edits = overridden(side, {node.outputs[0]: compute})
            value = soon(context, wanted, edits, _SOON)
            if value is not None:
                yield Candidate(
                    "pool-padding" if _is_pooled(context, node) else "padding",
                    edits,
                    wanted.node(value),
                    node,
                    fix_a=f"pad as the other model does at {place(wanted.node(value))}",
                    fix_b=f"pad with {words} at {place(node)}",
                    detail=f"{{A}} pads with {words}, {{B}} otherwise ({place(node)})",
                    tested=True,
                )


def _is_pooled(context: Context, node: LoweredNode) -> bool:
    return any("pool" in n.node.op.lower() for n in context.b.consumers.get(node.outputs[0], ()))


def _ways(
    source: int, width: list[tuple[int, int]], fills: dict[float, None]
) -> Iterator[tuple[str, functools.partial]]:
    for mode, words in _MODES.items():
        yield words, functools.partial(_reflected, source, width, mode)
    for fill in fills:
        yield f"the number {fill:g}", functools.partial(_constant, source, width, fill)


def _reflected(source: int, width: list[tuple[int, int]], mode: str, values: Values) -> np.ndarray:
    return np.pad(values[source], width, mode=mode)  # type: ignore[call-overload]


def _constant(source: int, width: list[tuple[int, int]], fill: float, values: Values) -> np.ndarray:
    return np.pad(values[source], width, constant_values=fill)
