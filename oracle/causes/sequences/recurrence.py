"""Recurrent cells in NumPy, with every convention in which frameworks differ as an option.

    LSTM: c' = f c + i g,  h' = o act(c')           gates i, f, o = rec(z), g = act(z), z = x W + h U + b
    GRU:  h' = z h + (1 - z) n                      n = act(x W_n + b_n + r (h U_n + b'_n)), or (r h) U_n + b'_n
    RNN:  h' = act(x W + h U + b)

Sources: Hochreiter and Schmidhuber (1997); Cho et al. (2014), arXiv:1406.1078v1 (reset after) and v3 (before).
"""

from dataclasses import dataclass

import numpy as np
import scipy.special as sp

GATES = {"lstm": ("i", "f", "g", "o"), "gru": ("r", "z", "n"), "rnn": ("h",)}
ACTIVATIONS = {
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0.0),
    "sigmoid": sp.expit,
    "hard_sigmoid (x/6 + 1/2)": lambda x: np.clip(x / 6 + 0.5, 0.0, 1.0),
    "hard_sigmoid (0.2 x + 1/2)": lambda x: np.clip(0.2 * x + 0.5, 0.0, 1.0),
    "linear": lambda x: x,
    "hard_tanh": lambda x: np.clip(x, -1.0, 1.0),
    "softsign": lambda x: x / (1 + np.abs(x)),
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0.0))),
    "gelu (erf)": lambda x: 0.5 * x * sp.erfc(-x / np.sqrt(2.0)),
    "silu": lambda x: x * sp.expit(x),
}


@dataclass(frozen=True)
class Cell:
    """A cell's conventions.

    `order[k]` is the block of the stacked weights that holds the k-th gate of `GATES[kind]`. `reset_after`: a GRU's
    reset gate acts on the product with the recurrent weights. `keep`: a GRU's z keeps the old state (else 1 - z does).
    """

    kind: str
    order: tuple[int, ...]
    activation: str = "tanh"
    recurrent: str = "sigmoid"
    reset_after: bool = True
    keep: bool = True

    @property
    def stored(self) -> str:
        """The gates in the order in which the blocks hold them: "i, g, f, o"."""
        return ", ".join(GATES[self.kind][self.order.index(k)] for k in range(len(self.order)))


@dataclass(frozen=True)
class Weights:
    """Kernel (features, gates x units), recurrent kernel (units, gates x units), and both biases (gates x units)."""

    kernel: np.ndarray
    recurrent: np.ndarray
    bias: np.ndarray
    recurrent_bias: np.ndarray


@dataclass(frozen=True)
class States:
    """All hidden states (time, batch, units), cell states alike (empty without any), in the order of the input."""

    hidden: np.ndarray
    cell: np.ndarray


def step(cell: Cell, weights: Weights, x: np.ndarray, state: tuple[np.ndarray, np.ndarray]) -> tuple:
    """One step: the new hidden and cell state for inputs `x` (batch, features)."""
    h, c = state
    act, rec = ACTIVATIONS[cell.activation], ACTIVATIONS[cell.recurrent]
    outer = _blocks(cell, x @ weights.kernel + weights.bias)
    inner = _blocks(cell, h @ weights.recurrent + weights.recurrent_bias)
    if cell.kind == "rnn":
        return act(outer[0] + inner[0]), c
    if cell.kind == "lstm":
        i, f, g, o = (a + b for a, b in zip(outer, inner, strict=True))
        c = rec(f) * c + rec(i) * act(g)
        return rec(o) * act(c), c
    r, z = rec(outer[0] + inner[0]), rec(outer[1] + inner[1])
    if cell.reset_after:
        n = act(outer[2] + r * inner[2])
    else:
        kernel = _blocks(cell, weights.recurrent)[2]
        n = act(outer[2] + (r * h) @ kernel + _blocks(cell, weights.recurrent_bias)[2])
    z = z if cell.keep else 1 - z
    return z * h + (1 - z) * n, c


def run(
    cell: Cell,
    weights: Weights,
    x: np.ndarray,
    state: tuple[np.ndarray, np.ndarray],
    *,
    reverse: bool = False,
    mask: np.ndarray | None = None,
) -> States:
    """The states over inputs `x` (time, batch, features), from the last step to the first if `reverse`.

    Where `mask` (time, batch) is false the states stay as they were.
    """
    h, c = state
    hidden, cells = [None] * len(x), [None] * len(x)
    for t in reversed(range(len(x))) if reverse else range(len(x)):
        new_h, new_c = step(cell, weights, x[t], (h, c))
        if mask is not None:
            keep = mask[t][:, None]
            new_h, new_c = np.where(keep, new_h, h), np.where(keep, new_c, c)
        h, c = new_h, new_c
        hidden[t], cells[t] = h, c
    return States(np.stack(hidden), np.stack(cells))  # type: ignore[arg-type]


def _blocks(cell: Cell, x: np.ndarray) -> list[np.ndarray]:
    """The gates of stacked numbers in the order of `GATES`."""
    parts = np.split(x, len(cell.order), -1)
    return [parts[k] for k in cell.order]
