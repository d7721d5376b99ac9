"""Rows of PyTorch: torch, torch.nn.functional, and torch.nn and torch.optim where a module is the API."""

from oracle.adapters.rows import each

UNARY = """exp exp2 expm1 log log2 log10 log1p sqrt rsqrt reciprocal square abs sin cos tan asin acos atan
    sinh cosh tanh asinh acosh atanh erf erfc erfinv lgamma digamma sigmoid"""
ACTIVATIONS = """relu relu6 selu silu mish softplus log_sigmoid:logsigmoid hard_sigmoid:hardsigmoid
    hard_swish:hardswish hard_tanh:hardtanh softsign tanhshrink"""
MOMENTS = {"exp_avg": "first_moment", "exp_avg_sq": "second_moment"}


def recurrent(layer: str, initial: str, final: str) -> str:
    """A layer of torch.nn with given weights: `initial` state in, `final` state out, each with a leading axis."""
    return f"""
rnn = torch.nn.{layer}(x.shape[-1], h0.shape[-1])

weights = {{"weight_ih_l0": weight_ih, "weight_hh_l0": weight_hh, "bias_ih_l0": bias_ih, "bias_hh_l0": bias_hh}}
sequence, {final} = torch.func.functional_call(rnn, weights, (x, {initial}))
""" + "\n".join(f"{state} = {state}[0]" for state in final.strip("()").split(", "))


def step(optimizer: str, state: dict[str, str], count: str = "") -> str:
    """One step of an optimizer of torch.optim with a given `state`; `count` steps were made before."""
    names = ", ".join(state.values())
    entries = [f'"step": torch.tensor(float({count}))'] if count else []
    entries += [f'"{key}": {name}' for key, name in state.items()]
    after = ", ".join(f'optimizer.state[p]["{key}"]' for key in state)
    return f"""
p = torch.nn.Parameter(parameter)
p.grad = gradient
optimizer = torch.optim.{optimizer}
optimizer.state[p] = {{{", ".join(entries)}}}
optimizer.step()
parameter, {names} = p.detach(), {after}"""


ROWS = {
    **each(UNARY, "out = torch.{}(x)"),
    **each("add subtract multiply divide maximum minimum logaddexp", "out = torch.{}(a, b)"),
    **each(ACTIVATIONS, "out = F.{}(x)"),
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
    "conv2d": "out = F.conv2d(x, weight, bias, stride, padding, dilation, groups)",
    "depthwise_conv2d": "out = F.conv2d(x, weight, bias, stride, padding, dilation, groups=x.shape[1])",
    "conv_transpose2d": """
        out = F.conv_transpose2d(x, weight, bias, stride, padding, output_padding, dilation=dilation)""",
    "max_pool2d": "out = F.max_pool2d(x, window, stride, padding)",
    "avg_pool2d": "out = F.avg_pool2d(x, window, stride, padding, count_include_pad=count_padding)",
    "global_avg_pool2d": "out = F.adaptive_avg_pool2d(x, 1).flatten(1)",
    "batch_norm_inference": "out = F.batch_norm(x, running_mean.detach(), running_var.detach(), weight, bias, eps=eps)",
    "batch_norm_training": """
        # where running_ddof == 1
        running_mean, running_var = running_mean.detach().clone(), running_var.detach().clone()
        out = F.batch_norm(x, running_mean, running_var, weight, bias, True, momentum, eps)""",
    "layer_norm": "out = F.layer_norm(x, weight.shape, weight, bias, eps)",
    "rms_norm": "out = F.rms_norm(x, weight.shape, weight, eps)",
    "group_norm": "out = F.group_norm(x, groups, weight, bias, eps)",
    "instance_norm": "out = F.instance_norm(x, weight=weight, bias=bias, eps=eps)",
    "embedding": "out = F.embedding(indices, weight)",
    "scaled_dot_product_attention": "out = F.scaled_dot_product_attention(query, key, value, is_causal=causal)",
    "masked_attention": "out = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)",
    "mse": "out = F.mse_loss(prediction, target, reduction=reduction)",
    "l1": "out = F.l1_loss(prediction, target, reduction=reduction)",
    "huber": "out = F.huber_loss(prediction, target, reduction=reduction, delta=delta)",
    "bce": "out = F.binary_cross_entropy(probability, target, reduction=reduction)",
    "bce_with_logits": "out = F.binary_cross_entropy_with_logits(logits, target, reduction=reduction)",
    "mse_plus_abs": "out = F.mse_loss(prediction, target) + alpha * torch.sum(torch.abs(prediction - target))",
    "cross_entropy_indices": """
        out = F.cross_entropy(logits, target, ignore_index=ignore_index, label_smoothing=label_smoothing)""",
    "cross_entropy_weighted": "out = F.cross_entropy(logits, target, weight)",
    "cross_entropy_logits": "out = F.cross_entropy(logits, target)",
    "kl_div": 'out = F.kl_div(torch.log(probability), target, reduction="batchmean")',
    "rnn_tanh": recurrent("RNN", "h0[None]", "h_n"),
    "gru_reset_after": recurrent("GRU", "h0[None]", "h_n"),
    "lstm": recurrent("LSTM", "(h0[None], c0[None])", "(h_n, c_n)"),
    "sgd": """
        p = torch.nn.Parameter(parameter)
        p.grad = gradient
        torch.optim.SGD([p], lr, weight_decay=weight_decay).step()
        out = p.detach()""",
    "sgd_momentum": "# where not lr_in_velocity" + step("SGD([p], lr, momentum)", {"momentum_buffer": "velocity"}),
    "sgd_nesterov": "# where not lr_in_velocity"
    + step("SGD([p], lr, momentum, nesterov=True)", {"momentum_buffer": "velocity"}),
    "adam": "# where not eps_hat" + step("Adam([p], lr, (beta1, beta2), eps, weight_decay)", MOMENTS, "step - 1"),
    "adamw": "# where not eps_hat" + step("AdamW([p], lr, (beta1, beta2), eps, weight_decay)", MOMENTS, "step - 1"),
    "rmsprop": "# where not eps_inside"
    + step("RMSprop([p], lr, alpha=decay, eps=eps)", {"square_avg": "second_moment"}, "0"),
    "adagrad": "# where not eps_inside" + step("Adagrad([p], lr, eps=eps)", {"sum": "second_moment"}, "0"),
}
