"""`oracle.assert_same_meaning`: a comparison as one line of a test suite, with nothing to choose."""

from collections.abc import Iterable
from typing import Any

from oracle.comparisons.comparing import compare
from oracle.comparisons.comparison import Comparison
from oracle.errors import OracleError


def assert_same_meaning(a: Any, b: Any, inputs: Any = None, *, allow: Iterable[str] = (), **options: Any) -> Comparison:
    """Fail unless two models mean the same and every operation of both keeps its rounding budget.

        def test_the_port_is_the_model():
            oracle.assert_same_meaning(keras_model, torch_module, inputs_a=images, inputs_b=images_in_nchw)

        def test_nothing_changed_since_the_release():
            oracle.assert_same_meaning("release.trace", model, inputs_b=images)

    There is no tolerance: what is rounding follows from the formats and operations of both sides.

    Args:
        a, b, inputs, options: as for `oracle.compare`.
        allow: codes of findings that are known and accepted ("gelu-form"); docs/causes.md lists them.

    Returns the comparison. Raises `AssertionError` with its answer (the causes, the proof, the fixes), and
    `OracleError` where nothing can be compared.
    """
    __tracebackhide__ = True  # pytest shows the line of the test
    if isinstance(allow, str):
        raise OracleError(f"allow is the text {allow!r}", f"pass a list of codes: allow=[{allow!r}]")
    accepted = set(allow)
    found = compare(a, b, inputs, **options)
    if found.exit_code and (found.unmatched or not accepted.issuperset(found.codes)):
        raise AssertionError(str(found))
    return found
