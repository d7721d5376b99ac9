"""The journal keeps what it was given: through a kill, a full disk, a damaged file, a second process."""

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap

import pytest

from oracle.audits.journal import Journal
from oracle.errors import OracleError


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal.sqlite"


def test_keeps_answers_and_facts(path):
    with Journal(path) as journal:
        journal.add({"b": [{"n": 2}], "a": [{"n": 1}, {"n": 3}]})
        journal.store_fact("manifest", {"seed": 7})
    with Journal(path) as journal:
        assert journal.keys() == {"a", "b"}
        assert journal.answers() == {"a": [{"n": 1}, {"n": 3}], "b": [{"n": 2}]}
        assert journal.fact("manifest") == {"seed": 7}
        assert journal.fact("nothing") is None


def test_an_answer_given_again_replaces(path):
    with Journal(path) as journal:
        journal.add({"a": [{"n": 1}]})
        journal.add({"a": [{"n": 2}]})
        assert journal.answers() == {"a": [{"n": 2}]}


def test_refuses_what_is_not_json(path):
    with Journal(path) as journal:
        with pytest.raises(ValueError, match="not JSON compliant"):
            journal.add({"a": [{"n": float("nan")}]})
        assert journal.keys() == set()


def test_survives_kill(path):
    script = f"""
        import os, signal, sys
        from pathlib import Path
        from oracle.audits.journal import Journal
        journal = Journal(Path({str(path)!r}))
        journal.add({{"kept": [{{"n": 1}}]}})
        journal._db.execute("BEGIN IMMEDIATE")
        journal._db.execute("INSERT INTO answers VALUES ('half', '[]')")
        os.kill(os.getpid(), signal.SIGKILL)
    """
    killed = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=False)
    assert killed.returncode == -signal.SIGKILL
    with Journal(path) as journal:
        assert journal.keys() == {"kept"}


def test_a_damaged_file_is_named(path):
    path.write_bytes(b"not a database at all" * 400)
    with pytest.raises(OracleError, match=r"journal .* is damaged .*: move it away"):
        Journal(path)


def test_a_damaged_page_is_named(path):
    with Journal(path) as journal:
        journal.add({str(i): [{"text": "x" * 500}] for i in range(200)})
    content = bytearray(path.read_bytes())
    content[8192:12288] = os.urandom(4096)
    path.write_bytes(content)
    with pytest.raises(OracleError, match="is damaged"):
        Journal(path).answers()


def test_another_version_is_named(path):
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(OracleError, match="has version 99"):
        Journal(path)


def test_one_process_at_a_time(path):
    with Journal(path), pytest.raises(OracleError, match="another audit is writing"):
        Journal(path)


def test_an_unwritable_folder_is_named(tmp_path):
    with pytest.raises(OracleError, match=r"cannot write the journal .*choose another --out"):
        Journal(tmp_path / "absent" / "journal.sqlite")


def test_a_full_disk_is_named_and_keeps_what_is_there(path):
    with Journal(path) as journal:
        journal.add({"kept": [{"n": 1}]})
        (pages,) = journal._db.execute("PRAGMA page_count").fetchone()
        journal._db.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(OracleError, match=r"disk is full .* the results so far are kept"):
            journal.add({"lost": [{"text": "x" * 100_000}]})
        assert journal.keys() == {"kept"}
