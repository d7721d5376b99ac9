"""The capability table: which operation runs in which format and mode, forward and backward, and why not.

Nothing in it is kept by hand: what an adapter has rows for is read from its rows, the rest is found by asking the
framework, whose own words are the reason.
"""

import itertools
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from oracle.adapters.base import Request, Response
from oracle.adapters.worker import Worker
from oracle.reference.formats import format_named
from oracle.reference.operation import Arg, Config, Operation, get_operation


class Capability(NamedTuple):
    """One line of the table; `reason` is "" where the framework runs it."""

    adapter: str
    operation: str
    format: str
    mode: str
    device: str
    direction: str
    reason: str


Key = tuple[str, str, str, str, str]  # adapter, operation, format, mode, device
_KNOWN: dict[Key, tuple[Capability, ...]] = {}


def capabilities(
    worker: Worker,
    operations: Iterable[str],
    formats: Iterable[str],
    modes: Iterable[str] = (),
    device: str = "cpu",
) -> list[Capability]:
    """The lines of the worker's adapter for these operations, formats and modes (all its modes without any).

    Each is asked once in a process, on the operation's first configuration that the adapter covers.
    """
    chosen = tuple(modes) or worker.adapter.modes
    asked = [(worker.adapter.name, *key, device) for key in itertools.product(operations, formats, chosen)]
    for key in asked:
        if key not in _KNOWN:
            _KNOWN[key] = tuple(_probe(worker, key))
    return [line for key in asked for line in _KNOWN[key]]


def _probe(worker: Worker, key: Key) -> Iterator[Capability]:
    op = get_operation(key[1])
    request = example(op, _config(worker, op, key), *key[2:])
    outcome = worker.run(request)
    yield Capability(*key, "forward", outcome.reason)
    if outcome.response and request.wrt:
        outcome = worker.run(pulled_back(request, outcome.response))
        refused = outcome.response.refused.values() if outcome.response else ()
        yield Capability(*key, "vjp", outcome.reason or "; ".join(refused))


def _config(worker: Worker, op: Operation, key: Key) -> Config:
    """The first configuration that the adapter's row covers, or the first of all."""
    covered = (c for c in op.configs if worker.adapter.refusal(example(op, c, *key[2:])) is None)
    return next(covered, op.configs[0])


def example(op: Operation, config: Config, fmt: str, mode: str, device: str = "cpu") -> Request:
    """A forward request with ordinary numbers well inside each argument's domain, the same at every call."""
    rng = np.random.default_rng(20)
    arrays = {a.name: _draw(a, config, fmt, rng) for a in op.args if a.name in config.shapes}
    return Request(operation=op.name, arrays=arrays, attrs=config.attrs, format=fmt, mode=mode, device=device)


def pulled_back(request: Request, response: Response) -> Request:
    """The "vjp" request of a forward one: standard normal cotangents, none for outputs that are an updated argument."""
    rng = np.random.default_rng(21)
    cotangents = tuple(
        None if name in request.arrays else _rounded(rng.standard_normal(y.shape), request.format).astype(y.dtype)
        for name, y in zip(response.names, response.outputs, strict=True)
    )
    return Request(**{**vars(request), "direction": "vjp", "cotangents": cotangents})


def _draw(arg: Arg, config: Config, fmt: str, rng: np.random.Generator) -> np.ndarray:
    shape, (low, high) = config.shapes[arg.name], arg.domain
    match arg.kind:
        case "index":
            return rng.integers(0, config.highs.get(arg.name, arg.high), shape)
        case "mask":
            mask = rng.random(shape) < 0.7
            mask[..., 0] = True
            return mask
        case "probability":
            weights = rng.random(shape) + 0.05
            return _rounded(weights / weights.sum(-1, keepdims=True), fmt)
    normal = arg.scale * rng.standard_normal(shape)
    if np.isfinite(high):
        normal = low + (high - low) * rng.uniform(0.05, 0.95, shape)
    elif np.isfinite(low):
        normal = low + np.abs(normal) + 0.05
    return _rounded(normal, fmt)


def _rounded(values: np.ndarray, fmt: str) -> np.ndarray:
    return format_named(fmt).round(values)
