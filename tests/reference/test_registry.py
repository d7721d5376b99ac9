"""The registry: every operation is complete, its limits and kinks are those of the mathematics, listing it is cheap."""

import inspect
import subprocess
import sys

import numpy as np
import pytest
from mpmath import mp, mpf

from oracle.reference.formats import FORMATS
from oracle.reference.operation import Operation, get_operation, operations, textbook_definition
from oracle.reference.true_value import kinks_of, true_value
from oracle.reference.truth import REAL, UNDEFINED


@pytest.mark.parametrize("name", operations())
def test_an_operation_is_complete(name: str) -> None:
    operation = get_operation(name)
    parameters = inspect.signature(operation.define).parameters.values()
    positional = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    attributes = {p.name for p in parameters if p.kind is p.KEYWORD_ONLY}
    assert positional == [a.name for a in operation.args]
    assert operation.formula
    assert operation.source
    assert inspect.getdoc(operation.define)
    assert callable(textbook_definition(name))
    assert any(config.quick for config in operation.configs)
    assert len({config.name for config in operation.configs}) == len(operation.configs)
    for config in operation.configs:
        assert list(config.shapes) == positional
        assert set(config.attrs) == attributes
        assert set(config.highs) == {a.name for a in operation.args if a.kind == "index"}


def limit_disagreement(operation: Operation, at: float, limit: float) -> str:
    """Whether the textbook value very near the infinity or zero `at` tells another limit: why, or nothing."""
    near = np.copysign(1, at) * (mpf(10) ** 60 if np.isinf(at) else mpf(10) ** -300)
    with mp.workdps(400):
        value = textbook_definition(operation.name)(near, **operation.configs[0].attrs)
    if np.isinf(limit):
        agrees = value * np.sign(limit) > 50
    else:
        agrees = abs(value - mpf(limit)) < 1e-20 and (limit or value * np.copysign(1, limit) >= 0)
    return "" if agrees else f"{operation.name} near {at} is {mp.nstr(value, 10)}, not {limit}"


def approached(operation: Operation) -> list[tuple[str, float, float]]:
    """The limits that arguments within the domain tend to; the others are conventions of IEEE 754."""
    low = operation.args[0].domain[0]
    within = [
        (at, limit) for at, limit in operation.special if low < at or (at == 0 and (low < 0 or np.copysign(1, at) > 0))
    ]
    conventions = {("lgamma", -np.inf)}  # C has +inf there, between ever closer poles
    return [
        (operation.name, *pair)
        for pair in within
        if not np.isnan(pair[1]) and (operation.name, pair[0]) not in conventions
    ]


LIMITS = [case for operation in operations().values() for case in approached(operation)]


@pytest.mark.parametrize(("name", "at", "limit"), LIMITS)
def test_a_limit_is_approached(name: str, at: float, limit: float) -> None:
    assert limit_disagreement(get_operation(name), at, limit) == ""


@pytest.mark.parametrize(
    ("name", "at", "limit"), [("gelu_erf", -np.inf, 0.0), ("tanh", np.inf, -1.0), ("sin", 0.0, -0.0)]
)
def test_a_wrong_limit_is_caught(name: str, at: float, limit: float) -> None:
    assert limit_disagreement(get_operation(name), at, limit)


# Where the formulas have their corners: integers and halves. The poles of three functions are none.
POINTS = np.arange(-7, 7.5, 0.5)
POLES = {"reciprocal", "lgamma", "digamma"}
ONE_VARIABLE = [o.name for o in operations().values() if o.elementwise and len(o.args) == 1]


def one_sided_slopes(name: str, x: float) -> tuple[mpf, mpf]:
    """The slopes of the textbook definition left and right of `x`."""
    operation, h = get_operation(name), mpf(10) ** -40
    with mp.workdps(100):
        steps = (mpf(x) - h, mpf(x), mpf(x) + h)
        below, here, above = (textbook_definition(name)(t, **operation.configs[0].attrs) for t in steps)
        return (here - below) / h, (above - here) / h


@pytest.mark.parametrize("name", ONE_VARIABLE)
def test_the_kinks_are_where_the_slopes_part(name: str) -> None:
    operation = get_operation(name)
    config, (low, high) = operation.configs[0], operation.args[0].domain
    points = np.array([x for x in POINTS if low < x < high and not (name in POLES and x <= 0)])
    (kinks,) = kinks_of(operation, config, [points])
    slopes = [one_sided_slopes(name, x) for x in points]
    assert [bool(k) for k in kinks] == [abs(left - right) > 1e-20 for left, right in slopes]
    (truth,) = true_value(operation, config, [points, np.ones(len(points))], FORMATS["float32"])
    assert [int(s) for s in truth.special] == [UNDEFINED if k else REAL for k in kinks]
    expected = np.array([float(right) for _, right in slopes])  # known to 1e-3 ulp of float32, 1.2e-10
    np.testing.assert_allclose(truth.values()[~kinks], expected[~kinks], rtol=1.2e-10, atol=1e-30)


TIES = {
    "max": ([[1.0, 3.0, 3.0], [1.0, 2.0, 3.0]], [[0, 1, 1], [0, 0, 0]]),
    "min": ([[1.0, 3.0, 3.0], [2.0, 2.0, 3.0]], [[0, 0, 0], [1, 1, 0]]),
    "norm": ([[0.0, 0.0, 0.0], [0.0, 2.0, 3.0]], [[1, 1, 1], [0, 0, 0]]),
    "std": ([[5.0, 5.0, 5.0], [5.0, 5.0, 6.0]], [[1, 1, 1], [0, 0, 0]]),
}


@pytest.mark.parametrize("name", TIES)
def test_a_tie_has_no_gradient(name: str) -> None:
    operation, (x, expected) = get_operation(name), TIES[name]
    (mask,) = kinks_of(operation, operation.config("rows"), [np.array(x)])
    assert mask.tolist() == np.array(expected, bool).tolist()


def test_a_tie_within_a_pooling_window_has_no_gradient() -> None:
    x = np.array([[[[1.0, 1.0, -9.0, 2.0], [0.0, 0.5, -9.0, -9.0]]]])
    operation = get_operation("max_pool2d")
    (mask,) = kinks_of(operation, operation.config("basic"), [x])
    assert mask[0, 0].tolist() == [[True, True, False, False], [False, False, False, False]]
    negative = np.array([[[[-1.0, -2.0, -2.0, -3.0]]]])
    (padded,) = kinks_of(operation, operation.config("overlapping"), [negative])
    assert padded[0, 0].tolist() == [[False, True, True, False]]


def test_the_digits_of_selu_make_mean_0_and_variance_1_a_fixed_point() -> None:
    """The closed form of the constants (Klambauer et al. 2017, equation 14) rounds to the published 32 digits."""
    with mp.workdps(50):
        alpha = -mp.sqrt(2 / mp.pi) / (mp.erfc(1 / mp.sqrt(2)) * mp.exp(mpf(1) / 2) - 1)
        inner = 2 * mp.erfc(mp.sqrt(2)) * mp.e**2 + mp.pi * mp.erfc(1 / mp.sqrt(2)) ** 2 * mp.e
        inner -= 2 * (2 + mp.pi) * mp.erfc(1 / mp.sqrt(2)) * mp.sqrt(mp.e)
        scale = (1 - mp.erfc(1 / mp.sqrt(2)) * mp.sqrt(mp.e)) * mp.sqrt(2 * mp.pi / (inner + mp.pi + 2))
        negative = textbook_definition("selu")(mpf(-1)) / (mp.exp(-1) - 1)
        assert abs(negative - alpha * scale) < mpf(10) ** -30
        assert abs(textbook_definition("selu")(mpf(1)) - scale) < mpf(10) ** -30


def test_listing_the_operations_imports_neither_jax_nor_mpmath() -> None:
    code = (
        "import sys; from oracle.reference.operation import operations; assert len(operations()) >= 100; "
        "sys.exit(', '.join({'jax', 'mpmath', 'scipy', 'torch', 'tensorflow', 'keras'} & set(sys.modules)) or 0)"
    )
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
