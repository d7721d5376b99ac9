"""A transformer block (attention, layer norm, feed-forward with GELU): which of its parts makes the error?"""

from study import Study, keras_policy, normal

import oracle
from oracle.trace import Trace

WIDTH, HEADS = 32, 4
X, Y = normal(2, 8, WIDTH), normal(2, 8, WIDTH, seed=1)


def record_torch(dtype: str) -> Trace:
    """nn.TransformerEncoderLayer, norm first, without dropout."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    model = nn.TransformerEncoderLayer(
        WIDTH, HEADS, 4 * WIDTH, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
    ).to(getattr(torch, dtype))
    x, y = (torch.from_numpy(a).to(getattr(torch, dtype)) for a in (X, Y))
    return oracle.record(model, x, loss=nn.MSELoss(), target=y, full=True)


def record_keras(dtype: str) -> Trace:
    """The same block of Keras layers."""
    import keras
    from keras import layers

    with keras_policy(dtype):
        x = inputs = keras.Input((8, WIDTH))
        y = layers.LayerNormalization(epsilon=1e-5, name="norm1")(x)
        x = x + layers.MultiHeadAttention(HEADS, WIDTH // HEADS, name="attention")(y, y)
        y = layers.LayerNormalization(epsilon=1e-5, name="norm2")(x)
        y = layers.Dense(4 * WIDTH, "gelu", name="dense1")(y)
        model = keras.Model(inputs, x + layers.Dense(WIDTH, name="dense2")(y))
        return oracle.record(model, X, loss="mse", target=Y, full=True)


STUDY = Study({"torch": record_torch, "keras": record_keras}, ("outputs", "loss", "gradients"))
run = STUDY.run

if __name__ == "__main__":
    STUDY.main(__doc__)
