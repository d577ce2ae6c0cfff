"""Products of an earlier configuration: `skymill prune [RESULTS] [--delete]`.

A run writes the list of its configuration's products to `products.json` in the results folder.
Every other product in the folder is a leftover, except products of branches that are switched off.
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
    """Delete a leftover. Its document goes last, so that an interrupted deletion can continue."""
    for path in files_of(results, name):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def prune(results: str, *, delete: bool = False) -> str:
    """Return a text that lists the leftovers, and says whether they were deleted.

    Parameters
    ----------
    results
        The results folder.
    delete
        Delete the leftovers.

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
        return f"{folder}/ contains only the products of its configuration."
    listed = [f"  {path}" for name in names for path in files_of(folder, name)]
    if not delete:
        return "\n".join(
            ["Leftovers of an earlier configuration (--delete deletes them):", *listed]
        )
    for name in names:
        delete_leftover(folder, name)
    return "\n".join(["Deleted:", *listed])
