"""Products of an earlier configuration: `skymill prune [RESULTS] [--delete]`.

A run writes the list of its configuration's products to `products.json` in the results folder.
Every other product in the folder is a leftover, except products of branches that are switched off.
"""

import shutil
from pathlib import Path

from skymill import paths
from skymill.engine.errors import SkymillError
from skymill.engine.products import document_path, read_document
from skymill.engine.run_lock import NotWritable, RunLock
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
        When the results are in object storage, when there is no list of the configuration's
        products, or when products are to be deleted and a run works in the folder or the disk
        cannot be written.
    """
    if "://" in results:
        raise SkymillError("prune works on a folder of this machine, not on object storage.")
    folder = Path(results)
    if not folder.is_dir():
        raise SkymillError(f"There is no folder {results}, so there are no products to delete.")
    if not (folder / paths.PRODUCTS).exists():
        raise SkymillError(
            f"{folder}/ has no {paths.PRODUCTS}: no run has listed the products of its "
            "configuration yet, so it is unknown which products are no longer needed. Run "
            "Snakemake with this results folder, then prune again. If there is nothing to do, "
            "Snakemake only writes the list."
        )
    names = leftovers_of(open_results(results))
    if not names:
        return f"{folder}/ contains only the products of its configuration."
    listed = [f"  {path}" for name in names for path in files_of(folder, name)]
    if not delete:
        return "\n".join(
            ["Leftovers of an earlier configuration (--delete deletes them):", *listed]
        )
    RunLock([folder], Path.cwd()).require_free()
    for name in names:
        try:
            delete_leftover(folder, name)
        except OSError as error:
            raise NotWritable(error.filename or str(folder / name), error) from None
    return "\n".join(["Deleted:", *listed])
