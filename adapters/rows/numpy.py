"""Rows of NumPy."""

from oracle.adapters.rows import each

UNARY = """exp exp2 expm1 log log2 log10 log1p sqrt reciprocal square abs sin cos tan asin acos atan sinh cosh
    tanh asinh acosh atanh"""

ROWS = {
    **each(UNARY, "out = np.{}(x)"),
    **each("add subtract multiply divide maximum minimum logaddexp", "out = np.{}(a, b)"),
    **each("sum mean prod max min cumsum", "out = np.{}(x, axis)"),
    "pow": "out = np.power(x, y)",
    "atan2": "out = np.arctan2(y, x)",
    "logsumexp": "out = np.logaddexp.reduce(x, axis)",
    "var": "out = np.var(x, axis, ddof=ddof)",
    "std": "out = np.std(x, axis, ddof=ddof)",
    "norm": "out = np.linalg.norm(x, axis=axis)",
    "matmul": "out = np.matmul(a, b)",
    "batched_matmul": "out = np.matmul(a, b)",
    "linear": "out = np.matmul(x, weight.T) + bias",
    "einsum": "out = np.einsum(equation, a, b)",
    "dot": "out = np.dot(a, b)",
    "outer": "out = np.outer(a, b)",
    "global_avg_pool2d": "out = np.mean(x, (2, 3))",
    "embedding": "out = np.take(weight, indices, axis=0)",
    "mse_plus_abs": """
        error = prediction - target
        out = np.mean(np.square(error)) + alpha * np.sum(np.abs(error))""",
}
