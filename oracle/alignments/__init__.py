"""Which values of two runs are the same numbers, and whether gradients follow from the loss."""
