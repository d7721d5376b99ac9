"""Norms and their modes: axes, measures, guards from zero, running statistics."""
