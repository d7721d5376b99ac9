"""Losses told by what they compute: read off gradients, held against formulas, put into words."""
