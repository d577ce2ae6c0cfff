"""The command `skymill`, which answers questions about a results folder. No job imports it."""
