"""Recording torch: everything that executes, once, with its place; and nothing else changed."""

import dataclasses
import random
from typing import Any

import jax
import numpy as np
import pytest

from oracle.adapters.record_torch import record_torch
from oracle.reference.lowerings import lowering
from oracle.trace import Node, Trace

torch = pytest.importorskip("torch")

nn, functional = torch.nn, torch.nn.functional


class Small(nn.Module):
    """Convolution, batch norm, dropout, a data-dependent branch; counts its own calls."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(2, 4, 3)
        self.norm = nn.BatchNorm1d(4)
        self.drop = nn.Dropout(0.4)
        self.out = nn.Linear(12, 3)
        self.calls = 0

    def forward(self, x: Any) -> Any:
        self.calls += 1
        x = self.norm(self.conv(x))
        if x.sum().item() > 1e9:
            x = -x
        return self.out(self.drop(functional.relu(x)).flatten(1))


def _small() -> tuple[Any, Any, Any]:
    torch.manual_seed(0)
    return Small(), torch.randn(5, 2, 5), torch.tensor([0, 1, 2, 0, 1])


def _train(**options: Any) -> tuple[Any, Trace]:
    model, x, target = _small()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    torch.manual_seed(1)
    trace = record_torch(model, x, loss=functional.cross_entropy, target=target, optimizer=optimizer, **options)
    return model, trace


def _plain(steps: int) -> Any:
    model, x, target = _small()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    torch.manual_seed(1)
    for _ in range(steps):
        optimizer.zero_grad()
        functional.cross_entropy(model(x), target).backward()
        optimizer.step()
    return model


def _replayed(trace: Trace) -> dict[int, np.ndarray]:
    """All values from the leaves alone, node after node."""
    values = {i: _widened(v.array) for i, v in trace.values.items() if v.is_leaf}
    with jax.enable_x64(True):
        for node in trace.nodes:
            define = lowering("torch", node.op)
            inputs, attrs = node.arguments(values)
            results = define(*inputs, **attrs) if node.outputs else ()
            results = results if isinstance(results, tuple) else (results,)
            for out, result in zip(node.outputs, results, strict=True):
                if out is not None:
                    values[out] = _widened(trace.values[out].array if result is None else result)
    return values


def _widened(array: Any) -> np.ndarray:
    array = np.asarray(array)
    return array.astype(np.float64) if array.dtype.kind == "f" else array


def _of(trace: Trace, op: str) -> list[Node]:
    return [n for n in trace.nodes if n.op == f"aten.{op}"]


def test_training_is_as_without_the_recorder() -> None:
    model, _ = _train(steps=2)
    after_recording = torch.rand(3)
    plain = _plain(2)
    assert torch.equal(after_recording, torch.rand(3))
    assert model.calls == plain.calls == 2
    for a, b in zip(model.state_dict().values(), plain.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    assert all(torch.equal(a.grad, b.grad) for a, b in zip(model.parameters(), plain.parameters(), strict=True))


def test_nothing_is_left_behind() -> None:
    modules = torch.nn.modules.module
    state = random.getstate(), np.random.get_state()[1].tolist(), torch.is_grad_enabled()  # noqa: NPY002 - the user's
    model, _ = _train()
    assert not modules._global_forward_hooks
    assert not modules._global_forward_pre_hooks
    assert torch.utils._python_dispatch._get_current_dispatch_mode() is None
    after = random.getstate(), np.random.get_state()[1].tolist(), torch.is_grad_enabled()  # noqa: NPY002
    assert after == state
    assert model.training


def test_a_failing_model_leaves_nothing_behind() -> None:
    def fail(x: Any) -> Any:
        raise RuntimeError("the user's own error")

    with pytest.raises(RuntimeError, match="the user's own error"):
        record_torch(fail, torch.ones(2))
    assert not torch.nn.modules.module._global_forward_hooks
    assert torch.utils._python_dispatch._get_current_dispatch_mode() is None


def test_verified_recording() -> None:
    _, trace = _train(verify=True, steps=2)
    assert trace.observation.unchanged is True


def test_a_model_that_notices_the_recorder_is_seen() -> None:
    class Shy(nn.Module):
        def forward(self, x: Any) -> Any:
            return x + float(torch.utils._python_dispatch._get_current_dispatch_mode() is not None)

    trace = record_torch(Shy(), torch.ones(2), verify=True)
    assert trace.observation.unchanged is False
    assert "output" in trace.observation.evidence


def test_the_recording_replays_from_its_leaves() -> None:
    _, trace = _train(full=True, steps=2)
    values = _replayed(trace)
    for target in (*trace.updated.values(), *trace.gradients.values(), *trace.outputs.values(), trace.loss):
        np.testing.assert_allclose(values[target], trace.values[target].array, rtol=1e-4, atol=1e-6)


def test_a_dropped_operation_does_not_replay() -> None:
    _, trace = _train(full=True)
    spoilt = tuple(
        dataclasses.replace(n, inputs=(n.inputs[0], 2 * n.inputs[1])) if n.op == "aten.div_.Scalar" else n
        for n in trace.nodes
    )
    values = _replayed(dataclasses.replace(trace, nodes=spoilt))
    out = trace.outputs["output"]
    assert not np.allclose(values[out], trace.values[out].array, rtol=1e-4)


def test_phases_layers_and_lines() -> None:
    _, trace = _train()
    convolution, backward = _of(trace, "convolution.default")[0], _of(trace, "convolution_backward.default")[0]
    assert (convolution.scope, convolution.layer, convolution.phase) == ("conv", "torch.nn.Conv1d", "forward")
    assert convolution.source.endswith(f"test_record_torch.py:{Small.forward.__code__.co_firstlineno + 2}")
    assert backward.phase == "backward"
    assert backward.forward_index == convolution.index
    assert (backward.scope, backward.source) == (convolution.scope, convolution.source)
    updates = [n for n in trace.nodes if n.phase == "optimizer" and n.op == "aten.add_.Tensor"]
    assert {n.scope for n in updates} == {"conv", "norm", "out"}
    assert all(
        n.forward_index is not None for n in trace.nodes if n.phase == "backward" and n.op != "aten.ones_like.default"
    )


def test_what_a_trace_knows_of_the_model() -> None:
    _, trace = _train()
    assert set(trace.parameters) == {"conv.weight", "conv.bias", "norm.weight", "norm.bias", "out.weight", "out.bias"}
    assert set(trace.buffers) == {"norm.running_mean", "norm.running_var", "norm.num_batches_tracked"}
    assert trace.gradients.keys() == trace.updated.keys() == trace.parameters.keys()
    assert trace.layers["norm"].settings["eps"] == 1e-5
    assert trace.layers["drop"].training is True
    assert trace.layers["optimizer"].kind == "torch.optim.SGD"
    assert trace.layers["optimizer"].settings["momentum"] == 0.9
    assert set(trace.inputs) == {"x"}


def test_the_result_of_a_question_is_kept() -> None:
    _, trace = _train()
    question = _of(trace, "_local_scalar_dense.default")[0]
    assert isinstance(question.attrs["result"], float)
    assert question.scope == ""


def test_random_draws_are_leaves() -> None:
    _, trace = _train(full=True)
    drawn = [v.id for v in trace.values.values() if v.role == "random"]
    assert len(drawn) == 1
    made = {out for n in trace.nodes for out in n.outputs}
    assert not made & set(drawn)
    assert _of(trace, "bernoulli_.float")[0].attrs["draws"] == [{"value": drawn[0]}]


def test_hidden_writes_of_batch_norm_are_versions() -> None:
    model, trace = _train(full=True)
    node = _of(trace, "native_batch_norm.default")[0]
    after = trace.steps[0].buffers
    assert list(node.outputs[3:]) == [after["norm.running_mean"], after["norm.running_var"]]
    assert after["norm.running_mean"] != trace.buffers["norm.running_mean"]
    assert np.array_equal(trace.values[after["norm.running_mean"]].array, model.norm.running_mean.numpy())


def _entangled(x: Any) -> Any:
    y = x.clone()
    y[:, 0] = y[:, 1] * 2
    flat = y.view(-1)
    flat[3:7].mul_(3.0)
    left, right = y.chunk(2, 1)
    left.add_(right)
    right.sigmoid_()
    turned = y.t()
    turned[0] += 1
    part = torch.as_strided(y, (3, 2), (2, 1), 1)
    alias = y.data
    y.unsqueeze_(0)
    y.transpose_(1, 2)
    return y.sum(), flat * 2, part + 1, alias * 3, turned.sum(0), x


def test_views_and_writes_replay() -> None:
    trace = record_torch(_entangled, torch.randn(3, 4, dtype=torch.float64), full=True)
    values = _replayed(trace)
    for name, out in trace.outputs.items():
        np.testing.assert_allclose(values[out], trace.values[out].array, rtol=1e-14, err_msg=name)
    assert trace.outputs["output.5"] == trace.inputs["x"]


class _Rounded(torch.autograd.Function):
    """The identity, whose gradient is rounded to bfloat16."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, gradient: Any) -> Any:
        return gradient.bfloat16().float()


class _RoundedLayer(nn.Linear):
    def forward(self, input: Any) -> Any:
        return _Rounded.apply(super().forward(input))


def test_a_users_backward_belongs_to_the_layer_that_called_it() -> None:
    model = nn.Sequential(nn.Linear(3, 3), _RoundedLayer(3, 3), nn.Linear(3, 3))
    trace = record_torch(model, torch.ones(2, 3), loss=lambda y: (y**2).sum())
    assert {n.scope for n in trace.nodes if n.op == "aten._to_copy.default"} == {"1"}


def test_a_value_has_one_maker() -> None:
    """A view that an earlier operation made is not made again by `unbind`."""

    def twice(x: Any) -> Any:
        y = x * 2
        return y[0] + sum(y.unbind(0))

    made = [o for n in record_torch(twice, torch.ones(3, 2), full=True).nodes for o in n.outputs if o is not None]
    assert len(made) == len(set(made))


def test_disjoint_views_do_not_disturb_each_other() -> None:
    def gates(x: Any) -> Any:
        a, b, c = x.chunk(3, 1)
        return a.sigmoid_() + b.tanh_() + c.relu_()

    trace = record_torch(lambda x: gates(x.clone()), torch.randn(4, 6), full=True)
    assert "oracle.overwrite" not in {n.op for n in trace.nodes}


def test_values_never_change() -> None:
    def write(x: Any) -> Any:
        y = x * 1
        y.add_(1)
        return y

    trace = record_torch(write, torch.zeros(3), full=True)
    product, total = trace.nodes[0].outputs[0], trace.nodes[1].outputs[0]
    assert product != total
    assert trace.values[product].array.tolist() == [0, 0, 0]
    assert trace.values[total].array.tolist() == [1, 1, 1]


@pytest.mark.parametrize("kind", [nn.GRU, nn.RNN])
def test_time_steps_of_an_unrolled_layer(kind: Any) -> None:
    trace = record_torch(kind(2, 3), torch.randn(4, 1, 2), loss=lambda out: out[0].sum())
    steps = {n.time_step for n in trace.nodes if n.op in ("aten.tanh.default", "aten.tanh_.default")}
    assert steps == {0, 1, 2, 3}
    assert {n.time_step for n in trace.nodes if n.op == "aten.tanh_backward.default"} == steps


def _steps(trace: Any, *ops: str) -> list[int | None]:
    return [n.time_step for n in trace.nodes if n.op.removesuffix(".default").removesuffix("_") in ops]


def test_time_steps_of_a_backward_direction_count_back() -> None:
    trace = record_torch(nn.GRU(2, 3, bidirectional=True), torch.randn(4, 1, 2), loss=lambda out: out[0].sum())
    assert _steps(trace, "aten.tanh") == [0, 1, 2, 3, 3, 2, 1, 0]


def test_time_steps_of_stacked_layers_begin_anew() -> None:
    trace = record_torch(nn.GRU(2, 3, num_layers=2), torch.randn(4, 1, 2), loss=lambda out: out[0].sum())
    assert _steps(trace, "aten.tanh") == [0, 1, 2, 3] * 2


def test_time_steps_of_a_packed_sequence() -> None:
    class Packed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = nn.LSTM(2, 3)

        def forward(self, x: Any) -> Any:
            packed = nn.utils.rnn.pack_padded_sequence(x, torch.tensor([3, 2]))
            return self.lstm(packed)[1][0]

    trace = record_torch(Packed(), torch.randn(4, 2, 2), loss=lambda out: out.sum())
    assert _steps(trace, "aten.sigmoid") == [s for s in range(3) for _ in range(3)]


def test_layers_in_a_cell_are_at_its_step() -> None:
    class OwnCell(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gate = nn.Linear(2, 2)

        def forward(self, x: Any) -> Any:
            return self.gate(x).tanh()

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell = OwnCell()

        def forward(self, x: Any) -> Any:
            for _ in range(3):
                x = self.cell(x)
            return x

    trace = record_torch(Model(), torch.randn(1, 2))
    assert [n.time_step for n in _of(trace, "addmm.default")] == [0, 1, 2]


def test_time_steps_of_a_cell() -> None:
    class Unrolled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell = nn.LSTMCell(2, 3)

        def forward(self, x: Any) -> Any:
            state = None
            for t in range(len(x)):
                state = self.cell(x[t], state)
            return state[0]

    trace = record_torch(Unrolled(), torch.randn(3, 1, 2))
    assert {n.time_step for n in trace.nodes if n.scope == "cell"} == {0, 1, 2}


@pytest.mark.parametrize(
    ("model", "op"),
    [
        (lambda: nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), "_transformer_encoder_layer_fwd.default"),
        (lambda: nn.LSTM(8, 3), "mkldnn_rnn_layer.default"),
    ],
)
def test_fused_kernels_are_recorded_as_they_run(model: Any, op: str) -> None:
    with torch.no_grad():
        trace = record_torch(model().eval(), torch.randn(2, 5, 8))
    assert _of(trace, op)


def test_statistics_bound_their_work() -> None:
    trace = record_torch(lambda x: (x + 1).sum(), torch.arange(100_000.0))
    total = trace.values[trace.nodes[0].outputs[0]]
    assert total.array is None
    assert total.stats.size == 100_000
    assert total.stats.examined <= 256
    assert total.stats.minimum >= 1
    assert not trace.is_full


def test_statistics_of_a_rearrangement_are_those_of_its_source() -> None:
    trace = record_torch(lambda x: (x * 2).t().contiguous(), torch.randn(20, 30))
    product, turned = (trace.values[n.outputs[0]] for n in trace.nodes[:2])
    assert turned.stats == product.stats


def test_non_finite_values_are_counted() -> None:
    trace = record_torch(torch.log, torch.tensor([-1.0, 0.0, 1.0, 2.0]), full=True)
    stats = trace.values[trace.outputs["output"]].stats
    assert (stats.nonfinite, stats.minimum) == (2, 0.0)


def test_bfloat16_arrays_keep_their_bits() -> None:
    x = torch.tensor([1.0, 1.0 + 2**-7, -0.0], dtype=torch.bfloat16)
    trace = record_torch(lambda x: -x, x, full=True)
    array = trace.values[trace.inputs["x"]].array
    assert array.dtype.name == "bfloat16"
    assert array.astype(np.float32).tolist() == x.float().tolist()


def test_sparse_gradients_are_kept_dense() -> None:
    model = nn.Embedding(5, 3, sparse=True)
    trace = record_torch(model, torch.tensor([1, 2, 1]), loss=lambda out: out.sum(), full=True)
    assert trace.values[trace.gradients["weight"]].array.tolist() == model.weight.grad.to_dense().tolist()


def test_your_own_train_step() -> None:
    model, x, target = _small()
    optimizer = torch.optim.Adam(model.parameters())

    def train_step(model: Any, x: Any) -> Any:
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(x), target)
        loss.backward()
        optimizer.step()
        return loss

    trace = record_torch(model, x, train_step=train_step, steps=2)
    assert trace.loss is not None
    assert {n.phase for n in trace.nodes} == {"forward", "backward", "optimizer"}
    assert {n.step for n in trace.nodes} == {0, 1}
    assert trace.steps[0].parameters["out.weight"] != trace.steps[1].parameters["out.weight"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(train_step=lambda m, x: None, loss=lambda y: y), "either"),
        (dict(train_step=lambda m, x: None, verify=True), "holds its own optimizer"),
        (dict(steps=0), "1 or more"),
        (dict(train_step=True), "pass loss="),
    ],
)
def test_arguments_that_do_not_fit(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        record_torch(nn.Linear(2, 2), torch.ones(1, 2), **options)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # torch.compile imports its own deprecated code
def test_a_compiled_model_keeps_both_results() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.GELU(), nn.Linear(4, 2))
    trace = record_torch(torch.compile(model), torch.randn(5, 3), full=True)
    compiled, eager = (trace.values[t["output"]].array for t in (trace.compiled, trace.outputs))
    np.testing.assert_allclose(compiled, eager, rtol=1e-4, atol=1e-6)
    assert set(trace.parameters) == {"0.weight", "0.bias", "2.weight", "2.bias"}
