"""Other honest formulas mean what the definition means: equal in exact arithmetic, looser only in their rounding."""

import numpy as np
import pytest

from oracle.audits.inputs import generate
from oracle.reference.formats import FORMATS
from oracle.reference.operation import operations
from oracle.reference.plain import evaluate_plain
from oracle.reference.true_value import budget_of, operands, program_of

WITH_FORMS = [(name, form) for name, op in operations().items() for form in range(len(op.forms))]


@pytest.mark.parametrize(("name", "form"), WITH_FORMS)
def test_a_form_equals_its_definition(name, form):
    operation = operations()[name]
    config = operation.configs[0]
    fmt = FORMATS["float32"]
    arrays = operands(operation, generate(operation, config, fmt, "typical"))
    by_definition = evaluate_plain(program_of(operation, config, arrays), arrays)
    by_form = evaluate_plain(program_of(operation, config, arrays, form), arrays)
    for value, other, budget in zip(by_definition, by_form, budget_of(operation, config, arrays, fmt), strict=True):
        # Both are float64: their distance is far inside a float32 budget, by the ratio of the roundoffs.
        assert np.all(np.abs(value - other) <= 2.0**-20 * budget.fused)


def test_a_bias_that_starts_the_sum_is_honest():
    """Adding six products to a large bias rounds the bias six times; the budget of product + bias alone forbids it."""
    operation = operations()["linear"]
    config = operation.configs[0]
    x, weight = np.full((1, 65), 2.0**-13 * 1.1), np.ones((1, 65))
    bias = np.array([1024.0])
    arrays = [x.astype(np.float32).astype(np.float64), weight, bias]
    total = np.float32(bias[0])
    for product in (arrays[0] * weight)[0]:
        total = np.float32(total + np.float32(product))
    (budget,) = budget_of(operation, config, arrays, FORMATS["float32"])
    true = float((arrays[0] @ weight.T + bias)[0, 0])
    assert abs(float(total) - true) <= budget.fused[0, 0]
