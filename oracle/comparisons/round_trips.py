"""Casts to a coarser format of values that were computed in a finer one, and are taken for finer ones again."""

import numpy as np

from oracle.alignments.alignment import Side, difference
from oracle.alignments.formulas import short_name
from oracle.networks.lowered import LoweredNode
from oracle.networks.network import finite
from oracle.reference.formats import FORMATS, format_named

_CASTS = ("to_copy", "to", "cast", "convert_element_type")


def coarsest_forward(side: Side) -> int:
    """The precision, in bits, of the coarsest format in which the forward pass makes a value."""
    values = side.network.trace.values
    made = (values[o].dtype for n in side.network.nodes if n.node.phase == "forward" for o in n.outputs)
    return min((format_named(name).precision for name in made if name in FORMATS), default=0)


class Trip:
    """A cast to a coarser format, of so many bits.

    `direct` where the result is only cast back; `used` of the finer format's budget.
    """

    def __init__(self, direct: bool, used: float, bits: int) -> None:
        self.direct, self.used, self.bits = direct, used, bits


def round_trip(side: Side, node: LoweredNode) -> Trip | None:
    """The cast of a value that was computed in a finer format, and is taken for one again; None for anything else."""
    if short_name(node.node.op) not in _CASTS or len(node.reals) != 1 or not node.outputs:
        return None
    values = side.network.trace.values
    source, result = values[node.reals[0]], values[node.outputs[0]]
    if source.dtype not in FORMATS or result.dtype not in FORMATS or source.id not in side.producers:
        return None
    fine, coarse = format_named(source.dtype), format_named(result.dtype)
    if coarse.precision >= fine.precision:
        return None
    readers = side.consumers.get(result.id, [])
    back = [r for r in readers if short_name(r.node.op) in _CASTS and r.outputs]
    direct = bool(readers) and len(back) == len(readers)
    x, y = side.network.actual[source.id], side.network.actual[result.id]
    size = fine.u * float(np.linalg.norm(finite(np.asarray(x, np.float64))))
    error = float(np.linalg.norm(finite(difference(y, x))))
    return Trip(direct, error / size if size else float("inf"), coarse.precision) if error > size else None
