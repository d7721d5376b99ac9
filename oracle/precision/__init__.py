"""What a lower precision would do to each operation, predicted and run."""
