"""Rung R3 of whole arrays: reductions, running sums, products, scatters, sorting, on object arrays of Arb balls.

A rule takes the operands and the mask of the demanded results; what nobody demands is None.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import flint
import numpy as np

from oracle.reference.arb_functions import COMPARISON, unknown
from oracle.reference.constants import constant_ball
from oracle.reference.structure import contraction, scatter_targets

arb = flint.arb
Rule = Callable[..., np.ndarray | list[np.ndarray]]
BLOCKWISE: dict[str, Rule] = {}
# In these an undemanded element cannot be told from an undecided integer: such integers stay undecided.
REAL_ONLY = {"cumsum", "cumprod", "cummax", "cummin", "dot_general", "scatter", "scatter-add", "scatter_add", "add_at"}


def _blockwise(*names: str) -> Callable[[Rule], Rule]:
    def register(rule: Rule) -> Rule:
        BLOCKWISE.update(dict.fromkeys(names, rule))
        return rule

    return register


def objects(values: Sequence[Any], shape: Sequence[int]) -> np.ndarray:
    """An object array of the `values`."""
    flat = np.empty(len(values), object)
    flat[:] = values
    return flat.reshape(shape)


def _lines(x: np.ndarray, axes: Sequence[int]) -> tuple[np.ndarray, tuple[int, ...]]:
    """x as (kept, reduced), and the shape of what is kept."""
    kept = [i for i in range(x.ndim) if i not in axes]
    shape = tuple(x.shape[i] for i in kept)
    rows = int(np.prod(shape))
    return x.transpose([*kept, *axes]).reshape(rows, x.size // rows if rows else 0), shape


def _reduce(combine: Callable[[list], Any]) -> Rule:
    def rule(x: np.ndarray, *, mask: np.ndarray, axes: Sequence[int], **_: Any) -> np.ndarray:
        lines, shape = _lines(x, tuple(axes))
        wanted = mask.reshape(-1)
        return objects([combine(line.tolist()) if w else None for line, w in zip(lines, wanted, strict=True)], shape)

    return rule


def _fold(combine: Callable[[Any, Any], Any], of_nothing: Callable[[], Any]) -> Callable[[list], Any]:
    def fold(values: list) -> Any:
        if not values or None in values:
            return of_nothing() if not values else None
        result = values[0]
        for value in values[1:]:
            result = combine(result, value)
        return result

    return fold


def _larger(x: Any, y: Any) -> Any:
    return x.max(y) if isinstance(x, arb) else max(x, y)


def _smaller(x: Any, y: Any) -> Any:
    return x.min(y) if isinstance(x, arb) else min(x, y)


def _any(values: list) -> bool | None:
    return True if True in values else None if None in values else False


def _all(values: list) -> bool | None:
    return False if False in values else None if None in values else True


def _first_largest(values: list) -> int | None:
    """The place of the first of the largest values, if it is certain."""
    if None in values or not all(v.is_finite() for v in values if isinstance(v, arb)):
        return None
    best = 0
    for i in range(1, len(values)):
        if COMPARISON["gt"](values[i], values[best]) is True:
            best = i
    before = all(COMPARISON["lt"](v, values[best]) is True for v in values[:best])
    after = all(COMPARISON["le"](v, values[best]) is True for v in values[best + 1 :])
    return best if before and after else None


BLOCKWISE.update(
    reduce_sum=_reduce(_fold(lambda p, q: p + q, lambda: arb(0))),
    reduce_prod=_reduce(_fold(lambda p, q: p * q, lambda: arb(1))),
    reduce_max=_reduce(_fold(_larger, unknown)),
    reduce_min=_reduce(_fold(_smaller, unknown)),
    reduce_or=_reduce(_any),
    reduce_and=_reduce(_all),
    argmax=_reduce(_first_largest),
    argmin=_reduce(lambda values: _first_largest([None if v is None else -v for v in values])),
)

_RUNNING: dict[str, Callable[[Any, Any], Any]] = {
    "cumsum": lambda p, q: p + q,
    "cumprod": lambda p, q: p * q,
    "cummax": _larger,
    "cummin": _smaller,
}


def _accumulate(combine: Callable[[Any, Any], Any]) -> Rule:
    def rule(x: np.ndarray, *, axis: int, reverse: bool, **_: Any) -> np.ndarray:
        lines = np.moveaxis(x, axis, -1)
        result = np.full(lines.shape, None, object)
        order = range(lines.shape[-1])
        for place in np.ndindex(lines.shape[:-1]):
            line, total = lines[place].tolist(), None
            for i in reversed(order) if reverse else order:
                if line[i] is None:  # a line is demanded as a whole or not at all
                    break
                total = line[i] if total is None else combine(total, line[i])
                result[(*place, i)] = total
        return np.moveaxis(result, -1, axis)

    return rule


BLOCKWISE.update({name: _accumulate(combine) for name, combine in _RUNNING.items()})


@_blockwise("dot_general")
def _dot_general(x: np.ndarray, y: np.ndarray, *, mask: np.ndarray, dimension_numbers: Any, **_: Any) -> np.ndarray:
    left, right, shape = contraction(x.shape, y.shape, dimension_numbers)
    rows, columns = left(x), right(y)
    block = mask.reshape(rows.shape[0], rows.shape[1], columns.shape[2])
    result = np.full(block.shape, None, object)
    if not rows.shape[2]:
        result[block] = arb(0)
        return result.reshape(shape)
    for b in range(block.shape[0]):
        m, n = np.flatnonzero(block[b].any(1)), np.flatnonzero(block[b].any(0))
        if m.size:
            product = flint.arb_mat(rows[b][m].tolist()) * flint.arb_mat(columns[b][:, n].tolist())
            result[b][np.ix_(m, n)] = objects(product.entries(), (m.size, n.size))
    return result.reshape(shape)


@_blockwise("scatter-add", "scatter_add")
def _scatter_add(x: np.ndarray, indices: np.ndarray, updates: np.ndarray, **params: Any) -> np.ndarray:
    return _added(x, scatter_targets(x.shape, indices, updates.shape, params), updates)


@_blockwise("add_at")
def _add_at(x: np.ndarray, *, mask: np.ndarray, target: np.ndarray, **_: Any) -> np.ndarray:
    return _added(objects([arb(0) if wanted else None for wanted in mask.flat], mask.shape), target, x)


def _added(base: np.ndarray, target: np.ndarray, values: np.ndarray) -> np.ndarray:
    flat = base.reshape(-1).tolist()
    for place, value in zip(target.reshape(-1).tolist(), values.reshape(-1).tolist(), strict=True):
        if place >= 0 and value is not None and flat[place] is not None:
            flat[place] = flat[place] + value
    return objects(flat, base.shape)


@_blockwise("scatter")
def _scatter(x: np.ndarray, indices: np.ndarray, updates: np.ndarray, **params: Any) -> np.ndarray:
    target = scatter_targets(x.shape, indices, updates.shape, params)
    flat = x.reshape(-1).tolist()
    written: dict[int, Any] = {}
    for place, value in zip(target.reshape(-1).tolist(), updates.reshape(-1).tolist(), strict=True):
        if place >= 0 and value is not None:
            same = place not in written or COMPARISON["eq"](written[place], value) is True
            written[place] = value if same else unknown()  # which of two updates wins is not defined
    for place, value in written.items():
        flat[place] = value
    return objects(flat, x.shape)


@_blockwise("exact_constant")
def _constant(*, expression: str, **_: Any) -> np.ndarray:
    return objects([constant_ball(expression)], ())


@_blockwise("sort")
def _sort(*operands: np.ndarray, dimension: int, num_keys: int, **_: Any) -> list[np.ndarray]:
    lines = [np.moveaxis(x, dimension, -1) for x in operands]
    results = [np.full(line.shape, None, object) for line in lines]
    for place in np.ndindex(lines[0].shape[:-1]):
        for result, line in zip(results, _sorted([x[place].tolist() for x in lines], num_keys), strict=True):
            result[place] = objects(line, (len(line),))
    return [np.moveaxis(result, -1, dimension) for result in results]


@_blockwise("top_k")
def _top_k(x: np.ndarray, *, k: int, **_: Any) -> list[np.ndarray]:
    values, places = np.full((*x.shape[:-1], k), None, object), np.full((*x.shape[:-1], k), None, object)
    for place in np.ndindex(x.shape[:-1]):
        line = [-v for v in x[place].tolist()]
        values[place] = objects([-v for v in _sorted([line], 1)[0][:k]], (k,))
        places[place] = objects(_sorted([line, list(range(len(line)))], 1)[1][:k], (k,))
    return [values, places]


def _sorted(lines: list[list], num_keys: int) -> list[list]:
    """The lines in the order of the first; a single line always has order statistics, if wide ones."""
    keys = lines[0]
    if num_keys == 1 and not any(k is None for k in keys):
        order = sorted(range(len(keys)), key=lambda i: _middle(keys[i]))
        ordered = [keys[i] for i in order]
        if all(COMPARISON["le"](p, q) is True for p, q in itertools.pairwise(ordered)) and all(
            i < j or COMPARISON["lt"](keys[i], keys[j]) is True for i, j in itertools.pairwise(order)
        ):
            return [[line[i] for i in order] for line in lines]
        if len(lines) == 1 and all(k.is_finite() for k in keys):
            ends = zip(sorted(k.lower() for k in keys), sorted(k.upper() for k in keys), strict=True)
            return [[low.union(high) for low, high in ends]]
    return [[unknown() if isinstance(v, arb) else None for v in line] for line in lines]


def _middle(x: Any) -> Any:
    return x.mid() if isinstance(x, arb) else x
