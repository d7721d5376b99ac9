"""A worker survives what a framework can do to its process."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from oracle.adapters import Adapter, Refusal, Request, adapter_named
from oracle.adapters.worker import Worker

GIB = 2**30
FAULTY = {
    "abs": "out = np.abs(x)",
    "exp": "import os\nos.write(2, b'the kernel is broken')\nout = os._exit(3)",
    "log": "import os, signal\nout = os.kill(os.getpid(), signal.SIGSEGV)",
    "sin": "import time\nout = time.sleep(1000)",
    "cos": "out = np.ones(3 * 2**27)",
    "tan": "raise NotImplementedError('not for this type')",
    "tanh": "raise SystemExit(5)",
}


def faulty() -> Adapter:
    return replace(adapter_named("numpy"), rows=FAULTY)


def ask(operation: str) -> Request:
    return Request(operation=operation, arrays={"x": np.linspace(-1, 1, 5, dtype=np.float32)})


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with Worker(faulty(), timeout=5.0, memory=2 * GIB) as worker:
        yield worker


@pytest.mark.parametrize(
    ("operation", "failure", "words"),
    [
        ("exp", "CRASHED", "exit code 3: the kernel is broken"),
        ("log", "CRASHED", "SIGSEGV"),
        ("cos", "UNSUPPORTED", "out of memory"),
        ("tan", "UNSUPPORTED", "NotImplementedError: not for this type"),
        ("sqrt", "UNSUPPORTED", "no operation for sqrt"),
    ],
)
def test_a_fault_is_an_outcome_and_the_next_request_is_served(
    worker: Worker, operation: str, failure: str, words: str
) -> None:
    outcome = worker.run(ask(operation))
    assert (outcome.response, outcome.failure) == (None, failure)
    assert words in outcome.reason
    assert worker.run(ask("abs")).response


def test_a_hang_is_a_timeout_and_queued_requests_are_served() -> None:
    with Worker(faulty(), timeout=1.0) as worker:
        assert worker.run(ask("abs")).response
        hanging, queued = worker.submit(ask("sin")), worker.submit(ask("abs"))
        assert hanging.result().failure == "TIMEOUT"
        assert "1 s" in hanging.result().reason
        assert queued.result().response


def test_a_process_that_cannot_start_is_an_outcome() -> None:
    with Worker(faulty(), memory=1) as worker:
        for _ in range(2):
            assert worker.run(ask("abs")).failure == "CRASHED"


def test_an_absent_framework_is_a_refusal() -> None:
    engine = adapter_named("numpy").engine
    absent = type("Absent", (type(engine),), {"imports": "import no_such_framework", "framework": "absent"})
    globals()["Absent"] = absent
    with pytest.raises(Refusal, match="absent does not import here"):
        replace(faulty(), engine=absent()).run(ask("abs"))


def test_results_and_times_come_back() -> None:
    with Worker(faulty()) as worker:
        response = worker.run(ask("abs")).response
    assert response is not None
    assert response.names == ("out",)
    assert np.array_equal(response.outputs[0], [1, 0.5, 0, 0.5, 1])
    assert 0 <= response.seconds < 1


def test_a_round_trip_is_short() -> None:
    """Thousands of small requests must be cheap: a few milliseconds each at most, even on a busy machine."""
    with Worker(faulty()) as worker:
        worker.run(ask("abs"))
        start = time.perf_counter()
        for future in [worker.submit(ask("abs")) for _ in range(300)]:
            assert future.result().response
        assert (time.perf_counter() - start) / 300 < 0.02


def test_a_script_without_a_main_guard_can_use_workers(tmp_path: object) -> None:
    script = os.path.join(str(tmp_path), "script.py")
    with open(script, "w") as file:
        file.write(
            "import numpy as np\nfrom oracle.adapters import Request\nfrom oracle.adapters.worker import Worker\n"
            "print('once')\n"
            "with Worker('numpy') as w:\n"
            "    print(w.run(Request(operation='abs', arrays={'x': np.float32([-2])})).response.outputs[0])\n"
        )
    run = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60, check=False)
    assert run.stdout.split("\n")[:2] == ["once", "[2.]"], run.stderr
