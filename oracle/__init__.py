"""The numerical oracle: the true value of every deep-learning operation, and who is how far from it."""

import importlib
from typing import Any

# Each verb is imported when it is first named: `import oracle` loads no framework and no JAX.
_VERBS = {
    "truth": "oracle.audits.ask",
    "audit": "oracle.audits.run",
    "check": "oracle.checks.checking",
    "record": "oracle.recordings.recording",
    "explain": "oracle.explanations.explaining",
    "compare": "oracle.comparisons.comparing",
    "assert_same_meaning": "oracle.comparisons.asserting",
    "plan_precision": "oracle.precision.planning",
    "port": "oracle.ports.porting",
    "load_trace": "oracle.recordings.tracefile",
    "save_trace": "oracle.recordings.tracefile",
}

__all__ = [
    "assert_same_meaning",
    "audit",
    "check",
    "compare",
    "explain",
    "load_trace",
    "plan_precision",
    "port",
    "record",
    "save_trace",
    "truth",
]


def __getattr__(name: str) -> Any:
    if name not in _VERBS:
        raise AttributeError(f"module 'oracle' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(importlib.import_module(_VERBS[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
