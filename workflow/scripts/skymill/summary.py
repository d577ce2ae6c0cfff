"""A table of all products: `skymill summary [RESULTS]`.

RESULTS is the results folder, `data` by default, or its address in object storage.
"""

from skymill.engine.products import MANIFEST, own_entries, warnings_in
from skymill.engine.words import size_text
from skymill.made import is_final
from skymill.magnetic.schema import LABELS
from skymill.watch import leftovers_of, open_results


def summarise(results: str) -> str:
    """Return a table of the products of a results folder: rows, size, source and classes of each.

    Damaged products and leftovers of an earlier configuration are listed below the table.
    """
    header = ("product", "rows", "size", "source", "records by class")
    rows, damaged, read = [], [], {}
    sources = set()
    folder = open_results(results)
    left = leftovers_of(folder)
    for name in sorted(folder.documents()):
        product = name.removesuffix(MANIFEST)
        made = folder.document(name)
        if product not in left and isinstance(made, dict):
            read[name] = made
        if not is_final(name) or product in left:
            continue
        if not isinstance(made, dict):
            damaged.append(str(made))
            continue
        members = made.get("members", {"rows": 0, "bytes": 0})
        sources.add(made["source"])
        rows.append(
            (
                f"{results}/{product}",
                f"{sum(entry['rows'] for entry in own_entries(made)) + members['rows']:,}",
                size_text(sum(entry["bytes"] for entry in made["files"]) + members["bytes"]),
                made["source"],
                _classes(made.get("counts", {})),
            )
        )
    if not rows and not damaged and not left:
        return f"Nothing has been made in {results}/ yet: run `snakemake`."
    lines = _table(header, rows)
    if damaged:
        lines += ["", "DAMAGED (the next run makes them again):"]
        lines += [f"  {line}" for line in damaged]
    if warnings := warnings_in(read):
        lines += ["", "WARNINGS of the jobs that made the products:"]
        lines += [f"  {text}" for text in warnings]
    if left:
        lines += [
            "",
            "LEFTOVERS of an earlier configuration, which your configuration does not make "
            f"(`skymill prune {results}`):",
            *(f"  {results}/{name}" for name in left),
        ]
    if "sample" in sources:
        lines += ["", "SIMULATED DATA: products with source `sample` are not from the sky."]
    return "\n".join(lines)


def _table(header: tuple, rows: list[tuple]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = []
    for row in (header, tuple("-" * width for width in widths), *rows):
        cells = [
            cell.rjust(width) if number in (1, 2) else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return lines


def _classes(counts: dict) -> str:
    by_label = counts.get("records_by_label") or counts.get("kept_by_label") or {}
    order = {label: place for place, label in enumerate(LABELS)}
    labels = sorted(by_label, key=lambda label: order.get(label, len(order)))
    return " ".join(f"{label} {by_label[label]:,}" for label in labels)
