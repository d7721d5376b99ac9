"""Rows of NumPy."""

UNARY = """exp exp2 expm1 log log2 log10 log1p sqrt reciprocal square abs sin cos tan asin acos atan sinh cosh tanh
    asinh acosh atanh""".split()
BINARY = "add subtract multiply divide maximum minimum logaddexp".split()
REDUCTIONS = "sum mean prod max min cumsum".split()

ROWS = {
    **{name: f"out = np.{name}(x)" for name in UNARY},
    **{name: f"out = np.{name}(a, b)" for name in BINARY},
    **{name: f"out = np.{name}(x, axis)" for name in REDUCTIONS},
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
}
