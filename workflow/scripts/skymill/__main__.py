"""`python -m skymill` runs the command `skymill`, also if the command is not on the path."""

from skymill.command.app import main

if __name__ == "__main__":
    main()
