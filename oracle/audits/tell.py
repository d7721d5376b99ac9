"""A `TrueValue` in words: the proven digits, and for each format its rounding and what the frameworks returned."""

import io
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from oracle.audits.ask import InFormat, Said, TrueValue
from oracle.judgements.evidence import shortest
from oracle.judgements.verdict import Judgement
from oracle.reference.formats import Format, format_named

SHOWN = 12
STYLES = {"CORRECT": "green", "WITHIN_BUDGET": "cyan", "BEYOND_BUDGET": "bold red", "UNDECIDED": "yellow"}


def plain(found: TrueValue) -> str:
    """The text of `told`, without colours."""
    console = Console(file=io.StringIO(), width=120, color_system=None)
    console.print(told(found))
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines())  # type: ignore[attr-defined]


def told(found: TrueValue) -> RenderableType:
    """What a terminal shows."""
    blocks: list[RenderableType] = [Text(line) for line in _headlines(found)]
    blocks += [Text(f"in {name}: {note}") for name, f in found.formats.items() if (note := _not_exact(f))]
    tables = [_table(found, label) for label in found.digits if _has_rows(found, label)]
    return Group(*blocks, *([Text()] if tables else []), *tables)


def _has_rows(found: TrueValue, label: str) -> bool:
    return found.digits[label].ndim == 0 or any(f.said for f in found.formats.values())


def _headlines(found: TrueValue) -> Iterator[str]:
    values = [_brief(x) for x in found.arguments.values()] + [f"{name}={v!r}" for name, v in found.attrs.items()]
    call = f"{found.operation}({', '.join(values)})"
    for label, digits in found.digits.items():
        name = f"∂/∂{label} {call}" if found.grad else call if len(found.digits) == 1 else f"{call} {label}"
        if digits.ndim == 0:
            yield f"{name} = {digits.item()}"
            continue
        yield f"{name} ="
        for place in list(np.ndindex(digits.shape))[:SHOWN]:
            yield f"  [{', '.join(map(str, place))}] {digits[place]}"
        if digits.size > SHOWN:
            yield f"  and {digits.size - SHOWN} more"


def _brief(x: np.ndarray) -> str:
    text = np.array2string(x, separator=", ", threshold=SHOWN, floatmode="unique") if x.ndim else repr(x.item())
    return " ".join(text.split())


def _not_exact(f: InFormat) -> str:
    return "" if f.exact else "the arguments are held as " + ", ".join(_brief(x) for x in f.arguments.values())


def _table(found: TrueValue, label: str) -> Table:
    title = label if len(found.digits) > 1 else None
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), title=title, title_justify="left")
    for heading in ("format", "", "value", "bits", "error in ulp", ""):
        table.add_column(heading, justify="right" if heading == "error in ulp" else "left", no_wrap=bool(heading))
    for name, f in found.formats.items():
        for row in _rows(format_named(name), f, label):
            table.add_row(*row)
    return table


def _rows(fmt: Format, f: InFormat, label: str) -> Iterator[Sequence[str | Text]]:
    rounded = f.rounded[label]
    single = rounded.ndim == 0
    value = (_decimal(rounded, fmt), _bits(rounded, fmt)) if single else ("", "")
    yield (fmt.name, "correctly rounded" if single else "", *value, "", "")
    for names, said in _alike(f.said, label).items():
        yield ("", names, *_answer(said, label, fmt))


def _alike(said: Sequence[Said], label: str) -> Mapping[str, Said]:
    """The answers by the names of those who gave the same bits."""
    groups: dict[tuple, list[Said]] = {}
    for one in said:
        value = one.values.get(label)
        key = (one.failure,) if value is None else (value.dtype.name, value.tobytes())
        groups.setdefault(key, []).append(one)
    return {", ".join(map(_name, group)): group[0] for group in groups.values()}


def _name(said: Said) -> str:
    return said.framework if said.mode == "eager" else f"{said.framework} ({said.mode})"


def _answer(said: Said, label: str, fmt: Format) -> Sequence[str | Text]:
    found = said.judgements.get(label, said.failure)
    if not isinstance(found, Judgement):
        return ("", "", "", Text(found, style="dim"))
    single = said.values[label].size == 1
    verdict = Text(found.verdict + (f": {found.reason}" if found.reason and not single else ""), _style(found))
    if not found.worst:
        value = said.values[label].ravel()[0]
        return (_decimal(value, fmt), _bits(value, fmt), "", verdict)
    worst = found.worst[0]
    place = f"[{', '.join(map(str, worst['index']))}] " if worst["index"] else ""
    ulp = "" if worst["ulp"] is None else f"{worst['ulp']:+.3g}"
    return (place + worst["actual"]["decimal"], worst["actual"]["hex"], ulp, verdict)


def _style(found: Judgement) -> str:
    return STYLES.get(found.verdict, "")


def _decimal(value: np.ndarray, fmt: Format) -> str:
    return shortest(float(value), fmt)


def _bits(value: np.ndarray, fmt: Format) -> str:
    stored = fmt.round(np.asarray(value, np.float64))
    return f"{int(stored.view(f'u{fmt.dtype.itemsize}')):#0{fmt.bits // 4 + 2}x}"
