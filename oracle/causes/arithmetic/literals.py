"""An argument that differs: a flag, a mode, a padding, a reduction. B's argument takes A's value, or the other flag."""

from collections.abc import Iterator
from typing import Any

from oracle.causes import Candidate, Context, hypothesis, layer_of, replaced_node
from oracle.causes.arithmetic.factors import code_of_ratio
from oracle.causes.arithmetic.roles import code_of_number
from oracle.causes.normalisations.modes import mode_fix
from oracle.networks.lowered import LoweredNode
from oracle.networks.node_reading import Path, arguments, place, with_literal
from oracle.trace import Tree, references

# What a differing argument means, by a word in its name; the first that fits, and of several arguments the first named.
_CODES = (
    ("kernel", "pooling-window"), ("ksize", "pooling-window"), ("groups", "groups"),
    ("feature_group_count", "groups"), ("dilat", "dilation"), ("stride", "stride"),
    ("approximate", "gelu-form"), ("training", "train-eval-mode"), ("train", "train-eval-mode"),
    ("eps", "eps"), ("momentum", "momentum-convention"), ("correction", "variance-ddof"), ("unbiased", "variance-ddof"),
    ("padding_idx", "embedding-padding"), ("count_include_pad", "pool-padding"), ("count_padding", "pool-padding"),
    ("ceil_mode", "pool-padding"),
    ("label_smoothing", "label-smoothing"), ("reduction", "reduction"), ("is_causal", "attention-mask"),
    ("align", "resize-convention"), ("half_pixel", "resize-convention"), ("antialias", "resize-convention"),
    ("negative_slope", "activation-slope"), ("alpha", "activation-slope"), ("slope", "activation-slope"),
    ("reverse", "reverse-direction"), ("batch_first", "batch-first"), ("padding", "padding"), ("pad", "padding"),
    ("transpose", "kernel-layout"), ("rounding_mode", "division"), ("scale", "attention-scale"),
    ("largest", "sort-order"),
    ("descending", "sort-order"), ("interpolation", "quantile-interpolation"), ("exclusive", "cumulative-exclusive"),
)  # fmt: skip
_OF_POOLS = {"padding": "pool-padding", "stride": "pooling-window", "dilation": "pooling-window"}
# What any differing argument of an operation means, by a word in the operation's name, where arguments tell nothing.
_OF_OPERATIONS = (
    ("constant_pad", "padding"), ("upsample", "resize-convention"), ("resize", "resize-convention"),
    ("affine_grid", "resize-convention"),
    ("softmax", "softmax-axis"),
    ("permute", "data-layout"), ("transpose", "data-layout"), ("view", "data-layout"), ("reshape", "data-layout"),
    ("flip", "reverse-direction"), ("reverse", "reverse-direction"), ("layer_norm", "normalization-axes"),
    ("group_norm", "normalization-axes"), ("pool", "pooling-window"), ("clamp", "clip-bounds"), ("clip", "clip-bounds"),
    ("hardtanh", "clip-bounds"),
    ("mean", "reduction-axis"), ("sum", "reduction-axis"), ("max", "reduction-axis"), ("min", "reduction-axis"),
    ("var", "reduction-axis"), ("norm", "reduction-axis"), ("cumsum", "reduction-axis"), ("select", "indexing"),
    ("slice", "indexing"), ("gather", "indexing"), ("take", "indexing"), ("roll", "indexing"),
    ("tril", "attention-mask"), ("triu", "attention-mask"), ("masked_fill", "attention-mask"),
    ("mul", "constant-factor"), ("div", "constant-factor"), ("add", "constant"), ("sub", "constant"),
)  # fmt: skip


@hypothesis(priority=10)
def same_operation(context: Context) -> Iterator[Candidate]:
    """Both sides run the same operation with other literals: B's takes A's, one argument at a time, then all."""
    for node_b in context.at_b.first:
        for node_a in context.at_a.first:
            if node_a.node.op != node_b.node.op:
                continue
            of_a, of_b = _arguments(node_a), _arguments(node_b)
            differing = [n for n in of_b if n in of_a and of_a[n][1] != of_b[n][1]]
            for name in differing:
                yield _candidate(context, node_a, node_b, [name])
            if len(differing) > 1:
                yield _candidate(context, node_a, node_b, sorted(differing, key=_rank))


@hypothesis(priority=5)
def padding_index(context: Context) -> Iterator[Candidate]:
    """An embedding that leaves a row untrained: by convention, before its gradient is called wrong."""
    yield from _turned_flags(context, ("padding_idx",))


@hypothesis(priority=25)
def other_flag(context: Context) -> Iterator[Candidate]:
    """A flag of an operation of B's region is turned; a choice of few takes another value."""
    yield from _turned_flags(context)


def _turned_flags(context: Context, only: tuple[str, ...] = ()) -> Iterator[Candidate]:
    node_a = context.at_a.first[0] if context.at_a.first else None
    for node in context.at_b.region[:8]:
        for name, (path, value) in arguments(node).items():
            for other in _alternatives(name, value) if not only or name in only else ():
                yield Candidate(
                    code_of(name, node),
                    replaced_node(context.b, node, with_literal(node.node, path, other)),
                    node_a,
                    node,
                    fix_a=_fix(context.a, node_a, name, value) if node_a is not None else "",
                    fix_b=_fix(context.b, node, name, other),
                    detail=f"{name} is {value!r} in {{B}} ({place(node)}); {{A}} computes what {other!r} means",
                )


def _alternatives(name: str, value: Any) -> list[Any]:
    if isinstance(value, bool):
        return [not value]
    if name == "approximate":
        return [{"none": "tanh", "tanh": "none"}.get(value)]
    if name in ("reduction",) and isinstance(value, int):
        return [r for r in (0, 1, 2) if r != value]
    if name == "padding" and value in ("SAME", "VALID"):
        return [{"SAME": "VALID", "VALID": "SAME"}[value]]
    if name == "padding_idx":
        return [-1] if value >= 0 else [0]
    if name == "correction" and value in (0, 1):
        return [1 - value]
    return []


def _rank(name: str) -> int:
    """The place of an argument in the list of codes: a padding that goes with a dilation comes behind it."""
    return next((k for k, (word, _) in enumerate(_CODES) if word in name.lower()), len(_CODES))


def code_of(name: str, node: LoweredNode) -> str:
    """The code of a differing argument called `name`."""
    pooling = "pool" in node.node.op.lower()
    for word, code in _CODES:
        if word in name.lower():
            return _OF_POOLS.get(code, code) if pooling else code
    return next((code for word, code in _OF_OPERATIONS if word in node.node.op.lower()), "argument")


def _arguments(node: LoweredNode) -> dict[str, tuple[Path, Tree]]:
    """The literal arguments by name; by place where an operation without a lowering has no names for them."""
    if node.signature is not None:
        return arguments(node)
    found: dict[str, tuple[Path, Tree]] = {
        f"argument {k + 1}": (("inputs", k), tree) for k, tree in enumerate(node.node.inputs)
    }
    found |= {name: (("attrs", name), tree) for name, tree in node.node.attrs.items()}
    return {name: (path, tree) for name, (path, tree) in found.items() if not any(True for _ in references(tree))}


def _code(context: Context, node: LoweredNode, name: str, values: tuple[Any, Any]) -> str:
    """The code by what is done with a bare number, A's and B's, else by the argument's name."""
    if any(isinstance(v, bool) or not isinstance(v, int | float) for v in values):
        return code_of(name, node)
    code, (theirs, ours) = code_of_number(context.b, node, values[1]) or code_of(name, node), values
    return code_of_ratio(theirs / ours, context, node) or code if code == "constant-factor" and ours else code


def _candidate(context: Context, node_a: LoweredNode, node_b: LoweredNode, names: list[str]) -> Candidate:
    of_a, of_b = _arguments(node_a), _arguments(node_b)
    changed = node_b.node
    for name in names:
        changed = with_literal(changed, of_b[name][0], of_a[name][1])
    shown = ", ".join(f"{n}: {of_a[n][1]!r} in {{A}}, {of_b[n][1]!r} in {{B}}" for n in names)
    code = _code(context, node_b, names[0], (of_a[names[0]][1], of_b[names[0]][1]))
    if code == "activation-slope" and len(names) > 1:  # selu is elu with another slope and a scale
        code = "activation-variant"
    return Candidate(
        code,
        replaced_node(context.b, node_b, changed),
        node_a,
        node_b,
        fix_a="; ".join(_fix(context.a, node_a, n, of_b[n][1]) for n in names),
        fix_b="; ".join(_fix(context.b, node_b, n, of_a[n][1]) for n in names),
        detail=shown,
    )


def _fix(side: Any, node: LoweredNode, name: str, value: Any) -> str:
    """The argument as the side's user writes it; in words where the side has no such argument."""
    if name in ("training", "train", "is_training") and isinstance(value, bool):
        return mode_fix(side, node, value)
    layer = layer_of(side, node)
    settings = layer.settings if layer is not None else {}
    where = f"  # {node.node.scope}" if node.node.scope else ""
    shown = None if (name, value) == ("padding_idx", -1) else value
    if name not in settings and name not in _arguments(node):
        return f"do what {name}={shown!r} means at {place(node)}"
    return f"{layer.kind if layer is not None and name in settings else node.node.op}(..., {name}={shown!r}){where}"
