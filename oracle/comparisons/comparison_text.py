"""A comparison as text for a terminal: what fits a screen; the page and the JSON have all of it."""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from oracle.comparisons.comparison import Cause, Comparison, DriftPart, DriftStep, Target

_CAUSES = 5
_ROWS = 6
_NOTES = 6
_MAKERS = 3
_PARTS = ("|a - b|", "semantics", "rounding(a)", "rounding(b)")
_FOLLOWED = {"loss": "loss", "parameters": "weights", "outputs": "outputs"}


def text(found: "Comparison") -> str:
    """The identity, the verdict, the causes with their fixes, what is beyond its budget, the drift, the notes."""
    lines = [found.headline(), *_by_kind(found.targets), str(found.verdict), *_causes(found.causes)]
    for o in found.accused[:_ROWS]:
        lines.append(f"  {o.op} of {o.side} in {o.scope or 'the model'} {o.source}: {o.budget_used:.3g}x its budget")
    lines += _more(len(found.accused) - _ROWS, "operations beyond their budget")
    lines += _drift(found.drift)
    lines += [line for side in "AB" for line in _makers(side, found.drift_by_operation)]
    lines += [f"  note: {n}" for n in found.notes[:_NOTES]]
    lines += _more(len(found.notes) - _NOTES, "notes")
    if found.unmatched and found.exit_code and not found.causes:
        lines += ["  first nodes without a counterpart:", *(f"    {u}" for u in found.unmatched[:_ROWS])]
        lines += _more(len(found.unmatched) - _ROWS, "nodes")
    return "\n".join(lines)


def _more(count: int, what: str) -> list[str]:
    return [f"  and {count} more {what}: see the page (to_html) or to_json"] if count > 0 else []


def _causes(causes: Sequence["Cause"]) -> Iterator[str]:
    kinds = {c.target for c in causes if c.target}
    for c in causes[:_CAUSES]:
        of = f" of {_FOLLOWED.get(c.target, c.target)}" if len(kinds) > 1 and c.target else ""
        yield f"  {c.code} (share {_share(c)}{of}, residual {c.residual:.2g}): {c.detail}"
        yield from (f"    {line}" for line in c.fix.splitlines())
    if causes[_CAUSES:]:
        rest = ", ".join(f"{c.code} ({_share(c)})" for c in causes[_CAUSES:])
        yield f"  and {rest}: the page and to_json have their fixes"


def _share(cause: "Cause") -> str:
    return "?" if math.isnan(cause.share) else f"{cause.share:.1%}"


def _by_kind(targets: Sequence["Target"]) -> Iterator[str]:
    """One line for each kind of target: how many, the norms over all of them, the worst element of any."""
    if len(targets) < 2:
        return
    yield f"  {'targets':<16}" + "".join(f"{part:>12}" for part in _PARTS) + "  worst element"
    for kind in dict.fromkeys(t.kind for t in targets):
        group = [t for t in targets if t.kind == kind]
        norms = (
            math.hypot(*(getattr(t, part).norm for t in group))
            for part in ("difference", "semantics", "rounding_a", "rounding_b")
        )
        worst = max(group, key=lambda t: abs(t.difference.worst))
        at = f" at {list(worst.difference.index)}" if worst.difference.index else ""
        where = f"{worst.difference.worst:.3g} in {worst.name_a}{at}"
        yield f"  {f'{len(group)} {kind}':<16}" + "".join(f"{x:>12.3g}" for x in norms) + f"  {where}"


def _drift(steps: Sequence["DriftStep"]) -> Iterator[str]:
    """A line for each step, for at most so many of them: the parts of the difference of loss and weights."""
    kinds = [k for k in _FOLLOWED if any(s.kind == k for s in steps)][:2]
    if not kinds:
        return
    yield "  drift" + "".join(f"{_FOLLOWED[k] + ' |a - b|':>17}{'semantics':>11}{'rounding':>11}" for k in kinds)
    by_step = {(s.step, s.kind): s for s in steps}
    for step in _chosen(sorted({s.step for s in steps})):
        yield f"  {step + 1:>5}" + "".join(_drifted(by_step.get((step, kind))) for kind in kinds)


def _drifted(s: "DriftStep | None") -> str:
    """The difference, what of it is semantics, and the larger of the two sides' rounding."""
    if s is None:
        return f"{'-':>17}{'-':>11}{'-':>11}"
    return f"{s.difference:>17.3g}{s.semantics:>11.3g}{max(s.rounding_a, s.rounding_b):>11.3g}"


def _chosen(steps: list[int]) -> Iterable[int]:
    """At most so many of the steps, evenly, the first and the last among them."""
    if len(steps) <= _ROWS:
        return steps
    return [steps[round(k * (len(steps) - 1) / (_ROWS - 1))] for k in range(_ROWS)]


def _makers(side: str, parts: Sequence["DriftPart"]) -> Iterator[str]:
    """The operations that made most of the rounding in a side's last weights, each with its steps."""
    shares: dict[str, float] = {}
    steps: dict[str, list[str]] = {}
    for p in (p for p in parts if p.side == side):
        name = f"{p.op} in {p.scope}" if p.scope else p.op
        shares[name] = shares.get(name, 0.0) + p.share
        steps.setdefault(name, []).append(str(p.step + 1))
    ranked = sorted(shares, key=lambda name: -abs(shares[name]))[:_MAKERS]
    if ranked:
        told = (f"{name} {shares[name]:.0%} (step {', '.join(steps[name])})" for name in ranked)
        yield f"  rounding in the last weights of {side}: {'; '.join(told)}"
