"""Correct ports without convolutions or recurrence: dense layers, norms, gates, distances."""

from typing import Any

from zoo_compare import carry, chained, functional, randomize, sequences
from zoo_registry import Port, modules, port


@port
def mlp() -> Port:
    """relu and tanh, the activation inside the Keras layer."""
    nn, layers, _ = modules()
    x_t, x_k = sequences()
    x_t, x_k = x_t[:, 0], x_k[:, 0]
    t = randomize(nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 7), nn.Tanh(), nn.Linear(7, 3)))
    ks = [layers.Dense(8, activation="relu"), layers.Dense(7, activation="tanh"), layers.Dense(3)]
    k = functional(x_k, chained(*ks))
    carry(zip((t[0], t[2], t[4]), ks, strict=True))
    return Port(t, k, x_t, x_k)


@port
def residual_mlp() -> Port:
    """Layer norm, GELU, residuals."""
    nn, layers, _ = modules()
    x_t, x_k = sequences()

    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.n, self.a, self.b = nn.LayerNorm(6, eps=1e-6), nn.Linear(6, 12), nn.Linear(12, 6)
            self.act = nn.GELU()

        def forward(self, x: Any) -> Any:
            return x + self.b(self.act(self.a(self.n(x))))

    t = randomize(Residual())
    n, a, b = layers.LayerNormalization(epsilon=1e-6), layers.Dense(12, activation="gelu"), layers.Dense(6)
    k = functional(x_k, lambda x: layers.Add()([x, b(a(n(x)))]))
    carry([(t.n, n), (t.a, a), (t.b, b)])
    return Port(t, k, x_t, x_k)


@port
def rms_net() -> Port:
    """RMS norm and a gated linear unit."""
    nn, layers, _ = modules()
    x_t, x_k = sequences()

    class Gated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.n = nn.RMSNorm(6, eps=1e-6)
            self.g, self.u, self.d = (nn.Linear(*s, bias=False) for s in ((6, 8), (6, 8), (8, 6)))

        def forward(self, x: Any) -> Any:
            y = self.n(x)
            return x + self.d(nn.functional.silu(self.g(y)) * self.u(y))

    t = randomize(Gated())
    n = layers.RMSNormalization(epsilon=1e-6)
    g, u, d = (layers.Dense(s, use_bias=False) for s in (8, 8, 6))

    def call(x: Any) -> Any:
        y = n(x)
        return layers.Add()([x, d(layers.Multiply()([layers.Activation("silu")(g(y)), u(y)]))])

    k = functional(x_k, call)
    carry([(t.n, n), (t.g, g), (t.u, u), (t.d, d)])
    return Port(t, k, x_t, x_k)


@port
def siamese() -> Port:
    """One encoder used twice; a distance."""
    nn, layers, ops = modules()
    x_t, x_k = sequences(2, 6)

    class Siamese(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(6, 8), nn.Linear(8, 4)

        def forward(self, x: Any) -> Any:
            one, two = (self.b(nn.functional.softplus(self.a(x[:, i]))) for i in (0, 1))
            return (one - two).norm(dim=-1, keepdim=True)

    t = randomize(Siamese())
    a, b = layers.Dense(8, activation="softplus"), layers.Dense(4)

    def call(x: Any) -> Any:
        one, two = b(a(x[:, 0])), b(a(x[:, 1]))
        return ops.sqrt(ops.sum(ops.square(one - two), axis=-1, keepdims=True))

    k = functional(x_k, call)
    carry([(t.a, a), (t.b, b)])
    return Port(t, k, x_t, x_k)
