"""Draw a contact sheet for each label: the stamps that a model will see."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from skymill.engine.products import describe_file, new_file
from skymill.engine.randomness import key
from skymill.engine.tables import read_table
from skymill.ztf.object_hashes import order_by_hash
from skymill.ztf.schema import CUTOUTS
from skymill.ztf.write import open_array, require_aligned

if TYPE_CHECKING:
    from PIL import Image, ImageFont

logger = logging.getLogger(__name__)

ROWS, COLUMNS = 8, 6
"""Rows and columns of objects on a sheet."""
SIDE = 63
"""Approximate width of a stamp on the sheet, in pixels: smaller stamps are magnified."""
PERCENTILES = (1, 99)
"""Percentiles that are drawn black and white."""

GAP, LINE, MARGIN = 2, 13, 8
"""Pixels between the stamps of an object, height of a line of text, and margin of an object."""
BACKGROUND, INK = 255, 0


def draw_sheet(table: Path, array: Path, path: Path, *, label: str, seed: int) -> list[dict]:
    """Draw up to 48 sampled objects of a label; return the entry of the PNG for a manifest.

    Each object has its science, template and difference stamp, with the id below. The choice of
    objects depends only on the seed and the ids. If an object has several alerts, the alert with
    the smallest candid is drawn.

    Parameters
    ----------
    table, array
        The gathered alerts and their stamps, float32 (alerts, 3, crop, crop).
    """
    stamps = open_array(array)
    require_aligned(table, stamps)
    rows, names, matched = sampled_objects(table, label)
    order = order_by_hash(names, key(seed, "ztf", "contact sheet"))[: ROWS * COLUMNS]
    drawn = np.sort(order)
    shown = names.take(pa.array(drawn)).to_pylist()
    caption = (
        f"{label}: no objects"
        if not matched
        else f"{label}: {matched:,} objects, {len(names):,} in the sample, {len(shown)} shown. "
        f"{', '.join(CUTOUTS)}; percentiles {PERCENTILES[0]} to {PERCENTILES[1]}"
    )
    sheet = contact_sheet(stamps[rows[drawn]], shown, caption)
    with new_file(Path(path)) as temporary:
        # Fixed settings and no time stamp, so that equal stamps make equal bytes.
        sheet.save(temporary, format="PNG", compress_level=6, optimize=False)
        entry = {**describe_file(temporary, len(shown)), "name": Path(path).name}
    logger.info("%s: %d of %d objects drawn", label, len(shown), len(names))
    return [entry]


def sampled_objects(table: Path, label: str) -> tuple[np.ndarray, pa.Array, int]:
    """Return first row and id of each sampled object of a label, and the number of all objects."""
    columns = ["object_id", "candid", "label", "sampled"]
    keys = read_table(table, columns=columns)
    row = np.flatnonzero(keys["label"].to_numpy() == label)
    # Sorted by (label, object_id, candid): an object's first row has its smallest candid.
    names = keys["object_id"].take(pa.array(row)).to_numpy()
    first = np.ones(len(row), dtype=bool)
    first[1:] = names[1:] != names[:-1]
    sampled = keys["sampled"].take(pa.array(row)).to_numpy()
    chosen = first & sampled
    return row[chosen], pa.array(names[chosen], pa.string()), int(first.sum())


def stretch(stamp: np.ndarray) -> np.ndarray:
    """Return a stamp as uint8, its first percentile black and its 99th white.

    Pixels that are not finite are black; a stamp with only one value is grey.
    """
    finite = np.isfinite(stamp)
    if not finite.any():
        return np.zeros(stamp.shape, dtype=np.uint8)
    values = stamp.astype(np.float64)
    low, high = np.percentile(values[finite], PERCENTILES)
    if high <= low:
        return np.where(finite, 128, 0).astype(np.uint8)
    scaled = np.clip((np.where(finite, values, low) - low) / (high - low), 0, 1)
    return np.rint(255 * scaled).astype(np.uint8)


def contact_sheet(stamps: np.ndarray, names: list[str], caption: str) -> "Image.Image":
    """Return the sheet as a grey image: a caption, then six objects per row.

    Parameters
    ----------
    stamps
        float32, shape (objects, 3, crop, crop).
    names
        The text below each object.
    """
    from PIL import Image, ImageDraw, ImageFont

    # The only font that is the same with and without FreeType.
    font = ImageFont.load_default_imagefont()
    scale = max(1, round(SIDE / max(1, stamps.shape[-1])))
    side = scale * stamps.shape[-1]
    cell_width = len(CUTOUTS) * (side + GAP) - GAP + 2 * MARGIN
    cell_height = side + LINE + MARGIN
    across = min(COLUMNS, max(1, len(names)))
    down = -(-len(names) // COLUMNS)
    head = LINE + 2 * MARGIN
    width = max(across * cell_width, _width(font, caption) + 2 * MARGIN)
    sheet = Image.new("L", (width, head + down * cell_height), BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    draw.text((MARGIN, MARGIN), _printable(caption), fill=INK, font=font)
    for number, (triplet, name) in enumerate(zip(stamps, names, strict=True)):
        left = number % COLUMNS * cell_width + MARGIN
        top = head + number // COLUMNS * cell_height
        for place, stamp in enumerate(triplet):
            pixels = np.kron(stretch(stamp), np.ones((scale, scale), dtype=np.uint8))
            sheet.paste(Image.fromarray(pixels), (left + place * (side + GAP), top))
        draw.text((left, top + side + 1), _printable(name), fill=INK, font=font)
    return sheet


def _width(font: "ImageFont.ImageFont", text: str) -> int:
    """Return the width of a line of text in pixels."""
    return int(font.getbbox(_printable(text))[2])


def _printable(text: str) -> str:
    """Return a text with `?` for characters that are missing in the font."""
    return text.encode("latin-1", "replace").decode("latin-1")
