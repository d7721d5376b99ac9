"""Discrepancies that users report beyond the layers of Keras and torch: flax-style functions, language models, signals.

Each is the smallest program with the reported difference; the link is where it was reported. The negative controls
were reported, or feared, as differences and are none.
"""

import numpy as np
import pytest

import oracle
from oracle.comparisons.comparison import Meaning

torch = pytest.importorskip("torch")
jax = pytest.importorskip("jax")
jnp = jax.numpy
nn, functional = torch.nn, torch.nn.functional
SIZE, HEADS = 16, 4
DIFFERENT, SAME = {}, {}


def _x(*shape, seed=0, scale=1.0):
    return (scale * np.random.default_rng(seed).standard_normal(shape)).astype(np.float32)


def _t(array):
    return torch.from_numpy(np.array(array))


def _weight(rows, columns, seed):
    return _t(_x(rows, columns, seed=seed, scale=rows**-0.5))


def reported(*codes):
    """Register a pair of programs: without codes it is a negative control."""

    def register(build):
        (DIFFERENT if codes else SAME)[build.__name__] = (codes, build)
        return build

    return register


def _of_jax_and_torch(a, b, x):
    return oracle.compare(a, b, x, framework=("jax", "torch"))


def _flax_layer_norm(eps):
    gain, shift = _x(10, seed=3), _x(10, seed=4)

    def apply(x):
        mean = jnp.mean(x, -1, keepdims=True)
        variance = jnp.maximum(jnp.mean(x * x, -1, keepdims=True) - mean * mean, 0)
        return (x - mean) * (jax.lax.rsqrt(variance + eps) * gain) + shift

    return apply, lambda x: functional.layer_norm(x, (10,), _t(gain), _t(shift))


# https://github.com/google/flax/issues/2195
@reported("eps")
def flax_layer_norm():
    return _of_jax_and_torch(*_flax_layer_norm(1e-6), _x(4, 10, scale=0.05))


@reported()
def flax_layer_norm_with_the_eps_of_torch():
    return _of_jax_and_torch(*_flax_layer_norm(1e-5), _x(4, 10))


# https://github.com/google/flax/issues/2993
@reported("padding")
def stem_of_a_residual_network():
    kernel, x = _x(7, 7, 3, 8, scale=0.1), _x(1, 16, 16, 3)

    def in_jax(x):
        return jax.lax.conv_general_dilated(x, kernel, (2, 2), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))

    def in_torch(x):
        return functional.conv2d(x, _t(kernel.transpose(3, 2, 0, 1)), stride=2, padding=3)

    frameworks = {"framework": ("jax", "torch")}
    return oracle.compare(in_jax, in_torch, inputs_a=x, inputs_b=x.transpose(0, 3, 1, 2).copy(), **frameworks)


@reported("kernel-flip")
def convolution_of_numpy():
    kernel = _x(5, seed=2)
    correlate = lambda x: functional.conv1d(x[None, None], _t(kernel)[None, None])[0, 0]  # noqa: E731
    return _of_jax_and_torch(lambda x: jnp.convolve(x, kernel, mode="valid"), correlate, _x(40))


@reported("variance-ddof")
def covariance_of_numpy():
    return _of_jax_and_torch(lambda x: jnp.cov(x, bias=True), torch.cov, _x(4, 30))


def _split(x, heads):
    return x.view(*x.shape[:2], heads, -1).transpose(1, 2)


def _attention(q, k, v, scale=None, bias=0.0):
    scores = q @ k.transpose(-1, -2) * (scale or q.shape[-1] ** -0.5) + bias
    scores = scores.masked_fill(torch.ones(scores.shape[-2:]).triu(1).bool(), float("-inf"))
    return (torch.softmax(scores, -1) @ v).transpose(1, 2).flatten(2)


def _projected(attention, narrow=SIZE):
    q, k, v = _weight(SIZE, SIZE, 21), _weight(SIZE, narrow, 22), _weight(SIZE, narrow, 23)
    heads = HEADS * narrow // SIZE
    return lambda x: attention(_split(x @ q, HEADS), _split(x @ k, heads), _split(x @ v, heads)) @ _weight(SIZE, 6, 24)


@reported("head-layout")
def grouped_queries_repeat_their_keys():
    def shared(repeat):
        return _projected(lambda q, k, v: _attention(q, repeat(k), repeat(v)), SIZE // 2)

    in_turn, in_blocks = shared(lambda k: k.repeat(1, 2, 1, 1)), shared(lambda k: k.repeat_interleave(2, 1))
    return oracle.compare(in_blocks, in_turn, _x(2, 5, SIZE))


@reported("head-layout")
def queries_keys_and_values_in_one_weight():
    weight = _weight(SIZE, 3 * SIZE, 27)

    def by_head(x):
        return _attention(*(x @ weight).view(2, 5, HEADS, 12).transpose(1, 2).chunk(3, -1))

    def by_kind(x):
        return _attention(*(_split(part, HEADS) for part in (x @ weight).chunk(3, -1)))

    return oracle.compare(by_head, by_kind, _x(2, 5, SIZE))


@reported("attention-scale")
def scale_before_a_soft_cap():
    def capped(size):
        def attention(q, k, v):
            scores = 2.0 * torch.tanh(q @ k.transpose(-1, -2) * size**-0.5 / 2.0)
            return (torch.softmax(scores, -1) @ v).transpose(1, 2).flatten(2)

        return _projected(attention)

    return oracle.compare(capped(4), capped(32), _x(2, 5, SIZE))


# https://github.com/pytorch/pytorch/issues/103082
@reported("attention-mask")
def causal_mask_of_fewer_queries_than_keys():
    k, v = _t(_x(2, 4, 8, 4, seed=31)), _t(_x(2, 4, 8, 4, seed=32))

    def aligned(last):
        mask = torch.ones(5, 8).tril(3 if last else 0).bool()
        return lambda x: functional.scaled_dot_product_attention(_split(x, HEADS), k, v, attn_mask=mask)

    return oracle.compare(aligned(last=True), aligned(last=False), _x(2, 5, SIZE))


@reported("argument-order")
def gate_and_value_of_a_gated_unit():
    weight = _weight(SIZE, 2 * SIZE, 28)

    def gated(gate):
        def apply(x):
            parts = (x @ weight).chunk(2, -1)
            return functional.silu(parts[gate]) * parts[1 - gate]

        return apply

    return oracle.compare(gated(0), gated(1), _x(2, 5, SIZE))


def _step(loss_a, loss_b, target):
    torch.manual_seed(0)
    a, b = (nn.Sequential(nn.Linear(10, 16), nn.Tanh(), nn.Linear(16, 5)) for _ in range(2))
    b.load_state_dict(a.state_dict())
    return oracle.compare(a, b, _x(6, 10), target=np.array(target), loss=(loss_a, loss_b), train_step=True)


def _accumulated(outputs, target):
    return (functional.cross_entropy(outputs[:3], target[:3]) + functional.cross_entropy(outputs[3:], target[3:])) / 2


# https://github.com/huggingface/transformers/issues/24725
@reported("reduction")
def accumulated_gradients_of_unequal_parts():
    return _step(nn.CrossEntropyLoss(), _accumulated, [1, -100, -100, 2, 4, 1])


@reported()
def accumulated_gradients_of_equal_parts():
    return _step(nn.CrossEntropyLoss(), _accumulated, [1, 0, 3, 2, 4, 1])


@reported("targets-differ")
def labels_shifted_once_too_often():
    return _step(nn.CrossEntropyLoss(), lambda o, t: functional.cross_entropy(o, t.roll(1)), [1, 0, 3, 2, 4, 1])


@reported()
def a_bias_of_the_keys():
    """The softmax does not see what is added to all scores of a query."""
    q, k, v, bias = (_weight(SIZE, SIZE, 31), _weight(SIZE, SIZE, 32), _weight(SIZE, SIZE, 33), _t(_x(SIZE, seed=5)))

    def attention(added):
        return lambda x: _attention(_split(x @ q, HEADS), _split(x @ k + added, HEADS), _split(x @ v, HEADS))

    return oracle.compare(attention(bias), attention(torch.zeros(SIZE)), _x(2, 5, SIZE))


@reported()
def linear_biases_by_the_key_alone():
    slopes = _t(np.float32(2.0) ** -np.arange(1, 5, dtype=np.float32))[:, None, None]
    steps = torch.arange(5.0)

    def attention(bias):
        return _projected(lambda q, k, v: _attention(q, k, v, bias=bias))

    return oracle.compare(attention(slopes * (steps - steps[:, None])), attention(slopes * steps), _x(2, 5, SIZE))


@reported()
def experts_chosen_before_or_after_the_softmax():
    weight = _weight(SIZE, 8, 35)

    def before(x):
        chosen = torch.softmax(x @ weight, -1).topk(2, -1).values
        return chosen / chosen.sum(-1, keepdim=True)

    return oracle.compare(before, lambda x: torch.softmax((x @ weight).topk(2, -1).values, -1), _x(4, SIZE))


# https://github.com/huggingface/transformers/pull/29402
@reported()
def a_norm_cast_before_or_after_its_weight():
    gain = _t(_x(32)).bfloat16()

    def norm(x):
        return x.float() * torch.rsqrt(x.float().pow(2).mean(-1, keepdim=True) + 1e-6)

    x = _t(_x(8, 32)).bfloat16()
    return oracle.compare(lambda x: gain * norm(x).bfloat16(), lambda x: (gain.float() * norm(x)).bfloat16(), x)


@pytest.mark.parametrize("name", DIFFERENT)
def test_the_cause_is_named(name):
    codes, build = DIFFERENT[name]
    found = build()
    assert found.verdict is Meaning.DIFFERENT
    assert set(found.codes) == set(codes)
    assert sum(c.share for c in found.causes) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("name", SAME)
def test_what_is_no_difference_accuses_nobody(name):
    found = SAME[name][1]()
    assert found.verdict is Meaning.SAME
    assert found.codes == ("rounding-only",)
