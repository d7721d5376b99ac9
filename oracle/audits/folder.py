"""The run folder: the journal, `results.json`, and the reports rendered from it."""

import contextlib
import errno
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from oracle.audits.journal import Journal
from oracle.audits.manifest import comparable_hash, differences
from oracle.errors import OracleError
from oracle.types import RunResults

RESULTS = "results.json"
JOURNAL = "journal.sqlite"


def run_folder(path: Path) -> Path:
    """The folder `path`, made if absent. `OracleError` if it cannot be made or written."""
    with explained(path):
        path.mkdir(parents=True, exist_ok=True)
        probe = path / f".writable-{os.getpid()}"
        probe.touch()
        probe.unlink()
    return path


def write_results(folder: Path, results: RunResults) -> Path:
    """`results.json`, strict JSON, replaced as a whole: a reader never sees half of it."""
    target, draft = folder / RESULTS, folder / f"{RESULTS}.part"
    text = json.dumps(results.to_json(), allow_nan=False, ensure_ascii=False)
    with explained(target):
        try:
            draft.write_text(text, "utf-8")
            draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)
    return target


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn the operating system's refusals at `path` into one line that says what to do."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        remedy = "free some space and run the same command again" if full else "choose another --out"
        raise OracleError(f"cannot write {path} ({error.strerror or error}): {remedy}") from error


def default_folder(facts: Mapping[str, Any]) -> Path:
    """`runs/<profile>-<hash>`: the same question on the same machine and versions resumes, any other starts afresh."""
    return Path("runs") / f"{facts['profile']}-{comparable_hash(facts)}"


def resume(journal: Journal, facts: Mapping[str, Any]) -> None:
    """Take up the run in `journal`, or begin one. `OracleError` if its answers were made under other conditions."""
    before = journal.fact("manifest")
    changed = differences(before, facts) if before else []
    if changed:
        others = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        raise OracleError(
            f"{journal.path.parent} holds answers that cannot be mixed with new ones ({changed[0]}{others}): "
            "choose another --out"
        )
    journal.store_fact("manifest", facts)
