"""Correct ports of convolutional networks."""
# ruff: noqa: PLC0415 - the backend is chosen before Keras is imported

from typing import Any

import numpy as np
from zoo_compare import carry, chained, functional, images, randomize, tokens
from zoo_registry import Port, modules, port


@port
def lenet() -> Port:
    """Flatten in two orders: the first dense kernel is carried in Keras's."""
    nn, layers, _ = modules()
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
    nn, layers, _ = modules()
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
    nn, layers, _ = modules()
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
    nn, layers, _ = modules()
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
    nn, layers, _ = modules()
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
    nn, layers, _ = modules()
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
    nn, layers, _ = modules()
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
    nn, layers, _ = modules()
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
    nn, layers, _ = modules()
    x_t, x_k = images(3, 8)
    t = randomize(nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.GroupNorm(4, 8, eps=1e-3), nn.LeakyReLU(0.2),
                                nn.Conv2d(8, 3, 1)))  # fmt: skip
    ks = [layers.Conv2D(8, 3, padding="same"), layers.GroupNormalization(4, epsilon=1e-3), layers.Conv2D(3, 1)]
    k = functional(x_k, chained(ks[0], ks[1], layers.LeakyReLU(negative_slope=0.2), ks[2]))
    carry(zip((t[0], t[1], t[3]), ks, strict=True))
    return Port(t, k, x_t, x_k)


@port
def folded_batch_norm() -> Port:
    """Batch norm in inference on one side; folded into the convolution before it on the other."""
    nn, layers, _ = modules()
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


@port
def text_cnn() -> Port:
    """Embedding, two widths of convolution, maximum over time."""
    nn, layers, _ = modules()
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
