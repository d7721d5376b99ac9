"""Whether two meanings that agree on the given inputs part on others: agreement on one draw is no identity.

A relu and a leaky relu agree on positive numbers, a clip and none below its bound. The recorded operations of both
sides are run, in exact arithmetic, on normal numbers of the inputs' size, and of ten times that.
"""

from collections.abc import Iterator

import numpy as np

from oracle.alignments.alignment import Side, difference, norm
from oracle.alignments.noise import means_the_same, working_format
from oracle.alignments.pairing import Pair, pair_inputs
from oracle.networks.network import Edits

_SCALES = (1.0, 10.0)


def elsewhere(a: Side, b: Side, pairs: list[Pair]) -> Iterator[str]:
    """A note for the first output that is the same on the given inputs and not on others.

    Nothing where an operation is taken as it ran, or where an input of real numbers has no counterpart.
    """
    outputs = [p for p in pairs if p.kind == "outputs" and p.step == 0]
    inputs = pair_inputs(a, b)
    reals = [i for i in a.network.trace.inputs.values() if a.run.values[i].dtype.kind == "f"]
    if not outputs or not inputs or len(inputs) < len(reals) or _as_they_ran(a) or _as_they_ran(b):
        return
    for scale in _SCALES:
        there_a, there_b = _drawn(a, b, (inputs, outputs), scale)
        for pair in outputs:
            x, y = there_a.run.values[pair.a], there_b.run.values[pair.b]
            apart = norm(difference(x, pair.in_layout_of_a(x, y)))
            # Less than the outputs' own rounding is nobody's to see: softplus leaves out what is below it.
            seen = apart > working_format(a).u * norm(np.nan_to_num(x))
            if seen and not means_the_same(there_a, there_b, pair):
                times = "" if scale == 1 else f"{scale:g} times "
                yield (
                    f"{pair.name_a} is the same on these inputs only: on normal numbers of {times}their size the "
                    f"recorded operations of A and B differ by {apart:.3g} ({norm(x):.3g} in size)"
                )
                return


def _as_they_ran(side: Side) -> bool:
    return bool(side.network.self_referenced)


def _drawn(a: Side, b: Side, pairs: tuple[list[Pair], list[Pair]], scale: float) -> tuple[Side, Side]:
    """Both sides run on other inputs, the same for both, as far as the outputs need it."""
    inputs, outputs = pairs
    generator = np.random.default_rng(17)
    leaves_a, leaves_b = {}, {}
    for pair in inputs:
        x, y = a.run.values[pair.a], b.run.values[pair.b]
        size = norm(np.nan_to_num(x)) / np.sqrt(max(x.size, 1)) or 1.0
        leaves_a[pair.a] = scale * size * generator.standard_normal(x.shape)
        leaves_b[pair.b] = pair.in_layout_of_b(leaves_a[pair.a], y)
    with np.errstate(all="ignore"):
        run_a = a.network.edited(a.run, Edits(leaves_a), a.ancestors(p.a for p in outputs))
        run_b = b.network.edited(b.run, Edits(leaves_b), b.ancestors(p.b for p in outputs))
    return Side(a.network, run_a), Side(b.network, run_b)  # with noise of their own
