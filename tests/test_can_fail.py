"""A judge must be seen to fail: planted faults are caught, the right kernels beside them are not accused."""

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import kernels as k
import ml_dtypes
import numpy as np
import pytest

from oracle.audits.inputs import generate
from oracle.checks.checking import CheckResult, check
from oracle.judgements.metric import measure
from oracle.judgements.verdict import judge
from oracle.reference.formats import format_named
from oracle.reference.operation import get_operation
from oracle.reference.true_value import budget_of, true_value
from oracle.types import Verdict

FLOAT32 = format_named("float32")
LEGAL = (Verdict.CORRECT, Verdict.WITHIN_BUDGET)


@dataclass(frozen=True)
class Planted:
    """A right kernel of an operation and the faults to plant in it. `adjust` changes the typical inputs."""

    operation: str
    config: str
    kernel: Callable
    faults: dict[str, dict[str, Any]]
    adjust: dict[str, Callable] = field(default_factory=dict)
    dtype: str = "float32"

    def check(self, **fault: Any) -> CheckResult:
        operation = get_operation(self.operation)
        config = operation.config(self.config)
        drawn = generate(operation, config, format_named(self.dtype), "typical", seed=7)
        drawn |= {name: change(drawn[name]) for name, change in self.adjust.items()}
        inputs = {name: x.astype(self.dtype) if x.dtype.kind == "f" else x for name, x in drawn.items()}
        forms = [functools.partial(form, **config.attrs) for form in operation.forms]
        planted = functools.partial(self.kernel, **fault)
        return check(planted, reference=operation.bind(config), inputs=inputs, forms=forms)


def times(factor: float) -> Callable:
    return lambda x: x * factor


def plus(offset: float) -> Callable:
    return lambda x: x + offset


PLANTED = [
    Planted("tanh", "elementwise", k.tanh, {"scaled by 1 + 2^-12": {"scale": 1 + 2**-12}}),
    Planted("multiply", "elementwise", k.multiply, {"rounded toward zero": {"toward_zero": True}}),
    Planted("divide", "elementwise", k.divide, {"fast reciprocal": {"reciprocal_bits": 12}}),
    Planted("expm1", "elementwise", k.expm1, {"cancellation": {"naive": True}}, {"x": times(1e-3)}),
    Planted("log1p", "elementwise", k.log1p, {"cancellation": {"naive": True}}, {"x": lambda x: np.abs(x) * 1e-3}),
    Planted("sigmoid", "elementwise", k.sigmoid, {"float16 intermediate": {"half": True}}),
    Planted("gelu_erf", "elementwise", k.gelu64, {"constant rounded to float32": {"root": float(np.float32(2**0.5))}},
            {"x": lambda x: x[:257]}, "float64"),
    Planted("gelu_erf", "elementwise", k.gelu, {"cancelling tail": {"tail": True}, "tanh form": {"tanh_form": True}}),
    Planted("leaky_relu", "elementwise", k.leaky_relu, {"default slope of another": {"negative_slope": 0.2}}),
    Planted("softmax", "rows", k.softmax, {"wrong axis": {"axis": 0}, "double softmax": {"twice": True},
                                           "scaled by 1 + 2^-12": {"scale": 1 + 2**-12}}),
    Planted("softmax", "rows", k.softmax, {"no max subtraction": {"shift": False}}, {"x": plus(100.0)}),
    Planted("log_softmax", "rows", k.log_softmax, {"log of softmax": {"of_softmax": True}}, {"x": times(100.0)}),
    Planted("sum", "rows", k.total, {"no scalar tail": {"drop_tail": 1}, "zeros": {"zeros": True},
                                     "NaN": {"nan_at": 3}}),
    Planted("mean", "rows", k.mean, {"wrong divisor": {"divisor_error": 1}}),
    Planted("var", "rows", k.variance, {"unbiased": {"ddof": 1}}),
    Planted("var", "rows", k.variance, {"one pass": {"one_pass": True}}, {"x": plus(1e4)}),
    Planted("cumsum", "rows", k.cumsum, {"exclusive": {"exclusive": True}}),
    Planted("layer_norm", "rows", k.layer_norm, {"dropped eps": {"eps": 0.0}, "float16 variance": {"half": True},
                                                 "unbiased": {"ddof": 1}}, {"x": times(0.01)}),
    Planted("rms_norm", "rows", k.rms_norm, {"dropped eps": {"eps": 0.0}}, {"x": times(0.01)}),
    Planted("batch_norm_training", "unbiased_running", k.batch_norm,
            {"stale running statistics": {"stale": True}, "momentum convention": {"momentum": 0.875},
             "biased running variance": {"ddof": 0}}),
    Planted("matmul", "rectangular", k.matmul, {"bfloat16 accumulation": {"accumulator": ml_dtypes.bfloat16},
                                                "float16 accumulation": {"accumulator": np.float16}}),
    Planted("linear", "batch", k.linear, {"missing bias": {"with_bias": False}}),
    Planted("conv1d", "strides", k.conv1d, {"padding off by one": {"padding": 2}, "kernel flipped": {"flip": True}}),
    Planted("embedding", "tokens", k.embedding, {"index off by one": {"shift": 1}}),
    Planted("max_pool2d", "overlapping", k.max_pool, {"padded with zero": {"fill": 0.0}}, {"x": plus(-9.0)}),
    Planted("avg_pool2d", "padding_counted", k.avg_pool, {"padding not counted": {"count_padding": False}}),
    Planted("scaled_dot_product_attention", "causal", k.attention,
            {"unscaled": {"scaled": False}, "mask off by one": {"late": 1}}),
    Planted("lstm", "short", k.lstm, {"swapped gates": {"gates": "igfo"}, "forget bias": {"forget_bias": 1.0}}),
    Planted("cross_entropy_indices", "label_smoothing", k.cross_entropy,
            {"smoothing over the others": {"smoothing": 0.1 * 17 / 16}, "sum for mean": {"reduction": np.sum}}),
    Planted("bce_with_logits", "none", k.bce_with_logits, {"sigmoid first": {"sigmoid_first": True}},
            {"logits": times(20.0)}),
    Planted("sgd_momentum", "lr_outside", k.sgd_momentum, {"missing momentum": {"momentum": 0.0}}),
    Planted("adamw", "tenth_step", k.adamw,
            {"coupled decay": {"coupled": True}, "no bias correction": {"corrected": False},
             "eps inside the root": {"eps_inside": True}}, {"second_moment": times(1e-6), "gradient": times(1e-3)}),
]  # fmt: skip


@pytest.mark.parametrize("planted", PLANTED, ids=lambda p: f"{p.operation}-{p.config}")
def test_a_right_kernel_is_not_accused(planted):
    found = planted.check()
    assert found.verdict in LEGAL, found


@pytest.mark.parametrize(
    ("planted", "fault"),
    [pytest.param(p, fault, id=f"{p.operation}-{fault}") for p in PLANTED for fault in p.faults],
)
def test_a_planted_fault_is_caught(planted, fault):
    found = planted.check(**planted.faults[fault])
    assert found.verdict is Verdict.BEYOND_BUDGET, found
    with pytest.raises(AssertionError, match="BEYOND_BUDGET"):
        found.raise_if_beyond()


def test_a_gradient_wrong_by_a_thousandth_is_caught():
    operation = get_operation("tanh")
    x = generate(operation, operation.configs[0], FLOAT32, "typical")["x"].astype(np.float32)

    def against(scale: float) -> CheckResult:
        slope = functools.partial(k.tanh_gradient, scale=scale)
        return check(k.tanh, reference=operation.define, inputs=x, grad=slope)

    assert against(1.0).verdict in LEGAL
    wrong = against(1.001)
    assert wrong.verdict is Verdict.BEYOND_BUDGET
    assert wrong.gravest.name == "gradient of x"


def test_a_transposed_square_weight_is_caught():
    rng = np.random.default_rng(3)
    inputs = [rng.standard_normal(shape).astype(np.float32) for shape in ((5, 8), (8, 8), (8,))]
    define = get_operation("linear").define
    assert check(k.linear, reference=define, inputs=inputs).verdict in LEGAL
    wrong = functools.partial(k.linear, transpose=False)
    assert check(wrong, reference=define, inputs=inputs).verdict is Verdict.BEYOND_BUDGET


@functools.cache
def _tanh_at(region: str):
    operation = get_operation("tanh")
    config = operation.configs[0]
    x = generate(operation, config, FLOAT32, region)["x"]
    (truth,) = true_value(operation, config, [x], FLOAT32)
    (budget,) = budget_of(operation, config, [x], FLOAT32)
    return x, truth, budget


def _judged(answer: np.ndarray, region: str):
    x, truth, budget = _tanh_at(region)
    return judge(measure(answer, truth, FLOAT32), truth, budget, FLOAT32, inputs={"x": x})


def test_a_wrong_sign_of_zero_is_a_class():
    x = _tanh_at("special")[0]
    right = np.tanh(x).astype(np.float32)
    assert _judged(right, "special").verdict in LEGAL
    unsigned = np.where(right == 0, np.float32(0), right)
    found = _judged(unsigned, "special")
    assert found.verdict is Verdict.BEYOND_BUDGET
    assert found.classes["wrong_zero_sign"] > 0
    assert not all(row["agrees"] for row in found.special)


def test_flushing_is_a_class_and_shows_in_both_columns():
    x = _tanh_at("subnormal")[0]
    right = np.tanh(x).astype(np.float32)
    assert _judged(right, "subnormal").classes["flushed"] == 0
    found = _judged(np.where(np.abs(right) < FLOAT32.tiny, np.float32(0), right), "subnormal")
    assert found.classes["flushed"] > 0
    assert "FLUSHED" in found.reason
    assert found.max_ulp > 1e6 > found.max_ulp_flush_tolerant
    assert found.verdict in LEGAL


def test_wrong_normal_numbers_are_not_excused_as_flushing():
    x = _tanh_at("subnormal")[0]
    found = _judged(np.where(np.abs(x) < 0.1, np.float32(0), np.tanh(x).astype(np.float32)), "subnormal")
    assert found.verdict is Verdict.BEYOND_BUDGET


@pytest.mark.parametrize(("wrong", "name"), [(np.nan, "nan_mismatch"), (np.inf, "wrong_infinity")])
def test_one_wrong_class_among_thousands_is_caught(wrong, name):
    answer = np.tanh(_tanh_at("typical")[0]).astype(np.float32)
    answer[1234] = wrong
    found = _judged(answer, "typical")
    assert found.verdict is Verdict.BEYOND_BUDGET
    assert found.classes[name] == 1
    assert found.worst[0]["index"] == [1234]
