"""Exact constants: real numbers that each rung of the ladder rounds for itself.

`exact("sqrt(2)")` inside a JAX definition is a primitive, not a float64 literal: the ball arithmetic sees the real
number with the radius of its own rounding, Arb evaluates it at its working precision, XLA gets the nearest float64.
"""

import ast
import functools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import flint
    import jax
    from jax.extend.core import Primitive

_ARB_PRECISION = threading.RLock()

_OPERATORS = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
}


@contextmanager
def working_precision(bits: int) -> Iterator[None]:
    """Arb's working precision, which is one number for the whole process, set to `bits` for one thread at a time."""
    import flint  # noqa: PLC0415 - listing operations needs no Arb

    with _ARB_PRECISION, flint.ctx.workprec(bits):
        yield


def constant_ball(expression: str) -> "flint.arb":
    """The constant as an Arb ball at the current working precision.

    The grammar: decimal numbers (exact rationals), `pi`, `e`, `euler`, `sqrt(...)`, `log(...)`, and + - * /.
    """
    import flint  # noqa: PLC0415 - listing operations needs no Arb

    names = {"pi": flint.arb.pi, "e": flint.arb.const_e, "euler": flint.arb.const_euler}
    functions = {"sqrt": flint.arb.sqrt, "log": flint.arb.log}

    def value(node: ast.expr) -> "flint.arb":
        match node:
            case ast.Constant(value=int() | float() as literal) if literal is not True and literal is not False:
                number = Fraction(ast.get_source_segment(expression, node) or str(node.value))
                return flint.arb(flint.fmpq(number.numerator, number.denominator))
            case ast.Name(id=name) if name in names:
                return names[name]()
            case ast.Call(func=ast.Name(id=name), args=[argument]) if name in functions:
                return functions[name](value(argument))
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return -value(operand)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
                return _OPERATORS[type(op)](value(left), value(right))
        raise ValueError(f"cannot read the exact constant {expression!r}: use numbers, pi, e, sqrt(), log(), + - * /")

    try:
        return value(ast.parse(expression, mode="eval").body)
    except SyntaxError:
        raise ValueError(f"cannot read the exact constant {expression!r}: it is no expression") from None


@functools.cache
def nearest_float64(expression: str) -> tuple[float, bool]:
    """The float64 nearest to the constant, and whether it equals the constant exactly.

    `ValueError` if the expression cannot be read or is no real number that float64 can hold.
    """
    import flint  # noqa: PLC0415

    with working_precision(256):
        ball = constant_ball(expression)
        if not (ball.is_zero() or 2.0**-1000 < abs(ball) < 2.0**1000):
            raise ValueError(f"the exact constant {expression!r} is no real number within float64's range")
        nearest = float(ball.mid())
        return nearest, ball.is_exact() and ball == flint.arb(nearest)


@functools.cache
def _primitive() -> "Primitive":
    import jax  # noqa: PLC0415
    import numpy as np  # noqa: PLC0415
    from jax.extend.core import Primitive  # noqa: PLC0415
    from jax.interpreters import batching, mlir  # noqa: PLC0415

    primitive = Primitive("exact_constant")

    def dtype() -> np.dtype:
        wide = jax.config.jax_enable_x64  # type: ignore[attr-defined]
        return np.dtype(np.float64 if wide else np.float32)

    primitive.def_impl(lambda *, expression: np.asarray(nearest_float64(expression)[0], dtype()))
    primitive.def_abstract_eval(lambda *, expression: jax.core.ShapedArray((), dtype()))
    mlir.register_lowering(
        primitive,
        lambda ctx, *, expression: [
            mlir.ir_constant(np.asarray(nearest_float64(expression)[0], ctx.avals_out[0].dtype))
        ],
    )
    batching.primitive_batchers[primitive] = lambda args, dims, **params: (primitive.bind(**params), None)
    return primitive


def exact(expression: str) -> "jax.Array":
    """The real constant named by `expression`, as a scalar in a JAX definition. `ValueError` if it cannot be read."""
    nearest_float64(expression)
    return _primitive().bind(expression=expression)
