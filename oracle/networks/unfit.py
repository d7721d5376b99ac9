"""What becomes of a hypothesis that raises: an edit that does not fit is passed over, a mistake of ours is told.

A hypothesis is a guess about networks that nobody has seen. An operation that does not take the operands of an edit
(`Unfit`), or whose meaning has no rule in some arithmetic (`MissingRule`), refutes the guess. Whatever else is raised
is a programming mistake in the hypothesis: it costs the user that hypothesis and not the comparison, and the answer
says so.
"""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from oracle.reference.balls import MissingRule


class Unfit(ValueError):
    """An operation does not take these operands or literals."""


# What a hypothesis, or the edit that it proposes, raises where it does not fit the network.
UNFIT = (Unfit, MissingRule)

_OURS = str(Path(__file__).parent)
_told: ContextVar[list[str] | None] = ContextVar("told", default=None)


@contextmanager
def attempt(what: str) -> Iterator[None]:
    """The body of a `with` statement tries a hypothesis: it ends early where that does not fit, or is mistaken."""
    try:
        yield
    except UNFIT:
        pass
    except Exception as error:
        mistaken(what, error)


def mistaken(what: str, error: Exception) -> None:
    """Tell, once, that `what` failed by a mistake of the oracle."""
    frames = traceback.extract_tb(error.__traceback__)
    last = [f for f in frames if f.filename.startswith(_OURS)][-1]
    note = (
        f"{what} could not be tried by a mistake of the oracle ({type(error).__name__} in {last.name}, "
        f"{Path(last.filename).name}:{last.lineno}: {error}): please report it; a cause may be missing here"
    )
    notes = _told.get()
    if notes is not None and note not in notes:
        notes.append(note)


@contextmanager
def mistakes() -> Iterator[list[str]]:
    """The list in which mistakes are told while the body of the `with` statement runs."""
    notes: list[str] = []
    token = _told.set(notes)
    try:
        yield notes
    finally:
        _told.reset(token)
