"""Name, authors, licence and date of this release, as in CITATION.cff.

CITATION.cff is only in a checkout, not in the installed package.
"""

NAME = "Skymill"
AUTHORS = ("The Skymill developers",)
LICENCE = "MIT"
RELEASED = "2026-11-21"
