"""`skymill diff A B`: compare two results folders."""

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd

from skymill.engine.errors import SkymillError
from skymill.engine.products import MANIFEST, Product, own_entries
from skymill.engine.staleness import Folder
from skymill.engine.tables import read_table
from skymill.made import is_final
from skymill.magnetic.records import HOLDOUT
from skymill.paths import PRODUCTS, RECORDS, SDO_PLAN, ZTF_STAMPS
from skymill.watch import open_results

TABLES = {
    RECORDS: ["file", "record_id"],
    SDO_PLAN: ["sample_id"],
    ZTF_STAMPS: ["object_id", "candid"],
}
"""The tables with splits and labels, and the keys of their rows.

The test file has its own ids, so `file` is part of a record's key. Ids of synthetic records mean
different records in each plan, so synthetic records are left out.
"""


def diff(first: str, second: str) -> str:
    """Return a text on how two results folders differ: settings, products, splits and labels.

    Raises
    ------
    SkymillError
        When one of the folders has no products.
    """
    folders = [open_results(name) for name in (first, second)]
    runs = [folder.read(PRODUCTS) for folder in folders]
    for name, run in zip((first, second), runs, strict=True):
        if not run:
            raise SkymillError(f"Nothing has been made in {name}/ yet: run `snakemake`.")
    lines = ["Settings of the latest runs:", *_settings(*(run.get("settings") for run in runs))]
    documents = [_documents(folder) for folder in folders]
    lines += ["", "Products:", *_products(folders, (first, second), documents)]
    for name, keys in TABLES.items():
        if all(name + MANIFEST in found for found in documents):
            lines += ["", f"{name}:"]
            if any(folder.address for folder in folders):
                lines.append("  rows are compared only on a disk: copy the two folders to a disk")
                continue
            frames = [_read(Path(folder, name), keys) for folder in (first, second)]
            lines += _rows(*frames, keys)
    return "\n".join(lines)


def _settings(first: dict | None, second: dict | None) -> list[str]:
    if first is None or second is None:
        return ["  unknown: an earlier version of Skymill, which kept no settings, made a folder"]
    left, right = _flat(first), _flat(second)
    names = sorted({*left, *right} - {"results"})
    return [
        f"  {name}: {left.get(name, 'not set')} -> {right.get(name, 'not set')}"
        for name in names
        if left.get(name) != right.get(name)
    ] or ["  the same"]


def _flat(settings: dict, before: str = "") -> dict:
    """Return settings by their dotted names."""
    flat = {}
    for name, value in settings.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{before}{name}.")
        else:
            flat[f"{before}{name}"] = value
    return flat


def _documents(folder: Folder) -> dict[str, dict]:
    """Return the readable manifests of the final products, by name."""
    read = {name: folder.document(name) for name in folder.documents() if is_final(name)}
    return {name: made for name, made in read.items() if isinstance(made, dict)}


def _products(
    folders: list[Folder], places: tuple[str, str], documents: list[dict[str, dict]]
) -> list[str]:
    left, right = documents
    lines, same = [], 0
    for name in sorted({*left, *right}):
        product = name.removesuffix(MANIFEST)
        if name not in left or name not in right:
            lines.append(f"  {product}: only in {places[0 if name in left else 1]}")
            continue
        ours, theirs = (
            _content(folder, place, made[name])
            for folder, place, made in zip(folders, places, documents, strict=True)
        )
        if ours == theirs:
            same += 1
        else:
            rows = [_count(made[name]) for made in documents]
            lines.append(
                f"  {product}: different content, {rows[0]:,} rows"
                + ("" if rows[0] == rows[1] else f" -> {rows[1]:,} rows")
            )
    return [*lines, f"  {same} identical, byte for byte"]


def _count(document: dict) -> int:
    """Return the rows of a product."""
    own = sum(entry["rows"] for entry in own_entries(document))
    return own + document.get("members", {"rows": 0})["rows"]


def _content(folder: Folder, place: str, document: dict) -> dict[str, str]:
    """Return a digest of each file of a product. The digests do not depend on the machine."""
    files = {
        entry["name"]: entry.get("sha256_without_location", entry["sha256"])
        for entry in document["files"]
    }
    if "members" in document:
        entry = document["members_list"]
        path = Path(place, document["product"]).with_name(entry["name"])
        if folder.address:
            # The list's digest also covers the inputs. So equal products may look different, but
            # different products never look equal.
            files[entry["name"]] = entry["sha256"]
        elif path.is_file():
            rows = read_table(path).to_pylist()
            files |= {row["name"]: row["sha256"] for row in rows if row["role"] == "file"}
        else:
            raise SkymillError(
                f"{path}, which lists the files of {document['product']}, is missing. Run again."
            )
    return files


def _read(path: Path, keys: list[str]) -> pd.DataFrame:
    """Check the size of the file, and return keys, split and label of each row."""
    (path,) = Product(path).files()
    stored = [name for name in keys if name != "file"] + ["split", "label"]
    if "file" not in keys:
        frame = read_table(path, stored).to_pandas()
    else:
        frame = read_table(path, [*stored, "method"]).to_pandas()
        frame = frame[frame["method"] == "original"]
        frame = frame.assign(file=np.where(frame["split"] == HOLDOUT, "test", "train"))
    return frame[[*keys, "split", "label"]].astype({"split": str, "label": str})


def _rows(left: pd.DataFrame, right: pd.DataFrame, keys: list[str]) -> list[str]:
    both = left.merge(right, on=keys, how="outer", indicator=True, suffixes=("", "_now"))
    matched = both[both["_merge"] == "both"]
    gone, new = ((both["_merge"] == side).sum() for side in ("left_only", "right_only"))
    lines = [
        f"  {len(matched):,} rows in both, {gone:,} only in the first, {new:,} only in the second"
    ]
    for name in ("split", "label"):
        pairs = Counter(zip(matched[name], matched[f"{name}_now"], strict=True))
        moved = {pair: count for pair, count in pairs.items() if pair[0] != pair[1]}
        lines += [
            f"  {name} {before} -> {after}: {count:,} rows"
            for (before, after), count in sorted(moved.items())
        ] or [f"  the same {name} in all rows"]
    return lines
