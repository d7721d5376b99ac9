"""TensorFlow's elementwise operations. Source: tensorflow/core/ops/math_ops.cc, nn_ops.cc."""

from collections.abc import Callable
from typing import Any

from oracle.reference.constants import exact
from oracle.reference.lazy import jnp, lax
from oracle.reference.lowerings.tensorflow import carrier, op

_JNP = """
    Neg=negative Abs=abs Sign=sign Floor=floor Ceil=ceil Rint=round Round=round Exp=exp Expm1=expm1
    Log=log Log1p=log1p Sqrt=sqrt Square=square Sin=sin Cos=cos Tan=tan Sinh=sinh Cosh=cosh
    Tanh=tanh Asin=arcsin Acos=arccos Atan=arctan Asinh=arcsinh Acosh=arccosh Atanh=arctanh
    IsNan=isnan IsInf=isinf IsFinite=isfinite Add=add AddV2=add Sub=subtract Mul=multiply
    RealDiv=divide Maximum=maximum Minimum=minimum Pow=power
    Atan2=arctan2 Equal=equal NotEqual=not_equal Less=less LessEqual=less_equal Greater=greater
    GreaterEqual=greater_equal LogicalNot=logical_not LogicalAnd=logical_and LogicalOr=logical_or
    BitwiseAnd=bitwise_and BitwiseOr=bitwise_or BitwiseXor=bitwise_xor
    ZerosLike=zeros_like OnesLike=ones_like
"""
_LAX = """
    Rsqrt=rsqrt Erf=erf Erfc=erfc Erfinv=erf_inv Sigmoid=logistic Lgamma=lgamma Digamma=digamma
   
"""


def _named(module: Any, name: str) -> Callable[..., Any]:
    def define(*operands: Any) -> Any:
        return getattr(module, name)(*operands)

    return define


for _table, _module in ((_JNP, jnp), (_LAX, lax)):
    for _entry in _table.split():
        _raw, _, _name = _entry.partition("=")
        op(_raw)(_named(_module, _name))

_UNCHANGED = (
    "Identity",
    "IdentityN",
    "StopGradient",
    "PreventGradient",
    "Snapshot",
    "CheckNumerics",
    "DeepCopy",
)


@op(*_UNCHANGED, "EnsureShape")
def identity(*values: Any, shape: Any = None) -> Any:
    return values if len(values) > 1 else values[0]


@op("Cast")
def cast(x: Any, DstT: str) -> Any:
    """Between real formats the identity, to integers truncation, to booleans x != 0."""
    return lax.convert_element_type(x, carrier(DstT)) if DstT != "bool" else x != 0


@op("Bitcast", "LeftShift", "RightShift", "Invert")
def bits(*_: Any, **__: Any) -> None:
    """What is done to the bits of a number: a real number has none, so the recorded result stands."""


@op("Div")
def div(x: Any, y: Any) -> Any:
    return x / y if x.dtype.kind == "f" else lax.div(x, y)


@op("FloorDiv")
def floor_div(x: Any, y: Any) -> Any:
    return jnp.floor(x / y) if x.dtype.kind == "f" else jnp.floor_divide(x, y)


@op("FloorMod")
def floor_mod(x: Any, y: Any) -> Any:
    return x - jnp.floor(x / y) * y if x.dtype.kind == "f" else jnp.mod(x, y)


@op("TruncateDiv")
def truncate_div(x: Any, y: Any) -> Any:
    return lax.div(x, y)


@op("TruncateMod")
def truncate_mod(x: Any, y: Any) -> Any:
    return x - jnp.trunc(x / y) * y if x.dtype.kind == "f" else lax.rem(x, y)


@op("Reciprocal", "Inv")
def reciprocal(x: Any) -> Any:
    return 1 / x


@op("DivNoNan")
def div_no_nan(x: Any, y: Any) -> Any:
    return _unless(y == 0, lambda d: x / d, y, 1)


@op("MulNoNan")
def mul_no_nan(x: Any, y: Any) -> Any:
    return jnp.where(y == 0, 0, x) * y


@op("Xdivy")
def xdivy(x: Any, y: Any) -> Any:
    return _unless((x == 0) & (y == 0), lambda d: x / d, y, 1)


@op("Xlogy")
def xlogy(x: Any, y: Any) -> Any:
    return _unless(x == 0, lambda d: x * jnp.log(d), y, 1)


@op("Xlog1py")
def xlog1py(x: Any, y: Any) -> Any:
    return _unless(x == 0, lambda d: x * jnp.log1p(d), y, 0)


def _unless(zero: Any, f: Callable[[Any], Any], y: Any, safe: float) -> Any:
    """f(y), and 0 where `zero`; f sees `safe` there, so that neither it nor its derivative meets a pole."""
    return jnp.where(zero, 0, f(jnp.where(zero, safe, y)))


@op("SquaredDifference")
def squared_difference(x: Any, y: Any) -> Any:
    return jnp.square(x - y)


@op("ClipByValue")
def clip_by_value(x: Any, low: Any, high: Any) -> Any:
    return jnp.minimum(jnp.maximum(x, low), high)


@op("Select")
def select(condition: Any, x: Any, y: Any) -> Any:
    """A condition of rank 1 chooses whole rows."""
    rows = condition.reshape(condition.shape + (1,) * (x.ndim - condition.ndim))
    return jnp.where(rows, x, y)


@op("SelectV2")
def select_v2(condition: Any, x: Any, y: Any) -> Any:
    return jnp.where(condition, x, y)


@op("Relu")
def relu(x: Any) -> Any:
    return jnp.maximum(x, 0)


@op("Relu6")
def relu6(x: Any) -> Any:
    return jnp.minimum(jnp.maximum(x, 0), 6)


@op("LeakyRelu")
def leaky_relu(x: Any, alpha: float) -> Any:
    return jnp.where(x > 0, x, x * alpha)


@op("Elu")
def elu(x: Any) -> Any:
    return jnp.where(x < 0, jnp.expm1(jnp.minimum(x, 0)), x)


def selu_constants() -> tuple[Any, Any]:
    """lambda and lambda * alpha of Klambauer et al. 2017, to the digits TensorFlow's kernel names."""
    return exact("1.0507009873554804934193349852946"), exact("1.7580993408473768599402175208123")


@op("Selu")
def selu(x: Any) -> Any:
    scale, scale_alpha = selu_constants()
    return jnp.where(x < 0, scale_alpha * jnp.expm1(jnp.minimum(x, 0)), scale * x)


@op("Softplus")
def softplus(x: Any) -> Any:
    return jnp.maximum(x, 0) + jnp.log1p(jnp.exp(-jnp.abs(x)))


@op("Softsign")
def softsign(x: Any) -> Any:
    return x / (1 + jnp.abs(x))


@op("AddN")
def add_n(*terms: Any) -> Any:
    return sum(terms[1:], terms[0])


@op("ReluGrad")
def relu_grad(gradients: Any, features: Any) -> Any:
    return jnp.where(features > 0, gradients, 0)


@op("Relu6Grad")
def relu6_grad(gradients: Any, features: Any) -> Any:
    return jnp.where((features > 0) & (features < 6), gradients, 0)


@op("LeakyReluGrad")
def leaky_relu_grad(gradients: Any, features: Any, alpha: float) -> Any:
    return jnp.where(features > 0, gradients, gradients * alpha)


@op("EluGrad")
def elu_grad(gradients: Any, outputs: Any) -> Any:
    return jnp.where(outputs < 0, (outputs + 1) * gradients, gradients)


@op("SeluGrad")
def selu_grad(gradients: Any, outputs: Any) -> Any:
    scale, scale_alpha = selu_constants()
    return jnp.where(outputs < 0, gradients * (outputs + scale_alpha), gradients * scale)


@op("SoftplusGrad")
def softplus_grad(gradients: Any, features: Any) -> Any:
    return gradients * lax.logistic(features)


@op("SoftsignGrad")
def softsign_grad(gradients: Any, features: Any) -> Any:
    return gradients / jnp.square(1 + jnp.abs(features))


@op("SigmoidGrad")
def sigmoid_grad(y: Any, dy: Any) -> Any:
    return dy * y * (1 - y)


@op("TanhGrad")
def tanh_grad(y: Any, dy: Any) -> Any:
    return dy * ((1 - y) * (1 + y))


@op("SqrtGrad")
def sqrt_grad(y: Any, dy: Any) -> Any:
    return dy * 0.5 / y


@op("RsqrtGrad")
def rsqrt_grad(y: Any, dy: Any) -> Any:
    return dy * -0.5 * y * y * y


@op("ReciprocalGrad", "InvGrad")
def reciprocal_grad(y: Any, dy: Any) -> Any:
    return -dy * y * y
