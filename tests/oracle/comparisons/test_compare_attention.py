"""Comparison of attention, embeddings, resizing and layouts: each cause is named and proved, ports mean the same."""

import math

import numpy as np
import pytest

from oracle.comparisons.comparing import compare
from oracle.comparisons.comparison import Meaning

torch = pytest.importorskip("torch")
nn, F = torch.nn, torch.nn.functional
slow = pytest.mark.slow


def _tensor(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape).astype(np.float32))


X, IMAGE = _tensor(2, 5, 24), _tensor(2, 3, 9, 8)
TOKENS = torch.tensor([[3, 4, 1, 0, 0], [1, 2, 5, 6, 3]])


class Attention(nn.Module):
    """Self-attention with the core `f(q, k, v)`; `split` says how features are split into heads."""

    def __init__(self, f, heads=3, split=True):
        super().__init__()
        torch.manual_seed(0)
        self.q, self.k, self.v, self.o = (nn.Linear(24, 24) for _ in range(4))
        self.f, self.heads, self.split = f, heads, split

    def forward(self, x):
        shape, size = x.shape, 24 // self.heads

        def heads(t):
            if self.split:
                return t.view(*shape[:2], self.heads, size).transpose(1, 2)
            return t.view(*shape[:2], size, self.heads).permute(0, 3, 1, 2)

        y = self.f(heads(2 * self.q(x)), heads(2 * self.k(x)), heads(self.v(x)))
        y = y.transpose(1, 2) if self.split else y.permute(0, 2, 3, 1)
        return self.o(y.reshape(shape))


def core(scale=None, keep=None, fill=-1e9, after=False):
    def run(q, k, v):
        scores = q @ k.transpose(-1, -2) * (q.shape[-1] ** -0.5 if scale is None else scale)
        if keep is None:
            return scores.softmax(-1) @ v
        mask = keep(scores)
        if after:
            return (scores.softmax(-1) * mask) @ v
        return scores.masked_fill(~mask, fill).softmax(-1) @ v

    return run


def fused(**options):
    return lambda q, k, v: F.scaled_dot_product_attention(q, k, v, **options)


def causal(shift=0):
    return lambda scores: torch.ones(scores.shape[-2:], dtype=torch.bool).tril(shift)


def opposite(scores):
    return ~causal()(scores)


def turned(x, layout="halves", base=1e4, first=0, part=1.0):
    """`x` rotated by position: half against half, interleaved (`complex` too), or by a mixture of the two."""
    size = int(part * x.shape[-1])
    x, rest = x[..., :size], x[..., size:]
    angle = (torch.arange(x.shape[-2]) + first)[:, None] * base ** (-torch.arange(0, size, 2) / size)
    if layout == "complex":
        z = torch.view_as_complex(x.reshape(*x.shape[:-1], -1, 2).contiguous())
        return torch.view_as_real(z * torch.polar(torch.ones_like(angle), angle)).flatten(-2)
    c, s = angle.cos(), angle.sin()
    if layout == "interleaved":
        a, b = x[..., 0::2], x[..., 1::2]
        return torch.stack([a * c - b * s, a * s + b * c], -1).flatten(-2)
    a, b = x.chunk(2, -1)
    c, s = ((t.repeat_interleave(2, -1) if layout == "mixed" else torch.cat([t, t], -1)) for t in (c, s))
    return torch.cat([x * c + torch.cat([-b, a], -1) * s, rest], -1)


def rotated(interleaved=False, **options):
    layout = "interleaved" if interleaved else options.pop("layout", "halves")
    return lambda q, k, v: core()(turned(q, layout, **options), turned(k, layout, **options), v)


def queries_alone(q, k, v):
    return core()(turned(q), k, v)


def biased(slope):
    """ALiBi: scores fall with the distance."""

    def run(q, k, v):
        p = torch.arange(q.shape[-2])
        slopes = slope ** torch.arange(1, 4)[:, None, None]
        scores = q @ k.mT * q.shape[-1] ** -0.5 + slopes * (p[None, :] - p[:, None])
        return scores.masked_fill(~causal()(scores), -math.inf).softmax(-1) @ v

    return run


PAD = (torch.arange(5) < torch.tensor([[3], [5]]))[:, None, None, :]


def padded(scores):
    return PAD.expand(scores.shape)


def added(fill):
    def run(q, k, v):
        scores = q @ k.mT * q.shape[-1] ** -0.5
        return (scores + torch.where(causal()(scores), 0.0, fill)).softmax(-1) @ v

    return run


CORES = {
    "padding the other way": ("attention-mask", core(keep=padded), core(keep=lambda scores: ~padded(scores))),
    "padding the other way, fused": ("attention-mask", fused(attn_mask=PAD), fused(attn_mask=~PAD)),
    "transposed": ("attention-mask", core(keep=causal()), core(keep=lambda scores: causal()(scores).T)),
    "ones and zeros added": ("attention-mask", fused(attn_mask=PAD), fused(attn_mask=PAD.float())),
    "too small a fill": ("attention-mask", added(-1e9), added(-2.0)),
    "two small fills": ("attention-mask", added(-3.0), added(-10.0)),
    "padding beside causal": (
        "attention-mask",
        core(keep=lambda scores: padded(scores) & causal()(scores)),
        fused(is_causal=True),
    ),
    "no scale": ("attention-scale", core(), core(1.0)),
    "1/d": ("attention-scale", core(), core(1 / 8)),
    "the model's size": ("attention-scale", fused(), core(24**-0.5)),
    "both fused": ("attention-scale", fused(), fused(scale=1.0)),
    "no causal mask": ("attention-mask", core(), core(keep=causal())),
    "no causal mask, fused": ("attention-mask", fused(is_causal=True), core()),
    "shifted": ("attention-mask", fused(is_causal=True), core(keep=causal(1))),
    "opposite": ("attention-mask", core(keep=causal()), core(keep=opposite)),
    "leaking": ("attention-mask", core(keep=causal()), core(keep=causal(), fill=-1.0)),
    "after the softmax": ("attention-mask", core(keep=causal(), fill=-math.inf), core(keep=causal(), after=True)),
    "layout": ("rotary-layout", rotated(), rotated(interleaved=True)),
    "base": ("rotary-layout", rotated(), rotated(base=5e5)),
    "complex numbers": ("rotary-layout", rotated(), rotated(layout="complex")),
    "complex numbers, base": ("rotary-layout", rotated(layout="complex"), rotated(layout="complex", base=5e5)),
    "a part rotated": ("rotary-layout", rotated(), rotated(part=0.5)),
    "angles of the other layout": ("rotary-layout", rotated(), rotated(layout="mixed")),
    "keys not rotated": ("rotary-layout", rotated(), queries_alone),
    "not rotated": ("rotary-layout", rotated(), core()),
    "slopes": ("positional-encoding", biased(0.5), biased(0.25)),
    "slopes, none": ("positional-encoding", biased(0.5), fused(is_causal=True)),
    "layout and base": ("rotary-layout", rotated(base=77777.0), rotated(interleaved=True, base=5e5)),
}
SLOW = ("1/d", "both fused", "opposite", "after the softmax", "base")


@pytest.mark.filterwarnings("ignore:invalid value encountered in subtract")
@pytest.mark.parametrize("name", [pytest.param(n, marks=slow) if n in SLOW else n for n in CORES])
def test_attention_of_another_convention(name):
    code, a, b = CORES[name]
    _one(compare(Attention(a), Attention(b), X, budgets=False), code)


def _one(found, code):
    assert found.verdict is Meaning.DIFFERENT
    assert [c.code for c in found.causes] == [code]
    assert found.causes[0].residual < 1e-5 * found.causes[0].before
    assert found.causes[0].fix_a or found.causes[0].fix_b


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (core(keep=causal(), fill=-1e4), core(keep=causal())),
        (fused(is_causal=True), core(keep=causal())),
        (rotated(), rotated(first=1)),
        (rotated(True), rotated(layout="complex")),
    ],
    ids=["fill", "fused", "relative positions", "complex"],
)
def test_attention_that_means_the_same(a, b):
    assert compare(Attention(a), Attention(b), X, budgets=False).verdict is Meaning.SAME


def test_scale_and_mask_are_named_together():
    found = compare(Attention(core()), Attention(core(1.0, causal())), X, budgets=False)
    assert {c.code for c in found.causes} == {"attention-scale", "attention-mask"}
    assert found.causes[-1].residual < 1e-5 * found.causes[0].before


def test_heads_split_the_other_way():
    _one(compare(Attention(core(), 6), Attention(core(), 6, split=False), X, budgets=False), "head-layout")


H, READ = nn.Linear(24, 6), nn.Linear(6, 4)
KEEP = PAD[:, 0, 0, :, None].float()
POOLS = {
    "mean": (lambda h, keep: (h * keep).sum(1) / keep.sum(1), lambda h, keep: h.mean(1)),
    "sum": (lambda h, keep: (h * keep).sum(1), lambda h, keep: h.sum(1)),
    "maximum": (lambda h, keep: h.masked_fill(keep == 0, -1e9).amax(1), lambda h, keep: h.amax(1)),
    "divisor": (lambda h, keep: (h * keep).sum(1) / keep.sum(1), lambda h, keep: (h * keep).sum(1) / h.shape[1]),
    "outputs": (lambda h, keep: h * keep, lambda h, keep: h),
}


@pytest.mark.parametrize("name", POOLS)
def test_padded_steps_are_left_out_of_a_pool(name):
    a, b = ((lambda x, f=f: READ(f(H(x).tanh(), KEEP))) for f in POOLS[name])
    x = X * (4 - 3 * KEEP)  # what is to be left out is the largest
    _one(compare(a, b, x, budgets=False), "masking")


def test_a_softmax_that_is_no_attention_has_no_attention_scale():
    found = compare(lambda x: READ(H(x).softmax(-1)), lambda x: READ((H(x) / 6**0.5).softmax(-1)), X, budgets=False)
    _one(found, "constant-factor")


torch.manual_seed(1)
Q, K, V, OUT = (nn.Linear(24, 24) for _ in range(4))
QKV, FEW = nn.Linear(24, 72), nn.Linear(24, 24)


def apart(x, heads):
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def attend(heads=4, q=Q, k=K, v=V, f=None):
    return lambda x: OUT((f or core())(*(apart(p(x), heads) for p in (q, k, v))).transpose(1, 2).flatten(2))


def packed(axes="3hd", order="qkv"):
    sizes, places = {"3": 3, "h": 4, "d": 6}, {c: 2 + k for k, c in enumerate(axes)}

    def run(x):
        z = QKV(x).unflatten(-1, [sizes[c] for c in axes]).permute(places["3"], 0, places["h"], 1, places["d"])
        of = dict(zip(order, z, strict=True))
        return OUT(core()(of["q"], of["k"], of["v"]).transpose(1, 2).flatten(2))

    return run


def grouped(tiled):
    def run(x):
        few = apart(FEW(x), 4).chunk(2, 1)
        k, v = (t.repeat(1, 2, 1, 1) if tiled else t.repeat_interleave(2, 1) for t in few)
        return OUT(core()(apart(Q(x), 4), k, v).transpose(1, 2).flatten(2))

    return run


HEADS = {
    "another number": ("head-layout", attend(4), attend(3)),
    "another number, fused": ("head-layout", attend(4, f=fused()), attend(2, f=fused())),
    "packed by heads": ("head-layout", packed(), packed("h3d")),
    "packed by features": ("head-layout", packed(), packed("hd3")),
    "packed values first": ("head-layout", packed(), packed(order="vkq")),
    "groups": ("head-layout", grouped(False), grouped(True)),
    "queries and keys": ("weights-exchanged", attend(), attend(q=K, k=Q)),
    "keys and values": ("weights-exchanged", attend(), attend(k=V, v=K)),
}


@pytest.mark.parametrize("name", HEADS)
def test_heads_and_projections(name):
    code, a, b = HEADS[name]
    _one(compare(a, b, X, budgets=False), code)


def _embedded(padded):
    torch.manual_seed(3)
    table, attend = nn.Embedding(8, 24), Attention(core())

    def run(tokens):
        attend.f = core(keep=lambda scores: (tokens != 0)[:, None, None, :]) if padded else core()
        return attend(table(tokens))

    return run


def test_a_padding_mask_left_out():
    _one(compare(_embedded(False), _embedded(True), TOKENS, budgets=False), "attention-mask")


def _positions(interleaved, base=1e4, cosine=False):
    angle = torch.arange(5)[:, None] / base ** (torch.arange(0, 24, 2) / 24)
    parts = [angle.cos(), angle.sin()] if cosine else [angle.sin(), angle.cos()]
    return torch.stack(parts, -1).reshape(5, 24) if interleaved else torch.cat(parts, -1)


class Positioned(nn.Module):
    """A dense layer on its input with a stored table of positions."""

    def __init__(self, table):
        super().__init__()
        self.register_buffer("table", table)
        self.dense = DENSE

    def forward(self, x):
        return self.dense(x + self.table[: x.shape[1]])


@pytest.mark.parametrize(
    "other",
    [{"interleaved": False}, {"interleaved": True, "base": 100.0}, {"interleaved": False, "cosine": True}],
    ids=["halves", "base", "cosine first"],
)
def test_stored_tables_of_positions(other):
    a, b = Positioned(_positions(True)), Positioned(_positions(**other))
    _one(compare(a, b, X, budgets=False), "positional-encoding")


torch.manual_seed(0)
DENSE, NORM, CONV, TABLE = nn.Linear(24, 3), nn.LayerNorm(24), nn.Conv2d(3, 4, 3), nn.Embedding(8, 24)
with torch.no_grad():
    NORM.weight.copy_(_tensor(24, seed=4))
ZERO = nn.Embedding.from_pretrained(torch.cat([torch.zeros(1, 24), TABLE.weight.detach()[1:]]))


def _resized(**options):
    return lambda x: F.interpolate(x, **options)


def _residual(before):
    def run(x):
        return DENSE(x + torch.tanh(NORM(x)) if before else NORM(x + torch.tanh(x)))

    return run


FUNCTIONS = {
    "softmax axis": (
        "softmax-axis",
        X,
        lambda x: DENSE(x).softmax(-1) @ DENSE.weight,
        lambda x: DENSE(x).softmax(1) @ DENSE.weight,
    ),
    "mean axis": ("reduction-axis", _tensor(4, 24, 24), lambda x: DENSE(x.mean(1)), lambda x: DENSE(x.mean(2))),
    "first token": ("pooling-type", X, lambda x: DENSE(x.tanh()[:, 0]), lambda x: DENSE(x.tanh().mean(1))),
    "global max": ("pooling-type", X, lambda x: DENSE(x.mean(1)), lambda x: DENSE(x.amax(1))),
    "positions": (
        "positional-encoding",
        X,
        lambda x: DENSE(x + _positions(True)),
        lambda x: DENSE(x + _positions(False)),
    ),
    "reshape": (
        "data-layout",
        _tensor(2, 9, 8, 3),
        lambda x: CONV(x.permute(0, 3, 1, 2)).relu(),
        lambda x: CONV(x.reshape(2, 3, 9, 8)).relu(),
    ),
    "channels": ("data-layout", IMAGE, lambda x: CONV(x).relu(), lambda x: CONV(x.flip(1)).relu()),
    "norm axes": (
        "normalization-axes",
        X,
        lambda x: DENSE(F.layer_norm(x, (24,))),
        lambda x: DENSE(F.layer_norm(x, (5, 24))),
    ),
    "norm and activation": ("node-order", X, lambda x: DENSE(F.gelu(NORM(x))), lambda x: DENSE(NORM(F.gelu(x)))),
    "norm and residual": ("norm-order", X, _residual(True), _residual(False)),
    "padding row": ("embedding-padding", TOKENS, lambda i: DENSE(TABLE(i)), lambda i: DENSE(ZERO(i))),
    "embedding scale": ("embedding-scale", TOKENS, lambda i: DENSE(TABLE(i)), lambda i: DENSE(TABLE(i) * 24**0.5)),
    "corners": (
        "resize-convention",
        IMAGE,
        _resized(size=(15, 13), mode="bilinear"),
        _resized(size=(15, 13), mode="bilinear", align_corners=True),
    ),
    "nearest": ("resize-convention", IMAGE, _resized(size=(15, 13)), _resized(size=(15, 13), mode="nearest-exact")),
    "antialias": (
        "resize-convention",
        IMAGE,
        _resized(size=(5, 4), mode="bicubic"),
        _resized(size=(5, 4), mode="bicubic", antialias=True),
    ),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_layout_or_a_convention_is_named(name):
    code, x, a, b = FUNCTIONS[name]
    _one(compare(a, b, x, budgets=False), code)


@pytest.mark.parametrize(
    ("method", "options", "code"),
    [
        ("bilinear", {"mode": "bilinear"}, "resize-convention"),
        ("bilinear", {"mode": "bilinear", "antialias": True}, None),
        ("cubic", {"mode": "bicubic", "antialias": False}, "resize-convention"),
    ],
)
def test_resizing_in_jax_and_torch(method, options, code):
    jax = pytest.importorskip("jax")
    x = IMAGE.numpy().transpose(0, 2, 3, 1)
    found = compare(
        lambda v: jax.image.resize(v, (2, 5, 4, 3), method),
        _resized(size=(5, 4), **options),
        inputs_a=jax.numpy.asarray(x),
        inputs_b=IMAGE,
        budgets=False,
    )
    if code:
        _one(found, code)
    else:
        assert found.verdict is Meaning.SAME


def test_other_weights_are_no_convention():
    """Attention with other projections has another output, and no scale, mask or rotation of it is claimed."""
    other = Attention(core())
    with torch.no_grad():
        other.q.weight.copy_(_tensor(24, 24, seed=7))
    found = compare(Attention(core()), other, X, budgets=False)
    assert found.verdict is Meaning.DIFFERENT
    assert {c.code for c in found.causes} <= {"weights-differ", "unknown-semantics"}
