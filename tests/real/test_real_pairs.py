"""Real windows of SWAN-SF are located at their own times, and are joined with SDOBenchmark rows.

The data is in the folder that SKYMILL_REAL_DATA names, or in `../shared/real` next to the
repository. Without the data these tests are skipped.
"""

import json
import os
import re
import tarfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from skymill.aligned.join import find_records, find_series, read_windows
from skymill.aligned.keys import keys
from skymill.aligned.locate import locate
from skymill.aligned.plan import make_pairs
from skymill.aligned.steps import Steps, key_steps
from skymill.clock import clock_for
from skymill.magnetic.schema import STEPS
from skymill.sdo.goes import goes_class, label
from skymill.sdo.metadata import read_metadata
from skymill.swan_sf.catalogue import catalogue
from skymill.swan_sf.schema import PARAMETERS

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDER = Path(os.environ.get("SKYMILL_REAL_DATA") or REPOSITORY.parent / "shared" / "real")
WINDOWS = FOLDER / "magnetic" / "swan_sf_windows"
RECORDS = FOLDER / "magnetic" / "windows_2020_schema.jsonl"
JANUARY = FOLDER / "sdo" / "training_meta_data.january_2014.csv"

pytestmark = pytest.mark.skipif(
    not JANUARY.is_file(),
    reason=f"no real data: {JANUARY} does not exist (set SKYMILL_REAL_DATA to its folder)",
)

NAME = re.compile(r"_id\[(?P<harp>\d+)\]_st\[(?P<start>[^]]+)\]_et\[(?P<end>[^]]+)\]")
SAMPLE = "11953_2014_01_15_14_15_01_0"


@pytest.fixture(scope="module")
def swan(tmp_path_factory):
    """The catalogue of a tarball of the real windows: its steps, and its table of windows."""
    folder = tmp_path_factory.mktemp("swan_sf")
    raw = folder / "partition3_instances.tar.gz"
    with tarfile.open(raw, "w:gz") as tar:
        for path in sorted(WINDOWS.glob("*.csv")):
            place = "FL" if "lab[M]" in path.name else "NF"
            tar.add(path, f"partition3/{place}/{path.name}")
    places = {name: folder / f"{name}.parquet" for name in ("steps", "windows")}
    catalogue(raw, "partition3", **places, quarantine=folder / "quarantine.jsonl")
    return Steps([key_steps(places["steps"])]), places["windows"]


@pytest.fixture(scope="module")
def records():
    """The real windows as records of 2020: values (24, records, 60), and the truth of each."""
    index = pd.read_csv(FOLDER / "magnetic" / "windows_index.csv").set_index("record_id")
    values, truth = [], []
    for line in RECORDS.read_text().splitlines():
        ((record_id, record),) = json.loads(line).items()
        given = record["values"]
        values.append([[given[name][str(seq)] for seq in range(STEPS)] for name in PARAMETERS])
        found = NAME.search(index["source_file"][int(record_id)])
        truth.append((int(found["harp"]), np.datetime64(found["start"])))
    return np.moveaxis(np.array(values, dtype=np.float64), 0, 1), truth


def samples_of_january():
    rows, malformed = read_metadata(JANUARY)
    assert not malformed
    return pd.DataFrame(
        {
            "set": ["train"] * len(rows),
            "row": range(len(rows)),
            "sample_id": [row.sample_id for row in rows],
            "ar_num": [int(row.region) for row in rows],
            "time_id": [row.folder for row in rows],
            "start": np.array([row.start for row in rows], dtype="M8[ns]"),
            "end": np.array([row.end for row in rows], dtype="M8[ns]"),
            "label": [label(row.peak_flux, 0.85) for row in rows],
            "goes_class": [goes_class(row.peak_flux, 0.85) for row in rows],
        }
    )


@pytest.mark.parametrize(
    ("damage", "tier"),
    [
        (lambda values: values, "exact"),
        (lambda values: values.astype(np.float32).astype(np.float64), "rounded"),
        (lambda values: np.round(values, 10), "rounded"),
    ],
    ids=["as they are", "float32", "ten decimals"],
)
def test_real_windows_are_located_at_the_times_in_their_names(swan, records, damage, tier):
    steps, _ = swan
    values, truth = records
    count = values.shape[1]
    exact, rounded = (
        part.reshape(count, STEPS) for part in keys(damage(values).reshape(len(PARAMETERS), -1))
    )
    ids = pd.DataFrame(
        {"record_id": range(count), "partition": ["test_4_5_data"] * count, "label": [None] * count}
    )
    table, _ = locate(ids, exact, rounded, steps, clock_for(steps.time))
    for row, (harp, start) in zip(table.to_pylist(), truth, strict=True):
        assert (row["status"], row["tier"]) == ("located", tier)
        assert (row["harp"], np.datetime64(row["start_tai"])) == (harp, start)


def test_the_sample_of_region_11953_overlaps_with_harp_3608_too_little(swan):
    steps, windows = swan
    samples = samples_of_january()
    own = samples[samples["sample_id"] == SAMPLE]
    clock = clock_for(steps.time)
    end = clock.to_tai(own["end"].to_numpy("M8[ns]"))
    series = find_series(own["ar_num"].to_numpy(np.int64), end, steps)
    assert series.harp.tolist() == [3608]
    # The last step at least 12 minutes before 14:15:36 TAI is at 14:00, and the window begins at
    # 05:36. (A 44th step, at 14:12, would use light from after the end of the sample.)
    assert series.end.astype("M8[s]").tolist() == [np.datetime64("2014-01-15T14:00:00").item()]
    assert series.present.tolist() == series.numbered.tolist() == [43]
    assert series.reason.tolist() == ["too_little_overlap"]
    found = read_windows([windows])
    at = found.nearest(series.harp, series.end, 59 * 720)
    assert found.goes[at].tolist() == own["goes_class"].tolist() == ["C1.0"]


def test_a_record_that_ends_after_the_sample_is_not_used(swan):
    _, windows = swan
    found = read_windows([windows])
    own = samples_of_january().set_index("sample_id").loc[[SAMPLE]]
    end = clock_for(found.end).to_tai(own["end"].to_numpy("M8[ns]"))
    row, _ = find_records(np.array([3608]), end, found.harp, found.end)
    assert row.tolist() == [-1]


def test_no_pair_of_harp_3647_is_unambiguous(swan):
    steps, windows = swan
    pairs, others, counts = make_pairs(
        samples_of_january(),
        steps,
        read_windows([windows]),
        clock_for(steps.time),
        follow_official=True,
        fractions={"validation": 0.1, "test": 0.1},
        seed=1,
    )
    assert pairs.num_rows + others.num_rows == counts["samples"] == 41
    chosen = [row for row in pairs.to_pylist() if row["harp"] == 3647]
    assert chosen
    for row in chosen:
        assert row["regions_in_harp"] == 5
        assert "several_regions" in row["flags"]
    # All five numbers form one group.
    assert {row["group"] for row in chosen} == {11958}
