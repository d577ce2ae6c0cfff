"""Windows of SWAN-SF as records: ids, rejects, values, fingerprints, places."""

import json
import pickle
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from records import described
from swan_files import catalogued, step_values, time_of, window

from skymill.engine.errors import SkymillError
from skymill.engine.tables import write_table
from skymill.magnetic import write as module
from skymill.magnetic.augment import augmented_schema, write_augmented
from skymill.magnetic.columns import Columns
from skymill.magnetic.features import records_of_split, write_features
from skymill.magnetic.ids import IDS_SCHEMA, assign_ids, read_ids
from skymill.magnetic.inputs import CUP, SWAN, file_name, input_of, place_of_record
from skymill.magnetic.places import CATALOGUED, PLACES, pairs_of_numbers
from skymill.magnetic.plan import make_plan
from skymill.magnetic.plan_places import with_places
from skymill.magnetic.plan_table import PLAN_SCHEMA, read_plan
from skymill.magnetic.records import missing_shares, records_schema, records_table
from skymill.magnetic.regions import group_harps
from skymill.magnetic.store import pieces
from skymill.magnetic.windows import (
    FINGERPRINTS_SCHEMA,
    WINDOWS_SCHEMA,
    WindowStore,
    ingest_windows,
    record_ids,
)
from skymill.magnetic.write import clean_schema, write_clean
from skymill.swan_sf.schema import PARAMETERS, STEPS


def taken(folder, members, partition="partition1"):
    """Catalogue a tarball of (name, content), and convert its windows to records."""
    folder.mkdir(exist_ok=True)
    catalogued(folder, members)
    paths = {
        "catalogue": folder / "catalogue.parquet",
        "fingerprints": folder / "fingerprints.parquet",
        "quarantine": folder / "rejected.jsonl",
    }
    steps = folder / "steps.parquet"
    counts = ingest_windows(steps, folder / "windows.parquet", partition, **paths)
    return SimpleNamespace(
        counts=counts,
        catalogue=pq.read_table(paths["catalogue"]),
        fingerprints=pq.read_table(paths["fingerprints"]),
        rejected=[json.loads(line) for line in paths["quarantine"].read_text().splitlines()],
        store=WindowStore(paths["catalogue"], steps),
        paths=paths,
        steps=steps,
    )


def values_of(harp, first):
    """Return the values of a window, shape (24, 60)."""
    return np.column_stack([step_values(harp, step) for step in range(first, first + STEPS)])


DARK = {"USFLUX": "0.0"}
MEMBERS = [
    window(3608, 0, "X1.0@1"),
    window(3608, 5, "FQ"),
    window(3610, 5, "M2.0@2", NOAA_AR="11954;11955"),
    window(3609, 0, "C1.0@3", **DARK),
    window(3607, 100, "B1.0@4", NOAA_AR=""),
]


@pytest.fixture(scope="module", name="found")
def _found(tmp_path_factory):
    return taken(tmp_path_factory.mktemp("taken"), MEMBERS)


def test_each_window_has_a_row_in_the_order_of_the_catalogue(found):
    table = found.catalogue
    assert table.schema == WINDOWS_SCHEMA
    assert table["harp"].to_pylist() == [3607, 3608, 3608, 3609, 3610]
    assert table["line"].to_pylist() == [1, 2, 3, 4, 5]
    assert table["label"].to_pylist() == ["B", "X", "Q", "C", "M"]
    assert table["noaa"].to_pylist() == [[], [11953], [11953], [11953], [11954, 11955]]
    assert table["start_tai"].to_pylist()[1:3] == [time_of(0), time_of(5)]
    assert table["end_tai"].to_pylist()[1:3] == [time_of(59), time_of(64)]
    assert set(table["partition"].to_pylist()) == {"partition1"}


def test_a_window_without_any_flux_is_rejected_with_its_name(found):
    assert found.catalogue["status"].to_pylist() == [
        *("valid", "valid", "valid", "rejected", "valid")
    ]
    (entry,) = found.rejected
    assert entry["file"] == "partition1_instances.tar.gz"
    assert (entry["line"], entry["reason"]) == (4, "no_usflux")
    assert "_ar3609_" in entry["member"]
    assert found.counts["rejected_by_reason"] == {"no_usflux": 1}
    assert found.counts["rejected_by_label"] == {"C": 1}
    assert found.counts["lines"] == found.counts["valid"] + found.counts["rejected"] == 5


@pytest.mark.parametrize("missing", ["0.0", "NaN", "", "NA"])
def test_one_step_with_flux_is_enough(tmp_path, missing):
    name, content = window(3608, 0, "FQ")
    lines = content.decode().splitlines()
    place = lines[0].split("\t").index("USFLUX")
    cells = [line.split("\t") for line in lines[1:]]
    for row in cells[:-1]:
        row[place] = missing
    text = "\n".join([lines[0], *("\t".join(row) for row in cells)]) + "\n"
    found = taken(tmp_path / "one", [(name, text.encode())])
    assert found.counts["valid"] == 1
    [flux] = found.store.read(np.array([0]), ["USFLUX"])
    assert np.isnan(flux[0, :-1]).all() or not flux[0, :-1].any()
    assert flux[0, -1] == values_of(3608, 0)[PARAMETERS.index("USFLUX"), -1]


def test_an_id_depends_only_on_harp_and_start(tmp_path, found):
    again = taken(tmp_path / "again", MEMBERS[1:2])
    assert again.catalogue["source_id"].to_pylist() == [found.catalogue["source_id"][2].as_py()]
    harp, start = np.array([3608, 3608, 7]), np.array([720, 1440, 2**32 - 1])
    assert record_ids(harp, start).tolist() == [36080000001, 36080000002, 75965232]


@given(
    st.lists(st.tuples(st.integers(0, 10**9 - 1), st.integers(0, 2**32 // 720 - 1)), unique=True)
)
def test_windows_on_the_grid_never_share_an_id(places):
    harp, step = np.array(places, np.int64).reshape(-1, 2).T
    assert len(set(record_ids(harp, step * 720).tolist())) == len(places)


def test_a_store_returns_the_values_of_the_files(found):
    positions = np.array([0, 1, 2, 3])
    values = found.store.read(positions, PARAMETERS)
    assert values.shape == (24, 4, STEPS)
    for place, (harp, first) in enumerate([(3607, 100), (3608, 0), (3608, 5), (3610, 5)]):
        assert np.array_equal(values[:, place], values_of(harp, first))
    [flux] = found.store.read(np.array([3, 3, 1]), ["USFLUX"])
    assert np.array_equal(flux, values[PARAMETERS.index("USFLUX"), [3, 3, 1]])


def test_a_store_is_pickled_as_two_paths(found):
    found.store.read(np.array([0]), ["USFLUX"])
    content = pickle.dumps(found.store)
    assert len(content) < 1000
    assert np.array_equal(
        pickle.loads(content).read(np.array([1]), PARAMETERS),
        found.store.read(np.array([1]), PARAMETERS),
    )


def test_the_size_of_row_groups_changes_no_value(tmp_path, found):
    steps = tmp_path / "steps.parquet"
    write_table(steps, pq.read_table(found.steps), rows_per_group=7)
    store = WindowStore(found.paths["catalogue"], steps)
    positions = np.array([0, 2, 3])
    assert np.array_equal(
        store.read(positions, PARAMETERS), found.store.read(positions, PARAMETERS)
    )


def test_a_step_that_is_not_in_the_catalogue_is_an_error_with_its_place(tmp_path, found):
    steps = tmp_path / "steps.parquet"
    write_table(steps, pq.read_table(found.steps).slice(0, 70))
    with pytest.raises(SkymillError, match=r"step 10 of a window of HARP 3608 is not in .*steps"):
        WindowStore(found.paths["catalogue"], steps).read(np.array([0, 1]), PARAMETERS)


def test_measured_steps_have_fingerprints(found):
    assert found.fingerprints.schema == FINGERPRINTS_SCHEMA
    harps, counts = np.unique(found.fingerprints["harp"].to_numpy(), return_counts=True)
    assert dict(zip(harps.tolist(), counts.tolist(), strict=True)) == {
        **{3607: 60, 3608: 65, 3609: 60, 3610: 60}
    }
    assert 0 not in found.fingerprints["fingerprint"].to_pylist()


def test_trivial_steps_have_no_fingerprints(tmp_path):
    rest = {name: "0.0" for name in PARAMETERS if name not in ("USFLUX", "TOTBSQ")}
    found = taken(tmp_path / "flat", [window(1, 0, "FQ", **rest)])
    assert found.counts["valid"] == 1
    assert len(found.fingerprints) == 0


def test_equal_values_give_equal_contents_in_any_harp(tmp_path):
    copied = window(3608, 0, "FQ")[1]
    names = [window(harp, 0, label)[0] for harp, label in ((3608, "FQ"), (5000, "X1.0@1"))]
    found = taken(tmp_path / "twins", [(name, copied) for name in names])
    first, second = found.catalogue["content"].to_pylist()
    assert first == second
    assert len(set(found.fingerprints["fingerprint"].to_pylist())) == STEPS
    _, counts = assign_ids([found.catalogue], collisions="renumber")
    assert counts["contradictory"]["records"] == 2
    assert counts["collisions"] == 0


def test_without_windows_the_tables_are_empty(tmp_path):
    found = taken(tmp_path / "empty", [("partition1/NF/README.csv", b"")])
    assert found.catalogue.schema == WINDOWS_SCHEMA
    assert (len(found.catalogue), len(found.fingerprints), found.counts["valid"]) == (0, 0, 0)


# --- Ids, plan and products ----------------------------------------------------------------------


@pytest.fixture(scope="module", name="made")
def _made(tmp_path_factory, found):
    """Return the products of a small data set: four HARPs in two partitions."""
    folder = tmp_path_factory.mktemp("made")
    classes = ["X1.0@1", "M1.0@2", "C1.0@3", "B1.0@4", "FQ", "FQ"]
    partitions = {
        name: taken(
            folder / name,
            [
                window(harp, 5 * number, label, NOAA_AR=str(11000 + harp))
                for harp in harps
                for number, label in enumerate(classes)
            ],
            name,
        )
        for name, harps in {"partition1": (40, 10), "partition4": (20, 30)}.items()
    }
    ids, counts = assign_ids([one.catalogue for one in partitions.values()], collisions="renumber")
    path = folder / "ids.parquet"
    write_table(path, ids)
    stores = {name: one.store for name, one in partitions.items()}
    clean = folder / "train"
    product = described(clean, write_clean(path, stores, clean, parameters=SWAN.parameters))
    region = group_harps(
        ids["record_id"].to_numpy(),
        ids["harp"].to_numpy().astype(np.int64),
        pairs_of_numbers(ids, "harp")[0],
        np.empty(0, np.int64),
        np.empty(0, np.uint64),
    )
    originals = read_ids(path).assign(region=region)
    split = {
        "unit": "region",
        "fractions": {"train": 0.5, "dev": 0.25, "test": 0.25},
        "augment": "train",
    }
    plan, plan_counts = make_plan(originals, split, {"X": {"warp": 1, "scale": 1}}, 5)
    plan_path = folder / "plan.parquet"
    write_table(plan_path, with_places(plan, ids))
    return SimpleNamespace(
        folder=folder,
        ids=ids,
        ids_path=path,
        counts=counts,
        clean=product,
        plan=plan_path,
        plan_counts=plan_counts,
        stores=stores,
    )


def test_ids_have_harp_numbers_and_time_in_the_order_of_ids(made):
    assert made.ids.schema == pa.schema([*IDS_SCHEMA, *CATALOGUED])
    assert made.ids["harp"].to_pylist() == [10] * 6 + [20] * 6 + [30] * 6 + [40] * 6
    assert made.ids["noaa"].to_pylist()[::6] == [[11010], [11020], [11030], [11040]]
    assert made.ids["partition"].to_pylist()[::6] == [
        *("partition1", "partition4", "partition4", "partition1")
    ]
    assert made.counts["renumbered"] == 0
    start = made.ids["start_tai"].to_pylist()
    assert start[:6] == [time_of(5 * number) for number in range(6)]


@pytest.mark.parametrize("workers", [1, 2])
def test_clean_records_have_the_values_of_their_windows(made, tmp_path, monkeypatch, workers):
    monkeypatch.setattr(module, "pieces", lambda total: pieces(total, 7))
    files = write_clean(
        made.ids_path, made.stores, tmp_path / "train", parameters=PARAMETERS, workers=workers
    )
    table = pa.concat_tables(pq.read_table(tmp_path / "train" / file["name"]) for file in files)
    assert table.schema.equals(clean_schema(PARAMETERS))
    assert [file["rows"] // STEPS for file in files] == [7, 7, 7, 3]
    values = np.stack([table[name].to_numpy().reshape(-1, STEPS) for name in PARAMETERS])
    for row, harp in enumerate(made.ids["harp"].to_pylist()):
        assert np.array_equal(values[:, row], values_of(harp, 5 * (row % 6)))


def test_the_plan_has_harp_numbers_and_utc_of_each_record_and_copy(made):
    plan = pq.read_table(made.plan)
    assert plan.schema == pa.schema([*PLAN_SCHEMA, *PLACES])
    frame = plan.to_pandas()
    by_id = made.ids.to_pandas().set_index("record_id")
    origin = frame["parent"].fillna(frame["record_id"]).astype(int)
    assert len(frame) > len(by_id)
    for name in ("harp", "start_tai", "end_tai"):
        assert frame[name].tolist() == by_id.loc[origin, name].tolist()
    assert [list(each) for each in frame["noaa"]] == [[11000 + harp] for harp in frame["harp"]]
    # 35 seconds from July 2012 to June 2015.
    assert set((frame["start_tai"] - frame["start"]).dt.total_seconds()) == {35.0}
    assert set((frame["end"] - frame["start"]).dt.total_seconds()) == {59 * 720.0}
    assert read_plan(made.plan).columns.tolist() == PLAN_SCHEMA.names


def test_no_harp_is_in_two_splits(made):
    frame = pq.read_table(made.plan).to_pandas()
    assert frame.groupby("harp")["split"].nunique().tolist() == [1, 1, 1, 1]
    assert set(frame["split"]) == {"train", "dev", "test"}


def test_copies_keep_the_relations_between_the_24_parameters(made, tmp_path):
    files, counts = write_augmented(
        made.plan,
        made.ids_path,
        made.clean,
        tmp_path / "augmented",
        seed=5,
        everything=False,
        parameters=PARAMETERS,
    )
    table = pq.read_table(tmp_path / "augmented" / files[0]["name"])
    assert table.schema.equals(augmented_schema(PARAMETERS))
    assert counts["records_by_method"]["warp"] == counts["records_by_method"]["scale"] > 0
    frame = table.to_pandas()
    originals = frame[frame["parent"].isna()].set_index(["record_id", "seq_id"])
    copies = frame[frame["parent"].notna()]
    of = originals.loc[list(zip(copies["parent"].astype(int), copies["seq_id"], strict=True))]
    for axis in "XYZ":
        constant = copies[f"EPS{axis}"] * copies["TOTBSQ"] / copies[f"TOTF{axis}"]
        before = of[f"EPS{axis}"] * of["TOTBSQ"] / of[f"TOTF{axis}"]
        assert constant.to_numpy() == pytest.approx(before.to_numpy(), rel=1e-12)
    assert not np.array_equal(copies["USFLUX"].to_numpy(), of["USFLUX"].to_numpy())


def test_records_have_the_places_of_the_plan(made):
    missing = missing_shares(made.clean, PARAMETERS)
    assert missing.shape == (24, 24)
    places = pq.read_table(made.plan)
    table = records_table(
        read_plan(made.plan),
        read_ids(made.ids_path),
        missing,
        parameters=PARAMETERS,
        places=places,
    )
    assert table.schema == records_schema(PARAMETERS, PLACES)
    for field in PLACES:
        assert table[field.name].to_pylist() == places[field.name].to_pylist()
    assert "missing_PIL_LEN" not in table.column_names


def test_windows_have_finite_features(made, tmp_path, default_config):
    columns = ["USFLUX_log", "MEANSHR_lag3"]
    settings = {**default_config["features"], "columns": columns}
    records = records_of_split("dev", made.ids_path, made.plan, everything=False)
    expected = made.plan_counts["by_split"]["dev"]["by_label"]
    files, never = write_features(
        made.clean, *records, settings, tmp_path / "dev", expected=expected
    )
    table = pq.read_table(tmp_path / "dev" / files[0]["name"])
    assert table.column_names == ["record_id", "seq_id", "label", *columns]
    assert never == dict.fromkeys(Columns(settings).parameters, 0)


def test_the_same_window_in_two_partitions_is_found(tmp_path, found):
    again = taken(tmp_path / "again", MEMBERS[:1], "partition2")
    catalogues = [found.catalogue, again.catalogue]
    ids, counts = assign_ids(catalogues, collisions="drop_identical")
    assert (counts["collisions"], counts["dropped_identical"], len(ids)) == (1, 1, 4)
    ids, counts = assign_ids(catalogues, collisions="renumber")
    assert (counts["renumbered"], len(ids)) == (1, 5)
    assert ids["harp"].to_pylist()[-1] == 3608
    assert ids["partition"].to_pylist()[-1] == "partition2"


@settings(max_examples=50)
@given(st.data())
def test_ids_have_the_places_of_their_windows_in_any_order(data):
    names = ("partition2", "partition3")
    catalogues, expected = [], {}
    for name in names:
        harps = data.draw(st.lists(st.integers(1, 9), max_size=8, unique=True))
        valid = data.draw(st.lists(st.booleans(), min_size=len(harps), max_size=len(harps)))
        rows = {
            "partition": [name] * len(harps),
            "line": list(range(1, len(harps) + 1)),
            "source_id": harps,
            "label": ["Q"] * len(harps),
            "status": ["valid" if each else "rejected" for each in valid],
            "reason": [None if each else "no_usflux" for each in valid],
            "content": [
                harp.to_bytes(16, "little") if is_valid else None
                for harp, is_valid in zip(harps, valid, strict=True)
            ],
            "lines": [1] * len(harps),
            "harp": harps,
            "noaa": [[harp, harp + 1] for harp in harps],
            "start_tai": [harp * 720 for harp in harps],
            "end_tai": [harp * 720 for harp in harps],
        }
        order = data.draw(st.permutations(range(len(harps))))
        table = pa.table(
            [
                pa.array(rows[field.name], pa.int64()).cast(field.type)
                if pa.types.is_timestamp(field.type)
                else pa.array(rows[field.name], field.type)
                for field in WINDOWS_SCHEMA
            ],
            schema=WINDOWS_SCHEMA,
        )
        catalogues.append(table.take(pa.array(order, pa.int64())))
        expected |= {(name, line): harp for line, harp in zip(rows["line"], harps, strict=True)}
    ids, _ = assign_ids(catalogues, collisions="renumber")
    for row in ids.to_pylist():
        harp = expected[row["partition"], row["line"]]
        assert (row["harp"], row["noaa"]) == (harp, [harp, harp + 1])


def test_files_have_names_and_records_have_places():
    assert file_name("partition3") == "partition3_instances.tar.gz"
    assert file_name("test_4_5_data") == "test_4_5_data.json"
    assert place_of_record("partition3", 7) == "partition3_instances.tar.gz window 7"
    assert place_of_record("train_partition1_data", 7) == "train_partition1_data.json line 7"
    assert input_of({}) is CUP
    assert input_of({"magnetic": {"input": "swan_sf"}}) is SWAN
