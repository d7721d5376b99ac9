"""Reproductions: a script of plain framework code that prints the number which the audit saw.

The inputs are made as small as they can be while the framework still gives that very number; every reduction is tried
by running it, so a defect of one kernel path keeps the shape that it needs.
"""

import base64
import itertools
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from oracle.adapters.base import Adapter, Refusal, Request
from oracle.adapters.program import Program, tuple_of
from oracle.reference.operation import get_operation

INLINE = 64  # elements beyond which an array is packed
TRIALS = 8  # ways of cutting an axis that are tried: each may cost a compilation
UNPACK = """def unpack(text, dtype, shape):
    return np.frombuffer(zlib.decompress(base64.b85decode(text)), dtype).reshape(shape)
"""

Index = tuple[int, ...]


@dataclass(frozen=True)
class _Seen:
    """What the audit saw: the whole `result` called `output`, and the element that matters."""

    output: str
    result: np.ndarray
    index: Index


def reproduction(adapter: Adapter, request: Request, index: Index, output: str = "") -> str:
    """A script that prints element `index` of `output` (by default the first) in decimal and hexadecimal.

    It imports the framework alone, holds the inputs exactly and runs the row's own lines. Errors: `Refusal` where the
    framework does not run the request at all.
    """
    response = adapter.run(request)
    output = output or response.names[0]
    result = response.outputs[response.names.index(output)]
    request, index, note = _smallest(adapter, request, _Seen(output, result, tuple(index)))
    return script(adapter, request, index, output, note)


def unanswered(adapter: Adapter, request: Request) -> str:
    """The script of a request that the framework refuses or does not survive, its inputs as they are."""
    names = request.wrt if request.direction == "vjp" else get_operation(request.operation).outputs
    return script(adapter, request, None, names[0], "the framework does not come to the end of this")


def script(adapter: Adapter, request: Request, index: Index | None, output: str, note: str = "") -> str:
    """The script for `request` as it stands; `note` is told in its first lines. Without `index` it prints all."""
    program, engine = adapter.program(request), adapter.engine
    printing = _printing(program, f"gradient_{output}" if program.backward else output, index)
    body = "\n".join([*_arrays(program), *_attributes(program), "", *_execution(program), "", *printing])
    where = f"{request.operation}, {request.format}, mode {request.mode}, {request.device}"
    title = f"# {adapter.name} {adapter.version()}: {where}" + (f"\n# {note}" if note else "")
    settings, helper = engine.settings(request), UNPACK if "unpack(" in body else ""
    parts = (f"{title}\n{_imports(program, settings + helper + body)}", settings, helper, body)
    return "\n\n".join(part.strip("\n") for part in parts if part) + "\n"


def _imports(program: Program, text: str) -> str:
    """The import lines whose name is used in `text`; a variable of the environment is always set."""
    available = ["import base64", "import zlib", "from math import inf", "from math import nan", "import numpy as np"]
    available += [line for line in program.engine.imports.splitlines() if line not in available]
    text = re.sub(r'unpack\("[^"]*"', "unpack(", text)
    text += "\n".join(line for line in available if not line.startswith(("import ", "from ")))
    kept = [line for line in available if " = " in line or re.search(rf"\b{line.split()[-1]}\b", text)]
    return "\n".join(kept)


def _arrays(program: Program) -> list[str]:
    request = program.request
    named = dict(request.arrays)
    named.update({f"cotangent_{name}": c for name, c in _cotangents(program).items()})
    return [f"{name} = {_literal(program, value)}" for name, value in named.items()]


def _cotangents(program: Program) -> Mapping[str, np.ndarray]:
    pairs = zip(program.outputs, program.request.cotangents, strict=False)
    return {name: c for name, c in pairs if c is not None}


def _attributes(program: Program) -> list[str]:
    return [f"{name} = {value!r}" for name, value in program.values.items() if program.snippet.uses(name)]


def _literal(program: Program, value: np.ndarray) -> str:
    return program.engine.literal(_values(value), value.dtype.name, program.request.device)


def _values(value: np.ndarray) -> str:
    """Source of the exact values: a list (repeated where all are equal), or the packed bytes of a large array."""
    real = value.dtype.kind not in "iub"
    exact = value.astype(np.float64) if real else value
    if value.ndim == 1 and value.size > 1 and same(exact, np.full_like(exact, exact[0])):
        return f"[{exact[0].item()!r}] * {value.size}"
    if value.size <= INLINE:
        return repr(exact.tolist())
    narrow = value.astype(np.float32) if real and value.dtype.itemsize < 4 else value
    packed = base64.b85encode(zlib.compress(np.ascontiguousarray(narrow).tobytes(), 9)).decode()
    return f'unpack("{packed}", "{narrow.dtype.str}", {value.shape})'


def _execution(program: Program) -> list[str]:
    """The row's lines as they stand where nothing wraps them, else the functions and their call."""
    arguments = ", ".join(program.arguments)
    setup = [program.snippet.setup] if program.snippet.setup else []
    if program.backward:
        names = tuple_of(f"gradient_{name}" for name in program.request.wrt)
        cotangents = ", ".join(f"cotangent_{name}" for name in _cotangents(program))
        return [*setup, "", program.functions(), "", f"{names} = gradient({arguments}, [{cotangents}])"]
    if not program.wrapper:
        return [*setup, program.snippet.call]
    return [*setup, "", program.functions(), "", f"{tuple_of(program.outputs)} = forward({arguments})"]


def _printing(program: Program, result: str, index: Index | None) -> list[str]:
    if index is None:
        return [f"print({result})"]
    element = f"{result}[{', '.join(map(str, index))}]" if index else result
    return [f"value = {program.engine.item(element)}", "print(value, float(value).hex())"]


def same(a: np.ndarray, b: np.ndarray) -> bool:
    """Equal shapes and bits; any NaN equals any other."""
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    a, b = (x.astype(np.float64) if x.dtype.kind not in "iub" else x for x in (a, b))
    return bool(np.array_equal(a, b, equal_nan=True) and np.array_equal(np.signbit(a), np.signbit(b)))


def _smallest(adapter: Adapter, request: Request, seen: _Seen) -> tuple[Request, Index, str]:
    """The smallest request found that gives the seen element, its index there, and what to tell about it."""
    if get_operation(request.operation).elementwise:
        return _one_element(adapter, request, seen)
    for axis in range(seen.result.ndim):
        request, seen = _shorten(adapter, request, seen, axis)
    return request, seen.index, ""


def _one_element(adapter: Adapter, request: Request, seen: _Seen) -> tuple[Request, Index, str]:
    expected = seen.result[seen.index].reshape(1)
    alone = _mapped(request, lambda a: a[seen.index].reshape(1))
    if _gives(adapter, alone, seen.output, expected):
        return alone, (0,), ""
    size = seen.result.size
    tiled = _mapped(request, lambda a: np.full(size, a[seen.index]))
    try:
        found = _result(adapter, tiled, seen.output)
    except Refusal:
        found = np.empty(0)
    places = [i for i in range(found.size) if same(found[i : i + 1], expected)]
    if places:
        return tiled, (places[0],), f"one element alone differs from this: {size} equal ones take the vector kernel"
    return request, seen.index, "the element depends on its neighbours' place in the kernel: all inputs are given"


def _shorten(adapter: Adapter, request: Request, seen: _Seen, axis: int) -> tuple[Request, _Seen]:
    """`request` with `axis` of the result cut to the one position that matters, where that changes no bit of it."""
    place, length = seen.index[axis], seen.result.shape[axis]
    if length == 1:
        return request, seen
    expected = np.take(seen.result, [place], axis)
    operands = _operands(request)
    for cut in itertools.islice(_cuts(request, length), TRIALS):
        shorter = _with(request, {n: np.take(a, [place], cut[n]) if n in cut else a for n, a in operands.items()})
        if _gives(adapter, shorter, seen.output, expected):
            index = (*seen.index[:axis], 0, *seen.index[axis + 1 :])
            return shorter, _Seen(seen.output, expected, index)
    return request, seen


def _cuts(request: Request, length: int) -> Iterator[Mapping[str, int]]:
    """Which axes could be the one of this `length`: one axis each of one or several arrays, few enough to try."""
    places = {n: [k for k, size in enumerate(a.shape) if size == length] for n, a in _operands(request).items()}
    able = [name for name, axes in places.items() if axes]
    for count in range(1, len(able) + 1):
        for names in itertools.combinations(able, count):
            for axes in itertools.product(*(places[name] for name in names)):
                yield dict(zip(names, axes, strict=True))


def _operands(request: Request) -> dict[str, np.ndarray]:
    cotangents = {f"cotangent {i}": c for i, c in enumerate(request.cotangents) if c is not None}
    return {**request.arrays, **cotangents}


def _with(request: Request, operands: Mapping[str, np.ndarray]) -> Request:
    cotangents = tuple(operands.get(f"cotangent {i}") for i in range(len(request.cotangents)))
    return replace(request, arrays={name: operands[name] for name in request.arrays}, cotangents=cotangents)


def _mapped(request: Request, change: Callable[[np.ndarray], np.ndarray]) -> Request:
    return _with(request, {name: change(a) for name, a in _operands(request).items()})


def _result(adapter: Adapter, request: Request, output: str) -> np.ndarray:
    response = adapter.run(request)
    return response.outputs[response.names.index(output)]


def _gives(adapter: Adapter, request: Request, output: str, expected: np.ndarray) -> bool:
    try:
        return same(_result(adapter, request, output), expected)
    except (Refusal, ValueError):
        return False
