"""Products: matrices, batches, convolutions and their gradients."""

from collections.abc import Sequence
from typing import Any

from oracle.reference.lazy import jax, jnp, lax
from oracle.reference.lowerings.aten import aten, spread


@aten("mm", "bmm", "mv", "dot", "vdot")
def _matmul(a: Any, b: Any) -> Any:
    return jnp.matmul(a, b)


@aten("mm.dtype", "bmm.dtype")
def _matmul_to(a: Any, b: Any, out_dtype: str) -> Any:
    return jnp.matmul(a, b)


@aten("addmm", "baddbmm", "addmv", inplace=True)
def _addmm(x: Any, a: Any, b: Any, beta: Any = 1, alpha: Any = 1) -> Any:
    return _combined(x, jnp.matmul(a, b), beta, alpha)


@aten("addbmm", inplace=True)
def _addbmm(x: Any, a: Any, b: Any, beta: Any = 1, alpha: Any = 1) -> Any:
    return _combined(x, jnp.einsum("bij,bjk->ik", a, b), beta, alpha)


@aten("addr", inplace=True)
def _addr(x: Any, a: Any, b: Any, beta: Any = 1, alpha: Any = 1) -> Any:
    return _combined(x, a[:, None] * b[None, :], beta, alpha)


def _combined(x: Any, y: Any, beta: Any, alpha: Any) -> Any:
    """beta x + alpha y, where beta = 0 means that x is not looked at."""
    y = y if alpha == 1 else alpha * y
    return y if beta == 0 else (x if beta == 1 else beta * x) + y


@aten("_addmm_activation")
def _addmm_activation(x: Any, a: Any, b: Any, beta: Any = 1, alpha: Any = 1, use_gelu: bool = False) -> Any:
    from oracle.reference.lowerings.aten_activations import _gelu, _relu  # noqa: PLC0415 - used by this one alone

    y = _addmm(x, a, b, beta, alpha)
    return _gelu(y) if use_gelu else _relu(y)


@aten("_trilinear")
def _trilinear(
    a: Any, b: Any, c: Any, expand1: Any, expand2: Any, expand3: Any, sumdim: Any, unroll_dim: int = 1
) -> Any:
    factors = [jnp.expand_dims(x, tuple(at)) for x, at in ((a, expand1), (b, expand2), (c, expand3))]
    return jnp.sum(factors[0] * factors[1] * factors[2], axis=tuple(sumdim))


_LETTERS = ("", "W", "HW", "DHW")


@aten("convolution")
def _convolution(
    x: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any, transposed: bool, output_padding: Any,
    groups: int,
) -> Any:  # fmt: skip
    """Cross-correlation of (N, C, *space) with (O, C / groups, *kernel); transposed, its adjoint."""
    rank = weight.ndim - 2
    stride, padding, dilation = spread(stride, rank), spread(padding, rank), spread(dilation, rank)
    space = _LETTERS[rank]
    numbers = (f"NC{space}", f"OI{space}", f"NC{space}")
    reach = [d * (k - 1) for d, k in zip(dilation, weight.shape[2:], strict=True)]
    if transposed:
        extra = spread(output_padding, rank)
        pads = [(r - p, r - p + e) for r, p, e in zip(reach, padding, extra, strict=True)]
        y = lax.conv_general_dilated(
            x, _adjoint_kernel(weight, groups), (1,) * rank, pads, lhs_dilation=stride, rhs_dilation=dilation,
            dimension_numbers=numbers, feature_group_count=groups,
        )  # fmt: skip
    else:
        y = lax.conv_general_dilated(
            x, weight, stride, [(p, p) for p in padding], rhs_dilation=dilation, dimension_numbers=numbers,
            feature_group_count=groups,
        )  # fmt: skip
    return y if bias is None else y + jnp.reshape(bias, (-1, *(1,) * rank))


def _adjoint_kernel(weight: Any, groups: int) -> Any:
    """(C, O / groups, *kernel) of a transposed convolution as the kernel (O, C / groups, *kernel), flipped."""
    c, per_group, *kernel = weight.shape
    grouped = jnp.reshape(weight, (groups, c // groups, per_group, *kernel))
    swapped = jnp.reshape(jnp.swapaxes(grouped, 1, 2), (groups * per_group, c // groups, *kernel))
    return jnp.flip(swapped, tuple(range(2, swapped.ndim)))


@aten("convolution_backward")
def _convolution_backward(
    grad: Any, x: Any, weight: Any, bias_sizes: Any, stride: Any, padding: Any, dilation: Any, transposed: bool,
    output_padding: Any, groups: int, output_mask: Sequence[bool],
) -> tuple:  # fmt: skip
    """The adjoints of the convolution in its input and its kernel, and the sum over all but channels for the bias."""

    def convolve(x: Any, weight: Any) -> Any:
        return _convolution(x, weight, None, stride, padding, dilation, transposed, output_padding, groups)

    of_input = jax.linear_transpose(lambda v: convolve(v, weight), x)(grad)[0] if output_mask[0] else None
    of_weight = jax.linear_transpose(lambda v: convolve(x, v), weight)(grad)[0] if output_mask[1] else None
    of_bias = jnp.sum(grad, axis=(0, *range(2, grad.ndim))) if output_mask[2] else None
    return of_input, of_weight, of_bias
