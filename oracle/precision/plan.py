"""What `plan_precision` returns: which operations a lower precision hurts, and what keeping them in float32 gains."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from oracle.writing import strict_json


@dataclass(frozen=True)
class Need:
    """One operation in the lower precision.

    `predicted` is the error of the target that its roundings are expected to make (root mean square; where it
    overflows, what that was seen to do), `measured` the error in a run in which it alone is in the lower precision (NaN
    where it was not run). `overflowed` counts finite results that the format cannot hold, `vanished` nonzero ones
    that became zero.
    """

    index: int
    op: str
    scope: str
    phase: str
    step: int
    source: str
    predicted: float
    measured: float
    overflowed: int
    vanished: int

    @property
    def layer(self) -> str:
        """What to keep in float32 to keep this operation in it: its layer, or the operation outside of any."""
        return layer_of(self.scope, self.op, self.index)


def layer_of(scope: str, op: str, index: int) -> str:
    """What a user keeps in float32: a layer, or an operation outside of any."""
    return scope or f"{op} #{index}"


@dataclass(frozen=True)
class Kept:
    """The error of the target with some layers in float32, predicted and in a run."""

    layers: tuple[str, ...]
    predicted: float
    measured: float


@dataclass(frozen=True)
class FormatPlan:
    """A model in one lower precision.

    `predicted` and `measured` are the error of the target with every operation in it (norms), `executed` that of the
    model really run in it by its framework (NaN where it was not: `note` says why). `needs` are the operations by
    predicted error; `curve` the errors with ever more layers kept in float32.
    """

    format: str
    target: str
    magnitude: float
    predicted: float
    measured: float
    executed: float
    note: str
    needs: tuple[Need, ...]
    curve: tuple[Kept, ...]

    def layers(self) -> dict[str, float]:
        """Predicted error by layer, in the order in which to keep them in float32."""
        sums: dict[str, float] = {}
        for need in self.needs:
            sums[need.layer] = math.hypot(sums.get(need.layer, 0.0), need.predicted)
        return dict(sorted(sums.items(), key=lambda item: -item[1]))

    @property
    def overflows(self) -> tuple[Need, ...]:
        """Operations whose finite results the format cannot hold."""
        return tuple(n for n in self.needs if n.overflowed)

    def keep(self, gain: float = 2.0) -> Kept | None:
        """The fewest layers of the curve that make the measured error `gain` times smaller; None where none do."""
        return next((k for k in self.curve if k.layers and k.measured * gain <= self.measured), None)

    def sentence(self) -> str:
        """One sentence: the error in this precision and what to keep out of it."""
        error = f"{self.target} in {self.format}: error {_number(self.measured)}{_relative(self)}"
        kept = self.keep()
        fatal = [n for n in self.overflows if n.predicted > self.magnitude or math.isinf(n.predicted)]
        if fatal:
            error += f"; {fatal[0].op} overflows in {fatal[0].layer}"
        if not self.needs or not self.measured:
            return f"{error}; nothing is lost."
        if kept is None:
            return f"{error}; no few layers dominate it."
        return f"{error}; keeping {', '.join(kept.layers)} in float32 makes it {_number(kept.measured)}."

    def __str__(self) -> str:
        executed = self.note if math.isnan(self.executed) else _number(self.executed)
        lines = [self.sentence(), f"  predicted {_number(self.predicted)}, really run: {executed}"]
        lines += [f"  {'predicted':>10} {'alone':>10}  operation"]
        for n in self.needs[:5]:
            lost = f"  overflows {n.overflowed}x" if n.overflowed else f"  {n.vanished} vanish" if n.vanished else ""
            lines.append(f"  {_number(n.predicted):>10} {_number(n.measured):>10}  {n.op}  {n.scope}  {n.phase}{lost}")
        lines += [f"  {'error':>10} {'predicted':>10}  kept in float32"]
        for k in self.curve:
            names = ", ".join(k.layers[:3]) + (f" and {len(k.layers) - 3} more" if len(k.layers) > 3 else "")
            lines.append(f"  {_number(k.measured):>10} {_number(k.predicted):>10}  {names or 'nothing'}")
        return "\n".join(lines)


@dataclass(frozen=True)
class PrecisionPlan(Mapping[str, FormatPlan]):
    """A `FormatPlan` for each lower precision, by its name."""

    plans: Mapping[str, FormatPlan]

    def __getitem__(self, format: str) -> FormatPlan:
        return self.plans[format]

    def __iter__(self) -> Iterator[str]:
        return iter(self.plans)

    def __len__(self) -> int:
        return len(self.plans)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, ready for JSON."""
        return {
            name: asdict(plan) | {"sentence": plan.sentence(), "layers": plan.layers()}
            for name, plan in self.plans.items()
        }

    def to_json(self, path: str | Path | None = None) -> str:
        """Strict JSON (non-finite numbers as strings), written to `path` if given."""
        return strict_json(self.to_dict(), path)

    def to_frame(self) -> Any:
        """A pandas DataFrame with one row for each format and operation."""
        import pandas as pd  # noqa: PLC0415 - an optional extra

        return pd.DataFrame([{"format": name, **asdict(n)} for name, plan in self.plans.items() for n in plan.needs])

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        return "\n\n".join(str(plan) for plan in self.plans.values())


def _number(value: float) -> str:
    return f"{value:.3g}" if math.isfinite(value) else "-" if math.isnan(value) else "infinite"


def _relative(plan: FormatPlan) -> str:
    known = plan.magnitude and math.isfinite(plan.measured)
    return f" ({plan.measured / plan.magnitude:.2g} of its magnitude)" if known else ""
