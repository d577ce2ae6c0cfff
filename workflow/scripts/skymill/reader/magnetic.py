"""The engineered magnetic splits, with the columns of `records.parquet`."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from skymill.engine.errors import SkymillError
from skymill.engine.tables import read_table
from skymill.magnetic.schema import LABELS, SPLITS, STEPS, UNKNOWN
from skymill.magnetic.statistics import KEYS
from skymill.paths import DEFAULT_RESULTS
from skymill.reader.found import FoundProduct, choose

if TYPE_CHECKING:
    import dask.dataframe as dd

FORMS = ("numpy", "arrow", "pandas", "dask")
LAYOUTS = ("ntc", "nct")


@dataclass(frozen=True)
class MagneticRecords:
    """A split in NumPy; all arrays have the same records in the same order.

    Attributes
    ----------
    X
        The engineered columns, without missing values. The shape is (records, 60 steps, columns),
        or with layout "nct" (records, columns, 60 steps), which aeon, sktime and tsai need.
    y
        int64: the class as an index into `classes`; -1 if the class is unknown.
    classes
        X, M, C, B, Q: the strongest flare of the following 24 hours.
    columns
        Names of the engineered columns.
    record_id
        int64, unique within the split.
    groups
        int64: the region, for splitters that keep groups together; -1 in holdout_test.
    folds
        int64, from 0; -1 without `split.folds` and in holdout_test.
    method
        How each record was made: original, warp, scale, duplicate.
    records
        The rows of `records.parquet` for these records.
    source
        sample (simulated), local or archive.
    """

    X: np.ndarray
    y: np.ndarray
    classes: tuple[str, ...]
    columns: tuple[str, ...]
    record_id: np.ndarray
    groups: np.ndarray
    folds: np.ndarray
    method: np.ndarray
    records: pd.DataFrame
    source: str

    def __len__(self) -> int:
        return len(self.y)


def load_magnetic(
    split: str,
    results: str | Path = DEFAULT_RESULTS,
    *,
    form: str = "numpy",
    layout: str = "ntc",
    dtype: str | np.dtype = "float64",
) -> "MagneticRecords | pa.Table | pd.DataFrame | dd.DataFrame":
    """Load a split of the magnetic data set.

    Parameters
    ----------
    split
        train, dev, test or holdout_test.
    results
        See FoundProduct.
    form
        numpy: MagneticRecords. arrow, pandas, dask: one row per step, with the columns of the split
        and the columns of `records.parquet`, except the shares of missing steps. pandas has the
        index (record_id, seq_id). dask reads a file when its values are needed.
    layout, dtype
        The layout and type of X. The files have float64; float32 needs half the memory.
    """
    choose(split, SPLITS, "split of the magnetic data set")
    choose(form, FORMS, "form")
    choose(layout, LAYOUTS, "layout")
    steps = FoundProduct("magnetic", split, results)
    records = _records_of(split, results)
    if form == "dask":
        return _dask_frame(steps, records)
    if form == "numpy":
        return _arrays(steps, records, layout, np.dtype(dtype))
    table = pa.concat_tables(steps.tables())
    joined = _joined(table, records)
    if form == "arrow":
        return joined
    return joined.to_pandas().set_index(["record_id", "seq_id"])


def _records_of(split: str, results: str | Path) -> pa.Table:
    (table,) = FoundProduct("magnetic", "records.parquet", results).tables()
    return table.filter(pc.equal(table["split"].cast(pa.string()), split))


def _arrays(
    steps: FoundProduct, records: pa.Table, layout: str, dtype: np.dtype
) -> MagneticRecords:
    count = steps.rows() // STEPS
    columns, first = None, 0
    for table in steps.tables():
        if columns is None:
            columns = tuple(name for name in table.column_names if name not in KEYS)
            shape = {"ntc": (STEPS, len(columns)), "nct": (len(columns), STEPS)}[layout]
            values = np.empty((count, *shape), dtype=dtype)
            by_column = values.transpose(0, 2, 1) if layout == "ntc" else values
            record_id = np.empty(count, dtype=np.int64)
        last = first + table.num_rows // STEPS
        record_id[first:last] = table["record_id"].to_numpy()[::STEPS]
        for place, name in enumerate(columns):
            by_column[first:last, place] = table[name].to_numpy().reshape(-1, STEPS)
        first = last
    _require_same_records(steps, record_id, records)
    label = records["label"].cast(pa.string())
    return MagneticRecords(
        X=values,
        y=class_codes(label.to_pylist(), LABELS),
        classes=LABELS,
        columns=columns,
        record_id=record_id,
        groups=_filled(records["region"]),
        folds=_filled(records["fold"]),
        method=records["method"].cast(pa.string()).to_numpy(),
        records=records.to_pandas(),
        source=steps.source,
    )


def class_codes(labels: list[str], classes: tuple[str, ...]) -> np.ndarray:
    """Return the index of each label in `classes`, int64; -1 for an unknown label."""
    code = {**{name: place for place, name in enumerate(classes)}, UNKNOWN: -1, None: -1}
    return np.array([code[label] for label in labels], dtype=np.int64)


def _filled(column: pa.ChunkedArray) -> np.ndarray:
    return pc.fill_null(column.cast(pa.int64()), -1).to_numpy()


def _require_same_records(steps: FoundProduct, record_id: np.ndarray, records: pa.Table) -> None:
    if not np.array_equal(record_id, records["record_id"].to_numpy()):
        raise SkymillError(
            f"{steps.path} does not have the records that records.parquet lists for this split: "
            "the two come from different runs. Run again, or copy both from one run."
        )


def _joined(table: pa.Table, records: pa.Table) -> pa.Table:
    """Return steps with the columns of their records, in the order of the steps."""
    place = np.searchsorted(records["record_id"].to_numpy(), table["record_id"].to_numpy()[::STEPS])
    rows = records.take(pa.array(np.repeat(place, STEPS)))
    for name in rows.column_names:
        if name not in table.column_names and not name.startswith("missing_"):
            table = table.append_column(rows.schema.field(name), rows[name])
    return table


def _dask_frame(steps: FoundProduct, records: pa.Table) -> "dd.DataFrame":
    import dask.dataframe as dd

    paths = [path for path, _ in steps.files()]
    keep = [name for name in records.column_names if not name.startswith("missing_")]
    records = records.select(keep)

    def read(path: Path) -> pd.DataFrame:
        table = read_table(path)
        low, high = pc.min_max(table["record_id"]).values() if table.num_rows else (0, -1)
        record_id = records["record_id"]
        mine = pc.and_(pc.greater_equal(record_id, low), pc.less_equal(record_id, high))
        return _joined(table, records.filter(mine)).to_pandas()

    meta = read(paths[0]).iloc[:0]
    return dd.from_map(read, paths, meta=meta, label="skymill-magnetic")
