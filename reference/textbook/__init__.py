"""The same operations written a second time, naively, from the mathematics: mpmath at whatever precision is set.

They exist to hold the catalogue to something independent of it, so no line here may be taken from there.
"""
