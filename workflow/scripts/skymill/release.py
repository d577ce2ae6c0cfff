"""What this release is called: CITATION.cff in the checkout says the same."""

NAME = "Skymill"
AUTHORS = ("The Skymill developers",)
LICENCE = "MIT"
RELEASED = "2026-11-21"
