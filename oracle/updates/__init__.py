"""Optimizers told by what they do to weights: rules, what is promised, what fits, words."""
