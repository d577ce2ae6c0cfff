"""Export stamps in the published layout of one CSV file per label.

Every pixel in a CSV is the shortest decimal that is the same float32 when it is read again.
"""

import csv
import json
import logging
import math
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa

from skymill.engine.errors import SkymillError
from skymill.engine.parallel import map_pieces
from skymill.engine.products import describe_file, new_file
from skymill.engine.tables import ParquetFile
from skymill.ztf.schema import CUTOUTS, STAMPS
from skymill.ztf.write import open_array, ranges, require_aligned

logger = logging.getLogger(__name__)

FORMS = ("columns", "data")
"""Forms of the pixels in a CSV: one column per pixel, or one column with a JSON array."""

LAST_COLUMNS = ("alerce_class", "probability", "label", "split", "group")
"""Columns between the columns of the alert and the pixels."""

BLOCK_VALUES = 2**20
"""Pixels that are written as text in one step: 4 MB, and about 10 MB of text."""

TWICE_ROUNDED = np.uint32(0x15AE43FD).view(np.float32)
"""The float32 with the shortest decimal 7.038531e-26. A reader that converts the decimal to float64
and then to float32 gets the neighbouring float32."""


def export_labels(
    table: Path, array: Path, paths: dict[str, Path], *, form: str, workers: int
) -> Iterator[tuple[Path, list[dict], dict]]:
    """Write the sampled alerts of each label as CSV, see export_label.

    `paths` has the CSV of each label. Yields path, entry and counts of each CSV, after all were
    written, and warns of labels without alerts.
    """
    pieces = [(table, array, path, label, form) for label, path in paths.items()]
    made = map_pieces(_export, pieces, workers=workers, what="export")
    for (label, path), (files, counts) in zip(paths.items(), made, strict=True):
        if counts["rows"]:
            logger.info("%d alerts of %s written to %s", counts["rows"], label, path)
        else:
            logger.warning("no alert has the label %s: %s has only a header", label, path)
        yield path, files, counts


def _export(piece: tuple[Path, Path, Path, str, str]) -> tuple[list[dict], dict]:
    table, array, path, label, form = piece
    return export_label(table, array, path, label=label, form=form)


def export_label(
    table: Path, array: Path, path: Path, *, label: str, form: str
) -> tuple[list[dict], dict]:
    """Write the sampled alerts of a label as CSV; return its entry and counts for a manifest.

    Parameters
    ----------
    table, array
        The gathered alerts and their stamps, row-aligned, float32 (alerts, 3, crop, crop).
    path
        The CSV. A label without alerts has only a header.
    form
        `columns`: science_00_00 (row 0, column 0) to difference_20_20. `data`: one column with a
        JSON array shaped (3, crop, crop).
    """
    stamps = open_array(array)
    require_aligned(table, stamps)
    rows, metadata = sampled_rows(table, label)
    names = [*metadata.column_names, *pixel_columns(stamps.shape[2], form)]
    with new_file(Path(path)) as temporary:
        with open(temporary, "wb") as stream:
            stream.write((",".join(names) + "\n").encode())
            per_block = BLOCK_VALUES // math.prod(stamps.shape[1:])
            for start, stop in ranges(len(rows), per_block):
                block = np.ascontiguousarray(stamps[rows[start:stop]])
                heads = spell_metadata(metadata.slice(start, stop - start))
                pixels = spell_stamps(block, form)
                _require_exact(pixels[0], block[0], path)
                for head, text in zip(heads, pixels, strict=True):
                    stream.write(b"%b,%b\n" % (head, text))
        entry = {**describe_file(temporary, len(rows)), "name": Path(path).name}
    return [entry], {"rows": len(rows), "records_by_label": {label: len(rows)}}


def sampled_rows(table: Path, label: str) -> tuple[np.ndarray, pa.Table]:
    """Return the rows of the sampled alerts of a label, int64 ascending, and their metadata.

    The metadata are the columns of the CSV before the pixels, in order.
    """
    file = ParquetFile(table)
    own = [
        name
        for name in file.schema_arrow.names
        if name not in (STAMPS, "sampled", "object_id", *LAST_COLUMNS)
    ]
    columns = ["object_id", *own, *LAST_COLUMNS]
    positions, parts, start = [np.empty(0, np.int64)], [], 0
    for batch in file.iter_batches(columns=[*columns, "sampled"]):
        same = batch["label"].to_numpy(zero_copy_only=False) == label
        local = np.flatnonzero(same & batch["sampled"].to_numpy(zero_copy_only=False))
        positions.append(start + local)
        parts.append(pa.Table.from_batches([batch.take(pa.array(local))]).select(columns))
        start += batch.num_rows
    if not parts:
        parts = [file.schema_arrow.empty_table().select(columns)]
    return np.concatenate(positions), pa.concat_tables(parts).combine_chunks()


def pixel_columns(crop: int, form: str) -> list[str]:
    """Return the names of the columns with pixels."""
    if form == "data":
        return ["data"]
    side = range(crop)
    return [f"{name}_{row:02}_{column:02}" for name in CUTOUTS for row in side for column in side]


def spell_metadata(metadata: pa.Table) -> list[bytes]:
    """Return each row as a line of CSV without the line end; missing values are empty.

    Arrow writes a float32 as its shortest decimal; Python would write the decimal of a float64.
    """
    texts = [column.cast(pa.string()).to_pylist() for column in metadata.columns]
    lines: list[str] = []
    writer = csv.writer(SimpleNamespace(write=lines.append), lineterminator="")
    writer.writerows(zip(*texts, strict=True))
    return [line.encode() for line in lines]


def spell_stamps(stamps: np.ndarray, form: str) -> list[bytes]:
    """Return the pixels of each stamp as text for the end of a line of CSV.

    orjson writes float32 arrays (Ryu, Adams 2018) several times faster than Arrow's CSV writer,
    and a JSON array without its brackets is a line of CSV. Python writes the exceptions, with the
    digits of a float64: values that JSON does not have (NaN, infinities), and the value that
    changes if it is read as float64 first.

    Parameters
    ----------
    stamps
        float32, contiguous, shape (n, 3, crop, crop).
    form
        One of FORMS.
    """
    import orjson

    if not len(stamps):
        return []
    flat = stamps.reshape(len(stamps), -1)
    text = orjson.dumps(flat if form == "columns" else stamps, option=orjson.OPT_SERIALIZE_NUMPY)
    if form == "columns":
        lines = text[2:-2].split(b"],[")
    else:
        inner = text[len(b"[[[[") : -len(b"]]]]")].split(b"]]],[[[")
        lines = [b'"[[[%b]]]"' % line for line in inner]
    special = ~np.isfinite(flat) | (np.abs(flat) == TWICE_ROUNDED)
    for number in np.flatnonzero(special.any(axis=1)):
        if form == "columns":
            lines[number] = ",".join(map(repr, flat[number].tolist())).encode()
        else:
            lines[number] = f'"{json.dumps(stamps[number].tolist())}"'.encode()
    return lines


def _require_exact(text: bytes, stamp: np.ndarray, path: Path) -> None:
    """Raise SkymillError unless the text of a stamp, read again, is the stamp."""
    again = np.array(
        [float(value) for value in re.sub(rb'["\[\]]', b"", text).split(b",")], dtype=np.float32
    )
    before = stamp.reshape(-1)
    # NaN may come back with another sign, zero must not.
    same_signs = np.signbit(again[before == 0]).tolist() == np.signbit(before[before == 0]).tolist()
    if not (np.array_equal(again, before, equal_nan=True) and same_signs):
        raise SkymillError(
            f"{path} would not contain the exact values of the stamps. This environment does not "
            "have the version of orjson in envs/requirements.txt. Install that version and run "
            "again."
        )


def read_csv_stamps(path: Path) -> tuple[list[str], np.ndarray]:
    """Return the object ids and the stamps, float32 (n, 3, crop, crop), of an exported CSV."""
    csv.field_size_limit(2**30)
    with open(path, newline="", encoding="utf-8") as stream:
        reader = csv.reader(stream)
        names = next(reader)
        as_json = names[-1] == "data"
        first = len(names) - 1 if as_json else names.index(f"{CUTOUTS[0]}_00_00")
        objects, stamps = [], []
        for row in reader:
            objects.append(row[0])
            values = json.loads(row[-1]) if as_json else [float(text) for text in row[first:]]
            stamps.append(np.array(values, dtype=np.float32))
    if not stamps:
        return [], np.empty((0, len(CUTOUTS), 0, 0), np.float32)
    crop = math.isqrt(stamps[0].size // len(CUTOUTS))
    return objects, np.stack(stamps).reshape(-1, len(CUTOUTS), crop, crop)
