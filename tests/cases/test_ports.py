"""Ports: pooling, transposed convolutions, resizing, activations, statistics, precisions, shifts, initial weights."""

import copy

import numpy as np
import pytest
from casebook import case, parts, verify

import oracle

keras = pytest.importorskip("keras")
torch = pytest.importorskip("torch")
tf = pytest.importorskip("tensorflow")
jax = pytest.importorskip("jax")
jnp = jax.numpy
nn, F = torch.nn, torch.nn.functional
DRAW = np.random.default_rng(9)


def _x(*shape):
    return DRAW.normal(size=shape).astype("float32")


def _nchw(x):
    return torch.from_numpy(x.transpose(0, 3, 1, 2).copy())


@case("PRT03", "AveragePooling 'same': torch counts the padding", "pool-padding")
def pooling():
    x = _x(2, 7, 5, 3)
    layer = keras.layers.AveragePooling2D(3, 1, "same")
    return oracle.compare(layer, nn.AvgPool2d(3, 1, 1), inputs_a=x, inputs_b=_nchw(x))


def _transposed(kernel, stride, flip):
    torch.manual_seed(0)
    t, x = nn.ConvTranspose2d(3, 4, kernel, stride=stride), _x(1, 5, 6, 3)
    weight, bias = t.weight.detach().numpy(), t.bias.detach().numpy()
    axes, options = ((2, 3, 0, 1), {}) if flip else ((2, 3, 1, 0), {"transpose_kernel": True})
    numbers = ("NHWC", "HWIO", "NHWC")

    def of_jax(x):
        return (
            jax.lax.conv_transpose(
                x, weight.transpose(axes), (stride, stride), "VALID", dimension_numbers=numbers, **options
            )
            + bias
        )

    return oracle.compare(t, of_jax, inputs_a=_nchw(x), inputs_b=jnp.asarray(x))


@case("PRT05", "lax.conv_transpose does not flip the kernel", "kernel-flip")
def not_flipped():
    return _transposed(3, 2, flip=True)


@case("PRT05", "The same with windows that do not overlap", "kernel-flip")
def not_flipped_apart():
    return _transposed(3, 3, flip=True)


@case("PRT05", "lax.conv_transpose(transpose_kernel=True) (negative control)")
def flipped():
    return _transposed(3, 2, flip=False)


def _image():
    return DRAW.random((1, 9, 9, 2)).astype("float32")


def _resized(a, **options):
    x = _image()
    b = lambda x: F.interpolate(x, size=(18, 18), mode="bilinear", **options)  # noqa: E731
    return oracle.compare(a, b, inputs_a=tf.constant(x), inputs_b=_nchw(x))


@case("PRT07", "Bilinear resize with half-pixel centres in both (negative control)")
def half_pixel():
    return _resized(lambda x: tf.image.resize(x, (18, 18)))


@case("PRT07", "Bilinear resize: align_corners", "resize-convention")
def align_corners():
    return _resized(lambda x: tf.image.resize(x, (18, 18)), align_corners=True)


@case("PRT07", "Bilinear resize of TensorFlow 1", "resize-convention")
def legacy():
    return _resized(lambda x: tf.raw_ops.ResizeBilinear(images=x, size=(18, 18)))


@case("PRT08", "Resizing down: JAX antialiases by default", "resize-convention")
def antialias():
    x = _image()
    a = lambda x: jax.image.resize(x, (1, 4, 4, 2), "bilinear")  # noqa: E731
    b = lambda x: F.interpolate(x, size=(4, 4), mode="bilinear")  # noqa: E731
    return oracle.compare(a, b, inputs_a=jnp.asarray(x), inputs_b=_nchw(x))


@case("PRT10", "jax.nn.gelu has the tanh form by default", "gelu-form")
def gelu():
    x = _x(5, 20)
    return oracle.compare(jax.nn.gelu, F.gelu, inputs_a=jnp.asarray(x), inputs_b=torch.from_numpy(x))


@case("PRT11", "keras.ops.gelu and keras.activations.gelu have opposite defaults", "gelu-form")
def two_gelus():
    function, activation = (keras.ops.gelu), (keras.activations.gelu)
    return oracle.compare(function, activation, tf.constant(_x(5, 20)))


@case("PRT13", "std: torch divides by n - 1", "variance-ddof")
def std():
    x = _x(6, 5)
    a, b = (lambda x: torch.std(x, 0)), (lambda x: tf.math.reduce_std(x, 0))
    return oracle.compare(a, b, inputs_a=torch.from_numpy(x), inputs_b=tf.constant(x))


@case("PRT14", "A dilated convolution in two frameworks (negative control)")
def convolution():
    x, w = _x(1, 11, 10, 16), _x(3, 5, 16, 6)
    layer = keras.layers.Conv2D(6, (3, 5), padding="same", dilation_rate=(2, 1), use_bias=False)
    layer.build(x.shape)
    layer.set_weights([w])
    weight = torch.from_numpy(w.transpose(3, 2, 0, 1).copy())
    function = lambda x: F.conv2d(F.pad(x, (2, 2, 2, 2)), weight, dilation=(2, 1))  # noqa: E731
    return oracle.compare(layer, function, inputs_a=x, inputs_b=_nchw(x))


@case("PRT17", "A model against its own bfloat16 copy: the difference is that format's rounding (negative control)")
def policy():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(12, 16), nn.GELU(), nn.LayerNorm(16), nn.Linear(16, 4))
    x = torch.from_numpy(_x(5, 12))
    return oracle.compare(model, copy.deepcopy(model).bfloat16(), inputs_a=x, inputs_b=x.bfloat16())


@case(
    "PRT20",
    "A centred unembedding: every logit of a token shifted alike",
    "constant",
    optional=("weights-differ", "shift-along-axis"),
)
def centred():
    h, w = torch.from_numpy(_x(5, 12)), torch.from_numpy(_x(12, 30))
    moved = w - w.mean(1, keepdim=True)
    return oracle.compare(lambda h: h @ w, lambda h: h @ moved, h)


@case("PRT21", "A softmax in the model before CrossEntropyLoss", "double-softmax")
def softmax_twice():
    torch.manual_seed(0)
    body, x, y = nn.Linear(8, 5), torch.from_numpy(_x(6, 8)), torch.tensor([0, 1, 2, 3, 4, 0])
    a = lambda x: F.cross_entropy(body(x), y)  # noqa: E731
    return oracle.compare(a, lambda x: F.cross_entropy(torch.softmax(body(x), 1), y), x)


@pytest.mark.parametrize("part", parts(__name__), ids=lambda p: p.name)
def test_the_tool_says_what_it_is(part):
    verify(part)
