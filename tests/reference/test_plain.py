"""Float64 evaluation by NumPy: convolutions and pools of every shape as their unfolded forms, and what is let go."""

import itertools

import jax
import numpy as np
import pytest
from jax import lax

from oracle.reference import convolution
from oracle.reference.plain import evaluate_plain, plain
from oracle.reference.program import trace

STRIDES = [1, 1, 2, 3]


def _draw(rng, kinds, rank):
    return [int(rng.choice(kinds)) for _ in range(rank)]


def _convolution(seed):
    """A convolution of random shape, strides, dilations, padding (negative too) and groups; None if it is none."""
    rng = np.random.default_rng(seed)
    rank = int(rng.choice([0, 1, 2, 2, 3]))
    features, batches = [(1, 1), (1, 1), (2, 1), (3, 1), (1, 2)][rng.integers(5)]
    c = int(rng.integers(1, 4))
    x = rng.standard_normal((batches * rng.integers(1, 4), c * features, *rng.integers(1, 8, rank)))
    w = rng.standard_normal((features * batches * rng.integers(1, 4), c, *rng.integers(1, 6, rank)))
    if rng.random() < 0.5:
        w = w[(..., *(slice(None, None, -1),) * rank)]
    order = [tuple(int(i) for i in rng.permutation(rank + 2)) for _ in range(3)]
    x, w = (a.transpose(np.argsort(p)) for a, p in zip((x, w), order[:2], strict=True))
    params = dict(
        window_strides=_draw(rng, STRIDES, rank), lhs_dilation=_draw(rng, STRIDES, rank),
        rhs_dilation=_draw(rng, STRIDES, rank),
        padding=[tuple(int(p) for p in rng.integers(-1, 5, 2)) for _ in range(rank)],
        dimension_numbers=lax.ConvDimensionNumbers(*order), feature_group_count=features, batch_group_count=batches,
    )  # fmt: skip
    try:
        unfolded = trace(lambda x, w: lax.conv_general_dilated(x, w, **params), x, w)
    except (TypeError, ValueError):  # padding that crops more than there is
        return None
    return x, w, params, evaluate_plain(unfolded, [x, w])[0]


@pytest.mark.parametrize("way", ["cheaper", "gathering", "scattering"])
def test_convolutions_of_every_shape(way, monkeypatch):
    if way != "cheaper":
        monkeypatch.setattr(convolution, "_scattering_is_cheaper", lambda *_: way == "scattering")
    monkeypatch.setattr(convolution, "_WINDOWS", 200)  # several parts
    checked = 0
    for case in filter(None, map(_convolution, range(70))):
        x, w, params, expected = case
        got = convolution.convolve(x, w, **params)
        assert got.shape == expected.shape, params
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12, err_msg=str(params))
        checked += 1
    assert checked > 45


def test_a_shifted_convolution_is_seen(monkeypatch):
    line = convolution._line
    monkeypatch.setattr(convolution, "_line", lambda a, b, step, offset: line(a, b, step, offset + 1))
    monkeypatch.setattr(convolution, "_scattering_is_cheaper", lambda *_: True)
    cases = filter(None, map(_convolution, range(20)))
    results = [(convolution.convolve(x, w, **params), expected) for x, w, params, expected in cases]
    assert not all(np.allclose(got, expected) for got, expected in results)


POOLS = {
    "max": (lax.max, -np.inf), "min": (lax.min, np.inf), "sum": (lax.add, 0.0),
}  # fmt: skip


@pytest.mark.parametrize("name", POOLS)
@pytest.mark.parametrize(("padding", "base", "dilation"), [
    ([(0, 0), (0, 0)], (1, 1), (1, 1)), ([(1, 2), (0, 3)], (1, 1), (2, 1)), ([(2, 0), (1, 1)], (2, 3), (1, 2)),
])  # fmt: skip
def test_pools_and_their_derivatives(name, padding, base, dilation):
    """Whole and unfolded are the same numbers, ties included: the first of equals is chosen."""
    combine, start = POOLS[name]
    rng = np.random.default_rng(1)
    x = rng.integers(-3, 4, (9, 8)).astype(np.float64)

    def pool(x):
        return lax.reduce_window(x, start, combine, (3, 2), (2, 1), padding, base, dilation)

    def gradient(x, g):
        return jax.vjp(pool, x)[1](g)

    def tangent(x, v):
        return jax.jvp(pool, (x,), (v,))[1]

    (y,) = evaluate_plain(trace(pool, x), [x])
    g, v = rng.standard_normal(y.shape), rng.standard_normal(x.shape)
    for fn, args in [(pool, (x,)), (gradient, (x, g)), (tangent, (x, v))]:
        if fn is not pool and (base != (1, 1) or dilation != (1, 1)):
            continue  # JAX differentiates pools without dilation only
        whole, unfolded = (evaluate_plain(trace(fn, *args, unfold=u), args)[0] for u in (False, True))
        np.testing.assert_allclose(whole, unfolded, rtol=1e-13, atol=1e-13)


def test_what_is_read_again_is_kept():
    def fn(x, y):
        z = x * y
        return [z + x, z * z, x, z]

    x, y = np.arange(4.0), np.arange(4.0) + 1
    run = plain(trace(fn, x, y))
    for _, got in itertools.product(range(2), [run(x, y)]):
        for a, b in zip(got, fn(x, y), strict=True):
            np.testing.assert_array_equal(a, b)
