"""A trace written and read again is the same; a damaged file is a message; nothing in a file is executed."""

import dataclasses
import json
import pickle
import zipfile
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from oracle.errors import OracleError
from oracle.recordings.tracefile import load_trace, save_trace
from oracle.trace import Layer, Node, Observation, Stats, StepResult, Trace, Value, reference


def _trace() -> Trace:
    memory = np.arange(12, dtype=np.float32)
    x = np.lib.stride_tricks.as_strided(memory, (3, 4), (16, 4), writeable=False)
    turned = np.lib.stride_tricks.as_strided(memory, (4, 3), (4, 16), writeable=False)
    half = np.array([1.5, -0.0, np.inf], ml_dtypes.bfloat16)
    stats = Stats(12, 12, 0.0, 11.0, 5.5, 6.5, 0, 0.25, (0.0, 11.0))
    values = {
        0: Value(0, (3, 4), "float32", "input", "x", x, stats),
        1: Value(1, (4, 3), "float32", array=turned),
        2: Value(2, (3,), "bfloat16", "parameter", "w", half),
        3: Value(3, (), "float64", array=np.array(2.5)),
        4: Value(4, (0, 2), "int64", array=np.zeros((0, 2), np.int64)),
        5: Value(5, (2, 2), "bool", array=np.broadcast_to(np.True_, (2, 2))),
    }
    nodes = (
        Node(0, "aten.t.default", (reference(0),), (1,), scope="a.b", layer="torch.nn.Linear", source="train.py:3"),
        Node(1, "aten.clamp.default", (reference(1), None, float("inf")), (3, None), {"value": 0.1}, forward_index=0),
    )
    step = StepResult({"output": 3}, 3, {"w": 2}, {"w": 2}, {})
    layers = {"a.b": Layer("torch.nn.Linear", {"eps": 1e-5, "size": [2, 3]}, True)}
    return Trace(
        "torch", "2.0", {"threads": "1"}, nodes, values, {"x": 0}, {"w": 2}, steps=(step,), layers=layers,
        observation=Observation("eager", True, "bitwise equal"),
    )  # fmt: skip


def _same(a: Trace, b: Trace) -> bool:
    for value, other in zip(a.values.values(), b.values.values(), strict=True):
        assert (value.array is None) == (other.array is None)
        if value.array is not None and other.array is not None:
            assert value.array.dtype == other.array.dtype
            assert value.array.shape == other.array.shape
            assert value.array.tobytes() == other.array.tobytes()
    bare = [
        dataclasses.replace(t, values={i: dataclasses.replace(v, array=None) for i, v in t.values.items()})
        for t in (a, b)
    ]
    return bare[0] == dataclasses.replace(bare[1], nodes=_with_tuples(bare[1].nodes))


def _with_tuples(nodes: tuple[Node, ...]) -> tuple[Node, ...]:
    return tuple(dataclasses.replace(n, inputs=tuple(n.inputs), outputs=tuple(n.outputs)) for n in nodes)


def test_round_trip(tmp_path: Path) -> None:
    path = save_trace(_trace(), tmp_path / "run.trace")
    assert _same(_trace(), load_trace(path))


def test_a_changed_number_is_seen(tmp_path: Path) -> None:
    read = load_trace(save_trace(_trace(), tmp_path / "run.trace"))
    values = dict(read.values)
    values[3] = dataclasses.replace(values[3], array=np.array(2.5 + 2**-50))
    with pytest.raises(AssertionError):
        _same(_trace(), dataclasses.replace(read, values=values))


def test_views_share_their_memory_in_the_file(tmp_path: Path) -> None:
    path = save_trace(_trace(), tmp_path / "run.trace")
    read = load_trace(path)
    assert np.shares_memory(read.values[0].array, read.values[1].array)
    with zipfile.ZipFile(path) as archive:
        assert sum(name.startswith("arrays/") for name in archive.namelist()) == 5


def test_statistics_only_has_no_arrays(tmp_path: Path) -> None:
    read = load_trace(save_trace(_trace(), tmp_path / "run.trace", statistics_only=True))
    assert all(v.array is None for v in read.values.values())
    assert read.values[0].stats == _trace().values[0].stats
    assert not read.is_full


def test_arrays_cannot_be_written(tmp_path: Path) -> None:
    read = load_trace(save_trace(_trace(), tmp_path / "run.trace"))
    with pytest.raises(ValueError, match="read-only"):
        read.values[0].array[0, 0] = 1


def _rewritten(path: Path, change: str, by: str) -> Path:
    changed = path.with_name("changed.trace")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(changed, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            new.writestr(name, data.replace(change.encode(), by.encode()) if name == "trace.json" else data)
    return changed


@pytest.mark.parametrize(
    ("change", "by"),
    [
        ('"strides": [1, 4]', '"strides": [9, 4]'),
        ('"offset": 0', '"offset": -3'),
        ('"outputs": [1]', '"outputs": [77]'),
        ('"format": 1', '"format": 2'),
        ('"dtype": "bfloat16"', '"dtype": "object"'),
        ('"role": "input"', '"part": "input"'),
        ('"framework"', '"fremework"'),
    ],
)
def test_damage_is_a_message(tmp_path: Path, change: str, by: str) -> None:
    path = save_trace(_trace(), tmp_path / "run.trace")
    changed = _rewritten(path, change, by)
    with pytest.raises(OracleError, match=r"changed\.trace"):
        load_trace(changed)


def test_a_truncated_file_is_a_message(tmp_path: Path) -> None:
    path = save_trace(_trace(), tmp_path / "run.trace")
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(OracleError, match="damaged"):
        load_trace(path)


def test_an_absent_file_is_a_message(tmp_path: Path) -> None:
    with pytest.raises(OracleError, match="cannot read"):
        load_trace(tmp_path / "none.trace")


def test_an_unwritable_folder_is_a_message(tmp_path: Path) -> None:
    with pytest.raises(OracleError, match="cannot write"):
        save_trace(_trace(), tmp_path / "absent" / "run.trace")


class _Bomb:
    def __reduce__(self) -> tuple:
        return (pytest.fail, ("a pickle was executed",))


def test_a_pickle_is_refused(tmp_path: Path) -> None:
    path = save_trace(_trace(), tmp_path / "run.trace")
    bomb = tmp_path / "bomb.npy"
    with bomb.open("wb") as stream:
        np.lib.format.write_array_header_1_0(stream, {"descr": "|O", "fortran_order": False, "shape": (12,)})
        pickle.dump(_Bomb(), stream)
    changed = tmp_path / "changed.trace"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(changed, "w") as new:
        for name in old.namelist():
            new.writestr(name, bomb.read_bytes() if name == "arrays/0.npy" else old.read(name))
    with pytest.raises(OracleError, match="pickle"):
        load_trace(changed)


def test_the_document_is_strict_json(tmp_path: Path) -> None:
    path = save_trace(_trace(), tmp_path / "run.trace")
    with zipfile.ZipFile(path) as archive:
        json.loads(archive.read("trace.json"), parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


def test_a_trace_of_an_older_version_reads_with_defaults(tmp_path: Path) -> None:
    path = save_trace(_trace(), tmp_path / "run.trace")
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    document = json.loads(parts["trace.json"])
    del document["compiled"]
    for step in document["steps"]:
        del step["unreached"]
    with zipfile.ZipFile(path, "w") as archive:
        for name, part in (parts | {"trace.json": json.dumps(document).encode()}).items():
            archive.writestr(name, part)
    assert load_trace(path).steps[0].unreached == ()
