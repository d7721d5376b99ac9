"""Measured equivalents as a terminal table, Markdown and one self-contained page."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from oracle.reports.markdown import escape
from oracle.reports.page import render_page

_LEAD = (
    "Each pair ran on the same random inputs and weights, in float32 and in float64. Rounding falls by 2^29 between "
    "them, a difference of meaning stays; the residual is the largest difference over the largest element. "
    "Defaults are those of the installed versions."
)
_TITLE = "Equivalents that are, and equivalents that are not"

Item = Mapping[str, Any]


def number(value: float) -> str:
    """A residual in words: zero, a size, or that even the sizes of the results differ."""
    return "0" if value == 0 else "other shape" if value == float("inf") else f"{value:.1e}"


def residual(pair: Mapping[str, float]) -> str:
    """Both residuals."""
    return f"{number(pair['float32'])} / {number(pair['float64'])}"


def overview(items: Sequence[Item]) -> Table:
    """One line for each equivalence."""
    table = Table("Keras", "torch", "float32 / float64", "meaning", "defaults that differ", expand=False)
    for item in items:
        settings = ", ".join(_differing(item))
        style = "" if item["relation"].startswith("same") else "red"
        cells = (item["keras"], item["torch"], residual(item["of_torch"]), item["relation"], settings)
        table.add_row(*map(Text, cells), style=style)
    return table


def details(item: Item) -> RenderableType:
    """Everything about one equivalence."""
    head = Text.assemble((item["name"], "bold"), f"  {item['relation']}, residual {residual(item['of_torch'])}")
    lines: list[RenderableType] = [head, Text(f"  Keras  {item['keras']}"), Text(f"  torch  {item['torch']}")]
    if item["jax"]:
        lines.append(Text(f"  JAX    {item['jax']}   ({item['relation_jax']}, {residual(item['of_jax'])})"))
    if item["settings"]:
        table = Table("Keras", "default", "torch", "default", "note")
        for s in item["settings"]:
            cells = (s["keras"], s["keras_default"], s["torch"], s["torch_default"], s["note"])
            table.add_row(*map(Text, cells), style="bold yellow" if s["differs"] else "")
        lines.append(table)
    lines += [Text(f"  {src or '-'} -> {dst}: {how}") for src, dst, how in item["parameters"]]
    for trap in item["traps"]:
        lines.append(Text(f"  not the same: {trap['torch']}: {trap['why']} ({residual(trap['residual'])})", "red"))
    if item["note"]:
        lines.append(Text(f"  {item['note']}"))
    return Group(*lines, Text(""))


def _differing(item: Item) -> Iterator[str]:
    for s in item["settings"]:
        if s["differs"]:
            yield f"{s['keras']} {s['keras_default']} / {s['torch']} {s['torch_default']}"


def markdown(items: Sequence[Item], versions: Mapping[str, str]) -> str:
    """A table of all, then a section for each with its arguments, parameters and what is not the same."""
    named = ", ".join(f"{name} {version}" for name, version in versions.items())
    parts = [f"# {_TITLE}", "", escape(named), "", escape(_LEAD), "", *_summary(items)]
    for item in items:
        parts += ["", *_section(item)]
    return "\n".join(parts) + "\n"


def _summary(items: Sequence[Item]) -> Iterator[str]:
    yield "| Keras | torch | residual float32 / float64 | meaning | defaults that differ |"
    yield "| --- | --- | ---: | --- | --- |"
    for item in items:
        cells = (_code(item["keras"]), _code(item["torch"]), residual(item["of_torch"]), item["relation"])
        yield "| " + " | ".join((*cells, escape(", ".join(_differing(item))))) + " |"


def _section(item: Item) -> Iterator[str]:
    yield f"## {escape(item['name'])}"
    yield ""
    yield f"Keras {_code(item['keras'])}, torch {_code(item['torch'])}: **{item['relation']}**."
    if item["jax"]:
        yield f"JAX: {_code(item['jax'])}: {item['relation_jax']} ({residual(item['of_jax'])})."
    if item["settings"]:
        yield from ("", "| Keras | default | torch | default | |", "| --- | --- | --- | --- | --- |")
    for s in item["settings"]:
        strong = "**" if s["differs"] else ""
        cells = [_code(s[k]) if s[k] else "" for k in ("keras", "keras_default", "torch", "torch_default")]
        yield "| " + " | ".join([*(f"{strong}{c}{strong}" if c else "" for c in cells), escape(s["note"])]) + " |"
    if item["parameters"]:
        yield from ("", "| weights in Keras | in torch | how |", "| --- | --- | --- |")
    for src, dst, how in item["parameters"]:
        yield f"| {escape(src or '-')} | {_code(dst)} | {escape(how)} |"
    for trap in item["traps"]:
        beside = "" if trap["keras"] == item["keras"] else f" for {_code(trap['keras'])}"
        yield ""
        yield f"**Not the same:** {_code(trap['torch'])}{beside}: {escape(trap['why'])} ({residual(trap['residual'])})."
    if item["note"]:
        yield from ("", escape(item["note"]))


def _code(text: str) -> str:
    return f"`{text}`".replace("|", "\\|")


def page(items: Sequence[Item], versions: Mapping[str, str]) -> str:
    """One self-contained page."""
    return render_page(
        "equivalents", {}, _TITLE, charts=False, items=items, versions=versions, lead=_LEAD, residual=residual,
        differing=lambda item: ", ".join(_differing(item)),
    )  # fmt: skip


def as_json(items: Sequence[Item], versions: Mapping[str, str]) -> str:
    """Strict JSON; a residual between results of other shapes is the string "inf"."""

    def plain(x: Any) -> Any:
        if isinstance(x, dict):
            return {k: plain(v) for k, v in x.items()}
        if isinstance(x, list | tuple):
            return [plain(v) for v in x]
        return "inf" if x == float("inf") else x

    return json.dumps({"versions": dict(versions), "equivalents": plain(list(items))}, indent=1, allow_nan=False) + "\n"
