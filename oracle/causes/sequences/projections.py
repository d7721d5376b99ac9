"""The flat projections behind the heads of an attention: queries, keys and values, alone or packed in one array."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from oracle.alignments.alignment import Side, same_multiset
from oracle.networks.network import Values

_CHAIN = 12
# The axes in which three packed projections may lie: "3" counts them, "h" the heads, "d" the features of a head.
PACKINGS = ("3hd", "h3d", "hd3", "3dh", "dh3", "d3h")


@dataclass(frozen=True)
class Projection:
    """The values that hold queries, keys and values flat, or packed in one; `factor` multiplies the scores.

    `features` are those of the queries, and of the keys.
    """

    sources: tuple[int, ...]
    batch: int
    features: tuple[int, int]
    factor: float = 1.0
    turned: bool = False

    @property
    def packings(self) -> tuple[str, ...]:
        """The orders in which the projections may be packed; one without a name where they are not."""
        return PACKINGS if len(self.sources) == 1 else ("",)

    def flat(self, values: Values, packed: str, heads: int) -> list[np.ndarray]:
        """Queries, keys and values as (batch, length, features)."""
        if len(self.sources) > 1:
            return [
                self._rows(values[i], n) for i, n in zip(self.sources, (*self.features, self.features[1]), strict=True)
            ]
        rows = self._rows(values[self.sources[0]], 3 * self.features[0])
        sizes = {"3": 3, "h": heads, "d": self.features[0] // heads}
        apart = rows.reshape(*rows.shape[:2], *(sizes[c] for c in packed))
        moved = apart.transpose(0, 1, *(2 + packed.index(c) for c in "3hd"))
        return [moved[:, :, k].reshape(*rows.shape[:2], -1) for k in range(3)]

    def alike(self, values: Values) -> bool:
        """Whether the projections have one shape, so that they may be exchanged."""
        return len({values[i].shape for i in self.sources}) == 1

    def _rows(self, array: np.ndarray, features: int) -> np.ndarray:
        if self.turned:
            return array.reshape(-1, self.batch, features).swapaxes(0, 1)
        return array.reshape(self.batch, -1, features)


def projections(side: Side, arrays: tuple[int, int, int]) -> Iterator[Projection]:
    """The projections from which queries, keys and values by heads are made."""
    (q, factor_q), (k, factor_k) = (_flat(side, i) for i in arrays[:2])
    v, _ = _flat(side, arrays[2], scaled=False)
    values, by_head = side.run.values, side.run.values[arrays[0]]
    if by_head.ndim not in (3, 4):
        return
    factor = factor_q * factor_k
    length, size = by_head.shape[-2:]
    total, keys = values[q].size, values[arrays[1]].shape[-2]
    packed = {_whole(side, x) for x in (q, k, v)}
    for batch, turned in itertools.product(_batches(by_head, total, length, size), (False, True)):
        features = total // (batch * length), values[k].size // (batch * keys)
        (whole, *others) = packed
        if whole is not None and not others and values[whole].size == 3 * total:
            yield Projection((whole,), batch, (features[0], features[0]), factor, turned)
        exact = features[1] * batch * keys == values[k].size == values[v].size
        if exact and features[1] and not any(n % size for n in features):
            yield Projection((q, k, v), batch, features, factor, turned)


def _batches(by_head: np.ndarray, total: int, length: int, size: int) -> list[int]:
    """How many samples there may be: the first axis where heads have their own, else any divisor of it."""
    first = by_head.shape[0]
    some = [first] if by_head.ndim == 4 else [n for n in range(1, first + 1) if first % n == 0]
    return [n for n in some if total % (n * length * size) == 0]


def _flat(side: Side, value: int, scaled: bool = True) -> tuple[int, float]:
    """The farthest value that `value` rearranges, repeats, or (`scaled`) multiplies by one number; the number."""
    level, factor = value, 1.0
    for _ in range(_CHAIN):
        producer = side.producers.get(level)
        if producer is None or len(producer.reals) != 1:
            break
        x, y = side.run.values[producer.reals[0]], side.run.values[level]
        if x.size == y.size and same_multiset(x, y, 0.0):
            level = producer.reals[0]
        elif scaled and x.shape == y.shape and (ratio := _ratio(x, y)) is not None:
            level, factor = producer.reals[0], factor * ratio
        elif x.size < y.size and y.size % x.size == 0 and np.array_equal(np.unique(x), np.unique(y)):
            level = producer.reals[0]
        else:
            break
    return level, factor


def _ratio(x: np.ndarray, y: np.ndarray) -> float | None:
    k = int(np.argmax(np.abs(x)))
    ratio = float(y.flat[k] / x.flat[k]) if x.flat[k] else 0.0
    return ratio if ratio and np.allclose(y, ratio * x, rtol=1e-9, atol=0) else None


def _whole(side: Side, value: int) -> int | None:
    """The array of which `value` is one of several equal parts, as it was before it was rearranged."""
    producer = side.producers.get(value)
    if producer is None or len(producer.reals) != 1:
        return None
    if side.run.values[producer.reals[0]].size <= side.run.values[value].size:
        return None
    return _flat(side, producer.reals[0], scaled=False)[0]
