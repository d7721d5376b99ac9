"""Losses, optimizers and gradients."""
