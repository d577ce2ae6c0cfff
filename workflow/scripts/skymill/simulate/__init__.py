"""Simulators: raw files in the archives' own formats, for demos, tests and rehearsals."""
