"""`skymill.lineage`: where a magnetic record comes from, and how it was made."""

from dataclasses import dataclass
from pathlib import Path

import pyarrow.compute as pc

from skymill.engine.errors import SkymillError
from skymill.engine.products import Product
from skymill.engine.tables import read_table
from skymill.magnetic.inputs import file_name, input_with
from skymill.magnetic.records import HOLDOUT
from skymill.magnetic.schema import SPLITS
from skymill.paths import DEFAULT_RESULTS, IDS, PLAN
from skymill.reader.found import choose, command, on_disk

LARGEST = 10**18
"""The largest number in a table."""


@dataclass(frozen=True)
class Lineage:
    """Where a record comes from.

    Attributes
    ----------
    record_id, label
        The id and label of the record.
    file, item, line, source_id
        The raw file; `line` or `window`; the number of the line (from 1) or of the window in the
        catalogue of SWAN-SF; and the id in the raw file. For a synthetic record, these are the
        values of its parent.
    renumbered
        Whether an earlier record had the same id.
    parent, method, copy
        The original record of a synthetic record (None for originals), the method, and the number
        of the copy.
    split, fold, region
        The plan of the record. split is None for records that undersampling removed.
    """

    record_id: int
    label: str | None
    file: str
    item: str
    line: int
    source_id: int
    renumbered: bool
    parent: int | None
    method: str
    copy: int
    split: str | None
    fold: int | None
    region: int | None

    def __str__(self) -> str:
        made = (
            f"{self.method} copy {self.copy} of record {self.parent}, which is"
            if self.parent is not None
            else "the record"
        )
        taken = ", renumbered because an earlier record has this id" if self.renumbered else ""
        id_ = f"id {self.source_id}{taken}"
        fold = "" if self.fold is None else f", fold {self.fold}"
        region = "" if self.region is None else f", region {self.region}"
        where = f"in {self.split}{fold}{region}" if self.split else "in no split: it was removed"
        return (
            f"record {self.record_id} (class {self.label or 'unknown'}): {made} in "
            f"{self.item} {self.line:,} of {self.file} ({id_}); {where}"
        )


def lineage(
    record_id: int, split: str | None = None, results: str | Path = DEFAULT_RESULTS
) -> Lineage:
    """Return where a magnetic record comes from and how it was made.

    Parameters
    ----------
    record_id
        The id in the splits.
    split
        `holdout_test` for a record of the test file, which has its own ids.
    results
        The results folder.

    Raises
    ------
    SkymillError
        When the record does not exist, or a product is missing.
    """
    record_id, results = int(record_id), on_disk(results)
    if abs(record_id) > LARGEST:
        raise SkymillError(f"there is no record {record_id}: an id has at most 18 digits.")
    if split is not None:
        choose(split, SPLITS, "split of the magnetic data set")
    if split == HOLDOUT:
        row = _row(results, IDS.format(collection="test"), record_id)
        return _lineage(record_id, row or _unknown(record_id, "the test file"), {"split": HOLDOUT})
    planned = _row(results, PLAN, record_id)
    parent = planned and planned["parent"]
    origin = _row(results, IDS.format(collection="train"), record_id if parent is None else parent)
    return _lineage(record_id, origin or _unknown(record_id, "the training files"), planned or {})


def _row(results: Path, name: str, record_id: int) -> dict | None:
    """Return the row of a record in a table, or None."""
    try:
        (path,) = Product(results / name).files()
    except SkymillError as error:
        raise SkymillError(f"{error} (`{command('magnetic', results)}`)") from error
    table = read_table(path)
    rows = table.filter(pc.equal(table["record_id"], record_id)).to_pylist()
    return rows[0] if rows else None


def _unknown(record_id: int, where: str):
    raise SkymillError(
        f"there is no record {record_id} in the products of {where}. records.parquet lists all "
        f"records. For a record of the test file, give the split {HOLDOUT} as well."
    )


def _lineage(record_id: int, origin: dict, planned: dict) -> Lineage:
    return Lineage(
        record_id=record_id,
        label=planned.get("label") or origin["label"],
        file=file_name(origin["partition"]),
        item=input_with(origin["partition"]).item,
        line=origin["line"],
        source_id=origin["source_id"],
        renumbered=origin["renumbered"],
        parent=planned.get("parent"),
        method=planned.get("method", "original"),
        copy=planned.get("copy", 0),
        split=planned.get("split"),
        fold=planned.get("fold"),
        region=planned.get("region"),
    )
