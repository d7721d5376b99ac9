"""Markdown tables and number formats for the pages."""

import math
from collections.abc import Iterable, Mapping
from typing import Any


def digits(value: float, count: int = 3) -> str:
    """`value` in `count` significant digits; a dash for what is no number."""
    return f"{value + 0.0:.{count}g}" if math.isfinite(value) else "–"


def percent(value: float) -> str:
    """`value` as a percentage."""
    if not math.isfinite(value):
        return "–"
    if value == 0:
        return "0 %"
    return f"{100 * value:.0f} %" if abs(value) >= 0.1 else f"{100 * value:.2g} %"


def markdown(head: Iterable[str], rows: Iterable[Iterable[Any]], texts: int = 1) -> str:
    """A Markdown table; the columns after the first `texts` are numbers, aligned to the right."""
    names = list(head)
    rule = ["---"] * texts + ["---:"] * (len(names) - texts)
    return "\n".join(f"| {' | '.join(str(c) for c in row)} |" for row in [names, rule, *rows])


def study_table(study: Any) -> str:
    """For each framework, format and target: the error, and what the contributions explain of it."""
    head = ("framework, format", "target", "error", "of its magnitude", "contributions / error − 1", "largest part",
            "its share", "beyond budget", "decisions turned", "jumps")  # fmt: skip
    rows = []
    for framework in study.recorders:
        for dtype in ("float32", "bfloat16"):
            for target in study.targets:
                rows.append((f"{framework}, {dtype}", target, *_measured(study.run(framework, dtype, target))))
    return markdown(head, rows, 2)


def _measured(found: Any) -> tuple[str, ...]:
    relative = abs(found.total) / found.magnitude if found.magnitude else 0.0
    if not found.total:
        return ("0", "0", "–", "–", "–", str(len(found.accused)), str(sum(n.flips for n in found.nodes)), "–")
    (top,) = found.blame(1)
    place = f"`{short(top.op)}`" + (f" in {top.scope}" if top.scope else "") + f", {top.phase}"
    return (
        digits(found.total),
        digits(relative, 2),
        digits(-found.remainder / found.total, 2),
        place,
        percent(top.contribution / found.total),
        str(len(found.accused)),
        str(sum(n.flips for n in found.nodes)),
        percent(sum(n.jump for n in found.nodes) / found.total),
    )


def top_table(found: Any, count: int = 5) -> str:
    """The operations with the largest contributions."""
    rows = [
        (f"`{short(n.op)}`", f"{n.scope or 'the model'}, {n.phase}", digits(n.local_error), digits(n.inherited_error),
         digits(n.contribution), percent(n.contribution / found.total), percent(n.budget_used))
        for n in found.blame(count)
    ]  # fmt: skip
    return markdown(("operation", "where", "made", "inherited", "contribution", "share", "budget used"), rows, 2)


def grouped_table(found: Any, key: Any, name: str, count: int = 12) -> str:
    """Contributions summed by a field of the nodes, the largest first."""
    sums = list(found.grouped(key).items())[:count]
    head = (name, "contribution", "share of the error")
    return markdown(head, [(_label(k), digits(v), percent(v / found.total)) for k, v in sums if v])


def steps_table(found: Any, row: Any) -> str:
    """Shares of the error: a row for each value of `row(node)`, a column for each time step."""
    steps = sorted({n.time_step for n in found.nodes if n.time_step is not None})
    sums: dict[str, dict[int | None, float]] = {}
    for node in found.nodes:
        line = sums.setdefault(row(node), {})
        line[node.time_step] = line.get(node.time_step, 0.0) + node.contribution / found.total
    lines = {name: line for name, line in sums.items() if any(line.values())}
    rows = [
        (name, percent(sum(line.values())), *(percent(line[t]) if line.get(t) else "" for t in [*steps, None]))
        for name, line in sorted(lines.items(), key=lambda item: -abs(sum(item[1].values())))
    ]
    return markdown(("", "all", *(f"t={t}" for t in steps), "outside"), rows)


def causes_table(comparison: Any) -> str:
    """The causes of a comparison, each with its proof and its fix."""
    rows = [(f"`{c.code}`", c.detail, percent(c.share), digits(c.residual, 2)) for c in comparison.causes]
    return markdown(("cause", "what it is", "explains", "residual"), rows, 2)


def short(op: str) -> str:
    """An operation without its overload."""
    return op.removesuffix(".default")


def _label(key: Any) -> str:
    return "the model" if key in ("", None) else str(key)


def rows_table(rows: Iterable[Mapping[str, Any]], texts: int = 1) -> str:
    """A table of plain rows: the keys of the first are the head; floats in three digits."""
    listed = list(rows)
    cells = [[digits(v) if isinstance(v, float) else v for v in row.values()] for row in listed]
    return markdown(listed[0], cells, texts)


FILTERS = {
    "digits": digits,
    "percent": percent,
    "grouped": grouped_table,
    "steps": steps_table,
    "causes": causes_table,
    "table": rows_table,
    "top": top_table,
}
