"""`python -m skymill` is the command `skymill`, where the command itself is not on the path."""

from skymill.command.app import main

main()
