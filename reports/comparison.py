"""The page of a comparison: the identity as stacked bars, the two networks side by side, a card for each cause."""

from collections.abc import Mapping
from typing import Any

from oracle.reports.explanation import number, shown
from oracle.reports.page import render_page

_BARS = 30
_LABEL = 28


def comparison_page(data: Mapping[str, Any]) -> str:
    """One self-contained page from `Comparison.to_dict()` (non-finite numbers as strings)."""
    return render_page(
        "comparison",
        {"charts": {"identity": _identity(data["targets"]), "drift": _drift(data["drift"])}},
        f"{data['name_a']} against {data['name_b']}",
        c={**data, "nodes_a": _marked(data["nodes_a"]), "nodes_b": _marked(data["nodes_b"])},
        bars=min(_BARS, len(data["targets"])),
        shown=shown,
        number=number,
        left=_left,
        percent=_percent,
    )


def _identity(targets: list[Mapping[str, Any]]) -> dict[str, Any]:
    """The three parts of the largest differences, by target."""
    ranked = sorted(targets, key=lambda t: -number(t["difference"]["norm"]))[:_BARS]
    parts = ("semantics", "rounding_a", "rounding_b")
    return {
        "labels": [_short(f"{t['kind']}: {t['name_a']}") for t in ranked],
        "names": [f"{t['kind']}: {t['name_a']}" for t in ranked],
        "parts": {part: [_drawn(t[part]["norm"]) for t in ranked] for part in parts},
    }


def _drawn(value: float | str) -> float | None:
    """A number that a chart can show; None for the others."""
    x = number(value)
    return x if abs(x) < float("inf") else None


def _short(name: str) -> str:
    """A name that leaves room for its bar: its ends tell most."""
    return name if len(name) <= _LABEL else f"{name[: _LABEL // 2]}…{name[-_LABEL // 2 :]}"


def _drift(steps: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One line for each part of the drift of loss and weights."""
    lines = []
    for kind in ("loss", "parameters"):
        rows = [s for s in steps if s["kind"] == kind]
        for part in ("difference", "semantics", "rounding_a", "rounding_b") if rows else ():
            lines.append(
                {"kind": kind, "part": part, "x": [r["step"] + 1 for r in rows], "y": [_drawn(r[part]) for r in rows]}
            )
    return lines


def _marked(nodes: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The nodes, `later` saying that an earlier one already parted."""
    parted, marked = False, []
    for node in nodes:
        marked.append({**node, "later": parted})
        parted = parted or node["state"] == "first"
    return marked


def _left(cause: Mapping[str, Any]) -> str:
    """Width, in percent, of what remained after the edit, against what there was before it."""
    before, after = number(cause["before"]), number(cause["residual"])
    if not before or not abs(after) < float("inf"):
        return "0" if not before else "100"
    return f"{min(100 * after / before, 100):.2f}"


def _percent(share: float | str) -> str:
    return "an unknown part" if share == "nan" else f"{100 * number(share):.1f} %"
