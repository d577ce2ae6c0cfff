"""Simulators: raw files in the formats of the archives, for demos, tests and trial runs."""
