"""Optimizers: eps and its place, what a schedule does to momentum, how weight decay is coupled."""

import numpy as np
import pytest
from casebook import case, parts, verify

import oracle

keras = pytest.importorskip("keras")
torch = pytest.importorskip("torch")


def _steps(optimizer, make, steps=1, scale=1.0):
    """A linear model of two weights trained in both frameworks."""
    x, y = np.float32([[1, 2], [3, -1], [0.5, 1]]), np.float32([[0.5], [-1], [0]])
    a = keras.layers.Dense(1, use_bias=False)
    a.build((None, 2))
    a.set_weights([np.float32([[0.7], [-0.4]])])
    b = torch.nn.Linear(2, 1, bias=False)
    b.load_state_dict({"weight": torch.tensor([[0.7, -0.4]])})
    losses = (lambda t, y: keras.ops.mean((y - t) ** 2) * scale, lambda y, t: ((y - t) ** 2).mean() * scale)
    return oracle.compare(
        a, b, inputs_a=x, inputs_b=torch.from_numpy(x), train_step=True, steps=steps, loss=losses,
        target=(y, torch.from_numpy(y)), optimizer=(optimizer, make(b.parameters())),
    )  # fmt: skip


@case("OPT02", "RMSprop: eps inside the root in Keras, outside in torch", "optimizer-eps")
def rmsprop_eps():
    keras_side = keras.optimizers.RMSprop(2e-3, rho=0.9, epsilon=1e-2)
    return _steps(keras_side, lambda p: torch.optim.RMSprop(p, lr=2e-3, alpha=0.9, eps=1e-2))


@case(
    "OPT02",
    "RMSprop as each framework has it by default",
    "learning-rate",
    "optimizer-betas",
    optional=("optimizer-eps",),
)
def rmsprop_defaults():
    return _steps(keras.optimizers.RMSprop(), torch.optim.RMSprop)


@case("OPT03", "RMSprop with momentum at a constant rate (negative control)")
def rmsprop_momentum():
    keras_side = keras.optimizers.RMSprop(2e-3, rho=0.9, epsilon=1e-7, momentum=0.8)
    return _steps(keras_side, lambda p: torch.optim.RMSprop(p, lr=2e-3, alpha=0.9, eps=1e-7, momentum=0.8), steps=3)


@case(
    "OPT05",
    "Adam(weight_decay): decoupled in Keras, coupled in torch",
    "weight-decay-coupling",
    optional=("optimizer-eps",),
)
def decay():
    keras_side = keras.optimizers.Adam(0.05, weight_decay=0.2)
    return _steps(keras_side, lambda p: torch.optim.Adam(p, lr=0.05, weight_decay=0.2))


@case("OPT06", "Adam: eps 1e-7 before the bias correction in Keras, 1e-8 after it in torch", "optimizer-eps")
def adam():
    return _steps(keras.optimizers.Adam(0.05), lambda p: torch.optim.Adam(p, lr=0.05), scale=2.0**-12)


@case("OPT06", "The same with gradients so large that eps drowns in the rounding of 1 - beta (negative control)")
def adam_of_large_gradients():
    return _steps(keras.optimizers.Adam(0.05), lambda p: torch.optim.Adam(p, lr=0.05), scale=2.0**6)


@pytest.mark.parametrize("part", parts(__name__), ids=lambda p: p.name)
def test_the_tool_says_what_it_is(part):
    verify(part)
