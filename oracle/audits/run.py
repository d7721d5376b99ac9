"""The audit: every question asked of every candidate, judged against the truth, and kept.

Three stages work side by side: the adapters' workers compute, the judges find truths and judge, this process keeps
the journal. A case is judged when its last candidate has answered, so its truth is found once.
"""

import datetime
import itertools
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from oracle.adapters import Refusal
from oracle.adapters.worker import Outcome, Worker
from oracle.audits.answer import answer, unanswered
from oracle.audits.bench import material
from oracle.audits.candidates import Candidate
from oracle.audits.folder import JOURNAL, default_folder, resume, run_folder, write_results
from oracle.audits.journal import Journal
from oracle.audits.manifest import manifest
from oracle.audits.plan import Plan, Question, Selection, key, plan
from oracle.audits.pool import JudgePool
from oracle.audits.reproductions import question_of, reproduced
from oracle.errors import OracleBugError
from oracle.progress import Advance, silent
from oracle.reference.evaluate import TruthViolation
from oracle.reference.operation import operations
from oracle.types import Row, RunResults, Verdict

# Enough cases in flight that a slow lane does not starve the others, few enough that their arrays fit in memory.
IN_FLIGHT = 48


class Limits(NamedTuple):
    """Of one profile: seconds for a framework's answer and for a judgement, elements of a truth that may climb."""

    answer: float
    judgement: float
    climb: int | None


LIMITS = {"quick": Limits(30.0, 60.0, 100_000), "full": Limits(300.0, 1800.0, None)}

Show = Callable[[int], AbstractContextManager[Advance]]


def audit(
    *operations: str,
    adapters: Iterable[str] = (),
    formats: Iterable[str] = (),
    modes: Iterable[str] = (),
    devices: Iterable[str] = (),
    full: bool = False,
    seed: int = 0,
    out: str | Path | None = None,
) -> RunResults:
    """How far each framework is from the truth, and whether that is still rounding.

    `operations` are names of operations or families (all without any); `adapters`, `formats`, `modes` and `devices`
    narrow the candidates; `full=True` leaves nothing out. The run folder `out` (default: `runs/` and a name that
    says what was run on what) receives the journal and `results.json`; the same call again resumes it. Raises
    `OracleError` for a name that is unknown or a folder that cannot be written.

        >>> oracle.audit("gelu", adapters=["torch"], formats=["float32"])
    """
    chosen = Selection(operations, tuple(adapters), tuple(formats), tuple(modes), tuple(devices), full=full, seed=seed)
    return run(chosen, out)[0]


def run(selection: Selection, out: str | Path | None = None, show: Show = silent) -> tuple[RunResults, Path]:
    """The results of `selection` and the folder that holds them. `show` displays how far the run has come."""
    planned = plan(selection)
    facts = manifest(command=selection.command(), profile=selection.profile, seed=selection.seed,
                     started=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"))  # fmt: skip
    folder = run_folder(Path(out) if out else default_folder(facts))
    start = time.monotonic()
    with Journal(folder / JOURNAL) as journal:
        resume(journal, facts)
        try:
            _answer_all(planned, journal, show)
        finally:
            facts["adapters"] = journal.fact("adapters") or {}
            facts["seconds"] = time.monotonic() - start
            results = _collected(journal, planned, facts)
            write_results(folder, results)
    return results, folder


def _answer_all(planned: Plan, journal: Journal, show: Show) -> None:
    """Ask whatever the journal does not hold yet, and journal the answers and what the adapters tell of themselves."""
    open_questions = _unanswered(planned, journal.keys())
    total = sum(len(q.candidates) + len(q.refusals) for q in open_questions)
    limits = LIMITS[planned.selection.profile]
    with ExitStack() as stack:
        judges = stack.enter_context(JudgePool(os.cpu_count() or 1, limits.judgement))
        workers = {n: stack.enter_context(Worker(a, timeout=limits.answer)) for n, a in planned.adapters.items()}
        advance = stack.enter_context(show(total))
        for question, rows in _judged(open_questions, workers, judges, limits):
            journal.add({key(question.case, who): [row.to_json() for row in found] for who, found in rows.items()})
            advance(len(rows), question.case.operation)
        advance(0, "writing reproductions")
        _reproduce(journal, workers, planned.selection.full)
        if total:
            told = {name: _told(worker) for name, worker in workers.items()}
            journal.store_fact("adapters", (journal.fact("adapters") or {}) | told)


def _unanswered(planned: Plan, answered: set[str]) -> list[Question]:
    """The questions without what the journal already holds."""
    found = []
    for case, candidates, refusals in planned.questions:
        asked = tuple(who for who in candidates if key(case, who) not in answered)
        refused = {who: why for who, why in refusals.items() if key(case, who) not in answered}
        if asked or refused:
            found.append(Question(case, asked, refused))
    return found


def _judged(
    questions: list[Question], workers: Mapping[str, Worker], judges: JudgePool, limits: Limits
) -> Iterator[tuple[Question, dict[Candidate, list[Row]]]]:
    """Each question with its rows, in order."""
    ahead = iter(questions)
    asked: deque[tuple[Question, dict[Candidate, Future[Outcome]]]] = deque()
    judging: deque[tuple[Question, Future]] = deque()
    while True:
        for question in itertools.islice(ahead, IN_FLIGHT - len(asked)):
            asked.append((question, _ask(question, workers)))
        if asked:
            question, futures = asked.popleft()
            outcomes = {who: future.result() for who, future in futures.items()}
            judging.append((question, judges.submit(answer, question.case, outcomes, limits.climb)))
        while judging and (judging[0][1].done() or len(judging) > IN_FLIGHT or not asked):
            question, future = judging.popleft()
            yield question, _rows(question, future)
        if not asked and not judging:
            return


def _ask(question: Question, workers: Mapping[str, Worker]) -> dict[Candidate, "Future[Outcome]"]:
    case = question.case
    return {who: workers[who.adapter].submit(material(case).request(who)) for who in question.candidates}


def _rows(question: Question, judgement: Future) -> dict[Candidate, list[Row]]:
    """The rows of a question; where the judge itself failed, the candidates are not blamed."""
    case, candidates, refusals = question
    rows = {who: [unanswered(case, who, Verdict.UNSUPPORTED, why)] for who, why in refusals.items()}
    try:
        return rows | judgement.result()
    except TruthViolation as violation:
        raise OracleBugError(str(violation)) from violation
    except TimeoutError:
        why = "the truth was not found in time"
    except Exception as error:
        why = f"a bug of the oracle: {type(error).__name__}: {error}"
    return rows | {who: [unanswered(case, who, Verdict.UNDECIDED, why)] for who in candidates}


def _reproduce(journal: Journal, workers: Mapping[str, Worker], full: bool) -> None:
    """Journal the reproductions that are wanted and not there yet."""
    answers = {name: [Row.from_json(row) for row in rows] for name, rows in journal.answers().items()}
    for row in reproduced(itertools.chain(*answers.values()), workers, full):
        name = key(*question_of(row))
        answers[name] = [row if old.output == row.output else old for old in answers[name]]
        journal.add({name: [kept.to_json() for kept in answers[name]]})


def _told(worker: Worker) -> Mapping[str, Any]:
    try:
        return worker.manifest()
    except Refusal as refusal:
        return {"error": str(refusal)}


def _collected(journal: Journal, planned: Plan, facts: Mapping[str, Any]) -> RunResults:
    rows = [Row.from_json(row) for answer in journal.answers().values() for row in answer]
    known = operations()
    named = dict.fromkeys(row.op for row in rows)
    told = ("family", "formula", "source", "at_scale")
    details = {name: {detail: getattr(known[name], detail) for detail in told} for name in named}
    return RunResults(facts, details, rows, planned.left_out)
