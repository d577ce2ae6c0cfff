"""Augmentation and features against data frames per record, on the same records in memory."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import yaml
from measure import REPOSITORY, Row, Section, at_least, interleaved, seconds
from references import augment_with_pandas, features_with_pandas

from skymill.magnetic.augment import synthesise
from skymill.magnetic.features import FeatureSet
from skymill.magnetic.schema import PARAMETERS, STEPS
from skymill.settings import of_input

SEED = 2020

TOLERANCE = 1e-6
"""Relative and absolute tolerance: pandas uses running sums for its rolling deviation."""


def read_values(folder: Path, records: int) -> np.ndarray:
    """Return ingested values as float64 of shape (33, records, 60)."""
    tables, rows = [], 0
    for path in sorted(folder.iterdir()):
        tables.append(pq.read_table(path, columns=list(PARAMETERS)))
        rows += tables[-1].num_rows
        if rows >= records * STEPS:
            break
    columns = [
        np.concatenate([table[name].to_numpy() for table in tables])[: records * STEPS]
        for name in PARAMETERS
    ]
    return np.stack(columns).reshape(len(PARAMETERS), -1, STEPS)


def as_frame(values: np.ndarray, names: tuple[str, ...]) -> pd.DataFrame:
    """Return values of shape (parameters, records, 60) as a frame with one row per step."""
    frame = pd.DataFrame(dict(zip(names, values.reshape(len(names), -1), strict=True)))
    frame.insert(0, "record_id", np.repeat(np.arange(1, values.shape[1] + 1), STEPS))
    return frame


def measure_augmentation(values: np.ndarray, *, reference_records: int) -> Section:
    """Measure one warped and one scaled copy of each record."""
    few = values[:, :reference_records]
    frame = as_frame(few, PARAMETERS)

    def recipe(records: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        parent = np.repeat(np.arange(1, records + 1), 2)
        return parent, np.tile(np.array(["warp", "scale"], object), records), np.ones_like(parent)

    def vectorised(source: np.ndarray) -> np.ndarray:
        made = np.repeat(source, 2, axis=1)
        synthesise(made, *recipe(source.shape[1]), SEED)
        return made

    def reference() -> pd.DataFrame:
        return augment_with_pandas(frame, *recipe(few.shape[1]), SEED)

    made = vectorised(few).reshape(len(PARAMETERS), -1)
    expected = reference()
    for index, name in enumerate(PARAMETERS):
        _require_equal(name, made[index], expected[name].to_numpy())
    return _section(
        "Augmentation, one core",
        "one warped and one scaled copy of each record",
        {"skymill": lambda: vectorised(values), "pandas": reference},
        {"skymill": values.shape[1], "pandas": few.shape[1]},
        "augmentation against data frames per record",
    )


def measure_features(values: np.ndarray, *, reference_records: int) -> Section:
    """Measure the curated columns of the default configuration."""
    config = yaml.safe_load((REPOSITORY / "config" / "config.yaml").read_text())
    settings = of_input(config)["features"]
    features = FeatureSet(settings)
    needed = np.stack([values[PARAMETERS.index(name)] for name in features.parameters])
    few = needed[:, :reference_records]
    frame = as_frame(few, features.parameters)

    def vectorised(source: np.ndarray) -> dict[str, np.ndarray]:
        # The raw values are overwritten, so the time includes a copy.
        return features.compute(source.copy())[0]

    columns = vectorised(few)
    expected = features_with_pandas(frame)
    for name in features.names:
        _require_equal(name, columns[name].reshape(-1), expected[name].to_numpy())
    return _section(
        "Features, one core",
        f"the {len(features.names)} default columns from {len(features.parameters)} parameters",
        {"skymill": lambda: vectorised(needed), "pandas": lambda: features_with_pandas(frame)},
        {"skymill": needed.shape[1], "pandas": few.shape[1]},
        "features against groupby.apply with pandas rolling",
    )


def _require_equal(name: str, found: np.ndarray, expected: np.ndarray) -> None:
    """Stop the benchmark if the contenders compute different results."""
    np.testing.assert_allclose(
        found, expected, rtol=TOLERANCE, atol=TOLERANCE, err_msg=f"{name} differs from pandas"
    )


def _section(title: str, work: str, contenders: dict, records: dict, what: str) -> Section:
    timings = interleaved(contenders, {"skymill": 5, "pandas": 3})
    cost = {who: timing.best / records[who] for who, timing in timings.items()}
    name = title.split(",")[0]
    return Section(
        title,
        [
            f"In memory, without reading or writing: {work}. {records['skymill']:,} records "
            f"against the first {records['pandas']:,} of them in pandas, compared per record; "
            f"the numbers agree to {TOLERANCE:g}.",
        ],
        [
            Row(f"{name}, skymill", f"{cost['skymill'] * 1e6:.1f} us per record"),
            Row(f"{name}, pandas", f"{cost['pandas'] * 1e6:,.0f} us per record"),
            at_least(
                what,
                cost["pandas"] / cost["skymill"],
                50,
                records=records,
                seconds=seconds(timings),
            ),
        ],
    )
