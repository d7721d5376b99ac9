"""How far a run has come: a bar on a terminal, now and then a plain line elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Advance = Callable[[int, str], None]
_PLAIN_SECONDS = 10.0


@contextmanager
def silent(total: int) -> Iterator[Advance]:
    """Shows nothing."""
    yield lambda count, what: None


@contextmanager
def progress(total: int) -> Iterator[Advance]:
    """A function to call with the number of answers just given and what they were about."""
    with _bar(total) if sys.stderr.isatty() else _lines(total) as advance:
        yield advance


@contextmanager
def _bar(total: int) -> Iterator[Advance]:
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn("{task.description:28.28}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
               TimeRemainingColumn())  # fmt: skip
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task("starting the frameworks", total=total)
        yield lambda count, what: bars.update(task, advance=count, description=what)


@contextmanager
def _lines(total: int) -> Iterator[Advance]:
    start = said = time.monotonic()
    answered = 0

    def advance(count: int, what: str) -> None:
        nonlocal answered, said
        answered += count
        now = time.monotonic()
        if now - said >= _PLAIN_SECONDS:
            said = now
            print(f"{answered} of {total} answers, {now - start:.0f} s: {what}", file=sys.stderr, flush=True)

    yield advance
