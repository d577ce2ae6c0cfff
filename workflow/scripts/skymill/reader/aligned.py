"""The aligned pairs: a magnetic series and the images of the same region in the same hours."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa

from skymill.aligned.plan import SPLITS
from skymill.engine.arrays import shaped
from skymill.engine.errors import SkymillError
from skymill.paths import DEFAULT_RESULTS
from skymill.reader.found import FoundProduct, choose
from skymill.reader.magnetic import class_codes
from skymill.reader.sdo import open_tensors
from skymill.sdo.goes import LABELS

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True)
class AlignedPairs:
    """A split of the aligned data set. All attributes have the same pairs in the same order.

    Attributes
    ----------
    series
        float32, shape (pairs, 60 steps, 24 parameters); NaN at steps that were not measured.
    parameters
        The names of the parameters.
    engineered
        A float32 array per column, shape (pairs, 60), without missing values.
    images
        A lazy xarray.Dataset of the tensors (images, available, flagged, ...) with one sample per
        pair, see reader.sdo; None if there are no tensors (`sdo.tensors: false`) or no pairs.
    y, classes
        The class of each pair (SDOBenchmark's label) as an index into `classes`: X, M, C, Q.
    groups
        int64: the group of linked regions. A group is always in one split.
    pairs
        All other columns, see the data dictionary.
    source
        sample (simulated), local or archive.
    """

    series: np.ndarray
    parameters: tuple[str, ...]
    engineered: dict[str, np.ndarray]
    images: "xr.Dataset | None"
    y: np.ndarray
    classes: tuple[str, ...]
    groups: np.ndarray
    pairs: pd.DataFrame
    source: str

    def __len__(self) -> int:
        return len(self.y)


def load_aligned(
    split: str, results: str | Path = DEFAULT_RESULTS, *, masked: bool = False
) -> AlignedPairs:
    """Load a split of the aligned data set. Images are read only when you use their values.

    Parameters
    ----------
    split
        train, validation or test.
    results
        See FoundProduct.
    masked
        See reader.sdo.load_sdo.
    """
    choose(split, SPLITS, "split of the aligned data set")
    product = FoundProduct("aligned", split, results)
    table = pa.concat_tables(product.tables()).combine_chunks()
    arrays = {
        field.name: shaped(table[field.name], field)
        for field in table.schema
        if pa.types.is_fixed_size_list(field.type)
    }
    pairs = table.drop_columns([*arrays]).to_pandas()
    identity = json.loads(table.schema.metadata[b"sdo_identity"])
    return AlignedPairs(
        series=arrays.pop("series"),
        parameters=tuple(json.loads(table.schema.field("series").metadata[b"parameters"])),
        engineered=arrays,
        images=_images(pairs, identity, product, results, masked=masked),
        y=class_codes(pairs["label"].astype(object).tolist(), LABELS),
        classes=LABELS,
        groups=pairs["group"].to_numpy(np.int64),
        pairs=pairs,
        source=product.source,
    )


def _images(
    pairs: pd.DataFrame,
    identity: dict[str, str],
    product: FoundProduct,
    results: str | Path,
    *,
    masked: bool,
) -> "xr.Dataset | None":
    """Return the samples of the pairs, in the order of the pairs."""
    import xarray as xr

    official = pairs["set"].astype(object).to_numpy()
    parts, place = [], np.empty(len(pairs), dtype=np.int64)
    first = 0
    for name in sorted({*official}):
        mine = np.flatnonzero(official == name)
        if not FoundProduct.is_there("sdo", f"{name}.zarr", results):
            return None
        samples = open_tensors(name, results, masked=masked)
        if samples.attrs["identity"] != identity[name]:
            raise SkymillError(
                f"{product.path} was joined with other samples than {name}.zarr has: the two come "
                "from different runs. Run again, or copy both from one run."
            )
        parts.append(samples.isel(sample=pairs["row"].to_numpy()[mine]))
        place[mine] = np.arange(first, first + len(mine))
        first += len(mine)
    if not parts:
        return None
    samples = xr.concat(parts, dim="sample", data_vars="minimal").isel(sample=place)
    # The samples may come from the tensors of both official sets.
    samples.attrs["path"] = str(Path(samples.attrs["path"]).parent)
    return samples
