"""What an earlier configuration left: `python -m skymill.prune [RESULTS] [--delete]`.

A run writes what its configuration makes to `products.json` in the results folder. Every other
product in the folder is a leftover, but not those of branches that are switched off.
"""

import argparse
import shutil
import sys
from pathlib import Path

from skymill.engine.errors import SkymillError
from skymill.engine.products import document_path, read_document
from skymill.paths import DEFAULT_RESULTS
from skymill.watch import leftovers_of, open_results


def files_of(results: Path, name: str) -> list[Path]:
    """Return the files and folders of a leftover, its document last."""
    product = results / name
    document = document_path(product)
    found = {product}
    try:
        described = read_document(document)
        found |= {results / entry["name"] for entry in described.get("files", ())}
        if "members_list" in described:
            found.add(document.with_name(described["members_list"]["name"]))
    except SkymillError:
        pass  # a damaged manifest: the product is deleted by its name alone
    found = {path for path in found if path.exists() and product not in path.parents}
    return [*sorted(found - {document}), document]


def delete(results: Path, name: str) -> None:
    """Delete a leftover: its document last, so that what is left of it is found again."""
    for path in files_of(results, name):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def main(arguments: list[str]) -> str:
    """Return what was found, and what was done about it."""
    parser = argparse.ArgumentParser(
        prog="python -m skymill.prune",
        description="List the products that an earlier configuration left.",
    )
    parser.add_argument("results", nargs="?", default=DEFAULT_RESULTS, help="the results folder")
    parser.add_argument("--delete", action="store_true", help="delete them")
    options = parser.parse_args(arguments)
    if "://" in options.results:
        raise SkymillError("prune works on a folder of this machine, not on object storage.")
    results = Path(options.results)
    names = leftovers_of(open_results(options.results))
    if not names:
        return f"{results}/ holds nothing but what its configuration makes."
    listed = [str(path) for name in names for path in files_of(results, name)]
    if options.delete:
        for name in names:
            delete(results, name)
        return "\n".join(["Deleted:", *(f"  {path}" for path in listed)])
    return "\n".join(
        [
            "Left by an earlier configuration (`--delete` deletes them):",
            *(f"  {path}" for path in listed),
        ]
    )


if __name__ == "__main__":
    try:
        sys.stdout.write(main(sys.argv[1:]) + "\n")
    except SkymillError as error:
        sys.exit(str(error))
