"""Which operation made how much of the final error."""
