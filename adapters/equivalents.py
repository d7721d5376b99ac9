"""Pairs of a Keras layer, a torch module and a JAX function that mean the same, as source text that runs as printed.

A row says how each side is written, and which argument of one is which of the other. Nothing in it is believed: `run`
executes the texts on the same random inputs and weights, and `defaults` reads the defaults from the signatures.
"""

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from oracle.errors import OracleError

IMAGE, SEQUENCE, VOLUME = (0, 3, 1, 2), (0, 2, 1), (0, 4, 1, 2, 3)


@dataclass(frozen=True)
class Argument:
    """An argument of the Keras side and its counterpart in torch ("" where there is none), and how they relate."""

    keras: str
    torch: str
    note: str = ""


@dataclass(frozen=True)
class Trap:
    """What is often taken for the equivalent and is not: the torch text, and what differs.

    `keras` is the optimizer that it is taken for, where that is not the row's own.
    """

    torch: str
    why: str
    keras: str = ""


@dataclass(frozen=True)
class Row:
    """One equivalence.

    `keras`, `torch`, `jax` are expressions: a layer, module or function `f`; `call_keras`, `call_torch` say how `f` is
    called, with the inputs by name. In `jax` the inputs and the weights `w` (canonical layout, by role) are names.
    `inputs` maps names to what is drawn, "normal 2 8". `axes` brings Keras's layout to torch's. An optimizer's texts
    make it for the parameter `p`. `classes` are those whose signatures hold the arguments, where `keras` and `torch` do
    not begin with them. `note` says what a port must know besides.
    """

    name: str
    kind: str
    keras: str
    torch: str
    jax: str = ""
    inputs: Mapping[str, str] | None = None
    call_keras: str = "f(x)"
    call_torch: str = "f(x)"
    axes: tuple[int, ...] | None = None
    arguments: tuple[Argument, ...] = ()
    traps: tuple[Trap, ...] = ()
    classes: tuple[str, str] | None = None
    note: str = ""

    @property
    def owners(self) -> tuple[str, str]:
        """The Keras and the torch class or function of which the arguments are."""
        return self.classes or (self.keras.partition("(")[0], self.torch.partition("(")[0])


_ROWS: dict[str, Row] = {}


def row(name: str, kind: str, *texts: str, args: str = "", traps: tuple = (), **more: Any) -> None:
    """Register an equivalence of `texts`: Keras, torch, and JAX where there is one.

    `args` has one argument a line: `epsilon | eps | note`; `traps` are (torch, why) or (torch, why, keras).
    """
    lines = [[cell.strip() for cell in line.split("|")] for line in args.strip().splitlines()]
    arguments = tuple(Argument(*cells) for cells in lines)
    keras, torch, *jax = texts
    _ROWS[name] = Row(
        name, kind, keras, torch, "".join(jax), arguments=arguments, traps=tuple(Trap(*t) for t in traps), **more
    )


def rows() -> Mapping[str, Row]:
    """All equivalences by name, in the order of their modules."""
    from oracle import adapters  # noqa: PLC0415 - the package that holds this module

    for module in pkgutil.iter_modules(adapters.__path__):
        if module.name.startswith("equivalents_"):
            importlib.import_module(f"oracle.adapters.{module.name}")
    return _ROWS


def names() -> dict[str, Any]:
    """What the texts may name."""
    import jax  # noqa: PLC0415
    import keras  # noqa: PLC0415
    import torch  # noqa: PLC0415

    return {"keras": keras, "layers": keras.layers, "ops": keras.ops, "torch": torch, "nn": torch.nn,
            "F": torch.nn.functional, "jax": jax, "jnp": jax.numpy, "lax": jax.lax, "np": np}  # fmt: skip


def defaults(row: Row) -> dict[tuple[str, str], Any]:
    """The default of every argument, `{("keras", "epsilon"): 0.001}`; arguments without one are left out.

    Raises `OracleError` for an argument that its class does not have.
    """
    known = names()
    found: dict[tuple[str, str], Any] = {}
    for side, owner, wanted in zip(("keras", "torch"), row.owners, _argument_names(row), strict=True):
        if not wanted:
            continue
        parameters = _signature(eval(owner, known))
        for name in wanted:
            if name not in parameters:
                raise OracleError(f"{owner} has no argument {name!r}; it has {', '.join(parameters)}")
            if parameters[name].default is not inspect.Parameter.empty:
                found[side, name] = parameters[name].default
    return found


def _argument_names(row: Row) -> tuple[list[str], list[str]]:
    return [a.keras for a in row.arguments if a.keras], [a.torch for a in row.arguments if a.torch]


def _signature(owner: Any) -> dict[str, inspect.Parameter]:
    """Own and inherited parameters: recurrent modules of torch take theirs from a base class."""
    found: dict[str, inspect.Parameter] = {}
    for cls in reversed(owner.__mro__) if inspect.isclass(owner) else ():
        if "__init__" in vars(cls):
            found |= dict(inspect.signature(vars(cls)["__init__"]).parameters)
    return found or dict(inspect.signature(owner).parameters)


def draw(row: Row) -> dict[str, np.ndarray]:
    """The random inputs of a row, in float64, in Keras's layout."""
    generator = np.random.default_rng(5)
    return {name: _drawn(spec.split(), generator) for name, spec in (row.inputs or {"x": "normal 4 8"}).items()}


def _drawn(spec: list[str], generator: np.random.Generator) -> np.ndarray:
    kind, *sizes = spec
    shape = tuple(int(n) for n in sizes)
    if kind in ("onehot", "classes"):
        classes = generator.integers(0, shape[-1], shape[:-1])
        return np.eye(shape[-1])[classes] if kind == "onehot" else classes
    # Drawn as float32 numbers, so that both formats get the same.
    x = generator.normal(size=shape).astype(np.float32).astype(np.float64)
    makers: dict[str, Callable[[np.ndarray], Any]] = {
        "normal": lambda x: x,
        "positive": lambda x: np.abs(x) + 0.125,
        "unit": lambda x: np.float32(1 / (1 + np.exp(-x))).astype(np.float64),
        "binary": lambda x: (x > 0).astype(np.float64),
        "softmax": lambda x: np.float32(np.exp(x) / np.exp(x).sum(-1, keepdims=True)).astype(np.float64),
        "sign": np.sign,
    }
    return np.asarray(makers[kind](x))
