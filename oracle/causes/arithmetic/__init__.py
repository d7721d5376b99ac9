"""Numbers and elementwise functions: factors, literals, reductions, activations, rounding."""
