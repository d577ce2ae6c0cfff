"""SDOBenchmark's images of a split as a lazy xarray Dataset."""

import io
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from skymill.engine.errors import SkymillError
from skymill.engine.products import changed_at_rest
from skymill.paths import DEFAULT_RESULTS
from skymill.reader.found import FoundProduct, choose, command, on_disk
from skymill.reader.magnetic import class_codes
from skymill.sdo.goes import LABELS
from skymill.sdo.names import SPLITS
from skymill.sdo.shards import DAMAGE

if TYPE_CHECKING:
    import xarray as xr


def load_sdo(
    split: str, results: str | Path = DEFAULT_RESULTS, *, masked: bool = False
) -> "xr.Dataset":
    """Open a split of SDOBenchmark. Images are read only when you use their values.

    Parameters
    ----------
    split
        train, validation, test or excluded.
    results
        See FoundProduct.
    masked
        Return `images` as lazy float32 with NaN for missing and damaged images. The full set would
        need 87 GB of memory, so compute a few samples at a time.

    Returns
    -------
    A Dataset of the split's samples in the order of the index. `images` (sample, step, channel, y,
    x) is uint8, 0 if an image is missing. `available` and `flagged` are (sample, step, channel).
    `target` is the class as an index into the attribute `classes` (X, M, C, Q). The coordinates of
    samples are sample_id, label, goes_class, group, ar_num, start and end. The coordinate `channel`
    has names, and `step` has minutes.
    """
    choose(split, SPLITS, "split of SDOBenchmark")
    return open_samples("test" if split == "test" else "train", results, split, masked=masked)


def open_tensors(official_set: str, results: str | Path, *, masked: bool = False) -> "xr.Dataset":
    """Check the sizes of the tensors' files of an official set (train, test), and open the tensors.

    Raises
    ------
    SkymillError
        When the tensors are missing, their rows differ from their manifest, or a file has another
        size.
    """
    import xarray as xr

    name, index = f"{official_set}.zarr", f"{official_set}_metadata.csv"
    is_there = {one: FoundProduct.is_there("sdo", one, results) for one in (name, index)}
    if is_there[index] and not is_there[name]:
        raise SkymillError(
            f"{results} has {index}, but no {name}. With `sdo.tensors: false`, no images are "
            f"written: set `sdo.tensors` to true, and run `{command('sdo', on_disk(results))}`."
        )
    tensors = FoundProduct("sdo", name, results)
    for _ in tensors.files():  # checks their sizes
        pass
    dataset = xr.open_zarr(tensors.path, chunks={})
    if dataset.attrs["identity"] != tensors.identity:
        raise SkymillError(
            f"{tensors.path} does not have the rows that its manifest lists. Run again, or copy "
            "both from one run."
        )
    dataset.attrs |= {"source": tensors.source, "path": str(tensors.path)}
    if masked:
        dataset["images"] = dataset["images"].astype("float32").where(dataset["available"])
    return dataset


def open_samples(
    official_set: str, results: str | Path, split: str | None = None, *, masked: bool = False
) -> "xr.Dataset":
    """Open the samples of an official set, or of one of its splits, with columns of the index."""
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


def read_sample(samples: "xr.Dataset", number: int) -> "xr.Dataset":
    """Read the images of a sample of `load_sdo`, or of the images of `load_aligned`, into memory.

    Raises
    ------
    SkymillError
        When the tensors are damaged.
    """
    try:
        # One thread: a DataLoader has its own processes.
        return samples.isel(sample=number).compute(scheduler="synchronous")
    except DAMAGE as error:
        raise changed_at_rest(samples.attrs["path"], f"sample {number}: {error}") from error


def read_index(product: FoundProduct) -> pd.DataFrame:
    """Check the checksum of an official set's index, and return the index: one row per sample."""
    (content,) = product.contents()
    return pd.read_csv(io.BytesIO(content), dtype={"harps": "string", "goes_class": "string"})
