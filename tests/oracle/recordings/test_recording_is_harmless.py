"""Recording and explaining leave a user's process as a plain run leaves it, and a large step makes a small file."""

import random
import subprocess
import sys

import numpy as np
import pytest

import oracle
from oracle.recordings.tracefile import load_trace, save_trace


def _python_and_numpy():
    return random.getstate(), str(np.random.get_state()), np.geterr(), np.get_printoptions()  # noqa: NPY002 - the user's


def _seed():
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 - the user's own generator


def _unchanged(snapshot, plain, watched):
    """Whether what `snapshot` sees after `watched` is what it sees after `plain`, from the same seeds."""
    plain()
    expected = snapshot(), _python_and_numpy()
    watched()
    return (snapshot(), _python_and_numpy()) == expected


def test_torch_flags_modes_and_seeds():
    torch = pytest.importorskip("torch")
    net = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Dropout(0.5), torch.nn.Linear(4, 1))
    x = torch.ones(3, 4)

    def seeded(run):
        def start():
            torch.manual_seed(0)
            _seed()
            net.zero_grad()
            run()

        return start

    def snapshot():
        return (
            torch.get_rng_state().numpy().tobytes(), torch.get_default_dtype(), torch.is_grad_enabled(),
            torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled(),
            torch.get_num_threads(), torch.get_float32_matmul_precision(), torch.backends.mkldnn.enabled,
            torch.is_inference_mode_enabled(), torch.is_autocast_enabled("cpu"), net.training,
            [p.requires_grad for p in net.parameters()], [p.grad.tolist() for p in net.parameters()],
        )  # fmt: skip

    def watched():
        oracle.explain(oracle.record(net, x, loss=lambda y: y.sum(), full=True))

    assert _unchanged(snapshot, seeded(lambda: net(x).sum().backward()), seeded(watched))
    assert not _unchanged(snapshot, seeded(lambda: net(x).sum().backward()), seeded(lambda: (watched(), torch.rand(1))))


def test_tensorflow_flags_and_seeds():
    tf = pytest.importorskip("tensorflow")
    weight = tf.Variable(tf.ones((4, 2)))

    def model(x):
        return tf.nn.dropout(x @ weight, 0.5)

    def seeded(run):
        def start():
            tf.random.set_seed(0)
            _seed()
            run(tf.ones((3, 4)))

        return start

    def snapshot():
        return (
            tf.config.functions_run_eagerly(), tf.executing_eagerly(),
            tf.config.threading.get_intra_op_parallelism_threads(),
            tf.config.experimental.tensor_float_32_execution_enabled(), weight.numpy().tolist(),
            tf.random.uniform((2,)).numpy().tolist(),
        )  # fmt: skip

    def watched(x):
        oracle.explain(oracle.record(model, x, framework="tensorflow", full=True))

    assert _unchanged(snapshot, seeded(model), seeded(watched))
    assert not _unchanged(snapshot, seeded(model), seeded(lambda x: (watched(x), tf.random.uniform((2,)))))


def test_jax_settings():
    jax = pytest.importorskip("jax")
    x = jax.numpy.ones((3, 4))

    def model(x):
        return jax.nn.gelu(x @ jax.numpy.ones((4, 2)))

    def snapshot():
        return {k: str(v) for k, v in jax.config.values.items()}, jax.numpy.ones(2).dtype

    def watched():
        oracle.explain(oracle.record(model, x, framework="jax", full=True))

    assert _unchanged(snapshot, lambda: model(x), watched)
    assert snapshot()[1] == np.float32


def test_a_resnet_sized_step_is_a_file_below_a_megabyte(tmp_path):
    """11.7 million parameters: statistics by default, every operation of the training step in them."""
    torch = pytest.importorskip("torch")
    nn = torch.nn

    def block(inner, outer, stride):
        return nn.Sequential(
            nn.Conv2d(inner, outer, 3, stride, 1, bias=False), nn.BatchNorm2d(outer), nn.ReLU(),
            nn.Conv2d(outer, outer, 3, 1, 1, bias=False), nn.BatchNorm2d(outer), nn.ReLU(),
        )  # fmt: skip

    widths = [(64, 64, 1), (64, 128, 2), (128, 256, 2), (256, 512, 2)]
    shapes = [shape for inner, outer, stride in widths for shape in ((inner, outer, stride), (outer, outer, 1))]
    net = nn.Sequential(
        nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1),
        *[block(*shape) for shape in shapes], nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 1000),
    )  # fmt: skip
    optimizer = torch.optim.Adam(net.parameters())
    labels = torch.tensor([1, 2])
    trace = oracle.record(net, torch.ones(2, 3, 32, 32), loss=nn.CrossEntropyLoss(), target=labels, optimizer=optimizer)
    assert not trace.is_full
    assert {n.phase for n in trace.nodes} == {"forward", "backward", "optimizer"}
    path = save_trace(trace, tmp_path / "run.trace")
    assert path.stat().st_size < 1_000_000
    assert len(load_trace(path).nodes) == len(trace.nodes)


def test_importing_what_an_explanation_needs_draws_nothing():
    """JAX draws from NumPy's global generator when it is imported."""
    lines = (
        "import numpy as np; np.random.seed(0); import oracle.explanations.explaining; print(np.random.rand().hex())"
    )
    drawn = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True, check=True).stdout.strip()
    assert drawn == np.random.RandomState(0).rand().hex()
