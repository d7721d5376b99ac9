"""What `compare` prints: the identity first, the verdict, every cause with its fix, and no more than a screen."""

import math
from dataclasses import replace

import pytest
from synthetic_comparisons import NASTY, accused, cause, comparison, target

from oracle.comparisons.comparison import Meaning

SCREEN = 45


def test_the_identity_comes_first_then_the_verdict_then_the_cause_and_both_fixes():
    lines = str(comparison(1)).splitlines()
    assert lines[0].startswith("fc1: |a - b| = 0.01 = semantics 0.009 + rounding(a) 0.002 - rounding(b) 0.001")
    assert lines[1] == "DIFFERENT MEANING"
    assert lines[2] == "  eps (share 60.0%, residual 0.5): eps: 0.001 in A, 1e-01 in B"
    assert [line.strip()[:2] for line in lines[3:5]] == ["A:", "B:"]


@pytest.mark.parametrize(("causes", "steps"), [(0, 0), (1, 1), (3, 3), (12, 100)])
def test_it_fits_a_screen(causes, steps):
    lines = str(comparison(causes, 1000, steps, notes=tuple(map(str, range(30))))).splitlines()
    assert len(lines) <= SCREEN
    assert "  and 24 more notes: see the page (to_html) or to_json" in lines


def test_causes_beyond_the_first_are_named_with_their_shares():
    said = str(comparison(8))
    assert said.count("residual") == 5
    assert "  and eps (8.0%), eps (6.7%), eps (5.7%): the page and to_json have their fixes" in said


def test_drift_is_a_line_for_each_of_a_few_steps():
    lines = str(comparison(1, steps=100)).splitlines()
    start = next(k for k, line in enumerate(lines) if line.startswith("  drift"))
    head = " ".join(lines[start].split())
    assert head == "drift loss |a - b| semantics rounding weights |a - b| semantics rounding"
    assert [line.split()[0] for line in lines[start + 1 : start + 7]] == ["1", "21", "41", "60", "80", "100"]
    assert lines[start + 1].split() == ["1", "0.001", "0.0009", "2e-06", "0.001", "0.0009", "2e-06"]
    assert lines[start + 7].startswith("  rounding in the last weights of A: aten.add_.Tensor in fc1 40% (step 1, 2, 3")
    assert max(map(len, lines[start : start + 7])) <= 90


def test_targets_of_several_kinds_have_a_line_for_each_kind():
    lines = str(comparison(1, steps=1)).splitlines()
    assert " ".join(lines[1].split()) == "targets |a - b| semantics rounding(a) rounding(b) worst element"
    kinds = ["outputs", "loss", "gradients", "parameters"]
    assert [line.split()[:2] for line in lines[2:6]] == [["3", kind] for kind in kinds]
    assert float(lines[2].split()[2]) == pytest.approx(math.hypot(1e-2, 5e-3, 1e-2 / 3), rel=1e-2)


def test_shares_name_their_targets_where_there_are_several():
    found = comparison(2)
    causes = (found.causes[0], replace(cause(1), target="parameters"))
    said = str(replace(found, causes=causes))
    assert "eps (share 60.0% of outputs," in said
    assert "eps (share 40.0% of weights," in said


def test_an_operation_beyond_its_budget_is_named():
    said = str(accused())
    assert str(Meaning.SAME_BEYOND_BUDGET) in said
    assert "  aten.exp.default of B in fc1 model.py:3: 12.5x its budget" in said


def test_open_nodes_are_listed_where_no_cause_is_known():
    open_nodes = tuple(f"A: node {k}" for k in range(9))
    said = str(comparison(0, verdict=Meaning.DIFFERENT, unmatched=open_nodes, targets=(target(),)))
    assert "    A: node 0" in said
    assert "  and 3 more nodes" in said


def test_markdown_has_the_cause_its_fix_and_its_script():
    said = comparison(1).to_markdown()
    assert "### `eps`, 60.0 % of outputs" in said
    assert "(difference 1, with the fix 0.5)" in said
    assert "A: torch.nn.LayerNorm(..., eps=1e-01)  # fc1" in said
    assert "```python\nimport torch" in said
    assert "| outputs: fc1 | 0.01 | 0.009 | 0.002 | 0.001 | no |" in said


def test_markdown_lets_no_html_and_no_fence_through():
    said = comparison(1, name=NASTY).to_markdown()
    inside = said.replace("<details>", "").replace("</details>", "").replace("<summary>", "").replace("</summary>", "")
    outside = "".join(inside.split("```")[::2])
    assert "<script>" not in outside
    fenced = replace(cause(0), reproduction="print('```')")
    assert "````python\nprint('```')\n````" in replace(comparison(1), causes=(fenced,)).to_markdown()
