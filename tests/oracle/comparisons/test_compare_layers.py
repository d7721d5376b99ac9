"""Porting mistakes between torch and Keras: each is named, proved to vanish, and has a fix on either side."""

import pytest
from zoo_mistakes import MISTAKES, compare_mistake

from oracle.comparisons.comparison import Meaning

pytest.importorskip("torch")
pytest.importorskip("keras")

_QUICK = (
    "batch_norm_eps", "batch_norm_momentum_copied", "running_variance", "torch_left_in_training",
    "keras_left_in_training", "dropout_left_on", "same_padding_with_stride", "padded_or_not", "causal_convolution",
    "reflected_padding", "zeros_on_the_other_side", "average_counts_padding", "max_pool_same", "flipped_kernel",
    "transposed_dense", "conv_transpose_channels", "kernel_rows_and_columns", "flattened_in_another_order",
    "gelu_form", "leaky_slope", "hard_swish_for_swish", "bias_still_zero", "statistics_not_loaded",
    "another_checkpoint", "forgotten_activation", "forgotten_residual", "untied_head", "padding_row_trained",
)  # fmt: skip


@pytest.mark.parametrize("name", [pytest.param(n, marks=[] if n in _QUICK else pytest.mark.slow) for n in MISTAKES])
def test_mistake_is_named_proved_and_has_a_fix(name):
    codes, _ = MISTAKES[name]
    found = compare_mistake(name)
    assert found.verdict is Meaning.DIFFERENT
    assert sorted(c.code for c in found.causes) == sorted(codes), str(found)
    assert found.causes[-1].residual <= 1e-4 * found.causes[0].before
    assert all(c.fix_a and c.fix_b for c in found.causes)
