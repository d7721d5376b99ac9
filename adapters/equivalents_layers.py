"""Equivalent layers with weights: dense, convolutions, norms, embedding, recurrent, attention."""

from oracle.adapters.equivalents import IMAGE, SEQUENCE, VOLUME, row

_IMAGES = {"x": "normal 2 7 6 4"}
_STEPS = {"x": "normal 3 5 4"}
_CONV_ARGS = """
filters | out_channels |
kernel_size | kernel_size |
strides | stride |
padding | padding | "valid" is 0; "same" is symmetric in torch, and only for stride 1
dilation_rate | dilation |
groups | groups |
use_bias | bias |
activation | | a layer of its own in torch
"""

row(
    "Dense",
    "layer",
    "layers.Dense(6)",
    "nn.Linear(8, 6)",
    "x @ w['kernel'] + w['bias']",
    args="units | out_features |\nuse_bias | bias |\nactivation | | a layer of its own in torch",
    note="Initial weights differ: glorot_uniform and zeros in Keras, kaiming_uniform(a=sqrt(5)) and uniform in torch.",
)
row(
    "EinsumDense",
    "layer",
    "layers.EinsumDense('abc,cd->abd', (None, 6), bias_axes='d')",
    "nn.Linear(4, 6)",
    "x @ w['kernel'] + w['bias']",
    inputs=_STEPS,
)
row(
    "Conv1D",
    "layer",
    "layers.Conv1D(3, 2)",
    "nn.Conv1d(4, 3, 2)",
    "lax.conv_general_dilated(x, w['kernel'], (1,), 'VALID', dimension_numbers=('NWC', 'WIO', 'NWC')) + w['bias']",
    inputs=_STEPS,
    axes=SEQUENCE,
    args=_CONV_ARGS,
)
row(
    "Conv2D",
    "layer",
    "layers.Conv2D(3, (3, 2))",
    "nn.Conv2d(4, 3, (3, 2))",
    "lax.conv_general_dilated(x, w['kernel'], (1, 1), 'VALID', dimension_numbers=('NHWC', 'HWIO', 'NHWC')) + w['bias']",
    inputs=_IMAGES,
    axes=IMAGE,
    args=_CONV_ARGS,
)
row(
    "Conv2D(padding='same')",
    "layer",
    "layers.Conv2D(3, 3, padding='same')",
    "nn.Conv2d(4, 3, 3, padding='same')",
    "lax.conv_general_dilated(x, w['kernel'], (1, 1), 'SAME', dimension_numbers=('NHWC', 'HWIO', 'NHWC')) + w['bias']",
    inputs=_IMAGES,
    axes=IMAGE,
    traps=(("nn.Conv2d(4, 3, 3)", "torch pads nothing by default"),),
)
row(
    "Conv2D(strides=2, padding='same')",
    "layer",
    "layers.Conv2D(3, 3, strides=2, padding='same')",
    "nn.Sequential(nn.ZeroPad2d((0, 1, 1, 1)), nn.Conv2d(4, 3, 3, stride=2))",
    "lax.conv_general_dilated(x, w['kernel'], (2, 2), 'SAME', dimension_numbers=('NHWC', 'HWIO', 'NHWC')) + w['bias']",
    inputs=_IMAGES,
    axes=IMAGE,
    traps=(("nn.Conv2d(4, 3, 3, stride=2, padding=1)", "Keras puts the odd column of padding at the end alone"),),
    note="The padding depends on the size: (ceil(n / s) - 1) s + k - n in all, the smaller half first; here 7 x 6.",
)
row(
    "Conv3D",
    "layer",
    "layers.Conv3D(3, 2)",
    "nn.Conv3d(2, 3, 2)",
    "lax.conv_general_dilated(x, w['kernel'], (1,) * 3, 'VALID', dimension_numbers=('NDHWC', 'DHWIO', 'NDHWC'))"
    " + w['bias']",
    inputs={"x": "normal 2 4 3 5 2"},
    axes=VOLUME,
    args=_CONV_ARGS,
)
row(
    "DepthwiseConv2D",
    "layer",
    "layers.DepthwiseConv2D(3, depth_multiplier=2)",
    "nn.Conv2d(4, 8, 3, groups=4)",
    "lax.conv_general_dilated(x, w['kernel'], (1, 1), 'VALID', dimension_numbers=('NHWC', 'HWIO', 'NHWC'),"
    " feature_group_count=4) + w['bias']",
    inputs=_IMAGES,
    axes=IMAGE,
    args="kernel_size | kernel_size |\ndepth_multiplier | out_channels | in_channels * depth_multiplier\n"
    "use_bias | bias |",
)
row(
    "SeparableConv2D",
    "layer",
    "layers.SeparableConv2D(5, 3)",
    "nn.Sequential(nn.Conv2d(4, 4, 3, groups=4, bias=False), nn.Conv2d(4, 5, 1))",
    "lax.conv_general_dilated(lax.conv_general_dilated(x, w[0]['kernel'], (1, 1), 'VALID', dimension_numbers=('NHWC',"
    " 'HWIO', 'NHWC'), feature_group_count=4), w[1]['kernel'], (1, 1), 'VALID', dimension_numbers=('NHWC', 'HWIO',"
    " 'NHWC')) + w[1]['bias']",
    inputs=_IMAGES,
    axes=IMAGE,
    note="The bias is that of the second convolution alone.",
)
row(
    "Conv1DTranspose",
    "layer",
    "layers.Conv1DTranspose(3, 3, strides=2)",
    "nn.ConvTranspose1d(4, 3, 3, stride=2)",
    "lax.conv_transpose(x, w['kernel'], (2,), 'VALID', dimension_numbers=('NWC', 'WIO', 'NWC'), transpose_kernel=True)"
    " + w['bias']",
    inputs=_STEPS,
    axes=SEQUENCE,
)
row(
    "Conv2DTranspose",
    "layer",
    "layers.Conv2DTranspose(3, 3, strides=2)",
    "nn.ConvTranspose2d(4, 3, 3, stride=2)",
    "lax.conv_transpose(x, w['kernel'], (2, 2), 'VALID', dimension_numbers=('NHWC', 'HWIO', 'NHWC'),"
    " transpose_kernel=True) + w['bias']",
    inputs=_IMAGES,
    axes=IMAGE,
    args="filters | out_channels |\nkernel_size | kernel_size |\nstrides | stride |\nuse_bias | bias |\n"
    "output_padding | output_padding | None in Keras: the smallest size; 0 in torch",
    note="lax.conv_transpose without transpose_kernel=True does not flip the kernel: another function.",
)
row(
    "Conv2DTranspose(padding='same')",
    "layer",
    "layers.Conv2DTranspose(3, 4, strides=2, padding='same')",
    "nn.ConvTranspose2d(4, 3, 4, stride=2, padding=1)",
    "lax.conv_transpose(x, w['kernel'], (2, 2), 'SAME', dimension_numbers=('NHWC', 'HWIO', 'NHWC'),"
    " transpose_kernel=True) + w['bias']",
    inputs=_IMAGES,
    axes=IMAGE,
    traps=(("nn.ConvTranspose2d(4, 3, 4, stride=2)", "torch crops nothing by default: another size"),),
    note="Symmetric only where kernel - stride is even; else Keras crops the end once more, which no argument of torch "
    "says: crop by hand.",
)
row(
    "BatchNormalization",
    "layer",
    "layers.BatchNormalization()",
    "nn.BatchNorm2d(4, eps=1e-3, momentum=0.01)",
    "(x - w['mean']) / jnp.sqrt(w['variance'] + 1e-3) * w['gamma'] + w['beta']",
    inputs=_IMAGES,
    axes=IMAGE,
    args="momentum | momentum | torch's is 1 - Keras's\nepsilon | eps |\nscale | affine |\n"
    "center | affine |\naxis | | torch: axis 1",
    traps=(("nn.BatchNorm2d(4)", "eps is 1e-5 in torch, 1e-3 in Keras (and momentum 0.1 against 0.01)"),),
    note="In training both normalise by the biased variance, but torch's running variance is of the unbiased one.",
)
row(
    "LayerNormalization",
    "layer",
    "layers.LayerNormalization()",
    "nn.LayerNorm(8, eps=1e-3)",
    "(x - x.mean(-1, keepdims=True)) / jnp.sqrt(x.var(-1, keepdims=True) + 1e-3) * w['gamma'] + w['beta']",
    args="axis | normalized_shape | axes in Keras, their sizes in torch\nepsilon | eps |\nscale | elementwise_affine |",
    traps=(("nn.LayerNorm(8)", "eps is 1e-5 in torch, 1e-3 in Keras"),),
)
row(
    "GroupNormalization",
    "layer",
    "layers.GroupNormalization(2)",
    "nn.GroupNorm(2, 4, eps=1e-3)",
    "(lambda g: ((g - g.mean((1, 2, 4), keepdims=True)) / jnp.sqrt(g.var((1, 2, 4), keepdims=True) + 1e-3))"
    ".reshape(x.shape) * w['gamma'] + w['beta'])(x.reshape(2, 7, 6, 2, 2))",
    inputs=_IMAGES,
    axes=IMAGE,
    args="groups | num_groups | 32 by default in Keras\nepsilon | eps |\nscale | affine |",
    traps=(("nn.GroupNorm(2, 4)", "eps is 1e-5 in torch, 1e-3 in Keras"),),
)
row(
    "GroupNormalization(groups=-1)",
    "layer",
    "layers.GroupNormalization(-1)",
    "nn.InstanceNorm2d(4, eps=1e-3, affine=True)",
    "(x - x.mean((1, 2), keepdims=True)) / jnp.sqrt(x.var((1, 2), keepdims=True) + 1e-3) * w['gamma'] + w['beta']",
    inputs=_IMAGES,
    axes=IMAGE,
    traps=(("nn.InstanceNorm2d(4, affine=True)", "eps is 1e-5 in torch, 1e-3 in Keras"),),
)
row(
    "RMSNormalization",
    "layer",
    "layers.RMSNormalization()",
    "nn.RMSNorm(8, eps=1e-6)",
    "x / jnp.sqrt((x * x).mean(-1, keepdims=True) + 1e-6) * w['gamma']",
    args="epsilon | eps | None in torch is the format's machine epsilon: 1.2e-7 in float32\n"
    "axis | normalized_shape | the axes in Keras, their sizes in torch",
    traps=(("nn.RMSNorm(8)", "eps is the machine epsilon in torch, 1e-6 in Keras"),),
)
row(
    "UnitNormalization",
    "layer",
    "layers.UnitNormalization()",
    "F.normalize",
    "x / jnp.sqrt((x * x).sum(-1, keepdims=True))",
    call_torch="f(x, dim=-1)",
    note="They part only where all is zero: Keras bounds the squared norm by 1e-12, torch the norm.",
)
row(
    "Embedding",
    "layer",
    "layers.Embedding(9, 4)",
    "nn.Embedding(9, 4)",
    "w['table'][x]",
    inputs={"x": "classes 3 5 9"},
    args="input_dim | num_embeddings |\noutput_dim | embedding_dim |\n"
    "mask_zero | padding_idx | mask_zero tells later layers what to skip; padding_idx stops the gradient of one row",
    note="Initial weights: uniform(-0.05, 0.05) in Keras, normal(0, 1) in torch.",
)
row(
    "SimpleRNN",
    "layer",
    "layers.SimpleRNN(6, return_sequences=True)",
    "nn.RNN(4, 6, batch_first=True)",
    "lax.scan(lambda h, v: (lambda n: (n, n))(jnp.tanh(v @ w['kernel'] + h @ w['recurrent'] + w['bias'])),"
    " jnp.zeros((3, 6), x.dtype), x.swapaxes(0, 1))[1].swapaxes(0, 1)",
    inputs=_STEPS,
    args="units | hidden_size |\nactivation | | nonlinearity in torch\nuse_bias | bias | one in Keras, two in torch",
    classes=("layers.SimpleRNN", "nn.RNN"),
    traps=(("nn.RNN(4, 6)", "without batch_first torch takes the first axis for time"),),
)
row(
    "LSTM",
    "layer",
    "layers.LSTM(6, return_sequences=True)",
    "nn.LSTM(4, 6, batch_first=True)",
    "lax.scan(lambda s, v: (lambda i, f, g, o: (lambda c: ((jax.nn.sigmoid(o) * jnp.tanh(c), c),"
    " jax.nn.sigmoid(o) * jnp.tanh(c)))(jax.nn.sigmoid(f) * s[1] + jax.nn.sigmoid(i) * jnp.tanh(g)))"
    "(*jnp.split(v @ w['kernel'] + s[0] @ w['recurrent'] + w['bias'], 4, -1)),"
    " (jnp.zeros((3, 6), x.dtype),) * 2, x.swapaxes(0, 1))[1].swapaxes(0, 1)",
    inputs=_STEPS,
    args="units | hidden_size |\nuse_bias | bias | one bias in Keras, two in torch: (b, 0)\n"
    "unit_forget_bias | | the forget gate starts at one in Keras\nreturn_sequences | | torch returns both\n"
    "dropout | dropout | on the inputs in Keras, between layers in torch",
    classes=("layers.LSTM", "nn.LSTM"),
    traps=(("nn.LSTM(4, 6)", "without batch_first torch takes the first axis for time"),),
    note="Gates stand in the same order, i f c o.",
)
row(
    "Bidirectional(LSTM)",
    "layer",
    "layers.Bidirectional(layers.LSTM(6, return_sequences=True))",
    "nn.LSTM(4, 6, batch_first=True, bidirectional=True)",
    inputs=_STEPS,
    args="merge_mode | | torch concatenates",
    note="With return_sequences=False Keras takes the backward direction's own last step, torch's output at "
    "time 0: not out[:, -1].",
)
row(
    "GRU",
    "layer",
    "layers.GRU(6, return_sequences=True)",
    "nn.GRU(4, 6, batch_first=True)",
    "lax.scan(lambda h, v: (lambda a, b: (lambda z, r: (lambda n: (n, n))(z * h + (1 - z) * jnp.tanh(a[2] + r * b[2])))"
    "(jax.nn.sigmoid(a[0] + b[0]), jax.nn.sigmoid(a[1] + b[1])))(jnp.split(v @ w['kernel'] + w['bias'], 3, -1),"
    " jnp.split(h @ w['recurrent'] + w['bias_recurrent'], 3, -1)), jnp.zeros((3, 6), x.dtype),"
    " x.swapaxes(0, 1))[1].swapaxes(0, 1)",
    inputs=_STEPS,
    args="units | hidden_size |\nreset_after | | torch knows only True\nuse_bias | bias |",
    classes=("layers.GRU", "nn.GRU"),
    traps=(("nn.GRU(4, 6)", "without batch_first torch takes the first axis for time"),),
    note="Gates stand in the order z r h in Keras, r z n in torch. reset_after=False is another cell: no weights fit.",
)
row(
    "MultiHeadAttention",
    "layer",
    "layers.MultiHeadAttention(2, 3)",
    "nn.MultiheadAttention(6, 2, batch_first=True)",
    inputs={"x": "normal 3 5 6"},
    call_keras="f(x, x)",
    call_torch="f(x, x, x, need_weights=False)",
    args="num_heads | num_heads |\nkey_dim | embed_dim | embed_dim = num_heads * key_dim\nuse_bias | bias |\n"
    "dropout | dropout |",
    traps=(("nn.MultiheadAttention(6, 2)", "without batch_first torch takes the first axis for time"),),
    note="attention_mask is True where Keras may look, attn_mask True where torch must not.",
)
row(
    "PReLU",
    "layer",
    "layers.PReLU(shared_axes=[1, 2])",
    "nn.PReLU(4)",
    "jnp.where(x > 0, x, x * w['alpha'])",
    inputs=_IMAGES,
    axes=IMAGE,
    args="shared_axes | num_parameters | None in Keras: a slope for every place; 1 in torch: one slope in all\n"
    "alpha_initializer | init | zeros in Keras, 0.25 in torch",
)
