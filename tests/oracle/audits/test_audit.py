"""The audit end to end with NumPy as the only framework, and with planted faults."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import Future
from contextlib import contextmanager

import numpy as np
import pytest

import oracle.audits.run
from oracle.adapters import adapter_named
from oracle.audits.bench import material
from oracle.audits.candidates import Candidate
from oracle.audits.journal import Journal
from oracle.audits.plan import Selection, key, plan
from oracle.audits.run import run
from oracle.errors import OracleBugError, OracleError
from oracle.reference.evaluate import TruthViolation
from oracle.reference.formats import format_named
from oracle.reports.schema import validate
from oracle.types import Case, Row, Verdict

SMALL = Selection(("exp", "log"), ("numpy",), ("float32",))


class Inline:
    """A judges' pool that judges in this process and counts."""

    judged: list = []  # noqa: RUF012 - shared on purpose: the runs of one test add up

    def __init__(self, *_):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def submit(self, task, case, *args):
        Inline.judged.append(case)
        future = Future()
        try:
            future.set_result(task(case, *args))
        except Exception as error:
            future.set_exception(error)
        return future


@pytest.fixture
def inline(monkeypatch):
    monkeypatch.setattr(oracle.audits.run, "JudgePool", Inline)
    monkeypatch.setattr(Inline, "judged", [])
    return Inline


def numpy_with(**rows):
    """The NumPy adapter with the rows of some operations replaced."""
    adapter = adapter_named("numpy")
    return dataclasses.replace(adapter, rows={**adapter.rows, **rows})


def audited(monkeypatch, tmp_path, adapter, *operations):
    monkeypatch.setattr("oracle.audits.candidates.adapters", lambda: {"numpy": adapter})
    results, _ = run(Selection(operations, ("numpy",), ("float32",)), tmp_path / "run")
    return results.rows


def test_end_to_end_in_processes(tmp_path):
    results, folder = run(SMALL, tmp_path / "run")
    told = json.loads((folder / "results.json").read_text("utf-8"))
    validate(told)
    forward = [row for row in results.rows if row.direction == "forward"]
    assert {row.op for row in forward} == {"exp", "log"}
    assert {row.verdict for row in forward} <= {Verdict.CORRECT, Verdict.WITHIN_BUDGET}
    assert all(row.max_ulp < 4 and row.undecided == 0 for row in forward if row.region == "wide")
    gradients = {row.verdict for row in results.rows if row.direction == "vjp"}
    assert gradients == {Verdict.UNSUPPORTED}
    assert told["manifest"]["adapters"]["numpy"]["version"] == np.__version__
    assert told["operations"]["exp"]["formula"]
    assert any("cases" in omission["what"] for omission in told["left_out"])


@pytest.mark.parametrize(
    "row",
    [
        "out = np.exp(x) * np.float32(1 + 2**-12)",
        "out = np.exp(-x)",
        "out = np.where(x > 80, np.float32(0), np.exp(x))",
    ],
)
def test_a_planted_fault_is_beyond_rounding_and_reproduced(monkeypatch, tmp_path, inline, row):
    rows = audited(monkeypatch, tmp_path, numpy_with(exp=row), "exp")
    guilty = [r for r in rows if r.verdict == Verdict.BEYOND_BUDGET]
    assert "wide" in {r.region for r in guilty}
    (reproduced,) = [r for r in guilty if r.reproduction]
    assert row in reproduced.reproduction


def test_an_answer_of_another_shape_is_beyond_rounding(monkeypatch, tmp_path, inline):
    rows = audited(monkeypatch, tmp_path, numpy_with(exp="out = np.exp(x)[:-1]"), "exp")
    assert {r.reason for r in rows if r.region == "wide" and r.direction == "forward"} == {
        "the answer has shape [4098], the truth [4099]"
    }


def test_a_dying_framework_is_a_row_and_the_run_goes_on(monkeypatch, tmp_path, inline):
    rows = audited(monkeypatch, tmp_path, numpy_with(exp="import os; os._exit(7); out = x"), "exp", "log")
    assert {r.verdict for r in rows if r.op == "exp" and r.direction == "forward"} == {Verdict.CRASHED}
    assert Verdict.CRASHED not in {r.verdict for r in rows if r.op == "log"}


@contextmanager
def stop_after(answers):
    """An `Advance` that interrupts once so many answers are journalled."""
    count = 0

    def advance(more, _):
        nonlocal count
        count += more
        if count >= answers:
            raise KeyboardInterrupt

    yield advance


def test_interrupted_and_resumed_computes_nothing_twice(tmp_path, inline):
    with pytest.raises(KeyboardInterrupt):
        run(SMALL, tmp_path / "run", lambda _: stop_after(3))
    with Journal(tmp_path / "run" / "journal.sqlite") as journal:
        kept = journal.keys()
    first = json.loads((tmp_path / "run" / "results.json").read_text("utf-8"))
    assert len(kept) == 3
    assert len(first["rows"]) == 3
    inline.judged.clear()
    results, _ = run(SMALL, tmp_path / "run")
    everything = {key(q.case, who) for q in plan(SMALL).questions for who in q.candidates}
    again = {
        key(case, who)
        for q in plan(SMALL).questions
        for who in q.candidates
        for case in inline.judged
        if case == q.case
    }
    assert again == everything - kept
    assert len(results.rows) == len(everything)
    inline.judged.clear()
    assert run(SMALL, tmp_path / "run")[0].rows == results.rows
    assert inline.judged == []


def test_killed_and_resumed_keeps_what_was_journalled(tmp_path):
    folder = tmp_path / "run"
    command = [sys.executable, "-m", "oracle", "audit", "elementary", "--adapter", "numpy", "--out", str(folder)]
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 120
    log = folder / "journal.sqlite-wal"
    while not (log.exists() and log.stat().st_size > 60_000):
        assert running.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    with Journal(folder / "journal.sqlite") as journal:
        answers = journal.answers()
    assert answers
    assert all(Row.from_json(row).framework == "numpy" for rows in answers.values() for row in rows)


def test_other_conditions_are_not_mixed(monkeypatch, tmp_path, inline):
    run(Selection(("exp",), ("numpy",), ("float32",)), tmp_path / "run")
    monkeypatch.setenv("OMP_NUM_THREADS", "77")
    with pytest.raises(OracleError, match=r"flags OMP_NUM_THREADS: .* then, 77 now.*choose another --out"):
        run(SMALL, tmp_path / "run")


def test_a_violated_truth_stops_the_run_and_says_whose_fault_it_is(monkeypatch, tmp_path, inline):
    def contradict(*_):
        raise TruthViolation("two rungs disagree. This is a bug of the oracle")

    monkeypatch.setattr("oracle.audits.answer.bench", contradict)
    with pytest.raises(OracleBugError, match="bug of the oracle"):
        run(SMALL, tmp_path / "run")
    assert (tmp_path / "run" / "results.json").exists()


def test_a_failing_judge_blames_no_framework(monkeypatch, tmp_path, inline):
    def fail(*_):
        raise ArithmeticError("planted")

    monkeypatch.setattr("oracle.audits.answer.bench", fail)
    results, _ = run(SMALL, tmp_path / "run")
    forward = [row for row in results.rows if row.direction == "forward"]
    assert {row.verdict for row in forward} == {Verdict.UNDECIDED}
    assert {row.reason for row in forward} == {"a bug of the oracle: ArithmeticError: planted"}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"operations": ("expp",)}, "unknown operation 'expp'; did you mean exp"),
        ({"adapters": ("numpie",)}, "unknown adapter 'numpie'; expected one of numpy"),
        ({"formats": ("float31",)}, "unknown number format 'float31'; expected one of float64"),
        ({"modes": ("jitt",)}, "unknown mode 'jitt'"),
        ({"devices": ("tpu",)}, "unknown device 'tpu'; expected one of cpu"),
        ({"operations": ("lstm",)}, "nothing to audit: numpy has no operation for lstm"),
    ],
)
def test_what_is_unknown_is_named(tmp_path, wrong, message):
    with pytest.raises(OracleError, match=message):
        run(dataclasses.replace(SMALL, **wrong), tmp_path / "run")


def test_a_mixed_policy_is_asked_the_cases_of_its_format():
    policy = Candidate("torch", "autocast-bfloat16", "cpu")
    assert policy.arrays_in("bfloat16") == "float32"
    assert policy.arrays_in("float32") is None
    assert Candidate("torch", "eager", "cpu").arrays_in("float16") == "float16"
    asked = material(Case("matmul", "rectangular", "forward", "bfloat16", "typical")).request(policy)
    assert asked.format == "float32"
    assert {x.dtype.name for x in asked.arrays.values()} == {"float32"}
    assert all(format_named("bfloat16").is_representable(x) for x in asked.arrays.values())


def test_a_mixed_policy_is_judged_by_its_format(tmp_path):
    pytest.importorskip("torch")
    results, _ = run(Selection(("matmul",), ("torch",), (), ("autocast-bfloat16",)), tmp_path / "run")
    assert {row.format for row in results.rows} == {"bfloat16"}
    assert {row.verdict for row in results.rows} <= {Verdict.CORRECT, Verdict.WITHIN_BUDGET}


def test_an_absent_framework_is_named(monkeypatch, tmp_path):
    absent = dataclasses.replace(adapter_named("torch"), requires=("no_such_module",))
    monkeypatch.setattr("oracle.audits.candidates.adapters", lambda: {"torch": absent})
    with pytest.raises(OracleError, match=r"absent: pip install 'numerical-oracle\[torch\]'"):
        run(dataclasses.replace(SMALL, adapters=("torch",)), tmp_path / "run")
