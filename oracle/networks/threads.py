"""How many threads matrix products get: one, unless they are large.

The products of a small network take microseconds; threads that wait for each other by spinning make them milliseconds
on a machine that does anything else.
"""

import functools
import math
from collections.abc import Callable
from typing import Any, TypeVar

from oracle.trace import Trace

# The smallest array, in elements, that makes a network one of large products.
LARGE = 1 << 22
_Function = TypeVar("_Function", bound=Callable[..., Any])


def one_thread_for_small(function: _Function) -> _Function:
    """`function` of traces, with one thread for the BLAS while it runs if none of them holds a large array."""

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        traces = (a for a in args if isinstance(a, Trace))
        if any(math.prod(value.shape) >= LARGE for trace in traces for value in trace.values.values()):
            return function(*args, **kwargs)
        from threadpoolctl import threadpool_limits  # noqa: PLC0415 - it looks at every loaded library

        with threadpool_limits(1, user_api="blas"):
            return function(*args, **kwargs)

    return run  # type: ignore[return-value]
