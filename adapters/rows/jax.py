"""Rows of JAX: jax.numpy, jax.nn, jax.lax and jax.scipy."""

UNARY = """exp exp2 expm1 log log2 log10 log1p sqrt reciprocal square abs sin cos tan sinh cosh tanh""".split()
INVERSE = {"asin": "arcsin", "acos": "arccos", "atan": "arctan", "asinh": "arcsinh", "acosh": "arccosh", "atanh": "arctanh"}
SPECIAL = "erf erfc erfinv digamma".split()
ACTIVATIONS = "relu relu6 selu silu mish softplus sigmoid log_sigmoid hard_sigmoid hard_swish hard_tanh".split()
BINARY = "add subtract multiply divide maximum minimum logaddexp".split()
REDUCTIONS = "sum mean prod max min".split()

ROWS = {
    **{name: f"out = jnp.{name}(x)" for name in UNARY},
    **{name: f"out = jnp.{function}(x)" for name, function in INVERSE.items()},
    **{name: f"out = jax.scipy.special.{name}(x)" for name in SPECIAL},
    **{name: f"out = jax.nn.{name}(x)" for name in ACTIVATIONS},
    **{name: f"out = jnp.{name}(a, b)" for name in BINARY},
    **{name: f"out = jnp.{name}(x, axis)" for name in REDUCTIONS},
    "rsqrt": "out = lax.rsqrt(x)",
    "lgamma": "out = jax.scipy.special.gammaln(x)",
    "softsign": "out = jax.nn.soft_sign(x)",
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
}
