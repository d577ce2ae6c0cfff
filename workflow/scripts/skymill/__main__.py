"""`python -m skymill` is the command `skymill`, where the command itself is not on the path."""

from skymill.command.app import main

if __name__ == "__main__":
    main()
