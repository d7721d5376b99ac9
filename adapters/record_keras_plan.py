"""What a recording of a Keras model runs: the call, Keras's own train step, a plain step, or the user's."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from oracle.trace import Layer


@dataclass(frozen=True)
class Plan:
    """One run. `kind` is "call" (`model(x)`), "fit" (the step that `fit` repeats), "plain" or "own"."""

    kind: str
    inputs: Any
    target: Any = None
    train_step: Callable[..., Any] | None = None
    loss: Callable[..., Any] | None = None
    optimizer: Any = None
    steps: int = 1
    compiled: bool = False
    verify: bool = False
    call_arguments: dict[str, Any] = field(default_factory=dict)

    def build_optimizer(self, model: Any) -> None:
        """Make the optimizer's state, as its first step would, so that it has names before it is used."""
        if self.optimizer is not None and not self.optimizer.built:
            self.optimizer.build(model.trainable_variables)

    def described(self, model: Any) -> dict[str, Layer]:
        """The optimizer and the loss that the steps use, as far as they tell, under the paths of these names."""
        from oracle.adapters.record_keras_names import describe  # noqa: PLC0415

        losses = {"fit": getattr(model, "loss", None), "plain": self.loss}
        parts = {"optimizer": self.optimizer, "loss": _loss_object(losses.get(self.kind))}
        return {path: describe(part) for path, part in parts.items() if hasattr(part, "get_config")}

    def objective(self, target: Any, output: Any, added: Iterable[Any]) -> Any:
        """The loss of a plain step, with what layers have `added` to it (regularizers), as `fit` adds it."""
        return sum(added, start=self.loss(target, output))  # type: ignore[misc]

    def targets(self, target: Any) -> tuple[Any, ...]:
        """The target as trailing arguments: none, or one."""
        return () if self.target is None else (target,)


def plan_of(model: Any, inputs: Any, train_step: Any, training: bool | None, **rest: Any) -> Plan:
    """The plan for the arguments of `record_keras`; `ValueError` says which do not fit together."""
    loss, optimizer = rest.pop("loss"), rest.pop("optimizer")
    if rest["steps"] < 1:
        raise ValueError(f"steps is {rest['steps']}; expected 1 or more")
    if callable(train_step):
        if loss is not None or optimizer is not None:
            raise ValueError("train_step is your own function: it computes the loss and steps the optimizer itself; "
                             "pass either train_step=<function>, or loss= and optimizer=")  # fmt: skip
        return Plan("own", inputs, train_step=train_step, optimizer=getattr(model, "optimizer", None), **rest)
    if loss is not None:
        flags = _training_flag(model, True if training is None else training)
        return Plan(
            "plain", inputs, loss=_mean_loss(loss), optimizer=_optimizer(optimizer), call_arguments=flags, **rest
        )
    if train_step:
        if not getattr(model, "compiled", False):
            raise ValueError("train_step=True records the step of fit(), which needs model.compile(loss=..., "
                             "optimizer=...); or pass loss= (and optimizer=) for a plain step")  # fmt: skip
        if rest["target"] is None:
            raise ValueError("train_step=True needs target=, the labels that fit() would be given")
        return Plan("fit", inputs, optimizer=model.optimizer, **rest)
    return Plan("call", inputs, call_arguments=_training_flag(model, training), **rest)


def _loss_object(loss: Any) -> Any:
    """The loss that a name stands for; anything else as it is."""
    import keras  # noqa: PLC0415

    return keras.losses.get(loss) if isinstance(loss, str) else loss


def _optimizer(optimizer: Any) -> Any:
    """The optimizer that a name stands for; anything else as it is."""
    import keras  # noqa: PLC0415

    return keras.optimizers.get(optimizer) if isinstance(optimizer, str) else optimizer


def _mean_loss(loss: Any) -> Callable[..., Any]:
    """A loss as a scalar: Keras's loss objects average themselves, its functions give one number for each sample."""
    import keras  # noqa: PLC0415

    found = keras.losses.get(loss)
    return found if isinstance(found, keras.losses.Loss) else lambda y, output: keras.ops.mean(found(y, output))


def _training_flag(model: Any, training: bool | None) -> dict[str, bool]:
    takes = getattr(model, "_call_has_training_arg", False)
    return {"training": training} if takes and training is not None else {}
