"""What a bare number means, by what is done with it: a small number under a root is an eps, whatever it is called."""

from oracle.alignments.alignment import Side
from oracle.networks.lowered import LoweredNode

_ADDING = ("add", "max", "clamp", "clip")
# What follows a number that keeps a norm, a logarithm or a divisor from zero.
_GUARDED = ("sqrt", "log", "recip", "norm")
_DIVIDING = ("div", "truediv")
_POWERS = ("pow",)
_ACTIVATIONS = (
    "softplus",
    "elu",
    "selu",
    "celu",
    "leaky",
    "threshold",
    "hardtanh",
    "hardshrink",
    "softshrink",
    "swish",
)
# How many operations may stand between, casts and multiplications.
_STEPS = 2
_SMALL_EPS = 0.5


def code_of_number(side: Side, node: LoweredNode, value: float) -> str:
    """The code of a cause in which `node` reads another number; empty where its use says nothing."""
    op = node.node.op.lower()
    if any(word in op for word in _ACTIVATIONS):
        return "activation-slope"
    if any(word in op for word in _ADDING) and 0 < value < _SMALL_EPS and keeps_from_zero(side, node):
        return "eps"
    return ""


def keeps_from_zero(side: Side, node: LoweredNode) -> bool:
    """Whether a root, a logarithm or a division by it follows the node's result."""
    reached = set(node.outputs)
    for _ in range(_STEPS):
        following = [c for o in reached for c in side.consumers.get(o, ())]
        for c in following:
            op = c.node.op.lower()
            if any(word in op for word in (*_GUARDED, *_POWERS)):
                return True
            if any(word in op for word in _DIVIDING) and c.node.reads[-1:] and c.node.reads[-1] in reached:
                return True
        reached = {o for c in following for o in c.outputs}
    return False
