"""Rows of TensorFlow: tf.math, tf.nn, tf.linalg, and tf.raw_ops where the public function is a composite."""

from oracle.adapters.rows import each

UNARY = """exp expm1 log log1p sqrt rsqrt reciprocal square abs sin cos tan asin acos atan sinh cosh tanh asinh
    acosh atanh erf erfc erfinv lgamma digamma sigmoid softplus log_sigmoid"""
PADS = 'pads = "SAME" if padding == "same" else [(0, 0), *((p, p) for p in padding), (0, 0)]'
NHWC = "tf.transpose(x, (0, 2, 3, 1))"
NCHW = "out = tf.transpose(out, (0, 3, 1, 2))"


def loss(elementwise: str) -> str:
    """A loss whose reduction the user writes."""
    return f"""
losses = {elementwise}
out = {{"none": tf.identity, "mean": tf.math.reduce_mean, "sum": tf.math.reduce_sum}}[reduction](losses)"""


def scalar(value: str) -> str:
    """A number as the raw operations want it."""
    return f"tf.constant({value}, gradient.dtype)"


def step(kernel: str, state: dict[str, str], numbers: dict[str, str], flags: str = "") -> str:
    """One step of a raw optimizer kernel: `state` names its slots, `numbers` its scalars."""
    variables = {"p": "parameter", **{f"v_{slot}": value for slot, value in state.items()}}
    made = "\n".join(f"{name} = tf.Variable({value})" for name, value in variables.items())
    assigned = "\n".join(f"{name}.assign({value})" for name, value in variables.items())
    slots = ", ".join(f"{slot}=v_{slot}.handle" for slot in state)
    scalars = ", ".join(f"{name}={scalar(value)}" for name, value in numbers.items())
    results = ", ".join(f"{name}.read_value()" for name in variables)
    return f"""
{made}

{assigned}
tf.raw_ops.ResourceApply{kernel}(var=p.handle, {slots}, {scalars}, grad=gradient{flags})
{", ".join(variables.values())} = {results}"""


def momentum(nesterov: bool) -> str:
    """Gradient descent with momentum, the learning rate outside the velocity."""
    numbers = {"lr": "lr", "momentum": "momentum"}
    return "# where not lr_in_velocity" + step("Momentum", {"accum": "velocity"}, numbers, f", use_nesterov={nesterov}")


ROWS = {
    **each(UNARY, "out = tf.math.{}(x)"),
    **each("add subtract multiply divide maximum minimum", "out = tf.math.{}(a, b)"),
    **each("relu relu6 selu silu softsign", "out = tf.nn.{}(x)"),
    **each("sum mean prod max min logsumexp", "out = tf.math.reduce_{}(x, axis)"),
    "elu": "# where alpha == 1\nout = tf.nn.elu(x)",
    "pow": "out = tf.math.pow(x, y)",
    "atan2": "out = tf.math.atan2(y, x)",
    "leaky_relu": "out = tf.nn.leaky_relu(x, negative_slope)",
    "gelu_erf": "out = tf.nn.gelu(x, approximate=False)",
    "gelu_tanh": "out = tf.nn.gelu(x, approximate=True)",
    "softmax": "out = tf.nn.softmax(x, axis)",
    "log_softmax": "out = tf.nn.log_softmax(x, axis)",
    "norm": "out = tf.norm(x, axis=axis)",
    "cumsum": "out = tf.math.cumsum(x, axis)",
    "matmul": "out = tf.linalg.matmul(a, b)",
    "batched_matmul": "out = tf.linalg.matmul(a, b)",
    "linear": "out = tf.linalg.matmul(x, weight, transpose_b=True) + bias",
    "einsum": "out = tf.einsum(equation, a, b)",
    "dot": "out = tf.tensordot(a, b, 1)",
    "outer": "out = tf.tensordot(a, b, 0)",
    "var": "# where ddof == 0\nout = tf.math.reduce_variance(x, axis)",
    "std": "# where ddof == 0\nout = tf.math.reduce_std(x, axis)",
    "conv1d": """
        nwc = tf.transpose(x, (0, 2, 1))
        if padding != "same":
            nwc = tf.pad(nwc, [(0, 0), *((p, p) for p in padding), (0, 0)])
        kernel = tf.transpose(weight, (2, 1, 0))
        mode = "SAME" if padding == "same" else "VALID"
        out = tf.nn.conv1d(nwc, kernel, stride[0], mode, dilations=dilation[0]) + bias
        out = tf.transpose(out, (0, 2, 1))""",
    "conv2d": f"""
{PADS}
kernel = tf.transpose(weight, (2, 3, 1, 0))
out = tf.nn.conv2d({NHWC}, kernel, stride, pads, dilations=dilation) + bias
{NCHW}""",
    "depthwise_conv2d": f"""
{PADS}
kernel = tf.reshape(weight, (x.shape[1], -1, *weight.shape[2:]))
kernel = tf.transpose(kernel, (2, 3, 0, 1))
out = tf.nn.depthwise_conv2d({NHWC}, kernel, (1, *stride, 1), pads, dilations=dilation) + bias
{NCHW}""",
    "conv_transpose2d": f"""
{PADS}
extent = zip(x.shape[2:], stride, padding, dilation, weight.shape[2:], output_padding)
sizes = [(n - 1) * s - 2 * p + d * (k - 1) + extra + 1 for n, s, p, d, k, extra in extent]
shape = (x.shape[0], *sizes, weight.shape[1])
kernel = tf.transpose(weight, (2, 3, 1, 0))
out = tf.nn.conv2d_transpose({NHWC}, kernel, shape, stride, pads, dilations=dilation) + bias
{NCHW}""",
    "max_pool2d": f"{PADS}\nout = tf.nn.max_pool2d({NHWC}, window, stride, pads)\n{NCHW}",
    "avg_pool2d": f"""
# where padding == (0, 0)
out = tf.nn.avg_pool2d({NHWC}, window, stride, "VALID")
{NCHW}""",
    "global_avg_pool2d": "out = tf.math.reduce_mean(x, (2, 3))",
    "batch_norm_inference": """
        weight, bias, mean, variance = (v[:, None, None] for v in (weight, bias, running_mean, running_var))
        out = tf.nn.batch_normalization(x, mean, variance, bias, weight, eps)""",
    "batch_norm_training": f"""
# where running_ddof == 1
out, running_mean, running_var = tf.compat.v1.nn.fused_batch_norm(
    {NHWC}, weight, bias, running_mean, running_var, eps, exponential_avg_factor=momentum
)
{NCHW}""",
    "layer_norm": """
        mean, variance = tf.nn.moments(x, [-1], keepdims=True)
        out = tf.nn.batch_normalization(x, mean, variance, bias, weight, eps)""",
    "instance_norm": """
        mean, variance = tf.nn.moments(x, [2, 3], keepdims=True)
        weight, bias = weight[:, None, None], bias[:, None, None]
        out = tf.nn.batch_normalization(x, mean, variance, bias, weight, eps)""",
    "embedding": "out = tf.nn.embedding_lookup(weight, indices)",
    "mse": loss("tf.math.squared_difference(prediction, target)"),
    "bce_with_logits": loss("tf.nn.sigmoid_cross_entropy_with_logits(target, logits)"),
    "cross_entropy_indices": """
        # where ignore_index < 0 and not label_smoothing
        out = tf.math.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(target, logits))""",
    "cross_entropy_logits": """
        out = tf.math.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(target, logits))""",
    "mse_plus_abs": """
        error = prediction - target
        out = tf.math.reduce_mean(tf.math.square(error)) + alpha * tf.math.reduce_sum(tf.math.abs(error))""",
    "sgd": f"""
# where not weight_decay
p = tf.Variable(parameter)

p.assign(parameter)
tf.raw_ops.ResourceApplyGradientDescent(var=p.handle, alpha={scalar("lr")}, delta=gradient)
out = p.read_value()""",
    "sgd_momentum": momentum(nesterov=False),
    "sgd_nesterov": momentum(nesterov=True),
    "adam": "# where eps_hat and not weight_decay"
    + step(
        "Adam",
        {"m": "first_moment", "v": "second_moment"},
        {
            "beta1_power": "beta1**step",
            "beta2_power": "beta2**step",
            "lr": "lr",
            "beta1": "beta1",
            "beta2": "beta2",
            "epsilon": "eps",
        },
    ),
    "adagrad": "# where not eps_inside" + step("AdagradV2", {"accum": "second_moment"}, {"lr": "lr", "epsilon": "eps"}),
}
