"""The innocent are not accused: correctly rounded answers of every operation, and plain float32 matrix kernels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from oracle.audits.inputs import cotangents, generate
from oracle.judgements.metric import measure
from oracle.judgements.verdict import judge
from oracle.reference.formats import format_named
from oracle.reference.operation import get_operation, operations
from oracle.reference.program import vjp
from oracle.reference.true_value import budget_of, program_of, true_value
from oracle.types import Verdict

OPERATIONS = operations()
FLOAT32 = format_named("float32")
MATRIX_KERNELS = ("sum", "mean", "matmul", "batched_matmul", "linear", "dot", "einsum", "conv1d", "conv2d",
                  "depthwise_conv2d", "conv_transpose2d", "var", "norm", "layer_norm", "mse")  # fmt: skip


def judged(name: str, operands: list[np.ndarray], answers: list[np.ndarray], fmt) -> list:
    operation = get_operation(name)
    truths = true_value(operation, operation.configs[0], operands, fmt)
    budgets = budget_of(operation, operation.configs[0], operands, fmt)
    return [judge(measure(y, t, fmt), t, b, fmt) for y, t, b in zip(answers, truths, budgets, strict=True)]


@pytest.mark.parametrize("fmt", [FLOAT32, format_named("bfloat16")], ids=lambda f: f.name)
@pytest.mark.parametrize("name", OPERATIONS)
def test_a_correctly_rounded_answer_is_correct(name, fmt):
    operation = OPERATIONS[name]
    operands = list(generate(operation, operation.configs[0], fmt, "typical").values())
    truths = true_value(operation, operation.configs[0], operands, fmt)
    for found in judged(name, operands, [_nearest(t, fmt) for t in truths], fmt):
        assert found.verdict is Verdict.CORRECT, found.reason


def _nearest(truth, fmt) -> np.ndarray:
    """The rounded truth; where a tie lies within its radius either neighbour is right."""
    rounded = truth.rounded(fmt)
    return np.where(np.isnan(rounded), fmt.round(truth.values()).astype(float), rounded)


@pytest.mark.parametrize("region", ["typical", "wide"])
@pytest.mark.parametrize("name", MATRIX_KERNELS)
def test_a_plain_float32_kernel_and_its_gradient_are_not_accused(name, region):
    operation = get_operation(name)
    config = operation.configs[0]
    operands = list(generate(operation, config, FLOAT32, region).values())
    outputs = program_of(operation, config, operands)
    shapes = {n: outputs.variables[v].shape for n, v in zip(operation.outputs, outputs.outputs, strict=True)}
    drawn = list(cotangents(shapes, FLOAT32, name, region).values())
    define = operation.bind(config)
    gradient = vjp(define, operation.differentiable_args, len(operation.args))
    for fn, given in ((define, operands), (gradient, operands + drawn)):
        arrays = [jnp.asarray(x, jnp.float32) for x in given]
        answers = [np.asarray(y) for y in jax.tree_util.tree_leaves(jax.jit(fn)(*arrays))]
        for found in judged(name, given, answers, FLOAT32):
            assert found.verdict in (Verdict.CORRECT, Verdict.WITHIN_BUDGET), found.reason
            assert not found.undecided
