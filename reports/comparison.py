"""The page of a comparison: the identity as stacked bars, the two networks side by side, a card for each cause."""

from collections.abc import Mapping
from typing import Any

from oracle.reports.explanation import number, shown
from oracle.reports.page import render_page

_BARS = 30


def comparison_page(data: Mapping[str, Any]) -> str:
    """One self-contained page from `Comparison.to_dict()` (non-finite numbers as strings)."""
    return render_page(
        "comparison",
        {"charts": {"identity": _identity(data["targets"])}},
        f"{data['name_a']} against {data['name_b']}",
        c=data,
        shown=shown,
        proof=_proof,
    )


def _identity(targets: list[Mapping[str, Any]]) -> dict[str, Any]:
    """The three parts of the largest differences, by target."""
    ranked = sorted(targets, key=lambda t: -number(t["difference"]["norm"]))[:_BARS]
    parts = ("semantics", "rounding_a", "rounding_b")
    return {
        "labels": [f"{t['kind']}: {t['name_a']}" for t in ranked],
        "parts": {part: [number(t[part]["norm"]) for t in ranked] for part in parts},
    }


def _proof(cause: Mapping[str, Any]) -> str:
    """Width, in percent, of what remained after the edit."""
    before, after = number(cause["before"]), number(cause["residual"])
    return f"{100 * after / before:.2f}" if before else "0"
