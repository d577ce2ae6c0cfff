"""The images of each official set as one Zarr group: samples x steps x channels x 256 x 256.

The rows are the rows of the index. An image that is missing or damaged is 0 and not available; no
sample is dropped. Only the index and the plan contain labels and splits: a change of their settings
must not rewrite 24 GB.
"""

import contextlib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import numpy as np
import pandas as pd

from skymill.engine.digests import ordered_digest
from skymill.engine.errors import SkymillError
from skymill.engine.parallel import map_pieces
from skymill.engine.products import describe_file, new_directory
from skymill.engine.space import require_space
from skymill.sdo.catalogue import digest
from skymill.sdo.images import SHAPE, WIDTH
from skymill.sdo.names import CHANNELS, STEP_OFFSETS, STEPS
from skymill.sdo.shards import PACKING, write_shard

SAMPLES_PER_SHARD = 16
CUBE = (STEPS, len(CHANNELS))
CHUNK = (1, STEPS, 1, *SHAPE)
"""One channel of a sample: a model of a few channels reads only these channels."""
SHARD = (SAMPLES_PER_SHARD, *CUBE, *SHAPE)
GRID = tuple(whole // part for whole, part in zip(SHARD, CHUNK, strict=True))

LICENCE = "see the data set's page; NASA/SDO data are in the public domain"
CITATION = "SDOBenchmark, FHNW Institute for Data Science, https://i4ds.github.io/SDOBenchmark"

_LOG, _LINEAR = "log10", "linear"
PIXEL_SCALES = {
    "94": (_LOG, 0.1, 800.0, "DN/s"),
    "131": (_LOG, 0.7, 1900.0, "DN/s"),
    "171": (_LOG, 5.0, 3500.0, "DN/s"),
    "193": (_LOG, 20.0, 5500.0, "DN/s"),
    "211": (_LOG, 7.0, 3500.0, "DN/s"),
    "304": (_LOG, 0.1, 3500.0, "DN/s"),
    "335": (_LOG, 0.4, 1000.0, "DN/s"),
    "1700": (_LOG, 220.0, 5000.0, "DN/s"),
    "continuum": (_LINEAR, 0.0, 65535.0, "DN"),
    "magnetogram": (_LINEAR, -250.0, 250.0, "G"),
}
"""How the archive made grey values 0 to 255 from measured values: scale, lowest, highest, unit.

Measured values are clipped to [lowest, highest]. Source: SDOBenchmark's code and description.
"""
PACKED = 0.8
"""Bytes of a packed pixel. Images of 9 kB, the size in the data set, need up to 0.75."""
IMAGE_BYTES = WIDTH * WIDTH


@dataclass(frozen=True)
class ShardPiece:
    """One shard: some samples of a group, and their images.

    `images` has row, step, channel, path and content (digest) of each image.
    """

    group: Path
    first: int
    last: int
    images: pd.DataFrame


def write_tensors(
    folder: Path,
    samples: pd.DataFrame,
    images: pd.DataFrame,
    output: Path,
    *,
    workers: int = 1,
) -> tuple[list[dict], dict[str, int]]:
    """Write the tensors of one set.

    Parameters
    ----------
    folder
        The unpacked tree.
    samples, images
        The catalogue of this set.
    output
        The Zarr group.
    workers
        Processes; the bytes do not depend on them.

    Returns
    -------
    The `files` part of the manifest (rows are samples), and counts.

    Raises
    ------
    SkymillError
        When the disk is too small, or an image changed since it was catalogued.
    """
    good = images[images["status"] == "ok"]
    _require_space(output, len(good))
    homes = np.array([str(folder / home) for home in samples["folder"]], dtype=object)
    slots = good[["row", "step", "channel", "content"]].copy()
    slots["path"] = homes[good["row"].to_numpy()] + "/" + good["name"].to_numpy(object)
    slots = slots.sort_values(["row", "channel", "step"])
    with new_directory(output) as group:
        _create(group, samples, good)
        work = _pieces(group, len(samples), slots)
        shards = map_pieces(_write_piece, work, workers=workers, what=f"write {output}")
        # A killed worker of a cluster may have left partial files.
        for left in group.rglob("*.partial"):
            left.unlink()
        _require_complete(group, len(samples), len(slots))
        files = _describe(group, len(samples), [shard for shard in shards if shard])
    counts = {
        "samples": len(samples),
        "images_available": len(good),
        "images_flagged": int(good["flagged"].sum()),
        "images_masked": len(samples) * STEPS * len(CHANNELS) - len(good),
    }
    return files, counts


def _require_space(output: Path, images: int) -> None:
    """Check that the packed images fit on the disk."""
    output.parent.mkdir(parents=True, exist_ok=True)
    needed = images * IMAGE_BYTES * PACKED
    require_space(output.parent, needed, str(output), else_do=", or set sdo.tensors: false")


def physical(grey: np.ndarray, channel: str) -> np.ndarray:
    """Convert the grey values of a channel to physical values, float32: DN/s, DN or G.

    This is the inverse of the archive's scale. A grey value of 0 means the lowest value or less,
    255 means the highest value or more. So 0 in a masked magnetogram would be -250 G, not 0 G.
    """
    scale, low, high, _ = PIXEL_SCALES[channel]
    share = np.asarray(grey, dtype=np.float32) / 255
    if scale == _LOG:
        return (low * (high / low) ** share).astype(np.float32)
    return (low + share * (high - low)).astype(np.float32)


def _create(group: Path, samples: pd.DataFrame, good: pd.DataFrame) -> None:
    """Create the group with all arrays, and write the small arrays."""
    import zarr

    count = len(samples)
    root = zarr.create_group(
        store=group,
        zarr_format=3,
        attributes={
            "title": "SDOBenchmark: images of active regions before a 24 h forecast window",
            "Conventions": "CF-1.11",
            "licence": LICENCE,
            "references": CITATION,
            "axes": ["sample", "step", "channel", "y", "x"],
            "channels": list(CHANNELS),
            "pixel_scales": {name: _scale_of(name) for name in CHANNELS},
            "row_alignment": "sample n is row n of the index and of the plan's rows of this set",
            "identity": ordered_digest(samples["sample_id"]),
        },
    )
    root.create_array(
        "images",
        shape=(count, *CUBE, *SHAPE),
        dtype="uint8",
        chunks=CHUNK,
        shards=SHARD,
        compressors=zarr.codecs.ZstdCodec(**PACKING),
        fill_value=0,
        dimension_names=("sample", "step", "channel", "y", "x"),
        attributes={
            "long_name": "grey value; 0 where not available",
            "inverse": "log10: lowest * (highest / lowest) ** (grey / 255); linear: lowest + grey "
            "/ 255 * (highest - lowest); by channel, see pixel_scales of the group",
        },
    )
    place = tuple(good[name].to_numpy(np.int64) for name in ("row", "step", "channel"))
    available, flagged = np.zeros((2, count, *CUBE), dtype=bool)
    available[place] = True
    flagged[place] = good["flagged"].to_numpy(bool)
    ids = np.array([name.encode("ascii") for name in samples["sample_id"]] or [b""])
    text = ids.view(np.uint8).reshape(len(ids), -1)[:count]
    times = {name: samples[name].to_numpy("M8[ns]").astype(np.int64) for name in ("start", "end")}
    cf_time = {
        "units": "nanoseconds since 1970-01-01T00:00:00",
        "calendar": "proleptic_gregorian",
        "standard_name": "time",
    }
    minutes = [int(offset // np.timedelta64(1, "m")) for offset in STEP_OFFSETS]
    names = np.array(CHANNELS, dtype=np.dtypes.StringDType())
    by_sample = ("sample",)
    cube = ("sample", "step", "channel")
    small = {
        "channel": (names, ("channel",), {"long_name": "channel of AIA (angstrom) or HMI"}),
        "step": (
            np.array(minutes, dtype=np.int32),
            ("step",),
            {"long_name": "minutes after the start of the window, nominally", "units": "minutes"},
        ),
        "available": (available, cube, {"long_name": "whether there is a good image"}),
        "flagged": (flagged, cube, {"long_name": "available, but flagged as noisy"}),
        "sample_id": (text, ("sample", "character"), {"long_name": "ASCII, padded with 0"}),
        "ar_num": (samples["ar_num"].to_numpy(np.int32), by_sample, {"long_name": "NOAA region"}),
        "start": (times["start"], by_sample, {**cf_time, "long_name": "begin of the window"}),
        "end": (times["end"], by_sample, {**cf_time, "long_name": "end of the window"}),
    }
    for name, (values, axes, attributes) in small.items():
        array = root.create_array(
            name,
            shape=values.shape,
            dtype=values.dtype,
            chunks=tuple(max(1, length) for length in values.shape),
            compressors=zarr.codecs.ZstdCodec(**PACKING),
            dimension_names=axes,
            attributes=attributes,
        )
        array[...] = values
    with warnings.catch_warnings():
        # Readers that do not use consolidated metadata read the metadata of each array.
        warnings.filterwarnings("ignore", "Consolidated metadata is currently not part")
        zarr.consolidate_metadata(group)


def _scale_of(channel: str) -> dict:
    scale, lowest, highest, unit = PIXEL_SCALES[channel]
    return {"scale": scale, "lowest": lowest, "highest": highest, "units": unit}


def _pieces(group: Path, samples: int, images: pd.DataFrame) -> list[ShardPiece]:
    """Return a piece for each shard; the images are sorted by row."""
    rows = images["row"].to_numpy()
    pieces = []
    for first in range(0, samples, SAMPLES_PER_SHARD):
        last = min(first + SAMPLES_PER_SHARD, samples)
        low, high = np.searchsorted(rows, [first, last])
        pieces.append(ShardPiece(group, first, last, images.iloc[low:high]))
    return pieces


def _write_piece(piece: ShardPiece) -> dict:
    """Decode the images of a shard and write it; return its entry for the manifest, or {}."""
    name = f"images/c/{piece.first // SAMPLES_PER_SHARD}/0/0/0/0"
    path = piece.group / name
    path.parent.mkdir(parents=True, exist_ok=True)
    written = write_shard(path, _chunks(piece), GRID)
    return {"name": name, "rows": 0, **written} if written else {}


def _chunks(piece: ShardPiece) -> Iterator[tuple[tuple[int, ...], np.ndarray]]:
    """Yield the chunks of a shard that have values; all of them use the same memory."""
    names = ("row", "channel", "step", "content")
    columns = [piece.images[name].to_numpy().tolist() for name in names]
    images = zip(*columns, piece.images["path"], strict=True)
    values = np.empty((STEPS, *SHAPE), dtype=np.uint8)
    for (row, channel), of_chunk in groupby(images, key=itemgetter(0, 1)):
        values[...] = 0
        for *_, step, content, path in of_chunk:
            _decode(path, content, values[step])
        if values.max():
            yield (row - piece.first, 0, channel, 0, 0), values


def _decode(path: str, content: int, pixels: np.ndarray) -> None:
    """Decode an image into `pixels`; raise SkymillError if it changed since it was catalogued."""
    import simplejpeg

    data = b""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), open(path, "rb") as file:
        data = file.read()
    if digest(data) != content:
        raise SkymillError(
            f"{path} is not the file that was catalogued: the unpacked tree was changed. Delete "
            "interim/sdo in the results folder and run again."
        )
    # The catalogue decoded the image with Pillow and found no error. Pillow and simplejpeg return
    # the same pixels.
    simplejpeg.decode_jpeg(data, colorspace="GRAY", buffer=pixels)


def _require_complete(group: Path, samples: int, images: int) -> None:
    """Check shapes and the number of images available before the group moves into place."""
    import zarr

    root = zarr.open_group(group, mode="r")
    shape = (samples, STEPS, len(CHANNELS), *SHAPE)
    found = int(np.count_nonzero(root["available"][...]))
    if root["images"].shape != shape or found != images:
        raise SkymillError(
            f"{group} would contain {found:,} images of {root['images'].shape}, but the catalogue "
            f"lists {images:,} for {shape}. Two images may have the same place. Please report this."
        )


def _describe(group: Path, samples: int, shards: list[dict]) -> list[dict]:
    """Return the manifest's entry of each file of a group, sorted.

    The metadata file of the group counts all rows, because a shard without images is not written.
    """
    entries = {entry["name"]: entry for entry in shards}
    for path in group.rglob("*"):
        name = path.relative_to(group).as_posix()
        if path.is_file() and name not in entries:
            rows = samples if name == "zarr.json" else 0
            entries[name] = {**describe_file(path, rows), "name": name}
    return [entries[name] for name in sorted(entries)]
