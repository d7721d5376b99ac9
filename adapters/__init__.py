"""What each framework says: one adapter per framework, one row per operation."""
