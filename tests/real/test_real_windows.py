"""Six real windows of SWAN-SF in the magnetic branch, and the same windows as records of 2020.

The data is in the folder that SKYMILL_REAL_DATA names, or in `../shared/real` next to the
repository. Without the data these tests are skipped.
"""

import csv
import io
import os
import tarfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

from skymill.engine.products import Product, manifest_path, write_document
from skymill.engine.tables import write_table
from skymill.magnetic.catalogue import ingest
from skymill.magnetic.features import FeatureSet
from skymill.magnetic.ids import assign_ids, read_ids
from skymill.magnetic.inputs import SWAN
from skymill.magnetic.leaks import find_leaks, require_no_leak
from skymill.magnetic.places import pairs_of_numbers
from skymill.magnetic.plan import make_plan
from skymill.magnetic.plan_places import with_places
from skymill.magnetic.plan_table import read_plan
from skymill.magnetic.records import missing_shares, records_table
from skymill.magnetic.regions import group_harps
from skymill.magnetic.schema import STEPS, TRAIN_PARTITIONS
from skymill.magnetic.store import RecordStore
from skymill.magnetic.windows import WindowStore, ingest_windows
from skymill.magnetic.write import write_clean
from skymill.settings import of_input
from skymill.solar_regions import harp_table
from skymill.swan_sf.catalogue import catalogue

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDER = Path(os.environ.get("SKYMILL_REAL_DATA") or REPOSITORY.parent / "shared" / "real")
WINDOWS = FOLDER / "magnetic" / "swan_sf_windows"
AS_2020 = FOLDER / "magnetic" / "windows_2020_schema.jsonl"
INDEX = FOLDER / "magnetic" / "windows_index.csv"

pytestmark = pytest.mark.skipif(
    not INDEX.is_file(),
    reason=f"no real data: {INDEX} does not exist (set SKYMILL_REAL_DATA to its folder)",
)


@pytest.fixture(scope="module", name="made")
def _made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("windows")
    raw = folder / "partition1_instances.tar.gz"
    with tarfile.open(raw, "w:gz") as archive:
        for path in sorted(WINDOWS.glob("*.csv")):
            info = tarfile.TarInfo(f"partition1/NF/{path.name}")
            content = path.read_bytes()
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    steps, windows = folder / "steps.parquet", folder / "windows.parquet"
    catalogue(raw, "partition1", steps=steps, windows=windows, quarantine=folder / "quarantine")
    table, prints = folder / "catalogue.parquet", folder / "fingerprints.parquet"
    counts = ingest_windows(
        steps,
        windows,
        "partition1",
        catalogue=table,
        fingerprints=prints,
        quarantine=folder / "rejected",
    )
    ids, _ = assign_ids([pq.read_table(table)], collisions="renumber")
    path = folder / "ids.parquet"
    write_table(path, ids)
    clean = folder / "train"
    store = WindowStore(table, steps)
    files = write_clean(path, {"partition1": store}, clean, parameters=SWAN.parameters)
    product = _described(clean, files)
    known = pq.read_table(prints)
    numbers, _ = pairs_of_numbers(ids, "harp")
    region = group_harps(
        ids["record_id"].to_numpy(),
        ids["harp"].to_numpy().astype(np.int64),
        np.concatenate([np.array(harp_table(), np.int64), numbers]),
        known["harp"].to_numpy().astype(np.int64),
        known["fingerprint"].to_numpy(),
    )
    return SimpleNamespace(
        folder=folder,
        counts=counts,
        ids=ids,
        ids_path=path,
        clean=product,
        values=RecordStore(product).read(np.arange(len(ids)), SWAN.parameters),
        members=pq.read_table(windows)["member"].to_pylist(),
        region=region,
    )


def _described(folder, files):
    entries = [{**file, "name": f"{folder.name}/{file['name']}"} for file in files]
    write_document(manifest_path(folder), {"product": folder.name, "files": entries})
    return Product(folder)


def features(name):
    """Return the default columns that both inputs have."""
    config = yaml.safe_load((REPOSITORY / "config" / "config.yaml").read_text())
    return of_input({**config, "magnetic": {"input": name}})["features"]


def test_all_windows_are_records_in_the_order_of_harp_and_time(made):
    assert (made.counts["valid"], made.counts["rejected"]) == (6, 0)
    assert made.ids["harp"].to_pylist() == [3272, 3272, 3321, 3608, 3647, 3647]
    assert made.ids["label"].to_pylist() == ["Q", "Q", "M", "C", "B", "B"]
    first = made.ids["record_id"][0].as_py()
    assert first // 10**7 == 3272
    assert np.datetime64(first % 10**7 * 720, "s") == np.datetime64("2013-10-11T11:36")


def test_values_equal_those_of_the_files_bit_for_bit(made):
    for row, member in enumerate(made.members):
        with open(WINDOWS / Path(member).name, newline="") as stream:
            lines = list(csv.DictReader(stream, delimiter="\t"))
        expected = [[float(line[name] or "nan") for line in lines] for name in SWAN.parameters]
        np.testing.assert_array_equal(made.values[:, row], expected)


def test_windows_of_one_harp_are_one_region(made):
    region = made.region.tolist()
    assert region[0] == region[1]
    assert region[4] == region[5]
    assert len(set(region)) == 4


def test_the_plan_has_utc_and_no_leak(made):
    # One class for all windows. Otherwise all windows would be train: each class is in one region.
    originals = read_ids(made.ids_path).assign(region=made.region, label="Q")
    split = {
        "unit": "region",
        "fractions": {"train": 0.4, "dev": 0.3, "test": 0.3},
        "augment": "train",
    }
    plan, _ = make_plan(originals, split, {}, 3)
    path = made.folder / "plan.parquet"
    write_table(path, with_places(plan, made.ids))
    placed = pq.read_table(path)
    leaks = find_leaks(read_plan(path), originals.set_index("record_id")["content"], placed)
    require_no_leak(leaks, "region")
    frame = placed.to_pandas()
    assert set(frame["split"]) == {"train", "dev", "test"}
    # TAI is 35 s ahead from July 2012 to June 2015.
    assert set((frame["start_tai"] - frame["start"]).dt.total_seconds()) == {35.0}
    five = [11958, 11959, 11960, 11963, 11964]
    assert [list(numbers) for numbers in frame["noaa"]] == [
        *([], [], [11884, 11885], [11953], five, five)
    ]
    missing = missing_shares(made.clean, SWAN.parameters)
    table = records_table(
        read_plan(path), originals, missing, parameters=SWAN.parameters, places=placed
    )
    assert table["harp"].to_pylist() == frame["harp"].tolist()
    share = np.isnan(made.values[SWAN.parameters.index("R_VALUE")]).mean(axis=1)
    assert table["missing_R_VALUE"].to_pylist() == pytest.approx(share.tolist())


def test_columns_equal_those_of_the_same_windows_as_records_of_2020(made, tmp_path):
    content = ingest(
        AS_2020,
        TRAIN_PARTITIONS[0],
        labelled=True,
        values=tmp_path / "values",
        catalogue=tmp_path / "catalogue.parquet",
        quarantine=tmp_path / "quarantine",
    )
    store = RecordStore(_described(tmp_path / "values", content["files"]))
    settings = features("swan_sf")
    names = FeatureSet(settings).parameters
    as_2020, _ = FeatureSet(settings).compute(store.read(np.arange(6), names))
    rows = [SWAN.parameters.index(name) for name in names]
    own, never = FeatureSet(settings).compute(made.values[rows].copy())
    assert (
        set(own)
        == set(settings["columns"])
        == set(features("cup2020")["columns"]) - {"PIL_LEN_log"}
    )
    # The file has the windows in another order.
    flux = "USFLUX_log"
    order = [
        next(other for other in range(6) if np.array_equal(as_2020[flux][other], own[flux][row]))
        for row in range(6)
    ]
    assert sorted(order) == list(range(6))
    for name, column in own.items():
        assert column.shape == (6, STEPS)
        assert np.isfinite(column).all()
        assert np.array_equal(column, as_2020[name][order])
    assert not any(never.values())
