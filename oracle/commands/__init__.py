"""The command line: every verb reads its arguments here and does its work elsewhere."""
