"""Every code that scripts rely on is documented with an example, and no hypothesis has a code that is not."""

import re
from pathlib import Path

import oracle

PAGE = Path(__file__).parents[3] / "docs" / "causes.md"
PROMISED = """
eps momentum-convention variance-ddof train-eval-mode dropout-active double-softmax double-sigmoid
probabilities-as-logits reduction label-smoothing class-weights padding pool-padding kernel-flip kernel-layout
flatten-order data-layout gelu-form activation-variant activation-slope gate-order double-bias reset-after forget-bias
reverse-direction batch-first masking resize-convention rotary-layout attention-scale attention-mask embedding-padding
broadcast division tf32 accumulation-precision flush-to-zero rounded-constant numerically-unstable-formula
lr-in-momentum optimizer-eps weight-decay-coupling bias-correction weights-differ weights-not-loaded weights-shared
extra-node missing-node kernel-inaccuracy rounding-only
"""


def _documented() -> set[str]:
    return {code for row in PAGE.read_text().splitlines() if row.startswith("| `") for code in _in_ticks(row)}


def _in_ticks(row: str) -> list[str]:
    return re.findall(r"`([a-z0-9-]+)`", row.split("|")[1])


def _proposed() -> set[str]:
    """The codes in the first argument of a candidate or an accusation."""
    folder = Path(oracle.__file__).parent
    text = "".join(
        p.read_text()
        for p in [
            *folder.glob("causes/**/*.py"),
            folder / "comparisons/accusing.py",
            folder / "comparisons/overflowing.py",
        ]
    )
    return set(re.findall(r'(?:Candidate|_finding)\([^"(]*?"([a-z0-9]+(?:-[a-z0-9]+)*)"', text))


def test_promised_codes_are_documented():
    assert set(PROMISED.split()) <= _documented()


def test_every_promised_code_has_a_row_and_an_example_of_its_own():
    rows = [
        [cell.strip() for cell in r.strip("|").split(" | ")] for r in PAGE.read_text().splitlines() if r[:3] == "| `"
    ]
    own = {_in_ticks(f"|{row[0]}|")[0] for row in rows if len(_in_ticks(f"|{row[0]}|")) == 1 and all(row[:3])}
    assert set(PROMISED.split()) <= own


def test_codes_of_a_checked_function_are_documented():
    text = (Path(oracle.__file__).parent / "checks/causes.py").read_text()
    found = {
        code
        for call in re.findall(r"Named\(([^)]*)\)", text)
        for code in re.findall(r'"([a-z0-9]+(?:-[a-z0-9]+)*)"', call)
    }
    assert {"overflow", "singular-gradient", "undecided"} <= found <= _documented()


def test_proposed_codes_are_documented():
    found = _proposed()
    assert {"unknown-semantics", "broadcast", "nonfinite-result"} <= found
    assert found <= _documented()
