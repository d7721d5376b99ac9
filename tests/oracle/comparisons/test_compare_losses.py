"""Differences of the loss are named and proved: alone, with a second cause, in one framework and across frameworks."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pytest

import oracle
from oracle.comparisons.comparison import Meaning

torch = pytest.importorskip("torch")
nn, F = torch.nn, torch.nn.functional

_RANDOM = np.random.default_rng(0)
X = _RANDOM.normal(size=(6, 3)).astype("float32")
Y = np.array([0, 1, 2, 1, 4, 3])
WEIGHTS = (_RANDOM.random(5) + 0.5).astype("float32")
SAMPLES = (_RANDOM.random(6) + 0.5).astype("float32")
EVENTS = (_RANDOM.random((6, 1)) > 0.5).astype("float32")
VALUES = 2 * _RANDOM.normal(size=(6, 5)).astype("float32")
DISTRIBUTIONS = _RANDOM.dirichlet(np.ones(5), 6).astype("float32")
SIGNS = np.sign(VALUES)
ONE_HOT = np.eye(5, dtype="float32")[Y]
CE = nn.CrossEntropyLoss


def net(out=5, *last):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, out), *last)


def softmax_net():
    return net(5, nn.Softmax(-1))


def event_net():
    return net(1)


def probability_net():
    return net(1, nn.Sigmoid())


def pair(loss_a, loss_b, target=Y, a=net, b=None):
    sides = []
    for model, loss in ((a, loss_a), (b or a, loss_b)):
        options = dict(train_step=True, loss=loss, target=torch.from_numpy(target), full=True)
        sides.append(oracle.record(model(), torch.from_numpy(X), **options))
    return oracle.compare(*sides)


def smoothed_over_the_others(eps, classes=5):
    def loss(z, t):
        q = torch.full_like(z, eps / (classes - 1)).scatter(1, t[:, None], 1 - eps)
        return -(q * F.log_softmax(z, 1)).sum(1).mean()

    return loss


def divided_by_number(z, t):
    return F.cross_entropy(z, t, weight=torch.from_numpy(WEIGHTS), reduction="none").mean()


def weighted(divisor):
    def loss(z, t):
        losses = F.cross_entropy(z, t, reduction="none") * torch.from_numpy(SAMPLES)
        return losses.mean() if divisor == "number" else losses.sum() / torch.from_numpy(SAMPLES).sum()

    return loss


def nll(p, t):
    return F.nll_loss(torch.log(p), t)


def cross_entropy(eps=0.0, clip=None):
    def loss(p, t):
        p = p if clip is None else p.clamp(clip, 1 - clip)
        return -(t * torch.log(p + eps)).sum(1).mean()

    return loss


def divergence(z, t, **options):
    return F.kl_div(F.log_softmax(z, 1), t, **({"reduction": "batchmean"} | options))


def mean_square(scale=1.0):
    return lambda o, t: scale * ((o - t) ** 2).mean()


def hinge(margin, power=1):
    return lambda o, t: (torch.relu(margin - o * t) ** power).mean()


def cosine(sign, offset=0.0):
    return lambda o, t: offset + sign * F.cosine_similarity(o, t).mean()


BITS = (_RANDOM.random((6, 5)) > 0.5).astype("float32")


def overlap(smooth):
    def loss(z, t):
        p = torch.sigmoid(z)
        both = (p * t).sum()
        return 1 - (both + smooth) / (p.sum() + t.sum() - both + smooth)

    return loss


def focal(gamma):
    def loss(z, t):
        p = torch.sigmoid(z)
        hit = p * t + (1 - p) * (1 - t)
        return ((1 - hit) ** gamma * F.binary_cross_entropy_with_logits(z, t, reduction="none")).mean()

    return loss


def of_groups(z, t):
    return (F.cross_entropy(z[:3], t[:3]) + F.cross_entropy(z[3:], t[3:])) / 2


def penalised(*factors):
    sides = []
    for factor in factors:
        model = net()
        loss = lambda z, t, m=model, f=factor: F.cross_entropy(z, t) + f * m[0].weight.square().sum()  # noqa: E731
        options = dict(train_step=True, loss=loss, target=torch.from_numpy(Y), full=True)
        sides.append(oracle.record(model, torch.from_numpy(X), **options))
    return oracle.compare(*sides)


PLANTED = {
    "sum for mean": ("reduction", lambda: pair(CE(), CE(reduction="sum"))),
    "sum of squares": ("reduction", lambda: pair(nn.MSELoss(), nn.MSELoss(reduction="sum"), VALUES)),
    "mean over samples alone": ("reduction", lambda: pair(
        nn.MSELoss(), lambda o, t: ((o - t) ** 2).sum(1).mean(), VALUES)),
    "half of the square": ("reduction", lambda: pair(nn.MSELoss(), mean_square(0.5), VALUES)),
    "sum of absolute errors": ("reduction", lambda: pair(nn.L1Loss(), nn.L1Loss(reduction="sum"), VALUES)),
    "sum of Huber losses": ("reduction", lambda: pair(nn.HuberLoss(), nn.HuberLoss(reduction="sum"), VALUES)),
    "batchmean of kl_div": ("reduction", lambda: pair(
        divergence, lambda z, t: divergence(z, t, reduction="sum"), DISTRIBUTIONS)),
    "label smoothing left out": ("label-smoothing", lambda: pair(CE(label_smoothing=0.1), CE())),
    "another label smoothing": ("label-smoothing", lambda: pair(CE(label_smoothing=0.1), CE(label_smoothing=0.2))),
    "eps/K against eps/(K-1)": ("label-smoothing", lambda: pair(
        CE(label_smoothing=0.1), smoothed_over_the_others(0.1))),
    "class weights left out": ("class-weights", lambda: pair(CE(weight=torch.from_numpy(WEIGHTS)), CE())),
    "class weights not divided by": ("class-weights", lambda: pair(
        CE(weight=torch.from_numpy(WEIGHTS)), divided_by_number)),
    "sample weights divided by": ("class-weights", lambda: pair(weighted("number"), weighted("sum"))),
    "weight of the positive class": ("class-weights", lambda: pair(
        nn.BCEWithLogitsLoss(pos_weight=torch.tensor([2.0])), nn.BCEWithLogitsLoss(), EVENTS, event_net)),
    "nll_loss of probabilities": ("probabilities-as-logits", lambda: pair(F.nll_loss, nll, a=softmax_net)),
    "softmax before the loss": ("double-softmax", lambda: pair(nll, CE(), a=softmax_net)),
    "softmax on one side": ("double-softmax", lambda: pair(CE(), CE(), b=softmax_net)),
    "sigmoid before the loss": ("double-sigmoid", lambda: pair(
        nn.BCELoss(), nn.BCEWithLogitsLoss(), EVENTS, probability_net)),
    "sigmoid on one side": ("double-sigmoid", lambda: pair(
        nn.BCEWithLogitsLoss(), nn.BCEWithLogitsLoss(), EVENTS, event_net, probability_net)),
    "[N, 1] against [N]": ("broadcast", lambda: pair(
        nn.MSELoss(), lambda o, t: ((o - t[:, 0]) ** 2).mean(), EVENTS, event_net)),
    "arguments of KL": ("argument-order", lambda: pair(
        divergence, lambda z, t: F.kl_div(t.log(), F.softmax(z, 1), reduction="batchmean"), DISTRIBUTIONS)),
    "log_target": ("log-target", lambda: pair(
        divergence, lambda z, t: divergence(z, t, log_target=True), DISTRIBUTIONS)),
    "delta of Huber": ("loss-delta", lambda: pair(nn.HuberLoss(), nn.HuberLoss(delta=0.3), VALUES)),
    "beta of smooth L1": ("loss-delta", lambda: pair(nn.SmoothL1Loss(), nn.SmoothL1Loss(beta=0.3), VALUES)),
    "Huber against smooth L1": ("reduction", lambda: pair(nn.HuberLoss(delta=0.5), nn.SmoothL1Loss(beta=0.5), VALUES)),
    "squared against absolute": ("loss-kind", lambda: pair(nn.MSELoss(), nn.L1Loss(), VALUES)),
    "margin of a hinge": ("loss-margin", lambda: pair(hinge(0.3), hinge(0.1), SIGNS)),
    "squared hinge": ("loss-kind", lambda: pair(hinge(1.0), hinge(1.0, 2), SIGNS)),
    "sign of the cosine": ("sign", lambda: pair(cosine(-1), cosine(1), VALUES)),
    "one minus the cosine": ("loss-offset", lambda: pair(cosine(-1, 1), cosine(-1), VALUES)),
    "smooth of the overlap": ("loss-smooth", lambda: pair(overlap(1.0), overlap(1e-3), BITS)),
    "gamma of a focal loss": ("loss-gamma", lambda: pair(focal(2.0), focal(1.0), BITS)),
    "samples left out": ("masking", lambda: pair(CE(ignore_index=0), CE())),
    "weights by number": ("class-weights", lambda: pair(
        nn.BCEWithLogitsLoss(pos_weight=torch.tensor(3.0)), nn.BCEWithLogitsLoss(), BITS)),
    "means of groups": ("reduction", lambda: pair(CE(), of_groups, np.array([1, -100, -100, 2, 4, 1]))),
    "other labels": ("targets-differ", lambda: pair(CE(), lambda z, t: F.cross_entropy(z, t.roll(1)))),
    "labels as signs": ("targets-differ", lambda: pair(
        lambda o, t: torch.relu(1 - o * (2 * t - 1)).mean(), hinge(1.0), BITS)),
    "penalty on the weights": ("regularization", lambda: penalised(0.05, 0.025)),
    "no penalty on the weights": ("regularization", lambda: penalised(0.05, 0.0)),
    "eps in the logarithm": ("eps", lambda: pair(cross_entropy(1e-3), cross_entropy(1e-7), DISTRIBUTIONS, softmax_net)),
    "clipped logarithm": ("eps", lambda: pair(cross_entropy(clip=0.2), cross_entropy(), DISTRIBUTIONS, softmax_net)),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:reduction")
@pytest.mark.parametrize("name", PLANTED)
def test_planted_loss_is_named_and_proved(name):
    code, compare = PLANTED[name]
    found = compare()
    assert [c.code for c in found.causes] == [code]
    (cause,) = found.causes
    assert cause.share == pytest.approx(1, abs=1e-6)
    assert cause.fix_a
    assert cause.fix_b


CORRECT = {
    "cross entropy by hand": lambda: pair(CE(), lambda z, t: F.nll_loss(F.log_softmax(z, 1), t)),
    "KL by hand": lambda: pair(
        divergence, lambda z, t: (t * (t.log() - F.log_softmax(z, 1))).sum(1).mean(), DISTRIBUTIONS
    ),
    "binary cross entropy by hand": lambda: pair(
        nn.BCELoss(), lambda p, t: -(t * p.log() + (1 - t) * (1 - p).log()).mean(), EVENTS, probability_net
    ),
    "Huber from smooth L1": lambda: pair(
        nn.HuberLoss(delta=0.5), lambda o, t: F.smooth_l1_loss(o, t, beta=0.5) / 2, VALUES
    ),
    "label smoothing by hand": lambda: pair(CE(label_smoothing=0.1), smoothed_over_the_others(0.08)),
}


@pytest.mark.parametrize("name", CORRECT)
def test_the_same_loss_written_otherwise_means_the_same(name):
    found = CORRECT[name]()
    assert found.verdict is Meaning.SAME
    assert found.causes == ()


def test_two_differences_of_a_loss_are_two_causes():
    found = pair(CE(label_smoothing=0.1), CE(reduction="sum"))
    assert {c.code for c in found.causes} == {"label-smoothing", "reduction"}
    assert found.causes[-1].residual < 1e-6 * found.causes[0].before


def test_fixes_are_in_the_users_api():
    (cause,) = pair(CE(), CE(reduction="sum")).causes
    assert cause.fix_a == 'nn.CrossEntropyLoss(..., reduction="sum")'
    assert cause.fix_b == 'nn.CrossEntropyLoss(..., reduction="mean")'
    (cause,) = pair(nn.HuberLoss(), nn.HuberLoss(delta=0.3), VALUES).causes
    assert cause.fix_b == "nn.HuberLoss(..., delta=1)"
    (cause,) = pair(nll, CE(), a=softmax_net).causes
    assert "drop the softmax" in cause.fix_b


def test_an_unknown_loss_is_not_taken_for_a_known_one():
    found = pair(nn.MSELoss(), lambda o, t: (torch.sin(3 * o) * torch.cos(t + o)).pow(2).mean(), VALUES)
    assert found.verdict is Meaning.DIFFERENT
    known = {code for code, _ in PLANTED.values()}
    assert not known & {c.code for c in found.causes}


def keras_pair(loss_a, loss_b, target=Y, other=None, *, last=(None, None), out=5):
    keras = pytest.importorskip("keras")
    last_a, last_b = last
    model = net(out, *([last_b] if last_b else []))
    dense = [m for m in model if isinstance(m, nn.Linear)]
    layers = [keras.layers.Dense(8, "tanh"), keras.layers.Dense(out)]
    if last_a:
        layers.append(keras.layers.Activation(last_a))
    port = keras.Sequential([keras.Input((3,)), *layers])
    port.set_weights([w for m in dense for w in (m.weight.detach().numpy().T, m.bias.detach().numpy())])
    port.compile("sgd", loss_a(keras.losses))
    a = oracle.record(port, X, train_step=True, target=target, full=True)
    goal = torch.from_numpy(target if other is None else other)
    return oracle.compare(
        a, oracle.record(model, torch.from_numpy(X), train_step=True, loss=loss_b, target=goal, full=True)
    )


SOFTMAX = ("softmax", nn.Softmax(-1))
SIGMOID = ("sigmoid", nn.Sigmoid())
ACROSS = {
    "from_logits forgotten": ("probabilities-as-logits", lambda: keras_pair(
        lambda k: k.SparseCategoricalCrossentropy(), CE())),
    "softmax and CrossEntropyLoss": ("double-softmax", lambda: keras_pair(
        lambda k: k.SparseCategoricalCrossentropy(), CE(), last=SOFTMAX)),
    "sigmoid and BCEWithLogitsLoss": ("double-sigmoid", lambda: keras_pair(
        lambda k: k.BinaryCrossentropy(), nn.BCEWithLogitsLoss(), EVENTS, last=SIGMOID, out=1)),
    "kl_div without batchmean": ("reduction", lambda: keras_pair(
        lambda k: k.KLDivergence(), lambda p, t: F.kl_div(p.log(), t), DISTRIBUTIONS, last=SOFTMAX)),
    "label smoothing": ("label-smoothing", lambda: keras_pair(
        lambda k: k.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1), CE(), ONE_HOT, Y)),
    "Huber": ("loss-delta", lambda: keras_pair(lambda k: k.Huber(), nn.HuberLoss(delta=0.3), VALUES)),
    "sign of the cosine": ("sign", lambda: keras_pair(lambda k: k.CosineSimilarity(), cosine(1), VALUES)),
    "sum of squares": ("reduction", lambda: keras_pair(
        lambda k: k.MeanSquaredError(), nn.MSELoss(reduction="sum"), VALUES)),
}  # fmt: skip
_QUICK = ("softmax and CrossEntropyLoss",)


@pytest.mark.filterwarnings("ignore:reduction")
@pytest.mark.parametrize("name", [n if n in _QUICK else pytest.param(n, marks=pytest.mark.slow) for n in ACROSS])
def test_loss_of_keras_against_torch(name):
    code, compare = ACROSS[name]
    found = compare()
    assert [c.code for c in found.causes] == [code]
    assert found.causes[0].residual < 1e-5 * found.causes[0].before


@pytest.mark.parametrize(
    "loss",
    [
        lambda: keras_pair(lambda k: k.SparseCategoricalCrossentropy(from_logits=True), CE()),
        pytest.param(lambda: keras_pair(lambda k: k.Huber(), nn.HuberLoss(), VALUES), marks=pytest.mark.slow),
        pytest.param(
            lambda: keras_pair(
                lambda k: k.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1),
                CE(label_smoothing=0.1),
                ONE_HOT,
                Y,
            ),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_correct_loss_of_keras_against_torch_means_the_same(loss):
    assert loss().verdict is Meaning.SAME
