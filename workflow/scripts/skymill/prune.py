"""What an earlier configuration left: `skymill prune [RESULTS] [--delete]`.

A run writes what its configuration makes to `products.json` in the results folder. Every other
product in the folder is a leftover, but not those of branches that are switched off.
"""

import shutil
from pathlib import Path

from skymill.engine.errors import SkymillError
from skymill.engine.products import document_path, read_document
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


def delete_leftover(results: Path, name: str) -> None:
    """Delete a leftover: its document last, so that what is left of it is found again."""
    for path in files_of(results, name):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def prune(results: str, *, delete: bool = False) -> str:
    """Return what was found, and what was done about it.

    Parameters
    ----------
    results
        The results folder.
    delete
        Delete what was found.

    Raises
    ------
    SkymillError
        When the results are in object storage.
    """
    if "://" in results:
        raise SkymillError("prune works on a folder of this machine, not on object storage.")
    folder = Path(results)
    names = leftovers_of(open_results(results))
    if not names:
        return f"{folder}/ holds nothing but what its configuration makes."
    listed = [f"  {path}" for name in names for path in files_of(folder, name)]
    if not delete:
        return "\n".join(["Left by an earlier configuration (`--delete` deletes them):", *listed])
    for name in names:
        delete_leftover(folder, name)
    return "\n".join(["Deleted:", *listed])
