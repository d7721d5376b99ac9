"""Another activation: the other GELU, a hard sigmoid with another slope, relu for relu6.

An activation is recognised by its effect on a value that both sides have, whatever operations compute it.
"""

import functools
from collections.abc import Iterator, Mapping

import numpy as np

from oracle.alignments.alignment import Side
from oracle.causes import Candidate, Context, hypothesis, layer_of, replaced_output
from oracle.causes.arithmetic.elementwise import ROUNDINGS, Function, agree, code_of, identify, named_function
from oracle.causes.local import Wanted, downstream, goes_on
from oracle.networks.lowered import LoweredNode
from oracle.networks.network import Values
from oracle.networks.node_reading import place

_REGION = 20
_BEHIND = 4


@hypothesis(priority=17)
def other_activation(context: Context) -> Iterator[Candidate]:
    """B's activation of a common value is replaced by the activation that A applies to it."""
    if context.kind == "parameters":  # an update rule has no activations
        return
    wanted = Wanted(context)
    for x_b, node_b, name_b in _applied(context.b, context.at_b.region[:_REGION], context.alignment.b_to_a):
        for x_a in context.matched(x_b):
            for name_a, node_a in _known(context.a, x_a, context.at_a.region[:_REGION]):
                if name_a == name_b or "identity" in (name_a, name_b):
                    continue
                if not _one_too_many(context.b, x_b, node_b, (name_b, name_a)) and not _one_too_many(
                    context.a, x_a, node_a, (name_a, name_b)
                ):
                    candidate = _candidate(context, x_b, (node_a, name_a), (node_b, name_b))
                    if candidate.code != "operation" or goes_on(context, wanted, candidate.edits, node_b):
                        yield candidate


def _candidate(context: Context, x_b: int, a: tuple[LoweredNode, str], b: tuple[LoweredNode, str]) -> Candidate:
    (node_a, name_a), (node_b, name_b) = a, b
    return Candidate(
        code_of(name_a, name_b),
        replaced_output(node_b, functools.partial(_apply, named_function(name_a), x_b)),
        node_a,
        node_b,
        fix_a=_fix(context.a, node_a, name_b),
        fix_b=_fix(context.b, node_b, name_a),
        detail=f"{name_a} in {{A}}, {name_b} in {{B}}",
    )


def _one_too_many(side: Side, x: int, node: LoweredNode, names: tuple[str, str]) -> bool:
    """Whether the side applies the other's activation too, right after its own or in it: then there is one too many.

    `names` are its own and the other's; another form of the other's counts, where its own is none.
    """
    own, name = names
    if name in ROUNDINGS:  # half up is down, of the value and one half: none too many
        return False
    y = side.run.values[node.outputs[0]]
    later = (n for n in downstream(side, node.outputs[0], _BEHIND) if n.outputs and not n.moves)
    behind = [(y, side.run.values[n.outputs[0]]) for n in later]
    within = [(side.run.values[i], y) for i in node.reals if i != x]
    pairs = [(u, v) for u, v in (*behind, *within) if u.shape == v.shape]
    with np.errstate(all="ignore"):
        if any(agree(named_function(name)(u), v) for u, v in pairs):
            return True
        if code_of(own, name) != "activation-variant":
            return False
        forms = (identify(u.reshape(-1), v.reshape(-1)) for u, v in pairs)
        return any(form and code_of(form, name) in ("gelu-form", "activation-slope") for form in forms)


def _apply(function: Function, x: int, values: Values) -> np.ndarray:
    with np.errstate(all="ignore"):
        return function(values[x])


def _applied(
    side: Side, region: tuple[LoweredNode, ...], matches: Mapping[int, tuple[int, ...]]
) -> Iterator[tuple[int, LoweredNode, str]]:
    """(input, node, activation) for nodes that make an activation of a value with a counterpart."""
    inputs = [i for node in region for i in node.reals if matches.get(i) and side.run.values[i].size > 1]
    for x in dict.fromkeys(inputs):
        for name, node in _known(side, x, region):
            yield x, node, name


def _known(side: Side, x: int, region: tuple[LoweredNode, ...]) -> Iterator[tuple[str, LoweredNode]]:
    """The activations of value `x` that nodes of the region make, by their effect."""
    array = side.run.values[x]
    for node in region:
        y = side.run.values[node.outputs[0]]
        if y.shape == array.shape and array.size > 1:
            name = identify(array.reshape(-1), y.reshape(-1))
            if name:
                yield name, node


_WRITTEN = {
    "torch": {
        "gelu (erf)": "torch.nn.GELU()", "gelu (tanh)": 'torch.nn.GELU(approximate="tanh")', "relu": "torch.nn.ReLU()",
        "relu6": "torch.nn.ReLU6()", "silu": "torch.nn.SiLU()", "mish": "torch.nn.Mish()", "tanh": "torch.nn.Tanh()",
        "sigmoid": "torch.nn.Sigmoid()", "hard_sigmoid (x/6 + 1/2)": "torch.nn.Hardsigmoid()",
        "hard_swish": "torch.nn.Hardswish()", "elu": "torch.nn.ELU()", "selu": "torch.nn.SELU()",
        "softplus": "torch.nn.Softplus()", "softsign": "torch.nn.Softsign()", "hard_tanh": "torch.nn.Hardtanh()",
        "leaky_relu(": "torch.nn.LeakyReLU({0})", "elu(": "torch.nn.ELU(alpha={0})",
        "celu(": "torch.nn.CELU(alpha={0})",
        "softplus(": "torch.nn.Softplus(beta={0})", "soft_shrink(": "torch.nn.Softshrink({0})",
        "hard_sigmoid (0.2 x + 1/2)": "torch.clamp(0.2 * x + 0.5, 0, 1)",
    },
    "keras": {
        "gelu (erf)": "keras.activations.gelu(x, approximate=False)", "relu": "keras.activations.relu(x)",
        "gelu (tanh)": "keras.activations.gelu(x, approximate=True)", "relu6": "keras.activations.relu6(x)",
        "silu": "keras.activations.silu(x)", "mish": "keras.activations.mish(x)", "tanh": "keras.activations.tanh(x)",
        "sigmoid": "keras.activations.sigmoid(x)", "hard_swish": "keras.activations.hard_silu(x)",
        "hard_sigmoid (x/6 + 1/2)": "keras.activations.hard_sigmoid(x)", "elu": "keras.activations.elu(x)",
        "selu": "keras.activations.selu(x)", "softplus": "keras.activations.softplus(x)",
        "softsign": "keras.activations.softsign(x)", "hard_tanh": "keras.activations.hard_tanh(x)",
        "leaky_relu(": "keras.layers.LeakyReLU(negative_slope={0})", "elu(": "keras.layers.ELU(alpha={0})",
        "hard_sigmoid (0.2 x + 1/2)": "keras.ops.clip(0.2 * x + 0.5, 0, 1)",
    },
    "jax": {
        "gelu (erf)": "jax.nn.gelu(x, approximate=False)", "gelu (tanh)": "jax.nn.gelu(x, approximate=True)",
        "relu": "jax.nn.relu(x)", "relu6": "jax.nn.relu6(x)", "silu": "jax.nn.silu(x)", "mish": "jax.nn.mish(x)",
        "sigmoid": "jax.nn.sigmoid(x)", "hard_sigmoid (x/6 + 1/2)": "jax.nn.hard_sigmoid(x)", "elu": "jax.nn.elu(x)",
        "selu": "jax.nn.selu(x)", "leaky_relu(": "jax.nn.leaky_relu(x, {0})", "elu(": "jax.nn.elu(x, alpha={0})",
        "celu(": "jax.nn.celu(x, alpha={0})",
    },
}  # fmt: skip


def _fix(side: Side, node: LoweredNode, name: str) -> str:
    """The activation as the side's framework writes it, where it has a name there."""
    layer = layer_of(side, node)
    api = "keras" if layer is not None and layer.kind.startswith("keras") else side.network.trace.framework
    known = _WRITTEN.get(api, {})
    family, _, rest = name.rpartition("(")
    written = known.get(name) or known.get(f"{family}(", "").format(rest.rstrip(")"))
    return f"{written or name}  # at {place(node)}"
