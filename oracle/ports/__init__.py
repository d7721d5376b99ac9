"""Weights carried from one model to another, and layers that are each other's equivalents."""
