"""Rows of Keras, the same on every backend: keras.ops, keras.layers, keras.losses and keras.optimizers.

Keras has channels and batches elsewhere than PyTorch, and gates in another order: what a person porting has to write
stands in the row. A layer's weights are given through `keras.StatelessScope`, so that its call is a function of them.
"""

from collections.abc import Callable

from oracle.adapters.rows import each

UNARY = """exp exp2 expm1 log log2 log10 log1p sqrt rsqrt reciprocal square abs sin cos tan sinh cosh tanh asin:arcsin
    acos:arccos atan:arctan asinh:arcsinh acosh:arccosh atanh:arctanh erf erfc erfinv"""
ACTIVATIONS = """relu relu6 selu silu mish softplus sigmoid log_sigmoid hard_sigmoid hard_swish hard_tanh softsign
    tanhshrink:tanh_shrink"""
PADDED = "x if padding == 'same' else keras.ops.pad(x, [(0, 0), (0, 0), *((p, p) for p in padding)]{})"


def layer(build: str, weights: str, call: str) -> str:
    """A layer: how it is built, its variables with their values, and the lines that call it."""
    body = "\n".join(f"    {line}" for line in call.strip().splitlines())
    return f"""
{build.strip()}

with keras.StatelessScope([{weights}]) as scope:
{body}"""


def convolution(name: str, rank: int) -> str:
    """A convolution over `rank` spatial axes, channels last."""
    last, first = (0, *range(2, rank + 2), 1), (0, rank + 1, *range(1, rank + 1))
    build = f"""
layer = keras.layers.{name}(
    weight.shape[0], weight.shape[2:], stride, "same" if padding == "same" else "valid",
    dilation_rate=dilation, groups=groups, dtype=dtype,
)
layer.build((None, {"None, " * rank}x.shape[1]))"""
    call = f"""
padded = {PADDED.format("")}
out = keras.ops.transpose(layer(keras.ops.transpose(padded, {last})), {first})"""
    kernel = f"keras.ops.transpose(weight, {(*range(2, rank + 2), 1, 0)})"
    return layer(build, f"(layer.kernel, {kernel}), (layer.bias, bias)", call)


def norm(name: str, arguments: str, weights: str = "(layer.gamma, weight), (layer.beta, bias)") -> str:
    """A normalisation with given scale and shift."""
    build = f"layer = keras.layers.{name}({arguments}, epsilon=eps, dtype=dtype)\nlayer.build(x.shape)"
    return layer(build, weights, "out = layer(x)")


def recurrent(name: str, initial: str, final: str, convert: str = "", bias: str = "") -> str:
    """A recurrent layer: batch first, the kernels transposed; `convert` reorders the gates.

    The initial value is of no account but must exist: the default one needs a decomposition that bfloat16 lacks.
    """
    build = f"""
layer = keras.layers.{name}, recurrent_initializer="zeros", return_sequences=True, return_state=True, dtype=dtype)
layer.build((x.shape[1], x.shape[0], x.shape[2]))"""
    weights = f"""
    (layer.cell.kernel, keras.ops.transpose(weight_ih)),
    (layer.cell.recurrent_kernel, keras.ops.transpose(weight_hh)),
    (layer.cell.bias, {bias or "bias_ih + bias_hh"}),
"""
    call = f"""
sequence, {final} = layer(keras.ops.transpose(x, (1, 0, 2)), initial_state=[{initial}])
sequence = keras.ops.transpose(sequence, (1, 0, 2))"""
    return layer(build, weights, call).replace("\n\nwith", f"\n\n{convert}with")


# PyTorch's gates are r z n (reset, update, new), Keras's z r h.
GATES = """weight_ih, weight_hh, bias_ih, bias_hh = (
    keras.ops.concatenate([z, r, n])
    for r, z, n in (keras.ops.split(w, 3) for w in (weight_ih, weight_hh, bias_ih, bias_hh))
)
"""


def pool(function: str, fill: str = "") -> str:
    """Pooling, channels last, the padding written out."""
    return f"""
padded = keras.ops.transpose({PADDED.format(fill)}, (0, 2, 3, 1))
out = keras.ops.{function}(padded, window, stride, "valid", data_format="channels_last")
out = keras.ops.transpose(out, (0, 3, 1, 2))"""


def attention(option: str) -> str:
    """Attention, whose heads Keras has after the positions."""
    return f"""
q, k, v = (keras.ops.swapaxes(array, 1, 2) for array in (query, key, value))
out = keras.ops.swapaxes(keras.ops.dot_product_attention(q, k, v, {option}), 1, 2)"""


def by_assignment(optimizer: str, state: str, count: str) -> str:
    """One step of an optimizer, on variables, after `count` steps; its slots hold `state`."""
    names = state.split()
    results = [f"keras.ops.convert_to_tensor({v})" for v in ("variable", *(f"slots[{i}]" for i in range(len(names))))]
    return f"""
variable = keras.Variable(parameter, dtype=parameter.dtype)
optimizer = keras.optimizers.{optimizer}
optimizer.build([variable])

variable.assign(parameter)
optimizer.iterations.assign({count})
slots = optimizer.variables[2:]
for slot, value in zip(slots, [{", ".join(names)}]):
    slot.assign(value)
optimizer.apply([gradient], [variable])
{", ".join(["parameter", *names]) if names else "out"} = {", ".join(results)}"""


def statelessly(optimizer: str, state: str, count: str) -> str:
    """The same step as a function of its variables, which is what JAX can compile."""
    slots = "".join(f", {name}" for name in state.split())
    outputs = f"(parameter,), (_, _{slots}) =" if state else "(out,), _ ="
    return f"""
optimizer = keras.optimizers.{optimizer}
optimizer.build([keras.Variable(parameter, dtype=parameter.dtype)])

variables = [keras.ops.convert_to_tensor({count}, "int32"), keras.ops.convert_to_tensor(lr){slots}]
{outputs} optimizer.stateless_apply(variables, [gradient], [parameter])"""


def optimizers(step: Callable[[str, str, str], str]) -> dict[str, str]:
    """The optimizers, each made one `step` forward."""
    moments, adam = "first_moment second_moment", "beta_1=beta1, beta_2=beta2, epsilon=eps"
    return {
        "sgd": step("SGD(lr, weight_decay=weight_decay or None)", "", "0"),
        "sgd_momentum": "# where lr_in_velocity" + step("SGD(lr, momentum)", "velocity", "0"),
        "sgd_nesterov": "# where lr_in_velocity" + step("SGD(lr, momentum, nesterov=True)", "velocity", "0"),
        "adam": "# where eps_hat and not weight_decay" + step(f"Adam(lr, {adam})", moments, "step - 1"),
        "adamw": "# where eps_hat" + step(f"AdamW(lr, weight_decay, {adam})", moments, "step - 1"),
        "rmsprop": "# where eps_inside" + step("RMSprop(lr, decay, epsilon=eps)", "second_moment", "0"),
        "adagrad": "# where eps_inside" + step("Adagrad(lr, epsilon=eps)", "second_moment", "0"),
    }


def loss(text: str, arrays: str) -> str:
    """A loss averaged over all elements."""
    return f"# where reduction == 'mean'\nout = keras.losses.{text}({arrays})"


ROWS = {
    **each(UNARY, "out = keras.ops.{}(x)"),
    **each(ACTIVATIONS, "out = keras.activations.{}(x)"),
    **each("add subtract multiply divide maximum minimum logaddexp", "out = keras.ops.{}(a, b)"),
    **each("sum mean prod max min logsumexp", "out = keras.ops.{}(x, axis)"),
    "pow": "out = keras.ops.power(x, y)",
    "atan2": "out = keras.ops.arctan2(y, x)",
    "leaky_relu": "out = keras.activations.leaky_relu(x, negative_slope)",
    "elu": "out = keras.activations.elu(x, alpha)",
    "celu": "out = keras.activations.celu(x, alpha)",
    "gelu_erf": "out = keras.activations.gelu(x)",
    "gelu_tanh": "out = keras.activations.gelu(x, approximate=True)",
    "softshrink": "out = keras.activations.soft_shrink(x, threshold)",
    "softmax": "out = keras.activations.softmax(x, axis)",
    "log_softmax": "out = keras.activations.log_softmax(x, axis)",
    "var": "# where ddof == 0\nout = keras.ops.var(x, axis)",
    "std": "# where ddof == 0\nout = keras.ops.std(x, axis)",
    "norm": "out = keras.ops.norm(x, axis=axis)",
    "cumsum": "out = keras.ops.cumsum(x, axis)",
    "matmul": "out = keras.ops.matmul(a, b)",
    "batched_matmul": "out = keras.ops.matmul(a, b)",
    "einsum": "out = keras.ops.einsum(equation, a, b)",
    "dot": "out = keras.ops.dot(a, b)",
    "outer": "out = keras.ops.outer(a, b)",
    "linear": layer(
        "layer = keras.layers.Dense(weight.shape[0], dtype=dtype)\nlayer.build(x.shape)",
        "(layer.kernel, keras.ops.transpose(weight)), (layer.bias, bias)",
        "out = layer(x)",
    ),
    "conv1d": convolution("Conv1D", 1),
    "conv2d": convolution("Conv2D", 2),
    "depthwise_conv2d": layer(
        """
layer = keras.layers.DepthwiseConv2D(
    weight.shape[2:], stride, "same" if padding == "same" else "valid",
    depth_multiplier=weight.shape[0] // x.shape[1], dilation_rate=dilation, dtype=dtype,
)
layer.build((None, None, None, x.shape[1]))""",
        """
    (layer.kernel, keras.ops.transpose(keras.ops.reshape(weight, (x.shape[1], -1, *weight.shape[2:])), (2, 3, 0, 1))),
    (layer.bias, bias),
""",
        f"""
padded = {PADDED.format("")}
out = keras.ops.transpose(layer(keras.ops.transpose(padded, (0, 2, 3, 1))), (0, 3, 1, 2))""",
    ),
    "conv_transpose2d": "# where padding == output_padding == (0, 0)"
    + layer(
        """
layer = keras.layers.Conv2DTranspose(weight.shape[1], weight.shape[2:], stride, dilation_rate=dilation, dtype=dtype)
layer.build((None, None, None, x.shape[1]))""",
        "(layer.kernel, keras.ops.transpose(weight, (2, 3, 1, 0))), (layer.bias, bias)",
        "out = keras.ops.transpose(layer(keras.ops.transpose(x, (0, 2, 3, 1))), (0, 3, 1, 2))",
    ),
    "max_pool2d": pool("max_pool", ', constant_values=-float("inf")'),
    "avg_pool2d": "# where count_padding or padding == (0, 0)" + pool("average_pool"),
    "global_avg_pool2d": """
        layer = keras.layers.GlobalAveragePooling2D(data_format="channels_first", dtype=dtype)

        out = layer(x)""",
    "batch_norm_inference": norm(
        "BatchNormalization",
        "axis=1",
        "(layer.gamma, weight), (layer.beta, bias), (layer.moving_mean, running_mean), "
        "(layer.moving_variance, running_var)",
    ),
    "batch_norm_training": "# where running_ddof == 0"
    + norm(
        "BatchNormalization",
        "axis=1, momentum=1 - momentum",
        "(layer.gamma, weight), (layer.beta, bias), (layer.moving_mean, running_mean), "
        "(layer.moving_variance, running_var)",
    ).replace("layer(x)", "layer(x, training=True)")
    + """
    running_mean = scope.get_current_value(layer.moving_mean)
    running_var = scope.get_current_value(layer.moving_variance)""",
    "layer_norm": norm("LayerNormalization", "axis=-1"),
    "rms_norm": norm("RMSNormalization", "axis=-1", "(layer.scale, weight)"),
    "group_norm": norm("GroupNormalization", "groups, axis=1"),
    "instance_norm": norm("GroupNormalization", "-1, axis=1"),
    "embedding": layer(
        "layer = keras.layers.Embedding(*weight.shape, dtype=dtype)\nlayer.build()",
        "(layer.embeddings, weight)",
        "out = layer(indices)",
    ),
    "scaled_dot_product_attention": attention("is_causal=causal"),
    "masked_attention": attention("mask=mask"),
    "mse": loss("MeanSquaredError(dtype=dtype)", "target, prediction"),
    "l1": loss("MeanAbsoluteError(dtype=dtype)", "target, prediction"),
    "huber": loss("Huber(delta, dtype=dtype)", "target, prediction"),
    "log_cosh": loss("LogCosh(dtype=dtype)", "target, prediction"),
    "bce": loss("BinaryCrossentropy(dtype=dtype)", "target, probability"),
    "bce_with_logits": loss("BinaryCrossentropy(from_logits=True, dtype=dtype)", "target, logits"),
    "mse_plus_abs": """
        error = prediction - target
        out = keras.ops.mean(keras.ops.square(error)) + alpha * keras.ops.sum(keras.ops.abs(error))""",
    "cross_entropy_indices": """
        # where not label_smoothing
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=ignore_index, dtype=dtype)

        out = loss(target, logits)""",
    "cross_entropy_logits": """
        out = keras.losses.CategoricalCrossentropy(from_logits=True, dtype=dtype)(target, logits)""",
    "cross_entropy_probabilities": """
        # where normalize
        out = keras.losses.CategoricalCrossentropy(dtype=dtype)(target, probability)""",
    "kl_div": "out = keras.losses.KLDivergence(dtype=dtype)(target, probability)",
    "rnn_tanh": recurrent("SimpleRNN(h0.shape[-1]", "h0", "h_n"),
    "lstm": recurrent("LSTM(h0.shape[-1]", "h0, c0", "h_n, c_n"),
    "gru_reset_after": recurrent(
        "GRU(h0.shape[-1], reset_after=True", "h0", "h_n", GATES, "keras.ops.stack([bias_ih, bias_hh])"
    ),
    "gru_reset_before": recurrent("GRU(h0.shape[-1], reset_after=False", "h0", "h_n", GATES),
    **optimizers(by_assignment),
}
JAX_ROWS = {**ROWS, **optimizers(statelessly)}
