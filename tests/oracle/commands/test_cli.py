"""The command line: fast where it can be, one line and exit code 2 for bad input, never a traceback."""

import json
import os
import resource
import subprocess
import sys

import pytest

import oracle
from oracle.commands.cli import _run
from oracle.errors import OracleBugError, OracleError

FRAMEWORKS = {"numpy", "jax", "torch", "tensorflow", "keras", "flint", "numba"}


def said(capsys, *arguments):
    """Exit code, stdout and stderr of a command."""
    code = _run(list(arguments))
    out, err = capsys.readouterr()
    return code, out, err


@pytest.mark.parametrize("arguments", [["--help"], ["ops"], ["ops", "softmax"], ["audit", "--help"]])
def test_listing_imports_no_framework_and_takes_no_time(arguments):
    script = f"""
import sys
from oracle.commands.cli import _run
assert _run({arguments!r}) == 0
print(*({FRAMEWORKS!r} & sys.modules.keys()), file=sys.stderr)
"""
    seconds = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        assert done.stderr.strip() == ""
        assert done.stdout
    assert min(seconds) < 0.5


def test_ops_lists_formulas(capsys):
    code, out, _ = said(capsys, "ops")
    assert code == 0
    assert "1 / (1 + e^-x)" in " ".join(out.split()) or "sigmoid" in out
    code, out, _ = said(capsys, "ops", "softmax")
    assert code == 0
    assert "softmax(x) -> out" in out
    assert "Blanchard" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ops", "sofmax"], "unknown operation 'sofmax'; did you mean softmax"),
        (["blah"], "No such command 'blah'"),
        (["audit", "--nope"], "No such option: --nope"),
        (["audit", "exp", "--format", "float33"], "unknown number format 'float33'; expected one of float64"),
        (["audit", "exp", "--adapter", "caffe"], "unknown adapter 'caffe'; expected one of"),
        (["audit", "exp", "--adapter", "numpy", "--mode", "warp"], "unknown mode 'warp'; expected one of eager"),
        (["truth"], "Missing argument"),
        (["truth", "expp", "1"], "unknown operation 'expp'; did you mean exp"),
        (["truth", "exp", "one"], "cannot read the argument 'one'; expected a number"),
        (["truth", "exp", "[1, 2"], "cannot read the argument '[1, 2'"),
        (["truth", "exp", "[[1, 2], [3]]"], "cannot read the argument"),
        (["truth", "exp", "1", "--digts", "3"], "unknown option '--digts'"),
        (["truth", "exp", "1", "2", "--no-frameworks"], "exp takes 1 argument (x), not 2"),
        (["truth", "elu", "1", "--attr", "beta=1", "--no-frameworks"], "elu has no attribute 'beta'; it has alpha"),
        (["truth", "elu", "1", "--attr", "alpha", "--no-frameworks"], "cannot read the attribute 'alpha'"),
        (["truth", "matmul", "[[1, 2]]", "[[1, 2]]", "--no-frameworks"], "matmul does not take a[1, 2], b[1, 2]"),
        (["truth", "exp", "1", "--digits", "0"], "Invalid value for '--digits'"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(capsys, arguments, message):
    code, _, err = said(capsys, *arguments)
    assert code == 2
    assert message in err
    assert err.startswith("oracle: ")
    assert err.count("\n") == 1


def test_an_unwritable_folder_is_one_line(capsys, tmp_path):
    (tmp_path / "file").touch()
    code, _, err = said(capsys, "audit", "exp", "--adapter", "numpy", "--out", str(tmp_path / "file" / "run"))
    assert code == 2
    assert err.startswith(f"oracle: cannot write {tmp_path}/file/run (Not a directory): choose another --out")
    assert err.count("\n") == 1


def test_a_damaged_journal_is_one_line(capsys, tmp_path):
    (tmp_path / "journal.sqlite").write_bytes(b"junk" * 5000)
    code, _, err = said(capsys, "audit", "exp", "--adapter", "numpy", "--out", str(tmp_path))
    assert code == 2
    assert "is damaged" in err
    assert err.count("\n") == 1


def test_a_full_disk_is_one_line_and_keeps_the_results(capsys, tmp_path):
    if os.name != "posix" or os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=140k", "tmpfs", disk], check=False).returncode:
        pytest.skip("this container may not mount")
    try:
        code, _, err = said(capsys, "audit", "exp", "log", "sin", "--adapter", "numpy", "--out", str(disk))
        assert code == 2
        assert "free some space and run the same command again" in err.splitlines()[-1]
        assert (disk / "journal.sqlite").exists()
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


def test_a_full_disk_leaves_the_results_that_are_there(monkeypatch, tmp_path):
    from oracle.audits.folder import write_results  # noqa: PLC0415
    from oracle.types import RunResults  # noqa: PLC0415

    results = RunResults({"versions": {}}, {}, ())
    write_results(tmp_path, results)
    before = (tmp_path / "results.json").read_bytes()

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_text", full)
    with pytest.raises(OracleError, match=r"No space left on device.*free some space"):
        write_results(tmp_path, results)
    assert (tmp_path / "results.json").read_bytes() == before


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (OracleError("say\nwhat"), 2, "oracle: say what\n"),
        (OracleBugError("ours"), 3, "oracle: ours\n"),
        (KeyboardInterrupt(), 130, "oracle: interrupted; run the same command again to go on where it stopped\n"),
        (ZeroDivisionError("x"), 3, "oracle: this is a bug of the oracle: ZeroDivisionError: x; set ORACLE_DEBUG=1"),
    ],
)
def test_every_end_has_its_exit_code(monkeypatch, capsys, error, code, message):
    def fail(*_):
        raise error

    monkeypatch.setattr("oracle.audits.present.audit_and_report", fail)
    found, _, err = said(capsys, "audit")
    assert found == code
    assert err.startswith(message)
    assert "Traceback" not in err


def test_truth_of_a_negative_number(capsys):
    code, out, _ = said(capsys, "truth", "sigmoid", "-12.5", "--no-frameworks", "--digits", "40")
    assert code == 0
    assert out.startswith("sigmoid(-12.5) = 3.726639284186561386088009478638691818171e-6\n")


def test_audit_prints_the_summary_and_writes_the_reports(capsys, tmp_path):
    code, out, _ = said(capsys, "audit", "exp", "--adapter", "numpy", "--format", "float32", "--out", str(tmp_path))
    assert code == 0
    assert "exp" in out
    assert out.rstrip().endswith(f"Report: {tmp_path}/report.html")
    assert (tmp_path / "report.html").read_text("utf-8").lower().startswith("<!doctype html>")
    assert (tmp_path / "report.md").exists()
    json.loads((tmp_path / "results.json").read_text("utf-8"))


def test_the_package_names_its_verbs():
    assert {"truth", "audit", "check"} <= set(dir(oracle))
    with pytest.raises(AttributeError, match="module 'oracle' has no attribute 'truht'; it has assert_same"):
        oracle.truht  # noqa: B018
