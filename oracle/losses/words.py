"""What to write on a side so that its loss means what the other's does, in the API of that side."""

import math
from dataclasses import dataclass

import numpy as np

from oracle.alignments.alignment import Side
from oracle.trace import Layer

_NAMES = {
    "torch": {
        "logits": "F.cross_entropy", "binary logits": "F.binary_cross_entropy_with_logits", "squares": "F.mse_loss",
        "log-probabilities": "F.nll_loss", "binary probabilities": "F.binary_cross_entropy",
    },
    "tensorflow": {
        "logits": "keras.losses.CategoricalCrossentropy", "binary logits": "keras.losses.BinaryCrossentropy",
        "squares": "keras.losses.MeanSquaredError", "probabilities": "keras.losses.CategoricalCrossentropy",
        "binary probabilities": "keras.losses.BinaryCrossentropy",
    },
}  # fmt: skip


@dataclass(frozen=True)
class Wish:
    """The loss that a side should have.

    `kind` of argument, `weights` of the samples or elements, the `factor` by which they are larger than the side's own,
    the probability of a `wrong` class among `classes`, and whether it squashes its argument twice (`doubled`).
    """

    kind: str
    weights: np.ndarray
    factor: float = 1.0
    wrong: float | None = None
    classes: int = 1
    doubled: bool = False


def loss_layer(side: Side) -> Layer | None:
    """The loss as it was recorded, where it is an object."""
    layers = side.network.trace.layers
    return layers.get("loss") or next((x for x in layers.values() if x.kind.endswith("Loss")), None)


def loss_name(side: Side, kind: str) -> str:
    """The loss as its user writes it."""
    layer = loss_layer(side)
    if layer is not None:
        return layer.kind.replace("torch.nn.", "nn.")
    return _NAMES.get(side.network.trace.framework, {}).get(kind, "loss")


def reduction_name(name: str, wish: Wish) -> str:
    """The reduction that gives the elements such weights; empty for none known."""
    weight = float(np.mean(wish.weights)) / (2 if wish.kind == "squares" else 1)
    rows = wish.weights.shape[0] if wish.weights.ndim else 1
    counts = {"sum": 1, "mean": wish.weights.size, "batchmean": rows}
    if "KL" in name or "kl_div" in name:
        counts = {"sum": 1, "batchmean": rows, "mean": rows * wish.classes}
    found = next((n for n, count in counts.items() if math.isclose(weight * count, 1.0, rel_tol=1e-5)), "")
    return "sum_over_batch_size" if found == "mean" and name.startswith("keras") else found


def loss_fix(side: Side, code: str, own: str, wish: Wish) -> str:
    """What to write on `side`, whose loss takes its argument as `own`, so that it is as wished in respect of `code`."""
    name = loss_name(side, own)
    keras = name.startswith("keras")
    if name == "F.nll_loss":  # several functions come down to it
        name = "F.kl_div" if wish.wrong is None else "F.cross_entropy" if code == "label-smoothing" else name
    if code == "reduction":
        reduction = reduction_name(name, wish)
        return f'{name}(..., reduction="{reduction}")' if reduction else f"{wish.factor:.8g} * {name}(...)"
    if code == "label-smoothing" and wish.wrong is not None:
        return f"{name}(..., label_smoothing={abs(round(wish.wrong * wish.classes, 9)):.6g})"
    if code == "class-weights":
        return _weighted(name, keras, wish)
    if code in ("double-softmax", "double-sigmoid", "probabilities-as-logits"):
        return _argument(name, (own, wish.kind), code, wish.doubled)
    if code == "broadcast":
        return f"{name}(output, target.reshape(output.shape))"
    if code == "log-target":
        return f"{name}(..., log_target=...) as the other model: targets are probabilities, or their logarithms"
    if code == "sign":
        return f"-{name}(...)"
    return f"{name} of the other model's targets"


def _weighted(name: str, keras: bool, wish: Wish) -> str:
    if np.ptp(wish.weights) <= 1e-6 * np.max(np.abs(wish.weights)):
        return f"{name}(...) without weights of classes or samples"
    total = float(wish.weights.sum())
    divided = "their sum" if math.isclose(total, 1.0, rel_tol=1e-5) else "the number of samples"
    how = "sample_weight=weights" if keras else "weight=weights"
    return f"{name}(..., {how}), the weighted losses divided by {divided}"


def _argument(name: str, kinds: tuple[str, str], code: str, doubled: bool) -> str:
    own, wished = kinds
    function = "sigmoid" if "sigmoid" in code or "binary" in own or "binary" in wished else "softmax"
    if code.startswith("double") and doubled:
        return f"apply the {function} once more before {name}"
    if name.startswith("keras") and own.endswith("logits") != wished.endswith("logits"):
        return f"{name}(..., from_logits={wished.endswith('logits')})"
    if own.endswith("logits"):
        other = "nn.BCELoss()" if function == "sigmoid" else "nn.NLLLoss() of torch.log(probabilities)"
        return f"drop the {function} before {name}, or use {other}"
    if wished.endswith("logits"):
        other = "nn.BCEWithLogitsLoss()" if function == "sigmoid" else "nn.CrossEntropyLoss()"
        return f"use {other} in the place of {name}"
    if own == "log-probabilities":
        return f"{name} of the logarithm of the probabilities: torch.log(p)"
    return f"{name} of what it is given, not of its logarithm"
