"""`skymill show NAME`: a picture of one record, sample or object."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from skymill.aligned.pictures import CURVES, FRAME, INK, draw_curve
from skymill.engine.errors import SkymillError
from skymill.engine.products import Product
from skymill.engine.tables import ParquetFile, read_table
from skymill.magnetic.records import HOLDOUT
from skymill.paths import AUGMENTED, CLEAN, PLAN
from skymill.reader.lineage import lineage
from skymill.reader.sdo import open_samples, read_sample
from skymill.reader.ztf import load_object
from skymill.sdo.names import CHANNELS, STEP_OFFSETS
from skymill.ztf.pictures import contact_sheet

if TYPE_CHECKING:
    from PIL import Image

COPIES = 4
"""The most synthetic copies that are shown with a record."""

SAMPLE = re.compile(r"\d+_\d{4}(_\d{2}){5}_\d+")

_WIDTH, _HEIGHT, _LINE, _MARGIN, _GAP = 240, 76, 13, 10, 6
_SIDE = 128
_ABSENT = 210


def show(name: str, results: str, split: str | None = None) -> tuple["Image.Image", str]:
    """Return a picture of a record, a sample or an object, and its description.

    Parameters
    ----------
    name
        A number is a magnetic record: the picture has its curves and the curves of its copies.
        `11387_2012_01_...` is a sample of SDOBenchmark: 4 time steps of 10 channels. Any other name
        is an object of ZTF: three stamps per alert, one row per alert.
    results
        The results folder.
    split
        `holdout_test` for a record of the test file.

    Raises
    ------
    SkymillError
        When no record, sample or object has this name.
    """
    if name.isdecimal():
        return _show_record(int(name), results, split)
    if SAMPLE.fullmatch(name):
        return _show_sample(name, results)
    return _show_object(name, results)


def _show_record(record_id: int, results: str, split: str | None) -> tuple["Image.Image", str]:
    origin = lineage(record_id, split, results)
    if split == HOLDOUT:
        stores, wanted = [CLEAN.format(collection="test")], [record_id]
    else:
        # Copies are only in the augmented set; originals of other splits are in the clean set.
        stores = [AUGMENTED, CLEAN.format(collection="train")]
        wanted = [record_id, *_relatives(results, origin)]
    curves = []
    for number in wanted:
        found = _series([Path(results) / store for store in stores], number)
        title = f"record {number}"
        if number != record_id or origin.parent is not None:
            own = lineage(number, split, results)
            title += f": {own.method}" + (f", copy {own.copy}" if own.copy else "")
        curves.append((title, found))
    return _draw_records(curves), str(origin)


def _relatives(results: str, origin) -> list[int]:
    """Return the copies of a record, or the record that a copy was made from."""
    if origin.parent is not None:
        return [origin.parent]
    (path,) = Product(Path(results) / PLAN).files()
    table = read_table(path, ["record_id", "method", "parent"])
    chosen = table.filter(pc.equal(table["parent"], origin.record_id)).to_pandas()
    # One copy of each method before a second copy, so that the picture compares the methods.
    chosen["place"] = chosen.groupby("method", observed=True).cumcount()
    return chosen.sort_values(["place", "record_id"])["record_id"].tolist()[:COPIES]


def _series(stores: list[Path], record_id: int) -> dict[str, np.ndarray]:
    """Return the curves of a record from the first product that contains the record."""
    paths = (path for store in stores for path in Product(store).files())
    table = next(filter(None, (_steps(path, record_id) for path in paths)), None)
    if table is None:
        raise SkymillError(
            f"the plan has record {record_id}, but {' and '.join(map(str, stores))} do not: they "
            "come from different runs. Run again."
        )
    # A step without flux was not measured, so the curve has a gap and does not fall to 0.
    seen = table["USFLUX"].to_numpy() != 0
    return {name: np.where(seen, table[name].to_numpy(), np.nan) for name in CURVES}


def _steps(path: Path, record_id: int) -> pa.Table | None:
    """Return the steps of a record in a file, or None."""
    with ParquetFile(path) as file:
        place = file.schema_arrow.names.index("record_id")
        for group in range(file.num_row_groups):
            known = file.metadata.row_group(group).column(place).statistics
            if known is None or known.min <= record_id <= known.max:
                table = file.read_row_group(group, ["record_id", *CURVES])
                found = table.filter(pc.equal(table["record_id"], record_id))
                if found.num_rows:
                    return found
    return None


def _draw_records(curves: list[tuple[str, dict[str, np.ndarray]]]) -> "Image.Image":
    """Draw the curves of records side by side, with one scale per parameter."""
    figure, draw, font = _canvas(
        _MARGIN + len(curves) * (_WIDTH + _GAP),
        2 * _MARGIN + _LINE + len(CURVES) * (_HEIGHT + _LINE + _GAP),
    )
    for row, name in enumerate(CURVES):
        values = np.stack([series[name] for _, series in curves])
        seen = values[np.isfinite(values)]
        span = (float(seen.min()), float(seen.max())) if len(seen) else (0.0, 0.0)
        top = _MARGIN + _LINE + row * (_HEIGHT + _LINE + _GAP)
        for column, (title, _) in enumerate(curves):
            left = _MARGIN + column * (_WIDTH + _GAP)
            if row == 0:
                draw.text((left, _MARGIN), title, fill=INK, font=font)
            if column == 0:
                text = f"{name}: {span[0]:.4g} to {span[1]:.4g}"
                draw.text((left, top), text, fill=INK, font=font)
            box = (left, top + _LINE, left + _WIDTH, top + _LINE + _HEIGHT)
            draw.rectangle(box, outline=FRAME)
            draw_curve(draw, values[column], box, span)
    return figure


def _show_sample(name: str, results: str) -> tuple["Image.Image", str]:
    for official_set in ("train", "test"):
        samples = open_samples(official_set, results)
        (rows,) = np.nonzero(samples["sample_id"].to_numpy() == name)
        if len(rows):
            sample = read_sample(samples, int(rows[0]))
            there = sample["available"].to_numpy()
            said = (
                f"sample {name} ({official_set} set): {sample['goes_class'].item()}, "
                f"{there.sum()} of {there.size} images; group {sample['group'].item()}"
            )
            return _draw_sample(sample["images"].to_numpy(), there, said), said
    raise SkymillError(
        f"there is no sample {name} in {results}. The index "
        f"({results}/processed/sdo/train_metadata.csv) lists ar_num and time_id of all samples."
    )


def _draw_sample(images: np.ndarray, there: np.ndarray, said: str) -> "Image.Image":
    from PIL import Image

    figure, draw, font = _canvas(
        _MARGIN + len(CHANNELS) * (_SIDE + _GAP),
        2 * _MARGIN + _LINE + len(STEP_OFFSETS) * (_SIDE + _LINE + _GAP),
    )
    draw.text((_MARGIN, _MARGIN), said, fill=INK, font=font)
    for step, offset in enumerate(STEP_OFFSETS):
        top = _MARGIN + _LINE + _GAP + step * (_SIDE + _LINE + _GAP)
        for number, channel in enumerate(CHANNELS):
            left = _MARGIN + number * (_SIDE + _GAP)
            hours = offset / np.timedelta64(1, "h")
            draw.text((left, top), f"{channel}, {hours:.2f} h", fill=INK, font=font)
            shown = Image.new("L", (_SIDE, _SIDE), _ABSENT)
            if there[step, number]:
                shown = Image.fromarray(images[step, number]).resize((_SIDE, _SIDE))
            figure.paste(shown, (left, top + _LINE))
    return figure


def _show_object(name: str, results: str) -> tuple["Image.Image", str]:
    found = load_object(name, results)
    if not len(found):
        raise SkymillError(
            f"there is no object {name} among the stamps of {results}. "
            f"{results}/processed/ztf/labels.csv lists all objects."
        )
    titles = [str(candid) for candid in found.alerts["candid"]]
    label, split = found.alerts["label"].iloc[0], found.alerts["split"].iloc[0]
    said = f"object {name} ({label}, {split}): {len(found)} alerts; by candid"
    return contact_sheet(found.stamps, titles, said), said


def _canvas(width: int, height: int):
    from PIL import Image, ImageDraw, ImageFont

    figure = Image.new("L", (width, height), 255)
    return figure, ImageDraw.Draw(figure), ImageFont.load_default_imagefont()
