"""Recurrent layers, unit by unit and step by step."""

import numpy as np
from mpmath import mp, mpf

from oracle.reference.operation import textbook

Array = np.ndarray


def _sigmoid(x: mpf) -> mpf:
    return 1 / (1 + mp.exp(-x))


class _Weights:
    """The two affine maps of a layer, gate by gate: `gate` g of unit j is row g hidden + j of the stacked weights."""

    def __init__(self, *stacked: Array) -> None:
        self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh = stacked
        self.hidden = self.weight_hh.shape[1]

    def of_input(self, gate: int, j: int, x: Array) -> mpf:
        row = gate * self.hidden + j
        return sum(w * v for w, v in zip(self.weight_ih[row], x, strict=True)) + self.bias_ih[row]

    def of_state(self, gate: int, j: int, h: Array | list[mpf]) -> mpf:
        row = gate * self.hidden + j
        return sum(w * v for w, v in zip(self.weight_hh[row], h, strict=True)) + self.bias_hh[row]

    def both(self, gate: int, j: int, x: Array, h: Array | list[mpf]) -> mpf:
        return self.of_input(gate, j, x) + self.of_state(gate, j, h)


def _unrolled(x: Array, h0: Array, step: object) -> tuple[Array, Array]:
    """Run `step(x_t, h) -> h` for each example of the batch; the sequence of states and the last."""
    sequence = np.empty((len(x), *h0.shape), object)
    last = h0.copy()
    for t, n in np.ndindex(len(x), len(h0)):
        last[n] = step(x[t, n], last[n].copy())  # type: ignore[operator]
        sequence[t, n] = last[n]
    return sequence, last


@textbook("rnn_tanh")
def rnn_tanh(x: Array, h0: Array, *stacked: Array) -> tuple[Array, Array]:
    """h_j = tanh(W x + b + U h + c)_j."""
    w = _Weights(*stacked)
    return _unrolled(x, h0, lambda x_t, h: [mp.tanh(w.both(0, j, x_t, h)) for j in range(w.hidden)])


@textbook("lstm")
def lstm(x: Array, h0: Array, c0: Array, *stacked: Array) -> tuple[Array, Array, Array]:
    """Input, forget, candidate and output gate are gates 0 to 3 of the stacked weights."""
    w = _Weights(*stacked)
    sequence, h_n, c_n = np.empty((len(x), *h0.shape), object), h0.copy(), c0.copy()
    for t, n in np.ndindex(len(x), len(h0)):
        h, c = h_n[n].copy(), c_n[n].copy()
        for j in range(w.hidden):
            enter, forget, candidate, leave = (w.both(gate, j, x[t, n], h) for gate in range(4))
            c_n[n, j] = _sigmoid(forget) * c[j] + _sigmoid(enter) * mp.tanh(candidate)
            h_n[n, j] = _sigmoid(leave) * mp.tanh(c_n[n, j])
        sequence[t, n] = h_n[n]
    return sequence, h_n, c_n


@textbook("gru_reset_after")
def gru_reset_after(x: Array, h0: Array, *stacked: Array) -> tuple[Array, Array]:
    """Reset, update and new are gates 0 to 2; the reset gate multiplies U h + c of the new gate."""
    w = _Weights(*stacked)

    def step(x_t: Array, h: Array) -> list[mpf]:
        new = []
        for j in range(w.hidden):
            reset, update = _sigmoid(w.both(0, j, x_t, h)), _sigmoid(w.both(1, j, x_t, h))
            candidate = mp.tanh(w.of_input(2, j, x_t) + reset * w.of_state(2, j, h))
            new.append(update * h[j] + (1 - update) * candidate)
        return new

    return _unrolled(x, h0, step)


@textbook("gru_reset_before")
def gru_reset_before(x: Array, h0: Array, *stacked: Array) -> tuple[Array, Array]:
    """Reset, update and new are gates 0 to 2; the reset gates multiply h before U is applied."""
    w = _Weights(*stacked)

    def step(x_t: Array, h: Array) -> list[mpf]:
        units = range(w.hidden)
        kept = [_sigmoid(w.both(0, j, x_t, h)) * h[j] for j in units]
        update = [_sigmoid(w.both(1, j, x_t, h)) for j in units]
        candidate = [mp.tanh(w.both(2, j, x_t, kept)) for j in units]
        return [update[j] * h[j] + (1 - update[j]) * candidate[j] for j in units]

    return _unrolled(x, h0, step)
