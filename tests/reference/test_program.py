"""Straight-line programs mean what the JAX function means: calls, scans, convolutions, moves by index, gradients."""

import random
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from jax import lax

from oracle.reference import structure
from oracle.reference.balls import Arithmetic, Ball, MissingRule, evaluate_balls
from oracle.reference.constants import exact
from oracle.reference.program import Program, trace, vjp

RNG = np.random.default_rng(11)


def evaluated(fn: Callable, *args: Any) -> list[np.ndarray]:
    """The midpoints of the program of `fn`."""
    program = trace(fn, *args)
    values = evaluate_balls(program, [Ball(np.asarray(a)) for a in args], Arithmetic())
    return [np.asarray(values[o].mid) for o in program.outputs]


def difference(fn: Callable, *args: Any) -> str:
    """How the program of `fn` differs from what XLA makes of `fn` in float64, or nothing."""
    with jax.enable_x64(True):
        expected = [np.asarray(x) for x in jax.tree_util.tree_leaves(fn(*map(jnp.asarray, args)))]
    for found, wanted in zip(evaluated(fn, *args), expected, strict=True):
        if found.shape != wanted.shape:
            return f"shape {found.shape}, not {wanted.shape}"
        if not np.allclose(found, wanted, rtol=1e-12, atol=1e-12, equal_nan=True):
            return f"{found}, not {wanted}"
    return ""


def primitives(program: Program) -> set[str]:
    return {step.primitive for step in program.steps}


# ---- calls -----------------------------------------------------------------------------------------------------------


@jax.custom_jvp
def cube(x: jax.Array) -> jax.Array:
    return x * x * x


@cube.defjvp
def _cube_jvp(primals: tuple, tangents: tuple) -> tuple:
    return cube(primals[0]), 7 * tangents[0]


@jax.custom_vjp
def twice(x: jax.Array) -> jax.Array:
    return 2 * x


twice.defvjp(lambda x: (2 * x, None), lambda _, g: (5 * g,))

CALLS: dict[str, Callable] = {
    "jit": jax.jit(lambda x: jnp.sin(x) + 1),
    "nested": jax.jit(lambda x: jax.jit(jnp.cos)(x) * jax.nn.relu(x)),
    "custom_jvp": cube,
    "custom_vjp": twice,
    "checkpoint": jax.checkpoint(lambda x: jnp.tanh(x) * 2),
    "grad_of_checkpoint": jax.grad(lambda x: jnp.sum(jax.checkpoint(lambda y: jnp.sin(jnp.sin(y)))(x))),
    "grad_of_custom": jax.grad(lambda x: jnp.sum(cube(x) + twice(x))),
    "vmap": jax.vmap(lambda row: jnp.dot(row, row) / jnp.sum(row)),
    "fori_loop": lambda x: lax.fori_loop(0, 3, lambda i, y: y * 0.5 + i, x),
    "reduced": lambda x: lax.reduce_precision(x, 11, 52) + lax.stop_gradient(x),
    "barrier": lambda x: lax.optimization_barrier((x, x + 1))[1],
    "softplus": jax.nn.softplus,
    "logsumexp": lambda x: jax.nn.logsumexp(x, axis=1),
    "cumulative": lambda x: (lax.cumprod(x, 1), lax.cummin(x, 0, reverse=True), jnp.cumsum(x)),
    "sorted": lambda x: (jnp.sort(x, 0), jnp.argsort(x, 1), lax.top_k(x, 2), jnp.median(x)),
    "whole": lambda x: (jnp.round(4 * x), lax.round(4 * x, lax.RoundingMethod.AWAY_FROM_ZERO), jnp.trunc(4 * x)),
    "halves": lambda x: (jnp.round(jnp.arange(-3, 4) / 2), lax.round(jnp.arange(-3, 4) / 2 + 0 * x[0, 0])),
    "remainders": lambda x: (lax.rem(5 * x, x[0, 1]), jnp.mod(x, 0.3), x // 0.25),
    "integers": lambda x: ((8 * x).astype(int) // 3, jnp.sum((x > 0).astype(jnp.int32), 1), x.astype(bool)),
    "rearranged": lambda x: (jnp.flip(x), jnp.roll(x, 1), jnp.split(x, 2, 1), jnp.expand_dims(x, 1), jnp.tile(x, 2)),
    "inputs_again": lambda x: (x, x, jnp.ones(3), 2.0, x.T),
    "empty": lambda x: (jnp.sum(x[:0], 0), x[:0], jnp.zeros((0, 3)) @ jnp.ones((3, 2)), x[:, :0] @ x[:0, :]),
    "scalar": lambda x: jnp.sin(x[0, 0]) + jnp.sum(x),
}


@pytest.mark.parametrize("name", CALLS)
def test_calls_are_inlined(name: str) -> None:
    assert difference(CALLS[name], RNG.standard_normal((3, 4)) + 1) == ""


def test_what_changes_no_number_leaves_no_step() -> None:
    program = trace(lambda x: lax.reduce_precision(x.astype(jnp.bfloat16), 5, 10).astype(jnp.float32) * 2, np.ones(3))
    assert primitives(program) == {"mul"}
    assert evaluated(lambda x: x.astype(jnp.bfloat16) * 1.0, np.array([1 / 3]))[0] == 1 / 3


def test_formats_are_widened_and_constants_too() -> None:
    weight = jnp.asarray(np.array([1 / 3], np.float32))
    program = trace(lambda x: jnp.exp(weight) * x, np.ones(1, ml_dtypes.bfloat16))
    assert all(c.dtype == np.float64 for c in program.constants.values())
    assert program.variables[program.inputs[0]].dtype == np.float64
    assert evaluated(lambda x: jnp.exp(weight) * x, np.ones(1))[0] == np.exp(np.float64(np.float32(1 / 3)))


def test_the_user_s_precision_is_left_alone() -> None:
    before = jnp.asarray(1 / 3).dtype
    trace(jnp.sin, np.ones(2))
    assert jnp.asarray(1 / 3).dtype == before


def test_dead_steps_are_dropped() -> None:
    program = trace(lambda x: (jnp.exp(x), jnp.sin(x))[1], np.ones(2))
    assert primitives(program) == {"sin"}


@pytest.mark.parametrize("fn", [lambda x: lax.while_loop(lambda y: y < 3, lambda y: y * 2, x),
                                lambda x: lax.cond(x > 0, jnp.sin, jnp.cos, x)])  # fmt: skip
def test_control_that_depends_on_data_is_named(fn: Callable) -> None:
    with pytest.raises(ValueError, match="which depends on data; write it with"):
        trace(fn, np.float64(1.0))


def test_an_unknown_primitive_is_named() -> None:
    with pytest.raises(MissingRule, match="no rule for the primitive `igamma`"):
        evaluated(lambda x: lax.igamma(x, x), np.ones(2))


# ---- scans -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("length", [0, 1, 4])
def test_scans_are_unrolled(length: int, reverse: bool) -> None:
    def recurrence(h: jax.Array, xs: jax.Array) -> Any:
        def step(carry: tuple, x: tuple) -> tuple:
            h, count = carry
            h = jnp.tanh(h + x[0]) * 0.5
            return (h, count + 1), (h, x[1] * count)

        return lax.scan(step, (h, 0), (xs, xs[:, 0]), reverse=reverse)

    h, xs = RNG.standard_normal(3), RNG.standard_normal((length, 3))
    assert difference(recurrence, h, xs) == ""
    assert "scan" not in primitives(trace(recurrence, h, xs))
    assert difference(jax.grad(lambda h, xs: jnp.sum(recurrence(h, xs)[1][0]), (0, 1)), h, xs) == ""


# ---- convolutions ----------------------------------------------------------------------------------------------------


def convolution(seed: int) -> tuple[Callable, np.ndarray, np.ndarray] | None:
    """A random convolution: layouts, strides, both dilations, negative padding, feature or batch groups."""
    r = random.Random(seed)
    rank = r.choice([1, 1, 2, 3])
    features = r.choice([1, 1, 2, 3])
    batches = 1 if features > 1 else r.choice([1, 1, 2, 3])
    per_group = r.randint(1, 3)
    lhs_shape = (r.randint(1, 2) * batches, per_group * features, *(r.randint(1, 6) for _ in range(rank)))
    rhs_shape = (r.randint(1, 2) * features * batches, per_group, *(r.randint(1, 3) for _ in range(rank)))
    layouts = [tuple(r.sample(range(rank + 2), rank + 2)) for _ in range(3)]
    strides = [r.randint(1, 3) for _ in range(rank)]
    padding = [(r.randint(-2, 3), r.randint(-2, 3)) for _ in range(rank)]
    lhs_dilation, rhs_dilation = ([r.choice([1, 1, 2, 3]) for _ in range(rank)] for _ in range(2))

    def fn(x: jax.Array, w: jax.Array) -> jax.Array:
        return lax.conv_general_dilated(x, w, strides, padding, lhs_dilation, rhs_dilation,
                                        lax.ConvDimensionNumbers(*layouts), features, batches)  # fmt: skip

    rng = np.random.default_rng(seed)
    x, w = (
        np.transpose(rng.standard_normal(shape), np.argsort(layout))
        for shape, layout in zip((lhs_shape, rhs_shape), layouts[:2], strict=True)
    )
    try:
        jax.eval_shape(fn, x, w)
    except (TypeError, ValueError):  # negative padding left nothing
        return None
    return fn, x, w


@pytest.mark.parametrize("seed", range(32))
def test_convolutions_are_unfolded(seed: int) -> None:
    drawn = convolution(seed)
    if drawn is None:
        return
    fn, x, w = drawn
    assert difference(fn, x, w) == ""
    assert "conv_general_dilated" not in primitives(trace(fn, x, w))
    if seed % 4 == 0:
        assert difference(jax.grad(lambda x, w: jnp.sum(jnp.sin(fn(x, w))), (0, 1)), x, w) == ""


def test_most_of_the_drawn_convolutions_exist() -> None:
    assert sum(convolution(seed) is not None for seed in range(32)) > 24


# ---- moves -----------------------------------------------------------------------------------------------------------


def gathering(seed: int) -> tuple[Callable, Callable, np.ndarray, np.ndarray]:
    """A random gather with its scatter: collapsed and batching dimensions, windows, indices beyond both ends, modes."""
    r = random.Random(seed)
    rank = r.randint(1, 4)
    shape = [r.randint(1, 4) for _ in range(rank)]
    axes = r.sample(range(rank), rank)
    n_batching = r.choice([0, 0, 1]) if rank > 1 else 0
    batching, rest = axes[:n_batching], axes[n_batching:]
    start_axes = rest[: r.randint(1, len(rest))]
    collapsed = sorted(a for a in rest if r.random() < 0.4)
    sizes = [1 if a in collapsed or a in batching else r.randint(1, shape[a]) for a in range(rank)]
    places, index_batching = [r.randint(1, 3) for _ in range(r.randint(0, 2))], []
    for a in batching:
        index_batching = [r.randint(0, len(places))]
        places.insert(index_batching[0], shape[a])
    n_offset = rank - len(collapsed) - len(batching)
    offset = sorted(r.sample(range(len(places) + n_offset), n_offset))
    names = (tuple(offset), tuple(collapsed), tuple(start_axes), tuple(batching), tuple(index_batching))
    mode, fill = r.choice(["clip", "fill", "promise_in_bounds"]), r.choice([None, 3])
    dropping = r.choice(["clip", "drop", "promise_in_bounds"])

    def gather(x: jax.Array, i: jax.Array) -> jax.Array:
        fill_value = fill if mode == "fill" else None
        return lax.gather(x, i, lax.GatherDimensionNumbers(*names), tuple(sizes), mode=mode, fill_value=fill_value)

    def scatter(x: jax.Array, i: jax.Array) -> tuple:
        updates, numbers = jnp.sin(1 + gather(x, jnp.zeros_like(i))), lax.ScatterDimensionNumbers(*names)
        return lax.scatter_add(x, i, updates, numbers, mode=dropping), lax.scatter(x, i, updates, numbers, mode="drop")

    rng = np.random.default_rng(seed)
    indices = rng.integers(-2, 6, (*places, len(start_axes))).astype(r.choice([np.int32, np.int64]))
    return gather, scatter, rng.standard_normal(shape), indices


@pytest.mark.parametrize("seed", range(40))
def test_gathers_move_as_lax_does(seed: int) -> None:
    gather, _, x, indices = gathering(seed)
    assert difference(gather, x, indices) == ""
    assert difference(gather, (10 * x).astype(np.int32), indices) == ""


@pytest.mark.parametrize("seed", range(24))
def test_scatters_move_as_lax_does(seed: int) -> None:
    _, scatter, x, indices = gathering(seed)
    assert difference(lambda x, i: scatter(x, i)[0], x, indices) == ""


INDEXING: dict[str, Callable] = {
    "beyond": lambda x, i: x[i],
    "take": lambda x, i: jnp.take(x, i, axis=0),
    "take_flat": jnp.take,
    "fill": lambda x, i: x.at[i].get(mode="fill", fill_value=7.0),
    "clip": lambda x, i: x.at[i].get(mode="clip"),
    "along_axis": lambda x, i: jnp.take_along_axis(x, (i[:2] % 3)[:, None], axis=1),
    "drop_add": lambda x, i: x.at[i].add(1.5, mode="drop"),
    "subtract": lambda x, i: x.at[i].subtract(x[i]),
    "set": lambda x, i: x.at[i, 1].set(2.0),
    "dynamic_slice": lambda x, i: lax.dynamic_slice(x, (i[0], i[1]), (1, 2)),
    "dynamic_update": lambda x, i: lax.dynamic_update_slice(x, jnp.ones((1, 2)), (i[1], i[2])),
    "grad": lambda x, i: jax.grad(lambda x: jnp.sum(jnp.sin(x[i % 2])))(x),
    "one_hot": lambda x, i: jax.nn.one_hot(i, 4) @ jnp.concatenate([x, x]).T[:, :].T[:4],
}


@pytest.mark.parametrize("name", INDEXING)
def test_indexing_means_what_jax_means(name: str) -> None:
    x, i = np.arange(6.0).reshape(2, 3) + 0.5, np.array([1, -1, 5, -7, 0])
    assert difference(INDEXING[name], x, i) == ""


@pytest.mark.parametrize("seed", range(60))
def test_padding_inserts_and_crops(seed: int) -> None:
    r = random.Random(seed)
    shape = [r.randint(0, 5) for _ in range(r.randint(1, 3))]
    config = [(r.randint(-4, 4), r.randint(-6, 4), r.randint(0, 2)) for _ in shape]
    sizes = [n + max(n - 1, 0) * inner + lo + hi for n, (lo, hi, inner) in zip(shape, config, strict=True)]
    if min(sizes) >= 0:
        assert (
            difference(lambda x: lax.pad(x, np.float64(7.0), config), np.random.default_rng(seed).normal(size=shape))
            == ""
        )


# ---- gradients -------------------------------------------------------------------------------------------------------


def test_vjp_takes_cotangents_and_returns_those_of_the_arguments() -> None:
    def fn(x: jax.Array, n: jax.Array, w: jax.Array) -> dict:
        return {"a": jnp.tanh(x @ w) * n, "b": jnp.sum(w)}

    x, n, w = RNG.standard_normal((2, 3)), np.arange(2)[:, None], RNG.standard_normal((3, 4))
    cotangents = [RNG.standard_normal((2, 4)), np.array(0.5)]
    gradient = vjp(fn, (0, 2), 3)
    assert difference(gradient, x, n, w, *cotangents) == ""
    with jax.enable_x64(True):
        _, pull_back = jax.vjp(lambda x, w: fn(x, n, w), x, w)
        expected = pull_back({"a": jnp.asarray(cotangents[0]), "b": jnp.asarray(cotangents[1])})
    for found, wanted in zip(evaluated(gradient, x, n, w, *cotangents), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-13)


def test_constants_stay_exact_through_calls_and_gradients() -> None:
    program = trace(jax.grad(lambda x: jnp.sum(jax.jit(lambda y: y * exact("sqrt(2)"))(x))), np.ones(2))
    assert "exact_constant" in primitives(program)


# ---- the comparison is seen to fail ----------------------------------------------------------------------------------


def test_a_wrong_move_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    x, i = np.arange(6.0).reshape(2, 3) + 0.5, np.array([1, -1, 5, -7, 0])
    gather, movers = structure.MOVES["gather"]
    monkeypatch.setitem(structure.MOVES, "gather", (lambda *a, **p: gather(*a, **{**p, "fill_value": 0.0}), movers))
    assert difference(INDEXING["take"], x, i) != ""
    take_last, movers = structure.MOVES["take_last"]
    monkeypatch.setitem(structure.MOVES, "take_last", (lambda x, *, index: take_last(x, index=index[::-1]), movers))
    fn, a, b = next(drawn for drawn in map(convolution, range(60)) if drawn is not None)
    assert difference(fn, a, b) != ""
