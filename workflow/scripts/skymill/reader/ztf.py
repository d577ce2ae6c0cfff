"""The labelled stamps of ZTF."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from skymill.engine.errors import SkymillError
from skymill.paths import DEFAULT_RESULTS
from skymill.reader.found import FoundProduct, choose
from skymill.reader.magnetic import class_codes
from skymill.ztf.plan import SPLITS
from skymill.ztf.schema import CUTOUTS


@dataclass(frozen=True)
class Alerts:
    """Alerts of a split. All attributes have the same alerts in the same order.

    Attributes
    ----------
    stamps
        float32, shape (alerts, 3, size, size): science, template, difference. Pixels without a
        value are 0. The columns `nan_science`, `nan_template` and `nan_difference` of `alerts`
        count these pixels.
    y, classes
        The label of each alert as an index into `classes`, which are in alphabetical order.
    object_id
        The object of each alert.
    groups
        The group of objects at one place on the sky. A group is always in one split.
    alerts
        One row per alert: the columns of `stamps.parquet` without the pixels.
    source
        sample (simulated), local or archive.
    """

    stamps: np.ndarray
    y: np.ndarray
    classes: tuple[str, ...]
    object_id: np.ndarray
    groups: np.ndarray
    alerts: pd.DataFrame
    source: str

    def __len__(self) -> int:
        return len(self.y)


def load_ztf(split: str, results: str | Path = DEFAULT_RESULTS, *, sampled: bool = False) -> Alerts:
    """Load the stamps of a split.

    Parameters
    ----------
    split
        train, validation or test.
    results
        See FoundProduct.
    sampled
        Load only the alerts of the exported sample, see `ztf.sample`.
    """
    choose(split, SPLITS, "split of the stamps")

    def wanted(alerts: pd.DataFrame) -> np.ndarray:
        chosen = (alerts["split"].astype(str) == split).to_numpy()
        return chosen & alerts["sampled"].to_numpy(bool) if sampled else chosen

    return _load(results, wanted)


def load_object(name: str, results: str | Path = DEFAULT_RESULTS) -> Alerts:
    """Load the stamps of one object: no alerts if there is no such object. See load_ztf."""
    return _load(results, lambda alerts: (alerts["object_id"].astype(str) == name).to_numpy())


def _load(results: str | Path, wanted: Callable[[pd.DataFrame], np.ndarray]) -> Alerts:
    """Load the alerts for which `wanted` is true."""
    product = FoundProduct("ztf", "stamps.parquet", results)
    (content,) = product.contents()
    file = pq.ParquetFile(io.BytesIO(content))
    names = [name for name in file.schema_arrow.names if name != "stamps"]
    everything = file.read(columns=names).to_pandas()
    classes = tuple(sorted(everything["label"].astype(str).unique()))
    rows = np.flatnonzero(wanted(everything))
    alerts = everything.iloc[rows].reset_index(drop=True)
    return Alerts(
        stamps=_stamps(file, rows, len(everything), product),
        y=class_codes(alerts["label"].astype(str).tolist(), classes),
        classes=classes,
        object_id=alerts["object_id"].to_numpy(object),
        groups=alerts["group"].to_numpy(object),
        alerts=alerts,
        source=product.source,
    )


def _stamps(
    file: pq.ParquetFile, rows: np.ndarray, count: int, product: FoundProduct
) -> np.ndarray:
    """Return the pixels of the given rows. One row group is read at a time."""
    if file.metadata.num_rows != count:
        raise SkymillError(f"{product.path} changed while it was read: load it again.")
    width = file.schema_arrow.field("stamps").type.list_size
    size = round((width / len(CUTOUTS)) ** 0.5)
    stamps = np.empty((len(rows), len(CUTOUTS), size, size), dtype=np.float32)
    first = 0
    for group in range(file.num_row_groups):
        last = first + file.metadata.row_group(group).num_rows
        low, high = np.searchsorted(rows, [first, last])
        if high > low:
            column = file.read_row_group(group, columns=["stamps"])["stamps"].combine_chunks()
            pixels = column.flatten().to_numpy().reshape(-1, *stamps.shape[1:])
            stamps[low:high] = pixels[rows[low:high] - first]
        first = last
    return stamps
