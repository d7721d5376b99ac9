"""The page of an explanation: who made how much of the error, as a waterfall, by layer, and node by node."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from markupsafe import Markup, escape

from oracle.reports.page import render_page
from oracle.reports.tree import layer_tree, number, relative

_BARS = 24
_LISTED = 400


def explanation_page(data: Mapping[str, Any], details: Mapping[str, Any] | None = None) -> str:
    """One self-contained page from `Explanation.to_dict()` (non-finite numbers as strings).

    `details` (`Explanation.details` as plain data) fill the page of each operation, `#node=17`.
    """
    nodes = data["nodes"]
    ranked = sorted(nodes, key=lambda n: -abs(number(n["contribution"])))
    charts = {
        "waterfall": _waterfall(nodes, data["total"], data["remainder"]),
        "op": _sums(nodes, "op"),
        "phase": _sums(nodes, "phase"),
        "time_step": _steps(nodes),
    }
    title = f"Who made the error of {data['target']}"
    return render_page(
        "explanation", {"charts": charts, "nodes": nodes, "details": details or {}}, title, e=data,
        root=layer_tree(nodes), ranked=ranked[:_LISTED], relative=relative, width=_width,
        decades=_decades, turned=_turned(nodes),
        left=max(len(ranked) - _LISTED, 0), referenced=sum(bool(n["self_referenced"]) for n in nodes), shown=shown,
        share=lambda value: _share(value, data["total"]),
    )  # fmt: skip


def explanation_fragment(data: Mapping[str, Any]) -> str:
    """The five largest contributions as a table, for a notebook cell."""
    ranked = sorted(data["nodes"], key=lambda n: -abs(number(n["contribution"])))[:5]
    cells = ("op", "scope", "phase", "contribution", "budget_used")
    head = Markup("").join(Markup("<th>{}</th>").format(c.replace("_", " ")) for c in cells)
    rows = Markup("").join(
        Markup("<tr>{}</tr>").format(Markup("").join(Markup("<td>{}</td>").format(shown(n[c])) for c in cells))
        for n in ranked
    )
    return str(Markup("<p>{}</p><table><tr>{}</tr>{}</table>").format(escape(data["sentence"]), head, rows))


def shown(value: Any) -> str:
    """A number in three significant digits; other values as they are, a dash for what was not measured."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "–" if value in ("nan", None) else str(value)
    return f"{value:.3g}"


def _width(part: Any, whole: float) -> float:
    """The length of a bar in percent."""
    return round(100 * abs(number(part)) / whole, 1) if whole else 0.0


def _decades(condition: Any) -> float:
    """The length of a bar in percent: a quarter for each tenfold."""
    return round(min(25 * math.log10(max(number(condition), 1.0)), 100.0), 1)


def _turned(nodes: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The operations whose decisions exact arithmetic takes otherwise, by what that did."""
    turned = [n for n in nodes if n["flips"]]
    return sorted(turned, key=lambda n: (-abs(number(n.get("jump"))), -n["flips"]))[:_LISTED]


def _share(value: Any, total: Any) -> str:
    return f"{number(value) / number(total):.1%}" if number(total) else "–"


def _waterfall(nodes: Iterable[Mapping[str, Any]], total: Any, remainder: Any) -> dict[str, Any]:
    """Layers in the order of execution: the largest by name, the rest together, then what the quadrature left."""
    sums: dict[str, float] = {}
    for node in nodes:
        place = f"{node['scope'] or 'model'} ({node['phase']})"
        sums[place] = sums.get(place, 0.0) + number(node["contribution"])
    kept = set(sorted(sums, key=lambda name: -abs(sums[name]))[:_BARS])
    shown_bars = [(name, value) for name, value in sums.items() if name in kept and value]
    rest = sum(value for name, value in sums.items() if name not in kept)
    bars = [*shown_bars, *([("all others", rest)] if rest else []), ("remainder", number(remainder))]
    return {"labels": [b[0] for b in bars], "values": [b[1] for b in bars], "total": number(total)}


def _sums(nodes: Iterable[Mapping[str, Any]], key: str) -> dict[str, Any]:
    sums: dict[str, float] = {}
    for node in nodes:
        sums[str(node[key])] = sums.get(str(node[key]), 0.0) + number(node["contribution"])
    ranked = sorted(((k, v) for k, v in sums.items() if v), key=lambda item: -abs(item[1]))[:_BARS]
    return {"labels": [name for name, _ in ranked], "values": [value for _, value in ranked]}


def _steps(nodes: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Contribution by time step and phase, where a recurrent layer has them."""
    lines: dict[str, dict[int, float]] = {}
    for node in nodes:
        if node["time_step"] is not None:
            line = lines.setdefault(node["phase"], {})
            line[node["time_step"]] = line.get(node["time_step"], 0.0) + number(node["contribution"])
    return {phase: {"x": sorted(line), "y": [line[t] for t in sorted(line)]} for phase, line in lines.items()}
