"""Decimal digits of true values, as many as are asked for and each of them proven."""

from collections.abc import Sequence

import flint
import numpy as np

from oracle.reference.arb import evaluate_arb
from oracle.reference.balls import Arithmetic, Ball, evaluate_balls
from oracle.reference.demand import demanded
from oracle.reference.program import Program

_BITS_PER_DIGIT = 3.3219280948873623
_DOUBLINGS = 8


def proven_digits(program: Program, inputs: Sequence[np.ndarray], count: int) -> tuple[np.ndarray, ...]:
    """`count` decimal digits of every element of every output, as object arrays of strings.

    Arb evaluates the program at growing precision until its balls prove the digits. An element keeps None where it is
    no real number or the precision did not suffice: then what is known of it is its `Truth`.
    """
    values = evaluate_balls(program, [Ball(x) for x in inputs], Arithmetic())
    texts = {o: np.full(program.variables[o].shape, None, object) for o in program.outputs}
    bits = int(count * _BITS_PER_DIGIT) + 16
    for doubling in range(_DOUBLINGS):
        wanted = {o: mask for o, text in texts.items() if (mask := unproven(text)).any()}
        if not wanted:
            break
        precision = (bits + 64) << doubling
        balls = evaluate_arb(program, inputs, values, demanded(program, wanted, values), precision)
        for output, mask in wanted.items():
            found = balls[output]
            assert found is not None
            for place in map(tuple, np.argwhere(mask)):
                texts[output][place] = _text(found[place], count, bits)
    return tuple(texts[o] for o in program.outputs)


def unproven(texts: np.ndarray) -> np.ndarray:
    """Where `proven_digits` left None."""
    return np.array([text is None for text in texts.flat], bool).reshape(texts.shape)


def _text(ball: flint.arb, count: int, bits: int) -> str | None:
    if not ball.is_finite():
        return None
    if ball.is_zero():
        return "0"
    return ball.str(count, radius=False) if ball.rel_accuracy_bits() >= bits else None
