"""The padded steps of a sequence hold zeros on one side, and on the other what the layer made of them.

torch's `pad_packed_sequence` leaves zeros there; a Keras layer repeats its last output on masked steps.

Codes:
    masking: what the steps hold that do not count.
"""

import functools
from collections.abc import Iterator

import numpy as np

from oracle.causes import Candidate, Context, after, hypothesis
from oracle.causes.local import close
from oracle.networks.node_reading import place

_REGION = 40
_FIX = {
    "torch": "multiply the outputs by the mask (pad_packed_sequence leaves zeros on padded steps)",
    "tensorflow": "multiply the outputs by the mask, or LSTM(..., zero_output_for_mask=True)",
    "jax": "multiply the outputs by the mask",
}


@hypothesis(priority=18)
def zeros_on_padded_steps(context: Context) -> Iterator[Candidate]:
    """B's sequence with zeros where A's has them is A's."""
    values_a, values_b = context.a.run.values, context.b.run.values
    targets = [p.b if context.exchanged else p.a for p in context.pairs]
    waiting = dict.fromkeys([*targets, *(o for n in context.at_a.region[-_REGION:] for o in n.outputs)])
    found = [(i, _steps(values_a[i])) for i in waiting if values_a[i].ndim >= 3]
    padded = [(i, keep) for i, keep in found if keep is not None]
    for node in context.at_b.region[-_REGION:] if padded else ():
        for i, keep in padded:
            mask = _fitting(values_a[i], keep, values_b[node.outputs[0]])
            if mask is not None:
                node_a = context.a.producers.get(i)
                yield Candidate(
                    "masking",
                    after(context.b, node, functools.partial(np.multiply, mask)),
                    node_a,
                    node,
                    fix_a=f"keep what the layer makes of padded steps at {place(node_a)}",
                    fix_b=f"{_FIX[context.b.network.trace.framework]} at {place(node)}",
                    detail="{A} has zeros on the padded steps, {B} what the layer makes of them",
                    tested=True,
                )


def _steps(x: np.ndarray) -> np.ndarray | None:
    """Which steps of (first, second, ..., feature) are not all zero; None where none, or all, are."""
    keep = np.any(x != 0, axis=tuple(range(2, x.ndim)), keepdims=True)
    return keep if keep.any() and not keep.all() else None


def _fitting(wanted: np.ndarray, keep: np.ndarray, present: np.ndarray) -> np.ndarray | None:
    """The steps in the layout of `present`, if it is as wanted on these steps and not zero on the others."""
    for turned in (False, True):
        x, mask = (np.swapaxes(a, 0, 1) if turned else a for a in (wanted, keep))
        if x.shape == present.shape and close(np.where(mask, present, 0.0), x) and not close(present, x):
            return mask
    return None
