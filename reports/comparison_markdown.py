"""A comparison as Markdown: what goes into an issue or a pull request, each cause with its fix and its script."""

from collections.abc import Iterator, Mapping
from typing import Any

from oracle.reports.explanation import number, shown
from oracle.reports.markdown import escape

_TARGETS = 12


def comparison_markdown(data: Mapping[str, Any]) -> str:
    """Markdown from `Comparison.to_dict()` (non-finite numbers as strings)."""
    parts = [f"**{escape(data['name_a'])}** against **{escape(data['name_b'])}**: {escape(data['verdict'])}", ""]
    parts += _block(data["headline"])
    for cause in data["causes"]:
        parts += ["", *_cause(cause)]
    if data["accused"]:
        parts += ["", "Beyond the rounding budget:", ""]
    for o in data["accused"]:
        place = " ".join(t for t in (o["op"], "of", o["side"], o["scope"], o["source"]) if t)
        parts.append(f"- `{o['code']}` {escape(place)}: {shown(o['budget_used'])} times its budget")
    parts += ["", *_targets(data["targets"])]
    if data["notes"]:
        parts += ["", *(f"- {escape(note)}" for note in data["notes"])]
    return "\n".join(parts).rstrip() + "\n"


def _cause(cause: Mapping[str, Any]) -> Iterator[str]:
    share = "" if cause["share"] == "nan" else f", {100 * number(cause['share']):.1f} %"
    of = f" of {cause['target']}" if share and cause["target"] else ""
    yield f"### `{cause['code']}`{share}{of}"
    yield ""
    yield f"{escape(cause['detail'])} (difference {shown(cause['before'])}, with the fix {shown(cause['residual'])})"
    if cause["fix"]:
        yield ""
        yield from _block(cause["fix"])
    if cause["reproduction"]:
        yield ""
        yield "<details><summary>Minimal reproduction</summary>"
        yield ""
        yield from _block(cause["reproduction"], "python")
        yield ""
        yield "</details>"


def _block(text: str, language: str = "") -> Iterator[str]:
    """A code block whose fence is longer than any in the text."""
    fence = "```"
    while fence in text:
        fence += "`"
    yield f"{fence}{language}"
    yield text.rstrip("\n")
    yield fence


def _targets(targets: list[Mapping[str, Any]]) -> Iterator[str]:
    """The largest differences, one line each."""
    yield "| target | \\|a − b\\| | semantics | rounding(a) | rounding(b) | same meaning |"
    yield "| --- | ---: | ---: | ---: | ---: | --- |"
    ranked = sorted(targets, key=lambda t: -number(t["difference"]["norm"]))
    for t in ranked[:_TARGETS]:
        norms = " | ".join(shown(t[part]["norm"]) for part in ("difference", "semantics", "rounding_a", "rounding_b"))
        yield f"| {t['kind']}: {escape(t['name_a'])} | {norms} | {'yes' if t['same'] else 'no'} |"
    if ranked[_TARGETS:]:
        yield f"| and {len(ranked) - _TARGETS} more | | | | | |"
