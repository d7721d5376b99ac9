"""A recorded run as a program in exact arithmetic: every node's meaning, and edits of it."""
