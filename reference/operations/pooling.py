"""Pooling over windows of `x` (batch, channel, h, w). Attributes: `window`, `stride` and `padding`, pairs of
numbers.

`padding` is that many positions on both sides. The windows are slices, so that every arithmetic needs no more
than comparison and sum.
"""

import functools
import itertools
from collections.abc import Iterator

from oracle.reference.lazy import jax, jnp, np
from oracle.reference.operation import Arg, Config, operation
from oracle.reference.operations.kinks import Masks, tied

Pair = tuple[int, int]
X = {"x": (2, 5, 11, 13)}
pooling = functools.partial(
    operation, args=[Arg("x")], family="pooling", source="Dumoulin & Visin 2016, arXiv:1603.07285"
)


def window_slices(
    x: "jax.Array | np.ndarray", window: Pair, stride: Pair, padding: Pair
) -> Iterator["jax.Array | np.ndarray"]:
    """The elements of all windows at each offset, offsets in row order; padding is zero."""
    pad = np.pad if isinstance(x, np.ndarray) else jnp.pad
    padded = pad(x, [(0, 0), (0, 0), *((n, n) for n in padding)])
    counts = [(n - k) // s for n, k, s in zip(padded.shape[2:], window, stride, strict=True)]
    for offset in itertools.product(*map(range, window)):
        rows, columns = (slice(o, o + c * s + 1, s) for o, c, s in zip(offset, counts, stride, strict=True))
        yield padded[:, :, rows, columns]


def _tied_in_a_window(x: "np.ndarray", **attrs: Pair) -> Masks:
    numbers = np.stack(list(window_slices(np.arange(1, x.size + 1).reshape(x.shape), **attrs)))  # 0 is padding
    values = np.append(-np.inf, x)[numbers]
    marked = np.zeros(x.size + 1, bool)
    marked[numbers[tied(values, values.max(0, keepdims=True), 0)]] = True
    return (marked[1:].reshape(x.shape),)


@pooling(
    "max_pool2d",
    formula="max over the window",
    kinks=_tied_in_a_window,
    configs=[
        Config("basic", X, {"window": (2, 2), "stride": (2, 2), "padding": (0, 0)}),
        Config("overlapping", X, {"window": (3, 3), "stride": (2, 2), "padding": (1, 1)}),
        Config("rectangular", X, {"window": (3, 2), "stride": (1, 2), "padding": (1, 0)}, quick=False),
    ],
)
def max_pool2d(x: "jax.Array", *, window: Pair, stride: Pair, padding: Pair) -> "jax.Array":
    """Largest element of each window, padding left out; of a tie the first in row order gets the gradient."""
    inside = window_slices(np.ones((1, 1, *x.shape[2:]), bool), window, stride, padding)
    places = zip(window_slices(x, window, stride, padding), inside, strict=True)
    best, found = map(jnp.asarray, next(places))
    for value, valid in places:
        best = jnp.where(valid & (~found | (value > best)), value, best)
        found = found | valid
    return best


@pooling(
    "avg_pool2d",
    formula="Σ over the window / number of elements",
    at_scale=True,
    configs=[
        Config("basic", X, {"window": (2, 2), "stride": (2, 2), "padding": (0, 0), "count_padding": True}),
        Config(
            "padding_counted",
            X,
            {"window": (3, 3), "stride": (2, 2), "padding": (1, 1), "count_padding": True},
        ),
        Config(
            "padding_left_out",
            X,
            {"window": (3, 3), "stride": (2, 2), "padding": (1, 1), "count_padding": False},
        ),
    ],
)
def avg_pool2d(x: "jax.Array", *, window: Pair, stride: Pair, padding: Pair, count_padding: bool) -> "jax.Array":
    """Mean of each window; `count_padding` says whether the zeros of the padding count as elements."""
    total = jnp.sum(jnp.stack(list(window_slices(x, window, stride, padding))), axis=0)
    ones = np.ones((1, 1, *x.shape[2:]))
    inside = sum(window_slices(ones, window, stride, padding))
    return total / (window[0] * window[1] if count_padding else inside)


@pooling(
    "global_avg_pool2d",
    formula="mean over h and w",
    at_scale=True,
    configs=[Config("odd", {"x": (3, 5, 7, 9)})],
)
def global_avg_pool2d(x: "jax.Array") -> "jax.Array":
    """Mean over the plane: (batch, channel)."""
    return jnp.sum(x, (2, 3)) / (x.shape[2] * x.shape[3])
