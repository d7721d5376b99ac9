"""Mistakes in convolutions, pools and resizing: padding, kernels, layouts, flatten."""

from zoo_compare import carry, chained, functional, images, randomize, sequences
from zoo_registry import Mistake, mistake, modules
from zoo_small import conv_net, dense_net


@mistake("padding")
def same_padding_with_stride() -> Mistake:
    nn, layers, _ = modules()
    x_t, x_k = images(3, 8)
    t = randomize(nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU(), nn.Conv2d(4, 2, 1)))
    first, last = layers.Conv2D(4, 3, 2, padding="same", activation="relu"), layers.Conv2D(2, 1)
    k = functional(x_k, chained(first, last))
    carry([(t[0], first), (t[2], last)])
    return Mistake(t, k, x_t, x_k)


@mistake("padding")
def padded_or_not() -> Mistake:
    nn, layers, _ = modules()
    x_t, x_k = images(3, 8)
    t = randomize(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)))
    first, last = layers.Conv2D(4, 3, padding="same", activation="relu"), layers.Dense(2)
    k = functional(x_k, chained(first, layers.GlobalAveragePooling2D(), last))
    carry([(t[0], first), (t[4], last)])
    return Mistake(t, k, x_t, x_k)


@mistake("padding")
def zeros_on_the_other_side() -> Mistake:
    nn, layers, _ = modules()
    x_t, x_k = images(3, 8)
    t = randomize(nn.Sequential(nn.ZeroPad2d((1, 0, 1, 0)), nn.Conv2d(3, 4, 3, 2), nn.ReLU(), nn.Conv2d(4, 2, 1)))
    first, last = layers.Conv2D(4, 3, 2, activation="relu"), layers.Conv2D(2, 1)
    k = functional(x_k, chained(layers.ZeroPadding2D(((0, 1), (0, 1))), first, last))
    carry([(t[1], first), (t[3], last)])
    return Mistake(t, k, x_t, x_k)


@mistake("padding")
def causal_convolution() -> Mistake:
    nn, layers, _ = modules()
    x_t, x_k = sequences(6, 5)
    t = randomize(nn.Sequential(nn.Conv1d(5, 4, 3, padding=1), nn.ReLU(), nn.Conv1d(4, 2, 1)))
    first, last = layers.Conv1D(4, 3, padding="causal", activation="relu"), layers.Conv1D(2, 1)
    k = functional(x_k, chained(first, last))
    carry([(t[0], first), (t[2], last)])
    return Mistake(t, k, x_t.transpose(1, 2).contiguous(), x_k)


@mistake("padding")
def reflected_padding() -> Mistake:
    nn, layers, _ = modules()
    x_t, x_k = images(3, 8)
    t = randomize(nn.Sequential(nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect"), nn.ReLU(), nn.Conv2d(4, 2, 1)))
    first, last = layers.Conv2D(4, 3, padding="same", activation="relu"), layers.Conv2D(2, 1)
    k = functional(x_k, chained(first, last))
    carry([(t[0], first), (t[2], last)])
    return Mistake(t, k, x_t, x_k)


@mistake("pool-padding")
def average_counts_padding() -> Mistake:
    nn, layers, _ = modules()
    return conv_net(nn.AvgPool2d(3, 1, 1), layers.AveragePooling2D(3, 1, padding="same"))


@mistake("pool-padding")
def max_pool_same() -> Mistake:
    nn, layers, _ = modules()
    return conv_net(nn.MaxPool2d(3, 2, 1), layers.MaxPooling2D(3, 2, padding="same"))


@mistake("kernel-flip")
def flipped_kernel() -> Mistake:
    nn, layers, _ = modules()
    m = conv_net(nn.ReLU(), layers.ReLU())
    layer = m.b.layers[1]
    kernel, bias = layer.get_weights()
    layer.set_weights([kernel[::-1, ::-1], bias])
    return m


@mistake("kernel-layout")
def transposed_dense() -> Mistake:
    nn, layers, _ = modules()
    m = dense_net(nn.Linear(8, 8), layers.Dense(8))
    kernel, bias = m.b.layers[2].get_weights()
    m.b.layers[2].set_weights([kernel.T, bias])
    return m


@mistake("kernel-layout")
def conv_transpose_channels() -> Mistake:
    nn, layers, _ = modules()
    m = conv_net(nn.ConvTranspose2d(4, 4, 2, 2), layers.Conv2DTranspose(4, 2, 2))
    kernel, bias = m.b.layers[2].get_weights()
    m.b.layers[2].set_weights([kernel.transpose(0, 1, 3, 2), bias])
    return m


@mistake("kernel-layout")
def kernel_rows_and_columns() -> Mistake:
    nn, layers, _ = modules()
    m = conv_net(nn.ReLU(), layers.ReLU())
    kernel, bias = m.b.layers[1].get_weights()
    m.b.layers[1].set_weights([kernel.transpose(1, 0, 2, 3), bias])
    return m


@mistake("data-layout")
def channels_read_as_rows() -> Mistake:
    nn, layers, _ = modules()
    m = conv_net(nn.ReLU(), layers.ReLU())
    m.x_b = m.x_a.numpy().reshape(m.x_b.shape)
    return m


@mistake("flatten-order")
def flattened_in_another_order() -> Mistake:
    nn, layers, _ = modules()
    x_t, x_k = images(3, 6)
    t = randomize(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 5)))
    first, last = layers.Conv2D(4, 3, activation="relu"), layers.Dense(5)
    k = functional(x_k, chained(first, layers.Flatten(), last))
    carry([(t[0], first), (t[3], last)])
    return Mistake(t, k, x_t, x_k)


@mistake("resize-convention")
def corners_aligned() -> Mistake:
    nn, layers, _ = modules()
    return conv_net(nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True),
                     layers.UpSampling2D(2, interpolation="bilinear"))  # fmt: skip


@mistake("resize-convention")
def cubic_coefficients() -> Mistake:
    nn, layers, _ = modules()
    return conv_net(nn.Upsample(scale_factor=2, mode="bicubic"), layers.UpSampling2D(2, interpolation="bicubic"))


@mistake("resize-convention")
def nearest_rounding() -> Mistake:
    nn, layers, _ = modules()
    return conv_net(nn.Upsample(size=(5, 5), mode="nearest"), layers.Resizing(5, 5, interpolation="nearest"))


@mistake("resize-convention")
def antialiased() -> Mistake:
    nn, layers, _ = modules()
    return conv_net(nn.Upsample(size=(5, 5), mode="bilinear"), layers.Resizing(5, 5, antialias=True))
