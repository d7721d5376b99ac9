"""How results are shown: everything rendered from `results.json`."""

from oracle.reports.rendering import render

__all__ = ["render"]
