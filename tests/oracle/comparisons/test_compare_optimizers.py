"""Differences of optimizers are named and proved: each respect, in torch, JAX and Keras, alone and with others."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pytest

import oracle
from oracle.comparisons.comparison import Meaning
from oracle.networks.network import Network
from oracle.updates.fitting import rules_of
from oracle.updates.rules import FAMILIES, History, Rule, fitted, updates

torch = pytest.importorskip("torch")
nn, optim = torch.nn, torch.optim

_RANDOM = np.random.default_rng(0)
X = _RANDOM.normal(size=(4, 3)).astype("float32")
Y = _RANDOM.normal(size=(4, 2)).astype("float32")


def dense():
    torch.manual_seed(0)
    return nn.Linear(3, 2)


def stepped(optimizer, steps=2, loss=None, model=None):
    model = model or dense()
    return oracle.record(
        model, torch.from_numpy(X), train_step=True, loss=loss or nn.MSELoss(), target=torch.from_numpy(Y),
        optimizer=optimizer(model.parameters()), steps=steps, full=True,
    )  # fmt: skip


def scheduled(inside, steps=3):
    """SGD with momentum and a falling learning rate, which is inside the momentum or outside."""
    model = dense()
    velocity = [torch.zeros_like(p) for p in model.parameters()]

    def step(m, x):
        rate = 0.1 / 2 ** (step.count)
        step.count += 1
        m.zero_grad()
        loss = ((m(x) - torch.from_numpy(Y)) ** 2).mean()
        loss.backward()
        with torch.no_grad():
            for p, v in zip(m.parameters(), velocity, strict=True):
                v.mul_(0.9).add_(p.grad, alpha=rate if inside else 1.0)
                p.sub_(v if inside else rate * v)
        return loss

    step.count = 0
    return oracle.record(model, torch.from_numpy(X), train_step=step, steps=steps, full=True)


def adam(lr=0.01, **options):
    return lambda p: optim.Adam(p, lr, **options)


def adamw(lr=0.01, **options):
    return lambda p: optim.AdamW(p, lr, **options)


def sgd(lr=0.1, **options):
    return lambda p: optim.SGD(p, lr, **options)


def rmsprop(lr=0.01, **options):
    return lambda p: optim.RMSprop(p, lr, **options)


def adagrad(**options):
    return lambda p: optim.Adagrad(p, 0.1, **options)


def in_groups(p):
    p = list(p)
    groups = [{"params": p[:1], "weight_decay": 0.1}, {"params": p[1:], "weight_decay": 0.0}]
    return optim.AdamW(groups, 0.01)


PLANTED = {
    "eps": (["optimizer-eps"], adam(), adam(eps=1e-4), 2),
    "eps of a fused kernel": (["optimizer-eps"], adam(foreach=True), adam(eps=1e-3, fused=True), 2),
    "eps of RMSprop": (["optimizer-eps"], rmsprop(eps=1e-8), rmsprop(eps=1e-3), 1),
    "learning rate": (["learning-rate"], adam(), adam(0.02), 2),
    "L2 against decoupled decay": (["weight-decay-coupling"], adamw(weight_decay=0.1), adam(weight_decay=0.1), 2),
    "no decay": (["weight-decay"], sgd(), sgd(weight_decay=0.1), 1),
    "no decay of biases": (["weight-decay"], in_groups, adamw(weight_decay=0.1), 1),
    "betas": (["optimizer-betas"], adam(), adam(betas=(0.8, 0.99)), 3),
    "momentum": (["optimizer-momentum"], sgd(momentum=0.9), sgd(momentum=0.5), 2),
    "nesterov": (["nesterov"], sgd(momentum=0.9), sgd(momentum=0.9, nesterov=True), 1),
    "dampening": (["dampening"], sgd(momentum=0.9), sgd(momentum=0.9, dampening=0.3), 2),
    "amsgrad": (["amsgrad"], adam(0.3, betas=(0.5, 0.5)), adam(0.3, betas=(0.5, 0.5), amsgrad=True), 4),
    "centered": (["centered"], rmsprop(alpha=0.9), rmsprop(alpha=0.9, centered=True), 2),
    "accumulator": (["initial-accumulator"], adagrad(), adagrad(initial_accumulator_value=0.1), 1),
    "ascent": (["sign"], sgd(), sgd(maximize=True), 1),
    "another optimizer": (["optimizer-kind"], adam(), sgd(), 2),
    "a class without a rule": (["optimizer-kind"], adam(), lambda p: optim.Adafactor(p, 0.01), 2),
    "RMSprop's defaults": (
        ["learning-rate", "optimizer-betas", "optimizer-eps"], rmsprop(), rmsprop(1e-3, alpha=0.9, eps=1e-5), 1),
}  # fmt: skip


@pytest.mark.parametrize("name", PLANTED)
def test_planted_difference_is_named_and_proved(name):
    codes, a, b, steps = PLANTED[name]
    found = oracle.compare(stepped(a, steps), stepped(b, steps))
    assert sorted(c.code for c in found.causes) == codes
    assert all(c.share > 0 for c in found.causes)
    assert found.causes[-1].residual < 1e-6 * found.causes[0].before
    assert all(c.fix_a for c in found.causes)
    assert all(c.fix_b for c in found.causes)


def test_fixes_are_in_the_users_api():
    (cause,) = oracle.compare(stepped(adamw(weight_decay=0.1)), stepped(adam(weight_decay=0.1))).causes
    assert cause.fix_a == "torch.optim.Adam(..., weight_decay=0.1)"
    assert cause.fix_b == "torch.optim.AdamW(..., weight_decay=0.1)"
    (cause,) = oracle.compare(stepped(sgd(momentum=0.9)), stepped(sgd(momentum=0.5))).causes
    assert cause.fix_b == "torch.optim.SGD(..., momentum=0.9)"


@pytest.mark.parametrize("options", [{"foreach": True}, {"fused": True}])
def test_another_kernel_of_the_same_optimizer_means_the_same(options):
    found = oracle.compare(stepped(adam()), stepped(adam(**options)))
    assert found.verdict is Meaning.SAME


def test_one_learning_rate_over_all_steps_wins():
    """Adam without bias correction, by hand: not a learning rate that changes from step to step."""

    class Uncorrected(optim.Optimizer):
        def __init__(self, parameters):
            super().__init__(parameters, {})

        @torch.no_grad()
        def step(self):
            for p in self.param_groups[0]["params"]:
                kept = self.state[p] or {"m": torch.zeros_like(p), "v": torch.zeros_like(p)}
                kept["m"], kept["v"] = 0.9 * kept["m"] + 0.1 * p.grad, 0.999 * kept["v"] + 0.001 * p.grad**2
                self.state[p] = kept
                p.sub_(0.01 * kept["m"] / (kept["v"].sqrt() + 1e-8))

    found = oracle.compare(stepped(adam(), 3), stepped(Uncorrected, 3))
    assert [c.code for c in found.causes] == ["bias-correction"]


def test_learning_rate_inside_the_momentum_shows_when_it_changes():
    assert [c.code for c in oracle.compare(scheduled(False), scheduled(True)).causes] == ["lr-in-momentum"]


def test_loss_model_and_optimizer_each_have_their_cause():
    def model(eps):
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(3, 8), nn.LayerNorm(8, eps=eps), nn.Linear(8, 2))

    a = stepped(adam(), loss=nn.MSELoss(), model=model(1e-5))
    b = stepped(adam(eps=1e-4), loss=nn.MSELoss(reduction="sum"), model=model(1e-2))
    assert [c.code for c in oracle.compare(a, b).causes] == ["eps", "reduction", "optimizer-eps"]


def test_an_unknown_rule_is_not_taken_for_a_known_one():
    class Odd(optim.Optimizer):
        def __init__(self, parameters):
            super().__init__(parameters, {})

        @torch.no_grad()
        def step(self):
            for p in self.param_groups[0]["params"]:
                p.sub_(0.1 * torch.tanh(3 * p.grad))

    odd = stepped(Odd, 1)
    assert rules_of(Network(odd), Network(odd)) == ({}, {})
    found = oracle.compare(stepped(sgd(), 1), odd)
    assert found.verdict is Meaning.DIFFERENT
    assert not {c.code for c in found.causes} & {"learning-rate", "optimizer-kind", "gradient-clipping"}


def test_a_step_that_breaks_its_promise_is_found():
    class Careless(optim.SGD):
        def step(self, closure=None):
            self.param_groups[0]["lr"] = 0.101
            super().step(closure)
            self.param_groups[0]["lr"] = 0.1

    found = oracle.compare(stepped(sgd(), 1), stepped(lambda p: Careless(p, 0.1), 1))
    assert [c.code for c in found.causes] == ["learning-rate"]
    assert "0.101" in found.causes[0].detail


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_recovers_its_learning_rates(family):
    random = np.random.default_rng(1)
    gradients, weights = ([random.normal(size=20) for _ in range(3)] for _ in range(2))
    history = History(gradients, weights, (20,))
    rule = Rule(family, 0.9, 0.99, 1e-3, schedule=1.0, decay=0.1, decay_form="decoupled", rates=(0.1, 0.05, 0.02))
    _, rates = fitted(rule, history, updates(rule, history))
    assert rates == pytest.approx(rule.rates)


def jax_pair(rule_a, rule_b):
    jax = pytest.importorskip("jax")
    weights = {"w": jax.numpy.asarray(dense().weight.detach().numpy().T)}

    def recorded(rule):
        return oracle.record(
            lambda p, x: x @ p["w"], (weights, jax.numpy.asarray(X)), loss=lambda o, t: ((o - t) ** 2).mean(),
            target=jax.numpy.asarray(Y), optimizer=lambda p, g: jax.tree.map(rule, p, g), framework="jax", full=True,
        )  # fmt: skip

    return oracle.compare(recorded(rule_a), recorded(rule_b))


def first_adam(eps=1e-4, corrected=True, inside=False, decoupled=0.0, coupled=0.0):
    """The first step of Adam, by hand."""

    def rule(w, g):
        g = g + coupled * w
        m, v = (1 - 0.9) * g, (1 - 0.999) * g * g
        if corrected:
            m, v = m / (1 - 0.9), v / (1 - 0.999)
        direction = m / (v + eps) ** 0.5 if inside else m / (v**0.5 + eps)
        return w - 0.01 * (direction + decoupled * w)

    return rule


BY_HAND = {
    "bias-correction": (first_adam(), first_adam(corrected=False)),
    "optimizer-eps": (first_adam(), first_adam(inside=True)),
    "weight-decay-coupling": (first_adam(decoupled=0.1), first_adam(coupled=0.1)),
    "gradient-clipping": (lambda w, g: w - 0.1 * g, lambda w, g: w - 0.1 * g.clip(-0.2, 0.2)),
    "learning-rate": (lambda w, g: w - 0.1 * g, lambda w, g: w - 0.2 * g),
}


@pytest.mark.parametrize("code", BY_HAND)
def test_rules_written_by_hand(code):
    found = jax_pair(*BY_HAND[code])
    assert [c.code for c in found.causes] == [code]
    assert found.causes[0].residual < 1e-6 * found.causes[0].before


def keras_pair(optimizer_a, optimizer_b, steps=2):
    keras = pytest.importorskip("keras")
    model = dense()
    port = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    port.set_weights([model.weight.detach().numpy().T, model.bias.detach().numpy()])
    port.compile(optimizer_a(keras.optimizers), "mse")
    a = oracle.record(port, X, train_step=True, target=Y, steps=steps, full=True)
    return oracle.compare(a, stepped(optimizer_b, steps))


ACROSS = {
    "epsilon-hat": (["optimizer-eps"], lambda k: k.Adam(0.01, epsilon=1e-2), adam(eps=1e-2)),
    "Adam's weight_decay": (
        ["optimizer-eps", "weight-decay-coupling"], lambda k: k.Adam(0.01, weight_decay=0.1), adam(weight_decay=0.1)),
    "RMSprop's root": (
        ["optimizer-eps"], lambda k: k.RMSprop(0.01, rho=0.9, epsilon=1e-2), rmsprop(alpha=0.9, eps=1e-2)),
    "Adagrad's start": (
        ["initial-accumulator", "optimizer-eps"], lambda k: k.Adagrad(0.1, epsilon=1e-3), adagrad(eps=1e-10)),
    "clipnorm": (["gradient-clipping"], lambda k: k.SGD(0.1, clipnorm=0.2), sgd()),
    "Nadam's schedule": (["momentum-schedule"], lambda k: k.Nadam(0.01, epsilon=1e-8), lambda p: optim.NAdam(p, 0.01)),
    "rate inside the momentum": (
        ["learning-rate", "lr-in-momentum"],
        lambda k: k.SGD(k.schedules.ExponentialDecay(0.1, 1, 0.5), momentum=0.9), sgd(momentum=0.9)),
}  # fmt: skip
_QUICK = ("Adam's weight_decay",)


@pytest.mark.parametrize("name", [n if n in _QUICK else pytest.param(n, marks=pytest.mark.slow) for n in ACROSS])
def test_optimizer_of_keras_against_torch(name):
    codes, a, b = ACROSS[name]
    found = keras_pair(a, b, 3)
    assert sorted(c.code for c in found.causes) == codes


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (lambda k: k.SGD(0.1, momentum=0.9), sgd(momentum=0.9)),
        pytest.param(lambda k: k.Adadelta(1.0, rho=0.9, epsilon=1e-6), optim.Adadelta, marks=pytest.mark.slow),
    ],
)
def test_a_correct_optimizer_of_keras_against_torch_means_the_same(a, b):
    assert keras_pair(a, b).verdict is Meaning.SAME
