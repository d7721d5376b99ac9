"""Holds each recorded node to the exact value of its lowering, within the rounding budget of the recorded format."""

from collections.abc import Iterator

import numpy as np

from oracle.networks.lowered import is_real, real_program
from oracle.networks.network import Network
from oracle.reference.budget import rounding_budget
from oracle.reference.evaluate import evaluate
from oracle.reference.formats import format_named
from oracle.trace import Node, Trace


def overspent(trace: Trace) -> Iterator[tuple[Node, float]]:
    """For each lowered node: the largest error of an element over its stepwise budget.

    Infinite for a wrong fact, and where the result should be of reals and is of integers.
    """
    network = Network(trace)
    for lowered in network.nodes:
        if lowered.signature is None:
            continue
        computed = network.apply(lowered, network.actual)
        facts = [o for o in lowered.node.outputs if o is not None and not is_real(trace.values[o].dtype)]
        wrong = any(not np.array_equal(computed[o], network.actual[o]) for o in facts)
        wrong = wrong or any(computed[o].dtype.kind in "iub" for o in lowered.outputs)
        yield lowered.node, np.inf if wrong else max(_uses(network, lowered), default=0.0)


def _uses(network: Network, lowered: object) -> Iterator[float]:
    arrays = [network.actual[i] for i in (*lowered.reals, *lowered.facts)]
    program = real_program(lowered.signature)
    if not program.outputs:
        return
    outputs = [o for o in lowered.outputs if o is not None]
    fmt = format_named(network.trace.values[outputs[0]].dtype)
    truths, budgets = evaluate(program, arrays, fmt), rounding_budget(program, arrays, fmt)
    for output, truth, budget in zip(outputs, truths, budgets, strict=False):
        actual = network.actual[output]
        real = truth.special == 0
        # The difference in two parts: the truth is hi + lo and both subtractions of near numbers are exact.
        error = np.abs((actual - truth.hi * 2.0**truth.exponent) - truth.lo * 2.0**truth.exponent)
        allowed = budget.stepwise + truth.rad * 2.0**truth.exponent
        with np.errstate(divide="ignore", invalid="ignore"):
            use = np.where(error == 0, 0.0, error / allowed)
        yield float(np.max(use, initial=0.0, where=real & np.isfinite(actual)))
