"""Porting mistakes: the same small network in torch and in Keras with one thing wrong, by the code of the cause."""
# ruff: noqa: PLC0415 - the backend is chosen before Keras is imported

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from zoo_compare import carry, chained, functional, gates, images, randomize, sequences, tokens


@dataclass
class Mistake:
    """Two models that should agree and do not, and how each is recorded."""

    a: Any
    b: Any
    x_a: Any
    x_b: Any
    options: dict[str, Any] = field(default_factory=dict)


MISTAKES: dict[str, tuple[tuple[str, ...], Callable[[], Mistake]]] = {}


def mistake(*codes: str) -> Callable:
    """Register a mistake that `compare` must name by these codes."""

    def register(function: Callable[[], Mistake]) -> Callable[[], Mistake]:
        MISTAKES[function.__name__] = (codes, function)
        return function

    return register


def _modules() -> tuple[Any, Any, Any]:
    import keras
    from torch import nn

    return nn, keras.layers, keras.ops


def _conv_net(middle_t: Any, middle_k: Any, *, train: bool = False, channels: int = 4, size: int = 8) -> Mistake:
    """Convolution, something, convolution; `middle_k` has its own weights carried if it has any."""
    nn, layers, _ = _modules()
    x_t, x_k = images(3, size)
    t = randomize(nn.Sequential(nn.Conv2d(3, channels, 3, padding=1), middle_t, nn.Conv2d(channels, 2, 1)))
    t.train(train)
    first, last = layers.Conv2D(channels, 3, padding="same"), layers.Conv2D(2, 1)
    k = functional(x_k, chained(first, middle_k, last))
    carry([(t[0], first), (t[2], last)])
    if list(middle_t.parameters()):
        carry([(middle_t, middle_k)])
    return Mistake(t, k, x_t, x_k)


def _dense_net(middle_t: Any, middle_k: Any, size: int = 8) -> Mistake:
    nn, layers, _ = _modules()
    x_t, x_k = sequences(5, 6)
    t = randomize(nn.Sequential(nn.Linear(6, size), middle_t, nn.Linear(size, 3))).eval()
    first, last = layers.Dense(size), layers.Dense(3)
    k = functional(x_k, chained(first, middle_k, last))
    carry([(t[0], first), (t[2], last)])
    if list(middle_t.parameters()):
        carry([(middle_t, middle_k)])
    return Mistake(t, k, x_t, x_k)


def _training(m: Mistake) -> Mistake:
    """The same, recorded for a training step."""
    import torch

    y = np.random.default_rng(5).normal(size=tuple(m.a.eval()(m.x_a).shape)).astype(np.float32)
    m.a.train()
    ours = y.transpose(0, 2, 3, 1) if y.ndim == 4 else y
    m.options = {"train_step": True, "target": (torch.from_numpy(y), ours),
                 "loss": (torch.nn.functional.mse_loss, "mean_squared_error")}  # fmt: skip
    return m


@mistake("eps")
def batch_norm_eps() -> Mistake:
    nn, layers, _ = _modules()
    return _conv_net(nn.BatchNorm2d(4), layers.BatchNormalization())


@mistake("eps", "variance-ddof")
def batch_norm_eps_training() -> Mistake:
    nn, layers, _ = _modules()
    return _training(_conv_net(nn.BatchNorm2d(4, momentum=0.01), layers.BatchNormalization()))


@mistake("eps")
def layer_norm_eps() -> Mistake:
    nn, layers, _ = _modules()
    return _dense_net(nn.LayerNorm(8), layers.LayerNormalization())


@mistake("eps")
def group_norm_eps() -> Mistake:
    nn, layers, _ = _modules()
    return _conv_net(nn.GroupNorm(2, 4), layers.GroupNormalization(2))


@mistake("eps")
def rms_norm_eps() -> Mistake:
    nn, layers, _ = _modules()
    return _dense_net(nn.RMSNorm(8, eps=1e-5), layers.RMSNormalization(epsilon=1e-3))


@mistake("momentum-convention", "variance-ddof")
def batch_norm_momentum() -> Mistake:
    nn, layers, _ = _modules()
    return _training(_conv_net(nn.BatchNorm2d(4, eps=1e-3), layers.BatchNormalization()))


@mistake("momentum-convention", "variance-ddof")
def batch_norm_momentum_copied() -> Mistake:
    nn, layers, _ = _modules()
    return _training(_conv_net(nn.BatchNorm2d(4, eps=1e-3, momentum=0.99), layers.BatchNormalization()))


@mistake("variance-ddof")
def running_variance() -> Mistake:
    nn, layers, _ = _modules()
    return _training(_conv_net(nn.BatchNorm2d(4, eps=1e-3, momentum=0.01), layers.BatchNormalization()))


@mistake("train-eval-mode")
def torch_left_in_training() -> Mistake:
    nn, layers, _ = _modules()
    return _conv_net(nn.BatchNorm2d(4, eps=1e-3), layers.BatchNormalization(), train=True)


@mistake("train-eval-mode")
def keras_left_in_training() -> Mistake:
    nn, layers, _ = _modules()
    m = _conv_net(nn.BatchNorm2d(4, eps=1e-3), layers.BatchNormalization())
    norm = layers.BatchNormalization()
    first, last = layers.Conv2D(4, 3, padding="same"), layers.Conv2D(2, 1)
    m.b = functional(m.x_b, lambda x: last(norm(first(x), training=True)))
    carry([(m.a[0], first), (m.a[1], norm), (m.a[2], last)])
    return m


@mistake("dropout-active")
def dropout_left_on() -> Mistake:
    nn, layers, _ = _modules()
    m = _dense_net(nn.Dropout(0.5), layers.Dropout(0.5))
    m.a.train()
    return m


@mistake("padding")
def same_padding_with_stride() -> Mistake:
    nn, layers, _ = _modules()
    x_t, x_k = images(3, 8)
    t = randomize(nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU(), nn.Conv2d(4, 2, 1)))
    first, last = layers.Conv2D(4, 3, 2, padding="same", activation="relu"), layers.Conv2D(2, 1)
    k = functional(x_k, chained(first, last))
    carry([(t[0], first), (t[2], last)])
    return Mistake(t, k, x_t, x_k)


@mistake("padding")
def padded_or_not() -> Mistake:
    nn, layers, _ = _modules()
    x_t, x_k = images(3, 8)
    t = randomize(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)))
    first, last = layers.Conv2D(4, 3, padding="same", activation="relu"), layers.Dense(2)
    k = functional(x_k, chained(first, layers.GlobalAveragePooling2D(), last))
    carry([(t[0], first), (t[4], last)])
    return Mistake(t, k, x_t, x_k)


@mistake("padding")
def zeros_on_the_other_side() -> Mistake:
    nn, layers, _ = _modules()
    x_t, x_k = images(3, 8)
    t = randomize(nn.Sequential(nn.ZeroPad2d((1, 0, 1, 0)), nn.Conv2d(3, 4, 3, 2), nn.ReLU(), nn.Conv2d(4, 2, 1)))
    first, last = layers.Conv2D(4, 3, 2, activation="relu"), layers.Conv2D(2, 1)
    k = functional(x_k, chained(layers.ZeroPadding2D(((0, 1), (0, 1))), first, last))
    carry([(t[1], first), (t[3], last)])
    return Mistake(t, k, x_t, x_k)


@mistake("padding")
def causal_convolution() -> Mistake:
    nn, layers, _ = _modules()
    x_t, x_k = sequences(6, 5)
    t = randomize(nn.Sequential(nn.Conv1d(5, 4, 3, padding=1), nn.ReLU(), nn.Conv1d(4, 2, 1)))
    first, last = layers.Conv1D(4, 3, padding="causal", activation="relu"), layers.Conv1D(2, 1)
    k = functional(x_k, chained(first, last))
    carry([(t[0], first), (t[2], last)])
    return Mistake(t, k, x_t.transpose(1, 2).contiguous(), x_k)


@mistake("padding")
def reflected_padding() -> Mistake:
    nn, layers, _ = _modules()
    x_t, x_k = images(3, 8)
    t = randomize(nn.Sequential(nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect"), nn.ReLU(), nn.Conv2d(4, 2, 1)))
    first, last = layers.Conv2D(4, 3, padding="same", activation="relu"), layers.Conv2D(2, 1)
    k = functional(x_k, chained(first, last))
    carry([(t[0], first), (t[2], last)])
    return Mistake(t, k, x_t, x_k)


@mistake("pool-padding")
def average_counts_padding() -> Mistake:
    nn, layers, _ = _modules()
    return _conv_net(nn.AvgPool2d(3, 1, 1), layers.AveragePooling2D(3, 1, padding="same"))


@mistake("pool-padding")
def max_pool_same() -> Mistake:
    nn, layers, _ = _modules()
    return _conv_net(nn.MaxPool2d(3, 2, 1), layers.MaxPooling2D(3, 2, padding="same"))


@mistake("kernel-flip")
def flipped_kernel() -> Mistake:
    nn, layers, _ = _modules()
    m = _conv_net(nn.ReLU(), layers.ReLU())
    layer = m.b.layers[1]
    kernel, bias = layer.get_weights()
    layer.set_weights([kernel[::-1, ::-1], bias])
    return m


@mistake("kernel-layout")
def transposed_dense() -> Mistake:
    nn, layers, _ = _modules()
    m = _dense_net(nn.Linear(8, 8), layers.Dense(8))
    kernel, bias = m.b.layers[2].get_weights()
    m.b.layers[2].set_weights([kernel.T, bias])
    return m


@mistake("kernel-layout")
def conv_transpose_channels() -> Mistake:
    nn, layers, _ = _modules()
    m = _conv_net(nn.ConvTranspose2d(4, 4, 2, 2), layers.Conv2DTranspose(4, 2, 2))
    kernel, bias = m.b.layers[2].get_weights()
    m.b.layers[2].set_weights([kernel.transpose(0, 1, 3, 2), bias])
    return m


@mistake("kernel-layout")
def kernel_rows_and_columns() -> Mistake:
    nn, layers, _ = _modules()
    m = _conv_net(nn.ReLU(), layers.ReLU())
    kernel, bias = m.b.layers[1].get_weights()
    m.b.layers[1].set_weights([kernel.transpose(1, 0, 2, 3), bias])
    return m


@mistake("data-layout")
def channels_read_as_rows() -> Mistake:
    nn, layers, _ = _modules()
    m = _conv_net(nn.ReLU(), layers.ReLU())
    m.x_b = m.x_a.numpy().reshape(m.x_b.shape)
    return m


@mistake("flatten-order")
def flattened_in_another_order() -> Mistake:
    nn, layers, _ = _modules()
    x_t, x_k = images(3, 6)
    t = randomize(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 5)))
    first, last = layers.Conv2D(4, 3, activation="relu"), layers.Dense(5)
    k = functional(x_k, chained(first, layers.Flatten(), last))
    carry([(t[0], first), (t[3], last)])
    return Mistake(t, k, x_t, x_k)


class _Cell:
    """A torch recurrent layer and a dense one over a chosen part of what it returns."""

    def __new__(cls, cell: Any, size: int = 4, pick: Callable = lambda y: y[0][:, -1], **options: Any) -> Any:
        from torch import nn

        class Net(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.cell = cell(6, size, **{"batch_first": True, **options})
                self.out = nn.Linear(size * (2 if options.get("bidirectional") else 1), 2)

            def forward(self, x: Any) -> Any:
                return self.out(pick(self.cell(x)))

        return randomize(Net())


def _recurrent(t: Any, layer: Any, change: Callable | None = None, length: int = 5) -> Mistake:
    _, layers, _ = _modules()
    x_t, x_k = sequences(length)
    out = layers.Dense(2)
    k = functional(x_k, chained(layer, out))
    carry([(t.cell, layer), (t.out, out)])
    if change is not None:
        layer.set_weights(change(layer.get_weights()))
    return Mistake(t, k, x_t, x_k)


@mistake("gate-order")
def lstm_gates() -> Mistake:
    nn, layers, _ = _modules()
    return _recurrent(_Cell(nn.LSTM), layers.LSTM(4),
                      lambda ws: [gates(w.T, (0, 2, 1, 3), 4).T for w in ws])  # fmt: skip


@mistake("gate-order")
def gru_gates() -> Mistake:
    nn, layers, _ = _modules()
    return _recurrent(_Cell(nn.GRU), layers.GRU(4), lambda ws: [gates(w.T, (1, 0, 2), 3).T for w in ws])


@mistake("double-bias")
def lstm_bias_twice() -> Mistake:
    import torch

    nn, layers, _ = _modules()
    t = _Cell(nn.LSTM)
    m = _recurrent(t, layers.LSTM(4))
    with torch.no_grad():
        bias = torch.from_numpy(m.b.layers[1].get_weights()[2])
        t.cell.bias_ih_l0.copy_(bias)
        t.cell.bias_hh_l0.copy_(bias)
    return m


@mistake("reset-after")
def gru_reset() -> Mistake:
    nn, layers, _ = _modules()
    t = _Cell(nn.GRU)
    layer, out = layers.GRU(4, reset_after=False), layers.Dense(2)
    x_t, x_k = sequences()
    k = functional(x_k, chained(layer, out))
    s = {n: v.detach().numpy() for n, v in t.cell.state_dict().items()}
    order = (1, 0, 2)
    ih, hh = (gates(s[n], order, 3).T for n in ("weight_ih_l0", "weight_hh_l0"))
    layer.set_weights([ih, hh, gates(s["bias_ih_l0"] + s["bias_hh_l0"], order, 3)])
    carry([(t.out, out)])
    return Mistake(t, k, x_t, x_k)


@mistake("forget-bias")
def lstm_forget_bias() -> Mistake:
    nn, layers, _ = _modules()
    return _recurrent(_Cell(nn.LSTM), layers.LSTM(4),
                      lambda ws: [*ws[:2], ws[2] + np.repeat([0, 1, 0, 0], 4).astype(np.float32)])  # fmt: skip


@mistake("reverse-direction")
def backward_direction_not_turned() -> Mistake:
    import torch

    nn, layers, _ = _modules()
    t = _Cell(nn.LSTM, bidirectional=True, pick=lambda y: torch.cat([y[0][..., :4], y[0][..., 4:].flip(1)], -1))
    return _recurrent(t, layers.Bidirectional(layers.LSTM(4, return_sequences=True)))


@mistake("reverse-direction")
def last_step_of_both_directions() -> Mistake:
    nn, layers, _ = _modules()
    return _recurrent(_Cell(nn.LSTM, bidirectional=True), layers.Bidirectional(layers.LSTM(4)))


@mistake("reverse-direction")
def runs_backward() -> Mistake:
    nn, layers, _ = _modules()
    return _recurrent(_Cell(nn.LSTM), layers.LSTM(4, go_backwards=True))


@mistake("batch-first")
def time_read_as_batch() -> Mistake:
    nn, layers, _ = _modules()
    return _recurrent(_Cell(nn.LSTM, batch_first=False, pick=lambda y: y[0]), layers.LSTM(4, return_sequences=True))


@mistake("batch-first")
def last_of_the_batch() -> Mistake:
    nn, layers, _ = _modules()
    return _recurrent(_Cell(nn.GRU, batch_first=False, pick=lambda y: y[0][:, -1]), layers.GRU(4))


@mistake("masking")
def padded_steps_processed() -> Mistake:
    nn, layers, _ = _modules()
    x_t, x_k = tokens(6)
    x_t[0, 4:] = 0
    x_t[1, 3:] = 0
    x_k = x_t.numpy().astype(np.int32)

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.e, self.cell, self.out = nn.Embedding(11, 5), nn.LSTM(5, 4, batch_first=True), nn.Linear(4, 2)

        def forward(self, x: Any) -> Any:
            return self.out(self.cell(self.e(x))[0][:, -1])

    t = randomize(Net())
    e, cell, out = layers.Embedding(11, 5, mask_zero=True), layers.LSTM(4), layers.Dense(2)
    k = functional(x_k, chained(e, cell, out))
    carry([(t.e, e), (t.cell, cell), (t.out, out)])
    return Mistake(t, k, x_t, x_k)


@mistake("resize-convention")
def corners_aligned() -> Mistake:
    nn, layers, _ = _modules()
    return _conv_net(nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True),
                     layers.UpSampling2D(2, interpolation="bilinear"))  # fmt: skip


@mistake("resize-convention")
def cubic_coefficients() -> Mistake:
    nn, layers, _ = _modules()
    return _conv_net(nn.Upsample(scale_factor=2, mode="bicubic"), layers.UpSampling2D(2, interpolation="bicubic"))


@mistake("resize-convention")
def nearest_rounding() -> Mistake:
    nn, layers, _ = _modules()
    return _conv_net(nn.Upsample(size=(5, 5), mode="nearest"), layers.Resizing(5, 5, interpolation="nearest"))


@mistake("resize-convention")
def antialiased() -> Mistake:
    nn, layers, _ = _modules()
    return _conv_net(nn.Upsample(size=(5, 5), mode="bilinear"), layers.Resizing(5, 5, antialias=True))


@mistake("gelu-form")
def gelu_form() -> Mistake:
    nn, layers, ops = _modules()
    return _dense_net(nn.GELU(), layers.Lambda(ops.gelu))


@mistake("activation-slope")
def leaky_slope() -> Mistake:
    nn, layers, _ = _modules()
    return _dense_net(nn.LeakyReLU(), layers.LeakyReLU())


@mistake("activation-slope")
def elu_alpha() -> Mistake:
    nn, layers, _ = _modules()
    return _dense_net(nn.ELU(0.5), layers.ELU())


@mistake("activation-variant")
def hard_swish_for_swish() -> Mistake:
    nn, layers, _ = _modules()
    return _dense_net(nn.Hardswish(), layers.Activation("swish"))


@mistake("activation-variant")
def relu6_for_relu() -> Mistake:
    nn, layers, _ = _modules()
    m = _dense_net(nn.ReLU6(), layers.ReLU())
    m.x_a, m.x_b = m.x_a * 8, m.x_b * 8
    return m


@mistake("weights-not-loaded")
def bias_still_zero() -> Mistake:
    nn, layers, _ = _modules()
    m = _dense_net(nn.ReLU(), layers.ReLU())
    kernel, bias = m.b.layers[1].get_weights()
    m.b.layers[1].set_weights([kernel, 0 * bias])
    return m


@mistake("weights-not-loaded")
def statistics_not_loaded() -> Mistake:
    nn, layers, _ = _modules()
    m = _conv_net(nn.BatchNorm2d(4, eps=1e-3), layers.BatchNormalization())
    gamma, beta, mean, variance = m.b.layers[2].get_weights()
    m.b.layers[2].set_weights([gamma, beta, 0 * mean, 0 * variance + 1])
    return m


@mistake("weights-differ")
def another_checkpoint() -> Mistake:
    nn, layers, _ = _modules()
    m = _dense_net(nn.ReLU(), layers.ReLU())
    kernel, bias = m.b.layers[3].get_weights()
    m.b.layers[3].set_weights([kernel + 0.01 * np.sin(np.arange(kernel.size)).reshape(kernel.shape), bias])
    return m


@mistake("double-softmax")
def softmax_twice() -> Mistake:
    nn, layers, _ = _modules()
    return _dense_net(nn.Softmax(-1), chained(layers.Softmax(), layers.Softmax()))


@mistake("softmax-axis")
def softmax_over_the_wrong_axis() -> Mistake:
    nn, layers, _ = _modules()
    return _dense_net(nn.Softmax(1), layers.Softmax())


@mistake("normalization-axes")
def layer_norm_over_more_axes() -> Mistake:
    nn, layers, _ = _modules()
    return _dense_net(nn.LayerNorm((5, 8), eps=1e-3, elementwise_affine=False),
                      layers.LayerNormalization(center=False, scale=False))  # fmt: skip


@mistake("extra-node")
def forgotten_activation() -> Mistake:
    nn, layers, _ = _modules()
    return _dense_net(nn.Identity(), layers.ReLU())


@mistake("missing-node")
def forgotten_residual() -> Mistake:
    nn, layers, _ = _modules()

    class Residual(nn.Module):
        def forward(self, x: Any) -> Any:
            return x + x.tanh()

    return _dense_net(Residual(), layers.Activation("tanh"))


def _attention(torch_side: Callable, keras_side: Callable) -> Mistake:
    """Projections to q, k, v of four heads of two; either side says what is done with them."""
    nn, layers, ops = _modules()
    x_t, x_k = sequences(5, 8, 2)

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.q, self.k, self.v, self.o = (nn.Linear(8, 8) for _ in range(4))

        def forward(self, x: Any) -> Any:
            q, k, v = (p(x).unflatten(-1, (2, 4)).transpose(1, 2) for p in (self.q, self.k, self.v))
            return self.o(torch_side(q, k, v).transpose(1, 2).flatten(2))

    t = randomize(Net())
    q, kk, v, o = (layers.Dense(8) for _ in range(4))

    def call(x: Any) -> Any:
        heads = [ops.transpose(ops.reshape(p(x), (-1, 5, 2, 4)), (0, 2, 1, 3)) for p in (q, kk, v)]
        return o(ops.reshape(ops.transpose(keras_side(*heads), (0, 2, 1, 3)), (-1, 5, 8)))

    k = functional(x_k, call)
    carry([(t.q, q), (t.k, kk), (t.v, v), (t.o, o)])
    return Mistake(t, k, x_t, x_k)


def _scores(q: Any, k: Any, v: Any, scale: float = 0.5, mask: Any = None) -> Any:
    import keras

    scores = keras.ops.matmul(q, keras.ops.transpose(k, (0, 1, 3, 2))) * scale
    return keras.ops.matmul(keras.ops.softmax(scores if mask is None else scores + mask), v)


@mistake("attention-scale")
def unscaled_attention() -> Mistake:
    from torch.nn import functional as f

    return _attention(f.scaled_dot_product_attention, lambda q, k, v: _scores(q, k, v, 1.0))


@mistake("attention-scale")
def scaled_by_the_width() -> Mistake:
    from torch.nn import functional as f

    return _attention(f.scaled_dot_product_attention, lambda q, k, v: _scores(q, k, v, 8**-0.5))


@mistake("attention-mask")
def causal_mask_forgotten() -> Mistake:
    from torch.nn import functional as f

    return _attention(lambda q, k, v: f.scaled_dot_product_attention(q, k, v, is_causal=True), _scores)


@mistake("attention-mask")
def causal_mask_of_keras_alone() -> Mistake:
    from torch.nn import functional as f

    mask = (1 - np.tri(5, dtype=np.float32)) * -1e9
    return _attention(f.scaled_dot_product_attention, lambda q, k, v: _scores(q, k, v, 0.5, mask))


@mistake("attention-mask")
def mask_of_the_other_polarity() -> Mistake:
    import torch
    from torch.nn import functional as f

    allowed = np.tri(5, dtype=bool)
    allowed[:, 4] = True
    allowed[4, 4] = False
    mask = np.where(allowed, 0, -1e9).astype(np.float32)
    return _attention(lambda q, k, v: f.scaled_dot_product_attention(q, k, v, attn_mask=torch.from_numpy(~allowed)),
                      lambda q, k, v: _scores(q, k, v, 0.5, mask))  # fmt: skip


@mistake("rotary-layout")
def rotary_pairs() -> Mistake:
    import keras
    import torch

    angles = np.outer(np.arange(5), [1.0, 0.01]).astype(np.float32)
    cos, sin = np.cos(angles), np.sin(angles)

    def halves(x: Any) -> Any:
        a, b = x[..., :2], x[..., 2:]
        return torch.cat([a * torch.from_numpy(cos) - b * torch.from_numpy(sin),
                          b * torch.from_numpy(cos) + a * torch.from_numpy(sin)], -1)  # fmt: skip

    def pairs(x: Any) -> Any:
        a, b = x[..., ::2], x[..., 1::2]
        turned = keras.ops.stack([a * cos - b * sin, b * cos + a * sin], -1)
        return keras.ops.reshape(turned, (-1, 2, 5, 4))

    def torch_side(q: Any, k: Any, v: Any) -> Any:
        return torch.nn.functional.scaled_dot_product_attention(halves(q), halves(k), v)

    return _attention(torch_side, lambda q, k, v: _scores(pairs(q), pairs(k), v))


@mistake("embedding-padding")
def padding_row_trained() -> Mistake:
    import torch

    nn, layers, _ = _modules()
    x_t, x_k = tokens(5)
    x_t[:, 3:] = 0
    x_k = x_t.numpy().astype(np.int32)
    t = nn.Sequential(randomize(nn.Embedding(11, 4, padding_idx=0)), randomize(nn.Linear(4, 3)))
    e, out = layers.Embedding(11, 4), layers.Dense(3)
    k = functional(x_k, chained(e, out))
    carry([(t[0], e), (t[1], out)])
    m = Mistake(t, k, x_t, x_k)
    y = np.random.default_rng(5).normal(size=(2, 5, 3)).astype(np.float32)
    m.options = {"train_step": True, "target": (torch.from_numpy(y), y),
                 "loss": (torch.nn.functional.mse_loss, "mean_squared_error")}  # fmt: skip
    return m


@mistake("embedding-padding")
def padding_row_zero() -> Mistake:
    m = padding_row_trained()
    m.options = {}
    (weights,) = m.b.layers[1].get_weights()
    weights[0] = 0
    m.b.layers[1].set_weights([weights])
    return m


@mistake("weights-shared")
def untied_head() -> Mistake:
    nn, layers, _ = _modules()
    x_t, x_k = tokens(5)

    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.e, self.m = nn.Embedding(11, 4), nn.Linear(4, 4)

        def forward(self, x: Any) -> Any:
            return self.m(self.e(x)).tanh() @ self.e.weight.T

    t = randomize(Tied())
    e, m, out = layers.Embedding(11, 4), layers.Dense(4, activation="tanh"), layers.Dense(11, use_bias=False)
    k = functional(x_k, chained(e, m, out))
    carry([(t.e, e), (t.m, m)])
    out.set_weights([t.e.weight.detach().numpy().T])
    return _training(Mistake(t, k, x_t, x_k))


def compare_mistake(name: str) -> Any:
    """`oracle.compare` of a mistake."""
    from oracle.comparing import compare

    m = MISTAKES[name][1]()
    return compare(m.a, m.b, inputs_a=m.x_a, inputs_b=m.x_b, **m.options)
