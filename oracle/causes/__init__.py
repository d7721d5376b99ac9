"""Named causes: hypotheses about why two networks mean different things, each proposed as an edit to be proved.

A module of this package registers hypotheses with `hypothesis`; the package is walked on first use. A hypothesis
looks at a `Context`, the place where the meanings part, and proposes `Candidate`s: an edit of network B that would
make it mean what A means, the cause's code, and the fix on either side in the user's own API. It proves nothing: the
engine (`oracle.comparisons.comparing`) applies the edit and accepts it only if the values of B then equal those of A.
"""

import functools
import importlib
import pkgutil
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from oracle.alignments.alignment import Alignment, Divergence, Side, same_multiset
from oracle.networks.lowered import LoweredNode, lower
from oracle.networks.network import Edits, Values
from oracle.networks.unfit import attempt
from oracle.trace import Layer, Node


@dataclass(frozen=True)
class Candidate:
    """A cause that would explain the difference, with the edit of B that tests it.

    `node_a`, `node_b` are the nodes at which the two sides differ. `fix_a` and `fix_b` say, in the API of either
    side, what to write there so that it means what the other means. `detail` says {A} and {B} for the sides, since
    every hypothesis is also tried with the sides exchanged. `also` are further causes at the same place, each with an
    edit of its own: they are proved together. `transplant` says that the edit merely puts A's numbers into B: it
    shows where the meanings part, not why, and is accepted only for what follows from it. `tested` says that the
    hypothesis has computed a value for which A waits. `hypothesis` is the name of the one that proposes it.
    """

    code: str
    edits: Edits
    node_a: LoweredNode | None
    node_b: LoweredNode | None
    fix_a: str
    fix_b: str
    detail: str = ""
    priority: int = 50
    also: tuple["Candidate", ...] = ()
    transplant: bool = False
    tested: bool = False
    hypothesis: str = ""

    @property
    def all_edits(self) -> Edits:
        """The edits of this cause and of those that go with it."""
        return functools.reduce(lambda edits, other: edits | other.all_edits, self.also, self.edits)


@dataclass(frozen=True)
class Context:
    """Where the meanings part: the two sides (B with the edits accepted so far), their alignment and divergences.

    `kind` says which targets differ here ("outputs", "buffers", "loss", "gradients", "parameters"); `pairs` are those
    targets. `exchanged`: A and B stand for each other.
    """

    a: Side
    b: Side
    alignment: Alignment
    at_a: Divergence
    at_b: Divergence
    kind: str = "outputs"
    pairs: tuple[Any, ...] = ()
    exchanged: bool = False

    def counterpart(self, array: np.ndarray) -> LoweredNode | None:
        """The node of A's divergent region whose result holds the numbers of `array`, if there is one."""
        for node in self.at_a.region:
            if any(same_multiset(array, self.a.run.values[o]) for o in node.outputs):
                return node
        return None

    def matched(self, value: int) -> tuple[int, ...]:
        """The values of A that hold the numbers of B's `value`."""
        return self.alignment.b_to_a.get(value, ())


Hypothesis = Callable[[Context], Iterable[Candidate]]
_HYPOTHESES: list[tuple[int, str, Hypothesis]] = []


def hypothesis(priority: int = 50) -> Callable[[Hypothesis], Hypothesis]:
    """Register a hypothesis; lower priorities are tried first (the specific before the general)."""

    def register(function: Hypothesis) -> Hypothesis:
        _HYPOTHESES.append((priority, function.__qualname__, function))
        return function

    return register


@functools.cache
def _discover() -> None:
    for module in pkgutil.walk_packages(__path__, f"{__name__}."):
        importlib.import_module(module.name)


def candidates(
    contexts: Iterable[Context],
    settled: Callable[[int], bool] = lambda priority: False,
    only: Collection[str] | None = None,
) -> Iterator[tuple[Candidate, bool]]:
    """Everything that any hypothesis proposes in any context, the specific first, and whether the sides are exchanged.

    Hypotheses of a priority for which `settled` is true, and all after it, are not asked; nor any that is not among
    the names `only`, where these are given.
    """
    _discover()
    for priority, name, propose in sorted(_HYPOTHESES, key=lambda item: item[:2]):
        if settled(priority):
            return
        for context in contexts if only is None or name in only else ():
            with attempt(f"hypothesis {name!r}"):  # one that does not fit this network proposes nothing more
                for candidate in propose(context):
                    yield replace(candidate, priority=priority, hypothesis=name), context.exchanged


# What hypotheses are written with.


def layer_of(side: Side, node: LoweredNode) -> Layer | None:
    """The innermost recorded layer whose path leads to `node`."""
    layers = side.network.trace.layers
    scope = node.node.scope
    while scope:
        if scope in layers:
            return layers[scope]
        scope = scope.rpartition(".")[0] if "." in scope else scope.rpartition("/")[0]
    return layers.get("")


def replaced_node(side: Side, node: LoweredNode, changed: Node) -> Edits:
    """The edit that gives `node` the operation, inputs and attributes of `changed` (same outputs)."""
    meaning = lower(side.network.trace, changed, side.network.actual)

    def compute(values: Values) -> Values:
        return side.network.apply(meaning, values)

    return Edits(nodes={node.node.index: compute}, literals={node.node.index: changed})


def replaced_output(node: LoweredNode, compute: Callable[[Values], np.ndarray]) -> Edits:
    """The edit that computes the node's first real output by `compute(values)`; other results stay as they are."""

    def results(values: Values) -> Values:
        first, *others = node.results
        return {first: np.asarray(compute(values)), **{o: values[o] for o in others if o in values}}

    return Edits(nodes={node.node.index: results})


@dataclass(frozen=True)
class After:
    """The results of a node with a function applied to its first real output.

    `compute` is what the node does without it; the engine puts an earlier edit of the same node there.
    """

    output: int
    function: Callable[[np.ndarray], np.ndarray]
    compute: Callable[[Values], Values]

    def __call__(self, values: Values) -> Values:
        made = self.compute(values)
        return made | {self.output: np.asarray(self.function(made[self.output]))}


def after(side: Side, node: LoweredNode, function: Callable[[np.ndarray], np.ndarray]) -> Edits:
    """The edit that applies `function` to the node's first real output."""
    return Edits(nodes={node.node.index: After(node.outputs[0], function, functools.partial(side.network.apply, node))})
