"""The images of each official set as one Zarr group: samples x steps x channels x 256 x 256.

Rows are those of the index. An image that is missing or damaged is 0 and not available; no sample
is dropped. Labels and splits stand in the index and the plan alone: changing how they are made
must not write 24 GB anew.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from skymill.engine.digests import ordered_digest
from skymill.engine.errors import SkymillError
from skymill.engine.parallel import map_pieces
from skymill.engine.products import describe_file, new_directory
from skymill.engine.space import require_space
from skymill.sdo.catalogue import digest
from skymill.sdo.images import SHAPE, WIDTH, pixels
from skymill.sdo.names import CHANNELS, STEP_OFFSETS, STEPS

SAMPLES_PER_SHARD = 16
LEVEL = 1
"""Of zstd: level 3 saves a hundredth more of real AIA and HMI crops."""
PACKED = 0.8
"""Bytes that a pixel takes when packed. Images of the data set's 9 kB take up to 0.75."""
IMAGE_BYTES = WIDTH * WIDTH


@dataclass(frozen=True)
class ShardPiece:
    """One shard: some samples of a group, and the images that they have.

    `images` has row, step, channel, path and content (digest) of each.
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
        When the disk is too small, or an image is not the one that was catalogued.
    """
    good = images[images["status"] == "ok"]
    _require_space(output, len(good))
    homes = np.array([str(folder / home) for home in samples["folder"]], dtype=object)
    slots = good[["row", "step", "channel", "content"]].copy()
    slots["path"] = homes[good["row"].to_numpy()] + "/" + good["name"].to_numpy(object)
    slots = slots.sort_values(["row", "step", "channel"])
    with new_directory(output) as group:
        _create(group, samples, good)
        work = _pieces(group, len(samples), slots)
        map_pieces(_write_piece, work, workers=workers, what=f"write {output}")
        # Zarr writes beside and renames: a worker of a cluster that was killed may have left some.
        for left in group.rglob("*.partial"):
            left.unlink()
        _require_complete(group, len(samples), len(slots))
        files = _describe(group, len(samples))
    counts = {
        "samples": len(samples),
        "images_available": len(good),
        "images_flagged": int(good["flagged"].sum()),
        "images_masked": len(samples) * STEPS * len(CHANNELS) - len(good),
    }
    return files, counts


def _require_space(output: Path, images: int) -> None:
    """Check that the images, packed, fit on the disk."""
    output.parent.mkdir(parents=True, exist_ok=True)
    needed = images * IMAGE_BYTES * PACKED
    require_space(output.parent, needed, str(output), else_do=", or set sdo.tensors: false")


def _create(group: Path, samples: pd.DataFrame, good: pd.DataFrame) -> None:
    """Create the group with all arrays, and write those that are small."""
    import zarr

    count = len(samples)
    cube = (STEPS, len(CHANNELS))
    minutes = [int(offset // np.timedelta64(1, "m")) for offset in STEP_OFFSETS]
    root = zarr.create_group(
        store=group,
        zarr_format=3,
        attributes={
            "description": "SDOBenchmark: images of active regions before a 24 h forecast window",
            "axes": ["sample", "step", "channel", "y", "x"],
            "channels": list(CHANNELS),
            "step_offsets_minutes": minutes,
            "row_alignment": "sample n is row n of the index and of the plan's rows of this set",
            "identity": ordered_digest(samples["sample_id"]),
        },
    )
    root.create_array(
        "images",
        shape=(count, *cube, *SHAPE),
        dtype="uint8",
        chunks=(1, *cube, *SHAPE),
        shards=(SAMPLES_PER_SHARD, *cube, *SHAPE),
        compressors=zarr.codecs.ZstdCodec(level=LEVEL),
        fill_value=0,
        dimension_names=("sample", "step", "channel", "y", "x"),
        attributes={"meaning": "grey values; 0 where not available"},
    )
    place = tuple(good[name].to_numpy(np.int64) for name in ("row", "step", "channel"))
    available, flagged = np.zeros((2, count, *cube), dtype=bool)
    available[place] = True
    flagged[place] = good["flagged"].to_numpy(bool)
    ids = np.array([name.encode("ascii") for name in samples["sample_id"]] or [b""])
    text = ids.view(np.uint8).reshape(len(ids), -1)[:count]
    times = {name: samples[name].to_numpy("M8[ns]").astype(np.int64) for name in ("start", "end")}
    nanoseconds = "nanoseconds since 1970-01-01T00:00:00Z"
    small = {
        "available": (available, ("step", "channel"), "whether there is a good image"),
        "flagged": (flagged, ("step", "channel"), "available, but flagged as noisy"),
        "sample_id": (text, ("character",), "ASCII, padded with 0"),
        "ar_num": (samples["ar_num"].to_numpy(np.int32), (), "NOAA active region"),
        "start": (times["start"], (), f"begin of the window, {nanoseconds}"),
        "end": (times["end"], (), f"end of the window, {nanoseconds}"),
    }
    for name, (values, axes, meaning) in small.items():
        array = root.create_array(
            name,
            shape=values.shape,
            dtype=values.dtype,
            chunks=tuple(max(1, length) for length in values.shape),
            compressors=zarr.codecs.ZstdCodec(level=LEVEL),
            dimension_names=("sample", *axes),
            attributes={"meaning": meaning},
        )
        array[...] = values


def _pieces(group: Path, samples: int, images: pd.DataFrame) -> list[ShardPiece]:
    """Return a piece for each shard; the images are sorted by row."""
    rows = images["row"].to_numpy()
    pieces = []
    for first in range(0, samples, SAMPLES_PER_SHARD):
        last = min(first + SAMPLES_PER_SHARD, samples)
        low, high = np.searchsorted(rows, [first, last])
        pieces.append(ShardPiece(group, first, last, images.iloc[low:high]))
    return pieces


def _write_piece(piece: ShardPiece) -> None:
    """Decode the images of a shard, write it, and read it back."""
    import zarr

    block = np.zeros((piece.last - piece.first, STEPS, len(CHANNELS), *SHAPE), dtype=np.uint8)
    for image in piece.images.itertuples(index=False):
        path = Path(image.path)
        content = path.read_bytes() if path.is_file() else b""
        if digest(content) != image.content:
            raise SkymillError(
                f"{path} is not the file that was catalogued. Something changed the unpacked "
                "tree: delete interim/sdo in the results folder and run again."
            )
        block[image.row - piece.first, image.step, image.channel] = pixels(content)
    array = zarr.open_array(piece.group / "images", mode="r+")
    array[piece.first : piece.last] = block
    if not np.array_equal(array[piece.first : piece.last], block):
        raise SkymillError(
            f"samples {piece.first} to {piece.last - 1} of {piece.group} read back differently "
            "from what was written. The disk may be full or faulty: check it and run again."
        )


def _require_complete(group: Path, samples: int, images: int) -> None:
    """Check shapes and the number of images available before the group moves into place."""
    import zarr

    root = zarr.open_group(group, mode="r")
    shape = (samples, STEPS, len(CHANNELS), *SHAPE)
    found = int(np.count_nonzero(root["available"][...]))
    if root["images"].shape != shape or found != images:
        raise SkymillError(
            f"{group} would hold {found:,} images of {root['images'].shape}, but the catalogue "
            f"lists {images:,} for {shape}. Two images may claim one place; please report this."
        )


def _describe(group: Path, samples: int) -> list[dict]:
    """Return the manifest's entry of each file of a group, sorted.

    The group's own metadata stands for all its rows: a shard without images is not written.
    """
    entries = []
    for path in sorted(group.rglob("*")):
        if path.is_file():
            name = path.relative_to(group).as_posix()
            rows = samples if name == "zarr.json" else 0
            entries.append({**describe_file(path, rows), "name": name})
    return entries
