"""Infinities, NaN and signed zeros of two operands: the truth agrees with IEEE 754 as NumPy's hardware does it."""

import numpy as np
import pytest

from oracle.audits.inputs import generate
from oracle.reference.formats import format_named
from oracle.reference.operation import get_operation
from oracle.reference.true_value import true_value

FLOAT64 = format_named("float64")
IEEE = {"add": np.add, "subtract": np.subtract, "multiply": np.multiply, "divide": np.divide,
        "maximum": np.maximum, "minimum": np.minimum}  # fmt: skip


@pytest.mark.parametrize("name", IEEE)
def test_special_operands(name):
    operation = get_operation(name)
    inputs = list(generate(operation, operation.configs[0], FLOAT64, "special").values())
    (truth,) = true_value(operation, operation.configs[0], inputs, FLOAT64)
    with np.errstate(all="ignore"):
        expected = IEEE[name](*inputs)
    found = truth.rounded(FLOAT64)
    special = ~np.isfinite(expected)
    assert np.array_equal(found[special], expected[special], equal_nan=True)
    assert np.allclose(found[~special], expected[~special], rtol=1e-15, atol=0)
