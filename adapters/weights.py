"""A model's weights in one canonical layout, whatever the framework: what a port reads and what it writes.

Canonical is the layout of Keras: kernels are (in, out) or (spatial..., in / groups, out), those of transposed
convolutions (spatial..., out, in); gates are i f c o (LSTM) and z r h (GRU); attention kernels are (features, heads *
size). A `Unit` is what one layer holds; its `Writer`s make the layer's own arrays from the canonical ones.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Values = Mapping[str, np.ndarray]

# What leaves a layer's meaning as it is, where the other side has no such array.
NEUTRAL = {"bias": 0.0, "bias_recurrent": 0.0, "q_bias": 0.0, "k_bias": 0.0, "v_bias": 0.0, "o_bias": 0.0,
           "gamma": 1.0, "beta": 0.0}  # fmt: skip


@dataclass(frozen=True)
class Writer:
    """One array of a layer: its own name and shape, the canonical roles that it is made of, and how.

    `make` gives the array in the layer's own layout, `assign` stores it, `words` says what `make` does.
    """

    name: str
    shape: tuple[int, ...]
    roles: tuple[str, ...]
    make: Callable[[Values], np.ndarray]
    assign: Callable[[np.ndarray], None]
    words: str = "as it is"


@dataclass(frozen=True)
class Unit:
    """One layer's weights: `values` by canonical role, and the writers of its own arrays.

    `facts` must agree on both sides (the number of heads). `flattened` is the shape, without the batch axis, that a
    dense layer's features had before they were flattened, where the model tells; `channels_last` is its layout.
    """

    path: str
    kind: str
    values: Values
    writers: tuple[Writer, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)
    flattened: tuple[int, ...] | None = None
    channels_last: bool = True

    @property
    def signature(self) -> tuple[Any, ...]:
        """What the counterpart must have too: kind, facts and the shapes of all that no neutral value can stand for."""
        shapes = tuple(sorted((r, x.shape) for r, x in self.values.items() if r not in NEUTRAL))
        if self.kind == "custom":
            shapes = tuple(sorted((r, tuple(sorted(x.shape))) for r, x in self.values.items()))
        if not shapes:
            shapes = tuple(sorted({("size", (x.size,)) for x in self.values.values()}))
        return self.kind, tuple(sorted(self.facts.items())), shapes

    @property
    def numbers(self) -> int:
        """How many numbers the layer holds in its own arrays."""
        return sum(int(np.prod(w.shape)) for w in self.writers)


@dataclass(frozen=True)
class Weights:
    """All units of a model in order, its framework, and what holds numbers but is no weight to port."""

    framework: str
    units: tuple[Unit, ...]
    notes: tuple[str, ...] = ()


def plain(name: str, array: np.ndarray, role: str, assign: Callable[[np.ndarray], None]) -> Writer:
    """The writer of an array whose own layout is the canonical one."""
    return Writer(name, array.shape, (role,), lambda values: values[role], assign)


def blocks(x: np.ndarray, count: int, order: tuple[int, ...], axis: int) -> np.ndarray:
    """`x` with its `count` equal blocks along `axis` in another order."""
    parts = np.split(x, count, axis)
    return np.concatenate([parts[k] for k in order], axis)
