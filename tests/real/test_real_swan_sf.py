"""Six real windows of SWAN-SF: 52 columns, names of the older form, missing values.

The data is in the folder that SKYMILL_REAL_DATA names, or in `../shared/real` next to the
repository. Without the data these tests are skipped.
"""

import csv
import io
import json
import math
import os
import tarfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from skymill.swan_sf.catalogue import catalogue
from skymill.swan_sf.schema import PARAMETERS, STEPS

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDER = Path(os.environ.get("SKYMILL_REAL_DATA") or REPOSITORY.parent / "shared" / "real")
WINDOWS = FOLDER / "magnetic" / "swan_sf_windows"
AS_2020 = FOLDER / "magnetic" / "windows_2020_schema.jsonl"
INDEX = FOLDER / "magnetic" / "windows_index.csv"

pytestmark = pytest.mark.skipif(
    not INDEX.is_file(),
    reason=f"no real data: {INDEX} does not exist (set SKYMILL_REAL_DATA to its folder)",
)


def read_rows(path):
    with open(path, newline="") as stream:
        return list(csv.DictReader(stream, delimiter="\t"))


def number(text):
    return float(text) if text not in ("", "NA", "NaN", "nan") else math.nan


def catalogued(folder, files):
    """Catalogue a tarball of (name, content); return steps, windows and counts."""
    raw = folder / "partition1_instances.tar.gz"
    with tarfile.open(raw, "w:gz") as archive:
        for name, content in files:
            info = tarfile.TarInfo(f"partition1/NF/{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    steps, windows = folder / "steps.parquet", folder / "windows.parquet"
    content = catalogue(
        raw, "partition1", steps=steps, windows=windows, quarantine=folder / "quarantine.jsonl"
    )
    return pq.read_table(steps), pq.read_table(windows), content["counts"]


@pytest.fixture(scope="module", name="found")
def _found(tmp_path_factory):
    files = [(path.name, path.read_bytes()) for path in sorted(WINDOWS.glob("*.csv"))]
    return catalogued(tmp_path_factory.mktemp("swan_sf"), files)


def test_all_windows_are_valid_and_common_steps_are_stored_once(found):
    steps, windows, counts = found
    assert (counts["windows"], counts["rejected"], counts["differing_steps"]) == (6, 0, 0)
    # 45 and 40 steps are in two windows.
    assert steps.num_rows == 6 * STEPS - 45 - 40
    assert sum(steps["windows"].to_pylist()) == 6 * STEPS
    assert windows.num_rows == 6


def test_windows_have_the_classes_numbers_and_times_of_their_names(found):
    _, windows, _ = found
    said = [
        (w["harp"], f"{w['start_tai']:%Y-%m-%dT%H:%M}", w["label"], w["goes"], w["flare_id"])
        for w in windows.to_pylist()
    ]
    assert said == [
        (3272, "2013-10-11T11:36", "Q", None, None),
        (3272, "2013-10-11T15:36", "Q", None, None),
        (3321, "2013-11-01T11:00", "M", "M1.6", 6915),
        (3608, "2014-01-15T05:36", "C", "C1.0", 7433),
        (3647, "2014-01-21T20:00", "B", "B8.3", 7467),
        (3647, "2014-01-21T23:00", "B", "B8.3", 7467),
    ]
    five = [11958, 11959, 11960, 11963, 11964]
    assert windows["noaa"].to_pylist() == [[], [], [11884, 11885], [11953], five, five]


def test_every_value_equals_that_of_its_column_bit_for_bit(found):
    steps, _, _ = found
    harps, times = steps["harp"].to_pylist(), steps["time_tai"].to_pylist()
    places = {
        (harp, f"{time:%Y-%m-%d %H:%M:%S}"): row
        for row, (harp, time) in enumerate(zip(harps, times, strict=True))
    }
    values = np.column_stack([steps[name].to_numpy() for name in PARAMETERS])
    for path in WINDOWS.glob("*.csv"):
        harp = int(path.name.partition("_id[")[2].partition("]")[0])
        for row in read_rows(path):
            place = places[harp, row["Timestamp"]]
            expected = [number(row[name]) for name in PARAMETERS]
            np.testing.assert_array_equal(values[place], expected)
            quality = number(row["QUALITY"])
            assert steps["quality"][place].as_py() == (None if quality != quality else quality)
            assert str(steps["is_tmfi"][place].as_py()) == row["IS_TMFI"]
            noaa = [int(float(part)) for part in row["NOAA_AR"].split(";") if part]
            assert steps["noaa"][place].as_py() == noaa


def test_the_values_equal_those_of_the_records_of_2020(found):
    steps, windows, _ = found
    with open(INDEX, newline="") as stream:
        files = {row["record_id"]: row["source_file"] for row in csv.DictReader(stream)}
    values = np.column_stack([steps[name].to_numpy() for name in PARAMETERS])
    keys = list(zip(steps["harp"].to_pylist(), steps["time_tai"].to_pylist(), strict=True))
    compared = 0
    for line in AS_2020.read_text().splitlines():
        ((record_id, record),) = json.loads(line).items()
        if record_id not in files:
            continue
        (window,) = (w for w in windows.to_pylist() if w["member"].endswith(files[record_id]))
        first = keys.index((window["harp"], window["start_tai"]))
        expected = [
            [record["values"][name][str(step)] for name in PARAMETERS] for step in range(STEPS)
        ]
        np.testing.assert_array_equal(values[first : first + STEPS], expected)
        compared += 1
    assert compared == 6


def test_real_windows_read_the_same_with_the_columns_and_names_of_the_release(found, tmp_path):
    old_steps, old_windows, _ = found
    files = []
    for window in old_windows.to_pylist():
        rows = read_rows(WINDOWS / window["member"].rpartition("/")[2])
        columns = [*rows[0], "NEW_1", "NEW_2", "NEW_3"]
        assert len(columns) == 55
        lines = [columns, *([row.get(name, "0.0") for name in columns] for row in rows)]
        label = f"{window['goes']}@{window['flare_id']}:Primary" if window["goes"] else "FQ"
        start, end = (f"{window[key]:%Y-%m-%dT%H:%M:%S}" for key in ("start_tai", "end_tai"))
        text = "\n".join("\t".join(line) for line in lines) + "\n"
        files.append((f"{label}_ar{window['harp']}_s{start}_e{end}.csv", text.encode()))
    steps, windows, counts = catalogued(tmp_path, files)
    assert counts["rejected"] == 0
    assert steps.drop_columns([*PARAMETERS]).equals(old_steps.drop_columns([*PARAMETERS]))
    for name in PARAMETERS:
        np.testing.assert_array_equal(steps[name].to_numpy(), old_steps[name].to_numpy())
    same = ["harp", "start_tai", "end_tai", "label", "goes", "flare_id", "noaa"]
    assert windows.select(same).equals(old_windows.select(same))
