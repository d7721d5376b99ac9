"""What a report shows of an array of errors: histogram, curve, worst elements, table of special values.

Everything returned is plain Python, finite, and ready for `results.json`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from oracle.judgements.findings import Findings
from oracle.judgements.metric import Errors
from oracle.reference.formats import Format
from oracle.reference.truth import Truth

WORST = 5
CURVE_POINTS = 400
SPECIAL_ROWS = 64
DIGITS = 20
_BINS = 48
_LARGEST = float(np.finfo(np.float64).max)


def finite(value: float) -> float:
    """`value` as a float, an infinity as the largest one: JSON has no infinities."""
    return float(np.clip(value, -_LARGEST, _LARGEST))


def histogram(errors: Errors, counted: np.ndarray) -> dict[str, list] | None:
    """Counts of the signed errors, flushing tolerated: equal bins up to 8 ulp, powers of two beyond."""
    if not counted.any():
        return None
    signed = 0.5 * errors.tolerant_low[counted] + 0.5 * errors.tolerant_high[counted]
    signed = np.clip(signed, -_LARGEST, _LARGEST)
    reach = max(0.5, float(np.abs(signed).max()))
    if reach <= 8:
        edges = np.linspace(-1, 1, _BINS + 1) * np.ceil(2 * reach) / 2
    else:
        positive = 2.0 ** np.arange(-1, min(np.frexp(reach)[1], 1023) + 1)
        edges = np.concatenate([-positive[::-1], positive])
    counts, _ = np.histogram(signed, edges)
    return {"edges": edges.tolist(), "counts": counts.tolist()}


def curve(
    magnitude: np.ndarray, counted: np.ndarray, inputs: Mapping[str, np.ndarray] | None
) -> dict[str, list] | None:
    """Largest error of each of at most 400 stretches of the ordered inputs, at the input where it occurs.

    None unless the operation is elementwise with one real operand (cotangents apart).
    """
    operands = [np.ravel(x) for name, x in (inputs or {}).items() if not name.startswith("cotangent")]
    if len(operands) != 1 or operands[0].dtype.kind != "f":
        return None
    (x,) = operands
    usable = np.flatnonzero(np.isfinite(x) & np.ravel(counted))
    order = usable[np.argsort(x[usable], kind="stable")]
    length = max(1, -(-order.size // CURVE_POINTS))
    stretches = np.pad(order, (0, -order.size % length), mode="edge" if order.size else "empty").reshape(-1, length)
    heights = np.ravel(magnitude)[stretches]
    peaks = np.take_along_axis(stretches, heights.argmax(axis=1, keepdims=True), axis=1)[:, 0]
    return {"x": _plotted(x[peaks]), "max_ulp": _plotted(np.ravel(magnitude)[peaks])}


def _plotted(values: np.ndarray) -> list[float]:
    """Seven digits, finite: what a plot can show."""
    return [float(f"{value:.7g}") for value in np.clip(values, -_LARGEST, _LARGEST).tolist()]


@dataclass(frozen=True)
class Evidence:
    """The elements worth showing. `inputs`: operands by name, of the answer's shape; may be empty."""

    errors: Errors
    truth: Truth
    fmt: Format
    found: Findings
    inputs: Mapping[str, np.ndarray]

    def worst(self) -> tuple[dict[str, Any], ...]:
        """The five worst elements, those beyond the budget first, and the worst flushed one.

        Classes come before numbers; numbers are ordered by their error in ulp, flushing tolerated.
        """
        errors, beyond = self.errors, np.ravel(self.found.beyond)
        tolerant = np.ravel(errors.magnitude(tolerant=True)[1])
        tolerant = np.where(np.isnan(tolerant), np.where(beyond, np.inf, -1.0), tolerant)
        judged = np.ravel(errors.decided) | beyond
        order = np.lexsort((-tolerant, ~beyond, ~judged))[:WORST]
        chosen = [int(i) for i in order if judged[i] and tolerant[i] >= 0]
        flushed = np.flatnonzero(errors.flushed)
        if flushed.size:
            strict = np.nan_to_num(np.ravel(errors.magnitude()[1])[flushed], nan=np.inf)
            chosen.append(int(flushed[np.argmax(strict)]))
        return tuple(self._element(i) for i in dict.fromkeys(chosen))

    def special(self) -> tuple[dict[str, Any], ...]:
        """The answers at zeros, infinities and NaN, disagreements first, each distinct case once."""
        remarkable = np.zeros(self.truth.size, bool)
        for x in self.inputs.values():
            if x.dtype.kind == "f":
                remarkable |= np.ravel((x == 0) | ~np.isfinite(x))
        agrees = ~np.ravel(self.found.beyond | self.found.unjudged)
        places = np.flatnonzero(remarkable)
        rows: dict[str, dict[str, Any]] = {}
        for i in places[np.argsort(agrees[places], kind="stable")]:
            row = {
                "inputs": self._inputs(i),
                "expected": self.truth.digits(i, DIGITS),
                "actual": _value(np.ravel(self.errors.actual)[i], self.fmt),
                "agrees": bool(agrees[i]),
            }
            rows.setdefault(repr(row), row)
            if len(rows) == SPECIAL_ROWS:
                break
        return tuple(rows.values())

    def _element(self, i: int) -> dict[str, Any]:
        signed = 0.5 * np.ravel(self.errors.low)[i] + 0.5 * np.ravel(self.errors.high)[i]
        used = np.ravel(self.found.fused)[i]
        return {
            "index": [int(k) for k in np.unravel_index(i, self.truth.shape)],
            "inputs": self._inputs(i),
            "actual": _value(np.ravel(self.errors.actual)[i], self.fmt),
            "truth": self.truth.digits(i, DIGITS),
            "ulp": None if np.isnan(signed) else finite(signed),
            "budget_used": None if np.isnan(used) else finite(used),
        }

    def _inputs(self, i: int) -> dict[str, dict[str, str]]:
        return {name: _value(np.ravel(x)[i], self.fmt) for name, x in self.inputs.items()}


def _value(number: Any, fmt: Format) -> dict[str, str]:
    """A number as its shortest decimal and its bits."""
    if np.asarray(number).dtype.kind in "iub":
        return {"decimal": str(number), "hex": hex(int(number))}
    stored = fmt.round(np.asarray(number, np.float64))
    bits = int(stored.view(f"u{fmt.dtype.itemsize}"))
    return {"decimal": shortest(float(number), fmt), "hex": f"{bits:#0{fmt.bits // 4 + 2}x}"}


def shortest(number: float, fmt: Format) -> str:
    """The shortest decimal that rounds to `number` in `fmt`."""
    if not np.isfinite(number):
        return str(number)
    for digits in range(1, 18):
        text = f"{number:.{digits}g}"
        if fmt.round(np.asarray(text, np.float64)).astype(np.float64) == number:
            return text
    return repr(number)
