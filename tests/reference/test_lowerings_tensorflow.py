"""Each lowering of a TensorFlow operation, and of the operations of its gradient, against TensorFlow's float64."""

import numpy as np
import pytest
from adapters.budgeted import overspent

from oracle.adapters.record_tensorflow import record_tensorflow
from oracle.reference import lowerings

tf = pytest.importorskip("tensorflow")


def _real(*shape, seed=0, low=None):
    draw = np.random.default_rng(seed).normal(size=shape)
    return draw if low is None else low + np.abs(draw)


def _image(seed=0):
    return _real(2, 7, 6, 4, seed=seed)


UNARY = {
    "Abs": tf.abs, "Acos": lambda x: tf.acos(tf.tanh(x)), "Asin": lambda x: tf.asin(tf.tanh(x)), "Asinh": tf.asinh,
    "Atan": tf.atan, "Atanh": lambda x: tf.atanh(tf.tanh(x)), "Ceil": tf.math.ceil, "Cos": tf.cos, "Cosh": tf.cosh,
    "Elu": tf.nn.elu, "Erf": tf.math.erf, "Erfc": tf.math.erfc, "Exp": tf.exp, "Expm1": tf.math.expm1,
    "Floor": tf.floor, "IsFinite": lambda x: tf.cast(tf.math.is_finite(x), x.dtype),
    "LeakyRelu": lambda x: tf.nn.leaky_relu(x, 0.2), "LogSoftmax": tf.nn.log_softmax, "Neg": tf.negative,
    "Reciprocal": tf.math.reciprocal, "Relu": tf.nn.relu, "Relu6": lambda x: tf.nn.relu6(4 * x), "Rint": tf.math.rint,
    "Round": tf.round, "Selu": tf.nn.selu, "Sigmoid": tf.sigmoid, "Sign": tf.sign, "Sin": tf.sin, "Sinh": tf.sinh,
    "Softmax": tf.nn.softmax, "Softplus": tf.nn.softplus, "Softsign": tf.nn.softsign, "Square": tf.square,
    "Tan": tf.tan, "Tanh": tf.tanh,
}  # fmt: skip
POSITIVE = {"Acosh": lambda x: tf.acosh(1 + x), "Digamma": tf.math.digamma, "Lgamma": tf.math.lgamma, 
            "Log": tf.math.log, "Log1p": tf.math.log1p, "Rsqrt": tf.math.rsqrt, "Sqrt": tf.sqrt}  # fmt: skip
BINARY = {
    "AddV2": tf.add, "Atan2": tf.atan2, "DivNoNan": tf.math.divide_no_nan, "FloorDiv": tf.math.floordiv,
    "FloorMod": tf.math.floormod, "Maximum": tf.maximum, "Minimum": tf.minimum, "Mul": tf.multiply,
    "MulNoNan": tf.math.multiply_no_nan, "RealDiv": tf.divide, "SquaredDifference": tf.math.squared_difference,
    "Sub": tf.subtract, "Pow": lambda x, y: tf.pow(tf.abs(x), y), "Xdivy": tf.math.xdivy,
    "Xlogy": lambda x, y: tf.math.xlogy(x, tf.abs(y)), "Xlog1py": lambda x, y: tf.math.xlog1py(x, tf.abs(y)),
    "Less": lambda x, y: tf.where(x < y, x, y), "GreaterEqual": lambda x, y: tf.where((x >= y) | (x == 0), x, 2 * y),
}  # fmt: skip
REDUCTIONS = {
    "Sum": lambda x: tf.reduce_sum(x, [0, 2]), "Mean": lambda x: tf.reduce_mean(x, -1, keepdims=True),
    "Max": lambda x: tf.reduce_max(x, 1), "Min": tf.reduce_min, "Prod": lambda x: tf.reduce_prod(x, 1),
    "ArgMax": lambda x: x * tf.cast(tf.argmax(x, -1), x.dtype)[..., None], "L2Loss": tf.nn.l2_loss,
    "ArgMin": lambda x: x * tf.cast(tf.argmin(x, 0), x.dtype),
    "EuclideanNorm": lambda x: tf.raw_ops.EuclideanNorm(input=x, axis=[1]),
    "Cumsum": lambda x: tf.cumsum(x, 1, exclusive=True, reverse=True), "Cumprod": lambda x: tf.math.cumprod(x, 2),
    "TopKV2": lambda x: tf.math.top_k(x, 2).values, "AddN": lambda x: tf.add_n([x, x, 2 * x]),
    "All": lambda x: tf.where(tf.reduce_all(x > 0, -1, keepdims=True), x, -x),
    "Any": lambda x: tf.where(tf.reduce_any(x > 0, -1, keepdims=True), x, -x),
    "UnsortedSegmentSum": lambda x: tf.math.unsorted_segment_sum(x, [2, 0], 4),
}  # fmt: skip
ARRAYS = {
    "Reshape": lambda x: tf.reshape(x, [6, -1]), "Transpose": lambda x: tf.transpose(x, [2, 0, 1]),
    "ExpandDims": lambda x: tf.expand_dims(x, -2), "Squeeze": lambda x: tf.squeeze(x[:, :1], 1),
    "ConcatV2": lambda x: tf.concat([x, 2 * x], 1), "Pack": lambda x: tf.stack([x, x], -1),
    "Unpack": lambda x: tf.add_n([(i + 1.0) * y for i, y in enumerate(tf.unstack(x, axis=1))]),
    "Split": lambda x: tf.split(x, 2, -1)[0], "SplitV": lambda x: tf.split(x, [1, 3], -1)[1],
    "Slice": lambda x: tf.slice(x, [0, 1, 1], [-1, 2, 2]), "StridedSlice": lambda x: x[::-1, ..., tf.newaxis, 1:3],
    "Shrink": lambda x: x[:, -1, ::2], "Pad": lambda x: tf.pad(x, [[0, 1], [2, 0], [1, 1]]),
    "PadV2": lambda x: tf.pad(x, [[0, 1], [2, 0], [1, 1]], constant_values=7.0),
    "MirrorPad": lambda x: tf.pad(x, [[0, 0], [1, 2], [2, 1]], "REFLECT"),
    "MirrorPadS": lambda x: tf.pad(x, [[1, 0], [1, 2], [2, 1]], "SYMMETRIC"),
    "Tile": lambda x: tf.tile(x, [1, 2, 1]), "BroadcastTo": lambda x: tf.broadcast_to(x[:, :1], [2, 3, 4]),
    "ReverseV2": lambda x: tf.reverse(x, [-1, 0]), "Roll": lambda x: tf.roll(x, [1, -1], [0, 2]),
    "ReverseSequence": lambda x: tf.reverse_sequence(x, [2, 3], seq_axis=1, batch_axis=0),
    "GatherV2": lambda x: tf.gather(x, [[2, 0], [1, 1]], axis=1),
    "GatherBatch": lambda x: tf.gather(x, [[2, 0], [1, 1]], axis=1, batch_dims=1),
    "GatherNd": lambda x: tf.gather_nd(x, [[0, 1], [1, 2]]),
    "ScatterNd": lambda x: tf.scatter_nd([[2], [0]], x, [4, 3, 4]),
    "TensorScatterUpdate": lambda x: tf.tensor_scatter_nd_update(x, [[1]], 2 * x[:1]),
    "TensorScatterAdd": lambda x: tf.tensor_scatter_nd_add(x, [[1], [1]], x),
    "OneHot": lambda x: x * tf.one_hot([3, 0, 1], 4, 2.0, 0.5, dtype=x.dtype),
    "Fill": lambda x: x + tf.fill([3, 4], x[0, 0, 0]),
    "Range": lambda x: x * tf.range(1.0, 3.0, 0.5, dtype=x.dtype),
    "LinSpace": lambda x: x * tf.linspace(x[0, 0, 0], x[1, 1, 1], 4),
    "MatrixBandPart": lambda x: tf.linalg.band_part(x, 1, 0), "MatrixDiag": tf.linalg.diag,
    "Shape": lambda x: x * tf.cast(tf.size(x) + tf.rank(x) + tf.shape(x)[1], x.dtype),
}  # fmt: skip
IMAGES = {
    "MaxPool": lambda x: tf.nn.max_pool2d(x, 3, 2, "SAME"), "AvgPool": lambda x: tf.nn.avg_pool2d(x, 3, 2, "SAME"),
    "MaxPoolExplicit": lambda x: tf.nn.max_pool2d(x, 2, 1, [[0, 0], [1, 0], [0, 1], [0, 0]]),
    "AvgPoolValid": lambda x: tf.nn.avg_pool2d(x, 2, 2, "VALID"),
    "MaxPool3D": lambda x: tf.nn.max_pool3d(x[..., None], 2, 2, "SAME"),
    "AvgPool3D": lambda x: tf.nn.avg_pool3d(x[..., None], 2, 2, "SAME"),
    "ResizeBilinear": lambda x: tf.compat.v1.image.resize_bilinear(x, [11, 5], half_pixel_centers=True),
    "ResizeCorners": lambda x: tf.compat.v1.image.resize_bilinear(x, [4, 9], align_corners=True),
    "ResizeNearestNeighbor": lambda x: tf.image.resize(x, [11, 5], "nearest"),
    "SpaceToDepth": lambda x: tf.nn.space_to_depth(x[:, :6], 2), "DepthToSpace": lambda x: tf.nn.depth_to_space(x, 2),
    "SpaceToBatchND": lambda x: tf.space_to_batch(x, [2, 3], [[1, 0], [0, 0]]),
    "BatchToSpaceND": lambda x: tf.batch_to_space(tf.concat([x, x, x], 0), [3, 2], [[1, 0], [0, 1]]),
    "BiasAdd": lambda x: tf.nn.bias_add(x, x[0, 0, 0]),
}  # fmt: skip
PRODUCTS = {
    "MatMul": (lambda a, b: tf.matmul(a, b, transpose_a=True), (5, 3), (5, 4)),
    "BatchMatMulV2": (lambda a, b: tf.matmul(a, b, adjoint_b=True), (2, 1, 3, 5), (4, 2, 5)),
    "Einsum": (lambda a, b: tf.einsum("abc,cde->abde", a, b), (2, 3, 4), (4, 2, 3)),
    "Conv2D": (lambda x, k: tf.nn.conv2d(x, k, 2, "SAME"), (2, 7, 6, 4), (3, 2, 4, 5)),
    "Conv2DGroups": (lambda x, k: tf.nn.conv2d(x, k, 1, "VALID"), (2, 7, 6, 4), (3, 2, 4, 5)),
    "Conv2DDilated": (lambda x, k: tf.stop_gradient(tf.nn.conv2d(x, k, 1, "VALID", dilations=[1, 2])),
        (2, 7, 6, 4), (3, 2, 4, 5)),
    "Conv2DExplicit": (lambda x, k: tf.nn.conv2d(x, k, 1, [[0, 0], [2, 0], [1, 1], [0, 0]]),
        (2, 7, 6, 4), (3, 2, 4, 5)),
    "Conv1D": (lambda x, k: tf.nn.conv1d(x, k, 2, "SAME"), (2, 7, 4), (3, 4, 5)),
    "Conv2DTranspose": (lambda y, k: tf.nn.conv2d_transpose(y, k, [2, 7, 6, 4], 2, "SAME"),
        (2, 4, 3, 5), (3, 2, 4, 5)),
    "DepthwiseConv2dNative": (lambda x, k: tf.nn.depthwise_conv2d(x, k, [1, 2, 2, 1], "SAME"),
        (2, 7, 6, 4), (3, 2, 4, 2)),
    "Conv3D": (lambda x, k: tf.nn.conv3d(x, k, [1, 2, 1, 1, 1], "SAME"), (1, 5, 4, 3, 2), (2, 2, 2, 2, 3)),
    "SoftmaxCrossEntropyWithLogits": (lambda z, p: tf.nn.softmax_cross_entropy_with_logits(tf.nn.softmax(p), z),
        (5, 4), (5, 4)),
    "SparseSoftmaxCrossEntropyWithLogits": (
        lambda z, w: tf.nn.sparse_softmax_cross_entropy_with_logits([1, 3, 0, 0, 2], z) * w, (5, 4), (5,)),
    "FusedBatchNormV3": (
        lambda x, s: tf.compat.v1.nn.fused_batch_norm(x, s, 2 * s, epsilon=1e-3)[0], (3, 4, 2, 5), (5,)),
    "FusedBatchNormInference": (
        lambda x, s: tf.compat.v1.nn.fused_batch_norm(x, s, s, s, s * s, 1e-3, is_training=False)[0], (3, 4, 2, 5),
        (5,)),
}  # fmt: skip


ONLY_FLOAT32 = (
    "FusedBatchNormV3",
    "FusedBatchNormInference",
    "MaxPool3D",
    "AvgPool3D",
    "ResizeBilinear",
    "ResizeCorners",
)


def _cases():
    for name, f in UNARY.items():
        yield name, f, [_real(3, 7)]
    for name, f in POSITIVE.items():
        yield name, f, [_real(3, 7, low=0.1)]
    for name, f in BINARY.items():
        yield name, f, [_real(3, 7), _real(2, 1, 7, seed=1)]
    for name, f in (REDUCTIONS | ARRAYS).items():
        yield name, f, [_real(2, 3, 4)]
    for name, f in IMAGES.items():
        yield name, f, [_image()]
    for name, (f, a, b) in PRODUCTS.items():
        yield name, f, [_real(*a), _real(*b, seed=1)]


CASES = {
    name: (f, [a.astype(np.float32) if name in ONLY_FLOAT32 else a for a in arrays]) for name, f, arrays in _cases()
}


def _with_gradient(f):
    def run(*arrays):
        with tf.GradientTape() as tape:
            tape.watch(arrays)
            y = f(*arrays)
        return y, tape.gradient(y, arrays)

    return run


@pytest.fixture(scope="module")
def seen():
    """The operations that the cases executed."""
    return set()


@pytest.mark.parametrize("name", CASES)
def test_value_and_gradient_are_within_the_budget(name, seen):
    f, arrays = CASES[name]
    trace = record_tensorflow(_with_gradient(f), tuple(arrays), full=True)
    for node, use in overspent(trace):
        seen.add(node.op)
        assert use <= 1, f"{node.op} uses {use:.3g} of its budget"


RATE, DECAY, EPSILON = 0.1, 0.9, 1e-3
OPTIMIZERS = {
    "ResourceApplyGradientDescent": lambda s, g, r: {"var": s[0], "alpha": RATE, "delta": g},
    "ResourceApplyMomentum": lambda s, g, r: {
        "var": s[0], "accum": s[1], "lr": RATE, "grad": g, "momentum": DECAY, "use_nesterov": True},
    "ResourceApplyKerasMomentum": lambda s, g, r: {
        "var": s[0], "accum": s[1], "lr": RATE, "grad": g, "momentum": DECAY, "use_nesterov": True},
    "ResourceApplyAdam": lambda s, g, r: {
        "var": s[0], "m": s[1], "v": s[2], "beta1_power": DECAY, "beta2_power": 0.99, "lr": RATE, "beta1": DECAY,
        "beta2": 0.99, "epsilon": EPSILON, "grad": g},
    "ResourceApplyAdaMax": lambda s, g, r: {
        "var": s[0], "m": s[1], "v": s[2], "beta1_power": DECAY, "lr": RATE, "beta1": DECAY, "beta2": 0.99,
        "epsilon": EPSILON, "grad": g},
    "ResourceApplyRMSProp": lambda s, g, r: {
        "var": s[0], "ms": s[1], "mom": s[2], "lr": RATE, "rho": DECAY, "momentum": 0.5, "epsilon": EPSILON, "grad": g},
    "ResourceApplyCenteredRMSProp": lambda s, g, r: {
        "var": s[0], "mg": s[1], "ms": s[2], "mom": s[3], "lr": RATE, "rho": DECAY, "momentum": 0.5,
        "epsilon": 1.0, "grad": g},
    "ResourceApplyAdagradV2": lambda s, g, r: {"var": s[0], "accum": s[1], "lr": RATE, "epsilon": EPSILON, "grad": g},
    "AssignAddVariableOp": lambda s, g, r: {"resource": s[0], "value": g},
    "AssignSubVariableOp": lambda s, g, r: {"resource": s[0], "value": g},
    "ResourceScatterAdd": lambda s, g, r: {"resource": s[0], "indices": r, "updates": g},
    "ResourceScatterSub": lambda s, g, r: {"resource": s[0], "indices": r, "updates": g},
    "ResourceScatterUpdate": lambda s, g, r: {"resource": s[0], "indices": r, "updates": g},
}  # fmt: skip


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_kernel_makes_the_new_values_of_its_variables(name):
    state = [tf.Variable(_real(3, 4, seed=i, low=0.1)) for i in range(4)]

    def step(gradient, rows):
        operands = OPTIMIZERS[name]([v.handle for v in state], gradient, rows)
        getattr(tf.raw_ops, name)(**{k: _scalar(v) for k, v in operands.items()})

    trace = record_tensorflow(step, (_real(3, 4, seed=9), np.array([2, 0, 1])), full=True)
    ((node, use),) = overspent(trace)
    assert node.op == name
    assert use <= 1
    written = [trace.values[o].array for o in node.outputs]
    for array, variable in zip(written, state, strict=False):
        np.testing.assert_array_equal(array, variable)


def _scalar(value):
    return tf.constant(value, tf.float64) if isinstance(value, float) else value


def test_a_wrong_lowering_overspends_its_budget(monkeypatch):
    exact = lowerings.lowering("tensorflow", "Elu")
    wrong = lowerings.Lowering(lambda x, T: exact(x) * (1 + 2.0**-40))
    monkeypatch.setitem(lowerings._LOWERINGS, ("tensorflow", "Elu"), wrong)
    spent = dict((n.op, use) for n, use in overspent(record_tensorflow(tf.nn.elu, _real(5, 5), full=True)))
    assert spent["Elu"] > 100
