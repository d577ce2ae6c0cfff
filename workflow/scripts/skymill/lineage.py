"""Products that have lost something they were made from, and how Snakemake gets to know.

Snakemake does not make a missing intermediate file again while what was made from it exists. So
when a job fails after a change its output is gone, and the old results downstream look current.
The manifests tell what each product holds and was made from; a product that lost a file, or whose
inputs are gone or have other content, gets a new repair number. The number is a parameter of its
rule, so Snakemake makes the product again, and what it needs, in whatever run asks for it next.
Manifests tell as well by what code and with which settings a product was made; that is asked where
Snakemake's own records do not belong to it.
"""

import functools
import json
import os
from collections.abc import Iterable
from pathlib import Path

from skymill.digests import file_sha256, settings_digest
from skymill.products import manifest_path, new_file, write_json


def orphans(products: Iterable[str], root: Path) -> dict[str, str]:
    """Return the products that are not whole, or not made from what is there now: {product: why}.

    Parameters
    ----------
    products
        Paths of products and receipts relative to `root`; those that do not exist are passed over.
    """
    found = {}
    # What gathers thousands of products and the products themselves have many inputs in common.
    digest_of = functools.cache(file_sha256)
    for product in products:
        manifest = _manifest(root / product)
        if not manifest and (root / product).exists():
            found[product] = "its manifest is gone"
        for file in _damaged(root / product, manifest):
            found[product] = f"{file} is not the file that its manifest describes"
        for name in manifest.get("gates", ()):
            if not (root / name).exists():
                found[product] = f"the check that wrote {name} has to pass again"
        for name, digest in manifest.get("inputs", {}).items():
            if not (root / name).exists():
                found[product] = f"{name}, which it was made from, is gone"
            elif digest_of(root / name) != digest:
                found[product] = f"{name} has changed since it was made"
    return found


def made_otherwise(
    manifest: dict, *, code: str, settings: dict, inputs: Iterable[str] | None
) -> str | None:
    """Return in what a product differs from what its rule would make now; None when in nothing.

    Parameters
    ----------
    manifest
        Its manifest or receipt. Those of raw files do not say how they were made, and that of an
        unpacked tree knows no settings.
    code, settings
        What the rule would write into the manifest, see products.write_manifest.
    inputs
        Manifests and receipts that the rule would take; None if that depends on the product.
    """
    if "code" not in manifest:
        return None
    if manifest["code"] != code:
        return "it was made by other code"
    if "config" in manifest and manifest["config"]["sha256"] != settings_digest(settings):
        return "it was made with other settings"
    if inputs is not None and {*inputs} != {*manifest["inputs"], *manifest.get("gates", ())}:
        return "it was made from other products"
    return None


def age(path: Path) -> None:
    """Give a manifest a very old time, so that all that its product was made from is newer.

    It is replaced: only its owner may set the time of a file, but colleagues share folders.
    """
    content = path.read_bytes()
    with new_file(path) as temporary:
        temporary.write_bytes(content)
        os.utime(temporary, (1, 1))  # 0 would pass for no time


def renumber(state: Path, products: Iterable[str]) -> dict[str, int]:
    """Give each of the products the next repair number in the file `state`; return all numbers."""
    numbers = read_numbers(state)
    products = list(products)
    for product in products:
        numbers[product] = numbers.get(product, 0) + 1
    if products:
        write_json(state, numbers)
    return numbers


def read_numbers(state: Path) -> dict[str, int]:
    """Return the repair numbers in the file `state`: none when it does not exist."""
    return json.loads(state.read_text()) if state.exists() else {}


def _damaged(product: Path, manifest: dict) -> list[str]:
    """Return the files of a product that are missing or have another size than they should."""
    folder = product if product.is_dir() else product.parent
    sizes = {entry["name"]: entry["bytes"] for entry in manifest.get("files", ())}
    return [
        name
        for name, size in sizes.items()
        if not (folder / name).exists() or (folder / name).stat().st_size != size
    ]


def _manifest(product: Path) -> dict:
    """Return the manifest of a product, or a receipt itself; nothing when there is none."""
    path = product if product.suffix == ".json" else manifest_path(product)
    return json.loads(path.read_text()) if path.exists() else {}
