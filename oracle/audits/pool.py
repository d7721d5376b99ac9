"""Where truths are found and answers judged: a few processes of the oracle's own, none of which has a framework."""

import multiprocessing
import signal
from collections.abc import Callable
from concurrent.futures import Future
from types import TracebackType
from typing import Any


class JudgePool:
    """A pool of `processes`; `submit` returns a future. A task over its `timeout` (seconds) is killed."""

    def __init__(self, processes: int, timeout: float | None = None) -> None:
        from pebble import ProcessPool  # noqa: PLC0415 - only an audit needs it

        context = multiprocessing.get_context("spawn")
        self._timeout = timeout
        self._pool = ProcessPool(processes, initializer=_become_judge, context=context)

    def submit(self, task: Callable[..., Any], *args: Any) -> Future:
        """Run `task(*args)` in the pool."""
        return self._pool.schedule(task, args=args, timeout=self._timeout)

    def __enter__(self) -> "JudgePool":
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        self._pool.close() if kind is None else self._pool.stop()
        self._pool.join()


def _become_judge() -> None:
    # An interrupt reaches the whole process group; the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _one_thread()


def _one_thread() -> None:
    # The cores are shared by the processes instead.
    import numpy as np  # noqa: F401, PLC0415 - loads the library that is then limited
    from threadpoolctl import threadpool_limits  # noqa: PLC0415

    threadpool_limits(1)
