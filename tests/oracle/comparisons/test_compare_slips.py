"""Small slips of porting: each is told by the word that a practitioner has for it, alone, and proved to vanish."""

import pytest
from zoo_slips import SAME, SLIPS

import oracle
from oracle.comparisons.comparison import Meaning


@pytest.mark.parametrize("name", SLIPS)
def test_a_slip_has_its_name_and_no_other(name):
    code, build = SLIPS[name]
    a, b, inputs = build()
    found = oracle.compare(a, b, inputs)
    assert {c.code for c in found.causes} == {code}, str(found)
    assert found.causes[-1].residual <= 1e-4 * found.causes[0].before
    assert all(c.fix_a and c.fix_b for c in found.causes)


@pytest.mark.parametrize("name", SAME)
def test_another_way_to_write_the_same_is_no_finding(name):
    a, b, inputs = SAME[name]()
    found = oracle.compare(a, b, inputs)
    assert found.verdict is Meaning.SAME, str(found)
