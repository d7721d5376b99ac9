"""The cases of an operation in one format: all of them, or those that a quick audit has time for."""

from collections.abc import Iterator

from oracle.audits.inputs import regions
from oracle.reference.formats import Format, format_named
from oracle.reference.operation import Config, Operation
from oracle.types import Case, Direction

# What a quick audit leaves out, in the words of its report; `_quick` is the rule.
OMITTED = (
    "gradients in formats narrower than 32 bits",
    "further configurations there and of gradients",
    "the regions typical and layout of elementwise operations",
    "the region layout of the others",
)


def cases(op: Operation, fmt: str, *, full: bool, seed: int = 0) -> Iterator[Case]:
    """The cases of `op` in `fmt`, in the order in which they are asked."""
    for config in op.configs:
        for direction in directions(op):
            for region in _regions(op, format_named(fmt), direction):
                case = Case(op.name, config.name, direction, fmt, region, seed)
                if full or _quick(op, config, case):
                    yield case


def directions(op: Operation) -> tuple[Direction, ...]:
    """Forward, and the gradient where there is one."""
    return ("forward", "vjp") if op.differentiable_args else ("forward",)


def _regions(op: Operation, fmt: Format, direction: Direction) -> tuple[str, ...]:
    """The regions that a direction is asked in: a gradient has no documented limits, so no special values."""
    return tuple(region for region in regions(op, fmt) if direction == "forward" or region != "special")


def _quick(op: Operation, config: Config, case: Case) -> bool:
    """Whether a quick audit asks `case`: each shape and direction costs the frameworks that compile a compilation."""
    fmt, first = format_named(case.format), config is op.configs[0]
    gradient = case.direction == "vjp"
    if not config.quick or ((gradient or fmt.bits < 32) and not first) or (gradient and fmt.bits < 32):
        return False
    if not op.elementwise:
        return case.region in ("typical", "wide")
    if gradient:
        return case.region in ("wide", "edge")
    if "exhaustive" in regions(op, fmt):  # it holds all the others but NaN and the infinities
        return case.region in ("exhaustive", "special")
    return case.region in ("wide", "edge", "subnormal", "special")
