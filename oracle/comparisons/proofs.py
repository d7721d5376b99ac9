"""What the edit of a cause was shown to do: how much of the semantic difference it makes, and what it leaves.

The edits of the causes take the difference g of the exact runs (all targets of one kind as one vector) from g_0 to g_1,
..., g_n. The share of the k-th is its part along the whole, as contributions are taken everywhere:

    share_k = <g_(k-1) - g_k, g_0> / |g_0|^2,    sum_k share_k = 1 - <g_n, g_0> / |g_0|^2

which is one where nothing remains. Causes whose effects add up have the same shares in whatever order they are found.
A share is negative where the cause hides a part of what the others make, and another is then above one.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from oracle.alignments.alignment import CLOSE
from oracle.causes import Candidate
from oracle.comparisons.comparison import Cause
from oracle.comparisons.trying import State
from oracle.networks.node_reading import place


@dataclass(frozen=True)
class Proof:
    """Share of the difference, its norm before and after the edit, the kind of targets, and a script that shows it."""

    share: float
    before: float
    after: float
    target: str
    script: str


def note(causes: list[Cause], candidate: Candidate, proof: Proof) -> None:
    """Add a proved candidate, in terms of the true A and B, to `causes`, or to the same cause where it is there."""
    cause = Cause(
        candidate.code,
        place(candidate.node_a),
        place(candidate.node_b),
        proof.share,
        proof.after,
        proof.before,
        candidate.fix_a,
        candidate.fix_b,
        candidate.detail.replace("{A}", "A").replace("{B}", "B"),
        proof.script,
        proof.target,
    )
    known = next((c for c in causes if (c.code, c.fix) == (cause.code, cause.fix)), None)
    if known is None:
        causes.append(cause)
    elif known.target == cause.target and proof.before <= known.residual * (1 + CLOSE):  # it acts on another path too
        share = known.share + cause.share
        causes[causes.index(known)] = replace(known, residual=cause.residual, share=share)


def share(origin: State, before: State, after: State) -> float:
    """The share of the edit between two states in the difference with which its targets began.

    Where that is no number, the edit that makes it one has all of it; where a target changed its size, norms stand in
    for the vectors.
    """
    if not math.isfinite(origin.remaining):
        return float(math.isfinite(after.remaining) and not math.isfinite(before.remaining))
    if not origin.remaining:
        return 0.0
    vectors = [_gap(state) for state in (origin, before, after)]
    whole, was, now = vectors
    if whole is None or was is None or now is None or not whole.size == was.size == now.size:
        return (before.remaining - after.remaining) / origin.remaining
    scale = float(np.max(np.abs(whole)))
    unit = whole / scale
    return float(((was - now) / scale) @ unit) / float(unit @ unit)


def _gap(state: State) -> np.ndarray | None:
    """The difference that remains, as one vector; zero where it is below float64's own noise."""
    gap = state.gap
    if gap is None or not np.isfinite(gap).all():
        return None
    return gap if state.remaining else np.zeros_like(gap)
