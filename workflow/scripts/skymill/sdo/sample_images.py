"""The images of one sample, out of the tensors."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from skymill.engine.products import require_content
from skymill.sdo.tensors import SAMPLES_PER_SHARD


def files_of_sample(tensors: Path, row: int) -> list[Path]:
    """Return the files that hold the images of a sample, and what is said of them."""
    names = ("zarr.json", "images/zarr.json", "available/zarr.json", "available/c/0/0/0")
    shard = tensors / "images" / "c" / str(row // SAMPLES_PER_SHARD) / "0/0/0/0"
    # A shard without images is not written.
    return [*(tensors / name for name in names), *([shard] if shard.exists() else [])]


def read_images(tensors: Path, row: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the images of a sample, uint8 (4, 10, 256, 256), and which are there, bool (4, 10)."""
    import zarr

    group = zarr.open_group(tensors, mode="r")
    return np.asarray(group["images"][row]), np.asarray(group["available"][row])


def read_intact_images(
    tensors: list[Path], name: str, row: int, digest: Callable[[Path], str]
) -> tuple[np.ndarray, np.ndarray]:
    """Compare the files of a sample with the manifest, and return its images, see read_images.

    Parameters
    ----------
    tensors
        The tensors of each set: `train.zarr` and `test.zarr`.
    name
        The set of the sample.
    digest
        Returns the digest of a file in its manifest.

    Raises
    ------
    SkymillError
        When a file has other content than its manifest says.
    """
    group = next(path for path in tensors if path.stem == name)
    for path in files_of_sample(group, row):
        require_content(path, digest(path))
    return read_images(group, row)
