"""Rung R3: Arb balls, on the demanded elements alone, at any precision.

Values are object arrays of `flint.arb`; elements nobody demands are None. Integer and boolean variables are exact in R0
already and are taken from there, except what R0 could not decide; infinities and NaN that R4 decided are taken over.

Source: F. Johansson, Arb: efficient arbitrary-precision midpoint-radius interval arithmetic, IEEE Trans. Comput. 66
(2017).
"""

from collections.abc import Sequence

import flint
import numpy as np

from oracle.reference.arb_blocks import BLOCKWISE, REAL_ONLY, objects
from oracle.reference.arb_functions import pointwise, unknown
from oracle.reference.balls import Ball, MissingRule
from oracle.reference.constants import working_precision
from oracle.reference.demand import Masks, is_undecided
from oracle.reference.program import Program, Step
from oracle.reference.structure import MOVES

arb = flint.arb
Values = list[np.ndarray | None]


def evaluate_arb(
    program: Program, inputs: Sequence[np.ndarray], known: list[Ball | None], masks: Masks, precision: int
) -> Values:
    """The demanded elements of all real or undecided variables as Arb balls of `precision` bits.

    `known` are the balls of R0: the source of integers and booleans. An undecided one is None.
    """
    with working_precision(precision):
        return _Run(program, known, masks).run(inputs)


def to_arb(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """An object array of exact Arb numbers where `mask`, None elsewhere."""
    result = np.full(values.shape, None, object)
    result[mask] = [arb(v) for v in np.asarray(values, np.float64)[mask].tolist()]
    return result


class _Run:
    def __init__(self, program: Program, known: list[Ball | None], masks: Masks) -> None:
        self.program, self.known, self.masks = program, known, masks
        self.values: Values = [None] * len(program.variables)

    def run(self, inputs: Sequence[np.ndarray]) -> Values:
        for variable, value in [*zip(self.program.inputs, inputs, strict=True), *self.program.constants.items()]:
            mask = self.masks[variable]
            if mask is not None and self.program.variables[variable].is_real:
                self.values[variable] = to_arb(np.asarray(value), mask)
        for step in self.program.steps:
            if any(self.masks[o] is not None for o in step.outputs):
                for output, result in zip(step.outputs, self._results(step), strict=True):
                    self.values[output] = self._settled(output, result)
        return self.values

    def operand(self, variable: int) -> np.ndarray:
        """The object array of a variable; integers and booleans that R0 decided come from there."""
        value = self.values[variable]
        if value is not None:
            return value
        ball = self.known[variable]
        assert ball is not None
        return np.asarray(ball.mid)

    def _results(self, step: Step) -> list[np.ndarray]:
        if step.primitive in MOVES:
            return self._moved(step)
        operands = [self.operand(v) for v in step.inputs]
        mask = next(m for m in (self.masks[o] for o in step.outputs) if m is not None)
        if step.primitive in BLOCKWISE:
            if step.primitive.startswith("scatter") and is_undecided(self.known[step.inputs[1]]):
                return [_placed([unknown()] * int(mask.sum()), mask)]
            if step.primitive in REAL_ONLY and not self.program.variables[step.outputs[0]].is_real:
                return [np.full(mask.shape, None, object)]
            result = BLOCKWISE[step.primitive](*operands, mask=mask, **step.params)
            return result if isinstance(result, list) else [result]
        types = [self.program.variables[v].dtype for v in step.inputs]
        function = pointwise(step, types, self.program.variables[step.outputs[0]].dtype)
        if function is None:
            raise MissingRule(f"Arb has no rule for the primitive `{step.primitive}`")
        if step.primitive == "atan2":  # Arb has no signed zeros, and the branch cut needs them
            operands += [np.signbit(self.known[v].mid) for v in step.inputs]  # type: ignore[union-attr]
        columns = [np.broadcast_to(x, mask.shape)[mask].tolist() for x in operands]
        return [_placed([function(*row) for row in zip(*columns, strict=True)], mask)]

    def _moved(self, step: Step) -> list[np.ndarray]:
        move, movers = MOVES[step.primitive]
        moving = set(movers(len(step.inputs)))
        variables = [self.program.variables[o] for o in step.outputs]
        if any(is_undecided(self.known[v]) for i, v in enumerate(step.inputs) if i not in moving):
            return [np.full(v.shape, unknown() if v.is_real else None, object) for v in variables]
        operands = [self.operand(v) for v in step.inputs]
        results = move(*[o.astype(object) if i in moving else o for i, o in enumerate(operands)], **step.params)
        results = results if isinstance(results, list) else [results]
        # Indexing an object array down to one element gives the element, not an array.
        results = [r if isinstance(r, np.ndarray) else objects([r], ()) for r in results]
        if "fill_value" in step.params:
            results = [self._filled(step, result) for result in results]
        return results

    def _filled(self, step: Step, result: np.ndarray) -> np.ndarray:
        """What a gather takes from outside: the only demanded elements that come from nowhere."""
        mask, fill = self.masks[step.outputs[0]], step.params["fill_value"]
        if not self.program.variables[step.outputs[0]].is_real:
            return result
        assert mask is not None
        filled = result.copy()
        for place in np.flatnonzero(mask):
            if filled.flat[place] is None:
                filled.flat[place] = unknown() if fill is None else arb(fill)
        return filled

    def _settled(self, variable: int, result: np.ndarray) -> np.ndarray:
        """`result` with what R0 and R4 have decided for good: integers, booleans, infinities, NaN."""
        ball, mask = self.known[variable], self.masks[variable]
        assert ball is not None
        decided = ball.is_exact if not ball.is_real else ~np.isfinite(ball.mid) & ball.is_exact
        if mask is None or not np.any(decided & mask):
            return result
        values = ball.mid.astype(object) if not ball.is_real else to_arb(ball.mid, decided & mask)
        return np.where(decided & mask, values, result)


def _placed(values: list, mask: np.ndarray) -> np.ndarray:
    result = np.full(mask.shape, None, object)
    result[mask] = objects(values, (len(values),))
    return result
