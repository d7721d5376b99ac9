"""A user's own function held against its definition."""
