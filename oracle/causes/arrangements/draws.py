"""Both models draw random numbers, and others: dropout left on in both, noise that is added in both.

Codes:
    random-draws: the same program, other random numbers; with the same ones nothing of the difference is left.
"""

from collections.abc import Iterator

import numpy as np

from oracle.alignments.alignment import Side
from oracle.causes import Candidate, Context, hypothesis
from oracle.networks.lowered import LoweredNode
from oracle.networks.network import Edits


@hypothesis(priority=5)
def other_draws(context: Context) -> Iterator[Candidate]:
    """B's draws take the numbers of A's, in the order in which they were drawn."""
    ours, theirs = _draws(context.a), _draws(context.b)
    shapes = [[side.run.values[i].shape for i in drawn] for side, drawn in ((context.a, ours), (context.b, theirs))]
    if not ours or shapes[0] != shapes[1]:
        return
    pairs = [(context.a.run.values[i], j) for i, j in zip(ours, theirs, strict=True)]
    edits = Edits(leaves={j: x for x, j in pairs if not np.array_equal(x, context.b.run.values[j])})
    if edits.leaves:
        fix = "switch the dropout off (inference), or let both models draw the same numbers (one seed, one generator)"
        yield Candidate(
            "random-draws",
            edits,
            _reader(context.a, ours),
            _reader(context.b, theirs),
            fix_a=fix,
            fix_b=fix,
            detail=f"both models draw random numbers, and {len(edits.leaves)} of {len(theirs)} draws are others",
        )


def _draws(side: Side) -> list[int]:
    return [i for i, value in side.network.trace.values.items() if value.role == "random" and value.array is not None]


def _reader(side: Side, drawn: list[int]) -> LoweredNode | None:
    return next((n for n in side.network.nodes if not set(drawn).isdisjoint(n.node.reads)), None)
