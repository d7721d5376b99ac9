"""Compiled results are held to the budgets of all operations; lost numbers are told where they were lost."""

import dataclasses

import jax
import numpy as np
import pytest

import oracle
from oracle.comparisons.comparison import Meaning

jnp = jax.numpy


def _function(x):
    return jnp.tanh(x * 3 + 1) * x


X = jnp.asarray(np.random.default_rng(0).normal(size=40).astype("float32"))


def _traces():
    return oracle.record(_function, X, full=True), oracle.record(jax.jit(_function), X, full=True)


def _with_compiled(trace, change):
    (value,) = trace.compiled.values()
    array = np.asarray(trace.values[value].array)
    values = {**trace.values, value: dataclasses.replace(trace.values[value], array=change(array))}
    return dataclasses.replace(trace, values=values)


def test_a_compiled_function_is_compared_by_what_it_returned():
    eager, compiled = _traces()
    shifted = _with_compiled(compiled, lambda y: y + np.float32(0.25))
    target = oracle.compare(eager, shifted).targets[0]
    assert target.difference.worst == pytest.approx(-0.25, rel=1e-5)


def test_an_honest_compiler_is_not_accused():
    assert oracle.compare(*_traces()).verdict is Meaning.SAME


@pytest.mark.parametrize("share", [1e-5, 1e-4])
def test_a_faulty_compiler_is_accused(share):
    eager, compiled = _traces()
    found = oracle.compare(eager, _with_compiled(compiled, lambda y: y * np.float32(1 + share)))
    assert found.verdict is Meaning.SAME_BEYOND_BUDGET
    assert [a.op for a in found.accused] == ["the compiled form"]


def test_a_result_that_overflowed_on_its_way_is_named():
    def naive(x):
        return jnp.log(jnp.exp(x).sum())

    x = jnp.float32([100.0, 90.0])
    found = oracle.compare(naive, jax.scipy.special.logsumexp, x)
    assert found.verdict is Meaning.SAME_BEYOND_BUDGET
    (accused,) = found.accused
    assert (accused.code, accused.op, accused.side) == ("numerically-unstable-formula", "exp", "A")


def test_an_infinity_that_is_meant_is_none():
    def masked(x):
        return jax.nn.softmax(jnp.where(x > 0, x, -jnp.inf))

    assert oracle.compare(masked, masked, jnp.float32([1.0, -1.0, 2.0])).verdict is Meaning.SAME
