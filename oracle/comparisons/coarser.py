"""Inputs and weights that one side stores in a coarser format: what their rounding changes is rounding, not meaning.

A model cast to bfloat16 has the weights of the one in float32, each rounded once. Its exact run starts from the
unrounded numbers of the other side, so that the rounding in store counts as the side's own rounding.
"""

from collections.abc import Iterator

import numpy as np

from oracle.alignments.alignment import Side
from oracle.alignments.pairing import same_in_some_layout
from oracle.networks.network import Edits
from oracle.reference.formats import FORMATS, Format

_NAMED = 4


def unrounded(side: Side, other: Side) -> tuple[Side, tuple[str, ...]]:
    """`side` run from the numbers of `other` that it holds rounded, and the names of these inputs and weights."""
    leaves: dict[int, np.ndarray] = {}
    names: list[str] = []
    theirs = [(i, f) for _, i, f in _stored(other)]
    for name, i, own in _stored(side):
        y = side.run.values[i]
        for j, finer in theirs:
            x = other.run.values[j]
            if finer.precision <= own.precision or x.size != y.size or not np.isfinite(x).all():
                continue
            rounded = np.asarray(own.round(x), np.float64)
            layout = same_in_some_layout(y, rounded)
            if layout is not None and not np.array_equal(rounded, x):
                leaves[i] = np.squeeze(x).transpose(layout).reshape(y.shape) if layout else x.reshape(y.shape)
                names.append(name)
                break
    if not leaves:
        return side, ()
    return Side(side.network, side.network.edited(side.run, Edits(leaves))), tuple(names)


def _stored(side: Side) -> Iterator[tuple[str, int, Format]]:
    """Inputs, parameters and buffers of real numbers, with the formats in which they are stored."""
    trace = side.network.trace
    for named in (trace.inputs, trace.parameters, trace.buffers):
        for name, i in named.items():
            if trace.values[i].dtype in FORMATS and side.run.values[i].size:
                yield name, i, FORMATS[trace.values[i].dtype]


def told(name: str, side: Side, names: tuple[str, ...]) -> tuple[str, ...]:
    """What a reader must know of the numbers that a side holds rounded."""
    if not names:
        return ()
    formats = sorted({f.name for n, _, f in _stored(side) if n in names})
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    held = f"{', '.join(names[:_NAMED])}{more} of {name} are the other model's numbers rounded to {', '.join(formats)}"
    return (f"{held}: what that changes counts as rounding({name.lower()})",)
