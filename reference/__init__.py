"""What is true: every operation defined once in JAX and evaluated with a proven radius."""
