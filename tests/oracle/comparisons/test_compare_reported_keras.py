"""Differences between Keras or TensorFlow and torch as users reported them: named, proved, nothing else said."""

import numpy as np
import pytest

from oracle.comparisons.comparing import compare
from oracle.comparisons.comparison import Meaning

torch = pytest.importorskip("torch")
keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")
nn, F, layers = torch.nn, torch.nn.functional, keras.layers

LABELS = np.float32([[1], [0], [1], [1], [0], [0]])
PAIRS, PORTS = {}, {}


def _x(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def _t(x):
    return torch.from_numpy(np.ascontiguousarray(x))


def _put(parameter, array):
    with torch.no_grad():
        parameter.copy_(_t(np.asarray(array)))


def _keras(shape, *parts):
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input(shape), *parts])


def _both(x, **options):
    return {"inputs_a": x, "inputs_b": _t(x), **options}


def _images(x, **options):
    return {"inputs_a": x, "inputs_b": _t(np.moveaxis(x, -1, 1)), **options}


def _functions(a, b, x, **options):
    return a, b, {"inputs_a": tf.constant(x), "inputs_b": _t(x), "framework": ("tensorflow", "torch"), **options}


def reported(*codes):
    """Register a pair with the codes that must be named."""

    def register(make):
        PAIRS[make.__name__] = (codes, make)
        return make

    return register


def port(make):
    """Register a pair that means the same."""
    PORTS[make.__name__] = make
    return make


@reported("variance-ddof", "eps")
def layer_norm_of_the_annotated_transformer():
    """https://github.com/codertimo/BERT-pytorch/issues/30: std(correction=1) + eps for sqrt(var + eps)."""
    k = _keras((10,), layers.Dense(8), layers.LayerNormalization(epsilon=1e-3))
    weight, bias = (_t(np.asarray(w)) for w in k.layers[0].get_weights())

    def norm(x):
        h = x @ weight + bias
        return (h - h.mean(-1, keepdim=True)) / (h.std(-1, keepdim=True) + 1e-6)

    return k, norm, _both(_x(6, 10), framework=("keras", "torch"))


@reported("variance-ddof")
def variance_of_the_fused_batch_norm():
    """TensorFlow 1's fused norm gives the unbiased variance to the running statistics."""
    ones = np.ones(3, np.float32)
    fused = lambda x: tf.compat.v1.nn.fused_batch_norm(x, ones, 0 * ones, is_training=True)[2]  # noqa: E731
    return _functions(fused, lambda x: x.var((0, 1, 2), correction=0), _x(2, 4, 5, 3))


def _attention(heads_last=False, batch_first=True):
    torch.manual_seed(0)
    m = nn.MultiheadAttention(8, 2, batch_first=batch_first)
    _put(m.in_proj_bias, _x(24, seed=4))

    def split(w):
        return w.reshape(*w.shape[:-1], 4, 2).swapaxes(-1, -2) if heads_last else w.reshape(*w.shape[:-1], 2, 4)

    weights, biases = (np.split(p.detach().numpy(), 3) for p in (m.in_proj_weight, m.in_proj_bias))
    stacked = [(w.T, b) for w, b in zip(weights, biases, strict=True)]
    out = m.out_proj.weight.detach().numpy().T
    layer = layers.MultiHeadAttention(2, 4)
    layer.build((3, 5, 8), (3, 5, 8))
    merged = out.reshape(4, 2, 8).swapaxes(0, 1) if heads_last else out.reshape(2, 4, 8)
    layer.set_weights([*(split(w) for pair in stacked for w in pair), merged, m.out_proj.bias.detach().numpy()])
    given = keras.Input((5, 8))

    class Attended(nn.Module):
        def __init__(self):
            super().__init__()
            self.m = m

        def forward(self, x):
            return self.m(x, x, x, need_weights=False)[0]

    return keras.Model(given, layer(given, given)), Attended(), _both(_x(3, 5, 8))


@reported("batch-first")
def attention_across_the_batch():
    """The default of nn.MultiheadAttention is batch_first=False, Keras has samples first."""
    return _attention(batch_first=False)


@reported("head-layout")
def heads_split_as_size_and_heads():
    """https://github.com/keras-team/keras/issues/18373: how weights of the two multi-head attentions correspond."""
    return _attention(heads_last=True)


@reported("kernel-layout")
def depthwise_kernel_with_a_multiplier():
    """https://github.com/pytorch/pytorch/issues/3618: output channels are (channel, multiplier), not the other way."""
    k = _keras((6, 6, 3), layers.DepthwiseConv2D(3, depth_multiplier=2), layers.ReLU())
    c = nn.Conv2d(3, 6, 3, groups=3)
    _put(c.weight, np.transpose(np.asarray(k.layers[0].kernel), (3, 2, 0, 1)).reshape(6, 1, 3, 3))
    _put(c.bias, k.layers[0].bias)
    return k, nn.Sequential(c, nn.ReLU()), _images(_x(2, 6, 6, 3))


@reported("indexing")
def crop_of_an_odd_size():
    """torchvision's center_crop rounds half of the margin, Keras's CenterCrop cuts it."""
    k = _keras((7, 7, 3), layers.CenterCrop(4, 4), layers.Conv2D(2, 3))
    c = nn.Conv2d(3, 2, 3)
    _put(c.weight, np.transpose(np.asarray(k.layers[1].kernel), (3, 2, 0, 1)))
    _put(c.bias, k.layers[1].bias)
    return k, lambda x: c(x[:, :, 2:6, 2:6]), _images(_x(2, 7, 7, 3), framework=("keras", "torch"))


@reported("masking")
def padded_steps_of_the_outputs():
    """Keras repeats the last output on masked steps, pad_packed_sequence leaves zeros."""
    x = _x(2, 3, 2)
    x[0, 2:] = 0
    k = _keras((3, 2), layers.Masking(), layers.LSTM(2, return_sequences=True))
    m = nn.LSTM(2, 2, batch_first=True)
    kernel, recurrent, bias = k.get_weights()
    for p, array in zip(m.parameters(), (kernel.T, recurrent.T, bias, 0 * bias), strict=True):
        _put(p, array)

    def packed(x):
        given = nn.utils.rnn.pack_padded_sequence(x, torch.tensor([2, 3]), batch_first=True, enforce_sorted=False)
        return nn.utils.rnn.pad_packed_sequence(m(given)[0], batch_first=True)[0]

    return k, packed, _both(x, framework=("keras", "torch"))


@reported("label-smoothing")
def smoothing_of_binary_labels():
    """https://github.com/eladhoffer/utils.pytorch/issues/13: (t + eps) / 2 for t (1 - eps) + eps / 2."""
    k = _keras((10,), layers.Dense(1, activation="sigmoid"))
    m = nn.Sequential(nn.Linear(10, 1), nn.Sigmoid())
    _put(m[0].weight, np.asarray(k.layers[0].kernel).T)
    _put(m[0].bias, k.layers[0].bias)
    losses = keras.losses.BinaryCrossentropy(label_smoothing=0.1), lambda p, t: F.binary_cross_entropy(p, (t + 0.1) / 2)
    return k, m, {"inputs": _x(6, 10), "target": LABELS, "loss": losses, "train_step": True}


@reported("weights-shared")
def frozen_layer():
    """layer.trainable = False in Keras, and the torch port trains it."""
    k = _keras((10,), layers.Dense(4, activation="tanh"), layers.Dense(1))
    m = nn.Sequential(nn.Linear(10, 4), nn.Tanh(), nn.Linear(4, 1))
    for module, layer in ((m[0], k.layers[0]), (m[2], k.layers[1])):
        _put(module.weight, np.asarray(layer.kernel).T)
        _put(module.bias, layer.bias)
    k.layers[0].trainable = False
    losses = keras.losses.MeanSquaredError(), nn.MSELoss()
    return k, m, {"inputs": _x(6, 10), "target": LABELS, "loss": losses, "train_step": True}


@reported("weights-exchanged", "eps")
def norm_with_gamma_for_beta():
    """Keras's get_weights() in another order than torch's, and eps at its default in both."""
    k = _keras((6,), layers.Dense(4), layers.BatchNormalization(), layers.Dense(2))
    norm = k.layers[1]
    norm.set_weights([1 + 0.3 * _x(4, seed=1), _x(4, seed=2), _x(4, seed=3), 0.02 + 0.02 * _x(4, seed=4) ** 2])
    m = nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)).eval()
    for module, layer in ((m[0], k.layers[0]), (m[2], k.layers[2])):
        _put(module.weight, np.asarray(layer.kernel).T)
        _put(module.bias, layer.bias)
    for array, source in zip((m[1].bias, m[1].weight, *list(m[1].buffers())[:2]), norm.get_weights(), strict=True):
        _put(array, source)
    return k, m, _both(_x(5, 6))


@reported("kernel-flip")
def flipped_kernel_inside_of_a_decoder():
    """A transposed convolution of stride 2 and kernel 2 with its kernel flipped, and a convolution behind it."""
    k = _keras((4, 4, 3), layers.Conv2DTranspose(4, 2, strides=2), layers.Conv2D(2, 3))
    up, c = nn.ConvTranspose2d(3, 4, 2, 2), nn.Conv2d(4, 2, 3)
    _put(up.weight, np.transpose(np.asarray(k.layers[0].kernel), (3, 2, 0, 1))[:, :, ::-1, ::-1])
    _put(c.weight, np.transpose(np.asarray(k.layers[1].kernel), (3, 2, 0, 1)))
    for module, layer in ((up, k.layers[0]), (c, k.layers[1])):
        _put(module.bias, layer.bias)
    return k, nn.Sequential(up, c), _images(_x(2, 4, 4, 3))


@reported("nan-gradient")
def gradient_of_a_norm_at_zero():
    """tf.norm of a row of zeros: 0 / 0 in its derivative, where torch has zero."""
    x = _x(3, 4)
    x[1] = 0
    a = lambda x: tf.reduce_sum(tf.norm(x, axis=-1))  # noqa: E731
    x_torch = _t(x).requires_grad_()
    _, b, options = _functions(a, lambda x: torch.linalg.vector_norm(x, dim=-1).sum(), x, train_step=True)
    return a, b, options | {"inputs_b": x_torch}


@reported("padding", "weights-not-loaded")
def transposed_convolution_without_its_bias():
    """https://github.com/pytorch/pytorch/issues/80301: 'same' padding; and a bias forgotten at the same operation."""
    k = _keras((5, 5, 3), layers.Conv2DTranspose(4, 3, strides=2, padding="same", bias_initializer="normal"))
    c = nn.ConvTranspose2d(3, 4, 3, 2, 1, output_padding=1)
    _put(c.weight, np.transpose(np.asarray(k.layers[0].kernel), (3, 2, 0, 1)))
    _put(c.bias, np.zeros(4))
    return k, c, _images(_x(1, 5, 5, 3))


@reported("flatten-order", "weights-not-loaded")
def flattened_and_without_the_last_bias():
    """https://henrysky.github.io/blog/2023-10-23-keras-torch: a Conv1D flattened; and the last bias still zero."""
    k = _keras((8, 3), layers.Conv1D(4, 3), layers.Flatten(), layers.Dense(2, bias_initializer="normal"))
    c, d = nn.Conv1d(3, 4, 3), nn.Linear(24, 2)
    _put(c.weight, np.transpose(np.asarray(k.layers[0].kernel), (2, 1, 0)))
    _put(c.bias, k.layers[0].bias)
    _put(d.weight, np.asarray(k.layers[2].kernel).T)
    _put(d.bias, np.zeros(2))
    return k, nn.Sequential(c, nn.Flatten(), d), _images(_x(3, 8, 3))


def _masked(weigh, product):
    factors = [0.3 * _x(6, 4, seed=i) for i in (1, 2, 3)]

    def attended(x):
        q, k, v = (product(x, w) for w in factors)
        return product(weigh(product(q, k, True) / 2), v)

    return attended


KEEP = np.float32([[1, 1, 1, 0], [1, 1, 0, 0]])[:, None, :]


def _of_tensorflow(weigh):
    return _masked(weigh, lambda x, y, turned=False: tf.matmul(x, y, transpose_b=turned))


def _of_torch(weigh):
    def product(x, y, turned=False):
        y = _t(y) if isinstance(y, np.ndarray) else y
        return x @ (y.mT if turned else y)

    return _masked(weigh, product)


@port
def masked_after_the_softmax_and_normalised_again():
    """https://github.com/abisee/pointer-generator/issues/88: the same as a mask before the softmax."""

    def weigh(scores):
        p = tf.nn.softmax(scores) * KEEP
        return p / tf.reduce_sum(p, -1, keepdims=True)

    b = _of_torch(lambda s: torch.softmax(s.masked_fill(_t(KEEP) == 0, float("-inf")), -1))
    return _functions(_of_tensorflow(weigh), b, _x(2, 4, 6))


@port
def masked_by_minus_ten_thousand():
    """BERT adds -10000 to hidden scores, others -inf: exp(-10000) is zero in every format."""
    b = _of_torch(lambda s: torch.softmax(s.masked_fill(_t(KEEP) == 0, float("-inf")), -1))
    return _functions(_of_tensorflow(lambda s: tf.nn.softmax(s - (1 - KEEP) * 10000.0)), b, _x(2, 4, 6))


@pytest.mark.parametrize("name", PAIRS)
def test_a_report_is_named_and_proved(name):
    codes, make = PAIRS[name]
    a, b, options = make()
    found = compare(a, b, budgets=False, **options)
    assert found.verdict is Meaning.DIFFERENT
    assert {c.code for c in found.causes} == set(codes), str(found)
    assert found.causes[-1].residual <= 1e-5 * found.causes[0].before


@pytest.mark.parametrize("name", PORTS)
def test_a_port_means_the_same(name):
    a, b, options = PORTS[name]()
    assert compare(a, b, **options).verdict is Meaning.SAME
