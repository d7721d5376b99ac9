"""Causes planted alone, in pairs and in threes at random depth in models of twenty layers are named."""

import random

import pytest
from zoo_planted import PLANTS, found_codes, planted

pytest.importorskip("torch")
pytest.importorskip("keras")

_QUICK = (
    (("eps/plain",), "torch"), (("padding/plain",), "keras"), (("kernel-flip/plain",), "torch"),
    (("activation-slope/slope",), "keras"), (("weights-not-loaded/statistics",), "keras"),
    (("missing-node/left_out",), "torch"), (("eps/plain", "activation-variant/variant"), "torch"),
    (("eps/plain", "double-softmax/softmax_again"), "torch"),
)  # fmt: skip


@pytest.mark.parametrize(("names", "framework"), _QUICK)
def test_planted_causes_are_named(names, framework):
    case = planted(names, 0, framework)
    assert case is not None
    assert sorted(found_codes(case)) == sorted(case.codes)


def test_without_a_plant_nothing_is_named():
    case = planted((), 0, "keras")
    assert case is not None
    assert found_codes(case) == ()


def _score(count: int, cases: int, framework: str) -> float:
    """The share of cases in which every planted cause is named, over `cases` draws of `count` causes."""
    rng = random.Random(count)
    names = sorted(PLANTS)
    named = asked = 0
    while asked < cases:
        chosen = (names[asked % len(names)],) if count == 1 else tuple(rng.sample(names, count))
        case = planted(chosen, asked, framework) if len({n.partition("/")[0] for n in chosen}) == count else None
        if case is None and count > 1:
            continue
        asked += 1
        found = found_codes(case) if case is not None else ()
        good = case is not None and set(case.codes) <= set(found)
        named += good
        if not good:
            print(f"{framework} {chosen} seed {asked - 1}: named {found}")
    print(f"{framework}: {count} planted, {named} of {asked} named")
    return named / asked


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("framework", ["torch", "keras"])
@pytest.mark.parametrize(("count", "cases", "bar"), [(1, 104, 0.98), (2, 60, 0.95), (3, 40, 0.90)])
def test_score_of_planted_causes(count, cases, bar, framework):
    assert _score(count, cases, framework) >= bar
