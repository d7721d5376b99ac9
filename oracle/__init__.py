"""The numerical oracle: the true value of every deep-learning operation, and who is how far from it."""
