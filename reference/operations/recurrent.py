"""Recurrent layers over several steps from a given initial state.

`x` (time, batch, in), initial states (batch, hidden). The weights stack the gates along their first axis:
`weight_ih` (gates hidden, in), `weight_hh` (gates hidden, hidden), `bias_ih` and `bias_hh` (gates hidden,).
Outputs: the sequence of hidden states (time, batch, hidden) and the final states.
"""

import functools
from collections.abc import Callable

from oracle.reference.lazy import jax, jnp, lax
from oracle.reference.operation import Arg, Config, operation

recurrent = functools.partial(operation, family="recurrent", at_scale=True)
WEIGHTS = tuple(Arg(name, scale=0.17) for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))


def _configs(gates: int, states: tuple[str, ...]) -> list[Config]:
    def config(name: str, sizes: tuple[int, int, int, int], quick: bool) -> Config:
        time, batch, features, hidden = sizes
        rows = gates * hidden
        shapes = {"x": (time, batch, features), **dict.fromkeys(states, (batch, hidden))}
        shapes |= {
            "weight_ih": (rows, features),
            "weight_hh": (rows, hidden),
            "bias_ih": (rows,),
            "bias_hh": (rows,),
        }
        return Config(name, shapes, quick=quick)

    return [config("short", (5, 3, 7, 10), True), config("long", (17, 2, 5, 16), False)]


def _args(*states: str) -> tuple[Arg, ...]:
    return (Arg("x"), *(Arg(state, scale=0.5) for state in states), *WEIGHTS)


def _affine(x: "jax.Array", weight: "jax.Array", bias: "jax.Array") -> "jax.Array":
    return x @ weight.T + bias


def _run(step: Callable, h0: "jax.Array", x: "jax.Array") -> tuple["jax.Array", "jax.Array"]:
    """The hidden states of all steps and the last one, for a cell whose state is its output."""

    def body(h: "jax.Array", x_t: "jax.Array") -> tuple["jax.Array", "jax.Array"]:
        h = step(h, x_t)
        return h, h

    last, sequence = lax.scan(body, h0, x)
    return sequence, last


@recurrent(
    "rnn_tanh",
    _args("h0"),
    configs=_configs(1, ("h0",)),
    outputs=("sequence", "h_n"),
    formula="h_t = tanh(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh)",
    source="Elman 1990, doi:10.1207/s15516709cog1402_1",
)
def rnn_tanh(  # noqa: PLR0917 - an operation's arrays are positional
    x: "jax.Array",
    h0: "jax.Array",
    weight_ih: "jax.Array",
    weight_hh: "jax.Array",
    bias_ih: "jax.Array",
    bias_hh: "jax.Array",
) -> tuple["jax.Array", "jax.Array"]:
    """Simple recurrent layer with tanh. Outputs sequence, h_n."""

    def step(h: "jax.Array", x_t: "jax.Array") -> "jax.Array":
        return jnp.tanh(_affine(x_t, weight_ih, bias_ih) + _affine(h, weight_hh, bias_hh))

    return _run(step, h0, x)


@recurrent(
    "lstm",
    _args("h0", "c0"),
    configs=_configs(4, ("h0", "c0")),
    outputs=("sequence", "h_n", "c_n"),
    formula="c_t = σ(f) c_{t-1} + σ(i) tanh(g); h_t = σ(o) tanh(c_t)",
    source="Hochreiter & Schmidhuber 1997; Gers et al. 2000",
)
def lstm(  # noqa: PLR0917 - an operation's arrays are positional
    x: "jax.Array",
    h0: "jax.Array",
    c0: "jax.Array",
    weight_ih: "jax.Array",
    weight_hh: "jax.Array",
    bias_ih: "jax.Array",
    bias_hh: "jax.Array",
) -> tuple["jax.Array", "jax.Array", "jax.Array"]:
    """Long short-term memory, gates in the order i f g o: input, forget, candidate, output.

    Outputs sequence, h_n, c_n.
    """

    def step(state: tuple["jax.Array", "jax.Array"], x_t: "jax.Array") -> tuple[tuple, "jax.Array"]:
        h, c = state
        gates = _affine(x_t, weight_ih, bias_ih) + _affine(h, weight_hh, bias_hh)
        i, f, g, o = jnp.split(gates, 4, axis=-1)
        c = lax.logistic(f) * c + lax.logistic(i) * jnp.tanh(g)
        h = lax.logistic(o) * jnp.tanh(c)
        return (h, c), h

    (h_n, c_n), sequence = lax.scan(step, (h0, c0), x)
    return sequence, h_n, c_n


@recurrent(
    "gru_reset_after",
    _args("h0"),
    configs=_configs(3, ("h0",)),
    outputs=("sequence", "h_n"),
    formula="h_t = (1 - z) tanh(W_n x + b_n + r (U_n h + c_n)) + z h",
    source="Cho et al. 2014, arXiv:1406.1078v1; PyTorch and cuDNN form",
)
def gru_reset_after(  # noqa: PLR0917 - an operation's arrays are positional
    x: "jax.Array",
    h0: "jax.Array",
    weight_ih: "jax.Array",
    weight_hh: "jax.Array",
    bias_ih: "jax.Array",
    bias_hh: "jax.Array",
) -> tuple["jax.Array", "jax.Array"]:
    """Gated recurrent unit that resets after the matrix product; gates in the order r z n: reset, update,
    new.

    Outputs sequence, h_n.
    """

    def step(h: "jax.Array", x_t: "jax.Array") -> "jax.Array":
        from_input = jnp.split(_affine(x_t, weight_ih, bias_ih), 3, axis=-1)
        from_state = jnp.split(_affine(h, weight_hh, bias_hh), 3, axis=-1)
        r, z = (lax.logistic(from_input[i] + from_state[i]) for i in (0, 1))
        return (1 - z) * jnp.tanh(from_input[2] + r * from_state[2]) + z * h

    return _run(step, h0, x)


@recurrent(
    "gru_reset_before",
    _args("h0"),
    configs=_configs(3, ("h0",)),
    outputs=("sequence", "h_n"),
    formula="h_t = (1 - z) tanh(W_n x + b_n + U_n (r h) + c_n) + z h",
    source="Cho et al. 2014, arXiv:1406.1078v3; Keras reset_after=False",
)
def gru_reset_before(  # noqa: PLR0917 - an operation's arrays are positional
    x: "jax.Array",
    h0: "jax.Array",
    weight_ih: "jax.Array",
    weight_hh: "jax.Array",
    bias_ih: "jax.Array",
    bias_hh: "jax.Array",
) -> tuple["jax.Array", "jax.Array"]:
    """Gated recurrent unit that resets the state before the matrix product; gates in the order r z n.

    A framework with one bias has the sum of the two. Outputs sequence, h_n.
    """
    gates = 2 * h0.shape[-1]

    def step(h: "jax.Array", x_t: "jax.Array") -> "jax.Array":
        from_input = _affine(x_t, weight_ih, bias_ih)
        both = from_input[:, :gates] + _affine(h, weight_hh[:gates], bias_hh[:gates])
        r, z = jnp.split(lax.logistic(both), 2, axis=-1)
        from_reset_state = _affine(r * h, weight_hh[gates:], bias_hh[gates:])
        return (1 - z) * jnp.tanh(from_input[:, gates:] + from_reset_state) + z * h

    return _run(step, h0, x)
