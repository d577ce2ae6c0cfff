"""The results of a run by branch: the number and size of products, and the rejected share."""

from collections.abc import Iterable, Mapping

from skymill import paths
from skymill.engine.products import MANIFEST
from skymill.engine.words import counted, size_text

REPORT = "report"
"""The key of the report in lists of products by branch. The report is about all branches."""


def made_lines(documents: Mapping[str, Mapping[str, dict]], new: Iterable[str]) -> list[str]:
    """Return a line for each branch with new products.

    Parameters
    ----------
    documents
        Manifests and receipts by name, for each branch.
    new
        The names of the documents of this run. The rejected share is that of the whole branch.
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
    """Return whether a document is of a product for users: not a receipt, and not in interim/."""
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
    # The first is for the files of 2020, the second for windows of SWAN-SF.
    "magnetic": ((paths.VALUES, "lines", _lines), (paths.CATALOGUE, "windows", _lines)),
    "sdo": ((paths.SDO_SAMPLES, "images", _images),),
    "aligned": ((paths.SWAN_STEPS, "windows", _windows),),
    "stealth": ((paths.STEALTH_ROWS, "lines", _lines),),
    "ztf": ((paths.ZTF_NIGHT, "alerts", _alerts),),
}
"""For each branch: the products with the counts, what they count, and a function that returns the
numbers of rejected and of all items.

If a branch has several entries, the first with an existing product is used.
"""


def _rejected(branch: str, documents: Mapping[str, dict]) -> str:
    """Return a text with the rejected share of a branch's raw data."""
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
