"""The correct ports: each architecture in torch and in Keras, in the style of either, with other granularity."""
# ruff: noqa: PLC0415 - the backend is chosen before Keras is imported

from collections.abc import Callable
from typing import Any

import numpy as np
from zoo_compare import Port, carry, chained, functional, images, randomize, sequences, tokens

PORTS: dict[str, Callable[[], Port]] = {}


def port(function: Callable[[], Port]) -> Callable[[], Port]:
    """Register an architecture under its function's name."""
    PORTS[function.__name__] = function
    return function


def _both() -> tuple[Any, Any, Any]:
    import keras
    from torch import nn

    return nn, keras.layers, keras.ops


@port
def mlp() -> Port:
    """relu and tanh, the activation inside the Keras layer."""
    nn, layers, _ = _both()
    x_t, x_k = sequences()
    x_t, x_k = x_t[:, 0], x_k[:, 0]
    t = randomize(nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 7), nn.Tanh(), nn.Linear(7, 3)))
    ks = [layers.Dense(8, activation="relu"), layers.Dense(7, activation="tanh"), layers.Dense(3)]
    k = functional(x_k, chained(*ks))
    carry(zip((t[0], t[2], t[4]), ks, strict=True))
    return Port(t, k, x_t, x_k)


@port
def lenet() -> Port:
    """Flatten in two orders: the first dense kernel is carried in Keras's."""
    nn, layers, _ = _both()
    x_t, x_k = images(1, 12)
    t = randomize(nn.Sequential(
        nn.Conv2d(1, 4, 5, padding=2), nn.Tanh(), nn.AvgPool2d(2), nn.Conv2d(4, 6, 3), nn.Tanh(), nn.AvgPool2d(2),
        nn.Flatten(), nn.Linear(24, 8), nn.Tanh(), nn.Linear(8, 4),
    ))  # fmt: skip
    ks = [
        layers.Conv2D(4, 5, padding="same", activation="tanh"), layers.AveragePooling2D(2),
        layers.Conv2D(6, 3, activation="tanh"), layers.AveragePooling2D(2), layers.Flatten(),
        layers.Dense(8, activation="tanh"), layers.Dense(4),
    ]  # fmt: skip
    k = functional(x_k, chained(*ks))
    carry([(t[0], ks[0]), (t[3], ks[2]), (t[9], ks[6])])
    weight = t[7].weight.detach().numpy().reshape(8, 6, 2, 2).transpose(2, 3, 1, 0).reshape(24, 8)
    ks[5].set_weights([weight, t[7].bias.detach().numpy()])
    return Port(t, k, x_t, x_k)


@port
def vgg() -> Port:
    """Convolution pairs, maximum pooling, global average; the bias is added by a layer of its own on one side."""
    nn, layers, _ = _both()
    x_t, x_k = images(3, 8)
    t = randomize(nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(4, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(6, 3),
    ))  # fmt: skip
    ks = [layers.Conv2D(n, 3, padding="same", activation="relu") for n in (4, 4, 6)]
    dense = layers.Dense(3)
    k = functional(x_k, chained(ks[0], ks[1], layers.MaxPooling2D(2), ks[2], layers.MaxPooling2D(2),
                                layers.GlobalAveragePooling2D(), dense))  # fmt: skip
    carry([(t[0], ks[0]), (t[2], ks[1]), (t[5], ks[2]), (t[10], dense)])
    return Port(t, k, x_t, x_k)


@port
def resnet_block() -> Port:
    """Two convolutions with batch norm, a strided projection; torch pads both sides, Keras pads by hand."""
    nn, layers, _ = _both()
    x_t, x_k = images(3, 8)

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.c1, self.b1 = nn.Conv2d(3, 4, 3, 2, 1, bias=False), nn.BatchNorm2d(4, eps=1e-3)
            self.c2, self.b2 = nn.Conv2d(4, 4, 3, 1, 1, bias=False), nn.BatchNorm2d(4, eps=1e-3)
            self.c3, self.b3 = nn.Conv2d(3, 4, 1, 2, bias=False), nn.BatchNorm2d(4, eps=1e-3)
            self.out = nn.Linear(4, 3)

        def forward(self, x: Any) -> Any:
            y = self.b2(self.c2(self.b1(self.c1(x)).relu()))
            return self.out((y + self.b3(self.c3(x))).relu().mean((2, 3)))

    t = randomize(Block())
    c1, c2, c3 = (layers.Conv2D(4, n, s, padding=p, use_bias=False)
                  for n, s, p in ((3, 2, "valid"), (3, 1, "same"), (1, 2, "valid")))  # fmt: skip
    b1, b2, b3 = (layers.BatchNormalization(epsilon=1e-3, momentum=0.9) for _ in range(3))
    out = layers.Dense(3)

    def call(x: Any) -> Any:
        y = b2(c2(layers.ReLU()(b1(c1(layers.ZeroPadding2D(1)(x))))))
        return out(layers.GlobalAveragePooling2D()(layers.ReLU()(layers.Add()([y, b3(c3(x))]))))

    k = functional(x_k, call)
    carry([(t.c1, c1), (t.b1, b1), (t.c2, c2), (t.b2, b2), (t.c3, c3), (t.b3, b3), (t.out, out)])
    return Port(t, k, x_t, x_k)


@port
def mobilenet_block() -> Port:
    """Depthwise and pointwise convolutions with relu6."""
    nn, layers, _ = _both()
    x_t, x_k = images(4, 8)
    t = randomize(nn.Sequential(
        nn.Conv2d(4, 8, 1), nn.ReLU6(), nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.BatchNorm2d(8, eps=1e-3),
        nn.ReLU6(), nn.Conv2d(8, 4, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3),
    ))  # fmt: skip
    ks = [layers.Conv2D(8, 1), layers.DepthwiseConv2D(3, padding="same"),
          layers.BatchNormalization(epsilon=1e-3, momentum=0.9), layers.Conv2D(4, 1), layers.Dense(3)]  # fmt: skip
    k = functional(x_k, chained(ks[0], layers.ReLU(max_value=6), ks[1], ks[2], layers.ReLU(max_value=6), ks[3],
                                layers.GlobalAveragePooling2D(), ks[4]))  # fmt: skip
    carry(zip((t[0], t[2], t[3], t[5], t[8]), ks, strict=True))
    return Port(t, k, x_t, x_k)


@port
def inception() -> Port:
    """Parallel branches concatenated over channels, whose axis differs."""
    nn, layers, _ = _both()
    x_t, x_k = images(3, 8)

    class Inception(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 3, padding=1)
            self.c, self.pool = nn.Conv2d(3, 2, 5, padding=2), nn.AvgPool2d(3, 1, 1, count_include_pad=False)
            self.d = nn.Conv2d(10, 3, 1)

        def forward(self, x: Any) -> Any:
            import torch

            return self.d(torch.cat([self.a(x).relu(), self.b(x).relu(), self.c(self.pool(x)).relu()], 1))

    t = randomize(Inception())
    ks = [layers.Conv2D(n, s, padding="same", activation="relu") for n, s in ((4, 1), (4, 3), (2, 5))]
    last = layers.Conv2D(3, 1)

    def call(x: Any) -> Any:
        pooled = layers.AveragePooling2D(3, 1, padding="same")(x)
        return last(layers.Concatenate()([ks[0](x), ks[1](x), ks[2](pooled)]))

    k = functional(x_k, call)
    carry([(t.a, ks[0]), (t.b, ks[1]), (t.c, ks[2]), (t.d, last)])
    return Port(t, k, x_t, x_k)


@port
def unet() -> Port:
    """Pool, bilinear upsampling on one level, transposed convolution on the other, skips."""
    nn, layers, _ = _both()
    x_t, x_k = images(2, 8)

    class UNet(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 6, 3, padding=1)
            self.c, self.up = nn.Conv2d(6, 4, 3, padding=1), nn.ConvTranspose2d(4, 4, 2, 2)
            self.d = nn.Conv2d(8, 2, 3, padding=1)
            self.resize = nn.Upsample(scale_factor=2, mode="bilinear")

        def forward(self, x: Any) -> Any:
            import torch
            from torch.nn import functional

            a = self.a(x).relu()
            b = self.b(functional.max_pool2d(a, 2)).relu()
            low = self.resize(self.c(functional.max_pool2d(b, 2)).relu())
            return self.d(torch.cat([a, self.up(low)], 1))

    t = randomize(UNet())
    a, b, c = (layers.Conv2D(n, 3, padding="same", activation="relu") for n in (4, 6, 4))
    up, d = layers.Conv2DTranspose(4, 2, 2), layers.Conv2D(2, 3, padding="same")

    def call(x: Any) -> Any:
        first = a(x)
        second = b(layers.MaxPooling2D(2)(first))
        low = layers.UpSampling2D(interpolation="bilinear")(c(layers.MaxPooling2D(2)(second)))
        return d(layers.Concatenate()([first, up(low)]))

    k = functional(x_k, call)
    carry([(t.a, a), (t.b, b), (t.c, c), (t.up, up), (t.d, d)])
    return Port(t, k, x_t, x_k)


@port
def autoencoder() -> Port:
    """Strided convolutions down, nearest upsampling and transposed convolutions up."""
    nn, layers, _ = _both()
    x_t, x_k = images(2, 8)
    t = randomize(nn.Sequential(
        nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(2, 4, 3, 2), nn.ELU(), nn.Upsample(scale_factor=2),
        nn.ConvTranspose2d(4, 3, 3, padding=1), nn.SELU(), nn.Conv2d(3, 2, 3, padding=1), nn.Sigmoid(),
    ))  # fmt: skip
    ks = [layers.Conv2D(4, 3, 2, padding="same"), layers.Conv2DTranspose(3, 3, padding="same"),
          layers.Conv2D(2, 3, padding="same")]  # fmt: skip
    k = functional(x_k, chained(ks[0], layers.ELU(), layers.UpSampling2D(), ks[1], layers.Activation("selu"), ks[2],
                                layers.Activation("sigmoid")))  # fmt: skip
    carry([(t[1], ks[0]), (t[4], ks[1]), (t[6], ks[2])])
    return Port(t, k, x_t, x_k)


@port
def squeeze_excite() -> Port:
    """Channel attention: a broadcast product."""
    nn, layers, _ = _both()
    x_t, x_k = images(4, 8)

    class SE(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.down, self.up = nn.Conv2d(4, 8, 3, padding=1), nn.Conv2d(8, 2, 1), nn.Conv2d(2, 8, 1)
            self.act, self.gate = nn.SiLU(), nn.Hardsigmoid()

        def forward(self, x: Any) -> Any:
            x = self.act(self.a(x))
            return x * self.gate(self.up(self.down(x.mean((2, 3), keepdim=True)).relu()))

    t = randomize(SE())
    a = layers.Conv2D(8, 3, padding="same", activation="silu")
    down, up = layers.Dense(2, activation="relu"), layers.Dense(8, activation="hard_sigmoid")

    def call(x: Any) -> Any:
        x = a(x)
        scale = up(down(layers.GlobalAveragePooling2D()(x)))
        return layers.Multiply()([x, layers.Reshape((1, 1, 8))(scale)])

    k = functional(x_k, call)
    carry([(t.a, a)])
    for module, layer in ((t.down, down), (t.up, up)):
        layer.set_weights([module.weight.detach().numpy()[:, :, 0, 0].T, module.bias.detach().numpy()])
    return Port(t, k, x_t, x_k)


@port
def group_norm_net() -> Port:
    """Group norm in two layouts."""
    nn, layers, _ = _both()
    x_t, x_k = images(3, 8)
    t = randomize(nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.GroupNorm(4, 8, eps=1e-3), nn.LeakyReLU(0.2),
                                nn.Conv2d(8, 3, 1)))  # fmt: skip
    ks = [layers.Conv2D(8, 3, padding="same"), layers.GroupNormalization(4, epsilon=1e-3), layers.Conv2D(3, 1)]
    k = functional(x_k, chained(ks[0], ks[1], layers.LeakyReLU(negative_slope=0.2), ks[2]))
    carry(zip((t[0], t[1], t[3]), ks, strict=True))
    return Port(t, k, x_t, x_k)


@port
def residual_mlp() -> Port:
    """Layer norm, GELU, residuals."""
    nn, layers, _ = _both()
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
    nn, layers, _ = _both()
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


class _Last:
    """A torch recurrent layer whose last step is read by a dense layer."""

    def __new__(cls, cell: Any, size: int, **options: Any) -> Any:
        from torch import nn

        class Net(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.cell, self.out = cell(6, size, batch_first=True, **options), nn.Linear(size, 2)

            def forward(self, x: Any) -> Any:
                return self.out(self.cell(x)[0][:, -1])

        return randomize(Net())


def _recurrent(t: Any, layer: Any) -> Port:
    _, layers, _ = _both()
    x_t, x_k = sequences()
    out = layers.Dense(2)
    k = functional(x_k, chained(layer, out))
    carry([(t.cell, layer), (t.out, out)])
    return Port(t, k, x_t, x_k)


@port
def lstm() -> Port:
    """Two biases on one side, one on the other."""
    nn, layers, _ = _both()
    return _recurrent(_Last(nn.LSTM, 4), layers.LSTM(4))


@port
def gru() -> Port:
    """Gates in another order; reset after the product on both sides."""
    nn, layers, _ = _both()
    return _recurrent(_Last(nn.GRU, 4), layers.GRU(4, reset_after=True))


@port
def simple_rnn() -> Port:
    """The plain recurrence."""
    nn, layers, _ = _both()
    return _recurrent(_Last(nn.RNN, 4), layers.SimpleRNN(4))


@port
def bidirectional_lstm() -> Port:
    """Both directions, every step returned."""
    nn, layers, _ = _both()
    x_t, x_k = sequences()

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell, self.out = nn.LSTM(6, 4, batch_first=True, bidirectional=True), nn.Linear(8, 2)

        def forward(self, x: Any) -> Any:
            return self.out(self.cell(x)[0])

    t = randomize(Net())
    cell, out = layers.Bidirectional(layers.LSTM(4, return_sequences=True)), layers.Dense(2)
    k = functional(x_k, chained(cell, out))
    carry([(t.cell, cell), (t.out, out)])
    return Port(t, k, x_t, x_k)


@port
def encoder_block() -> Port:
    """A fused attention module with stacked projections against Keras's separate ones; layer norm after."""
    nn, layers, _ = _both()
    x_t, x_k = _wide()

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.att = nn.MultiheadAttention(8, 2, batch_first=True)
            self.n1, self.n2 = nn.LayerNorm(8, eps=1e-6), nn.LayerNorm(8, eps=1e-6)
            self.a, self.b = nn.Linear(8, 16), nn.Linear(16, 8)

        def forward(self, x: Any) -> Any:
            x = self.n1(x + self.att(x, x, x, need_weights=False)[0])
            return self.n2(x + self.b(self.a(x).relu()))

    t = randomize(Block())
    att, n1, n2 = layers.MultiHeadAttention(2, 4), *(layers.LayerNormalization(epsilon=1e-6) for _ in range(2))
    a, b = layers.Dense(16, activation="relu"), layers.Dense(8)

    def call(x: Any) -> Any:
        x = n1(layers.Add()([x, att(x, x)]))
        return n2(layers.Add()([x, b(a(x))]))

    k = functional(x_k, call)
    carry([(t.att, att), (t.n1, n1), (t.n2, n2), (t.a, a), (t.b, b)])
    return Port(t, k, x_t, x_k)


def _wide() -> tuple[Any, np.ndarray]:
    return sequences(5, 8, 2)


@port
def decoder_block() -> Port:
    """Causal: fused on one side, a mask of minus infinity on the other."""
    nn, layers, _ = _both()
    x_t, x_k = _wide()

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.qkv, self.out = nn.Linear(8, 24), nn.Linear(8, 8)
            self.n = nn.LayerNorm(8, eps=1e-6)

        def forward(self, x: Any) -> Any:
            q, k, v = (p.unflatten(-1, (2, 4)).transpose(1, 2) for p in self.qkv(self.n(x)).chunk(3, -1))
            y = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            return x + self.out(y.transpose(1, 2).flatten(2))

    t = randomize(Block())
    att, n = layers.MultiHeadAttention(2, 4), layers.LayerNormalization(epsilon=1e-6)

    def call(x: Any) -> Any:
        y = n(x)
        return layers.Add()([x, att(y, y, use_causal_mask=True)])

    k = functional(x_k, call)
    carry([(t.n, n)])
    state = {k_: v.detach().numpy() for k_, v in t.state_dict().items()}
    parts = []
    for w, b in zip(np.split(state["qkv.weight"], 3), np.split(state["qkv.bias"], 3), strict=True):
        parts += [w.T.reshape(8, 2, 4), b.reshape(2, 4)]
    att.set_weights([*parts, state["out.weight"].T.reshape(2, 4, 8), state["out.bias"]])
    return Port(t, k, x_t, x_k)


@port
def patch_embedding() -> Port:
    """A strided convolution against a product with unfolded patches; a class token and learned positions."""
    nn, layers, ops = _both()
    x_t, x_k = images(3, 8)

    class Patches(nn.Module):
        def __init__(self) -> None:
            import torch

            super().__init__()
            self.p, self.n, self.h = nn.Conv2d(3, 6, 4, 4), nn.LayerNorm(6, eps=1e-6), nn.Linear(6, 3)
            self.token, self.place = nn.Parameter(torch.zeros(1, 1, 6)), nn.Parameter(torch.zeros(1, 5, 6))

        def forward(self, x: Any) -> Any:
            import torch

            y = self.p(x).flatten(2).transpose(1, 2)
            y = torch.cat([self.token.expand(len(y), -1, -1), y], 1) + self.place
            return self.h(self.n(y)[:, 0] + self.n(y)[:, 1:].mean(1))

    t = randomize(Patches())
    p, n, h = layers.Dense(6), layers.LayerNormalization(epsilon=1e-6), layers.Dense(3)
    token, place = t.token.detach().numpy(), t.place.detach().numpy()

    class Positions(layers.Layer):
        def build(self, shape: Any) -> None:
            self.token = self.add_weight(shape=(1, 1, 6), name="token")
            self.place = self.add_weight(shape=(1, 5, 6), name="place")

        def call(self, x: Any) -> Any:
            first = ops.repeat(self.token, ops.shape(x)[0], axis=0)
            return ops.concatenate([first, x], 1) + self.place

    positions = Positions()

    def call(x: Any) -> Any:
        y = layers.Reshape((2, 4, 2, 12))(x)
        y = layers.Reshape((4, 48))(layers.Permute((1, 3, 2, 4))(y))
        y = n(positions(p(y)))
        return h(y[:, 0] + ops.mean(y[:, 1:], 1))

    k = functional(x_k, call)
    carry([(t.n, n), (t.h, h)])
    p.set_weights([t.p.weight.detach().numpy().transpose(2, 3, 1, 0).reshape(48, 6), t.p.bias.detach().numpy()])
    positions.set_weights([token, place])
    return Port(t, k, x_t, x_k)


@port
def text_cnn() -> Port:
    """Embedding, two widths of convolution, maximum over time."""
    nn, layers, _ = _both()
    x_t, x_k = tokens()

    class Text(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.e, self.a, self.b = nn.Embedding(11, 5), nn.Conv1d(5, 4, 2), nn.Conv1d(5, 4, 3)
            self.out = nn.Linear(8, 2)

        def forward(self, x: Any) -> Any:
            import torch

            e = self.e(x).transpose(1, 2)
            return self.out(torch.cat([self.a(e).relu().amax(-1), self.b(e).relu().amax(-1)], -1))

    t = randomize(Text())
    e, a, b = layers.Embedding(11, 5), *(layers.Conv1D(4, n, activation="relu") for n in (2, 3))
    out = layers.Dense(2)

    def call(x: Any) -> Any:
        y = e(x)
        return out(layers.Concatenate()([layers.GlobalMaxPooling1D()(a(y)), layers.GlobalMaxPooling1D()(b(y))]))

    k = functional(x_k, call)
    carry([(t.e, e), (t.a, a), (t.b, b), (t.out, out)])
    return Port(t, k, x_t, x_k)


@port
def siamese() -> Port:
    """One encoder used twice; a distance."""
    nn, layers, ops = _both()
    x_t, x_k = sequences(2, 6)

    class Siamese(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(6, 8), nn.Linear(8, 4)

        def forward(self, x: Any) -> Any:
            one, two = (self.b(nn.functional.softplus(self.a(x[:, i]))) for i in (0, 1))
            return ((one - two) ** 2).sum(-1, keepdim=True).sqrt()

    t = randomize(Siamese())
    a, b = layers.Dense(8, activation="softplus"), layers.Dense(4)

    def call(x: Any) -> Any:
        one, two = b(a(x[:, 0])), b(a(x[:, 1]))
        return ops.norm(one - two, axis=-1, keepdims=True)

    k = functional(x_k, call)
    carry([(t.a, a), (t.b, b)])
    return Port(t, k, x_t, x_k)


@port
def gpt() -> Port:
    """Rotary positions (complex pairs as halves), causal attention, RMS norm, tied output."""
    nn, layers, ops = _both()
    x_t, x_k = tokens(5, 11)
    angles = np.outer(np.arange(5), 10000.0 ** (-np.arange(2) / 2)).astype(np.float32)
    cos, sin = (np.concatenate([f(angles)] * 2, -1) for f in (np.cos, np.sin))

    class GPT(nn.Module):
        def __init__(self) -> None:
            import torch

            super().__init__()
            self.e, self.n = nn.Embedding(11, 8), nn.RMSNorm(8, eps=1e-6)
            self.q, self.k, self.v, self.o = (nn.Linear(8, 8, bias=False) for _ in range(4))
            self.register_buffer("cos_", torch.from_numpy(cos), persistent=False)
            self.register_buffer("sin_", torch.from_numpy(sin), persistent=False)

        def rotated(self, x: Any) -> Any:
            import torch

            a, b = x.chunk(2, -1)
            return x * self.cos_ + torch.cat([-b, a], -1) * self.sin_

        def forward(self, x: Any) -> Any:
            x = self.e(x)
            y = self.n(x)
            q, k, v = (p(y).unflatten(-1, (2, 4)).transpose(1, 2) for p in (self.q, self.k, self.v))
            y = nn.functional.scaled_dot_product_attention(self.rotated(q), self.rotated(k), v, is_causal=True)
            return (x + self.o(y.transpose(1, 2).flatten(2))) @ self.e.weight.T

    t = GPT()
    buffers = t.cos_, t.sin_
    t.cos_, t.sin_ = (b.clone() for b in buffers)
    randomize(t)
    t.cos_, t.sin_ = buffers

    class Tied(layers.Embedding):
        def call(self, x: Any) -> Any:
            return ops.matmul(x, ops.transpose(self.embeddings)) if x.ndim == 3 else super().call(x)

        def compute_output_shape(self, shape: Any) -> Any:
            return (*shape[:-1], 11) if len(shape) == 3 else super().compute_output_shape(shape)

    e, n = Tied(11, 8), layers.RMSNormalization(epsilon=1e-6)
    q, kk, v, o = (layers.Dense(8, use_bias=False) for _ in range(4))

    def rotated(x: Any) -> Any:
        a, b = x[..., :2], x[..., 2:]
        c, s = cos[:, :2][:, None], sin[:, :2][:, None]
        return ops.concatenate([a * c - b * s, b * c + a * s], -1)

    def call(x: Any) -> Any:
        x = e(x)
        y = n(x)
        heads = [ops.reshape(p(y), (-1, 5, 2, 4)) for p in (q, kk, v)]
        scores = ops.einsum("bqhd,bkhd->bhqk", rotated(heads[0]), rotated(heads[1])) / 2.0
        scores = scores + (1 - np.tri(5, dtype=np.float32)) * -1e9
        y = ops.einsum("bhqk,bkhd->bqhd", ops.softmax(scores), heads[2])
        return e(x + o(ops.reshape(y, (-1, 5, 8))))

    k = functional(x_k, call)
    carry([(t.e, e), (t.n, n), (t.q, q), (t.k, kk), (t.v, v), (t.o, o)])
    return Port(t, k, x_t, x_k)


@port
def folded_batch_norm() -> Port:
    """Batch norm in inference on one side; folded into the convolution before it on the other."""
    nn, layers, _ = _both()
    x_t, x_k = images(3, 8)
    t = randomize(nn.Sequential(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5), nn.ReLU(), nn.Conv2d(5, 2, 3))).eval()
    ks = [layers.Conv2D(5, 3, activation="relu"), layers.Conv2D(2, 3)]
    k = functional(x_k, chained(*ks))
    s = {name: v.detach().numpy().astype(np.float64) for name, v in t[1].state_dict().items()}
    scale = s["weight"] / np.sqrt(s["running_var"] + 1e-5)
    kernel = t[0].weight.detach().numpy().transpose(2, 3, 1, 0) * scale
    bias = (t[0].bias.detach().numpy() - s["running_mean"]) * scale + s["bias"]
    ks[0].set_weights([kernel, bias])
    carry([(t[3], ks[1])])
    return Port(t, k, x_t, x_k, train=False)
