"""What this release is called, as CITATION.cff has it, which is in the checkout alone."""

NAME = "Skymill"
AUTHORS = ("The Skymill developers",)
LICENCE = "MIT"
RELEASED = "2026-11-21"
