"""Rows of PyTorch: torch, torch.nn.functional, and torch.nn and torch.optim where a module is the API."""

UNARY = """exp exp2 expm1 log log2 log10 log1p sqrt rsqrt reciprocal square abs sin cos tan asin acos atan sinh cosh tanh
    asinh acosh atanh erf erfc erfinv lgamma digamma sigmoid""".split()
BINARY = "add subtract multiply divide maximum minimum logaddexp".split()
ACTIVATIONS = {
    "relu": "relu",
    "relu6": "relu6",
    "selu": "selu",
    "silu": "silu",
    "mish": "mish",
    "softplus": "softplus",
    "log_sigmoid": "logsigmoid",
    "hard_sigmoid": "hardsigmoid",
    "hard_swish": "hardswish",
    "hard_tanh": "hardtanh",
    "softsign": "softsign",
    "tanhshrink": "tanhshrink",
}

ROWS = {
    **{name: f"out = torch.{name}(x)" for name in UNARY},
    **{name: f"out = torch.{name}(a, b)" for name in BINARY},
    **{name: f"out = F.{function}(x)" for name, function in ACTIVATIONS.items()},
    "pow": "out = torch.pow(x, y)",
    "atan2": "out = torch.atan2(y, x)",
    "leaky_relu": "out = F.leaky_relu(x, negative_slope)",
    "elu": "out = F.elu(x, alpha)",
    "celu": "out = F.celu(x, alpha)",
    "gelu_erf": "out = F.gelu(x)",
    "gelu_tanh": 'out = F.gelu(x, approximate="tanh")',
    "softshrink": "out = F.softshrink(x, threshold)",
    "softmax": "out = F.softmax(x, axis)",
    "log_softmax": "out = F.log_softmax(x, axis)",
    "logsumexp": "out = torch.logsumexp(x, axis)",
    "sum": "out = torch.sum(x, axis)",
    "mean": "out = torch.mean(x, axis)",
    "var": "out = torch.var(x, axis, correction=ddof)",
    "std": "out = torch.std(x, axis, correction=ddof)",
    "prod": "out = torch.prod(x, axis)",
    "max": "out = torch.amax(x, axis)",
    "min": "out = torch.amin(x, axis)",
    "norm": "out = torch.linalg.vector_norm(x, dim=axis)",
    "cumsum": "out = torch.cumsum(x, axis)",
    "matmul": "out = torch.matmul(a, b)",
    "batched_matmul": "out = torch.bmm(a, b)",
    "linear": "out = F.linear(x, weight, bias)",
    "einsum": "out = torch.einsum(equation, a, b)",
    "dot": "out = torch.dot(a, b)",
    "outer": "out = torch.outer(a, b)",
    "conv1d": "out = F.conv1d(x, weight, bias, stride, padding, dilation, groups)",
}
