"""Inputs by region: where in the format they lie, what they are meant to reveal.

| region | the inputs |
| --- | --- |
| typical | what a network sees: normal draws, positive ones log-normal, bounded ones uniform |
| wide | log-uniform over the exponents of the format, dense where functions bend and at the ends of the domain |
| edge | the values at which kernels break, computed from the format; all pairs for two operands |
| subnormal | below the smallest normal number |
| special | NaN, infinities, both zeros and their combinations; alone also numbers outside the domain |
| exhaustive | every finite number of an 8- or 16-bit format in the domain |
| layout | odd sizes, transposed in memory: the strided kernel and the scalar tail |

Every array is float64 holding numbers of the format under test exactly (or integers, or booleans). The draws
depend on nothing but the operation, the configuration, the format, the region and the seed.
"""

import hashlib
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from oracle.reference.formats import Format, edge_values
from oracle.reference.operation import Arg, Config, Interval, Operation

REGIONS = ("typical", "wide", "edge", "subnormal", "special", "exhaustive", "layout")
_LAYOUT_SHAPE = (37, 61)
_SPECIAL_LENGTH = 67
_VISIBLE = 0.8  # share of a mask that is True


def regions(operation: Operation, fmt: Format) -> tuple[str, ...]:
    """The regions that suit `operation` in `fmt`."""
    if not operation.elementwise:
        return ("typical", "wide", "layout")
    found = ["typical", "wide", "edge", "special", "layout"]
    if any(_subnormal_range(arg, fmt) for arg in operation.args):
        found.append("subnormal")
    if len(operation.args) == 1 and fmt.bits <= 16:
        found.append("exhaustive")
    return tuple(region for region in REGIONS if region in found)


def generate(operation: Operation, config: Config, fmt: Format, region: str, seed: int = 0) -> dict[str, np.ndarray]:
    """Arrays for the arguments of `operation`, by name. `ValueError` if the region does not suit it."""
    if region not in regions(operation, fmt):
        expected = ", ".join(regions(operation, fmt))
        raise ValueError(f"no region {region!r} for {operation.name} in {fmt.name}; expected one of {expected}")
    rng = generator(operation.name, config.name, fmt.name, region, seed)
    listed = {"edge": _edge, "special": _special, "exhaustive": _exhaustive}
    if region in listed:
        return listed[region](operation, fmt)
    how = _Draw(fmt, region, operation.elementwise, rng)
    drawn = {arg.name: _draw(arg, config, how) for arg in operation.args}
    return {name: _transposed(x) for name, x in drawn.items()} if region == "layout" else drawn


def cotangents(shapes: Mapping[str, tuple[int, ...]], fmt: Format, *key: Any) -> dict[str, np.ndarray]:
    """Standard normal cotangents, numbers of `fmt`, for outputs of these `shapes`; `key` seeds them."""
    rng = generator("cotangents", *key)
    return {name: _stored(rng.standard_normal(shape), fmt) for name, shape in shapes.items()}


def generator(*key: Any) -> np.random.Generator:
    """A random generator seeded by the text of `key`, the same in every process and release."""
    digest = hashlib.sha256("|".join(map(str, key)).encode()).digest()
    return np.random.default_rng(np.frombuffer(digest, np.uint32))


def flushed(x: np.ndarray, fmt: Format) -> np.ndarray:
    """`x` with the subnormal numbers of `fmt` replaced by zeros of their sign; `x` itself where it has none."""
    if x.dtype.kind != "f":
        return x
    small = (x != 0) & (np.abs(x) < fmt.tiny)
    return np.where(small, np.copysign(0.0, x), x) if small.any() else x


def input_hash(inputs: Mapping[str, np.ndarray]) -> str:
    """Sixteen hexadecimal digits over names, types, shapes and values."""
    digest = hashlib.sha256()
    for name, x in inputs.items():
        digest.update(f"{name} {x.dtype} {x.shape}|".encode())
        digest.update(np.ascontiguousarray(x).tobytes())
    return digest.hexdigest()[:16]


@dataclass(frozen=True)
class _Draw:
    fmt: Format
    region: str
    elementwise: bool
    rng: np.random.Generator


def _draw(arg: Arg, config: Config, how: _Draw) -> np.ndarray:
    shape = tuple(config.shapes[arg.name])
    if how.region == "layout" and how.elementwise:
        shape = _LAYOUT_SHAPE
    if arg.kind == "index":
        return how.rng.integers(0, config.highs.get(arg.name, arg.high), shape)
    if arg.kind == "mask":
        visible = how.rng.random(shape) < _VISIBLE
        visible[..., :1] = True  # a row that sees nothing has no softmax
        return visible
    if arg.kind == "probability":
        return _probabilities(shape, how)
    if how.region == "subnormal":
        return _subnormal(arg, shape, how)
    if how.region == "wide" or (how.region == "layout" and how.elementwise):
        return _wide(arg, shape, how)
    return _typical(arg, shape, how)


def _typical(arg: Arg, shape: tuple[int, ...], how: _Draw) -> np.ndarray:
    low, high = arg.domain
    if np.isfinite(low) and np.isfinite(high):
        values = how.rng.uniform(low, high, shape)
    elif np.isfinite(low):
        values = low + arg.scale * np.exp(how.rng.standard_normal(shape))
    else:
        values = arg.scale * how.rng.standard_normal(shape)
    return _inside(_stored(values, how.fmt), arg.domain, how.fmt)


def _wide(arg: Arg, shape: tuple[int, ...], how: _Draw) -> np.ndarray:
    """Half over all exponents, a quarter where functions bend, a quarter close to the ends of the domain.

    Sums, products and what follows them get only the middle sixteenth of the exponents: beyond, their results
    overflow or saturate and tell nothing.
    """
    fmt, rng = how.fmt, how.rng
    reach = fmt.e_max if how.elementwise else max(3, fmt.e_max // 16)
    anywhere = _log_uniform(shape, (max(-reach, fmt.e_min), reach), rng)
    bend = _log_uniform(shape, (-8, np.log2(2 * np.log(fmt.max_finite))), rng)
    values = np.where(rng.random(shape) < 2 / 3, anywhere, bend) * rng.choice([-1, 1], shape)
    ends = [end for end in arg.domain if np.isfinite(end) and end != 0]
    if ends:
        distance = _log_uniform(shape, (-fmt.precision, 0), rng) * rng.choice([-1, 1], shape)
        close = rng.choice(ends, shape) * (1 + distance)
        values = np.where(rng.random(shape) < 0.25, close, values)
    values = _stored(np.clip(values, -fmt.max_finite, fmt.max_finite), fmt)
    values = np.where(_in_domain(values, arg.domain), values, -values)
    anew = fmt.from_ordinals(rng.integers(*_ordinal_range(arg.domain, fmt), shape, endpoint=True))
    return np.where(_in_domain(values, arg.domain), values, anew)


def _log_uniform(shape: tuple[int, ...], exponents: tuple[float, float], rng: np.random.Generator) -> np.ndarray:
    return np.exp2(rng.uniform(*exponents, shape))


def _subnormal(arg: Arg, shape: tuple[int, ...], how: _Draw) -> np.ndarray:
    """Subnormal numbers of every size; a quarter are typical: two operands also meet as mixed pairs."""
    fmt, rng = how.fmt, how.rng
    typical = _typical(arg, shape, how)
    limits = _subnormal_range(arg, fmt)
    if not limits:
        return typical
    uniform = rng.integers(*limits, shape, endpoint=True)
    small = _log_uniform(shape, (0, np.log2(limits[1])), rng).astype(np.int64) * rng.choice([-1, 1], shape)
    ordinals = np.where(rng.random(shape) < 0.5, uniform, np.clip(small, *limits))
    return np.where(rng.random(shape) < 0.25, typical, fmt.from_ordinals(ordinals))


def _subnormal_range(arg: Arg, fmt: Format) -> tuple[int, int] | None:
    """Ordinals of the subnormal numbers in the domain; None if it has none."""
    first, last = _ordinal_range(arg.domain, fmt)
    largest = int(fmt.ordinals(np.array(fmt.tiny))) - 1
    first, last = max(first, -largest), min(last, largest)
    return (first, last) if first < last else None


def _edge(operation: Operation, fmt: Format) -> dict[str, np.ndarray]:
    values = edge_values(fmt)
    columns = [values[_in_domain(values, arg.domain)] for arg in operation.args]
    return _combinations(operation, columns)


def _special(operation: Operation, fmt: Format) -> dict[str, np.ndarray]:
    infinities = [np.inf, -np.inf] if fmt.has_inf else []
    values = np.array([np.nan, *infinities, 0.0, -0.0, 1.0, -1.0, 0.5, 2.0, -2.0, 3.0, -3.0,
                       fmt.max_finite, -fmt.max_finite])  # fmt: skip
    if len(operation.args) == 1:
        # Repeated to an odd length, every value meets both the vector kernel and the scalar tail.
        return {operation.args[0].name: np.resize(values, _SPECIAL_LENGTH)}
    allowed = [~np.isfinite(values) | _in_domain(values, a.domain, closed=True) for a in operation.args]
    return _combinations(operation, [values[mask] for mask in allowed])


def _exhaustive(operation: Operation, fmt: Format) -> dict[str, np.ndarray]:
    (arg,) = operation.args
    first, last = _ordinal_range(arg.domain, fmt)
    return {arg.name: fmt.from_ordinals(np.arange(first, last + 1))}


def _combinations(operation: Operation, columns: list[np.ndarray]) -> dict[str, np.ndarray]:
    table = np.array(list(itertools.product(*columns)))
    return {arg.name: table[:, i].copy() for i, arg in enumerate(operation.args)}


def _probabilities(shape: tuple[int, ...], how: _Draw) -> np.ndarray:
    spread = 3.0 if how.region == "wide" else 1.0
    weights = np.exp(spread * how.rng.standard_normal(shape))
    return np.maximum(_stored(weights / weights.sum(-1, keepdims=True), how.fmt), how.fmt.quantum)


def _transposed(x: np.ndarray) -> np.ndarray:
    """The same values, axes reversed in memory; conversions that keep the order keep the strides."""
    return np.asfortranarray(x)


def _stored(values: np.ndarray, fmt: Format) -> np.ndarray:
    return fmt.round(values).astype(np.float64)


def _in_domain(values: np.ndarray, domain: Interval, closed: bool = False) -> np.ndarray:
    low, high = domain
    return (values >= low) & (values <= high) if closed else (values > low) & (values < high)


def _inside(values: np.ndarray, domain: Interval, fmt: Format) -> np.ndarray:
    """`values` moved to the nearest number of `fmt` inside the open `domain`, where rounding left it."""
    first, last = _ordinal_range(domain, fmt)
    return fmt.from_ordinals(np.clip(fmt.ordinals(values), first, last))


def _ordinal_range(domain: Interval, fmt: Format) -> tuple[int, int]:
    """Ordinals of the smallest and the largest finite number of `fmt` inside the open `domain`."""
    largest = fmt.max_finite
    ends = fmt.round(np.clip(domain, -largest, largest)).astype(np.float64)
    first, last = (int(o) for o in fmt.ordinals(ends))
    return first + int(ends[0] <= domain[0]), last - int(ends[1] >= domain[1])
