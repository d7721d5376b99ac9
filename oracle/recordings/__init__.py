"""What is recorded of a run, kept in a file, and refused before it runs."""
