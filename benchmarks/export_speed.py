"""Export of stamps to CSV against Arrow's CSV writer on the bare matrix."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
from measure import Section, at_most, interleaved, seconds

from skymill.engine.tables import write_table
from skymill.ztf.export import FORMS, export_label, read_csv_stamps
from skymill.ztf.plan import make_plan
from skymill.ztf.schema import stamps_schema
from skymill.ztf.write import gather

RUNS = 3
CLAIM = 1.3
CROP = 21
NIGHTS = 4


def write_night(path: Path, alerts: int, number: int) -> None:
    """Write a night of alerts with noise as stamps, so that no two pixels have equal texts."""
    random = np.random.default_rng(number)
    schema = stamps_schema(CROP)
    candid = np.arange(alerts) * NIGHTS + number
    pixels = random.normal(150, 40, (alerts, 3 * CROP * CROP)).astype(np.float32)
    columns = {
        "object_id": pa.array([f"ZTF18a{name:07}" for name in candid]),
        "candid": pa.array(candid),
        "night": pa.repeat(path.stem, alerts),
        "schema_version": pa.repeat("3.3", alerts),
        "recovered": pa.repeat(False, alerts),
        "stamps": pa.FixedSizeListArray.from_arrays(
            pa.array(pixels.ravel()), type=schema.field("stamps").type
        ),
    }
    for field in schema:
        if field.name not in columns:
            values = random.uniform(1, 100, alerts)
            if not pa.types.is_floating(field.type):
                values = values.astype(np.int64)
            columns[field.name] = pa.array(values).cast(field.type)
    table = pa.table([columns[name] for name in schema.names], schema=schema)
    write_table(path, table, rows_per_group=1024)


def gathered(folder: Path, alerts: int) -> tuple[Path, Path]:
    """Return the table and the array of so many alerts of one label, all in the sample."""
    nights = [folder / f"2018060{number}.parquet" for number in range(NIGHTS)]
    for number, night in enumerate(nights):
        write_night(night, alerts // NIGHTS, number)
    names = [f"ZTF18a{name:07}" for name in range(alerts)]
    words = pa.repeat("Otro", alerts)
    labels = pa.table({"object_id": names, "alerce_class": words, "label": words})
    labels = labels.append_column("probability", pa.nulls(alerts, pa.float32()))
    write_table(folder / "labels.parquet", labels)
    plan, _ = make_plan(
        nights,
        folder / "labels.parquet",
        representative="first",
        sample={},
        split={"validation": 0.1, "test": 0.1},
        seed=1,
    )
    write_table(folder / "plan.parquet", plan)
    table, array = folder / "stamps.parquet", folder / "stamps.npy"
    listing = folder / "labels.csv"
    gather(folder / "plan.parquet", nights, table=table, array=array, listing=listing, workers=1)
    return table, array


def measure_export(folder: Path, alerts: int) -> Section:
    """Measure the export of so many alerts in each form, including metadata and checksum."""
    table, array = gathered(folder, alerts)
    matrix = np.load(array).reshape(alerts, -1)
    bare = pa.table({f"x{place}": np.ascontiguousarray(x) for place, x in enumerate(matrix.T)})
    targets = {form: folder / f"{form}.csv" for form in FORMS}
    contenders = {
        "pyarrow.csv": lambda: pa_csv.write_csv(bare, folder / "bare.csv"),
        **{
            form: lambda form=form: export_label(
                table, array, targets[form], label="Otro", form=form
            )
            for form in FORMS
        },
    }
    timings = interleaved(contenders, dict.fromkeys(contenders, RUNS))
    for path in targets.values():
        _, stamps = read_csv_stamps(path)
        if stamps.tobytes() != matrix.tobytes():
            raise RuntimeError(f"{path.name} does not contain the stamps")
    reference = timings["pyarrow.csv"].best
    size = (folder / "bare.csv").stat().st_size
    return Section(
        "Export of stamps to CSV",
        [
            f"{alerts:,} alerts of 3 x {CROP} x {CROP} float32, {size / 1e6:,.0f} MB of text, one "
            f"core, best of {RUNS} alternately. `pyarrow.csv.write_csv` has the bare matrix in "
            f"memory, with one column per pixel, and takes {reference:.2f} s. The export reads the "
            "stamps, adds the metadata and computes the checksum of the file. When each form is "
            "read again, the stamps are the same bit for bit."
        ],
        [
            at_most(
                f"export, {what}, against pyarrow.csv on the bare matrix",
                timings[form].best / reference,
                CLAIM,
                "x",
                seconds=seconds(timings),
            )
            for form, what in (("columns", "a column a pixel"), ("data", "one JSON column"))
        ],
    )
