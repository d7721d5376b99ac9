"""The correct ports: each architecture in torch and in Keras, in the style of either, with other granularity."""
# ruff: noqa: F401 - each module is imported for what it registers

import zoo_ports_attention
import zoo_ports_convolutions
import zoo_ports_dense
import zoo_ports_recurrent
from zoo_registry import PORTS

__all__ = ["PORTS"]
