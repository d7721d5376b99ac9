"""Weights that differ, and weights in another order."""
