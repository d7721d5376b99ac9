"""What each framework says: one adapter per framework, one row per operation.

Importing this package imports no framework.
"""

import functools
import importlib
import pkgutil

from oracle.adapters.base import Adapter, Refusal, Request, Response

__all__ = ["Adapter", "Refusal", "Request", "Response", "adapter_named", "adapters"]


@functools.cache
def adapters() -> dict[str, Adapter]:
    """Every adapter by name, whether or not its framework is installed.

    Any module of this package that has `ADAPTERS` contributes them.
    """
    found: dict[str, Adapter] = {}
    for module in pkgutil.iter_modules(__path__):
        for adapter in getattr(importlib.import_module(f"{__name__}.{module.name}"), "ADAPTERS", ()):
            found[adapter.name] = adapter
    return found


def adapter_named(name: str) -> Adapter:
    """The adapter called `name`; `ValueError` lists the known ones."""
    try:
        return adapters()[name]
    except KeyError:
        raise ValueError(f"unknown adapter {name!r}; expected one of {', '.join(adapters())}") from None
