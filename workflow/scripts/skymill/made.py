"""The results of a run by branch: number and size of products, and rejected items."""

from collections.abc import Iterable, Mapping

from skymill import paths
from skymill.engine.products import MANIFEST
from skymill.engine.words import counted, size_text

REPORT = "report"
"""The key of the report in lists of products by branch. The report is about all branches."""


def made_lines(documents: Mapping[str, Mapping[str, dict]], new: Iterable[str]) -> list[str]:
    """Return a line for each branch with new documents.

    Parameters
    ----------
    documents
        Manifests and receipts of each branch, by name.
    new
        Names of the documents that this run wrote. Rejected items are counted for the whole branch.
    """
    new = set(new)
    lines = []
    for branch, known in documents.items():
        sizes = [_size(known[name]) for name in known if name in new and is_final(name)]
        if not new.intersection(known):
            continue
        made = f"  {branch:<10}{counted(len(sizes), 'product'):>13}{size_text(sum(sizes)):>11}"
        lines.append(f"{made}   {_rejected(branch, known)}".rstrip())
    return lines


def is_final(name: str) -> bool:
    """Return whether a document describes a final product: not a receipt, and not in interim/."""
    return name.endswith(MANIFEST) and not name.startswith("interim/")


def _size(document: dict) -> int:
    """Return the bytes of a product."""
    many = document.get("members", {}).get("bytes", 0)
    return many + sum(entry["bytes"] for entry in document.get("files", ()))


def _alerts(counts: dict) -> tuple[int, int]:
    return counts["records"] - counts["kept"] - counts["unlabelled"], counts["records"]


def _lines(counts: dict) -> tuple[int, int]:
    return counts["rejected"], counts["lines"]


def _windows(counts: dict) -> tuple[int, int]:
    return counts["rejected"], counts["windows"]


def _images(counts: dict) -> tuple[int, int]:
    return counts["images_damaged"], counts["images"]


CATALOGUES = {
    # The files of 2020, or the windows of SWAN-SF.
    "magnetic": ((paths.VALUES, "lines", _lines), (paths.CATALOGUE, "windows", _lines)),
    "sdo": ((paths.SDO_SAMPLES, "images", _images),),
    "aligned": ((paths.SWAN_STEPS, "windows", _windows),),
    "stealth": ((paths.STEALTH_ROWS, "lines", _lines),),
    "ztf": ((paths.ZTF_NIGHT, "alerts", _alerts),),
}
"""Where a branch counts its rejected items: products, unit, and a function of (rejected, total).

The first place with documents is used.
"""


def _rejected(branch: str, documents: Mapping[str, dict]) -> str:
    """Return the number of rejected items of a branch as text."""
    for pattern, what, count in CATALOGUES.get(branch, ()):
        beginning, _, end = f"{pattern}{MANIFEST}".partition("{")
        end = end.partition("}")[2]
        counts = [
            count(document["counts"])
            for name, document in documents.items()
            if name.startswith(beginning) and name.endswith(end) and "counts" in document
        ]
        if counts:
            rejected, of = map(sum, zip(*counts, strict=True))
            return f"rejected: {rejected:,} of {of:,} {what}"
    return ""
