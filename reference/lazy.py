"""JAX and NumPy behind a lazy door: definitions name `jnp`, `lax` and `np`, listing the operations imports none."""

import importlib
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import jax
    import jax.numpy as jnp
    import numpy as np
    from jax import lax
else:

    class _Lazy(ModuleType):
        def __getattr__(self, name: str) -> Any:
            return getattr(importlib.import_module(self.__name__), name)

    jax, jnp, lax, np = _Lazy("jax"), _Lazy("jax.numpy"), _Lazy("jax.lax"), _Lazy("numpy")

__all__ = ["jax", "jnp", "lax", "np"]
