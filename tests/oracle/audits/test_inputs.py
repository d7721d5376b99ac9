"""Inputs: representable, inside the domain, reproducible, and where their region says."""

import subprocess
import sys

import numpy as np
import pytest

from oracle.audits.inputs import REGIONS, cotangents, flushed, generate, input_hash, regions
from oracle.reference.formats import FORMATS, format_named
from oracle.reference.operation import Arg, Config, get_operation, operations

FLOAT32 = format_named("float32")
each_format = pytest.mark.parametrize("fmt", FORMATS.values(), ids=lambda f: f.name)
OPERATIONS = operations()


def draw(name: str, region: str, fmt=FLOAT32, seed: int = 0) -> dict[str, np.ndarray]:
    operation = get_operation(name)
    return generate(operation, operation.configs[0], fmt, region, seed)


@each_format
@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=list(OPERATIONS))
def test_every_region_gives_numbers_of_the_format_inside_the_domain(operation, fmt):
    config = operation.configs[0]
    for region in regions(operation, fmt):
        inputs = generate(operation, config, fmt, region)
        assert list(inputs) == [a.name for a in operation.args]
        for arg in operation.args:
            x = inputs[arg.name]
            assert x.size > 0
            if not operation.elementwise:
                assert x.shape == tuple(config.shapes[arg.name])
            _check_kind(arg, config, x, fmt, special=region == "special")


def _check_kind(arg: Arg, config: Config, x: np.ndarray, fmt, *, special: bool) -> None:
    if arg.kind == "index":
        assert x.dtype == np.int64
        assert 0 <= x.min() <= x.max() < config.highs.get(arg.name, arg.high)
    elif arg.kind == "mask":
        assert x.dtype == bool
        assert x.any(-1).all()
    else:
        assert x.dtype == np.float64
        assert fmt.is_representable(x)
        low, high = arg.domain
        assert special or ((x > low) & (x < high)).all()
    if arg.kind == "probability":
        assert (x > 0).all()
        assert np.allclose(x.sum(-1), 1, atol=fmt.u * x.shape[-1])


def test_the_same_key_gives_the_same_inputs_and_any_other_different_ones():
    first = draw("exp", "wide")
    assert input_hash(first) == input_hash(draw("exp", "wide"))
    others = [draw("exp", "wide", seed=1), draw("exp", "typical"), draw("sin", "wide"),
              draw("exp", "wide", format_named("float64"))]  # fmt: skip
    assert len({input_hash(x) for x in [first, *others]}) == 5


def test_inputs_are_the_same_in_another_process():
    code = (
        "from oracle.audits.inputs import *; from oracle.reference.operation import get_operation as g;"
        "from oracle.reference.formats import FORMATS as F; o = g('matmul');"
        "print(input_hash(generate(o, o.configs[0], F['bfloat16'], 'typical', 3)))"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == input_hash(draw("matmul", "typical", format_named("bfloat16"), seed=3))


@each_format
def test_wide_reaches_almost_all_exponents(fmt):
    x = draw("exp", "wide", fmt)["x"]
    exponents = np.frexp(x[x != 0])[1] - 1
    reached = np.unique(exponents).size / (fmt.e_max - fmt.e_min + 1)
    assert reached > 0.8 or fmt.name == "float64"
    assert exponents.min() <= fmt.e_min + 12
    assert exponents.max() >= fmt.e_max - 12
    assert (x < 0).mean() == pytest.approx(0.5, abs=0.05)


def test_wide_comes_close_to_the_end_of_a_domain():
    x = draw("acosh", "wide")["x"]
    assert (x - 1).min() < 1e-6


def test_wide_sums_do_not_overflow():
    x = draw("matmul", "wide")
    with np.errstate(over="raise"):
        x["a"].astype(np.float32) @ x["b"].astype(np.float32)


def test_subnormal_inputs_are_mostly_subnormal_and_of_every_size():
    x = np.abs(draw("exp", "subnormal")["x"])
    small = x[x < FLOAT32.tiny]
    assert small.size > 0.7 * x.size
    assert np.unique(np.frexp(small[small > 0])[1]).size > 20


@each_format
def test_exhaustive_is_every_finite_number_of_the_domain(fmt):
    if fmt.bits > 16:
        assert "exhaustive" not in regions(get_operation("exp"), fmt)
        return
    x = draw("exp", "exhaustive", fmt)["x"]
    with np.errstate(invalid="ignore"):
        values = fmt.all_values().astype(float)
    assert np.array_equal(x, np.unique(values[np.isfinite(values)]))
    assert (draw("log", "exhaustive", fmt)["x"] == x[x > 0]).all()


def test_edge_combines_two_operands():
    x = draw("atan2", "edge")
    bits = [values.view(np.uint64) for values in x.values()]  # both zeros count
    counts = [np.unique(b).size for b in bits]
    assert np.unique(np.stack(bits), axis=1).shape[1] == x["x"].size == counts[0] * counts[1]


def test_special_holds_every_class_and_leaves_the_domain():
    x = draw("log", "special")["x"]
    assert np.isnan(x).any()
    assert (x == np.inf).any()
    assert (x == -np.inf).any()
    assert np.signbit(x[x == 0]).any()
    assert not np.signbit(x[x == 0]).all()
    assert (x == -1).any()
    assert x.size % 2 == 1
    assert not np.isinf(draw("log", "special", format_named("float8_e4m3fn"))["x"]).any()


def test_special_of_two_operands_is_all_pairs():
    x = draw("divide", "special")
    both_infinite = np.isinf(x["a"]) & np.isinf(x["b"])
    assert both_infinite.sum() == 4
    assert ((x["a"] == 0) & (x["b"] == 0)).sum() == 4


def test_layout_is_transposed_in_memory():
    x = draw("exp", "layout")["x"]
    assert not x.flags.c_contiguous
    assert x.size % 8 == 1


def test_a_region_that_does_not_suit_is_refused_with_those_that_do():
    with pytest.raises(ValueError, match=r"'edge'.*matmul.*expected one of typical, wide, layout"):
        draw("matmul", "edge")


def test_regions_keep_their_order():
    for operation in OPERATIONS.values():
        offered = regions(operation, format_named("float16"))
        assert list(offered) == [r for r in REGIONS if r in offered]


def test_cotangents_are_normal_draws_of_the_format():
    fmt = format_named("bfloat16")
    drawn = cotangents({"out": (50, 50), "h": (7,)}, fmt, "lstm", 0)
    assert drawn["out"].shape == (50, 50)
    assert drawn["h"].shape == (7,)
    assert fmt.is_representable(drawn["out"])
    assert drawn["out"].std() == pytest.approx(1, abs=0.1)
    assert not np.array_equal(drawn["out"], cotangents({"out": (50, 50)}, fmt, "lstm", 1)["out"])


def test_flushed_takes_subnormals_for_zeros_of_their_sign():
    x = np.array([1e-40, -1e-40, FLOAT32.tiny, 0.0, np.nan])
    calm = flushed(x, FLOAT32)
    assert np.array_equal(calm, [0, 0, FLOAT32.tiny, 0, np.nan], equal_nan=True)
    assert np.signbit(calm).tolist() == [False, True, False, False, False]
    ones, indices = np.ones(3), np.arange(3)
    assert flushed(ones, FLOAT32) is ones
    assert flushed(indices, FLOAT32) is indices
