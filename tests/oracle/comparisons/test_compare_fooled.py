"""Pairs made to fool the judge: the same meaning written otherwise, and other meanings that hold the same numbers."""

import copy
import math

import numpy as np
import pytest

from oracle.comparisons.comparing import compare
from oracle.comparisons.comparison import Meaning

torch = pytest.importorskip("torch")
nn, F = torch.nn, torch.nn.functional


def _x(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def _t(*shape, seed=0):
    return torch.from_numpy(_x(*shape, seed=seed)) / max(shape[0], 1) ** 0.5


class Written(nn.Module):
    """Parameters or modules by name, and what is computed of them."""

    def __init__(self, parts, function):
        super().__init__()
        self.function = function
        for name, part in parts.items():
            setattr(self, name, copy.deepcopy(part) if isinstance(part, nn.Module) else nn.Parameter(part.clone()))

    def forward(self, *inputs):
        return self.function(self, *inputs)


def _compared(parts, functions, x, *, train=False):
    a, b = (Written(parts, f) for f in functions)
    options = {}
    if train:
        with torch.no_grad():
            shape = a(torch.from_numpy(x)).shape
        adam = tuple(torch.optim.Adam(m.parameters(), 0.01) for m in (a, b))
        options = {"train_step": True, "loss": nn.MSELoss(), "target": _x(*shape, seed=9), "optimizer": adam}
    return compare(a, b, inputs=x, **options)


def _heads(x, count=2):
    return x.unflatten(-1, (count, -1)).transpose(1, 2)


def _fused(s, x):
    q, k, v = (_heads(x @ w) for w in (s.q, s.k, s.v))
    return F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2)


def _split(s, x):
    q, k, v = (_heads(x @ w) for w in (s.q, s.k, s.v))
    scores = q @ k.mT / math.sqrt(q.shape[-1])
    scores = scores.masked_fill(~torch.ones(scores.shape[-2:], dtype=torch.bool).tril(), -math.inf)
    return (scores.softmax(-1) @ v).transpose(1, 2).flatten(2)


def _looped(s, x):
    cell, steps = s.l, []
    h = c = x.new_zeros(len(x), cell.hidden_size)
    for t in range(x.shape[1]):
        gates = x[:, t] @ cell.weight_ih_l0.T + cell.bias_ih_l0 + h @ cell.weight_hh_l0.T + cell.bias_hh_l0
        i, f, g, o = gates.chunk(4, -1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        steps.append(h)
    return torch.stack(steps, 1)


def _shifted(s, x):
    y, padded = 0, F.pad(x, (1, 1, 1, 1))
    for i in range(3):
        for j in range(3):
            y = y + torch.einsum("bchw,oc->bohw", padded[:, :, i : i + 6, j : j + 6], s.w[:, :, i, j])
    return y


def _moments(s, x):
    z = x @ s.w
    mean = z.mean(-1, keepdim=True)
    return (z - mean) / ((z * z).mean(-1, keepdim=True) - mean * mean + 1e-5).sqrt() * s.g


def _angles():
    angle = torch.outer(torch.arange(5.0), 10000 ** (-torch.arange(4) / 4))
    return angle, angle.cos(), angle.sin()


def _rotated(s, x):
    _, cos, sin = _angles()
    u, v = (x @ s.w)[..., ::2], (x @ s.w)[..., 1::2]
    return torch.stack([u * cos - v * sin, v * cos + u * sin], -1).flatten(-2)


def _rotated_complex(s, x):
    angle, _, _ = _angles()
    z = torch.view_as_complex((x @ s.w).unflatten(-1, (-1, 2)))
    return torch.view_as_real(z * torch.polar(torch.ones(5, 4), angle)).flatten(-2)


_QKV = {"q": _t(8, 8, seed=1), "k": _t(8, 8, seed=2), "v": _t(8, 8, seed=3)}
_KERNEL = {"w": _t(4, 3, 3, 3)}
_LINEAR = {"w": _t(10, 8)}

# name: (parts, the two ways of writing it, inputs)
_SAME = {
    "attention": (_QKV, (_fused, _split), _x(2, 5, 8)),
    "lstm": ({"l": nn.LSTM(5, 6, batch_first=True)}, (lambda s, x: s.l(x)[0], _looped), _x(3, 4, 5)),
    "convolution": (_KERNEL, (lambda s, x: F.conv2d(x, s.w, padding=1), _shifted), _x(2, 3, 6, 6)),
    "unfolded": (
        _KERNEL,
        (lambda s, x: F.conv2d(x, s.w), lambda s, x: (s.w.flatten(1) @ F.unfold(x, 3)).unflatten(-1, (4, 4))),
        _x(2, 3, 6, 6),
    ),
    "depthwise": (
        {"w": _t(4, 1, 3, 3)},
        (
            lambda s, x: F.conv2d(x, s.w, groups=4),
            lambda s, x: torch.cat([F.conv2d(x[:, i : i + 1], s.w[i : i + 1]) for i in range(4)], 1),
        ),
        _x(2, 4, 5, 5),
    ),
    "layer norm by moments": (
        _LINEAR | {"g": _t(8)},
        (lambda s, x: F.layer_norm(x @ s.w, (8,), s.g), _moments),
        _x(4, 10),
    ),
    "gelu by erfc": (
        _LINEAR,
        (lambda s, x: F.gelu(x @ s.w), lambda s, x: 0.5 * (x @ s.w) * torch.erfc(-(x @ s.w) * 0.5**0.5)),
        _x(4, 10),
    ),
    "sigmoid by tanh": (
        _LINEAR,
        (lambda s, x: torch.sigmoid(x @ s.w), lambda s, x: 0.5 * (1 + torch.tanh(0.5 * (x @ s.w)))),
        _x(4, 10),
    ),
    "softmax by exp": (
        _LINEAR,
        (
            lambda s, x: (x @ s.w).softmax(-1),
            lambda s, x: torch.exp(x @ s.w) / torch.exp(x @ s.w).sum(-1, keepdim=True),
        ),
        _x(4, 10),
    ),
    "one-hot embedding": (
        {"e": _t(7, 6)},
        (lambda s, i: F.embedding(i, s.e), lambda s, i: F.one_hot(i, 7).float() @ s.e),
        np.array([[1, 2, 0, 5], [3, 3, 1, 4]]),
    ),
    "pixel shuffle": (
        {"w": _t(8, 3, 3, 3)},
        (
            lambda s, x: F.pixel_shuffle(F.conv2d(x, s.w), 2),
            lambda s, x: F.conv2d(x, s.w).reshape(2, 2, 2, 2, 4, 4).permute(0, 1, 4, 2, 5, 3).reshape(2, 2, 8, 8),
        ),
        _x(2, 3, 6, 6),
    ),
    "largest three": (
        _LINEAR,
        (lambda s, x: torch.topk(x @ s.w, 3)[0], lambda s, x: torch.sort(x @ s.w, descending=True)[0][:, :3]),
        _x(4, 10),
    ),
    "rotation by complex numbers": ({"w": _t(8, 8)}, (_rotated, _rotated_complex), _x(2, 5, 8)),
    "softplus beyond its threshold": (
        _LINEAR,
        (lambda s, x: F.softplus(x @ s.w), lambda s, x: torch.logaddexp(x @ s.w, torch.zeros(()))),
        30 * _x(4, 10),
    ),
    "the diagonal": (
        _LINEAR,
        (lambda s, x: (x @ s.w @ (x @ s.w).T).diagonal(), lambda s, x: ((x @ s.w) ** 2).sum(-1)),
        _x(4, 10),
    ),
    "row by row": (
        _LINEAR,
        (lambda s, x: torch.tanh(x @ s.w), lambda s, x: torch.stack([torch.tanh(s.w.T @ row) for row in x])),
        _x(4, 10),
    ),
}


@pytest.mark.parametrize("name", _SAME)
def test_another_way_of_writing_it_means_the_same(name):
    parts, functions, x = _SAME[name]
    found = _compared(parts, functions, x, train=True)
    assert found.verdict is Meaning.SAME, str(found)
    assert found.codes == ("rounding-only",)
    assert not any("these inputs only" in n for n in found.notes)


_DEGENERATE = {
    "zeros": np.zeros((2, 5, 8), np.float32),
    "one number": np.full((2, 5, 8), 0.7, np.float32),
    "large": _x(2, 5, 8) * np.float32(1e15),
    "tiny": _x(2, 5, 8) * np.float32(1e-30),
    "equal rows": np.repeat(_x(1, 1, 8), 10, 0).reshape(2, 5, 8),
    "one step": _x(2, 1, 8),
}


@pytest.mark.parametrize("name", _DEGENERATE)
def test_inputs_that_say_little_accuse_nobody(name):
    found = _compared(_QKV, (_fused, _split), _DEGENERATE[name])
    assert found.verdict is Meaning.SAME, str(found)


def _tanh(s, x):
    return torch.tanh(x @ s.w)


# name: (parts, the two meanings, inputs, code)
_OTHER = {
    "output turned": (
        {"w": _t(10, 4)},
        (_tanh, lambda s, x: _tanh(s, x).T),
        _x(4, 10),
        "data-layout",
    ),
    "output turned in time": (
        _LINEAR,
        (_tanh, lambda s, x: _tanh(s, x).transpose(0, 1)),
        _x(4, 4, 10),
        "data-layout",
    ),
    "rows in another order": (_LINEAR, (_tanh, lambda s, x: _tanh(s, x)[[1, 2, 3, 0]]), _x(4, 10), "indexing"),
    "a square kernel turned": (
        {"w": _t(8, 8)},
        (_tanh, lambda s, x: torch.tanh(x @ s.w.T)),
        _x(4, 8),
        None,
    ),
    "one element of the batch": (
        _LINEAR,
        (_tanh, lambda s, x: _tanh(s, x) * torch.tensor([1, 1, 1, 1.001])[:, None]),
        _x(4, 10),
        "extra-node",
    ),
    "the last step": (
        _LINEAR,
        (_tanh, lambda s, x: torch.cat([_tanh(s, x)[:, :-1], _tanh(s, x)[:, -2:-1]], 1)),
        _x(2, 5, 10),
        "extra-node",
    ),
    "another decision": (
        _LINEAR,
        (lambda s, x: (x @ s.w, (x @ s.w).argmax(-1)), lambda s, x: (x @ s.w, (x @ s.w).argmin(-1))),
        _x(4, 10),
        "unknown-semantics",
    ),
    "a tiny eps": (
        {"w": _t(10, 64)},
        (
            lambda s, x: F.layer_norm(x @ s.w, (64,), eps=1e-12),
            lambda s, x: F.layer_norm(x @ s.w, (64,), eps=1e-5),
        ),
        _x(4, 10),
        "eps",
    ),
}


@pytest.mark.parametrize("name", _OTHER)
def test_another_meaning_with_the_same_numbers_is_seen(name):
    parts, functions, x, code = _OTHER[name]
    found = _compared(parts, functions, x)
    assert found.verdict is Meaning.DIFFERENT, str(found)
    assert found.causes
    assert code is None or {c.code for c in found.causes} == {code}, str(found)


@pytest.mark.parametrize("code", ["weights-shared", "statistics-not-updated", "momentum-convention"])
def test_what_one_model_alone_updates_is_named(code):
    torch.manual_seed(0)
    a = nn.Sequential(nn.Linear(10, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 3))
    b = copy.deepcopy(a)
    trained = b[0] if code == "weights-shared" else b
    if code == "momentum-convention":
        b[1].momentum = 0.0
    elif code == "statistics-not-updated":
        b[1] = Written(dict(b[1].named_parameters()), _batch_norm)
        b[1].register_buffer("running_mean", torch.zeros(8))
        b[1].register_buffer("running_var", torch.ones(8))
    optimizers = tuple(torch.optim.SGD(m.parameters(), 0.1) for m in (a, trained))
    data = {"inputs": _x(6, 10), "target": _x(6, 3, seed=1), "loss": nn.MSELoss(), "train_step": True}
    found = compare(a, b, optimizer=optimizers, **data)
    assert [c.code for c in found.causes] == [code], str(found)
    assert found.causes[0].residual <= 1e-9 * found.causes[0].before


def _batch_norm(s, x):
    return (x - x.mean(0)) / torch.sqrt(x.var(0, correction=0) + 1e-5) * s.weight + s.bias


def test_decisions_between_equal_scores_accuse_nobody():
    twice = lambda s, x: torch.cat([x @ s.w, x @ s.w], -1)  # noqa: E731
    functions = (
        lambda s, x: (x @ s.w, twice(s, x).argmax(-1)),
        lambda s, x: (x @ s.w, 7 - twice(s, x).flip(-1).argmax(-1) % 8),
    )
    assert _compared(_LINEAR, functions, _x(4, 10)).verdict is Meaning.SAME


@pytest.mark.parametrize(
    ("functions", "x"),
    [
        ((lambda s, x: F.relu(x) * 2, lambda s, x: F.leaky_relu(x) * 2), np.abs(_x(4, 8))),
        ((lambda s, x: F.relu(x @ s.w), lambda s, x: F.relu6(x @ s.w)), _x(4, 10)),
        ((lambda s, x: torch.tanh(x @ s.w), lambda s, x: torch.sin(x @ s.w)), np.zeros((4, 10), np.float32)),
    ],
    ids=["slope", "clip", "zeros"],
)
def test_agreement_on_these_inputs_alone_is_said(functions, x):
    found = _compared(_LINEAR, functions, x)
    assert found.verdict is Meaning.SAME, str(found)
    assert any("the same on these inputs only" in n for n in found.notes)


def test_a_setting_that_shows_from_the_second_step_on_is_said():
    a = nn.Linear(10, 3)
    b = copy.deepcopy(a)
    optimizers = (torch.optim.SGD(a.parameters(), 0.1, momentum=0.9), torch.optim.SGD(b.parameters(), 0.1))
    data = {"inputs": _x(6, 10), "target": _x(6, 3, seed=1), "loss": nn.MSELoss(), "train_step": True}
    found = compare(a, b, optimizer=optimizers, **data)
    assert found.verdict is Meaning.SAME
    assert any("optimizer-momentum" in n for n in found.notes)


def test_a_weight_of_one_model_alone_is_said():
    meanings = (lambda s, x: (x @ s.w) * s.g, lambda s, x: x @ s.w)
    a, b = (Written(parts, f) for parts, f in zip((_LINEAR | {"g": torch.ones(8)}, _LINEAR), meanings, strict=True))
    found = compare(a, b, inputs=_x(4, 10), target=_x(4, 8, seed=1), loss=nn.MSELoss(), train_step=True)
    assert any("gradients of A without a counterpart, not compared: g" in n for n in found.notes)


def test_a_cast_that_both_models_make_is_meant():
    half, brain = (lambda s, x: (x @ s.w).half().float()), (lambda s, x: (x @ s.w).bfloat16().float())
    assert _compared(_LINEAR, (half, half), _x(4, 10), train=True).verdict is Meaning.SAME
    assert "reduced-precision" in _compared(_LINEAR, (half, brain), _x(4, 10)).codes


@pytest.mark.parametrize("name", ["renorm", "sgn"])
def test_a_backward_pass_in_float64_or_of_no_memory_accuses_nobody(name):
    function = (lambda s, x: torch.renorm(x @ s.w, 2, 0, 1.0)) if name == "renorm" else lambda s, x: (x @ s.w).sgn()
    assert _compared(_LINEAR, (function, function), _x(4, 10), train=True).verdict is Meaning.SAME


def test_a_lowering_that_does_not_fit_is_no_error_of_the_user():
    jax = pytest.importorskip("jax")
    determinant = jax.numpy.linalg.det
    found = compare(determinant, determinant, inputs=_x(4, 4), framework="jax")
    assert found.verdict is Meaning.SAME
    assert any("without a lowering" in n for n in found.notes)
