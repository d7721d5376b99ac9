"""What `compare` returns: the identity `a - b = semantics + rounding(a) - rounding(b)`, the verdict, the causes."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from oracle.comparisons.comparison_text import text
from oracle.writing import strict, strict_json, write


class Meaning(StrEnum):
    """The verdict of a comparison; never a bool."""

    SAME = "SAME MEANING"
    SAME_BEYOND_BUDGET = "SAME MEANING, BUT AN OPERATION IS BEYOND ITS BUDGET"
    DIFFERENT = "DIFFERENT MEANING"


@dataclass(frozen=True)
class Part:
    """One term of the identity for one target: Euclidean norm, worst element and where it is."""

    norm: float
    worst: float
    index: tuple[int, ...]


@dataclass(frozen=True)
class Target:
    """A quantity of both models: an output, the loss, a gradient, an updated weight, a running statistic.

    `difference` is a - b in A's layout, the sum of the three parts: `semantics` (exact A minus exact B), `rounding_a`
    and `rounding_b` (recorded minus exact). `noise` bounds what of the semantics is the arithmetic of the comparison
    itself and the rounding of constants to the format; at most that much is no difference of meaning.
    """

    kind: str
    name_a: str
    name_b: str
    magnitude: float
    difference: Part
    semantics: Part
    rounding_a: Part
    rounding_b: Part
    noise: float

    @property
    def same(self) -> bool:
        """Whether both sides mean the same here."""
        return self.semantics.norm <= self.noise


@dataclass(frozen=True)
class Cause:
    """A named and proved cause.

    `share` is its part of the semantic difference of the `target` ("outputs", "loss", "gradients", "parameters",
    "buffers") at which it was found: of g_(k-1) - g_k, which the edit of the k-th cause takes away, the part along the
    whole g_0, <g_(k-1) - g_k, g_0> / |g_0|^2. The shares at a target sum to one where nothing remains; a cause that
    hides part of another's effect has a negative one. `before` and `residual` are the norms |g_(k-1)| and |g_k|.
    `fix_a` or `fix_b` is what either side writes to mean what the other means; `fix` is both. `reproduction` is a
    script that shows the two numbers.
    """

    code: str
    node_a: str
    node_b: str
    share: float
    residual: float
    before: float
    fix_a: str
    fix_b: str
    detail: str
    reproduction: str = ""
    target: str = ""

    @property
    def fix(self) -> str:
        """The fix on either side, one line each."""
        return "\n".join(f"{side}: {text}" for side, text in (("A", self.fix_a), ("B", self.fix_b)) if text)


@dataclass(frozen=True)
class DriftStep:
    """How far one kind of target ("loss", "parameters", ...) had drifted apart after one step: norms of the parts."""

    step: int
    kind: str
    difference: float
    semantics: float
    rounding_a: float
    rounding_b: float


@dataclass(frozen=True)
class DriftPart:
    """What one operation, in one step, made of the rounding in a side's last weights: signed, and as a share of it."""

    side: str
    step: int
    phase: str
    op: str
    scope: str
    contribution: float
    share: float


@dataclass(frozen=True)
class Accused:
    """An operation whose error is more than rounding can explain; `code` says what the error looks like."""

    side: str
    op: str
    scope: str
    source: str
    budget_used: float
    code: str = "kernel-inaccuracy"


@dataclass(frozen=True)
class Line:
    """A node as the page lists it: "matched", "unmatched", or "first" where the meaning parts."""

    op: str
    scope: str
    source: str
    state: str


@dataclass(frozen=True)
class Comparison:
    """Two recorded runs compared: is the difference rounding, and whose, or a difference of meaning, and where."""

    name_a: str
    name_b: str
    verdict: Meaning
    targets: tuple[Target, ...]
    causes: tuple[Cause, ...]
    accused: tuple[Accused, ...]
    unmatched: tuple[str, ...]
    aligned: tuple[int, int]
    nodes_a: tuple[Line, ...] = ()
    nodes_b: tuple[Line, ...] = ()
    notes: tuple[str, ...] = ()
    drift: tuple[DriftStep, ...] = ()
    drift_by_operation: tuple[DriftPart, ...] = ()

    @property
    def semantics(self) -> Mapping[str, float]:
        """Norm of exact A minus exact B, by target."""
        return {t.name_a: t.semantics.norm for t in self.targets}

    @property
    def rounding_a(self) -> Mapping[str, float]:
        """Norm of A's rounding error, by target."""
        return {t.name_a: t.rounding_a.norm for t in self.targets}

    @property
    def rounding_b(self) -> Mapping[str, float]:
        """Norm of B's rounding error, by target."""
        return {t.name_a: t.rounding_b.norm for t in self.targets}

    @property
    def codes(self) -> tuple[str, ...]:
        """The machine-readable codes of the findings, each once; "rounding-only" where there is none."""
        found = [c.code for c in self.causes] + [o.code for o in self.accused]
        return tuple(dict.fromkeys(found)) or ("rounding-only",)

    @property
    def exit_code(self) -> int:
        """0 for the same meaning within budget, 1 for a finding."""
        return 0 if self.verdict is Meaning.SAME else 1

    def headline(self) -> str:
        """The identity in numbers, for the first target that differs in meaning, or the first of all."""
        if not self.targets:
            return "nothing to compare: no output of A has a counterpart in B"
        t = next((t for t in self.targets if not t.same), self.targets[0])
        return (
            f"{t.name_a}: |a - b| = {t.difference.norm:.3g} = semantics {t.semantics.norm:.3g}"
            f" + rounding(a) {t.rounding_a.norm:.3g} - rounding(b) {t.rounding_b.norm:.3g}"
            f" (worst element {t.difference.worst:.3g} at {list(t.difference.index)})"
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON; `reports/comparison.schema.json` is its schema."""
        data = {"schema_version": 1, **asdict(self)}
        data["headline"] = self.headline()
        data["exit_code"] = self.exit_code
        data["codes"] = list(self.codes)
        for target, plain in zip(self.targets, data["targets"], strict=True):
            plain["same"] = target.same
        for cause, plain in zip(self.causes, data["causes"], strict=True):
            plain["fix"] = cause.fix
        return data

    def to_json(self, path: str | Path | None = None) -> str:
        """Strict JSON (non-finite numbers as strings), written to `path` if given."""
        return strict_json(self.to_dict(), path)

    def to_markdown(self, path: str | Path | None = None) -> str:
        """Markdown for an issue or a pull request, written to `path` if given."""
        from oracle.reports.comparison_markdown import comparison_markdown  # noqa: PLC0415 - reports are an extra

        content = comparison_markdown(strict(self.to_dict()))
        if path is not None:
            write(path, content)
        return content

    def to_html(self, path: str | Path) -> Path:
        """One self-contained page, opened offline."""
        from oracle.reports.comparison import comparison_page  # noqa: PLC0415 - reports are an extra

        return write(path, comparison_page(strict(self.to_dict())))

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        return text(self)
