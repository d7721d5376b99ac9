"""The journal of a run: every answer, written as soon as it is judged, in one SQLite file.

An answer is the list of report rows of one case from one candidate (adapter, mode, device). A case's answers
are committed together: a killed run loses at most the cases in flight, a resumed one asks for none twice.
"""

import contextlib
import json
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from oracle.errors import OracleError

SCHEMA = 1
_TABLES = """
CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, rows TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
"""

Record = dict[str, Any]


class Journal:
    """The answers of one run folder. A context manager; one process at a time may hold it.

    Raises `OracleError` when the file is damaged, of another version, in use, or cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._explained():
            self._db = sqlite3.connect(path, isolation_level=None)
            self._open()

    def _open(self) -> None:
        # Exclusive locking keeps a second run out; it falls with the process, however that ends.
        self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version not in (0, SCHEMA):
            raise OracleError(f"{self.path} has version {version}, this oracle writes {SCHEMA}: choose another --out")
        (state,) = self._db.execute("PRAGMA quick_check(1)").fetchone()
        if state != "ok":
            raise sqlite3.DatabaseError(state)
        self._db.executescript(_TABLES)
        self._db.execute(f"PRAGMA user_version = {SCHEMA}")

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            raise OracleError(self._remedy(str(error))) from error
        except sqlite3.DatabaseError as error:
            raise OracleError(
                f"the journal {self.path} is damaged ({error}): move it away, or choose another --out"
            ) from error

    def _remedy(self, error: str) -> str:
        if "locked" in error:
            return f"another audit is writing to {self.path.parent}: wait for it, or choose another --out"
        if "full" in error:
            return (
                f"the disk is full at {self.path}: free some space and run the same command again; "
                "the results so far are kept"
            )
        return f"cannot write the journal {self.path} ({error}): choose another --out"

    def add(self, answers: Mapping[str, list[Record]]) -> None:
        """Store the rows of each key in one transaction: all of them or none."""
        lines = [(key, json.dumps(rows, allow_nan=False)) for key, rows in answers.items()]
        with self._explained(), self._transaction():
            self._db.executemany("INSERT OR REPLACE INTO answers VALUES (?, ?)", lines)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            # SQLite has already rolled back when the disk is full.
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    def keys(self) -> set[str]:
        """The answers that are there."""
        with self._explained():
            return {key for (key,) in self._db.execute("SELECT key FROM answers")}

    def answers(self) -> dict[str, list[Record]]:
        """The rows of every answer by its key, in the order of the keys."""
        with self._explained():
            found = self._db.execute("SELECT key, rows FROM answers ORDER BY key").fetchall()
        return {key: json.loads(rows) for key, rows in found}

    def fact(self, name: str) -> Any:
        """The fact stored under `name` (the manifest, for one), or None."""
        with self._explained():
            found = self._db.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return None if found is None else json.loads(found[0])

    def store_fact(self, name: str, value: Any) -> None:
        """Store `value` under `name`, replacing what was there."""
        with self._explained(), self._transaction():
            self._db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, json.dumps(value, allow_nan=False)))

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def __enter__(self) -> "Journal":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
