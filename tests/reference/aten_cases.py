"""Arguments for every lowered aten operation: "name.overload" to one or more argument lists."""

# ruff: noqa: E501 - a table: one line for each operation

from collections.abc import Sequence
from typing import Any

import torch

Arguments = Sequence[Any]


def real(*shape: int, seed: int = 0) -> torch.Tensor:
    """Normal numbers."""
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed + sum(shape)))


def positive(*shape: int, seed: int = 0) -> torch.Tensor:
    """Numbers between 1/2 and 2."""
    return 0.5 + 1.5 * unit(*shape, seed=seed)


def unit(*shape: int, seed: int = 0) -> torch.Tensor:
    """Numbers between 1/20 and 19/20."""
    generator = torch.Generator().manual_seed(seed + sum(shape))
    return 0.05 + 0.9 * torch.rand(shape, dtype=torch.float64, generator=generator)


def whole(high: int, *shape: int, seed: int = 0) -> torch.Tensor:
    """Integers from 0 to below `high`."""
    return torch.randint(high, shape, generator=torch.Generator().manual_seed(seed + sum(shape)))


def mask(*shape: int, seed: int = 0) -> torch.Tensor:
    """Truth values."""
    return real(*shape, seed=seed) > 0


X, Y, Z = real(3, 4), real(3, 4, seed=1), real(3, 4, seed=2)
ROW = real(4, seed=3)
INTS, MORE = whole(9, 3, 4), 1 + whole(5, 3, 4, seed=1)
CUBE = real(2, 3, 4, seed=4)
IMAGE = real(2, 3, 6, 5, seed=5)
Q, K, V = real(2, 4, 5, 3), real(2, 4, 6, 3, seed=1), real(2, 4, 6, 3, seed=2)

EVERYWHERE = (
    *(
        "exp",
        "exp2",
        "expm1",
        "sin",
        "cos",
        "sinh",
        "cosh",
        "tanh",
        "atan",
        "asinh",
        "sigmoid",
        "erf",
        "erfc",
        "neg",
        "abs",
    ),
    *("sign", "sgn", "floor", "ceil", "trunc", "frac", "round", "relu", "silu", "mish", "hardsigmoid", "hardswish"),
    *("isnan", "isinf", "signbit", "logical_not", "reciprocal", "nan_to_num", "tan"),
)
ABOVE_ZERO = ("log", "log1p", "log2", "log10", "sqrt", "rsqrt", "lgamma")
INSIDE_ONE = ("asin", "acos", "atanh", "erfinv")
BINARY = (
    *("add.Tensor", "sub.Tensor", "rsub.Tensor", "mul.Tensor", "maximum.default", "minimum.default", "fmax.default"),
    *("fmin.default", "clamp_min.Tensor", "clamp_max.Tensor", "atan2.default", "hypot.default", "logaddexp.default"),
    *("copysign.Tensor", "eq.Tensor", "ne.Tensor", "lt.Tensor", "le.Tensor", "gt.Tensor", "ge.Tensor"),
)
WITH_SCALAR = (
    *("add.Scalar", "sub.Scalar", "rsub.Scalar", "mul.Scalar", "div.Scalar", "fmod.Scalar", "clamp_min.default"),
    *(
        "clamp_max.default",
        "eq.Scalar",
        "ne.Scalar",
        "lt.Scalar",
        "le.Scalar",
        "gt.Scalar",
        "ge.Scalar",
        "remainder.Scalar",
    ),
    *(
        "floor_divide.Scalar",
        "copysign.Scalar",
        "fill.Scalar",
        "leaky_relu.default",
        "celu.default",
        "softplus.default",
    ),
    *("softshrink.default", "hardshrink.default", "elu.default"),
)
LOGICAL = ("logical_and.default", "logical_or.default", "logical_xor.default")
BITWISE = ("bitwise_and", "bitwise_or", "bitwise_xor")

CASES: dict[str, list[Arguments]] = {
    "digamma.default": [(2 + positive(3, 4),)],
    **{f"{n}.default": [(X,)] for n in EVERYWHERE},
    **{f"{n}.default": [(positive(3, 4),)] for n in ABOVE_ZERO},
    **{f"{n}.default": [(2 * unit(3, 4) - 1,)] for n in INSIDE_ONE},
    "acosh.default": [(1 + positive(3, 4),)],
    **{n: [(X, Y), (X, ROW)] for n in BINARY},
    **{n: [(X, 0.3)] for n in WITH_SCALAR},
    **{n: [(X, mask(3, 4))] for n in LOGICAL},
    **{f"{n}.Tensor": [(INTS, MORE), (mask(3, 4), mask(3, 4, seed=1))] for n in BITWISE},
    **{f"{n}.Scalar": [(INTS, 5)] for n in BITWISE},
    **{f"{n}.Tensor": [(INTS, MORE)] for n in ("__lshift__", "__rshift__", "bitwise_left_shift", "bitwise_right_shift")},
    **{f"{n}.Scalar": [(INTS, 2)] for n in ("__lshift__", "__rshift__")},
    **{f"{n}.Tensor_Scalar": [(INTS, 2)] for n in ("bitwise_left_shift", "bitwise_right_shift")},
    "bitwise_not.default": [(INTS,), (mask(3, 4),)],
    "div.Tensor": [(X, positive(3, 4)), (INTS, MORE)],
    "div.Tensor_mode": [(X, positive(3, 4), dict(rounding_mode="floor")), (INTS - 4, MORE, dict(rounding_mode="trunc"))],
    "div.Scalar_mode": [(X, 0.3, dict(rounding_mode="trunc")), (INTS, 2, dict(rounding_mode="floor"))],
    "floor_divide.default": [(X, positive(3, 4)), (INTS - 4, MORE)],
    "floor_divide_.Tensor": [(X, positive(3, 4))],
    "remainder.Tensor": [(X, positive(3, 4)), (INTS - 4, MORE)],
    "remainder.Scalar_Tensor": [(1.7, positive(3, 4))],
    "fmod.Tensor": [(X, positive(3, 4)), (INTS - 4, MORE)],
    "pow.Tensor_Tensor": [(positive(3, 4), X), (INTS, MORE)],
    "pow.Scalar": [(1.3, X)],
    "pow.Tensor_Scalar": [(X, 2), (X, 3.0), (positive(3, 4), 0.5), (positive(3, 4), -0.5), (positive(3, 4), 1.7), (INTS, 2)],
    "pow_.Scalar": [(X, 2)],
    "pow_.Tensor": [(positive(3, 4), X)],
    "clamp.default": [(X, -0.5, 0.5), (X, None, 0.2), (X, 0.1)],
    "clamp.Tensor": [(X, ROW - 1, ROW + 1)],
    "xlogy.Tensor": [(X * mask(3, 4), positive(3, 4))],
    "xlogy.Scalar_Other": [(X, 0.3)],
    "xlogy.Scalar_Self": [(0.3, positive(3, 4))],
    "lerp.Scalar": [(X, Y, 0.3)],
    "lerp.Tensor": [(X, Y, Z)],
    "addcmul.default": [(X, Y, Z), (X, Y, Z, dict(value=-0.3))],
    "addcdiv.default": [(X, Y, positive(3, 4)), (X, Y, positive(3, 4), dict(value=-0.3))],
    "isin.Tensor_Tensor": [(INTS, whole(9, 3)), (INTS, whole(9, 3), dict(invert=True))],
    "isin.Tensor_Scalar": [(INTS, 4)],
    "isin.Scalar_Tensor": [(4, INTS)],
    "where.self": [(mask(3, 4), X, Y), (mask(3, 4), X, ROW)],
    "masked_fill.Scalar": [(X, mask(3, 4), 0.3), (X, mask(4), -3)],
    "masked_fill.Tensor": [(X, mask(3, 4), real())],
    "fill.Tensor": [(X, real())],
    "zero.default": [(X,)],
    "_to_copy.default": [(X, dict(dtype=torch.int32)), (INTS, dict(dtype=torch.float64)), (X, dict(dtype=torch.bool))],
    **{f"{n}.default": [([2, 3],), ([2, 3], dict(dtype=torch.float64))] for n in ("zeros", "ones")},
    "full.default": [([2, 3], 0.3, dict(dtype=torch.float64)), ([2], 3)],
    **{f"{n}_like.default": [(X,), (INTS,), (X, dict(dtype=torch.int64))] for n in ("zeros", "ones")},
    "full_like.default": [(X, 0.3), (INTS, 3)],
    **{f"new_{n}.default": [(X, [2, 3]), (INTS, [2])] for n in ("zeros", "ones")},
    "new_full.default": [(X, [2, 3], 0.3)],
    "scalar_tensor.default": [(0.3, dict(dtype=torch.float64))],
    "arange.default": [(5,), (5.0,), (3.5, dict(dtype=torch.float64))],
    "arange.start": [(2, 7), (0.0, 4)],
    "arange.start_step": [(0, 1.0, 0.3, dict(dtype=torch.float64)), (7, 1, -2)],
    "linspace.default": [(-1.0, 0.7, 6, dict(dtype=torch.float64))],
    "eye.default": [(3, dict(dtype=torch.float64))],
    "eye.m": [(3, 4, dict(dtype=torch.float64))],
    "tril_indices.default": [(3, 4, 1)],
    "triu_indices.default": [(3, 4, -1)],
}  # fmt: skip

CASES |= {
    "view.default": [(X, [2, -1]), (INTS, [12])],
    **{f"{n}.default": [(X, [2, 6])] for n in ("_unsafe_view", "_reshape_copy", "view_copy")},
    "_reshape_alias.default": [(X, [2, 6], [6, 1])],
    **{f"{n}.default": [(X,)] for n in ("clone", "lift_fresh_copy", "alias_copy", "t", "t_copy", "t_")},
    **{n: [(CUBE, 0, -1)] for n in ("transpose.int", "transpose_copy.int", "transpose_.default")},
    **{f"{n}.default": [(CUBE, [2, 0, 1]), (CUBE, [-1, 0, 1])] for n in ("permute", "permute_copy")},
    **{f"{n}.default": [(ROW, [3, 4]), (CUBE[:, :1], [2, 5, -1])] for n in ("expand", "expand_copy")},
    "unsqueeze.default": [(X, 1), (X, -1)],
    "squeeze.default": [(CUBE[:, :1],)],
    "squeeze.dim": [(CUBE[:, :1], 1)],
    "squeeze.dims": [(CUBE[:, :1], [0, 1])],
    **{n: [(CUBE, 1, -1), (INTS, 0, 1)] for n in ("select.int", "select_copy.int")},
    **{n: [(CUBE, 1, 0, 99, 2), (CUBE, -1, -2), (CUBE, 0, 1, 1)] for n in ("slice.Tensor", "slice_copy.Tensor")},
    **{n: [(CUBE, 3, 2), (CUBE, 1)] for n in ("split.Tensor", "unsafe_split.Tensor", "split_copy.Tensor")},
    **{f"{n}.default": [(CUBE, [1, 3], 2)] for n in ("split_with_sizes", "unsafe_split_with_sizes", "split_with_sizes_copy")},
    **{n: [(CUBE, 1)] for n in ("unbind.int", "unbind_copy.int")},
    "cat.default": [([X, Y],), ([X, real(3, 2)], 1), ([torch.zeros(0, dtype=torch.float64), X],)],
    "stack.default": [([X, Y],), ([X, Y], -1)],
    "flip.default": [(CUBE, [0, 2])],
    "roll.default": [(CUBE, [1, -2], [0, 2]), (CUBE, [3])],
    "repeat.default": [(X, [2, 1, 3])],
    "repeat_interleave.Tensor": [(torch.tensor([2, 0, 3]),)],
    **{f"{n}.default": [(CUBE, 1, 1, 2), (CUBE, -1, 0, 2), (X[:, :3],)] for n in ("diagonal", "diagonal_copy")},
    "diag_embed.default": [(X,), (X, 1, 0, 2), (X, -2)],
    "trace.default": [(X,)],
    "tril.default": [(X,), (CUBE, -1)],
    "triu.default": [(X,), (CUBE, 1)],
    **{f"{n}.default": [(CUBE, 2, 2, 1), (IMAGE, 2, 3, 2)] for n in ("unfold", "unfold_copy")},
    "pixel_shuffle.default": [(real(2, 8, 3, 2), 2)],
    "pixel_unshuffle.default": [(real(2, 2, 4, 6), 2)],
    **{f"{n}.default": [(real(2, 6, 3), 2)] for n in ("channel_shuffle", "native_channel_shuffle")},
    "copy.default": [(X, ROW), (INTS, X), (X, INTS)],
    "select_backward.default": [(X, [3, 2, 4], 1, -1)],
    "slice_backward.default": [(X, [3, 9], 1, 1, 9, 2)],
    "diagonal_backward.default": [(ROW, [4, 5], 1, 0, 1)],
    "unfold_backward.default": [(real(2, 3, 3, 2), [2, 3, 4], 2, 2, 1)],
    "select_scatter.default": [(CUBE, real(2, 4), 1, -1)],
    "slice_scatter.default": [(CUBE, real(2, 2, 4), 1, 0, 9, 2)],
    "as_strided.default": [(X, [2, 3], [1, 4], 2), (X.t(), [2, 2], [5, 1])],
    "as_strided_.default": [(X, [2, 3], [1, 4], 2)],
    "embedding.default": [(real(7, 3), whole(7, 2, 5)), (real(7, 3), whole(7, 2, 5), 1)],
    "embedding_dense_backward.default": [(real(2, 5, 3), whole(7, 2, 5), 7, -1, False), (real(2, 5, 3), whole(3, 2, 5), 7, 1, True)],
    "index_select.default": [(CUBE, 1, torch.tensor([2, 0, 2]))],
    "take.default": [(X, torch.tensor([[0, -1], [5, 5]]))],
    "gather.default": [(CUBE, 1, whole(3, 2, 5, 4)), (CUBE, -1, whole(4, 2, 2, 2))],
    "scatter.src": [(CUBE, 2, torch.tensor([[[3, 1], [0, 2], [1, 2]]]), real(1, 3, 2))],
    "scatter.value": [(CUBE, 1, whole(3, 2, 1, 4), 0.3)],
    "scatter_add.default": [(CUBE, 1, whole(3, 2, 5, 4), real(2, 5, 4)), (X, 0, whole(3, 2, 3), real(4, 4))],
    "scatter_reduce.two": [(CUBE, 1, whole(3, 2, 5, 4), real(2, 5, 4), r, dict(include_self=s)) for r in ("sum", "mean", "amax", "amin") for s in (True, False)],
    "index_add.default": [(CUBE, 1, torch.tensor([2, 0, 2]), real(2, 3, 4), dict(alpha=0.3)), (X, 0, torch.tensor([1, 1]), real(2, 4))],
    "index_copy.default": [(CUBE, 1, torch.tensor([2, 0]), real(2, 2, 4))],
    "index_fill.int_Scalar": [(CUBE, 1, torch.tensor([2, 0]), 0.3)],
    "index_fill.int_Tensor": [(CUBE, 1, torch.tensor([2, 0]), real())],
    **{n: [(CUBE, [None, whole(3, 4)]), (CUBE, [whole(2, 4), None, whole(4, 4)]), (CUBE, [whole(2, 2, 1), whole(3, 3)])] for n in ("index.Tensor", "_unsafe_index.Tensor")},
    "index_put.default": [(CUBE, [torch.tensor([0, 1]), torch.tensor([2, 0])], real(2, 4)), (X, [mask(3, 4)], real()), (X, [torch.tensor([1, 1])], real(2, 4), True), (X, [mask(3)], real())],
    **{f"{n}.default": [(X, [torch.tensor([2, 0])], real(2, 4), False)] for n in ("_unsafe_index_put", "index_put_", "_index_put_impl_")},
    "_unsafe_masked_index.default": [(X, mask(2, 3), [whole(3, 2, 1), whole(4, 3)], 0)],
    "_unsafe_masked_index_put_accumulate.default": [(X, mask(2, 3), [whole(3, 2, 1), whole(4, 3)], real(2, 3))],
    "nonzero.default": [(mask(3, 4),)],
    "masked_select.default": [(X, mask(3, 4)), (X, mask(4))],
    "masked_scatter.default": [(X, mask(3, 4), Y)],
    "masked_scatter_backward.default": [(X, mask(3, 4), [3, 4])],
    "bucketize.Tensor": [(X, torch.tensor([-1.0, 0.0, 1.0]).double()), (X, torch.tensor([-1.0, 0.0, 1.0]).double(), dict(right=True))],
    "searchsorted.Tensor": [(torch.tensor([-1.0, 0.0, 1.0]).double(), X), (real(3, 5).sort(-1)[0], X, dict(side="right"))],
    "_pack_padded_sequence.default": [(real(4, 3, 2), torch.tensor([4, 2, 1]), False), (real(3, 4, 2), torch.tensor([4, 4, 1]), True)],
}  # fmt: skip

CASES |= {
    "sum.default": [(CUBE,), (mask(3, 4),)],
    "sum.dim_IntList": [(CUBE, [0, 2]), (CUBE, [1], True), (CUBE, [])],
    "nansum.default": [(X / (X * mask(3, 4)) * 0 + Y,)],
    "mean.default": [(CUBE,)],
    "mean.dim": [(CUBE, [0, -1]), (CUBE, [1], True)],
    "prod.default": [(CUBE,)],
    "prod.dim_int": [(CUBE, 1), (CUBE, 2, True)],
    **{f"{n}.correction": [(CUBE, [1, 2]), (CUBE, [0], dict(correction=0, keepdim=True)), (CUBE,)] for n in ("var", "std", "var_mean", "std_mean")},
    **{f"{n}.default": [(CUBE, [1]), (CUBE, [0, 2], True)] for n in ("amax", "amin")},
    **{f"{n}.default": [(CUBE,)] for n in ("max", "min", "median")},
    "aminmax.default": [(CUBE, dict(dim=1)), (CUBE,)],
    **{f"{n}.dim": [(CUBE, 1), (CUBE, -1, True)] for n in ("max", "min", "median")},
    **{f"{n}.default": [(CUBE,), (CUBE, 1), (CUBE, 2, True)] for n in ("argmax", "argmin")},
    **{f"{n}.default": [(mask(3, 4),)] for n in ("any", "all")},
    **{f"{n}.dim": [(mask(3, 4), 1)] for n in ("any", "all")},
    **{f"{n}.dims": [(mask(3, 4), [0, 1], True)] for n in ("any", "all")},
    "count_nonzero.default": [(mask(3, 4),)],
    "count_nonzero.dim_IntList": [(mask(3, 4), [1])],
    "cumsum.default": [(CUBE, 1), (INTS, 0), (mask(3, 4), 1)],
    "cumprod.default": [(CUBE, 1)],
    "logcumsumexp.default": [(CUBE, 1)],
    "logsumexp.default": [(CUBE, [1]), (CUBE, [0, 2], True)],
    "cummax.default": [(CUBE, 1)],
    "sort.default": [(CUBE,), (CUBE, 1, True)],
    "sort.stable": [(CUBE, dict(stable=True, dim=0, descending=True))],
    "topk.default": [(CUBE, 2), (CUBE, 2, 1, False)],
    "kthvalue.default": [(CUBE, 2), (CUBE, 2, 1, True)],
    "linalg_vector_norm.default": [(CUBE,), (CUBE, 1, [1]), (CUBE, 3, [0, 2], True), (CUBE, float("inf"), [1]), (CUBE, 0, [1])],
    "norm.Scalar": [(CUBE,), (CUBE, 3)],
    "norm.ScalarOpt_dim": [(CUBE, 2, [1]), (CUBE, 1, [0], True)],
    "mm.default": [(real(3, 5), real(5, 4))],
    "bmm.default": [(real(2, 3, 5), real(2, 5, 4))],
    "mv.default": [(X, ROW)],
    "dot.default": [(ROW, real(4))],
    "vdot.default": [(ROW, real(4))],
    "addmm.default": [(ROW, real(3, 5), real(5, 4)), (X, real(3, 5), real(5, 4), dict(beta=0.3, alpha=-2)), (X, real(3, 5), real(5, 4), dict(beta=0))],
    "baddbmm.default": [(real(2, 3, 4), real(2, 3, 5), real(2, 5, 4), dict(beta=0, alpha=0.3))],
    "addbmm.default": [(X, real(2, 3, 5), real(2, 5, 4), dict(beta=0.3))],
    "addmv.default": [(real(3), X, ROW)],
    "addr.default": [(X, real(3), ROW, dict(alpha=0.3))],
    "_addmm_activation.default": [(ROW, real(3, 5), real(5, 4)), (10 + ROW, real(3, 5), real(5, 4), dict(use_gelu=True))],
    "_trilinear.default": [(real(2, 3), real(4, 3, 5), real(2, 5), [1, 3], [0], [1, 2], [2, 3])],
    "convolution.default": [
        (real(2, 4, 7), real(6, 2, 3), real(6), [2], [1], [1], False, [0], 2),
        (real(2, 4, 7, 6), real(6, 4, 3, 2), None, [1, 2], [1, 0], [2, 1], False, [0, 0], 1),
        (real(2, 4, 5, 4), real(4, 3, 3, 2), real(6), [2, 1], [1, 0], [1, 2], True, [1, 0], 2),
        (real(1, 2, 4, 3, 3), real(3, 2, 2, 2, 2), None, [1, 1, 1], [0, 0, 1], [1, 1, 1], False, [0, 0, 0], 1),
    ],
    "convolution_backward.default": [
        (real(2, 6, 4), real(2, 4, 7), real(6, 2, 3), [6], [2], [1], [1], False, [0], 2, [True, True, True]),
        (real(2, 6, 5, 3), real(2, 4, 7, 6), real(6, 4, 3, 2), None, [1, 2], [1, 0], [2, 1], False, [0, 0], 1, [True, True, False]),
        (real(2, 6, 10, 6), real(2, 4, 5, 4), real(4, 3, 3, 2), [6], [2, 1], [1, 0], [1, 2], True, [1, 0], 2, [True, True, True]),
    ],
    "native_layer_norm.default": [(CUBE, [4], ROW, real(4), 0.3), (CUBE, [3, 4], None, None, 1e-5)],
    "native_layer_norm_backward.default": [(real(2, 3, 4), CUBE, [4], real(2, 3, 1), positive(2, 3, 1), ROW, ROW, [True, True, True]), (real(2, 3, 4), CUBE, [3, 4], real(2, 1, 1), positive(2, 1, 1), None, None, [True, False, False])],
    "_fused_rms_norm.default": [(CUBE, [4], ROW, 0.3), (CUBE, [3, 4], None, 1e-5)],
    "native_group_norm.default": [(real(2, 6, 5), real(6), real(6), 2, 6, 5, 3, 0.3), (real(2, 4, 3, 2), None, None, 2, 4, 6, 2, 1e-5)],
    "native_group_norm_backward.default": [(real(2, 6, 5), real(2, 6, 5, seed=1), real(2, 3), positive(2, 3), real(6), 2, 6, 5, 3, [True, True, True])],
    "native_batch_norm.default": [(CUBE, real(3), real(3), real(3), positive(3), True, 0.3, 0.1), (IMAGE, None, None, None, None, True, 0.3, 0.1), (CUBE, real(3), real(3), real(3), positive(3), False, 0.3, 0.1)],
    "_native_batch_norm_legit.default": [(CUBE, real(3), real(3), real(3), positive(3), True, 0.3, 0.1)],
    "_native_batch_norm_legit.no_stats": [(CUBE, real(3), real(3), True, 0.3, 0.1)],
    "_native_batch_norm_legit_no_training.default": [(CUBE, real(3), real(3), real(3), positive(3), 0.3, 0.1)],
    "_batch_norm_with_update.default": [(CUBE, real(3), real(3), real(3), positive(3), 0.3, 0.1)],
    "native_batch_norm_backward.default": [(real(2, 3, 4), CUBE, real(3), real(3), positive(3), real(3), positive(3), train, 0.1, [True, True, True]) for train in (True, False)],
    "batch_norm_backward.default": [(real(2, 3, 4), CUBE, real(3), real(3), positive(3), real(3), positive(3), True, 0.1, [True, True, True], torch.zeros(0, dtype=torch.uint8))],
    "_weight_norm_interface.default": [(CUBE, positive(2, 1, 1), 0), (CUBE, positive(1, 1, 4), 2)],
    "_weight_norm_interface_backward.default": [(real(2, 3, 4), CUBE, positive(2, 1, 1), CUBE.norm(2, (1, 2), keepdim=True), 0)],
}  # fmt: skip

GRADIENTS = (
    *(("sigmoid_backward", unit(3, 4)), ("tanh_backward", 2 * unit(3, 4) - 1), ("silu_backward", Y)),
    *(("hardswish_backward", 4 * Y), ("mish_backward", Y)),
)
LOGITS, CLASSES = real(3, 5).log_softmax(-1), torch.tensor([4, 0, 2])
CASES |= {
    **{f"{n}.default": [(X, saved)] for n, saved in GRADIENTS},
    "threshold.default": [(X, 0.1, -0.3)],
    "threshold_backward.default": [(X, Y, 0.1)],
    "leaky_relu_backward.default": [(X, Y, 0.3, False)],
    "elu.default": [(X, 0.3, 1.1, 0.7)],
    "elu_backward.default": [(X, 0.3, 1.1, 0.7, False, Y), (X, 0.3, 1.1, 0.7, True, Y)],
    "gelu.default": [(positive(3, 4),), (positive(3, 4), dict(approximate="tanh"))],
    "gelu_backward.default": [(X, positive(3, 4)), (X, positive(3, 4), dict(approximate="tanh"))],
    "hardtanh.default": [(X, -0.3, 0.5)],
    "hardtanh_backward.default": [(X, Y, -0.3, 0.5)],
    "softplus.default": [(9 * X, 0.7, 5)],
    "softplus_backward.default": [(X, 9 * Y, 0.7, 5)],
    "log_sigmoid_forward.default": [(X,)],
    "log_sigmoid_backward.default": [(X, Y, torch.exp(-Y.abs()))],
    "softshrink_backward.default": [(X, Y, 0.5)],
    "hardshrink_backward.default": [(X, Y, 0.5)],
    "glu.default": [(X,), (IMAGE[:, :2], 1)],
    "glu_backward.default": [(real(3, 2), X, -1)],
    "_prelu_kernel.default": [(X, ROW)],
    "_prelu_kernel_backward.default": [(X, Y, ROW.expand(3, 4))],
    "native_dropout.default": [(X, 0.3, True), (X, 0.3, False)],
    "native_dropout_backward.default": [(X, mask(3, 4), 1.4)],
    "_softmax.default": [(CUBE, 1, False), (CUBE.masked_fill(mask(2, 3, 4), -torch.inf)[..., :1], 1, False)],
    "_safe_softmax.default": [(CUBE, 1), (X.masked_fill(torch.tensor([[True], [False], [False]]), -torch.inf), 1)],
    "_softmax_backward_data.default": [(real(2, 3, 4), CUBE.softmax(1), 1, torch.float64)],
    "_log_softmax.default": [(CUBE, 1, False)],
    "_log_softmax_backward_data.default": [(real(2, 3, 4), CUBE.log_softmax(1), 1, torch.float64)],
    "nll_loss_forward.default": [(LOGITS, CLASSES, w, r, i) for w in (None, positive(5)) for r in (0, 1, 2) for i in (-100, 2)],
    "nll_loss_backward.default": [(real(3) if r == 0 else real(), LOGITS, CLASSES, w, r, 2, positive()) for w in (None, positive(5)) for r in (0, 1, 2)],
    "nll_loss2d_forward.default": [(real(2, 5, 3, 2), whole(5, 2, 3, 2), None, 1, -100)],
    "nll_loss2d_backward.default": [(real(), real(2, 5, 3, 2), whole(5, 2, 3, 2), None, 1, 1, positive())],
    **{f"{n}.default": [(X, Y, r) for r in (0, 1, 2)] for n in ("mse_loss", "soft_margin_loss")},
    **{f"{n}.default": [(X, Y, r, 0.7) for r in (0, 1, 2)] for n in ("smooth_l1_loss", "huber_loss")},
    **{f"{n}_backward.default": [(Z if r == 0 else real(), X, Y, r) for r in (0, 1, 2)] for n in ("mse_loss", "soft_margin_loss")},
    **{f"{n}_backward.default": [(Z if r == 0 else real(), X, Y, r, 0.7) for r in (0, 1, 2)] for n in ("smooth_l1_loss", "huber_loss")},
    "binary_cross_entropy.default": [(unit(3, 4), unit(3, 4, seed=1), None, 1), (unit(3, 4), mask(3, 4).double(), positive(3, 4), 0)],
    "binary_cross_entropy_backward.default": [(real(), unit(3, 4), unit(3, 4, seed=1), None, 1), (X, unit(3, 4), mask(3, 4).double(), positive(3, 4), 0)],
    "binary_cross_entropy_with_logits.default": [(X, unit(3, 4)), (X, mask(3, 4).double(), positive(3, 4), positive(4), 2)],
    "multi_margin_loss.default": [(X, torch.tensor([3, 0, 1])), (X, torch.tensor([3, 0, 1]), 2, 0.7, positive(4), 0)],
    "max_pool2d_with_indices.default": [(IMAGE, [2, 3], [2, 1], [1, 0], [1, 2], False), (IMAGE, [3, 3], [2, 2], [1, 1], [1, 1], True), (IMAGE, [2, 2])],
    "max_pool3d_with_indices.default": [(real(1, 2, 4, 5, 4), [2, 2, 2], [2, 2, 2])],
    "adaptive_max_pool2d.default": [(IMAGE, [4, 3])],
    "max_unpool2d.default": [(real(1, 2, 2, 2), torch.tensor([[[[0, 3], [9, 14]], [[1, 2], [8, 15]]]]), [4, 4])],
    "avg_pool2d.default": [(IMAGE, [2, 3], [2, 1], [1, 1]), (IMAGE, [3, 3], [2, 2], [1, 1], True, False), (IMAGE, [2, 2], [2, 2], [0, 0], True, True, 3), (IMAGE, [2, 2])],
    "avg_pool2d_backward.default": [(real(2, 3, 3, 2), IMAGE, [2, 2], [2, 2], [0, 0], False, True, None), (real(2, 3, 4, 3), IMAGE, [3, 3], [2, 2], [1, 1], True, False, None)],
    "avg_pool3d.default": [(real(1, 2, 4, 5, 4), [2, 2, 2])],
    "avg_pool3d_backward.default": [(real(1, 2, 2, 2, 2), real(1, 2, 4, 5, 4), [2, 2, 2], [2, 2, 2], [0, 0, 0], False, True, None)],
    "_adaptive_avg_pool2d.default": [(IMAGE, [4, 3]), (IMAGE, [3, 5]), (IMAGE, [9, 7])],
    "_adaptive_avg_pool2d_backward.default": [(real(2, 3, 4, 3), IMAGE)],
    "_adaptive_avg_pool3d.default": [(real(1, 2, 4, 5, 4), [2, 3, 1])],
    "_adaptive_avg_pool3d_backward.default": [(real(1, 2, 2, 3, 1), real(1, 2, 4, 5, 4))],
    "im2col.default": [(IMAGE, [2, 3], [1, 2], [1, 0], [2, 1])],
    "col2im.default": [(real(2, 12, 20), [6, 5], [2, 2], [1, 1], [0, 0], [1, 1]), (real(2, 18, 4), [6, 5], [2, 3], [1, 2], [1, 0], [2, 1])],
    "constant_pad_nd.default": [(IMAGE, [1, 2, -1, 3], 0.3), (INTS, [1, 0])],
    **{f"{n}_pad1d.default": [(CUBE, [2, 1])] for n in ("reflection", "replication")},
    **{f"{n}_pad2d.default": [(IMAGE, [2, 1, 3, 0])] for n in ("reflection", "replication")},
    **{f"{n}_pad3d.default": [(real(1, 2, 4, 3, 3), [2, 1, 1, 0, 2, 1])] for n in ("reflection", "replication")},
    **{f"{n}_pad1d_backward.default": [(real(2, 3, 7), CUBE, [2, 1])] for n in ("reflection", "replication")},
    **{f"{n}_pad2d_backward.default": [(real(2, 3, 9, 8), IMAGE, [2, 1, 3, 0])] for n in ("reflection", "replication")},
    **{f"{n}_pad3d_backward.default": [(real(1, 2, 7, 4, 6), real(1, 2, 4, 3, 3), [2, 1, 1, 0, 2, 1])] for n in ("reflection", "replication")},
    "upsample_linear1d.default": [(CUBE, [7], False), (CUBE, [7], True)],
    "upsample_bilinear2d.default": [(IMAGE, [9, 7], a) for a in (False, True)] + [(IMAGE, [12, 10], False, 2.0, 2.0), (IMAGE, [4, 3], False)],
    "upsample_bicubic2d.default": [(IMAGE, [9, 7], a) for a in (False, True)],
    "upsample_trilinear3d.default": [(real(1, 2, 3, 4, 3), [5, 3, 4], False)],
    "upsample_linear1d_backward.default": [(real(2, 3, 7), [7], [2, 3, 4], False)],
    "upsample_bilinear2d_backward.default": [(real(2, 3, 9, 7), [9, 7], [2, 3, 6, 5], a) for a in (False, True)],
    "upsample_bicubic2d_backward.default": [(real(2, 3, 9, 7), [9, 7], [2, 3, 6, 5], False)],
    "upsample_trilinear3d_backward.default": [(real(1, 2, 5, 3, 4), [5, 3, 4], [1, 2, 3, 4, 3], False)],
    **{f"{n}1d.default": [(CUBE, [7])] for n in ("upsample_nearest", "_upsample_nearest_exact")},
    **{f"{n}2d.default": [(IMAGE, [9, 7]), (IMAGE, [12, 10], 2.0, 2.0)] for n in ("upsample_nearest", "_upsample_nearest_exact")},
    **{f"{n}3d.default": [(real(1, 2, 3, 4, 3), [5, 3, 4])] for n in ("upsample_nearest", "_upsample_nearest_exact")},
    **{f"{n}1d_backward.default": [(real(2, 3, 7), [7], [2, 3, 4])] for n in ("upsample_nearest", "_upsample_nearest_exact")},
    **{f"{n}2d_backward.default": [(real(2, 3, 9, 7), [9, 7], [2, 3, 6, 5])] for n in ("upsample_nearest", "_upsample_nearest_exact")},
    **{f"{n}3d_backward.default": [(real(1, 2, 5, 3, 4), [5, 3, 4], [1, 2, 3, 4, 3])] for n in ("upsample_nearest", "_upsample_nearest_exact")},
    "grid_sampler_2d.default": [(IMAGE, 1.5 * real(2, 4, 3, 2), 0, p, a) for p in (0, 1) for a in (False, True)],
    "grid_sampler_2d_backward.default": [(real(2, 3, 4, 3), IMAGE, 0.8 * (2 * unit(2, 4, 3, 2) - 1), 0, 0, False, [True, True])],
    "_scaled_dot_product_flash_attention_for_cpu.default": [(Q, K, V), (Q, K, V, 0.0, True), (Q, K, V, dict(attn_mask=real(5, 6), scale=0.3)), (Q, K, V, dict(attn_mask=real(2, 1, 5, 6).masked_fill(mask(2, 1, 5, 6), -torch.inf)))],
    "_foreach_norm.Scalar": [([X, ROW],), ([X, ROW], 1)],
    "_foreach_max.default": [([X, ROW],)],
    "_foreach_zero_.default": [([X, ROW],)],
    "_foreach_copy.default": [([X, ROW], [Y, real(4)])],
    "_foreach_pow.ScalarAndTensor": [(1.3, [X, ROW])],
    "_foreach_pow.List": [([positive(3, 4), positive(4)], [X, ROW])],
    "_foreach_pow.Scalar": [([X, ROW], 2)],
    "_foreach_pow.ScalarList": [([X, ROW], [2.0, 3.0])],
    **{f"{n}.out": [(X, positive(3, 4), {"out": torch.zeros_like(X)})] for n in ("maximum", "minimum")},
    **{f"_foreach_{n}.Scalar": [([X, ROW], 0.3)] for n in ("add", "sub", "mul", "div", "maximum", "minimum", "clamp_min", "clamp_max")},
    **{f"_foreach_{n}.List": [([X, ROW], [positive(3, 4), positive(4)])] for n in ("add", "sub", "mul", "div", "maximum", "minimum", "clamp_min", "clamp_max")},
    **{f"_foreach_{n}.ScalarList": [([X, ROW], [0.3, 0.7])] for n in ("add", "sub", "mul", "div", "maximum", "minimum", "clamp_min", "clamp_max")},
    **{f"_foreach_{n}.Tensor": [([X, ROW], positive())] for n in ("add", "mul", "div")},
    **{f"_foreach_{n}.Scalar": [([X, ROW], [Y, real(4)], [positive(3, 4), positive(4)], -0.3)] for n in ("addcmul", "addcdiv")},
    **{f"_foreach_{n}.ScalarList": [([X, ROW], [Y, real(4)], [positive(3, 4), positive(4)], [-0.3, 0.7])] for n in ("addcmul", "addcdiv")},
    **{f"_foreach_{n}.Tensor": [([X, ROW], [Y, real(4)], [positive(3, 4), positive(4)], real(2))] for n in ("addcmul", "addcdiv")},
    "_foreach_lerp.Scalar": [([X, ROW], [Y, real(4)], 0.3)],
    "_foreach_lerp.ScalarList": [([X, ROW], [Y, real(4)], [0.3, 0.7])],
    "_foreach_lerp.List": [([X, ROW], [Y, real(4)], [Z, unit(4)])],
    **{f"_foreach_{n}.default": [([positive(3, 4), unit(4)],)] for n in ("abs", "atan", "ceil", "cos", "cosh", "erf", "erfc", "exp", "expm1", "floor", "frac", "lgamma", "log", "log10", "log1p", "log2", "neg", "reciprocal", "round", "rsqrt", "sigmoid", "sign", "sin", "sinh", "sqrt", "tan", "tanh", "trunc")},
    **{f"_foreach_{n}.default": [([unit(3, 4), unit(4)],)] for n in ("acos", "asin")},
}  # fmt: skip

STEPS = [torch.tensor(3.0), torch.tensor(4.0)]
_ADAM = dict(lr=0.1, beta1=0.9, beta2=0.99, eps=0.1)
_LISTS = ([X, ROW], [Y, real(4)], [Z, real(4)], [positive(3, 4), positive(4)])
CASES |= {
    f"{n}.default": [
        (*_LISTS, [], STEPS, dict(**_ADAM, weight_decay=0.3, amsgrad=False, maximize=False)),
        (*_LISTS, [positive(3, 4), positive(4)], STEPS, dict(**_ADAM, weight_decay=0.0, amsgrad=True, maximize=True)),
    ]
    for n in ("_fused_adam_", "_fused_adamw_")
}
CASES |= {
    "_fused_sgd_.default": [
        (*_LISTS[:2], [], dict(weight_decay=0.3, momentum=0.0, lr=0.1, dampening=0.0, nesterov=False, maximize=False, is_first_step=False)),
        (*_LISTS[:3], dict(weight_decay=0.0, momentum=0.9, lr=0.1, dampening=0.2, nesterov=False, maximize=True, is_first_step=False)),
        (*_LISTS[:3], dict(weight_decay=0.3, momentum=0.9, lr=0.1, dampening=0.0, nesterov=True, maximize=False, is_first_step=False)),
        (*_LISTS[:3], dict(weight_decay=0.0, momentum=0.9, lr=0.1, dampening=0.0, nesterov=False, maximize=False, is_first_step=True)),
    ],
    "_fused_adagrad_.default": [(*_LISTS[:2], [positive(3, 4), positive(4)], STEPS, dict(lr=0.1, lr_decay=0.2, weight_decay=0.3, eps=0.1, maximize=False))],
}  # fmt: skip

SINGLE = torch.float32
LSTM = (
    real(4, 2, 3).to(SINGLE),
    real(20, 3).to(SINGLE),
    real(20, 5).to(SINGLE),
    real(20).to(SINGLE),
    real(20).to(SINGLE),
    real(2, 5).to(SINGLE),
    real(2, 5).to(SINGLE),
)
_LSTM_FLAGS = (2, 5, 1, True, False, False, True)
_CPU_ATTENTION = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
_PROJECTIONS = (real(18, 6), real(18), real(6, 6), real(6))
_ENCODER = (
    *_PROJECTIONS,
    True,
    False,
    0.1,
    real(6),
    real(6),
    real(6),
    real(6),
    real(8, 6),
    real(8),
    real(6, 8),
    real(6),
)


def _attention_gradient(*options: Any, **attributes: Any) -> Arguments:
    out, logsumexp = _CPU_ATTENTION(Q, K, V, *options, **attributes)
    causal = options[1] if options else False
    return (real(2, 4, 5, 3, seed=7), Q, K, V, out, logsumexp, 0.0, causal, attributes)


def _lstm_gradient(reverse: bool) -> Arguments:
    y, h, c, workspace = torch.ops.aten.mkldnn_rnn_layer(*LSTM, reverse, [], *_LSTM_FLAGS)
    grads = real(4, 2, 5, seed=1).to(SINGLE), real(2, 5, seed=1).to(SINGLE), real(2, 5, seed=2).to(SINGLE)
    return (*LSTM, y, h, c, *grads, reverse, 2, 5, 1, True, True, False, [], False, workspace)


_POOLED = torch.ops.aten.max_pool2d_with_indices(IMAGE, [3, 3], [2, 2], [1, 1])
_POOLED_3D = torch.ops.aten.max_pool3d_with_indices(real(1, 2, 4, 5, 4), [2, 2, 2])
_ADAPTED = torch.ops.aten.adaptive_max_pool2d(IMAGE, [4, 3])
CASES |= {
    "_scaled_dot_product_flash_attention_for_cpu_backward.default": [
        _attention_gradient(), _attention_gradient(0.0, True), _attention_gradient(attn_mask=real(5, 6), scale=0.3),
    ],
    "_native_multi_head_attention.default": [
        (real(2, 4, 6), real(2, 4, 6), real(2, 4, 6), 6, 2, *_PROJECTIONS, None, False),
        (*[real(2, 4, 6)] * 3, 6, 2, *_PROJECTIONS, torch.eye(4) > 0, True, True, 0),
    ],
    "_transformer_encoder_layer_fwd.default": [
        (real(2, 4, 6), 6, 2, *_ENCODER),
        (real(2, 4, 6), 6, 2, *_ENCODER[:4], False, True, *_ENCODER[6:], torch.eye(2, 4) > 0, 1),
    ],
    "mkldnn_rnn_layer.default": [(*LSTM, reverse, [], *_LSTM_FLAGS) for reverse in (False, True)],
    "mkldnn_rnn_layer_backward.default": [_lstm_gradient(False), _lstm_gradient(True)],
    "max_pool2d_with_indices_backward.default": [(real(*_POOLED[0].shape), IMAGE, [3, 3], [2, 2], [1, 1], [1, 1], False, _POOLED[1])],
    "max_pool3d_with_indices_backward.default": [(real(*_POOLED_3D[0].shape), real(1, 2, 4, 5, 4), [2, 2, 2], [2, 2, 2], [0, 0, 0], [1, 1, 1], False, _POOLED_3D[1])],
    "adaptive_max_pool2d_backward.default": [(real(2, 3, 4, 3), IMAGE, _ADAPTED[1])],
    "norm.ScalarOpt_dtype": [(CUBE, 2, dict(dtype=torch.float64))],
    "norm.ScalarOpt_dim_dtype": [(CUBE, 2, [1], True, dict(dtype=torch.float64))],
    "_amp_foreach_non_finite_check_and_unscale_.default": [([X, ROW], torch.zeros(1), torch.full((1,), 0.5))],
}  # fmt: skip
for _name in ("_fused_adam_", "_fused_adamw_", "_fused_sgd_", "_fused_adagrad_"):
    CASES[f"{_name}.tensor_lr"] = [
        (*case[:-1], {**case[-1], "lr": torch.tensor(0.1, dtype=torch.float64)}) for case in CASES[f"{_name}.default"]
    ]

DEFECTS: dict[str, Arguments] = {
    "gelu.default": (-3 * positive(3, 4),),  # (1 + erf) cancels in the lower tail
    "gelu_backward.default": (X, -3 * positive(3, 4)),
    "digamma.default": (torch.tensor([1.4615], dtype=torch.float64),),  # few digits are right beside its zero
    "hardsigmoid_backward.default": (X, X),  # one sixth is a float32 constant
}

ON_GPU = "the kernel is CUDA's"
ELSEWHERE = {
    "_fused_rms_norm.default": "made of other operations on CPU",
    "_fused_rms_norm_backward.default": "as its forward operation",
    "_scaled_dot_product_cudnn_attention.default": ON_GPU,
    "_scaled_dot_product_efficient_attention.default": ON_GPU,
    "_scaled_dot_product_efficient_attention_backward.default": ON_GPU,
    "_scaled_dot_product_flash_attention.default": ON_GPU,
    "_scaled_dot_product_flash_attention_backward.default": ON_GPU,
    "_thnn_fused_gru_cell.default": ON_GPU,
    "_thnn_fused_lstm_cell.default": ON_GPU,
    "bmm.dtype": ON_GPU,
    "mm.dtype": ON_GPU,
    "hardsigmoid_backward.default": "a defect of torch, below",
}
