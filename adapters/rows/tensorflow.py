"""Rows of TensorFlow: tf.math, tf.nn, tf.linalg, and tf.raw_ops where the public function is a composite."""

UNARY = """exp expm1 log log1p sqrt rsqrt reciprocal square abs sin cos tan asin acos atan sinh cosh tanh asinh acosh
    atanh erf erfc erfinv lgamma digamma sigmoid softplus log_sigmoid""".split()
BINARY = "add subtract multiply divide maximum minimum".split()
ACTIVATIONS = "relu relu6 selu silu softsign".split()
REDUCTIONS = "sum mean prod max min logsumexp".split()

ROWS = {
    **{name: f"out = tf.math.{name}(x)" for name in UNARY},
    **{name: f"out = tf.math.{name}(a, b)" for name in BINARY},
    **{name: f"out = tf.nn.{name}(x)" for name in ACTIVATIONS},
    **{name: f"out = tf.math.reduce_{name}(x, axis)" for name in REDUCTIONS},
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
}
