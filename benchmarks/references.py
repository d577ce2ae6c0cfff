"""The simple reference programs of the benchmarks.

A user who knows pandas would write this code first: a data frame for each record, the same checks
and the same numbers as the workflow, and no deliberate detour. Nothing here is used elsewhere.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.interpolate import CubicSpline

from skymill.engine.randomness import generator, key
from skymill.magnetic.augment import LOWEST_WARP, SCALE_RANGE, WARP_DEVIATION, WARP_KNOTS
from skymill.magnetic.schema import (
    EXTENSIVE_PARAMETERS,
    LABELS,
    PARAMETERS,
    STEPS,
    XR_MAX_MISSING,
)

CHUNK_LINES = 50
"""Lines that pandas reads at once: the fastest of 1, 10, 50 and 100."""


def ingest_with_pandas(raw: Path, output: Path) -> int:
    """Turn JSON lines into Parquet, with a data frame per record. Return the kept records."""
    writer, kept = None, 0
    with pd.read_json(raw, lines=True, chunksize=CHUNK_LINES) as chunks:
        for chunk in chunks:
            frames = []
            # A column is an id and a row is a line, so one cell of each column contains a record.
            for record_id in chunk.columns:
                record = chunk[record_id].dropna().iloc[0]
                if record["label"] not in LABELS:
                    continue
                frame = pd.DataFrame(record["values"], columns=PARAMETERS)
                frame.index = frame.index.astype(int)
                if len(frame) != STEPS or not frame["USFLUX"].fillna(0).any():
                    continue
                frame.insert(0, "record_id", record_id)
                frame.insert(1, "seq_id", frame.index)
                frame.insert(2, "label", record["label"])
                frames.append(frame)
            if not frames:
                continue
            kept += len(frames)
            table = pa.Table.from_pandas(pd.concat(frames), preserve_index=False)
            writer = writer or pq.ParquetWriter(output, table.schema)
            writer.write_table(table)
    if writer:
        writer.close()
    return kept


def augment_with_pandas(
    clean: pd.DataFrame, parents: np.ndarray, methods: np.ndarray, copies: np.ndarray, seed: int
) -> pd.DataFrame:
    """Return the synthetic copies of some records: a data frame per copy, joined at the end.

    Parameters
    ----------
    clean
        One row per step: record_id and the 33 parameters.
    parents, methods, copies
        Which record each copy is made of, `warp` or `scale`, and the number of the copy. The
        random numbers are the same as in the workflow, so that the values can be compared.
    """
    groups = dict(iter(clean.groupby("record_id", sort=False)))
    made = []
    for parent, method, copy in zip(parents, methods, copies, strict=True):
        random = generator(key(seed, method, int(copy)), int(parent))
        made.append(_augment_record(groups[parent], method, random))
    return pd.concat(made, ignore_index=True)


def _augment_record(record: pd.DataFrame, method: str, random: np.random.Generator) -> pd.DataFrame:
    before = record[list(PARAMETERS)]
    if method == "warp":
        knots = random.normal(1.0, WARP_DEVIATION, WARP_KNOTS)
        curve = CubicSpline(np.linspace(0, STEPS - 1, WARP_KNOTS), knots)(np.arange(STEPS))
        after = before.mul(np.maximum(curve, LOWEST_WARP), axis=0)
    else:
        after = before * random.uniform(*SCALE_RANGE, len(PARAMETERS))
    after["XR_MAX"] = after["XR_MAX"].where(before["XR_MAX"] != XR_MAX_MISSING, XR_MAX_MISSING)
    after["SHRGT45"] = after["SHRGT45"].clip(upper=before["SHRGT45"].clip(lower=100))
    for ratio, force in (("EPSX", "TOTFX"), ("EPSY", "TOTFY"), ("EPSZ", "TOTFZ")):
        change = (after[force] / before[force]) / (after["TOTBSQ"] / before["TOTBSQ"])
        change = change.where(np.isfinite(change), 1.0)
        after[ratio] = before[ratio] * change
    return after


def features_with_pandas(clean: pd.DataFrame) -> pd.DataFrame:
    """Return the curated columns of the default configuration by `groupby.apply`.

    `clean` has one row per step: record_id and the raw parameters that the columns come from.
    """
    return clean.groupby("record_id", sort=False, group_keys=False).apply(_features_of_record)


def _features_of_record(record: pd.DataFrame) -> pd.DataFrame:
    record = record.copy()
    for name in record.columns.intersection(EXTENSIVE_PARAMETERS):
        record[name] = record[name].replace(0.0, np.nan)
    record = record.interpolate(limit_direction="both").fillna(0.0)
    for name in ("USFLUX", "TOTPOT", "PIL_LEN"):
        record[f"{name}_log"] = np.log1p(record[name].clip(lower=0))
    rolling = record["USFLUX_log"].rolling(5, min_periods=1)
    record["USFLUX_log_roll_mean5"] = rolling.mean()
    record["USFLUX_log_roll_std5"] = rolling.std()
    record["TOTPOT_log_diff1"] = record["TOTPOT_log"].diff(1)
    record["MEANSHR_lag3"] = record["MEANSHR"].shift(3)
    return record.fillna(0.0)
