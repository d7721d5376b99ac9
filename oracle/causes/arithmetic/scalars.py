"""A number that differs: eps, momentum, slopes, rates. The scalars of A are tried in the place of those of B."""

import math
from collections.abc import Iterable, Iterator

import numpy as np

from oracle.alignments.alignment import Side
from oracle.causes import Candidate, Context, hypothesis, layer_of, replaced_node
from oracle.causes.arithmetic.roles import code_of_number
from oracle.networks.lowered import LoweredNode
from oracle.networks.network import Edits
from oracle.networks.node_reading import numbers, place, with_literal

# Nodes after the first divergent one within which a decomposed layer keeps its scalars.
_REACH = 40
_WINDOWS, _LARGEST = 12, 64
# What a setting is called in the frameworks, and the code of the cause where it differs.
CODES = {
    "eps": "eps", "epsilon": "eps", "variance_epsilon": "eps", "layer_norm_eps": "eps",
    "momentum": "momentum-convention", "exponential_avg_factor": "momentum-convention",
    "negative_slope": "activation-slope", "alpha": "activation-slope", "slope": "activation-slope",
    "beta": "activation-slope", "threshold": "activation-slope", "lambd": "activation-slope",
    "correction": "variance-ddof", "ddof": "variance-ddof", "scale": "attention-scale",
    "label_smoothing": "label-smoothing",
}  # fmt: skip


@hypothesis(priority=20)
def scalar(context: Context) -> Iterator[Candidate]:
    """Each scalar of B's divergent region takes each scalar of A's."""
    region_a, region_b = context.at_a.region[:_REACH], context.at_b.region[:_REACH]
    values_a = _scalars(context.a, region_a)
    for name_b, value_b, node_b, edit in _places(context, region_b):
        for name_a, value_a, node_a in values_a:
            if np.float32(value_a) != np.float32(value_b) and np.sign(value_a) == np.sign(value_b):
                yield _candidate(context, (name_a, value_a, node_a), (name_b, value_b, node_b), edit(value_a))


@hypothesis(priority=24)
def scaled_by_a_count(context: Context) -> Iterator[Candidate]:
    """A number of B is meant for a sum of n elements, A's for their mean: it is multiplied, or divided, by n.

    So the alpha of a local response normalisation: torch divides the sum of squares by the size of the window.
    """
    node_a = context.at_a.first[0] if context.at_a.first else None
    near = (*context.at_a.region[:_WINDOWS], *context.at_b.region[:_WINDOWS])
    counts = {int(n) for node in near for _, n in numbers(node) if float(n).is_integer() and 1 < n <= _LARGEST}
    counts |= {2 * n + 1 for n in counts}  # a radius for a size
    for name, value, node, edit in _places(context, context.at_b.first):
        for n in sorted(counts) if value and not float(value).is_integer() else ():
            for changed, words in ((value * n, f"{n} {name or 'number'}"), (value / n, f"{name or 'number'} / {n}")):
                yield Candidate(
                    "reduction",
                    edit(changed),
                    node_a,
                    node,
                    fix_a=f"take the mean over {n} elements for their sum, or the sum for the mean, at {place(node_a)}",
                    fix_b=setting_fix(context.b, node, name, changed),
                    detail=f"{name or 'a number'} = {value:g} of {{B}} goes with a sum over {n} elements on one side, "
                    f"with their mean on the other: {{A}} computes what {words} = {changed:g} means ({place(node)})",
                )


def _scalars(side: Side, region: Iterable[LoweredNode]) -> list[tuple[str, float, LoweredNode]]:
    found: dict[float, tuple[str, float, LoweredNode]] = {}
    for node in region:
        for path, value in numbers(node):
            if not float(value).is_integer() or "eps" in str(path[-1]):
                found.setdefault(value, (str(path[-1]), value, node))
        for i in node.reals:
            array = side.run.values[i]
            if array.size == 1 and side.network.trace.values[i].role == "constant":
                found.setdefault(float(array.reshape(())), ("", float(array.reshape(())), node))
        for name, setting in layer.settings.items() if (layer := layer_of(side, node)) else ():
            if isinstance(setting, float) and math.isfinite(setting):
                found.setdefault(setting, (name, setting, node))
    return list(found.values())


def _places(context: Context, region: Iterable[LoweredNode]) -> Iterator[tuple]:
    """(name, value, node, value -> edits) for every scalar that B's region reads."""
    side = context.b
    for node in region:
        for path, value in numbers(node):
            if not float(value).is_integer() or "eps" in str(path[-1]):
                yield str(path[-1]), value, node, _literal_edit(side, node, path)
        for i in node.reals:
            array = side.run.values[i]
            if array.size == 1 and side.network.trace.values[i].role == "constant":
                yield "", float(array.reshape(())), node, _leaf_edit(i, array.shape)


def _literal_edit(side: Side, node: LoweredNode, path: tuple) -> object:
    return lambda value: replaced_node(side, node, with_literal(node.node, path, value))


def _leaf_edit(leaf: int, shape: tuple[int, ...]) -> object:
    return lambda value: Edits(leaves={leaf: np.full(shape, value)})


def _candidate(context: Context, a: tuple, b: tuple, edits: Edits) -> Candidate:
    (name_a, value_a, node_a), (name_b, value_b, node_b) = a, b
    setting_a = setting_name(context.a, node_a, value_a) or name_a
    setting_b = setting_name(context.b, node_b, value_b) or name_b
    named = CODES.get(setting_b) or CODES.get(setting_a)
    code = (
        named or code_of_number(context.b, node_b, value_b) or code_of_number(context.a, node_a, value_a) or "constant"
    )
    return Candidate(
        code,
        edits,
        node_a,
        node_b,
        fix_a=setting_fix(context.a, node_a, setting_a, value_b),
        fix_b=setting_fix(context.b, node_b, setting_b, value_a),
        detail=f"{setting_a or setting_b or 'constant'}: {value_a:g} in {{A}}, {value_b:g} in {{B}} ({place(node_b)})",
    )


def setting_name(side: Side, node: LoweredNode, value: float) -> str:
    """The layer's setting that holds `value` (to float32), if one does."""
    layer = layer_of(side, node)
    for name, setting in (layer.settings if layer else {}).items():
        if (
            isinstance(setting, int | float)
            and not isinstance(setting, bool)
            and np.float32(setting) == np.float32(value)
        ):
            return name
    return ""


def setting_fix(side: Side, node: LoweredNode, name: str, value: object) -> str:
    """`nn.BatchNorm2d(..., eps=0.001)  # bn1`: the layer as its user writes it, with the setting changed."""
    layer = layer_of(side, node)
    kind = layer.kind if layer and layer.kind else node.node.op
    shown = f"{value:g}" if isinstance(value, float) else repr(value)
    where = f"  # {node.node.scope}" if node.node.scope else ""
    return f"{kind}(..., {name or 'constant'}={shown}){where}"
