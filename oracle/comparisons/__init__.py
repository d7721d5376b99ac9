"""Two runs compared: semantics plus rounding, the causes searched, proved and accused."""
