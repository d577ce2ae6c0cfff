"""Statistics of stamps: a few simple numbers for each cutout of an alert."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from skymill.engine.parallel import map_pieces
from skymill.engine.tables import read_table
from skymill.ztf.schema import CUTOUTS
from skymill.ztf.write import open_array, ranges

STATISTICS = (
    "flux",
    "mean",
    "deviation",
    "minimum",
    "maximum",
    "median",
    "centre",
    "centre_minus_ring",
    "concentration",
    "missing",
)
"""Statistics of the pixels of a cutout. `flux` is their sum. `centre` is the mean of the middle
3 x 3 pixels. `centre_minus_ring` is `centre` minus the mean of the outermost pixels.
`concentration` is the share of the absolute flux in the middle 7 x 7 pixels. `missing` is the share
of pixels without a value."""

KEYS = ("candid", "group", "label")

_INNER, _MIDDLE = 1, 3
"""Pixels from the centre to the edge of the 3 x 3 and of the 7 x 7 pixels."""

_STAMPS = 4096
"""Number of alerts in a batch of a worker."""


@dataclass(frozen=True)
class StampsPiece:
    """Rows [first, last) of the array, and the number of pixels without a value in each cutout."""

    array: Path
    first: int
    last: int
    missing: np.ndarray


def describe_stamps(table: Path, array: Path, *, workers: int = 1) -> pa.Table:
    """Describe the stamps of each alert of the cross-match.

    Parameters
    ----------
    table, array
        `stamps.parquet` and `stamps.npy`, which have the same rows.
    workers
        Number of processes.

    Returns
    -------
    candid, group, label, then `{cutout}_{statistic}` in float32. Pixels without a value are 0 in
    the stamps and count as 0; `missing` is their share.
    """
    keys = read_table(table, [*KEYS, *(f"nan_{kind}" for kind in CUTOUTS)])
    missing = np.stack([keys[f"nan_{kind}"].to_numpy() for kind in CUTOUTS], axis=1)
    work = [
        StampsPiece(array, first, last, missing[first:last])
        for first, last in ranges(keys.num_rows, _STAMPS)
    ]
    parts = map_pieces(_describe_piece, work, workers=workers, what="describe stamps")
    names = [f"{kind}_{statistic}" for kind in CUTOUTS for statistic in STATISTICS]
    values = np.concatenate(parts) if parts else np.empty((0, len(names)), np.float32)
    columns = {
        "candid": keys["candid"],
        **{name: keys[name].cast(pa.string()) for name in KEYS[1:]},
        **{
            name: pa.array(np.ascontiguousarray(column))
            for name, column in zip(names, values.T, strict=True)
        },
    }
    return pa.table(columns)


def _describe_piece(piece: StampsPiece) -> np.ndarray:
    stamps = open_array(piece.array)[piece.first : piece.last]
    described = [
        describe_images(np.asarray(stamps[:, kind]), piece.missing[:, kind])
        for kind in range(len(CUTOUTS))
    ]
    return np.concatenate(described, axis=1)


def describe_images(images: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """Return the STATISTICS of images, float32, shape (images, 10).

    Parameters
    ----------
    images
        float32, shape (images, side, side), with an odd side of 9 or more.
    missing
        The number of pixels without a value in each image, shape (images,).
    """
    pixels = images.astype(np.float64)
    side = images.shape[-1]
    flat = pixels.reshape(len(pixels), side**2)

    def middle(half: int) -> np.ndarray:
        inside = slice(side // 2 - half, side // 2 + half + 1)
        return pixels[:, inside, inside].reshape(len(pixels), -1)

    ring = np.ones((side, side), dtype=bool)
    ring[1:-1, 1:-1] = False
    centre = middle(_INNER).mean(axis=1)
    absolute = np.abs(flat).sum(axis=1)
    share = np.abs(middle(_MIDDLE)).sum(axis=1) / np.where(absolute > 0, absolute, 1)
    found = [
        flat.sum(axis=1),
        flat.mean(axis=1),
        flat.std(axis=1),
        flat.min(axis=1),
        flat.max(axis=1),
        np.median(flat, axis=1),
        centre,
        centre - pixels[:, ring].mean(axis=1),
        # An image of zeros has no flux to concentrate.
        np.where(absolute > 0, share, np.nan),
        missing / side**2,
    ]
    largest = float(np.finfo(np.float32).max)
    return np.clip(np.stack(found, axis=1), -largest, largest).astype(np.float32)
