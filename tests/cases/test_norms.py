"""Normalisation layers: eps, its place, momentum, the order of the weights, cancellation."""

import numpy as np
import pytest
from casebook import case, parts, verify

import oracle

keras = pytest.importorskip("keras")
torch = pytest.importorskip("torch")
tf = pytest.importorskip("tensorflow")
nn = torch.nn
DRAW = np.random.default_rng(4)


def _x(*shape, scale=1.0, shift=0.0):
    return (DRAW.normal(size=shape) * scale + shift).astype("float32")


def _batch_norms(**torch_options):
    """Keras's and torch's inference layer with the same statistics, some variances small, and an image for each."""
    weights = [_x(6, scale=0.2, shift=1), _x(6), _x(6), (10 ** DRAW.uniform(-4, 0, 6)).astype("float32")]
    x = _x(3, 5, 5, 6)
    a = keras.layers.BatchNormalization()
    a.build(x.shape)
    a.set_weights(weights)
    b = nn.BatchNorm2d(6, **torch_options).eval()
    with torch.no_grad():
        for p, w in zip((b.weight, b.bias, b.running_mean, b.running_var), weights, strict=True):
            p.copy_(torch.from_numpy(w))
    return a, b, x, torch.from_numpy(x.transpose(0, 3, 1, 2).copy())


@case("NRM01", "BatchNorm: eps 1e-3 in Keras, 1e-5 in torch", "eps")
def defaults():
    a, b, x, y = _batch_norms()
    return oracle.compare(a, b, inputs_a=x, inputs_b=y)


@case("NRM01", "BatchNorm with the same eps (negative control)")
def aligned():
    a, b, x, y = _batch_norms(eps=1e-3)
    return oracle.compare(a, b, inputs_a=x, inputs_b=y)


def _momentum(value):
    x = _x(12, 5, shift=2.0)
    a = keras.layers.BatchNormalization(momentum=0.99, epsilon=1e-5)
    a.build(x.shape)
    options = {"train_step": True, "target": (x, torch.from_numpy(x))}
    losses = (lambda t, y: keras.ops.sum(y * t), lambda y, t: (y * t).sum())
    b = nn.BatchNorm1d(5, momentum=value).train()
    return oracle.compare(a, b, inputs_a=x, inputs_b=torch.from_numpy(x), loss=losses, **options)


@case("NRM03", "BatchNorm: Keras's momentum copied to torch", "momentum-convention", "variance-ddof")
def momentum_copied():
    return _momentum(0.99)


@case("NRM03", "BatchNorm with complementary momentum: the stored variance is unbiased in torch", "variance-ddof")
def momentum_right():
    return _momentum(0.01)


@case("NRM06", "LayerNorm of small variations around a large mean (repaired; negative control)")
def large_mean():
    x = torch.from_numpy(_x(3, 2048, scale=0.01, shift=100.0))

    def definition(x):
        return (x - x.mean(-1, keepdims=True)) / (x.var(-1, keepdims=True) + 1e-5) ** 0.5

    return oracle.check(lambda x: nn.functional.layer_norm(x, (2048,)), reference=definition, inputs=x)


@case("NRM07", "LayerNorm of two close numbers: eps is most of the variance", "eps")
def two_numbers():
    x = np.float32([[0.21, 0.28], [0.5, 0.47]])
    a = keras.layers.LayerNormalization()
    a.build(x.shape)
    return oracle.compare(a, nn.LayerNorm(2), inputs_a=x, inputs_b=torch.from_numpy(x))


@case("NRM08", "LayerNorm: eps 1e-12 of the checkpoint, 1e-5 by default", "eps")
def checkpoint():
    return oracle.compare(nn.LayerNorm(64), nn.LayerNorm(64, eps=1e-12), torch.from_numpy(_x(3, 64, scale=0.5)))


@case("NRM10", "GroupNorm: eps 1e-3 in Keras, 1e-5 in torch", "eps")
def group_norm():
    x = _x(2, 4, 5, 12, scale=0.03)
    a = keras.layers.GroupNormalization(groups=4)
    a.build(x.shape)
    return oracle.compare(a, nn.GroupNorm(4, 12), inputs_a=x, inputs_b=torch.from_numpy(x.transpose(0, 3, 1, 2).copy()))


@case("NRM12", "Normalisation with eps outside the root", "eps")
def outside():
    x = torch.from_numpy(_x(40, 6, scale=0.04, shift=1))
    inside = lambda x: (x - x.mean(0)) / torch.sqrt(x.var(0, correction=0) + 1e-3)  # noqa: E731
    outside = lambda x: (x - x.mean(0)) / (torch.sqrt(x.var(0, correction=0)) + 1e-3)  # noqa: E731
    return oracle.compare(inside, outside, x)


@case("NRM13", "BatchNorm: gamma passed for beta", "weights-exchanged")
def order_of_weights():
    x, gamma, beta, mean = _x(7, 5), _x(5), _x(5), _x(5)
    variance = np.abs(_x(5)) + 0.5
    layer = keras.layers.BatchNormalization()
    layer.build(x.shape)
    layer.set_weights([gamma, beta, mean, variance])
    function = lambda x: tf.nn.batch_normalization(x, mean, variance, gamma, beta, 1e-3)  # noqa: E731
    return oracle.compare(layer, function, inputs_a=x, inputs_b=tf.constant(x), framework=("keras", "tensorflow"))


@pytest.mark.parametrize("part", parts(__name__), ids=lambda p: p.name)
def test_the_tool_says_what_it_is(part):
    verify(part)
