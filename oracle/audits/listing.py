"""`oracle ops`: the catalogue, one line each, or everything about one operation. Imports no JAX."""

from collections.abc import Iterable, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from oracle.audits.plan import chosen_operations
from oracle.reference.operation import Arg, Operation


def listing(names: Sequence[str]) -> RenderableType:
    """The operations called `names` (or of the families called so): one in detail, several as a table."""
    found = chosen_operations(names)
    return _detail(found[0]) if len(found) == 1 else _table(found)


def _table(found: Iterable[Operation]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("operation", "family", "formula"):
        table.add_column(heading, overflow="fold")
    for op in found:
        table.add_row(op.name, op.family, Text(op.formula))
    return table


def _detail(op: Operation) -> RenderableType:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("configuration", "shapes", "attributes"):
        table.add_column(heading, overflow="fold")
    for config in op.configs:
        shapes = ", ".join(f"{name}{list(shape)}" for name, shape in config.shapes.items())
        attrs = ", ".join(f"{name}={value!r}" for name, value in config.attrs.items())
        table.add_row(config.name, Text(shapes), Text(attrs))
    signature = f"{op.name}({', '.join(_argument(arg) for arg in op.args)}) -> {', '.join(op.outputs)}"
    gradient = ", ".join(op.args[i].name for i in op.differentiable_args) or "none"
    lines = [signature, f"  formula   {op.formula}", f"  family    {op.family}", f"  source    {op.source}",
             f"  gradient  {gradient}", ""]  # fmt: skip
    return Group(*map(Text, lines), table)


def _argument(arg: Arg) -> str:
    low, high = arg.domain
    domain = "" if (low, high) == (float("-inf"), float("inf")) else f" in [{low:g}, {high:g}]"
    return f"{arg.name}{'' if arg.kind == 'real' else ': ' + arg.kind}{domain}"
