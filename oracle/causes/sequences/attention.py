"""Attention under another scale, mask or bias: 1/sqrt(d) left out, a causal mask shifted, padding attended to."""

import functools
import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from oracle.alignments.alignment import Side
from oracle.causes import Candidate, Context, after, hypothesis
from oracle.causes.local import Wanted, soon
from oracle.causes.sequences.attending import Attention, attentions, is_stored, softmax
from oracle.causes.sequences.masks import padded_steps
from oracle.causes.sequences.shifts import NO_MASK, Shift, causal, hiding
from oracle.networks.lowered import LoweredNode
from oracle.networks.network import Edits

_REGION = 60
_SOON = 14
# Steps before an attention within which its queries and keys are looked for; a mask has few different numbers.
_NEAR, _FEW = 12, 8
_PRODUCTS = ("mm", "matmul", "dot", "linear", "einsum", "conv")
Probabilities = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Variant:
    """Attention as A may have it: code, how A has it, how B has it, and the edit of B."""

    code: str
    in_a: str
    in_b: str
    edits: Edits


@hypothesis(priority=8)
def other_attention(context: Context) -> Iterator[Candidate]:
    """The probabilities of B's attention become those of A's scale, or of A's mask."""
    wanted = Wanted(context)
    for attention in attentions(context.b, context.at_b.region[:_REGION]):
        if not _is_reached(context, attention):
            continue
        proposed = False
        for variant in (*_scores_scaled(context, attention), *_variants(context, attention)):
            candidate = _tested(context, wanted, attention, variant)
            if candidate is not None:
                proposed = True
                yield candidate
        if not proposed and attention.level is None:
            yield from _scaled_and_masked(context, wanted, attention)


def _is_reached(context: Context, attention: Attention) -> bool:
    """Whether anything of its queries, keys and values is in line: else the meanings part before this attention."""
    side, wanted = context.b, list(attention.node.reals)
    for _ in range(_NEAR):
        data = [i for i in wanted if not is_stored(side, i)]
        if any(context.matched(i) and np.unique(side.run.values[i]).size > _FEW for i in data):
            return True
        makers = [side.producers[i] for i in data if i in side.producers]
        # A projection's result is in line if its operand is.
        projecting = [n for n in makers if any(w in n.node.op.lower() for w in _PRODUCTS)]
        stored = [n for n in projecting if any(is_stored(side, k) for k in n.reals)]
        wanted = [i for n in makers if n not in stored for i in n.reals]
    return False


def _scores_scaled(context: Context, attention: Attention) -> Iterator[Variant]:
    """The scores themselves, where a node makes them, under another scale: a mask may differ as well."""
    producer = context.b.producers.get(attention.level) if attention.level is not None else None
    if producer is not None:
        for factor, words in _scales(context, attention):
            yield Variant("attention-scale", *words, after(context.b, producer, functools.partial(np.multiply, factor)))


def _scaled_and_masked(context: Context, wanted: Wanted, attention: Attention) -> Iterator[Candidate]:
    """Another scale and another mask together, where a fused operation shows neither by itself."""
    own = attention.shift
    others = list(_shifts(context, attention))
    for factor, words in _scales(context, attention):
        alone = attention.edit(functools.partial(_scaled, factor, own))
        for other in others:
            both = attention.edit(functools.partial(_scaled, factor, other))
            found = _tested(context, wanted, attention, Variant("attention-mask", other.words, own.words, both))
            if found is not None:
                scale = _candidate(context, (attention.node, found.node_a), Variant("attention-scale", *words, alone))
                yield replace(scale, also=(found,))


def _variants(context: Context, attention: Attention) -> Iterator[Variant]:
    own = attention.shift
    for factor, words in _scales(context, attention):
        yield Variant("attention-scale", *words, attention.edit(functools.partial(_scaled, factor, own)))
    for other in _shifts(context, attention):
        edits = attention.edit(functools.partial(_scaled, 1.0, other))
        yield Variant(_code(own, other), other.words, own.words, edits)
        if other.hidden is not None:
            yield _late(attention, other, other.hidden)
    if own.hidden is not None:
        yield _late(attention, own, own.hidden)


def _scaled(factor: float, shift: Shift, scores: np.ndarray) -> np.ndarray:
    return softmax(shift.logits(factor * scores))


def _late(attention: Attention, shift: Shift, hidden: np.ndarray) -> Variant:
    """The mask of `shift` after the softmax: the probabilities no longer sum to one."""
    edits = attention.edit(lambda scores: np.where(hidden, 0.0, softmax(scores)))
    return Variant("attention-mask", f"{shift.words}, masked after the softmax", attention.shift.words, edits)


def _code(own: Shift, other: Shift) -> str:
    """The mask; a bias of positions where both hide the same."""
    codes = [s.code for s in (own, other) if s.code != "attention-mask"]
    return codes[0] if codes and own.hides_as(other) else "attention-mask"


def _scales(context: Context, attention: Attention) -> Iterator[tuple[float, tuple[str, str]]]:
    """Factors between two scales that are used: those of the head, of the model, of the length, or none."""
    side = context.b
    d = attention.size
    if not d:  # no product of queries and keys makes these scores: they have no scale
        return
    shapes = {n for i in context.b.run.values if i in side.consumers for n in side.run.values[i].shape[-1:]}
    near = {d, *(k * d for k in (2, 3, 4, 6, 8, 12, 16)), *(n for n in shapes if n > 1)}
    named: dict[float, str] = {1.0: "1"}
    for n in sorted(near - {0, 1}, key=lambda n: (n != d, n))[:24]:
        named.setdefault(n**-0.5, f"1/sqrt({n})")
        named.setdefault(1 / n, f"1/{n}")
        named.setdefault(n**0.5, f"sqrt({n})")
    own = attention.scale or d**-0.5
    if math.isclose(own, 1.0):  # queries or keys may be scaled already: another head's or model's size
        for a, b in itertools.permutations(sorted(near - {0, 1})[:12], 2):
            named.setdefault(math.sqrt(a / b), f"1/sqrt({b}) for 1/sqrt({a})")
    present = next((name for scale, name in named.items() if math.isclose(scale, own, rel_tol=1e-6)), f"{own:g}")
    for scale, name in named.items():
        if name != present:
            yield scale / own, (f"the scale {name}", f"the scale {present}")


def _shifts(context: Context, attention: Attention) -> Iterator[Shift]:
    """What A may do to the scores: nothing, what its attentions do, or hide positions, padding, or the opposite."""
    own, scores = attention.shift, attention.scores(context.b.run.values)
    shape = scores.shape
    positions = [(np.broadcast_to(c, shape), w) for c, w in causal(*shape[-2:])]
    padding = [(np.broadcast_to(p, shape), w) for p, w in padded_steps(context, shape)]
    found = [NO_MASK]
    for theirs in attentions(context.a, context.at_a.region[:_REGION]):
        at = theirs.scores(context.a.run.values).shape
        if math.prod(at) == scores.size:
            found.append(theirs.shift.reshaped(shape, at))
    if own.hidden is not None:
        found.append(hiding(~own.hidden, "the mask inverted"))
    found += [hiding(h, w) for h, w in (*positions, *padding)]
    found += [hiding(c | p, f"{w} and {v}") for c, w in positions for p, v in padding]
    if own.hidden is not None:
        found += [hiding(own.hidden | p, f"{own.words} and {w}") for p, w in padding]
    yield from (shift for shift in found if not (shift.plain and own.plain and shift.hides_as(own)))


def _tested(context: Context, wanted: Wanted, attention: Attention, variant: Variant) -> Candidate | None:
    behind = attention.level is not None and any("attention" in n.node.op for n in context.at_a.region[:_REGION])
    found = soon(context, wanted, variant.edits, _SOON if behind else 1)
    return None if found is None else _candidate(context, (attention.node, wanted.node(found)), variant)


def _candidate(context: Context, nodes: tuple[LoweredNode, LoweredNode | None], variant: Variant) -> Candidate:
    node, node_a = nodes
    return Candidate(
        variant.code,
        variant.edits,
        node_a,
        node,
        fix_a=_fix(context.a, variant.code, variant.in_b),
        fix_b=_fix(context.b, variant.code, variant.in_a),
        detail=f"attention has {variant.in_a} in {{A}}, {variant.in_b} in {{B}}",
        tested=True,
    )


_OPTIONS = {
    ("torch", "positional-encoding"): "a float attn_mask= is added to the scores",
    ("tensorflow", "positional-encoding"): "add the bias to the scores before the softmax",
    ("jax", "positional-encoding"): "jax.nn.dot_product_attention(..., bias=)",
    ("torch", "attention-scale"): "F.scaled_dot_product_attention(q, k, v, scale=...), or a factor of q @ k.mT",
    ("torch", "attention-mask"): "attn_mask=, is_causal=, key_padding_mask=; True of a boolean attn_mask takes part",
    ("tensorflow", "attention-scale"): "a factor of the scores; keras.layers.MultiHeadAttention has 1/sqrt(key_dim)",
    ("tensorflow", "attention-mask"): "attention_mask=, use_causal_mask=, mask_zero=; True takes part",
    ("jax", "attention-scale"): "jax.nn.dot_product_attention(q, k, v, scale=...), or a factor of the scores",
    ("jax", "attention-mask"): "jax.nn.dot_product_attention(..., mask=, is_causal=); True takes part",
}


def _fix(side: Side, code: str, words: str) -> str:
    return f"have {words} ({_OPTIONS[side.network.trace.framework, code]})"
