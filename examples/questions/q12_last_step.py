"""Question 12: is out[-1] the last step of a PyTorch LSTM?"""

from typing import Any

from asking import normal, show

import oracle
from oracle.comparisons.comparison import Comparison
from oracle.errors import OracleError


def torch_model(batch_first: bool, last: str) -> Any:
    """LSTM(10) and Linear(1) on `out[-1]` or `out[:, -1]`."""
    import torch
    from torch import nn

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm, self.dense = nn.LSTM(1, 10, batch_first=batch_first), nn.Linear(10, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out = self.lstm(x)[0]
            return self.dense(out[-1] if last == "out[-1]" else out[:, -1])

    return Model()


def compare(batch_first: bool, last: str, batch: int = 10) -> Comparison:
    """Keras's LSTM, which returns the last step, against torch with the same weights; ten steps."""
    import keras

    keras.utils.set_random_seed(0)
    a = keras.Sequential(
        [keras.Input((10, 1)), keras.layers.LSTM(10, name="lstm"), keras.layers.Dense(1, name="dense")]
    )
    b = torch_model(batch_first, last)
    oracle.port(a, b)
    x = normal(batch, 10, 1)
    return oracle.compare(a, b, inputs_a=x, inputs_b=x if batch_first else x.transpose(1, 0, 2).copy())


def measure() -> dict:
    """Three forms: two right, one that takes the last sequence of the batch in place of the last step."""
    return {
        "(time, batch, feature), out[-1]": compare(False, "out[-1]"),
        "(batch, time, feature), out[:, -1]": compare(True, "out[:, -1]"),
        "(batch, time, feature), out[-1]": compare(True, "out[-1]"),
        "the same with four sequences": refusal(),
    }


def refusal() -> str:
    """With another number of sequences than steps the outputs have different shapes."""
    try:
        return str(compare(True, "out[-1]", batch=4))
    except OracleError as error:
        return str(error)


if __name__ == "__main__":
    show(__doc__, measure)
