"""Rows of JAX: jax.numpy, jax.nn, jax.lax and jax.scipy."""

from oracle.adapters.rows import each

UNARY = """exp exp2 expm1 log log2 log10 log1p sqrt reciprocal square abs sin cos tan sinh cosh tanh asin:arcsin
    acos:arccos atan:arctan asinh:arcsinh acosh:arccosh atanh:arctanh"""
ACTIVATIONS = """relu relu6 selu silu mish softplus sigmoid log_sigmoid hard_sigmoid hard_swish hard_tanh
    softsign:soft_sign"""


def convolution(groups: str, rank: int) -> str:
    """A convolution over `rank` spatial axes."""
    return f"""
pads = "SAME" if padding == "same" else [(p, p) for p in padding]
out = lax.conv_general_dilated(x, weight, stride, pads, rhs_dilation=dilation, feature_group_count={groups})
out = out + bias[:, {", ".join(["None"] * rank)}]"""


def pool(start: str, combine: str) -> str:
    """The reduction of each window by `combine`."""
    return f"""
pads = [(0, 0), (0, 0), *((p, p) for p in padding)]
out = lax.reduce_window(x, {start}, {combine}, (1, 1, *window), (1, 1, *stride), pads)"""


def attention(option: str) -> str:
    """Attention, whose heads JAX has after the positions."""
    return f"""
q, k, v = (jnp.swapaxes(array, 1, 2) for array in (query, key, value))
out = jnp.swapaxes(jax.nn.dot_product_attention(q, k, v, {option}), 1, 2)"""


ROWS = {
    **each(UNARY, "out = jnp.{}(x)"),
    **each("erf erfc erfinv digamma lgamma:gammaln", "out = jax.scipy.special.{}(x)"),
    **each(ACTIVATIONS, "out = jax.nn.{}(x)"),
    **each("add subtract multiply divide maximum minimum logaddexp", "out = jnp.{}(a, b)"),
    **each("sum mean prod max min", "out = jnp.{}(x, axis)"),
    "rsqrt": "out = lax.rsqrt(x)",
    "pow": "out = jnp.power(x, y)",
    "atan2": "out = jnp.arctan2(y, x)",
    "leaky_relu": "out = jax.nn.leaky_relu(x, negative_slope)",
    "elu": "out = jax.nn.elu(x, alpha)",
    "celu": "out = jax.nn.celu(x, alpha)",
    "gelu_erf": "out = jax.nn.gelu(x, approximate=False)",
    "gelu_tanh": "out = jax.nn.gelu(x, approximate=True)",
    "softmax": "out = jax.nn.softmax(x, axis)",
    "log_softmax": "out = jax.nn.log_softmax(x, axis)",
    "logsumexp": "out = jax.nn.logsumexp(x, axis)",
    "var": "out = jnp.var(x, axis, ddof=ddof)",
    "std": "out = jnp.std(x, axis, ddof=ddof)",
    "norm": "out = jnp.linalg.norm(x, axis=axis)",
    "cumsum": "out = jnp.cumsum(x, axis)",
    "matmul": "out = jnp.matmul(a, b)",
    "batched_matmul": "out = jnp.matmul(a, b)",
    "linear": "out = jnp.matmul(x, weight.T) + bias",
    "einsum": "out = jnp.einsum(equation, a, b)",
    "dot": "out = jnp.dot(a, b)",
    "outer": "out = jnp.outer(a, b)",
    "conv1d": convolution("groups", 1),
    "conv2d": convolution("groups", 2),
    "depthwise_conv2d": convolution("x.shape[1]", 2),
    "conv_transpose2d": """
        reach = [d * (k - 1) - p for d, k, p in zip(dilation, weight.shape[2:], padding)]
        pads = [(r, r + extra) for r, extra in zip(reach, output_padding)]
        layout = ("NCHW", "OIHW", "NCHW")
        out = lax.conv_transpose(x, weight, stride, pads, dilation, layout, transpose_kernel=True)
        out = out + bias[:, None, None]""",
    "max_pool2d": pool("-jnp.inf", "lax.max"),
    "avg_pool2d": pool("0.0", "lax.add")
    + """
ones = jnp.ones_like(x)
inside = lax.reduce_window(ones, 0.0, lax.add, (1, 1, *window), (1, 1, *stride), pads)
out = out / (window[0] * window[1] if count_padding else inside)""",
    "global_avg_pool2d": "out = jnp.mean(x, (2, 3))",
    "batch_norm_inference": """
        weight, bias, mean, variance = (v[:, None, None] for v in (weight, bias, running_mean, running_var))
        out = jax.nn.standardize(x, mean=mean, variance=variance, epsilon=eps) * weight + bias""",
    "layer_norm": "out = jax.nn.standardize(x, axis=-1, epsilon=eps) * weight + bias",
    "instance_norm": """
        normalized = jax.nn.standardize(x, axis=(2, 3), epsilon=eps)
        out = normalized * weight[:, None, None] + bias[:, None, None]""",
    "group_norm": """
        grouped = x.reshape(x.shape[0], groups, -1)
        normalized = jax.nn.standardize(grouped, axis=-1, epsilon=eps).reshape(x.shape)
        out = normalized * weight[:, None, None] + bias[:, None, None]""",
    "embedding": "out = jnp.take(weight, indices, axis=0)",
    "scaled_dot_product_attention": attention("is_causal=causal"),
    "masked_attention": attention("mask=jnp.broadcast_to(mask, (*query.shape[:3], key.shape[2]))"),
    "kl_div": "out = jnp.sum(jax.scipy.special.rel_entr(target, probability)) / target.shape[0]",
    "mse_plus_abs": """
        error = prediction - target
        out = jnp.mean(jnp.square(error)) + alpha * jnp.sum(jnp.abs(error))""",
}
