"""Record ids, assigned in file order; unique in the training files, and in the test file."""

import json
import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from skymill.engine.products import Product
from skymill.engine.tables import categorical, read_frame
from skymill.magnetic.inputs import PARTITION_NAMES, place_of_record
from skymill.magnetic.places import CATALOGUED, append_columns, have_places
from skymill.magnetic.schema import CLASSES, FIRST_NEW_ID, STEPS, UNKNOWN
from skymill.magnetic.store import RecordStore

logger = logging.getLogger(__name__)

SHOWN = 3
"""So many contradictions are shown."""

IDS_SCHEMA = pa.schema(
    [
        pa.field("record_id", pa.int64(), nullable=False),
        pa.field("source_id", pa.int64(), nullable=False),
        categorical("partition", PARTITION_NAMES, nullable=False),
        pa.field("line", pa.int64(), nullable=False),
        pa.field("position", pa.int64(), nullable=False),
        categorical("label", CLASSES),
        pa.field("content", pa.binary(16), nullable=False),
        pa.field("renumbered", pa.bool_(), nullable=False),
        pa.field("collides_with_identical", pa.bool_(), nullable=False),
    ]
)
"""Sorted by record_id. `position` counts the partition's valid records from 0. The ids of SWAN-SF
have the columns of places.CATALOGUED as well."""


def assign_ids(catalogues: list[pa.Table], *, collisions: str) -> tuple[pa.Table, dict]:
    """Assign a unique id to every valid record.

    In file order, the first valid record with an id keeps the id. Each later record with this id
    gets the next number from max(171038, 1 + the largest id of a valid record) on.

    Parameters
    ----------
    catalogues
        The catalogues of the files in file order, as `ingest` writes them.
    collisions
        `renumber`, or `drop_identical`: drop a later record if an earlier record has the same id
        and identical content.

    Returns
    -------
    ids
        A table of IDS_SCHEMA, with the columns of places.CATALOGUED if the catalogues have them.
    counts
        valid = kept + dropped_identical; collisions, renumbered, collisions with identical content
        and the number of these collisions with different labels. `contradictory` counts the records
        with the values of another record, but another label; their ids do not matter, see
        describe_contradictions.
    """
    frames, places = [], []
    for catalogue in catalogues:
        table = catalogue.filter(pa.array(_is_valid(catalogue)))
        frame = pd.DataFrame(
            {name: table[name].to_pandas() for name in ("source_id", "line", "content")}
        )
        frame["partition"] = table["partition"].cast(pa.string()).to_pandas()
        frame["label"] = table["label"].cast(pa.string()).to_pandas()
        frame = frame.sort_values("line")
        places.append(table.take(pa.array(frame.index)) if have_places(table) else table)
        frame = frame.reset_index(drop=True)
        frame["position"] = np.arange(len(frame))
        frames.append(frame)
    valid = pd.concat(frames, ignore_index=True)
    taken = valid.duplicated("source_id").to_numpy()
    identical = valid.duplicated(["source_id", "content"]).to_numpy()
    agreeing = valid.duplicated(["source_id", "content", "label"]).to_numpy()
    dropped = identical if collisions == "drop_identical" else np.zeros(len(valid), bool)
    source_id = valid["source_id"].to_numpy(np.int64)
    renumbered = taken & ~dropped
    first = max(FIRST_NEW_ID, 1 + int(source_id.max(initial=-1)))
    record_id = source_id.copy()
    record_id[renumbered] = first + np.arange(renumbered.sum())
    valid["record_id"] = record_id
    valid["renumbered"] = renumbered
    valid["collides_with_identical"] = identical
    kept = valid[~dropped].sort_values("record_id")
    ids = pa.Table.from_arrays(
        [pa.array(kept[field.name], type=field.type, from_pandas=True) for field in IDS_SCHEMA],
        schema=IDS_SCHEMA,
    )
    if all(map(have_places, places)):
        found = pa.concat_tables(places).take(pa.array(kept.index))
        ids = append_columns(ids, found, CATALOGUED)
    counts = {
        "valid": len(valid),
        "kept": len(kept),
        "collisions": int(taken.sum()),
        "collisions_by_label": _by_label(valid["label"][taken]),
        "collisions_with_identical_content": int(identical.sum()),
        "collisions_with_identical_content_and_other_label": int((identical & ~agreeing).sum()),
        "contradictory": describe_contradictions(valid),
        "renumbered": int(renumbered.sum()),
        "dropped_identical": int(dropped.sum()),
        "first_new_id": first,
        "kept_by_label": _by_label(kept["label"]),
    }
    return ids, counts


def describe_contradictions(valid: pd.DataFrame) -> dict:
    """Count records that have the values of another record, but another label.

    Parameters
    ----------
    valid
        One row per valid record in file order: partition, line, source_id, label, content. Records
        without a label are not compared.

    Returns
    -------
    `contents`: how many different contents have several labels. `records`: how many records have
    one of these contents. `examples`: the records of the first few contents, with partition, line,
    source_id and label.
    """
    labelled = valid[valid["label"].notna()]
    distinct = labelled.drop_duplicates(["content", "label"])
    several = distinct.loc[distinct.duplicated("content"), "content"].unique()
    inside = labelled[labelled["content"].isin(several)]
    shown = inside[inside["content"].isin(inside["content"].unique()[:SHOWN])]
    shown = shown.iloc[: 2 * SHOWN].sort_values("content", kind="stable")
    names = ["partition", "line", "source_id", "label"]
    return {
        "contents": len(several),
        "records": len(inside),
        "examples": json.loads(shown[names].to_json(orient="records")),
    }


def warn_of_contradictions(collection: str, counts: dict) -> None:
    """Warn of contradictory labels, if `assign_ids` counted any."""
    found = counts["contradictory"]
    if found["records"]:
        shown = ", ".join(
            f"{place_of_record(each['partition'], each['line'])} ({each['label']})"
            for each in found["examples"]
        )
        logger.warning(
            "%s records of the %s files have the same values as another record, but another "
            "class: %s. A model cannot learn both classes.",
            f"{found['records']:,}",
            collection,
            shown,
        )


def _is_valid(catalogue: pa.Table) -> np.ndarray:
    return catalogue["status"].cast(pa.string()).to_numpy(zero_copy_only=False) == "valid"


def _by_label(labels: pd.Series) -> dict[str, int]:
    counts = labels.fillna(UNKNOWN).value_counts()
    return {str(label): int(count) for label, count in sorted(counts.items())}


def read_ids(path: Path) -> pd.DataFrame:
    """Read an ids table, sorted by record_id; missing labels are NaN."""
    return read_frame(path, IDS_SCHEMA.names)


def steps_of_records(ids: pd.DataFrame, stores: dict[str, Product]) -> np.ndarray:
    """Return the step fingerprints of the records of an ids table, in the order of the table.

    `stores` has the ingested values of each partition. The result is uint64, shape (records, 60).
    """
    steps = np.empty((len(ids), STEPS), dtype=np.uint64)
    position = ids["position"].to_numpy()
    for name in ids["partition"].unique():
        rows = np.flatnonzero(ids["partition"] == name)
        rows = rows[np.argsort(position[rows])]
        store = RecordStore(stores[name])
        [steps[rows]] = store.read(position[rows], ["fingerprint"], np.uint64)
    return steps
