"""Every row against its definition: a gross check for mistakes of ours (a layout, a gate order, an axis).

The criterion is the smoke kind, 1e-3 of the result's scale in float32: far above any honest rounding, far below a
wrong meaning. How accurate the frameworks are is what the audit says, not this test.
"""

import functools
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from oracle.adapters import Request, Response, adapter_named, adapters
from oracle.adapters.capabilities import example, pulled_back
from oracle.adapters.worker import Outcome, Worker
from oracle.reference.formats import format_named
from oracle.reference.operation import Config, Operation, get_operation, operations
from oracle.reference.true_value import true_value

SMOKE = 1e-3
COMPILED = ("torch", "compile"), ("keras-torch", "jit")
MODES = [(name, mode) for name, a in adapters().items() for mode in a.modes if mode not in a.mixed]
Case = tuple[Operation, Config]


@functools.cache
def meaning(name: str, config: str, direction: str, outputs: tuple[str, ...]) -> dict[str, np.ndarray]:
    """The definition's results for the inputs of `example`, and for the cotangents of `pulled_back`."""
    op = get_operation(name)
    request = example(op, op.config(config), "float32", "eager")
    labels, operands = op.outputs, [wide(a) for a in request.arrays.values()]
    if direction == "vjp":
        shapes = meaning(name, config, "forward", outputs)
        zeros = tuple(np.zeros(shapes[label].shape, np.float32) for label in outputs)
        request = pulled_back(request, Response(zeros, outputs, 0.0, False))
        pairs = zip(request.cotangents, zeros, strict=True)
        operands += [wide(zero if c is None else c) for c, zero in pairs]
        labels = tuple(op.args[i].name for i in op.differentiable_args)
    truths = true_value(op, op.config(config), operands, format_named("float32"))
    return {label: np.ldexp(t.hi, t.exponent) for label, t in zip(labels, truths, strict=True)}


def wide(x: np.ndarray) -> np.ndarray:
    """`x` in float64, integers and booleans as they are."""
    return x.astype(np.float64) if x.dtype.kind == "f" else x


def error(op: Operation, config: Config, direction: str, response: Response) -> float:
    """Largest distance of a result from its meaning, as a share of the result's scale."""
    meant = meaning(op.name, config.name, direction, op.outputs)
    return max(distance(actual, meant[label]) for label, actual in zip(response.names, response.outputs, strict=True))


def distance(actual: np.ndarray, meant: np.ndarray) -> float:
    if actual.shape != meant.shape:
        return np.inf
    far = np.max(np.abs(actual.astype(np.float64) - meant)) / np.max(np.abs(meant))
    return np.inf if np.isnan(far) else float(far)


def asked(worker: Worker, mode: str, cases: list[Case]) -> Iterator[tuple[Case, str, Outcome]]:
    """The outcome of each case, forward and, where there is a gradient, backward."""
    requests = [example(op, config, "float32", mode) for op, config in cases]
    forward = [worker.submit(request) for request in requests]
    for case, request, future in zip(cases, requests, forward, strict=True):
        outcome = future.result()
        yield case, "forward", outcome
        if outcome.response and request.wrt:
            yield case, "vjp", worker.run(pulled_back(request, outcome.response))


def covered(adapter_name: str, mode: str, every: bool) -> list[Case]:
    """The configurations that each row covers: all of them, or the first."""
    adapter, found = adapter_named(adapter_name), []
    for op in operations().values():
        able = [c for c in op.configs if adapter.refusal(example(op, c, "float32", mode)) is None]
        found += [(op, c) for c in (able if every else able[:1])]
    return found


def wrong(adapter_name: str, mode: str, cases: list[Case]) -> list[str]:
    """What is refused or disagrees, in words."""
    problems = []
    with Worker(adapter_name) as worker:
        for (op, config), direction, outcome in asked(worker, mode, cases):
            where = f"{op.name} {config.name} {direction}"
            if outcome.response is None:
                problems.append(f"{where}: {outcome.failure} {outcome.reason}")
            elif (far := error(op, config, direction, outcome.response)) > SMOKE:
                problems.append(f"{where}: off by {far:.1e} of the scale")
    return problems


# Defects of the frameworks that even this gross check sees; the audit reports them.
DEFECTS = {
    "jax": ("digamma elementwise vjp: off by",),  # polygamma(1, x) at negative x is wrong by any factor
    "tensorflow": (
        "digamma elementwise vjp: off by",  # tf.math.polygamma(1, x) at negative x is NaN, or wrong under XLA
        "depthwise_conv2d basic forward: CRASHED",  # tf.function with explicit padding aborts the process
    ),
}


def ours(name: str, problems: list[str], refusal: str) -> list[str]:
    """The problems that are neither refusals in these words nor known defects of the framework."""
    known = (refusal, *DEFECTS.get(name, ()))
    return [p for p in problems if not any(words in p for words in known)]


@pytest.mark.parametrize("name", adapters())
def test_rows_mean_what_the_definitions_mean(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if not adapter_named(name).available():
        pytest.skip(f"{name} is not installed")
    monkeypatch.setenv("XLA_FLAGS", "--xla_backend_optimization_level=0")  # compiles faster, and means the same
    mode = adapter_named(name).modes[0]
    problems = wrong(name, mode, covered(name, mode, every=False))
    assert ours(name, problems, "UNSUPPORTED numpy does not differentiate") == []


@pytest.mark.slow
@pytest.mark.parametrize(("name", "mode"), [pair for pair in MODES if pair not in COMPILED])
def test_every_configuration_in_every_mode(name: str, mode: str) -> None:
    if not adapter_named(name).available():
        pytest.skip(f"{name} is not installed")
    assert ours(name, wrong(name, mode, covered(name, mode, every=True)), ": UNSUPPORTED") == []


@pytest.mark.slow
@pytest.mark.parametrize(("name", "mode"), COMPILED)
def test_compiled_rows(name: str, mode: str) -> None:
    chosen = ("gelu_erf", "softmax", "layer_norm", "linear", "conv2d", "lstm")
    cases = [(op, config) for op, config in covered(name, mode, every=False) if op.name in chosen]
    assert wrong(name, mode, cases) == []


PLANTED = {
    "lstm": ('_ih_l0": weight_ih', '_ih_l0": weight_ih.roll(10, 0)'),
    "softmax": ("axis", "0"),
    "conv2d": ("weight,", "weight.flip(2),"),
    "layer_norm": ("eps", "0.1"),
    "adam": ("(beta1, beta2)", "(beta2, beta1)"),
    "linear": ("bias", "0 * bias"),
}


@pytest.fixture(scope="module")
def planted() -> Iterator[Worker]:
    """PyTorch with a fault in each of some rows."""
    rows = adapter_named("torch").rows
    wrong_rows = {name: rows[name].replace(*change) for name, change in PLANTED.items()}
    assert all(rows[name] != row for name, row in wrong_rows.items())
    wrong_gradient = {"sigmoid": "out = torch.sigmoid(x.detach()) + 0.1 * (x - x.detach())"}
    with Worker(replace(adapter_named("torch"), rows=wrong_rows | wrong_gradient)) as worker:
        yield worker


@pytest.mark.parametrize("name", PLANTED)
def test_a_wrong_row_is_caught(planted: Worker, name: str) -> None:
    op = get_operation(name)
    outcome = planted.run(example(op, op.configs[0], "float32", "eager"))
    assert outcome.response, outcome.reason
    assert error(op, op.configs[0], "forward", outcome.response) > SMOKE


def test_a_wrong_gradient_is_caught(planted: Worker) -> None:
    op = get_operation("sigmoid")
    request = example(op, op.configs[0], "float32", "eager")
    value = planted.run(request).response
    assert value
    assert error(op, op.configs[0], "forward", value) < SMOKE
    outcome = planted.run(pulled_back(request, value))
    assert outcome.response, outcome.reason
    assert error(op, op.configs[0], "vjp", outcome.response) > SMOKE


def test_arrays_cross_bit_for_bit() -> None:
    """Every bit pattern of the narrow formats survives the way there and back in every framework that has them."""
    for name in ("jax", "numpy", "tensorflow", "torch"):
        adapter = adapter_named(name)
        if not adapter.available():
            continue
        with Worker(replace(adapter, rows={"abs": "out = x"})) as worker:
            for fmt in ("bfloat16", "float16", "float8_e4m3fn", "float8_e5m2"):
                x = format_named(fmt).all_values()
                outcome = worker.run(Request(operation="abs", arrays={"x": x}, format=fmt))
                assert outcome.response, (name, fmt, outcome.reason)
                bits = np.uint8 if x.dtype.itemsize == 1 else np.uint16
                (out,) = outcome.response.outputs
                assert out.dtype == x.dtype, (name, fmt)
                with np.errstate(invalid="ignore"):
                    number = ~np.isnan(x)
                assert np.array_equal(out.view(bits)[number], x.view(bits)[number]), (name, fmt)
