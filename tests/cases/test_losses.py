"""Losses: clipping, hidden normalisation, label smoothing, reductions, the order of arguments."""

import numpy as np
import pytest
from casebook import case, parts, verify

import oracle

keras = pytest.importorskip("keras")
torch = pytest.importorskip("torch")
# torch says so itself: one of the cases.
pytestmark = pytest.mark.filterwarnings("ignore:reduction. 'mean' divides")
F = torch.nn.functional
DRAW = np.random.default_rng(6)


def _both(a, b, *arrays):
    return oracle.compare(a, b, inputs_a=arrays, inputs_b=tuple(map(torch.from_numpy, arrays)))


def _distributions(classes):
    return (DRAW.dirichlet(np.ones(classes), 6).astype("float32") for _ in range(2))


@case("LOS02", "Binary cross-entropy of certain predictions: clipped at 1e-7, or the logarithm at -100", "eps")
def certain():
    p, y = np.float32([[0.0], [1.0], [0.3]]), np.float32([[1.0], [0.0], [1.0]])
    return _both(lambda p, y: keras.losses.BinaryCrossentropy()(y, p), F.binary_cross_entropy, p, y)


@case("LOS02", "Binary cross-entropy inside (0, 1): the same (negative control)")
def uncertain():
    p, y = np.float32([[0.2], [0.9], [0.3]]), np.float32([[1.0], [0.0], [1.0]])
    return _both(lambda p, y: keras.losses.BinaryCrossentropy()(y, p), F.binary_cross_entropy, p, y)


@case("LOS04", "Categorical cross-entropy divides probabilities by their sum first", "renormalised-probabilities")
def normalised():
    p = np.float32([[0.2, 0.1, 0.3], [0.5, 0.2, 0.2], [0.1, 0.6, 0.2], [0.3, 0.3, 0.1]])
    y = np.eye(3, dtype="float32")[[0, 2, 1, 1]]
    a = lambda p, y: keras.losses.CategoricalCrossentropy()(y, p)  # noqa: E731
    return _both(a, lambda p, y: -(y * torch.log(p)).sum(1).mean(), p, y)


@case("LOS05", "Label smoothing e / K against e / (K - 1)", "label-smoothing")
def smoothing():
    z, y = torch.from_numpy(DRAW.normal(size=(6, 7)).astype("float32")), torch.tensor([0, 1, 2, 3, 6, 5])
    spread = torch.where(F.one_hot(y, 7) > 0, 0.8, 0.2 / 6)
    a = lambda z: F.cross_entropy(z, y, label_smoothing=0.2)  # noqa: E731
    return oracle.compare(a, lambda z: -(spread * F.log_softmax(z, 1)).sum(1).mean(), z)


@case("LOS05", "Label smoothing of Keras and of torch: the same (negative control)")
def same_smoothing():
    z, y = DRAW.normal(size=(6, 7)).astype("float32"), np.eye(7, dtype="float32")[[0, 1, 2, 3, 6, 5]]
    loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.2)
    return _both(lambda z, y: loss(y, z), lambda z, y: F.cross_entropy(z, y, label_smoothing=0.2), z, y)


@case("LOS06", "KLDivLoss: 'mean' divides by the classes too", "reduction")
def mean_or_batchmean():
    p, q = _distributions(11)
    return _both(keras.losses.KLDivergence(), lambda p, q: F.kl_div(q.log(), p), p, q)


@case("LOS06", "KLDivLoss with the arguments of Keras", "argument-order")
def exchanged():
    p, q = _distributions(11)
    batch = {"reduction": "batchmean"}
    a = lambda p, q: F.kl_div(q.log(), p, **batch)  # noqa: E731
    return oracle.compare(a, lambda p, q: F.kl_div(p.log(), q, **batch), (torch.from_numpy(p), torch.from_numpy(q)))


@pytest.mark.parametrize("part", parts(__name__), ids=lambda p: p.name)
def test_the_tool_says_what_it_is(part):
    verify(part)
