"""Settings of two optimizers that differ and have made no difference yet: momentum shows from the second step on."""

from collections.abc import Iterable, Iterator

from oracle.alignments.alignment import Side
from oracle.alignments.pairing import Pair
from oracle.updates.declared import declared
from oracle.updates.words import differences

# The rate times the velocity, or the velocity of rates: the same for one rate.
_SAME_FOR_ONE_RATE = "lr-in-momentum"


def dormant(a: Side, b: Side, pairs: Iterable[Pair], different: Iterable[Pair]) -> Iterator[str]:
    """A note where the recorded settings promise other updates, and all updates were the same."""
    updated = [p for p in pairs if p.kind == "parameters"]
    if not updated or any(p.kind == "parameters" for p in different):
        return
    rules = [declared(side.network.trace.layers.get("optimizer")) for side in (a, b)]
    if rules[0] is None or rules[1] is None:
        return
    codes = [code for code, _ in differences(rules[0], rules[1]) if code != _SAME_FOR_ONE_RATE]
    if not rules[0].decay and not rules[1].decay:  # in whatever form nothing decays
        codes = [code for code in codes if code != "weight-decay"]
    steps = len(a.network.trace.steps)
    if codes:
        yield (
            f"the optimizers are set otherwise ({', '.join(codes)}), which has made no difference in {steps} "
            f"step{'s' if steps > 1 else ''}: compare more (steps={steps + 2})"
        )
