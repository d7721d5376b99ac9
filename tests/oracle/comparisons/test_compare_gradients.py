"""A wrong backward pass is one cause, at its place, in torch, Keras and JAX; a right one is none."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pytest

import oracle
from oracle.comparisons.comparison import Meaning

torch = pytest.importorskip("torch")
nn = torch.nn

_WIDTH = 6
OPERATIONS = ("silu", "square", "gate")
WRONG = ("factor", "missing", "sign")


def forward(operation, x, m):
    if operation == "silu":
        return x / (1 + m.exp(-x))
    return x + 0.3 * x * x if operation == "square" else m.tanh(x) * x


def terms(operation, x, m):
    """The two terms whose sum is the derivative."""
    if operation == "silu":
        s = 1 / (1 + m.exp(-x))
        return s, x * s * (1 - s)
    return (1.0, 0.6 * x) if operation == "square" else (m.tanh(x), x * (1 - m.tanh(x) ** 2))


def backward(operation, change, m):
    def function(x, g):
        a, b = terms(operation, x, m)
        return {"right": g * (a + b), "factor": 1.001 * g * (a + b), "missing": g * a, "sign": g * (a - b)}[change]

    return function


class Case:
    """A network of dense layers with one operation of one's own at random depth."""

    def __init__(self, seed):
        random = np.random.default_rng(seed)
        depth = int(random.integers(3, 14))
        self.at, self.operation = int(random.integers(0, depth - 1)), OPERATIONS[seed % len(OPERATIONS)]
        size = (_WIDTH, _WIDTH)
        self.weights = [(0.5 * random.normal(size=size), 0.3 * random.normal(size=_WIDTH)) for _ in range(depth)]
        self.weights = [(w.astype("float32"), b.astype("float32")) for w, b in self.weights]
        self.x, self.y = (random.normal(size=(8, _WIDTH)).astype("float32") for _ in range(2))

    def in_torch(self, change):
        case, back = self, backward(self.operation, change, torch) if change else None

        class Own(torch.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                ctx.save_for_backward(x)
                return forward(case.operation, x, torch)

            @staticmethod
            def backward(ctx, g):
                return back(*ctx.saved_tensors, g)

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.layers = nn.ModuleList(nn.Linear(_WIDTH, _WIDTH) for _ in case.weights)
                for layer, (w, b) in zip(self.layers, case.weights, strict=True):
                    layer.weight.data, layer.bias.data = torch.from_numpy(w.T.copy()), torch.from_numpy(b.copy())

            def forward(self, x):
                for k, layer in enumerate(self.layers):
                    x = layer(x)
                    if k == case.at:
                        x = Own.apply(x) if back else forward(case.operation, x, torch)
                    elif k < len(self.layers) - 1:
                        x = torch.tanh(x)
                return x

        target = torch.from_numpy(self.y)
        options = {"train_step": True, "loss": nn.MSELoss(), "target": target, "full": True}
        return oracle.record(Net(), torch.from_numpy(self.x), **options)

    def in_keras(self, change):
        keras, tf = pytest.importorskip("keras"), pytest.importorskip("tensorflow")
        back = backward(self.operation, change, tf)

        @tf.custom_gradient
        def own(x):
            return forward(self.operation, x, tf), lambda g: back(x, g)

        class Own(keras.layers.Layer):
            def call(self, x):
                return own(x)

        layers = [keras.layers.Dense(_WIDTH) for _ in self.weights]
        inner = [Own() if k == self.at else keras.layers.Activation("tanh") for k in range(len(layers) - 1)]
        chain = [part for pair in zip(layers, inner, strict=False) for part in pair]
        model = keras.Sequential([keras.Input((_WIDTH,)), *chain, layers[-1]])
        for layer, (w, b) in zip(layers, self.weights, strict=True):
            layer.set_weights([w, b])
        model.compile("sgd", "mse")
        return oracle.record(model, self.x, train_step=True, target=self.y, full=True)

    def in_jax(self, change):
        jax = pytest.importorskip("jax")
        back = backward(self.operation, change, jax.numpy)
        own = jax.custom_vjp(lambda x: forward(self.operation, x, jax.numpy))
        own.defvjp(lambda x: (forward(self.operation, x, jax.numpy), x), lambda x, g: (back(x, g),))
        weights = {f"dense_{k}": {"kernel": w, "bias": b} for k, (w, b) in enumerate(self.weights)}

        def model(p, x):
            for k in range(len(p)):
                x = x @ p[f"dense_{k}"]["kernel"] + p[f"dense_{k}"]["bias"]
                x = own(x) if k == self.at else jax.numpy.tanh(x) if k < len(p) - 1 else x
            return x

        inputs = (jax.tree.map(jax.numpy.asarray, weights), jax.numpy.asarray(self.x))
        return oracle.record(
            model, inputs, train_step=True, loss=lambda o, t: ((o - t) ** 2).mean(), target=jax.numpy.asarray(self.y),
            framework="jax", full=True,
        )  # fmt: skip


def compared(framework, seed, change):
    case = Case(seed)
    sides = case.in_torch(None), getattr(case, f"in_{framework}")(change)
    return oracle.compare(*(sides if seed % 2 else sides[::-1]))


_SEEDS = [pytest.param(s, marks=[] if s < 3 else pytest.mark.slow) for s in range(20)]


@pytest.mark.parametrize("framework", ["torch", "jax", "keras"])
@pytest.mark.parametrize("seed", _SEEDS)
def test_a_wrong_backward_pass_is_one_cause(framework, seed):
    found = compared(framework, seed, WRONG[seed % 3])
    assert [c.code for c in found.causes] == ["wrong-gradient"]
    (cause,) = found.causes
    assert cause.residual < 1e-6 * cause.before
    assert cause.node_b if seed % 2 else cause.node_a


@pytest.mark.parametrize("framework", ["torch", "jax", "keras"])
@pytest.mark.parametrize("seed", _SEEDS)
def test_a_right_backward_pass_is_none(framework, seed):
    found = compared(framework, seed, "right")
    assert found.verdict is Meaning.SAME
    assert found.causes == ()


# Other ways in which a gradient is not what the other model's is.


def stepped(change=None, hook=None, steps=1):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3))
    if hook:
        model[1].register_full_backward_hook(hook)
    x, y = (torch.randn(6, n, generator=torch.Generator().manual_seed(n)) for n in (4, 3))
    optimizer = torch.optim.SGD(model.parameters(), 0.1)

    def step(m, inputs):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(m(inputs), y)
        loss.backward()
        if change:
            change(m)
        optimizer.step()
        return loss

    return oracle.record(model, x, train_step=step, steps=steps, full=True)


def scaled(model):
    for p in model.parameters():
        p.grad.mul_(128.0)


CHANGES = {
    "gradient-scale": {"change": scaled},
    "gradient-clipping": {"change": lambda m: nn.utils.clip_grad_norm_(m.parameters(), 0.3)},
    "gradient-clipping by value": {"change": lambda m: nn.utils.clip_grad_value_(m.parameters(), 0.1)},
    "wrong-gradient": {"hook": lambda m, given, out: (1.001 * given[0],)},
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_gradient_is_named(name):
    found = oracle.compare(stepped(), stepped(**CHANGES[name]))
    assert [c.code for c in found.causes] == [name.partition(" ")[0]]
    assert found.causes[0].residual < 1e-6 * found.causes[0].before


def test_what_one_cut_keeps_from_the_loss_is_one_cause():
    class Net(nn.Module):
        def __init__(self, cut):
            super().__init__()
            torch.manual_seed(0)
            self.cut, self.first, self.a, self.b = cut, nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x):
            x = self.first(x)
            y = self.b(torch.tanh(self.a(x)))
            return x + (y.detach() if self.cut else y)

    x = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    options = {"train_step": True, "loss": nn.MSELoss(), "target": torch.ones(5, 4)}
    found = oracle.compare(Net(False), Net(True), x, **options)
    assert [c.code for c in found.causes] == ["no-gradient"]
    assert "a.weight, a.bias, b.weight, b.bias" in found.causes[0].detail
    options["loss"] = (nn.MSELoss(), nn.MSELoss(reduction="sum"))
    found = oracle.compare(Net(False), Net(True), x, **options)
    assert [c.code for c in found.causes] == ["reduction", "no-gradient"]


def test_two_biases_that_are_both_trained_are_named():
    class Net(nn.Module):
        def __init__(self, parts):
            super().__init__()
            torch.manual_seed(0)
            dense = nn.Linear(4, 20)
            self.weight, half = dense.weight, dense.bias.detach() / 2
            parts = {"one": half.clone(), "two": half.clone()} if parts else {"whole": 2 * half}
            self.biases = nn.ParameterDict(parts)

        def forward(self, x):
            x = x @ self.weight.T
            for bias in self.biases.values():
                x = x + bias
            return torch.tanh(x)

    a, b = Net(True), Net(False)
    x = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    optimizers = tuple(torch.optim.SGD(m.parameters(), 0.1) for m in (a, b))
    found = oracle.compare(
        a, b, x, train_step=True, loss=nn.MSELoss(), target=torch.ones(5, 20), optimizer=optimizers, steps=2
    )
    assert [c.code for c in found.causes] == ["double-bias"]
