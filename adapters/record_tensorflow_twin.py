"""The same steps once more, unobserved and eagerly, from the same variables: did watching change anything?"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from oracle.adapters.record_tensorflow_observer import Observer, array_of, living_variables
from oracle.adapters.recording import named_leaves
from oracle.trace import Observation

NOT_COMPARED = "not compared with an unobserved run: a recording runs your code once (verify=True compares)"


class Twin:
    """Holds the variables as they were before the recorded run. They end as the recorded run left them."""

    def __init__(self) -> None:
        self.before = [(v, v.numpy()) for v in living_variables()]

    def observe(self, observer: Observer, execution: str, output: Any, run: Callable[[], Any]) -> Observation:
        """Compare what `run` leaves behind with `output` and the variables of the recorded run, bit by bit."""
        drawn = [n.op for n in observer.recording.nodes if "draws" in n.attrs and not n.op.startswith("Stateless")]
        if drawn:
            return Observation(execution, None, f"not compared: {drawn[0]} would draw other numbers")
        watched = self._left(output)
        alone = self._alone(run)
        for name, array in watched.items():
            if name in alone and array.tobytes() != alone[name].tobytes():
                return Observation(execution, False, f"{name} differs from the unobserved run")
        return Observation(execution, True, f"{len(watched)} arrays equal those of an unobserved run bit by bit")

    def _alone(self, run: Callable[[], Any]) -> Mapping[str, np.ndarray]:
        import tensorflow as tf  # noqa: PLC0415

        after = [v.numpy() for v, _ in self.before]
        eagerly = tf.config.functions_run_eagerly()
        try:
            for variable, array in self.before:
                variable.assign(array)
            tf.config.run_functions_eagerly(True)
            return self._left(run())
        finally:
            tf.config.run_functions_eagerly(eagerly)
            for (variable, _), array in zip(self.before, after, strict=True):
                variable.assign(array)

    def _left(self, output: Any) -> dict[str, np.ndarray]:
        """Every array in which a run can show: the outputs and the variables."""
        outputs = {n: array_of(t) for n, t in named_leaves(output, "output").items() if hasattr(t, "_id")}
        return outputs | {f"variable {v.name} ({i})": v.numpy() for i, (v, _) in enumerate(self.before)}
