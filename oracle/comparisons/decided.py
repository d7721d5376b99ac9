"""Outputs of whole numbers and truth values: decisions, which are the same or not and have no rounding.

A decision that falls otherwise when what it is taken on moves by a constant's rounding (two equal scores, a number at
its threshold) says nothing of meaning. One that stays on both sides and is not the same does.
"""

from collections.abc import Iterator

import numpy as np

from oracle.alignments.alignment import CLOSE, Alignment, Divergence, Side
from oracle.alignments.formulas import formula
from oracle.comparisons.comparison import Cause
from oracle.networks.network import Edits
from oracle.networks.node_reading import place

# Two equal numbers keep their order in so many draws with a probability of 2^-16.
_DRAWS = 16
_NOWHERE = Divergence((), ())


def decided_otherwise(a: Side, b: Side, alignment: Alignment) -> Iterator[Cause]:
    """A cause for each output of the last step that holds other whole numbers in A than in B, and firmly so."""
    of_a, of_b = (
        {n: i for n, i in s.network.trace.outputs.items() if s.run.values[i].dtype.kind in "iub" and i in s.producers}
        for s in (a, b)
    )
    for name in (n for n in of_a if n in of_b):
        i, j = of_a[name], of_b[name]
        x, y = a.run.values[i], b.run.values[j]
        if x.size == y.size:
            otherwise = (x.reshape(-1) != y.reshape(-1)) & _firm(a, i) & _firm(b, j)
            if otherwise.any():
                yield _cause((a, b), (i, j), (name, int(otherwise.sum())), alignment)


def _firm(side: Side, value: int) -> np.ndarray:
    """Which elements of `value` stay when the numbers that decide them move by a constant's rounding; flat."""
    within = side.ancestors([value])
    deciding = [n for n in side.network.nodes if n.node.index in within and n.decisions]
    read = dict.fromkeys(i for n in deciding for i in n.reals)
    generator = np.random.default_rng(5)
    kept = np.ones(side.run.values[value].size, bool)
    for _ in range(_DRAWS):
        values = dict(side.run.values)
        moved = Edits({i: _moved(values[i], generator) for i in read})
        with np.errstate(all="ignore"):
            for _ in side.network.walk(values, Edits(), moved, within):
                pass
        kept &= (values[value] == side.run.values[value]).reshape(-1)
    return kept


def _moved(x: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    size = np.max(np.abs(x), where=np.isfinite(x), initial=0.0)
    return x + CLOSE * size * generator.uniform(-1, 1, x.shape)


def _cause(sides: tuple[Side, Side], values: tuple[int, int], found: tuple[str, int], alignment: Alignment) -> Cause:
    """The two operations that decide; proved where A's reads only numbers that B holds too."""
    nodes = [side.producers[i] for side, i in zip(sides, values, strict=True)]
    given = bool(nodes[0].reals) and all(alignment.a_to_b.get(i) for i in nodes[0].reals)
    texts = [formula(side, node, _NOWHERE) for side, node in zip(sides, nodes, strict=True)]
    (name, count), size = found, sides[0].run.values[values[0]].size
    return Cause(
        "unknown-semantics",
        place(nodes[0]),
        place(nodes[1]),
        share=1.0 if given else 0.0,
        residual=0.0 if given else float(count),
        before=float(count),
        fix_a=f"compute {texts[1]} at {place(nodes[0])}",
        fix_b=f"compute {texts[0]} at {place(nodes[1])}",
        detail=f"{count} of the {size} whole numbers of {name} are not the same, however the last bits fall: A "
        f"computes {texts[0]}; B computes {texts[1]}",
    )
