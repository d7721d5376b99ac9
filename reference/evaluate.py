"""The ladder: every element climbs only as far as its question needs.

R0 (float64 balls) answers nearly everything; what it leaves wider than 1e-3 ulp of the format in question climbs to
R3 (Arb, precision doubling). Rungs R1 (proven Taylor tables) and R2 (double-double) belong between the two, in
`_climb`. Exact infinities and NaN are decided by case while R0 runs (R4, `oracle.reference.specials`).

On every evaluation a random 1e-4 of the elements that R0 decided is evaluated by Arb and must overlap its ball:
`TruthViolation` stops the run and is a bug of ours.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import flint
import numpy as np

from oracle.reference.arb import evaluate_arb
from oracle.reference.balls import Arithmetic, Ball, evaluate_balls
from oracle.reference.constants import working_precision
from oracle.reference.demand import demanded
from oracle.reference.formats import FORMATS, Format
from oracle.reference.program import Program
from oracle.reference.truth import MINUS_INF, NAN, PLUS_INF, REAL, Truth

PRECISIONS = (128, 256, 512, 1024, 2048, 4096, 8192)
SELF_CHECK_RATE = 1e-4
R0, R3, R4 = 0, 3, 4
FAR = 2**24
_SMALLEST = np.array([2.0**-1074])


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
    _refuse_flushing()
    fmt = fmt or FORMATS["float64"]
    arrays = [_widened(x) for x in inputs]
    values = evaluate_balls(program, [Ball(x) for x in arrays], Arithmetic())
    truths = [_from_ball(values[o]) for o in program.outputs]
    wanted: dict[int, np.ndarray] = {}
    for output, truth in zip(program.outputs, truths, strict=True):
        mask = _capped(~truth.decided(fmt), limit) | _sampled(truth)
        if mask.any():
            wanted[output] = wanted.get(output, False) | mask
    if wanted:
        truths = _climb(program, arrays, values, truths, (wanted, fmt))
    return tuple(truths)


def _refuse_flushing() -> None:
    """Radii are wrong in a thread that flushes subnormal numbers to zero."""
    if np.multiply(_SMALLEST, 1.0)[0] == 0 or np.multiply(_SMALLEST, 2.0**52)[0] != 2.0**-1022:
        raise RuntimeError(
            "this thread flushes subnormal numbers to zero (another library has switched the processor's mode, for "
            "example by `set_flush_denormal(True)`), so no error bound holds in it; switch that off and run again"
        )


def _sampled(truth: Truth) -> np.ndarray:
    """A random sample of the elements, for the self-check."""
    sample = np.asarray(self_check.generator.random(truth.shape) < SELF_CHECK_RATE)
    self_check.elements += truth.size
    self_check.checked += int(sample.sum())
    return sample


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
    if not ball.is_real:
        return _from_integers(ball)
    finite = np.isfinite(ball.mid)
    special = ~finite & ball.is_exact
    zeros = np.zeros(np.shape(ball.mid))
    return Truth(
        np.where(finite, ball.mid, 0.0), zeros, np.where(finite | special, ball.radius, np.inf), zeros.astype(np.int32),
        np.where(special, _special_code(ball.mid), REAL).astype(np.uint8), np.where(special, R4, R0).astype(np.uint8),
    )  # fmt: skip


def _from_integers(ball: Ball) -> Truth:
    """Integers and booleans; 64-bit integers need both parts of the sum."""
    hi = np.asarray(ball.mid, np.float64)
    lo = zeros = np.zeros(hi.shape)
    if np.any(np.abs(hi) >= 2.0**53):
        rest = [int(n) - int(h) for n, h in zip(np.ravel(ball.mid).tolist(), hi.ravel().tolist(), strict=True)]
        lo = np.array(rest, np.float64).reshape(hi.shape)
    codes = zeros.astype(np.uint8)
    return Truth(hi, lo, np.where(ball.is_exact, 0.0, np.inf), zeros.astype(np.int32), codes, codes)


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
        balls = evaluate_arb(program, arrays, values, demanded(program, wanted, values), precision)
        still: dict[int, np.ndarray] = {}
        for place, output in enumerate(program.outputs):
            if output in wanted:
                truths[place] = _merged(truths[place], balls[output], wanted[output], precision)
                open_ = wanted[output] & ~truths[place].decided(fmt)
                if open_.any():
                    still[output] = open_
        if not still:
            break
        wanted = still
    return truths


_PARTS = ("hi", "lo", "rad", "exponent", "special", "rung")


def _merged(truth: Truth, balls: np.ndarray | None, mask: np.ndarray, precision: int) -> Truth:
    """`truth` with the masked elements taken from Arb, after checking that both hold a common value."""
    if balls is None:  # integers that R0 knows
        return truth
    parts = {name: np.array(getattr(truth, name)).reshape(-1) for name in _PARTS}
    flat = balls.reshape(-1)
    with working_precision(precision + 64):
        for i in np.flatnonzero(mask):
            found = flat[i]
            if found is None or parts["special"][i] != REAL:
                continue
            ball = found if isinstance(found, flint.arb) else flint.arb(int(found))
            if not ball.is_finite():
                continue
            if parts["rung"][i] == R0 and np.isfinite(parts["rad"][i]):
                _must_overlap(ball, [float(parts[name][i]) for name in ("hi", "lo", "rad")], int(i))
            hi, lo, rad, exponent = split_ball(ball)
            if rad < parts["rad"][i] or parts["exponent"][i] != exponent:
                parts["hi"][i], parts["lo"][i], parts["rad"][i], parts["exponent"][i] = hi, lo, rad, exponent
                parts["rung"][i] = R3
    return Truth(*(parts[n].reshape(truth.shape) for n in _PARTS))


def _must_overlap(ball: flint.arb, below: Sequence[float], place: int) -> None:
    mid, lo, rad = below
    if not ball.overlaps(flint.arb(mid) + flint.arb(lo) + flint.arb(0, rad)):
        raise TruthViolation(
            f"element {place}: the float64 ball {mid!r} ± {rad!r} and Arb's {ball.str(25)} have no common value. "
            "This is a bug of the oracle; no result of this run can be trusted. Please report it."
        )


def split_ball(ball: flint.arb) -> tuple[float, float, float, int]:
    """`hi, lo, rad, exponent` with the finite Arb ball inside (hi + lo ± rad) · 2^exponent, `hi` normalised.

    Beyond 2^±FAR no format and no sum tells the values apart: a ball of larger numbers is reported as ±2^FAR (they
    overflow every format), one of smaller numbers as a ball of ±2^-FAR.
    """
    exponent = _exponent(ball)
    if exponent < -FAR:
        sign = 1.0 if ball > 0 else -1.0 if ball < 0 else 0.0
        return 0.5 * sign, 0.0, 0.5 if sign else 1.0, -FAR
    if exponent > FAR:
        sign = 1.0 if ball > 0 else -1.0
        certain = abs(ball) > flint.arb((1, FAR))
        return (sign, 0.0, 0.0, FAR) if certain else (0.0, 0.0, np.inf, 0)
    scaled = ball if exponent == 0 else ball * flint.arb((1, -exponent))
    hi = float(scaled.mid())
    lo = float((scaled - hi).mid())
    rest = scaled - hi - lo
    if rest.is_zero():
        return hi, lo, 0.0, exponent
    return hi, lo, float(np.nextafter(float(rest.abs_upper()) * (1 + 2.0**-50), np.inf)), exponent


def _exponent(ball: flint.arb) -> int:
    """0 where float64 holds hi, lo and rad well; else the binary exponent of the largest magnitude in the ball."""
    if ball.is_zero():
        return 0
    mantissa, power = ball.abs_upper().mid().man_exp()
    exponent = int(abs(mantissa)).bit_length() + int(power)
    return 0 if -800 < exponent < 1000 else exponent
