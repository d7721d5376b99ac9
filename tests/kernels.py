"""Honest float32 kernels in NumPy, each with the faults that can be planted in it as keywords.

Called plainly a kernel is right. Every keyword that follows the arrays plants one fault, of a kind that was seen in a
real port or a real release.
"""

import numpy as np
from scipy import special

F = np.float32


def tanh(x, *, scale=1.0):
    """`scale` 1 + 2^-12: an approximation with a wrong last coefficient."""
    return np.tanh(x) * F(scale)


def tanh_gradient(x, cotangent, *, scale=1.0):
    return cotangent * (1 - np.tanh(x) ** 2) * F(scale)


def multiply(a, b, *, toward_zero=False):
    product = a * b
    exact = a.astype(float) * b
    away = np.abs(product.astype(float)) > np.abs(exact)
    return np.where(away & toward_zero, np.nextafter(product, F(0)), product)


def divide(a, b, *, reciprocal_bits=None):
    """`reciprocal_bits`: a hardware estimate of 1/b without the Newton step that should follow."""
    if reciprocal_bits is None:
        return a / b
    mantissa, exponent = np.frexp(1 / b)
    return a * np.ldexp(np.round(mantissa * 2**reciprocal_bits) / F(2**reciprocal_bits), exponent).astype(F)


def expm1(x, *, naive=False):
    return np.exp(x) - F(1) if naive else np.expm1(x)


def log1p(x, *, naive=False):
    return np.log(F(1) + x) if naive else np.log1p(x)


def sigmoid(x, *, half=False):
    x = x.astype(np.float16).astype(F) if half else x
    return (1 / (1 + np.exp(-np.abs(x))) * np.where(x < 0, np.exp(-np.abs(x)), F(1))).astype(F)


def gelu64(x, *, root=2**0.5):
    """float64 throughout; `root` is sqrt(2) rounded to float32 in a shipping framework."""
    return x / 2 * special.erfc(-x / root)


def gelu(x, *, tail=False, tanh_form=False):
    """`tail`: 1 + erf instead of erfc, cancelling to zero for negative x; `tanh_form`: another function."""
    if tanh_form:
        return x / 2 * (1 + np.tanh(F(np.sqrt(2 / np.pi)) * (x + F(0.044715) * x**3)))
    if tail:
        return x / 2 * (1 + special.erf(x / F(np.sqrt(2))))
    return (x.astype(float) / 2 * special.erfc(-x.astype(float) / np.sqrt(2))).astype(F)


def leaky_relu(x, *, negative_slope=0.01):
    return np.where(x > 0, x, F(negative_slope) * x)


def softmax(x, *, axis=-1, shift=True, twice=False, scale=1.0):
    """Without `shift` large scores overflow."""
    with np.errstate(over="ignore", invalid="ignore"):
        e = np.exp(x - x.max(axis, keepdims=True)) if shift else np.exp(x)
        y = e / e.sum(axis, keepdims=True) * F(scale)
    return softmax(y) if twice else y


def log_softmax(x, *, of_softmax=False):
    """`of_softmax`: the logarithm of a softmax that has underflowed."""
    if of_softmax:
        with np.errstate(divide="ignore"):
            return np.log(softmax(x))
    x = x - x.max(-1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def total(x, *, drop_tail=0, zeros=False, nan_at=None):
    """Sums of rows; `drop_tail`: the scalar loop after the vector loop is missing."""
    y = x[:, : x.shape[1] - drop_tail].sum(-1) * F(not zeros)
    if nan_at is not None:
        y[nan_at] = np.nan
    return y


def mean(x, *, divisor_error=0):
    return x.sum(-1) / F(x.shape[1] - divisor_error)


def variance(x, *, ddof=0, one_pass=False):
    """`one_pass`: E[x²] - E[x]², which cancels where the mean is large."""
    if one_pass:
        return (x * x).mean(-1) - x.mean(-1) ** 2
    deviation = x - x.mean(-1, keepdims=True)
    return (deviation * deviation).sum(-1) / F(x.shape[1] - ddof)


def cumsum(x, *, exclusive=False):
    y = np.cumsum(x, -1, dtype=F)
    return y - x if exclusive else y


def layer_norm(x, weight, bias, *, eps=1e-5, half=False, ddof=0):
    """`half`: the variance is kept in float16."""
    centred = x - x.mean(-1, keepdims=True)
    spread = (centred * centred).sum(-1, keepdims=True) / F(x.shape[-1] - ddof)
    spread = spread.astype(np.float16).astype(F) if half else spread
    return centred / np.sqrt(spread + F(eps)) * weight + bias


def rms_norm(x, weight, *, eps=1e-6):
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + F(eps)) * weight


def batch_norm(x, weight, bias, running_mean, running_var, *, stale=False, momentum=0.125, ddof=1):
    """`stale`: the running statistics are not written; Keras's momentum is one minus PyTorch's."""

    def channel(v):
        return v.reshape(1, -1, 1, 1)

    axes = (0, 2, 3)
    average = x.mean(axes)
    centred = x - channel(average)
    squares = (centred * centred).sum(axes)
    count = x.size // x.shape[1]
    out = centred / np.sqrt(channel(squares) / F(count) + F(1e-5)) * channel(weight) + channel(bias)
    if stale:
        return out, running_mean, running_var
    new, old = F(momentum), F(1 - momentum)
    return out, old * running_mean + new * average, old * running_var + new * squares / F(count - ddof)


def matmul(a, b, *, accumulator=None):
    if accumulator is None:
        return a @ b
    sums = np.zeros((a.shape[0], b.shape[1]), accumulator)
    for k in range(a.shape[1]):
        sums = (sums.astype(F) + a[:, k : k + 1] * b[k]).astype(accumulator)
    return sums.astype(F)


def linear(x, weight, bias, *, transpose=True, with_bias=True):
    return x @ (weight.T if transpose else weight) + F(with_bias) * bias


def conv1d(x, weight, bias, *, padding=1, stride=2, flip=False):
    """`padding` off by one on the left, as 'same' is in another framework; `flip`: convolution proper."""
    length = (x.shape[2] + 2 - weight.shape[2]) // stride + 1
    padded = np.pad(x, ((0, 0), (0, 0), (padding, 3)))
    taps = weight[:, :, ::-1] if flip else weight
    windows = np.stack([padded[:, :, k : k + stride * length : stride] for k in range(weight.shape[2])], -1)
    return np.einsum("nctk,ock->not", windows, taps) + bias[:, None]


def embedding(weight, indices, *, shift=0):
    return weight[(indices + shift) % len(weight)]


def max_pool(x, *, fill=-np.inf):
    """3x3 windows with stride 2 and padding 1; `fill` 0 wins over negative numbers."""
    return _windows(x, fill).max(-1)


def avg_pool(x, *, count_padding=True):
    sums, counts = _windows(x, 0).sum(-1), _windows(np.ones_like(x), 0).sum(-1)
    return sums / (F(9) if count_padding else counts)


def _windows(x, fill):
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=fill)
    view = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (2, 3))[:, :, ::2, ::2]
    return view.reshape(*view.shape[:4], 9)


def attention(query, key, value, *, scaled=True, late=0):
    """Causal; `late`: each query also sees the next key."""
    scores = query @ key.swapaxes(-1, -2) / F(np.sqrt(query.shape[-1]) if scaled else 1)
    return softmax(np.where(np.tri(*scores.shape[-2:], late, dtype=bool), scores, F(-1e30))) @ value


def lstm(x, h, c, w_ih, w_hh, b_ih, b_hh, *, gates="ifgo", forget_bias=0.0):  # noqa: PLR0917
    """`gates`: the order in which the weights are read; `forget_bias` is added by one framework's default."""
    sequence = []
    for x_t in x:
        parts = dict(zip(gates, np.split(x_t @ w_ih.T + b_ih + h @ w_hh.T + b_hh, 4, -1), strict=True))
        c = sigmoid(parts["f"] + F(forget_bias)) * c + sigmoid(parts["i"]) * np.tanh(parts["g"])
        h = sigmoid(parts["o"]) * np.tanh(c)
        sequence.append(h)
    return np.stack(sequence), h, c


def cross_entropy(logits, target, *, smoothing=0.1, reduction=np.mean):
    """`smoothing` convention: the smoothed mass over all classes, or over the others only."""
    log_p = log_softmax(logits)
    picked = np.take_along_axis(log_p, target[:, None], 1)[:, 0]
    return reduction(-(F(1 - smoothing) * picked + F(smoothing) * log_p.mean(-1))).astype(F)


def bce_with_logits(logits, target, *, sigmoid_first=False):
    if sigmoid_first:
        with np.errstate(divide="ignore", invalid="ignore"):
            p = sigmoid(logits)
            return (-(target * np.log(p) + (1 - target) * np.log(1 - p))).astype(F)
    return np.maximum(logits, 0) - logits * target + np.log1p(np.exp(-np.abs(logits)))


def sgd_momentum(p, g, v, *, momentum=0.9):
    v = F(momentum) * v + g
    return p - F(0.1) * v, v


def adamw(p, g, m, v, *, coupled=False, eps=1e-8, eps_inside=False, corrected=True):
    """`coupled`: the decay enters the moments, as in Adam."""
    lr, decay, step = F(0.001), F(0.01), 10
    g = g + decay * p if coupled else g
    m, v = F(0.9) * m + F(0.1) * g, F(0.999) * v + F(0.001) * g * g
    m_hat, v_hat = (m / F(1 - 0.9**step), v / F(1 - 0.999**step)) if corrected else (m, v)
    root = np.sqrt(v_hat + F(eps)) if eps_inside else np.sqrt(v_hat) + F(eps)
    kept = p if coupled else p * (1 - lr * decay)
    return kept - lr * m_hat / root, m, v
