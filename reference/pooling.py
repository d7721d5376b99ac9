"""Windowed reductions and their gradients in NumPy, one place of the window at a time."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

Array = np.ndarray


class _Pool:
    """An operand padded and spread, and the strided slice of it for each place of the window."""

    def __init__(self, x: Array, fill: float, params: dict[str, Any]) -> None:
        rank = x.ndim
        window, self.strides = params["window_dimensions"], params["window_strides"]
        base = params.get("base_dilation") or (1,) * rank
        self.dilation = params.get("window_dilation") or (1,) * rank
        sizes, inner, kept = [], [], []
        for n, (low, high), step in zip(x.shape, params["padding"], base, strict=True):
            length = (n - 1) * step + 1 if n else 0
            sizes.append(max(low, 0) + length + max(high, 0))
            inner.append(slice(max(low, 0), max(low, 0) + length, step))
            kept.append(slice(max(-low, 0), sizes[-1] - max(-high, 0)))
        self.inner, self.kept, self.fill = tuple(inner), tuple(kept), fill
        self.sizes = sizes
        self.padded = self.pad(x)
        self.window = tuple(window)
        lengths = zip(self.padded.shape, window, self.strides, self.dilation, strict=True)
        self.shape = tuple(max((n - (k - 1) * d - 1) // s + 1, 0) for n, k, s, d in lengths)

    def pad(self, x: Array) -> Array:
        """`x` padded and spread; negative padding crops."""
        wide = np.full(self.sizes, self.fill, x.dtype)
        wide[self.inner] = x
        return wide[self.kept]

    def places(self) -> Iterator[tuple[slice, ...]]:
        """For each place of the window, where its operands lie in the padded array."""
        for place in itertools.product(*map(range, self.window)):
            axes = zip(place, self.dilation, self.strides, self.shape, strict=True)
            yield tuple(slice(k * d, k * d + (count - 1) * s + 1, s) for k, d, s, count in axes)

    def chosen(self, least: bool) -> Array:
        """The number of the place that holds each window's maximum (or `least`), the first one of equals."""
        best = np.full(self.shape, self.fill)
        number = np.zeros(self.shape, np.int32)
        for k, place in enumerate(self.places()):
            values = self.padded[place]
            better = (values < best if least else values > best) | (np.isnan(values) & ~np.isnan(best))
            best = np.where(better, values, best)
            number = np.where(better, np.int32(k), number)
        return number


def reduce_windows(function: Callable[..., Array], fill: float) -> Callable[..., Array]:
    """The rule that folds `function` over windows, beginning with `fill`."""

    def rule(x: Array, **params: Any) -> Array:
        pool = _Pool(x, fill, params)
        total = np.full(pool.shape, fill, x.dtype)
        if total.size:
            for place in pool.places():
                function(total, pool.padded[place], out=total)
        return total

    return rule


def scatter_to_chosen(source: Array, operand: Array, *, select_prim: Any, **params: Any) -> Array:
    """`select_and_scatter_add`: each window's source at the place of its maximum, added up."""
    pool, number = _chosen(operand, select_prim, params)
    total = np.zeros(pool.sizes)
    inside = total[pool.kept]
    if number.size:
        for k, place in enumerate(pool.places()):
            inside[place] += np.where(number == k, source, 0.0)
    return total[pool.inner]


def gather_from_chosen(tangents: Array, operand: Array, *, select_prim: Any, **params: Any) -> Array:
    """`select_and_gather_add`: of each window the tangent at the place of its maximum."""
    pool, number = _chosen(operand, select_prim, params)
    padded = _Pool(tangents, 0.0, params).padded
    total = np.zeros(pool.shape)
    if number.size:
        for k, place in enumerate(pool.places()):
            total += np.where(number == k, padded[place], 0.0)
    return total


def chosen_places(x: Array, least: bool, params: dict[str, Any]) -> Array:
    """The number of the place that holds each window's maximum (or `least`), the first one of equals."""
    return _Pool(x, np.inf if least else -np.inf, params).chosen(least)


def _chosen(operand: Array, select_prim: Any, params: dict[str, Any]) -> tuple[_Pool, Array]:
    least = select_prim.name != "ge"
    pool = _Pool(operand, np.inf if least else -np.inf, params)
    return pool, pool.chosen(least)


RULES: dict[str, Callable[..., Array]] = {
    "reduce_window_sum": reduce_windows(np.add, 0.0),
    "reduce_window_max": reduce_windows(np.maximum, -np.inf),
    "reduce_window_min": reduce_windows(np.minimum, np.inf),
    "select_and_scatter_add": scatter_to_chosen,
    "select_and_gather_add": gather_from_chosen,
}
