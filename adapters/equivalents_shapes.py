"""Equivalent layers without weights: activations, pools, padding, resizing, flattening, dropout."""

from typing import Any

from oracle.adapters.equivalents import IMAGE, SEQUENCE, row

_IMAGES = {"x": "normal 2 7 6 4"}
_EVEN = {"x": "normal 2 6 8 4"}
_WINDOW = "lax.reduce_window(x, {init}, lax.{op}, (1, {k}, {k}, 1), (1, {s}, {s}, 1), '{pad}')"
_MAX = _WINDOW.format(init="-jnp.inf", op="max", k=2, s=2, pad="VALID")
_SUM = _WINDOW.format(init="0.0", op="add", k=3, s=1, pad="SAME")


def _function(name: str, keras: str, torch: str, jax: str, **more: Any) -> None:
    row(name, "activation", keras, torch, jax, inputs={"x": "normal 4 8"}, **more)


_function("ReLU", "layers.ReLU()", "nn.ReLU()", "jax.nn.relu(x)", args="max_value | | nn.ReLU6 is max_value=6")
_function("ReLU(max_value=6)", "layers.ReLU(max_value=6)", "nn.ReLU6()", "jax.nn.relu6(x)")
_function(
    "LeakyReLU",
    "layers.LeakyReLU()",
    "nn.LeakyReLU(0.3)",
    "jax.nn.leaky_relu(x, 0.3)",
    args="negative_slope | negative_slope |",
    traps=(("nn.LeakyReLU()", "the slope is 0.01 in torch, 0.3 in the Keras layer, 0.2 in its function"),),
)
_function(
    "leaky_relu",
    "keras.activations.leaky_relu",
    "nn.LeakyReLU(0.2)",
    "jax.nn.leaky_relu(x, 0.2)",
    args="negative_slope | negative_slope |",
    traps=(("nn.LeakyReLU()", "the slope is 0.01 in torch, 0.2 here"),),
)
_function("ELU", "layers.ELU()", "nn.ELU()", "jax.nn.elu(x)", args="alpha | alpha |")
_function("celu", "keras.activations.celu", "nn.CELU()", "jax.nn.celu(x)", args="alpha | alpha |")
_function("selu", "keras.activations.selu", "nn.SELU()", "jax.nn.selu(x)")
_function(
    "gelu",
    "keras.activations.gelu",
    "nn.GELU()",
    "jax.nn.gelu(x, approximate=False)",
    args="approximate | approximate | False is 'none', True is 'tanh'",
    note="keras.ops.gelu and jax.nn.gelu have the tanh form by default: the other function.",
    traps=(("nn.GELU(approximate='tanh')", "the tanh form, default of keras.ops.gelu and jax.nn.gelu"),),
)
_function(
    "gelu(approximate=True)",
    "lambda x: keras.activations.gelu(x, approximate=True)",
    "nn.GELU(approximate='tanh')",
    "jax.nn.gelu(x)",
    traps=(("nn.GELU()", "torch's default is the erf form"),),
)
_function("silu", "keras.activations.silu", "nn.SiLU()", "jax.nn.silu(x)")
_function("mish", "keras.activations.mish", "nn.Mish()", "jax.nn.mish(x)")
_function(
    "softplus",
    "keras.activations.softplus",
    "nn.Softplus()",
    "jax.nn.softplus(x)",
    note="torch is the identity above threshold=20, in float64 too: there it drops up to 2e-9.",
)
_function("softsign", "keras.activations.softsign", "nn.Softsign()", "jax.nn.soft_sign(x)")
_function("sigmoid", "keras.activations.sigmoid", "nn.Sigmoid()", "jax.nn.sigmoid(x)")
_function("log_sigmoid", "keras.activations.log_sigmoid", "nn.LogSigmoid()", "jax.nn.log_sigmoid(x)")
_function(
    "hard_sigmoid",
    "keras.activations.hard_sigmoid",
    "nn.Hardsigmoid()",
    "jax.nn.hard_sigmoid(x)",
    note="x / 6 + 1/2 since Keras 3. Keras 2 had 0.2 x + 1/2: weights trained there mean the old one.",
    traps=(("lambda x: (0.2 * x + 0.5).clamp(0, 1)", "the hard sigmoid of Keras 2"),),
)
_function("hard_silu", "keras.activations.hard_silu", "nn.Hardswish()", "jax.nn.hard_silu(x)")
_function("hard_tanh", "keras.activations.hard_tanh", "nn.Hardtanh()", "jax.nn.hard_tanh(x)")
_function("tanh", "keras.activations.tanh", "nn.Tanh()", "jnp.tanh(x)")
_function("tanh_shrink", "keras.activations.tanh_shrink", "nn.Tanhshrink()", "x - jnp.tanh(x)")
_function(
    "soft_shrink",
    "keras.activations.soft_shrink",
    "nn.Softshrink()",
    "jnp.sign(x) * jnp.maximum(jnp.abs(x) - 0.5, 0)",
    args="threshold | lambd |",
)
_function(
    "hard_shrink",
    "keras.activations.hard_shrink",
    "nn.Hardshrink()",
    "jnp.where(jnp.abs(x) > 0.5, x, 0)",
    args="threshold | lambd |",
)
_function(
    "squareplus", "keras.activations.squareplus", "lambda x: (x + (x * x + 4).sqrt()) / 2", "jax.nn.squareplus(x)"
)
_function("glu", "keras.activations.glu", "nn.GLU()", "jax.nn.glu(x)", args="axis | dim |")
_function(
    "Softmax",
    "layers.Softmax()",
    "nn.Softmax(-1)",
    "jax.nn.softmax(x)",
    args="axis | dim | None in torch guesses an axis and warns",
)
_function(
    "log_softmax", "keras.activations.log_softmax", "nn.LogSoftmax(-1)", "jax.nn.log_softmax(x)", args="axis | dim |"
)
_function(
    "Dropout (inference)",
    "layers.Dropout(0.5)",
    "nn.Dropout(0.5)",
    "x",
    args="rate | p | 0.5 by default in torch",
    note="In training both divide by 1 - rate; which elements fall is drawn by other generators: never equal.",
)
_function(
    "std",
    "lambda x: keras.ops.std(x, 0)",
    "lambda x: x.std(0, correction=0)",
    "x.std(0)",
    traps=(("lambda x: x.std(0)", "torch divides by n - 1 by default, the others by n"),),
)

row(
    "MaxPooling1D",
    "layer",
    "layers.MaxPooling1D(2)",
    "nn.MaxPool1d(2)",
    "lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 1), (1, 2, 1), 'VALID')",
    inputs={"x": "normal 3 7 4"},
    axes=SEQUENCE,
    args="pool_size | kernel_size |\nstrides | stride | None is the size of the window in both",
)
row(
    "MaxPooling2D",
    "layer",
    "layers.MaxPooling2D(2)",
    "nn.MaxPool2d(2)",
    _MAX,
    inputs=_IMAGES,
    axes=IMAGE,
    args="pool_size | kernel_size |\nstrides | stride | None is the size of the window in both\n"
    "padding | padding | names in Keras, counts in torch",
)
row(
    "MaxPooling2D(padding='same')",
    "layer",
    "layers.MaxPooling2D(2, padding='same')",
    "nn.MaxPool2d(2, ceil_mode=True)",
    _MAX.replace("VALID", "SAME"),
    inputs=_IMAGES,
    axes=IMAGE,
    traps=(("nn.MaxPool2d(2)", "torch drops the last row where the window does not fit"),),
)
row(
    "AveragePooling2D",
    "layer",
    "layers.AveragePooling2D(2)",
    "nn.AvgPool2d(2)",
    _MAX.replace("-jnp.inf", "0.0").replace("lax.max", "lax.add") + " / 4",
    inputs=_IMAGES,
    axes=IMAGE,
    args="pool_size | kernel_size |\nstrides | stride |\npadding | padding | names in Keras, counts in torch\n"
    " | count_include_pad | Keras never counts the padding",
)
row(
    "AveragePooling2D(padding='same')",
    "layer",
    "layers.AveragePooling2D(3, 1, 'same')",
    "nn.AvgPool2d(3, 1, 1, count_include_pad=False)",
    f"{_SUM} / {_SUM.replace('(x, ', '(jnp.ones_like(x), ')}",
    inputs=_IMAGES,
    axes=IMAGE,
    traps=(("nn.AvgPool2d(3, 1, 1)", "torch counts the zeros of the padding by default"),),
)
row(
    "GlobalAveragePooling2D",
    "layer",
    "layers.GlobalAveragePooling2D()",
    "nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())",
    "x.mean((1, 2))",
    inputs=_IMAGES,
    axes=IMAGE,
)
row(
    "GlobalMaxPooling2D",
    "layer",
    "layers.GlobalMaxPooling2D()",
    "nn.Sequential(nn.AdaptiveMaxPool2d(1), nn.Flatten())",
    "x.max((1, 2))",
    inputs=_IMAGES,
    axes=IMAGE,
)
row(
    "UpSampling2D",
    "layer",
    "layers.UpSampling2D(2)",
    "nn.Upsample(scale_factor=2)",
    "x.repeat(2, 1).repeat(2, 2)",
    inputs=_EVEN,
    axes=IMAGE,
    args="size | scale_factor |\ninterpolation | mode |",
)
row(
    "UpSampling2D(interpolation='bilinear')",
    "layer",
    "layers.UpSampling2D(2, interpolation='bilinear')",
    "nn.Upsample(scale_factor=2, mode='bilinear')",
    "jax.image.resize(x, (2, 12, 16, 4), 'bilinear')",
    inputs=_EVEN,
    axes=IMAGE,
    traps=(
        (
            "nn.Upsample(scale_factor=2, mode='bilinear', align_corners=True)",
            "Keras has half-pixel centres; align_corners=True maps the corners onto each other",
        ),
    ),
)
row(
    "ZeroPadding2D",
    "layer",
    "layers.ZeroPadding2D(((1, 2), (3, 0)))",
    "nn.ZeroPad2d((3, 0, 1, 2))",
    "jnp.pad(x, ((0, 0), (1, 2), (3, 0), (0, 0)))",
    inputs=_IMAGES,
    axes=IMAGE,
    note="Keras counts rows first, ((top, bottom), (left, right)); torch columns first, (left, right, top, bottom).",
    traps=(("nn.ZeroPad2d((1, 2, 3, 0))", "the same numbers in Keras's order"),),
)
row(
    "Cropping2D",
    "layer",
    "layers.Cropping2D(((1, 2), (0, 3)))",
    "nn.ZeroPad2d((0, -3, -1, -2))",
    "x[:, 1:-2, :-3]",
    inputs=_IMAGES,
    axes=IMAGE,
)
row(
    "Flatten",
    "layer",
    "layers.Flatten()",
    "lambda x: x.permute(0, 2, 3, 1).flatten(1)",
    "x.reshape(x.shape[0], -1)",
    inputs=_IMAGES,
    axes=IMAGE,
    traps=(("nn.Flatten()", "(channels, rows, columns) in torch, (rows, columns, channels) in Keras"),),
    note="Or leave nn.Flatten and move the rows of the next dense layer, as oracle.port does.",
)
row(
    "Permute",
    "layer",
    "layers.Permute((2, 1))",
    "lambda x: x.permute(0, 2, 1)",
    "x.transpose(0, 2, 1)",
    inputs={"x": "normal 3 5 4"},
    note="Keras counts axes from 1 and leaves out the batch.",
)
row(
    "RepeatVector",
    "layer",
    "layers.RepeatVector(3)",
    "lambda x: x.unsqueeze(1).expand(-1, 3, -1)",
    "jnp.repeat(x[:, None], 3, 1)",
)
