"""The ladder: every element climbs only as far as its question needs.

R0 (float64 balls) answers nearly everything; what it leaves wider than 1e-3 ulp of the format in question climbs to
R3 (Arb, precision doubling). Rungs R1 (proven Taylor tables) and R2 (double-double) belong between the two, in
`_RUNGS`. Infinities and NaN are decided by case (R4): IEEE 754 evaluation, where Arb finds no real number and an exact
infinity or NaN is among the element's own operands.

On every evaluation a random 1e-4 of the elements that R0 decided is evaluated by Arb and must overlap its ball:
`TruthViolation` stops the run and is a bug of ours.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import flint
import numpy as np

from oracle.reference.arb import evaluate_arb
from oracle.reference.balls import Arithmetic, Ball, evaluate_balls
from oracle.reference.demand import demanded
from oracle.reference.formats import FORMATS, Format
from oracle.reference.program import Program
from oracle.reference.truth import MINUS_INF, NAN, PLUS_INF, REAL, Truth

PRECISIONS = (128, 256, 512, 1024, 2048, 4096, 8192)
SELF_CHECK_RATE = 1e-4
R0, R3, R4 = 0, 3, 4
FAR = 2**24


class TruthViolation(RuntimeError):
    """Two rungs disagree: one of the balls does not hold the truth. A bug of the oracle, never of a framework."""


@dataclass
class SelfCheck:
    """How many elements were evaluated on a second rung so far, in this process."""

    elements: int = 0
    checked: int = 0
    generator: np.random.Generator = field(default_factory=lambda: np.random.default_rng(20240229))


self_check = SelfCheck()


def evaluate(
    program: Program,
    inputs: Sequence[np.ndarray],
    fmt: Format | None = None,
    *,
    limit: int | None = None,
) -> tuple[Truth, ...]:
    """The true values of the outputs of `program`, one `Truth` each, known to 1e-3 ulp of `fmt` (default float64).

    `inputs` are taken exactly as they are: float64 (or anything that widens to it), integers or booleans. `limit` caps
    how many elements of each output may climb to Arb; the others stay undecided, never guessed. Raises
    `TruthViolation` if the self-check fails.
    """
    fmt = fmt or FORMATS["float64"]
    arrays = [_widened(x) for x in inputs]
    values = evaluate_balls(program, [Ball(x) for x in arrays], Arithmetic())
    truths = [_from_ball(values[o]) for o in program.outputs]
    wanted: dict[int, np.ndarray] = {}
    for place, (output, truth) in enumerate(zip(program.outputs, truths, strict=True)):
        climbing = _capped(~truth.decided(fmt), limit)
        sample = self_check.generator.random(truth.shape) < SELF_CHECK_RATE
        self_check.elements += truth.size
        self_check.checked += int((sample & ~climbing).sum())
        mask = climbing | sample
        if mask.any():
            wanted[output] = wanted.get(output, np.zeros(truth.shape, bool)) | mask
        truths[place] = truth
    if wanted:
        truths = _climb(program, arrays, values, truths, (wanted, fmt))
    return tuple(truths)


def _widened(x: np.ndarray) -> np.ndarray:
    x = np.asarray(x)
    return x if x.dtype.kind in "iub" else x.astype(np.float64)


def _capped(mask: np.ndarray, limit: int | None) -> np.ndarray:
    places = np.flatnonzero(mask)
    if limit is None or places.size <= limit:
        return mask
    kept = np.zeros(mask.size, bool)
    kept[self_check.generator.choice(places, limit, replace=False)] = True
    return kept.reshape(mask.shape)


def _from_ball(ball: Ball | None) -> Truth:
    assert ball is not None
    if np.asarray(ball.mid).dtype.kind != "f":
        ball = Ball(np.asarray(ball.mid, np.float64), ball.rad)
    exact_special = ~np.isfinite(ball.mid) & (ball.radius == 0)
    special = np.where(exact_special, _special_code(ball.mid), REAL).astype(np.uint8)
    finite = np.isfinite(ball.mid)
    hi = np.where(finite, ball.mid, 0.0)
    rad = np.where(finite | exact_special, np.where(exact_special, 0.0, ball.radius), np.inf)
    zeros = np.zeros(hi.shape)
    return Truth(hi, zeros, rad, zeros.astype(np.int32), special, np.where(exact_special, R4, R0).astype(np.uint8))


def _special_code(values: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(values), NAN, np.where(values > 0, PLUS_INF, MINUS_INF))


def _climb(
    program: Program,
    arrays: Sequence[np.ndarray],
    values: list[Ball | None],
    truths: list[Truth],
    question: tuple[dict[int, np.ndarray], Format],
) -> list[Truth]:
    """Replace the wanted elements by Arb's, doubling the precision for those still too wide."""
    wanted, fmt = question
    for precision in PRECISIONS:
        masks = demanded(program, wanted, values)
        balls = evaluate_arb(program, arrays, values, masks, precision)
        still: dict[int, np.ndarray] = {}
        for place, output in enumerate(program.outputs):
            if output in wanted:
                truths[place] = _merged(truths[place], balls[output], wanted[output], precision)
                open_ = wanted[output] & ~truths[place].decided(fmt)
                truths[place] = _decide_specials(truths[place], values[output], open_, (values, masks))
                open_ &= ~truths[place].decided(fmt)
                if open_.any():
                    still[output] = open_
        if not still:
            break
        wanted = still
    return truths


def _merged(truth: Truth, balls: np.ndarray | None, mask: np.ndarray, precision: int) -> Truth:
    """`truth` with the masked elements taken from Arb, after checking that both hold a common value."""
    assert balls is not None
    places = np.flatnonzero(mask)
    parts = {
        name: np.array(getattr(truth, name)).reshape(-1) for name in ("hi", "lo", "rad", "exponent", "special", "rung")
    }
    flat = balls.reshape(-1)
    with flint.ctx.workprec(precision + 64):
        for i in places:
            ball = flat[i]
            if not ball.is_finite() or parts["special"][i] != REAL:
                continue
            hi, lo, rad, exponent = split_ball(ball)
            if parts["rung"][i] == R0 and np.isfinite(parts["rad"][i]):
                _must_overlap(ball, float(parts["hi"][i]), float(parts["rad"][i]), int(i))
            if rad < parts["rad"][i] or parts["exponent"][i] != exponent:
                parts["hi"][i], parts["lo"][i], parts["rad"][i], parts["exponent"][i] = hi, lo, rad, exponent
                parts["rung"][i] = R3
    return Truth(*(parts[n].reshape(truth.shape) for n in ("hi", "lo", "rad", "exponent", "special", "rung")))


def _must_overlap(ball: flint.arb, mid: float, rad: float, place: int) -> None:
    if not ball.overlaps(flint.arb(mid, rad)):
        raise TruthViolation(
            f"element {place}: the float64 ball {mid!r} ± {rad!r} and Arb's {ball.str(25)} have no common value. "
            "This is a bug of the oracle; no result of this run can be trusted. Please report it."
        )


def split_ball(ball: flint.arb) -> tuple[float, float, float, int]:
    """`hi, lo, rad, exponent` with the Arb ball inside (hi + lo ± rad) · 2^exponent, `hi` normalised.

    Beyond 2^±FAR no format and no sum tells the values apart: a larger one is reported as ±2^FAR (it overflows every
    format), a smaller one as the ball from zero to ±2^-FAR.
    """
    exponent = _exponent(ball)
    if abs(exponent) > FAR:
        sign = 1.0 if ball > 0 else -1.0
        return (sign, 0.0, 0.0, FAR) if exponent > 0 else (0.5 * sign, 0.0, 0.5, -FAR)
    scaled = ball if exponent == 0 else ball * flint.arb(2) ** -exponent
    hi = float(scaled.mid())
    lo = float((scaled - hi).mid())
    rad = float((scaled - hi - lo).abs_upper())
    return hi, lo, rad * (1 + 2.0**-50), exponent


def _exponent(ball: flint.arb) -> int:
    """0 where float64 holds hi, lo and rad well; else the binary exponent of the ball's magnitude."""
    if ball.is_zero():
        return 0
    size = ball.mid() if ball.mid() != 0 else ball.rad()
    mantissa, power = size.man_exp()
    exponent = int(abs(mantissa)).bit_length() + int(power)
    return 0 if -800 < exponent < 1000 else exponent


def _decide_specials(
    truth: Truth,
    ball: Ball | None,
    open_: np.ndarray,
    context: tuple[list[Ball | None], list[np.ndarray | None]],
) -> Truth:
    """R4: where Arb finds no real number and an operand is exactly infinite or NaN, IEEE 754 evaluation decides."""
    assert ball is not None
    candidates = open_ & ~np.isfinite(ball.mid) & ~np.isfinite(truth.rad)
    if not candidates.any() or not _has_exact_special(*context):
        return truth
    special = np.where(candidates, _special_code(ball.mid), truth.special).astype(np.uint8)
    rung = np.where(candidates, R4, truth.rung).astype(np.uint8)
    return Truth(truth.hi, truth.lo, np.where(candidates, 0.0, truth.rad), truth.exponent, special, rung)


def _has_exact_special(values: list[Ball | None], masks: list[np.ndarray | None]) -> bool:
    for ball, mask in zip(values, masks, strict=True):
        if ball is None or mask is None or np.asarray(ball.mid).dtype.kind != "f":
            continue
        if np.any(mask & ~np.isfinite(ball.mid) & (ball.radius == 0)):
            return True
    return False
