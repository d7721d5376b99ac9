"""What `explain` returns: the total error, and for every operation its part in it."""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from oracle.explanations.details import Details
from oracle.writing import strict, strict_json, write


@dataclass(frozen=True)
class NodeReport:
    """One operation's part.

    Errors are root mean squares over the outputs' elements: `local_error` made here on the actual inputs,
    `inherited_error` carried in and through. `contribution` is the signed part of the target's total error.
    `budget_used` is the local error over the rounding budget (norms; above 1 it is not rounding), NaN where it was not
    measured; `budget_fused` is against that of a kernel that rounds once at the end (above 1: legal but poor),
    `budget_probable` against what the roundings of sums add up to in all likelihood (above 1: suspect), `budget_worst`
    of the worst element against the fused budget. `condition` says how much the relative error of the inputs grows in
    passing. `flips` counts decisions (a relu's sign, arg-max, comparisons, window maxima) that exact arithmetic takes
    otherwise, `jump` is the part of the contribution that no derivative explains:
    what those decisions, or a singularity between the exact and the recorded inputs, did to the target.
    """

    index: int
    op: str
    scope: str
    layer: str
    phase: str
    step: int
    time_step: int | None
    source: str
    format: str
    elements: int
    magnitude: float
    local_error: float
    inherited_error: float
    contribution: float
    jump: float
    budget_used: float
    budget_fused: float
    budget_probable: float
    budget_worst: float
    condition: float
    flips: int
    self_referenced: bool

    @property
    def accused(self) -> bool:
        """Whether the local error is more than any honest rounding."""
        return self.budget_used > 1

    @property
    def suspect(self) -> bool:
        """Whether rounding could explain the local error only if all roundings of its sums conspired."""
        return self.budget_probable > 1


@dataclass(frozen=True)
class Decision:
    """Does it matter: the arg-max of an outputs' row that is nearest to turning, against the error that could turn it.

    `margin` is the gap there between the largest output and the one that comes closest to overtaking it, `error` how
    much the run closed that gap (negative: widened), `flipped` how many rows exact arithmetic decides otherwise.
    """

    rows: int
    margin: float
    error: float
    flipped: int


@dataclass(frozen=True)
class Explanation:
    """The error of one target of a recorded run, taken apart.

    `total` is the norm of the target's error (signed for a loss); `remainder` what the contributions leave of it;
    `completeness` the largest relative |F(d) - actual|, zero for a faithful trace; `points` the quadrature points
    used; `carrier_error` a bound, to first order, of the float64 arithmetic's own error in the total (NaN where the
    network is too large to have been certified): an explanation of an error that is not far larger says little.
    `details` are for the page: ranges of arrays, attributes, scripts.
    """

    target: str
    total: float
    remainder: float
    magnitude: float
    completeness: float
    points: int
    nodes: tuple[NodeReport, ...]
    framework: str
    execution: str
    unchanged: bool | None
    carrier_error: float = float("nan")
    decision: Decision | None = None
    compilation: float | None = None
    missing: tuple[str, ...] = field(default=())
    details: Details | None = field(default=None, repr=False)

    @property
    def accused(self) -> tuple[NodeReport, ...]:
        """Operations beyond their rounding budget, worst contribution first."""
        return tuple(sorted((n for n in self.nodes if n.accused), key=lambda n: -abs(n.contribution)))

    def blame(self, count: int = 5) -> tuple[NodeReport, ...]:
        """The operations to blame: beyond their budget, then suspect, then the others, each by size of contribution.

        What is no rounding comes first even where a later normalization hides it from this target.
        """
        guilty = [n for n in self.nodes if n.accused or n.suspect or n.contribution]
        return tuple(sorted(guilty, key=lambda n: (not n.accused, not n.suspect, -abs(n.contribution)))[:count])

    @property
    def certified(self) -> bool:
        """Whether the explanation's own arithmetic errs by less than a hundredth of what it explains."""
        return self.carrier_error <= 0.01 * abs(self.total)

    def grouped(self, key: str | Callable[[NodeReport], Any]) -> dict[Any, float]:
        """Contributions summed by a field of the nodes ("scope", "op", "phase", "time_step"), largest first."""
        of = key if callable(key) else lambda node: getattr(node, key)
        sums: dict[Any, float] = {}
        for node in self.nodes:
            sums[of(node)] = sums.get(of(node), 0.0) + node.contribution
        return dict(sorted(sums.items(), key=lambda item: -abs(item[1])))

    @property
    def flips(self) -> dict[str, int]:
        """Decisions that exact arithmetic takes otherwise, by operation, most first."""
        sums: dict[str, int] = {}
        for node in self.nodes:
            if node.flips:
                sums[node.op] = sums.get(node.op, 0) + node.flips
        return dict(sorted(sums.items(), key=lambda item: -item[1]))

    def sentence(self) -> str:
        """One sentence: how large the error is, and who made most of it."""
        relative = abs(self.total) / self.magnitude if self.magnitude else 0.0
        head = f"{self.target}: error {self.total:.3g} ({relative:.2g} of its magnitude)"
        unknown = sum(n.self_referenced for n in self.nodes)
        if unknown:
            head += f", {unknown} of {len(self.nodes)} operations self-referenced"
        top = self.blame(1)
        if not top or not (self.total or top[0].accused):
            return f"{head}; every operation is exact on this path."
        node = top[0]
        place = f"{node.op} in {node.scope}" if node.scope else node.op
        share = f"{node.contribution / self.total:.0%} of the error" if self.total else "none of the error"
        if node.accused:
            others = f", and {len(self.accused) - 1} more" if len(self.accused) > 1 else ""
            return f"{head}; {place} is beyond its rounding budget ({node.budget_used:.3g}x) and makes {share}{others}."
        if node.suspect:
            return f"{head}; {place} errs more than rounding is likely to ({node.budget_probable:.3g}x), {share}."
        return f"{head}; the largest part, {share}, is made by {place}: rounding, {node.budget_used:.1%} of its budget."

    def to_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON."""
        data = asdict(replace(self, details=None))
        del data["details"]
        data["nodes"] = [asdict(n) | {"accused": n.accused, "suspect": n.suspect} for n in self.nodes]
        data["sentence"], data["flips"], data["certified"] = self.sentence(), self.flips, self.certified
        return data

    def to_json(self, path: str | Path | None = None) -> str:
        """Strict JSON (non-finite numbers as strings), written to `path` if given."""
        return strict_json(self.to_dict(), path)

    def to_frame(self) -> Any:
        """A pandas DataFrame with one row for each node."""
        import pandas as pd  # noqa: PLC0415 - an optional extra

        return pd.DataFrame([asdict(n) | {"accused": n.accused, "suspect": n.suspect} for n in self.nodes])

    def to_html(self, path: str | Path) -> Path:
        """One self-contained page, opened offline."""
        from oracle.reports.explanation import explanation_page  # noqa: PLC0415 - reports are an extra

        details = strict(asdict(self.details)) if self.details else None
        return write(path, explanation_page(strict(self.to_dict()), details))

    def _repr_html_(self) -> str:
        from oracle.reports.explanation import explanation_fragment  # noqa: PLC0415

        return explanation_fragment(strict(self.to_dict()))

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        return "\n".join([self.sentence(), *_table(self), *_remarks(self)])


def _table(found: Explanation) -> list[str]:
    rows = [f"{'contribution':>13} {'share':>6} {'budget':>8}  operation"]
    for n in found.blame():
        share = f"{n.contribution / found.total:.0%}" if found.total else "-"
        place = "  ".join(part for part in (n.op, n.scope, n.phase, n.source) if part)
        rows.append(f"{n.contribution:>13.3g} {share:>6} {n.budget_used:>8.2g}  {place}")
    return rows


def _remarks(found: Explanation) -> list[str]:
    """What else a reader must know: decisions, where the error was made, and how far the explanation itself holds."""
    lines = []
    phases = {k: v for k, v in found.grouped("phase").items() if v}
    if len(phases) > 1 and found.total:
        lines.append("made in: " + ", ".join(f"{phase} {part / found.total:.0%}" for phase, part in phases.items()))
    if found.flips:
        counts = ", ".join(f"{op} {count}" for op, count in list(found.flips.items())[:5])
        lines.append(f"decided otherwise than in exact arithmetic: {counts}")
    if found.decision is not None:
        d = found.decision
        turned = f"{d.flipped} of {d.rows} rows turned" if d.flipped else f"none of {d.rows} rows turned"
        lines.append(
            f"arg-max of the outputs: {turned}; the nearest has a margin of {d.margin:.3g}, closed by {d.error:.3g}"
        )
    if found.compilation is not None:
        lines.append(f"compilation: the compiled form differs from the recorded eager one by {found.compilation:.3g}")
    if found.missing:
        lines.append(
            f"self-referenced (no lowering; what they inherit counts as theirs): {', '.join(found.missing[:5])}"
        )
    if found.total and not found.certified and not math.isnan(found.carrier_error):
        lines.append("the error is too small for float64 to explain it: the parts are of the size of their own errors")
    own = "an unknown amount" if math.isnan(found.carrier_error) else f"less than {found.carrier_error:.2g}"
    lines.append(f"left unexplained {found.remainder:.2g}; the explanation's own arithmetic errs by {own}")
    return lines
