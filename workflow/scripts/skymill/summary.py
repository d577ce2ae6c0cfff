"""What was made and where: `python -m skymill.summary`, in the folder that holds `data/`."""

import sys
from pathlib import Path

from skymill.magnetic.schema import LABELS
from skymill.products import read_json

ROOT = Path("data")
SUFFIX = ".manifest.json"


def summarise(root: Path) -> str:
    """Return a table of the products under `root`: rows, size, source and classes of each."""
    header = ("product", "rows", "size", "source", "records by class")
    rows = []
    sources = set()
    for path in sorted(root.glob(f"p*/**/*{SUFFIX}")):
        manifest = read_json(path)
        files = manifest.get("files", [])
        product = str(path).removesuffix(SUFFIX)
        # Files that stand beside the product, row by row, are named in its manifest as well.
        own = [file for file in files if file["name"] == Path(product).name]
        sources.add(manifest["source"])
        rows.append(
            (
                product,
                f"{sum(file['rows'] for file in own or files):,}",
                _size(sum(file["bytes"] for file in files)),
                manifest["source"],
                _classes(manifest.get("counts", {})),
            )
        )
    if not rows:
        return f"Nothing has been made under {root}/ yet: run `snakemake`."
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = []
    for row in (header, tuple("-" * width for width in widths), *rows):
        cells = [
            cell.rjust(width) if number in (1, 2) else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    if "sample" in sources:
        lines += ["", "SIMULATED DATA: products with source `sample` do not come from the sky."]
    return "\n".join(lines)


def _size(size: int) -> str:
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


def _classes(counts: dict) -> str:
    by_label = counts.get("records_by_label") or counts.get("kept_by_label") or {}
    order = {label: place for place, label in enumerate(LABELS)}
    labels = sorted(by_label, key=lambda label: order.get(label, len(order)))
    return " ".join(f"{label} {by_label[label]:,}" for label in labels)


if __name__ == "__main__":
    sys.stdout.write(summarise(ROOT) + "\n")
