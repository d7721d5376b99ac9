"""Attention under another scale or mask: 1/sqrt(d) left out, a causal mask missing or shifted, padding attended to."""

import functools
import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from oracle.alignment import Side
from oracle.causes import Candidate, Context, after, hypothesis
from oracle.causes.attending import Attention, attentions, softmax
from oracle.causes.local import Wanted, soon
from oracle.causes.masks import padded_steps
from oracle.lowered import LoweredNode
from oracle.network import Edits

_REGION = 60
_SOON = 14
_LEAKS = (1e4, 1e3, 100.0, 10.0, 1.0)
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
        proposed = False
        for variant in (*_scores_scaled(context, attention), *_variants(context, attention)):
            candidate = _tested(context, wanted, attention, variant)
            if candidate is not None:
                proposed = True
                yield candidate
        if not proposed and attention.level is None:
            yield from _scaled_and_masked(context, wanted, attention)


def _scores_scaled(context: Context, attention: Attention) -> Iterator[Variant]:
    """The scores themselves, where a node makes them, under another scale: a mask may differ as well."""
    producer = context.b.producers.get(attention.level) if attention.level is not None else None
    if producer is not None:
        for factor, words in _scales(context, attention):
            yield Variant("attention-scale", *words, after(context.b, producer, functools.partial(np.multiply, factor)))


def _scaled_and_masked(context: Context, wanted: Wanted, attention: Attention) -> Iterator[Candidate]:
    """Another scale and another mask together, where a fused operation shows neither by itself."""
    own = _described(attention.hidden)
    masks = list(_masks(context, attention))
    for factor, words in _scales(context, attention):
        alone = attention.edit(functools.partial(_scaled, factor, attention.hidden))
        for hidden, name in masks:
            both = attention.edit(functools.partial(_scaled, factor, hidden))
            found = _tested(context, wanted, attention, Variant("attention-mask", name, own, both))
            if found is not None:
                scale = _candidate(context, (attention.node, found.node_a), Variant("attention-scale", *words, alone))
                yield replace(scale, also=(found,))


def _variants(context: Context, attention: Attention) -> Iterator[Variant]:
    def variant(code: str, words: tuple[str, str], probabilities: Probabilities) -> Variant:
        return Variant(code, *words, attention.edit(probabilities))

    own = _described(attention.hidden)
    for factor, words in _scales(context, attention):
        yield variant("attention-scale", words, functools.partial(_scaled, factor, attention.hidden))
    for hidden, name in _masks(context, attention):
        yield variant("attention-mask", (name, own), functools.partial(_masked, hidden))
        for kind, compute in _leaking(hidden):
            yield variant("attention-mask", (f"{name}, {kind}", own), compute)
    for kind, compute in _leaking(attention.hidden):
        yield variant("attention-mask", (f"{own}, {kind}", own), compute)


def _scaled(factor: float, hidden: np.ndarray | None, scores: np.ndarray) -> np.ndarray:
    return _masked(hidden, factor * scores)


def _masked(hidden: np.ndarray | None, scores: np.ndarray) -> np.ndarray:
    return softmax(scores if hidden is None else np.where(hidden, -np.inf, scores))


def _leaking(hidden: np.ndarray | None) -> Iterator[tuple[str, Probabilities]]:
    """Masks that hide incompletely: a finite value added, zeros for scores, a mask after the softmax."""
    if hidden is None:
        return
    for value in _LEAKS:
        yield f"masked by adding -{value:g}", functools.partial(_added, hidden, value)
        yield f"masked scores set to -{value:g}", functools.partial(_filled, hidden, value)
    yield "masked scores set to 0", lambda scores: softmax(np.where(hidden, 0.0, scores))
    yield "masked after the softmax", lambda scores: np.where(hidden, 0.0, softmax(scores))


def _added(hidden: np.ndarray, value: float, scores: np.ndarray) -> np.ndarray:
    return softmax(scores - value * hidden)


def _filled(hidden: np.ndarray, value: float, scores: np.ndarray) -> np.ndarray:
    return softmax(np.where(hidden, -value, scores))


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


def _masks(context: Context, attention: Attention) -> Iterator[tuple[np.ndarray | None, str]]:
    """What may be hidden: nothing, later or earlier positions, padding, both, or the opposite of what is."""
    own = attention.hidden
    scores = attention.scores(context.b.run.values)
    causal = _causal(*scores.shape[-2:])
    padding = [(np.broadcast_to(p, scores.shape), w) for p, w in padded_steps(context, scores.shape)]
    found: list[tuple[np.ndarray | None, str]] = [(None, "no mask")] if own is not None else []
    theirs = [a.hidden for a in attentions(context.a, context.at_a.region[:_REGION])]
    found += [(h.reshape(scores.shape), _described(h)) for h in theirs if h is not None and h.size == scores.size]
    if own is not None:
        found.append((~own, "the mask inverted"))
    found += [(np.broadcast_to(c, scores.shape), w) for c, w in causal]
    found += padding
    found += [(np.broadcast_to(c, scores.shape) | p, f"{w} and {v}") for c, w in causal for p, v in padding]
    if own is not None:
        found += [(own | p, f"{_described(own)} and {w}") for p, w in padding]
    for hidden, name in found:
        same = hidden is own or (hidden is not None and own is not None and np.array_equal(hidden, own))
        if not same:
            yield hidden, name


def _causal(rows: int, columns: int) -> list[tuple[np.ndarray, str]]:
    shifts = {0: "later positions hidden", -1: "later positions and the own one hidden", 1: "all but the next hidden"}
    if columns != rows:
        shifts[columns - rows] = "later positions hidden, counted from the end"
    found = [(~np.tri(rows, columns, k, dtype=bool), w) for k, w in shifts.items()]
    return [*found, (np.tri(rows, columns, -1, dtype=bool), "earlier positions hidden")]


def _described(hidden: np.ndarray | None) -> str:
    if hidden is None:
        return "no mask"
    for pattern, words in _causal(*hidden.shape[-2:]):
        if np.array_equal(hidden, np.broadcast_to(pattern, hidden.shape)):
            return words
    return f"{hidden.mean():.0%} of the scores hidden"


def _tested(context: Context, wanted: Wanted, attention: Attention, variant: Variant) -> Candidate | None:
    fused = any("attention" in n.node.op for n in (attention.node, *context.at_a.region[:_REGION]))
    found = soon(context, wanted, variant.edits, _SOON if fused else 1)
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
    ("torch", "attention-scale"): "F.scaled_dot_product_attention(q, k, v, scale=...), or a factor of q @ k.mT",
    ("torch", "attention-mask"): "attn_mask=, is_causal=, key_padding_mask=; True of a boolean attn_mask takes part",
    ("tensorflow", "attention-scale"): "a factor of the scores; keras.layers.MultiHeadAttention has 1/sqrt(key_dim)",
    ("tensorflow", "attention-mask"): "attention_mask=, use_causal_mask=, mask_zero=; True takes part",
    ("jax", "attention-scale"): "jax.nn.dot_product_attention(q, k, v, scale=...), or a factor of the scores",
    ("jax", "attention-mask"): "jax.nn.dot_product_attention(..., mask=, is_causal=); True takes part",
}


def _fix(side: Side, code: str, words: str) -> str:
    return f"have {words} ({_OPTIONS[side.network.trace.framework, code]})"
