"""Every equivalence runs: both sides agree as far as rounding goes, and what is said not to be the same is not."""

import json

import numpy as np
import pytest

from oracle.adapters.equivalents import defaults, rows
from oracle.commands.cli import _run
from oracle.errors import OracleError
from oracle.ports.equivalents import CONSTANT, Relation, Residual, chosen, measured
from oracle.ports.porting import port

pytest.importorskip("keras")
pytest.importorskip("torch")

from oracle.adapters.equivalents_run import Runner

ROWS = rows()
FAMOUS = ("BatchNormalization", "LeakyReLU", "GRU", "KLDivergence", "Adam")


def _apart(x, y):
    return np.max(np.abs(x - y), initial=0) / np.max(np.abs(x), initial=1e-300)


def test_there_are_enough_and_the_common_ones():
    assert len(ROWS) >= 80
    assert {"Dense", "Conv2D", "LSTM", "GRU", "MultiHeadAttention", "BatchNormalization", "Adam"} <= ROWS.keys()


@pytest.mark.parametrize("name", ROWS)
def test_both_sides_mean_the_same(name):
    side = Runner(ROWS[name], "float64")
    assert _apart(side.of_keras(), side.of_torch(ROWS[name].torch, port)) <= CONSTANT


@pytest.mark.parametrize("name", ROWS)
def test_the_arguments_exist_on_both_sides(name):
    defaults(ROWS[name])


@pytest.mark.parametrize("name", FAMOUS)
def test_famous_mistakes_are_not_the_same(name):
    (found,) = (e for e in measured([ROWS[name]]))
    assert found.of_torch.relation is Relation.SAME or name == "LeakyReLU"
    assert found.traps
    assert all(t.residual.relation is Relation.DIFFERENT for t in found.traps)


def test_defaults_that_differ_are_marked():
    (found,) = measured([ROWS["BatchNormalization"]])
    differing = {s.keras: (s.keras_default, s.torch_default) for s in found.settings if s.differs}
    assert differing == {"momentum": ("0.99", "0.1"), "epsilon": ("0.001", "1e-05")}
    assert ("moving_variance", "running_var", "as it is") in found.parameters


@pytest.mark.slow
@pytest.mark.parametrize("name", ROWS)
def test_every_row_in_full(name):
    (found,) = measured([ROWS[name]])
    assert found.of_torch.relation is not Relation.DIFFERENT
    assert found.of_jax is None or found.of_jax.relation is not Relation.DIFFERENT
    assert all(t.residual.relation is Relation.DIFFERENT for t in found.traps)


def test_a_difference_of_meaning_shows_whatever_its_size():
    assert Residual(1e-7, 1e-16).relation is Relation.SAME
    assert Residual(1e-7, 1e-8).relation is Relation.SAME_BUT_NARROW
    assert Residual(1e-6, 1e-6).relation is Relation.DIFFERENT


def test_names_are_found_on_either_side():
    assert [r.name for r in chosen("dense")] == ["Dense"]
    assert {r.name for r in chosen("nn.Conv2d")} >= {"Conv2D", "DepthwiseConv2D"}
    with pytest.raises(OracleError, match="no equivalent of 'Foo'"):
        chosen("Foo")


def test_the_command_prints_one_and_writes_all_forms(tmp_path, capsys):
    paths = [str(tmp_path / f"e.{kind}") for kind in ("json", "md", "html")]
    assert (
        _run(["equivalents", "LayerNormalization", "--json", paths[0], "--markdown", paths[1], "--html", paths[2]]) == 0
    )
    out = capsys.readouterr().out
    assert "nn.LayerNorm(8, eps=1e-3)" in out
    assert "not the same" in out
    (item,) = json.loads((tmp_path / "e.json").read_text())["equivalents"]
    assert item["relation"] == "same meaning"
    assert "**`0.001`**" in (tmp_path / "e.md").read_text()
    assert "nn.LayerNorm" in (tmp_path / "e.html").read_text()
