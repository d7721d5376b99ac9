"""Recurrent layers that run as one kernel."""

import functools
from typing import Any

from oracle.reference.lazy import jax, jnp, lax
from oracle.reference.lowerings.aten import aten

_LSTM = 2
_MODES = ("relu", "tanh", "lstm", "gru")


def _lstm_step(state: tuple, gates: Any) -> tuple:
    """Gates in torch's order: input, forget, cell, output."""
    i, f, g, o = jnp.split(gates, 4, axis=-1)
    c = lax.logistic(f) * state[1] + lax.logistic(i) * jnp.tanh(g)
    return lax.logistic(o) * jnp.tanh(c), c


def _lstm(x: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any, h: Any, c: Any, reverse: bool) -> tuple[Any, Any, Any]:
    """One LSTM layer over (time, batch, features): outputs, last hidden state, last cell state."""

    def step(state: tuple, x_t: Any) -> tuple:
        new = _lstm_step(state, x_t + jnp.matmul(state[0], jnp.transpose(w_hh)) + b_hh)
        return new, new[0]

    projected = jnp.matmul(x, jnp.transpose(w_ih)) + b_ih
    outputs: Any
    last, outputs = lax.scan(step, (h, c), projected, reverse=reverse)
    return (outputs, *last)


@aten("mkldnn_rnn_layer")
def _mkldnn_rnn_layer(
    x: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any, hx: Any, cx: Any, reverse: bool, batch_sizes: Any,
    mode: int, *rest: Any,
) -> tuple:  # fmt: skip
    """One LSTM layer in one direction. The workspace is the kernel's own."""
    _is_lstm(mode, batch_sizes)
    h, c = jnp.reshape(hx, hx.shape[-2:]), jnp.reshape(cx, cx.shape[-2:])
    y, h, c = _lstm(x, w_ih, w_hh, b_ih, b_hh, h, c, reverse)
    return y, jnp.reshape(h, hx.shape), jnp.reshape(c, cx.shape), None


def _is_lstm(mode: int, batch_sizes: Any) -> None:
    if mode != _LSTM or batch_sizes:
        raise ValueError(f"mkldnn_rnn_layer is defined here for unpacked LSTM layers, not for {_MODES[mode]}")


@aten("mkldnn_rnn_layer_backward")
def _mkldnn_rnn_layer_backward(
    x: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any, hx: Any, cx: Any, y: Any, hy: Any, cy: Any,
    grad_y: Any, grad_h: Any, grad_c: Any, reverse: bool, mode: int, hidden: int, layers: int, has_biases: bool,
    train: bool, bidirectional: bool, batch_sizes: Any, *rest: Any,
) -> tuple:  # fmt: skip
    """Gradients in the input, both weights, both biases and the initial states."""
    _is_lstm(mode, batch_sizes)
    flat = jnp.reshape(hx, hx.shape[-2:]), jnp.reshape(cx, cx.shape[-2:])
    outputs, pull = jax.vjp(functools.partial(_lstm, reverse=reverse), x, w_ih, w_hh, b_ih, b_hh, *flat)
    given = [jnp.zeros_like(o) if g is None else jnp.reshape(g, o.shape)
             for o, g in zip(outputs, (grad_y, grad_h, grad_c), strict=True)]  # fmt: skip
    *parts, of_h, of_c = pull(tuple(given))
    return (*parts, jnp.reshape(of_h, hx.shape), jnp.reshape(of_c, cx.shape))


@aten("_thnn_fused_lstm_cell")
def _fused_lstm_cell(ingates: Any, hgates: Any, cx: Any, b_ih: Any = None, b_hh: Any = None) -> tuple:
    gates = ingates + hgates
    for bias in (b_ih, b_hh):
        gates = gates if bias is None else gates + bias
    h, c = _lstm_step((None, cx), gates)
    i, f, g, o = jnp.split(gates, 4, axis=-1)
    return h, c, jnp.concatenate([lax.logistic(i), lax.logistic(f), jnp.tanh(g), lax.logistic(o)], axis=-1)


@aten("_thnn_fused_gru_cell")
def _fused_gru_cell(ingates: Any, hgates: Any, hx: Any, b_ih: Any = None, b_hh: Any = None) -> tuple:
    """n = tanh(x_n + r h_n), h' = n + z (h - n); the workspace is the kernel's own."""
    x = ingates if b_ih is None else ingates + b_ih
    h = hgates if b_hh is None else hgates + b_hh
    (x_r, x_z, x_n), (h_r, h_z, h_n) = jnp.split(x, 3, axis=-1), jnp.split(h, 3, axis=-1)
    r, z = lax.logistic(x_r + h_r), lax.logistic(x_z + h_z)
    n = jnp.tanh(x_n + r * h_n)
    return n + z * (hx - n), None
