"""What a run has made of each branch: how many products, how large, and what was rejected."""

from collections.abc import Iterable, Mapping

from skymill import paths
from skymill.engine.products import MANIFEST
from skymill.engine.words import counted, size_text


def made_lines(documents: Mapping[str, Mapping[str, dict]], new: Iterable[str]) -> list[str]:
    """Return a line for each branch of which something was made.

    Parameters
    ----------
    documents
        Manifests and receipts by name, of each branch.
    new
        The names of those that were written now. What was rejected is told of the whole branch.
    """
    new = set(new)
    lines = []
    for branch, known in documents.items():
        sizes = [_size(known[name]) for name in known if name in new and is_final(name)]
        if not new.intersection(known):
            continue
        made = f"  {branch:<10}{counted(len(sizes), 'product'):>13}{size_text(sum(sizes)):>11}"
        lines.append(f"{made}   {_rejected(branch, known)}")
    return lines


def is_final(name: str) -> bool:
    """Return whether a document describes what users work with: no receipt, nothing of interim/."""
    return name.endswith(MANIFEST) and not name.startswith("interim/")


def _size(document: dict) -> int:
    """Return the bytes of a product."""
    many = document.get("members", {}).get("bytes", 0)
    return many + sum(entry["bytes"] for entry in document.get("files", ()))


def _alerts(counts: dict) -> tuple[int, int]:
    return counts["records"] - counts["kept"] - counts["unlabelled"], counts["records"]


CATALOGUES = {
    "magnetic": (paths.VALUES, "lines", lambda counts: (counts["rejected"], counts["lines"])),
    "sdo": (
        paths.SDO_SAMPLES,
        "images",
        lambda counts: (counts["images_damaged"], counts["images"]),
    ),
    "aligned": (
        paths.SWAN_STEPS,
        "windows",
        lambda counts: (counts["rejected"], counts["windows"]),
    ),
    "stealth": (paths.STEALTH_ROWS, "lines", lambda counts: (counts["rejected"], counts["lines"])),
    "ztf": (paths.ZTF_NIGHT, "alerts", _alerts),
}
"""Where a branch counts what it has rejected: products, what is counted, and (rejected, of all)."""


def _rejected(branch: str, documents: Mapping[str, dict]) -> str:
    """Return how much of a branch's raw data was rejected."""
    pattern, what, count = CATALOGUES[branch]
    beginning, _, end = f"{pattern}{MANIFEST}".partition("{")
    end = end.partition("}")[2]
    counts = [
        count(document["counts"])
        for name, document in documents.items()
        if name.startswith(beginning) and name.endswith(end) and "counts" in document
    ]
    if not counts:
        return ""
    rejected, of = map(sum, zip(*counts, strict=True))
    return f"rejected: {rejected:,} of {of:,} {what}"
