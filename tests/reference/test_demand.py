"""Demand: changing what is not demanded changes no wanted element, and what is demanded is not everything."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from oracle.reference import demand
from oracle.reference.arb import evaluate_arb
from oracle.reference.balls import Arithmetic, Ball, evaluate_balls
from oracle.reference.demand import demanded
from oracle.reference.program import trace

X = np.arange(1.0, 13.0).reshape(3, 4) / 7
PROGRAMS: dict[str, Callable] = {
    "elementwise": lambda x: jnp.tanh(x) * 2 + x,
    "scalar": lambda x: x * x[0, 0],
    "reduced": lambda x: jnp.sum(x, 1),
    "largest": lambda x: jnp.max(x, 0),
    "running": lambda x: lax.cumsum(x, 1),
    "product": lambda x: x[:2] @ x.T,
    "batched": lambda x: jnp.einsum("ij,ij->i", x, x),
    "rearranged": lambda x: jnp.flip(jnp.pad(x.T, ((1, 0), (0, 2))), 1),
    "joined": lambda x: jnp.concatenate([x[1:], 2 * x]),
    "split": lambda x: jnp.split(x, 2, 1)[1] * 2,
    "gathered": lambda x: jnp.take(x, jnp.array([2, 0, 9]), axis=0),
    "sliced": lambda x: lax.dynamic_slice(x, (1, 1), (2, 2)),
    "updated": lambda x: lax.dynamic_update_slice(x, 2 * x[:1, :2], (2, 1)),
    "added": lambda x: x.at[jnp.array([0, 2, 2, 7])].add(3 * x[jnp.array([0, 1, 2, 0])], mode="drop"),
    "set": lambda x: x.at[1].set(x[0] * 2),
    "sorted": lambda x: jnp.sort(x, 1),
    "best": lambda x: lax.top_k(x, 2)[0],
    "selected": lambda x: jnp.where(x > 1, x, x[::-1]),
    "clipped": lambda x: jnp.clip(x, 0.3, x[2, 3]),
    "convolution": lambda x: lax.conv(x[None, None], jnp.ones((1, 1, 2, 2)), (1, 1), "VALID"),
    "pooling": lambda x: lax.reduce_window(x, -jnp.inf, lax.max, (2, 2), (1, 2), "VALID"),
    "softmax": lambda x: jnp.exp(x - jnp.max(x, 1, keepdims=True)) / jnp.sum(jnp.exp(x), 1)[:, None],
    "scanned": lambda x: lax.scan(lambda h, v: (jnp.tanh(h + v), h), x[0], x)[1],
}
NEED_ALL = {"sorted", "best"}  # demanded as a whole, for simplicity


def masks_of(fn: Callable, x: np.ndarray, place: int) -> tuple[Any, list, np.ndarray]:
    """The program, the values of R0 and the demand on x for one element of the output."""
    program = trace(fn, x)
    known = evaluate_balls(program, [Ball(x)], Arithmetic())
    wanted = np.zeros(program.variables[program.outputs[0]].shape, bool)
    wanted.reshape(-1)[place] = True
    masks = demanded(program, {program.outputs[0]: wanted}, known)
    found = masks[program.inputs[0]]
    return program, masks, np.zeros(x.shape, bool) if found is None else found


def influence(fn: Callable, x: np.ndarray, place: int, mask: np.ndarray) -> bool:
    """Whether changing the elements outside `mask` changes the element at `place`."""

    def at(y: np.ndarray) -> float:
        program = trace(fn, y)
        return float(np.ravel(evaluate_balls(program, [Ball(y)], Arithmetic())[program.outputs[0]].mid)[place])

    moved = np.where(mask, x, x + np.random.default_rng(place).uniform(-1e-3, 1e-3, x.shape))
    return not np.array_equal(at(moved), at(x), equal_nan=True)


@pytest.mark.parametrize("name", PROGRAMS)
def test_what_is_not_demanded_has_no_part(name: str) -> None:
    program = trace(PROGRAMS[name], X)
    size = int(np.prod(program.variables[program.outputs[0]].shape))
    for place in {0, size // 2, size - 1}:
        _, _, mask = masks_of(PROGRAMS[name], X, place)
        assert not influence(PROGRAMS[name], X, place, mask)


@pytest.mark.parametrize("name", PROGRAMS)
def test_arb_finds_all_that_it_needs_and_no_more(name: str) -> None:
    program, masks, mask = masks_of(PROGRAMS[name], X, 0)
    known = evaluate_balls(program, [Ball(X)], Arithmetic())
    values = evaluate_arb(program, [X], known, masks, 100)
    found = values[program.outputs[0]]
    assert np.ravel(found)[0] is not None
    assert np.array_equal(mask, values[program.inputs[0]] != np.array(None))
    assert not mask.all() or name in NEED_ALL


def test_all_is_demanded_where_all_has_a_part() -> None:
    _, _, mask = masks_of(jnp.sum, X, 0)
    assert mask.all()


def test_decided_integers_and_booleans_are_not_demanded() -> None:
    program, masks, _ = masks_of(lambda x: jnp.where(x > 1, 2.0, 3.0) + jnp.sum(x, dtype=float) * 0, X, 0)
    for step in program.steps:
        if step.primitive in ("gt", "lt"):
            assert masks[step.outputs[0]] is None


def test_a_choice_that_r0_leaves_open_is_demanded() -> None:
    program, masks, _ = masks_of(lambda x: jnp.where(x / 3 * 3 > x[0, 0], x, -x), X, 0)
    comparison = next(s for s in program.steps if s.primitive == "gt")
    assert masks[comparison.outputs[0]] is not None


def test_a_demand_that_is_too_small_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demand, "_SCANS", set())
    _, _, mask = masks_of(PROGRAMS["running"], X, 3)
    assert influence(PROGRAMS["running"], X, 3, mask)
