"""JAX and NumPy behind a lazy door: definitions name `jnp`, `lax` and `np`, listing the operations imports none.

JAX draws from NumPy's global generator while it is imported (its cluster detection jitters delays): the door puts the
generator back as it was, for the user's next draw is the user's.
"""

import importlib
import sys
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
            return getattr(_imported(self.__name__), name)

    def _imported(name: str) -> ModuleType:
        if name in sys.modules or not name.startswith("jax"):
            return importlib.import_module(name)
        generator = importlib.import_module("numpy.random").mtrand._rand
        state = generator.get_state(legacy=False)
        try:
            return importlib.import_module(name)
        finally:
            generator.set_state(state)

    jax, jnp, lax, np = _Lazy("jax"), _Lazy("jax.numpy"), _Lazy("jax.lax"), _Lazy("numpy")

__all__ = ["jax", "jnp", "lax", "np"]
