"""Equivalent losses (of targets y and predictions p) and optimizers (of a parameter p)."""

from typing import Any

from oracle.adapters.equivalents import row


def _loss(name: str, keras: str, torch: str, jax: str, *, drawn: tuple[str, str], **more: Any) -> None:
    y, p = drawn
    row(name, "loss", keras, torch, jax, inputs={"y": y, "p": p}, call_keras="f(y, p)",
        **{"call_torch": "f(p, y)", **more})  # fmt: skip


_loss(
    "MeanSquaredError",
    "keras.losses.MeanSquaredError()",
    "nn.MSELoss()",
    "((y - p) ** 2).mean()",
    drawn=("normal 4 5", "normal 4 5"),
    note="[n, 1] against [n] becomes [n, n] in both: torch warns, Keras does not.",
)
_loss(
    "MeanAbsoluteError",
    "keras.losses.MeanAbsoluteError()",
    "nn.L1Loss()",
    "jnp.abs(y - p).mean()",
    drawn=("normal 4 5", "normal 4 5"),
)
_loss(
    "Huber",
    "keras.losses.Huber()",
    "nn.HuberLoss()",
    "jnp.where(jnp.abs(y - p) < 1, 0.5 * (y - p) ** 2, jnp.abs(y - p) - 0.5).mean()",
    drawn=("normal 4 5", "normal 4 5"),
    args="delta | delta |",
    note="nn.SmoothL1Loss(beta) is HuberLoss(delta=beta) / beta.",
)
_loss(
    "LogCosh",
    "keras.losses.LogCosh()",
    "lambda p, y: (p - y).cosh().log().mean()",
    "jnp.log(jnp.cosh(p - y)).mean()",
    drawn=("normal 4 5", "normal 4 5"),
)
_loss(
    "BinaryCrossentropy",
    "keras.losses.BinaryCrossentropy()",
    "nn.BCELoss()",
    "-(y * jnp.log(p) + (1 - y) * jnp.log(1 - p)).mean()",
    drawn=("binary 4 5", "unit 4 5"),
    args="from_logits | |\nlabel_smoothing | | has no counterpart",
    note="At 0 and 1 they part: Keras clips the probability to 1e-7 (loss 16.1), torch the logarithm to -100.",
    traps=(("nn.BCEWithLogitsLoss()", "takes logits: a second sigmoid on probabilities"),),
)
_loss(
    "BinaryCrossentropy(from_logits=True)",
    "keras.losses.BinaryCrossentropy(from_logits=True)",
    "nn.BCEWithLogitsLoss()",
    "(jnp.logaddexp(p, 0) - y * p).mean()",
    drawn=("binary 4 5", "normal 4 5"),
)
_loss(
    "CategoricalCrossentropy(from_logits=True)",
    "keras.losses.CategoricalCrossentropy(from_logits=True)",
    "nn.CrossEntropyLoss()",
    "-(y * jax.nn.log_softmax(p)).sum(-1).mean()",
    drawn=("onehot 4 5", "normal 4 5"),
    args="from_logits | | torch takes logits only\nlabel_smoothing | label_smoothing | e / K on every class in both",
)
_loss(
    "CategoricalCrossentropy(label_smoothing=0.1)",
    "keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)",
    "nn.CrossEntropyLoss(label_smoothing=0.1)",
    "-((0.9 * y + 0.1 / 5) * jax.nn.log_softmax(p)).sum(-1).mean()",
    drawn=("onehot 4 5", "normal 4 5"),
)
_loss(
    "CategoricalCrossentropy",
    "keras.losses.CategoricalCrossentropy()",
    "lambda p, y: -(y * (p / p.sum(-1, keepdim=True)).log()).sum(-1).mean()",
    "-(y * jnp.log(p / p.sum(-1, keepdims=True))).sum(-1).mean()",
    drawn=("onehot 4 5", "softmax 4 5"),
    traps=(("nn.CrossEntropyLoss()", "takes logits: a second softmax on probabilities"),),
    note="Keras divides by the sum first: probabilities that do not add to one are made to.",
)
_loss(
    "SparseCategoricalCrossentropy(from_logits=True)",
    "keras.losses.SparseCategoricalCrossentropy(from_logits=True)",
    "nn.CrossEntropyLoss()",
    "-jnp.take_along_axis(jax.nn.log_softmax(p), y[:, None], -1).mean()",
    drawn=("classes 4 5", "normal 4 5"),
    args="ignore_class | ignore_index | None in Keras, -100 in torch",
)
_loss(
    "SparseCategoricalCrossentropy",
    "keras.losses.SparseCategoricalCrossentropy()",
    "lambda p, y: F.nll_loss(p.log(), y)",
    "-jnp.take_along_axis(jnp.log(p), y[:, None], -1).mean()",
    drawn=("classes 4 5", "softmax 4 5"),
    traps=(("nn.CrossEntropyLoss()", "takes logits: a second softmax on probabilities"),),
)
_loss(
    "KLDivergence",
    "keras.losses.KLDivergence()",
    "nn.KLDivLoss(reduction='batchmean')",
    "(y * jnp.log(y / p)).sum(-1).mean()",
    drawn=("softmax 4 5", "softmax 4 5"),
    call_torch="f(p.log(), y)",
    traps=(("nn.KLDivLoss()", "'mean' divides by the number of classes too"),),
    note="Keras: (targets, probabilities). torch: (log-probabilities, targets): the other order, and logarithms.",
)
_loss(
    "Poisson",
    "keras.losses.Poisson()",
    "nn.PoissonNLLLoss(log_input=False, eps=1e-7)",
    "(p - y * jnp.log(p + 1e-7)).mean()",
    drawn=("positive 4 5", "positive 4 5"),
    traps=(("nn.PoissonNLLLoss()", "takes the logarithm of the rate by default"),),
)
_loss(
    "CosineSimilarity",
    "keras.losses.CosineSimilarity()",
    "lambda p, y: -nn.CosineSimilarity(-1)(p, y).mean()",
    "-(y * p).sum(-1).__truediv__(jnp.linalg.norm(y, axis=-1) * jnp.linalg.norm(p, axis=-1)).mean()",
    drawn=("normal 4 5", "normal 4 5"),
    traps=(("lambda p, y: nn.CosineSimilarity(-1)(p, y).mean()", "a loss in Keras: the sign is other"),),
)
_loss(
    "Hinge",
    "keras.losses.Hinge()",
    "lambda p, y: (1 - y * p).clamp(min=0).mean()",
    "jnp.maximum(1 - y * p, 0).mean()",
    drawn=("sign 4 5", "normal 4 5"),
    traps=(("nn.HingeEmbeddingLoss()", "another function of the same name"),),
)


def _optimizer(name: str, keras: str, torch: str, args: str = "", **more: Any) -> None:
    row(name, "optimizer", keras, torch, args=args, **more)


_optimizer("SGD", "keras.optimizers.SGD(0.125)", "torch.optim.SGD([p], lr=0.125)", "learning_rate | lr |")
_optimizer(
    "SGD(momentum)",
    "keras.optimizers.SGD(0.125, momentum=0.875)",
    "torch.optim.SGD([p], lr=0.125, momentum=0.875)",
    "momentum | momentum |\nnesterov | nesterov |",
    note="The learning rate is inside Keras's velocity and outside torch's: they part when it changes.",
)
_optimizer(
    "SGD(nesterov)",
    "keras.optimizers.SGD(0.125, momentum=0.875, nesterov=True)",
    "torch.optim.SGD([p], lr=0.125, momentum=0.875, nesterov=True)",
)
_optimizer(
    "Adam",
    "keras.optimizers.Adam(0.125, beta_1=0.875, beta_2=0.9375, epsilon=1e-16)",
    "torch.optim.Adam([p], lr=0.125, betas=(0.875, 0.9375), eps=1e-16)",
    "learning_rate | lr |\nbeta_2 | | formed as 1 - beta_2 in the format of the weights by Keras, in float64 by torch\n"
    "epsilon | eps | before the bias correction in Keras, after it in torch\n"
    "amsgrad | amsgrad |\nweight_decay | weight_decay | decoupled in Keras, added to the gradient in torch",
    traps=(
        ("torch.optim.Adam([p], lr=0.125)", "eps is 1e-8 in torch, 1e-7 in Keras", "keras.optimizers.Adam(0.125)"),
        ("torch.optim.Adam([p], lr=0.125, eps=1e-7)", "Keras adds eps before the bias correction, torch after it",
         "keras.optimizers.Adam(0.125)"),
        ("torch.optim.Adam([p], lr=0.125, weight_decay=0.25)", "torch adds the decay to the gradient: use AdamW",
         "keras.optimizers.Adam(0.125, weight_decay=0.25)"),
    ),
    note="No eps of torch is Keras's: that is eps / sqrt(1 - beta_2^t) there. Equal where eps is negligible.",
)  # fmt: skip
_optimizer(
    "AdamW",
    "keras.optimizers.AdamW(0.125, 0.25, beta_1=0.875, beta_2=0.9375, epsilon=1e-16)",
    "torch.optim.AdamW([p], lr=0.125, betas=(0.875, 0.9375), weight_decay=0.25, eps=1e-16)",
    "learning_rate | lr |\nweight_decay | weight_decay |\nepsilon | eps | before the bias correction in Keras",
    traps=(("torch.optim.AdamW([p], lr=0.125)", "weight_decay is 0.01 in torch, 0.004 in Keras",
            "keras.optimizers.AdamW(0.125)"),),
)  # fmt: skip
_optimizer(
    "RMSprop",
    "keras.optimizers.RMSprop(0.125, epsilon=1e-30)",
    "torch.optim.RMSprop([p], lr=0.125, alpha=0.9, eps=1e-15)",
    "learning_rate | lr |\nrho | alpha |\nepsilon | eps | inside the root in Keras, outside in torch\n"
    "momentum | momentum | the rate is inside Keras's buffer\ncentered | centered |",
    traps=(
        ("torch.optim.RMSprop([p], lr=0.125)", "alpha is 0.99 in torch, rho 0.9 in Keras"),
        ("torch.optim.RMSprop([p], lr=0.125, alpha=0.9, eps=1e-3)", "eps stands inside Keras's root",
         "keras.optimizers.RMSprop(0.125, epsilon=1e-3)"),
    ),
)  # fmt: skip
_optimizer(
    "Adagrad",
    "keras.optimizers.Adagrad(0.125, initial_accumulator_value=0.125, epsilon=1e-30)",
    "torch.optim.Adagrad([p], lr=0.125, initial_accumulator_value=0.125, eps=0)",
    "learning_rate | lr |\ninitial_accumulator_value | initial_accumulator_value |\n"
    "epsilon | eps | inside the root in Keras, outside in torch",
    traps=(("torch.optim.Adagrad([p], lr=0.125)", "the accumulator starts at 0 in torch, at 0.1 in Keras",
            "keras.optimizers.Adagrad(0.125)"),),
)  # fmt: skip
_optimizer(
    "Adadelta",
    "keras.optimizers.Adadelta(1.0, rho=0.9, epsilon=1e-6)",
    "torch.optim.Adadelta([p])",
    "learning_rate | lr |\nrho | rho |\nepsilon | eps |",
    traps=(("torch.optim.Adadelta([p])", "the rate is 0.001 in Keras, 1 in torch; rho 0.95 against 0.9",
            "keras.optimizers.Adadelta()"),),
)  # fmt: skip
_optimizer(
    "Adamax",
    "keras.optimizers.Adamax(0.125, beta_1=0.875, beta_2=0.9375, epsilon=1e-16)",
    "torch.optim.Adamax([p], lr=0.125, betas=(0.875, 0.9375), eps=1e-16)",
    "learning_rate | lr |\nepsilon | eps | added to the maximum in Keras, inside it in torch",
)
