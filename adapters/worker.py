"""Each adapter in a process of its own: a crash, a hang or an exhausted memory is an outcome, not the end of the run.

The process is the framework's alone: Keras needs one backend per process, and flags that one framework sets cannot
reach another. Threads and numerical flags are left as the user has them; `Worker.manifest` records them. What the
framework prints goes to a file, whose last words explain a crash.
"""

import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import CancelledError, Future
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import Any

from pebble import ProcessExpired, ProcessPool

from oracle.adapters import Adapter, Refusal, Request, Response, adapter_named
from oracle.adapters.base import first_lines
from oracle.adapters.reproduce import reproduction, unanswered

TIMEOUT = 120.0


@dataclass(frozen=True)
class Outcome:
    """What came of a request: a response, or `failure` (UNSUPPORTED, CRASHED or TIMEOUT) with its reason."""

    response: Response | None
    failure: str = ""
    reason: str = ""


class Worker:
    """One adapter in its own process, started on first use and started anew after it dies.

    `timeout` is in seconds for one request, `memory` the limit in bytes on what the process may allocate (by default
    nine tenths of the machine's memory). Use it as a context manager, or call `close`.
    """

    def __init__(self, adapter: str | Adapter, *, timeout: float = TIMEOUT, memory: int | None = None) -> None:
        self.adapter = adapter_named(adapter) if isinstance(adapter, str) else adapter
        self.timeout, self.memory = timeout, memory or default_memory()
        self._printed = tempfile.NamedTemporaryFile(prefix="oracle-", suffix=".log")  # noqa: SIM115 - lives as long
        self._pool = self._new_pool()

    def _new_pool(self) -> ProcessPool:
        arguments = (self.adapter, self.memory, self._printed.name)
        return ProcessPool(1, context=_Context(), initializer=_start, initargs=arguments)

    def _schedule(self, function: Callable[..., Any], *args: Any) -> "Future[Any]":
        if not self._pool.active:  # a process that cannot even start breaks its pool
            self._stop()
            self._pool = self._new_pool()
        return self._pool.schedule(function, args=args, timeout=self.timeout)

    def submit(self, request: Request) -> "Future[Outcome]":
        """Queue `request`; the future's result is its outcome and never an exception."""
        outcome: Future[Outcome] = Future()
        task = self._schedule(_run, request)
        task.add_done_callback(lambda done: outcome.set_result(self._outcome(done)))
        return outcome

    def run(self, request: Request) -> Outcome:
        """The outcome of `request`."""
        return self.submit(request).result()

    def manifest(self) -> Mapping[str, Any]:
        """What could change a number (see `oracle.adapters.manifest.manifest`); `Refusal` where it does not start."""
        return self._ask(_manifest)

    def devices(self) -> tuple[str, ...]:
        """The devices that the framework sees; `Refusal` where it does not start."""
        return self._ask(_devices)

    def reproduction(self, request: Request, index: tuple[int, ...], output: str = "") -> str:
        """The script of `oracle.adapters.reproduce.reproduction`, made in the worker's process.

        Where the framework does not answer, the script is the one that shows that. `Refusal` where the adapter
        has nothing to run.
        """
        try:
            return self._ask(_reproduction, request, index, output)
        except Refusal:
            if self.adapter.refusal(request):
                raise
            return unanswered(self.adapter, request)

    def _ask(self, function: Callable[..., Any], *args: Any) -> Any:
        task = self._schedule(function, *args)
        try:
            return task.result()
        except (ProcessExpired, FutureTimeout, Refusal) as error:
            raise Refusal(f"{self.adapter.name}: {self._failure(error).reason}") from error

    def close(self) -> None:
        """Stop the process at once; the worker cannot be used again."""
        self._stop()
        self._printed.close()

    def _stop(self) -> None:
        self._pool.stop()
        self._pool.join()

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _outcome(self, task: "Future[Response]") -> Outcome:
        try:
            error = task.exception()
        except CancelledError as cancelled:
            error = cancelled
        return Outcome(task.result()) if error is None else self._failure(error)

    def _failure(self, error: BaseException) -> Outcome:
        match error:
            case Refusal():
                return Outcome(None, "UNSUPPORTED", str(error))
            case FutureTimeout():
                return Outcome(None, "TIMEOUT", f"no answer within {self.timeout:g} s")
            case ProcessExpired():
                return Outcome(None, "CRASHED", f"the process ended with {_ending(error.exitcode)}{self._last_words()}")
            case _:
                return Outcome(None, "CRASHED", f"{type(error).__name__}: {error}{self._last_words()}")

    def _last_words(self) -> str:
        self._printed.seek(0)
        lines = self._printed.read().decode(errors="replace").split("\n")
        frame = ("@", "***")
        spoken = [line for line in lines if line.strip() and not line.lstrip().startswith(frame)]
        return f": {first_lines(spoken[-1])}" if spoken else ""


def default_memory() -> int:
    """Nine tenths of the machine's memory, in bytes."""
    import psutil  # noqa: PLC0415 - only a worker needs it

    return int(0.9 * psutil.virtual_memory().total)


def _ending(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


class _Process(SpawnProcess):
    """A spawned process that does not run the parent's main module again.

    The workers need nothing from it, and a user's script without a main guard would start itself over and over.
    """

    def start(self) -> None:
        with _main_file_hidden():
            super().start()


class _Context(SpawnContext):
    Process = _Process  # type: ignore[assignment]


_hiding = threading.Lock()


@contextmanager
def _main_file_hidden() -> Iterator[None]:
    main = sys.modules["__main__"]
    with _hiding:
        hidden: dict[str, Any] = {name: vars(main)[name] for name in ("__file__", "__spec__") if name in vars(main)}
        try:
            main.__spec__ = main.__file__ = None
            yield
        finally:
            del main.__spec__, main.__file__
            vars(main).update(hidden)


_ADAPTER: Adapter | None = None


def _start(adapter: Adapter, memory: int, printed: str) -> None:
    global _ADAPTER  # noqa: PLW0603 - the process serves one adapter, and the pool offers no other place for it
    _ADAPTER = adapter
    with open(printed, "wb", buffering=0) as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.update(adapter.environment)
    _limit_memory(memory)
    try:
        adapter.engine.load()
    except Refusal:
        return  # every request will be refused with the same words


def _limit_memory(limit: int) -> None:
    try:
        import resource  # noqa: PLC0415 - absent on Windows
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def _run(request: Request) -> Response:
    assert _ADAPTER is not None
    return _ADAPTER.run(request)


def _manifest() -> Mapping[str, Any]:
    from oracle.adapters.manifest import manifest  # noqa: PLC0415

    assert _ADAPTER is not None
    return manifest(_ADAPTER)


def _devices() -> tuple[str, ...]:
    assert _ADAPTER is not None
    return _ADAPTER.devices()


def _reproduction(request: Request, index: tuple[int, ...], output: str) -> str:
    assert _ADAPTER is not None
    return reproduction(_ADAPTER, request, index, output)
