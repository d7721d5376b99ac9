"""The catalogue: each operation's one definition in JAX, a module for each family.

Layouts follow PyTorch: (batch, channel, spatial...), (time, batch, feature), weights (out, in). Arrays are
positional and named as in `args`; attributes are keyword-only and spelt out by every configuration.
"""
