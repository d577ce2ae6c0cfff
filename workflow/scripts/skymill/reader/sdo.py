"""SDOBenchmark's images of a split as a lazy xarray Dataset."""

import io
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from skymill.engine.errors import SkymillError
from skymill.paths import DEFAULT_RESULTS
from skymill.reader.found import FoundProduct, choose, command, on_disk
from skymill.reader.magnetic import class_codes
from skymill.sdo.goes import LABELS
from skymill.sdo.names import SPLITS

if TYPE_CHECKING:
    import xarray as xr


def load_sdo(
    split: str, results: str | Path = DEFAULT_RESULTS, *, masked: bool = False
) -> "xr.Dataset":
    """Open a split of SDOBenchmark; no image is read before its values are asked for.

    Parameters
    ----------
    split
        train, validation, test or excluded.
    results
        See FoundProduct.
    masked
        Give `images` as float32 with NaN where there is no good image, also lazily. At full size
        the whole would take 87 GB: take samples, compute them, and go on.

    Returns
    -------
    A Dataset of the split's samples in the order of the index: `images` (sample, step, channel, y,
    x) in uint8, 0 where there is none; `available` and `flagged` (sample, step, channel); `target`,
    the class by its place in the attribute `classes` (X, M, C, Q). Coordinates by sample:
    sample_id, label, goes_class, group, ar_num, start, end; `channel` has names, `step` minutes.
    """
    choose(split, SPLITS, "split of SDOBenchmark")
    return open_samples("test" if split == "test" else "train", results, split, masked=masked)


def open_tensors(official_set: str, results: str | Path, *, masked: bool = False) -> "xr.Dataset":
    """Open the tensors of an official set (train, test), after a check of the sizes of files.

    Raises
    ------
    SkymillError
        When they are not there, have other rows than their manifest says, or a file has another
        size.
    """
    import xarray as xr

    name, index = f"{official_set}.zarr", f"{official_set}_metadata.csv"
    is_there = {one: FoundProduct.is_there("sdo", one, results) for one in (name, index)}
    if is_there[index] and not is_there[name]:
        raise SkymillError(
            f"{results} has {index}, but no {name}. With `sdo.tensors: false` no images are "
            f"written: set it to true, and run `{command('sdo', on_disk(results))}`."
        )
    tensors = FoundProduct("sdo", name, results)
    for _ in tensors.files():  # checks their sizes
        pass
    dataset = xr.open_zarr(tensors.path, chunks={})
    if dataset.attrs["identity"] != tensors.identity:
        raise SkymillError(
            f"{tensors.path} does not have the rows that its manifest says. Run again, or copy "
            "both from one run."
        )
    dataset.attrs["source"] = tensors.source
    if masked:
        dataset["images"] = dataset["images"].astype("float32").where(dataset["available"])
    return dataset


def open_samples(
    official_set: str, results: str | Path, split: str | None = None, *, masked: bool = False
) -> "xr.Dataset":
    """Open the samples of an official set, of one split of it or all, with what the index says."""
    product = FoundProduct("sdo", f"{official_set}_metadata.csv", results)
    dataset = open_tensors(official_set, results, masked=masked)
    if dataset.attrs["identity"] != product.identity:
        raise SkymillError(
            f"the tensors of {official_set} do not have the rows of {product.path}: the two come "
            "from different runs. Run again, or copy both from one run."
        )
    index = read_index(product)
    if split is not None:
        dataset = dataset.isel(sample=(index["split"] == split).to_numpy().nonzero()[0])
        index = index[index["split"] == split]
    dataset = dataset.assign_coords(
        sample_id=("sample", [f"{row.ar_num}_{row.time_id}" for row in index.itertuples()]),
        ar_num=("sample", index["ar_num"].to_numpy()),
        start=("sample", pd.to_datetime(index["start"]).to_numpy("M8[ns]")),
        end=("sample", pd.to_datetime(index["end"]).to_numpy("M8[ns]")),
        label=("sample", index["label"].to_numpy(object)),
        goes_class=("sample", index["goes_class"].to_numpy(object)),
        group=("sample", index["group"].to_numpy()),
    )
    dataset["target"] = ("sample", class_codes(index["label"].tolist(), LABELS))
    dataset.attrs["classes"] = list(LABELS)
    return dataset


def read_index(product: FoundProduct) -> pd.DataFrame:
    """Return the index of an official set, a row a sample, after a check of its checksum."""
    (content,) = product.contents()
    return pd.read_csv(io.BytesIO(content), dtype={"harps": "string", "goes_class": "string"})
