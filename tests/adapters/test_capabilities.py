"""The capability table is found by asking, and the manifest's arithmetic by measuring."""

from dataclasses import replace

import numpy as np
import pytest

from oracle.adapters import adapter_named
from oracle.adapters.capabilities import capabilities, example
from oracle.adapters.manifest import Probe, arithmetic, manifest
from oracle.adapters.worker import Worker
from oracle.reference.formats import format_named
from oracle.reference.operation import operations


def test_the_table_holds_the_frameworks_own_words() -> None:
    rows = {"exp": "out = np.exp(x)", "log": "out = np.log(x) if x.dtype == 'f4' else 1 / '0'"}
    with Worker(replace(adapter_named("numpy"), name="planted", rows=rows)) as worker:
        table = capabilities(worker, ["exp", "log", "erf"], ["float32", "float16"])
    reasons = {(line.operation, line.format, line.direction): line.reason for line in table}
    assert reasons["exp", "float32", "forward"] == reasons["log", "float32", "forward"] == ""
    assert "TypeError" in reasons["log", "float16", "forward"]
    assert reasons["erf", "float16", "forward"] == "planted has no operation for erf"
    assert reasons["exp", "float32", "vjp"] == "numpy does not differentiate"


def test_a_line_is_asked_once() -> None:
    with Worker(replace(adapter_named("numpy"), name="asked once", rows={"exp": "out = np.exp(x)"})) as worker:
        first = capabilities(worker, ["exp"], ["float32"])
    assert capabilities(worker, ["exp"], ["float32"]) == first  # the worker is closed: nothing is asked


def test_examples_are_numbers_of_the_format_in_the_domain() -> None:
    for op in operations().values():
        request = example(op, op.configs[0], "bfloat16", "eager")
        for arg in op.args:
            x = request.arrays[arg.name]
            if arg.kind == "real":
                assert x.dtype == format_named("bfloat16").dtype
                assert np.all((x > arg.domain[0]) & (x < arg.domain[1])), (op.name, arg.name)


@pytest.mark.parametrize("fmt", ["float32", "float64"])
def test_probes_see_a_planted_arithmetic(fmt: str) -> None:
    ask, tiny = Probe(adapter_named("numpy"), "eager", fmt), format_named(fmt).tiny
    s = 2.0 ** -(format_named(fmt).precision // 2 + 1)
    assert ask("a * b", 0.0, a=tiny, b=0.5) == "no"
    assert ask(f"np.where(np.abs(a * b) < {tiny}, 0, a * b).astype(a.dtype)", 0.0, a=tiny, b=0.5) == "yes"
    assert ask("np.concatenate([0 * a[:64], a[64:]])", 0.0, a=1.0) == "some"
    fused = "(a.astype('g') * b + c).astype(a.dtype)"
    assert ask(fused, s * s, a=1 + s, b=1 + s, c=-(1 + 2 * s)) == "yes"
    assert ask("a * b + c", s * s, a=1 + s, b=1 + s, c=-(1 + 2 * s)) == "no"
    assert ask("1 / '0'", 0.0, a=1.0).startswith("refused: TypeError")


def test_numpy_neither_flushes_nor_fuses() -> None:
    found = arithmetic(adapter_named("numpy"), "eager")
    assert set(found.values()) == {"no"}
    assert set(manifest(adapter_named("numpy"))) >= {"version", "devices", "libraries", "arithmetic", "blas"}


def test_jax_flushes_subnormals() -> None:
    with Worker("jax") as worker:
        found = worker.manifest()["arithmetic"]["jit"]
    assert found["flushes float32 results"] == found["flushes float32 operands"] == "yes"
