"""`skymill cite`: BibTeX entries of Skymill and of the archives of a results folder."""

from collections.abc import Iterable
from pathlib import Path

import skymill
from skymill import release
from skymill.engine.errors import SkymillError
from skymill.paths import PRODUCTS
from skymill.watch import open_results

BIBLIOGRAPHY = Path(__file__).with_name("references.bib")

KEYS = {
    "magnetic": ("angryk2020swansf", "swansf", "bobra2014sharps"),
    "sdo": ("sdobenchmark",),
    "aligned": ("angryk2020swansf", "swansf", "bobra2014sharps", "sdobenchmark"),
    "stealth": ("uci_solar_flare",),
    "ztf": ("bellm2019ztf", "patterson2019ztf", "sanchezsaez2021alerce"),
}
"""The entries to cite for each branch."""

OWN = f"""@software{{skymill,
  author = {{{" and ".join(f"{{{author}}}" for author in release.AUTHORS)}}},
  title = {{{release.NAME}}},
  version = {{{skymill.__version__}}}
}}"""


def cite(results: str) -> str:
    """Return BibTeX for the branches of the latest run of a results folder.

    Raises
    ------
    SkymillError
        When the folder has no products.
    """
    known = open_results(results).read(PRODUCTS)
    if not known:
        raise SkymillError(f"Nothing has been made in {results}/ yet: run `snakemake`.")
    return "\n\n".join(entries(known["branches"]))


def entries(branches: Iterable[str]) -> list[str]:
    """Return the BibTeX entries of Skymill and of what some branches read."""
    wanted = {key for branch in branches for key in KEYS[branch]}
    return [OWN, *(text for key, text in bibliography().items() if key in wanted)]


def bibliography() -> dict[str, str]:
    """Return the entries of the bibliography by key, in the order of the file."""
    entries = BIBLIOGRAPHY.read_text(encoding="utf-8").strip().split("\n\n")
    return {entry.split("{", 1)[1].split(",", 1)[0]: entry for entry in entries}
