"""The table `records.parquet`: the split, the origin and the missing steps of each record.

The engineered splits have one row per step. Values that are equal for all steps of a record are in
this table. Join it by split and record_id.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from skymill.engine.parallel import map_pieces
from skymill.engine.products import Product
from skymill.magnetic.missing import missing_steps
from skymill.magnetic.places import PLACES
from skymill.magnetic.plan_table import PLAN_SCHEMA
from skymill.magnetic.schema import PARAMETERS, UNKNOWN
from skymill.magnetic.store import RecordStore, pieces

HOLDOUT = "holdout_test"
"""The split of the test file."""

FLARES = ("X", "M")
"""The classes of the usual forecast: will there be a flare of class M or X in the next 24 hours?"""


def _nullable(name: str) -> pa.Field:
    return PLAN_SCHEMA.field(name).with_nullable(True)


def records_schema(
    parameters: Sequence[str] = PARAMETERS, places: Sequence[pa.Field] = ()
) -> pa.Schema:
    """Return the schema of the table: `missing_*` for these parameters; `places` is PLACES or none.

    Records of the training files come first, then records of the test file, both sorted by
    record_id. `record_id` is unique within the training files and within the test file, so
    (split, record_id) is unique. `fold` is null without folds. `region` and `parent` are null in
    the test file. `m_or_x` is 1 for the classes M and X, 0 for other classes, and null for an
    unknown class. It is a number, because pandas makes objects of booleans with nulls.
    `missing_*` is the share of the 60 steps without a value.
    """
    return pa.schema(
        [
            PLAN_SCHEMA.field("record_id"),
            PLAN_SCHEMA.field("split"),
            PLAN_SCHEMA.field("fold"),
            _nullable("region"),
            PLAN_SCHEMA.field("partition"),
            PLAN_SCHEMA.field("parent"),
            PLAN_SCHEMA.field("method"),
            PLAN_SCHEMA.field("label"),
            pa.field("m_or_x", pa.int8()),
            *places,
            *(pa.field(f"missing_{name}", pa.float32(), nullable=False) for name in parameters),
        ]
    )


@dataclass(frozen=True)
class MissingPiece:
    """The records of a store at the positions [first, last)."""

    store: Product
    parameters: Sequence[str]
    first: int
    last: int


def missing_shares(
    store: Product, parameters: Sequence[str] = PARAMETERS, *, workers: int = 1
) -> np.ndarray:
    """Return the share of missing steps of each record and parameter.

    `store` has the clean records. The result is float32, shape (records, parameters), in the order
    of the store and of `parameters`. A worker has one batch of the values in memory at a time.
    """
    work = [MissingPiece(store, parameters, *piece) for piece in pieces(len(RecordStore(store)))]
    done = map_pieces(_missing_of_piece, work, workers=workers, what=f"read {store.path}")
    return np.concatenate(done)


def _missing_of_piece(piece: MissingPiece) -> np.ndarray:
    values = RecordStore(piece.store).read(np.arange(piece.first, piece.last), piece.parameters)
    shares = [
        missing_steps(series, name).mean(axis=1)
        for name, series in zip(piece.parameters, values, strict=True)
    ]
    return np.stack(shares, axis=1).astype(np.float32)


def records_table(
    plan: pd.DataFrame,
    clean: pd.DataFrame,
    missing: np.ndarray,
    held_out: pd.DataFrame | None = None,
    missing_held_out: np.ndarray | None = None,
    *,
    parameters: Sequence[str] = PARAMETERS,
    places: pa.Table | None = None,
) -> pa.Table:
    """Return the table of records_schema.

    Parameters
    ----------
    plan
        From plan_table.read_plan. Records that undersampling removed are not in the plan.
    clean, held_out
        The ids of the clean training records and of the test file, if any, from ids.read_ids.
    missing, missing_held_out
        The shares of missing steps of these records, see missing_shares. A synthetic record has
        the shares of its parent: no method changes missing values.
    parameters
        The parameters of `missing`.
    places
        The plan as a table, if it has the columns of PLACES.
    """
    origin = plan["parent"].fillna(plan["record_id"]).to_numpy(np.int64)
    rows = np.searchsorted(clean["record_id"].to_numpy(), origin)
    tables = [_table(plan, missing[rows], parameters, places)]
    if held_out is not None:
        nothing = pd.array([pd.NA] * len(held_out), dtype="Int64")
        frame = held_out.assign(
            split=HOLDOUT,
            fold=nothing,
            region=nothing,
            parent=nothing,
            method="original",
            label=held_out["label"].astype(object).fillna(UNKNOWN),
        )
        tables.append(_table(frame, missing_held_out, parameters))
    return pa.concat_tables(tables).combine_chunks()


def _table(
    frame: pd.DataFrame,
    missing: np.ndarray,
    parameters: Sequence[str],
    places: pa.Table | None = None,
) -> pa.Table:
    label = frame["label"]
    flare = pd.array(label.isin(FLARES), dtype="Int8")
    flare[(label == UNKNOWN).to_numpy()] = pd.NA
    columns = {"m_or_x": flare} | {
        f"missing_{name}": missing[:, number] for number, name in enumerate(parameters)
    }
    schema = records_schema(parameters, PLACES if places is not None else ())
    arrays = [
        places[field.name].combine_chunks()
        if field in PLACES
        else pa.array(
            columns.get(field.name, frame.get(field.name)), type=field.type, from_pandas=True
        )
        for field in schema
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def count_records(table: pa.Table) -> dict:
    """Return how many records there are, by split."""
    found = table["split"].combine_chunks().value_counts().to_pylist()
    return {
        "records": table.num_rows,
        "by_split": {entry["values"]: entry["counts"] for entry in found},
    }
