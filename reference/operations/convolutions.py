"""Convolutions, which are cross-correlations as in every framework: the kernel is not flipped.

`x` (batch, in, spatial...), `weight` (out, in/groups, kernel...), `bias` (out,). Attributes are one number
for each spatial axis: `stride`, `dilation`, and `padding`, which is that many zeros on both sides or the word
"same": as many zeros as give ceil(size/stride) positions, the odd one at the end.
"""

import functools
from collections.abc import Callable
from typing import Any

from oracle.reference.lazy import jax, jnp, lax
from oracle.reference.operation import Arg, Config, get_operation, operation

Spatial = tuple[int, ...]
Padding = str | Spatial
convolution = functools.partial(
    operation,
    args=(Arg("x"), Arg("weight", scale=0.25), Arg("bias")),
    family="convolution",
    at_scale=True,
    source="Dumoulin & Visin 2016, arXiv:1603.07285",
)
LINE = {"stride": (1,), "padding": (0,), "dilation": (1,), "groups": 1}
PLANE = {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1)}


def _shapes(x: Spatial, weight: Spatial, out: int | None = None) -> dict[str, Spatial]:
    return {"x": x, "weight": weight, "bias": (out or weight[0],)}


def _line(name: str, weight: Spatial = (5, 6, 3), **attrs: Any) -> Config:
    return Config(name, _shapes((2, 6, 31), weight), {**LINE, **attrs})


def _plane(name: str, weight: Spatial = (5, 6, 3, 3), x: Spatial = (2, 6, 11, 13), **attrs: Any) -> Config:
    return Config(name, _shapes(x, weight), {**PLANE, "groups": 1, **attrs}, quick=x[0] == 2)


def correlate(x: "jax.Array", weight: "jax.Array", padding: Padding, **options: Any) -> "jax.Array":
    """`lax.conv_general_dilated` with the padding of this module."""
    pairs = "SAME" if isinstance(padding, str) else [(n, n) for n in padding]
    return lax.conv_general_dilated(x, weight, padding=pairs, **options)


def bias_first(name: str) -> Callable:
    """The honest formula in which the accumulation starts with the bias, so that each of its K sums rounds it again.

    K is the number of products in one output element. The bias is the sum of K + 1 equal parts: the same
    number, and K roundings of it.
    """

    def form(x: "jax.Array", weight: "jax.Array", bias: "jax.Array", **attrs: Any) -> "jax.Array":
        count = max(weight.size // bias.size, 1)
        parts = jnp.broadcast_to(bias / (count + 1), (count + 1, *bias.shape))
        return get_operation(name).define(x, weight, jnp.sum(parts, 0), **attrs)

    return form


def by_channel(bias: "jax.Array", rank: int) -> "jax.Array":
    """A vector (channel,) shaped so that it broadcasts against `rank` axes (batch, channel, spatial...)."""
    return bias.reshape(1, -1, *(1,) * (rank - 2))


@convolution(
    "conv1d",
    forms=(bias_first("conv1d"),),
    formula="y_o(t) = b_o + Σ_ck w_ock x_c(stride t + dilation k - padding)",
    configs=[
        _line("basic"),
        _line("strides", stride=(2,), padding=(1,)),
        _line("dilation", dilation=(3,), padding=(2,)),
        _line("groups", (4, 3, 3), groups=2),
        _line("same", (5, 6, 4), padding="same"),
    ],
)
def conv1d(
    x: "jax.Array",
    weight: "jax.Array",
    bias: "jax.Array",
    *,
    stride: Spatial,
    padding: Padding,
    dilation: Spatial,
    groups: int,
) -> "jax.Array":
    """Correlation along one axis: `x` (batch, in, time), `weight` (out, in/groups, k), `bias` (out,)."""
    out = correlate(x, weight, padding, window_strides=stride, rhs_dilation=dilation, feature_group_count=groups)
    return out + by_channel(bias, 3)


@convolution(
    "conv2d",
    forms=(bias_first("conv2d"),),
    formula="y_o(p) = b_o + Σ_ck w_ock x_c(stride p + dilation k - padding)",
    configs=[
        _plane("basic"),
        _plane("pointwise", (5, 6, 1, 1)),
        _plane("strides", stride=(2, 3)),
        _plane("dilation", dilation=(2, 1), padding=(2, 1)),
        _plane("groups", (4, 3, 3, 3), groups=2),
        _plane("padding", (5, 6, 3, 5), padding=(1, 2)),
        _plane("same", (5, 6, 4, 3), padding="same"),
        _plane("same_strides", stride=(2, 2), padding="same", x=(2, 6, 10, 13)),
        _plane("large", (33, 16, 3, 3), x=(3, 16, 20, 20), padding=(1, 1)),
    ],
)
def conv2d(
    x: "jax.Array",
    weight: "jax.Array",
    bias: "jax.Array",
    *,
    stride: Spatial,
    padding: Padding,
    dilation: Spatial,
    groups: int,
) -> "jax.Array":
    """Correlation in the plane: `x` (batch, in, h, w), `weight` (out, in/groups, kh, kw), `bias` (out,)."""
    out = correlate(x, weight, padding, window_strides=stride, rhs_dilation=dilation, feature_group_count=groups)
    return out + by_channel(bias, 4)


@convolution(
    "depthwise_conv2d",
    forms=(bias_first("depthwise_conv2d"),),
    formula="y_cm(p) = b_cm + Σ_k w_cmk x_c(stride p + dilation k - padding)",
    configs=[
        Config("basic", _shapes((2, 6, 11, 13), (6, 1, 3, 3)), PLANE),
        Config("multiplier", _shapes((2, 3, 11, 13), (6, 1, 3, 3)), {**PLANE, "padding": (1, 1)}),
        Config(
            "same_strides",
            _shapes((2, 6, 10, 13), (6, 1, 3, 3)),
            {**PLANE, "stride": (2, 2), "padding": "same"},
        ),
    ],
)
def depthwise_conv2d(
    x: "jax.Array",
    weight: "jax.Array",
    bias: "jax.Array",
    *,
    stride: Spatial,
    padding: Padding,
    dilation: Spatial,
) -> "jax.Array":
    """Each channel by its own kernels: `x` (batch, c, h, w), `weight` (c m, 1, kh, kw), `bias` (c m,).

    Output channel c m + j comes from input channel c.
    """
    out = correlate(x, weight, padding, window_strides=stride, rhs_dilation=dilation, feature_group_count=x.shape[1])
    return out + by_channel(bias, 4)


@convolution(
    "conv_transpose2d",
    forms=(bias_first("conv_transpose2d"),),
    formula="y_o(stride p + dilation k - padding) += w_cok x_c(p), plus b_o",
    configs=[
        Config("basic", _shapes((2, 6, 7, 5), (6, 4, 3, 3), 4), {**PLANE, "output_padding": (0, 0)}),
        Config(
            "strides",
            _shapes((2, 6, 7, 5), (6, 4, 3, 3), 4),
            {**PLANE, "stride": (2, 2), "padding": (1, 1), "output_padding": (1, 1)},
        ),
        Config(
            "dilation",
            _shapes((2, 6, 7, 5), (6, 4, 3, 2), 4),
            {**PLANE, "stride": (2, 1), "dilation": (2, 1), "output_padding": (0, 0)},
        ),
    ],
)
def conv_transpose2d(
    x: "jax.Array",
    weight: "jax.Array",
    bias: "jax.Array",
    *,
    stride: Spatial,
    padding: Spatial,
    dilation: Spatial,
    output_padding: Spatial,
) -> "jax.Array":
    """The transpose of `conv2d`: `x` (batch, in, h, w), `weight` (in, out, kh, kw), `bias` (out,).

    The output has (size - 1) stride - 2 padding + dilation (kernel - 1) + output_padding + 1 positions.
    """
    reach = [d * (k - 1) - p for d, k, p in zip(dilation, weight.shape[2:], padding, strict=True)]
    pairs = [(r, r + extra) for r, extra in zip(reach, output_padding, strict=True)]
    kernel = jnp.flip(weight, (2, 3)).swapaxes(0, 1)
    out = lax.conv_general_dilated(x, kernel, (1, 1), pairs, lhs_dilation=stride, rhs_dilation=dilation)
    return out + by_channel(bias, 4)
