"""The same numbers arranged otherwise: axes, orders, parts, broadcasting, arrays in each other's place."""
