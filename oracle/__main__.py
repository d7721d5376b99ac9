"""`python -m oracle`."""

from oracle.commands.cli import main

main()
