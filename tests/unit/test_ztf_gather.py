"""Gathered stamps: the Parquet file, the array and the list of labels agree with the plan."""

import csv
import hashlib
import itertools

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ztf_nights import stamp_of, write_labels, write_night

from skymill.engine.digests import file_sha256
from skymill.engine.errors import SkymillError
from skymill.engine.tables import write_table
from skymill.ztf import write as module
from skymill.ztf.plan import make_plan
from skymill.ztf.write import LIST_COLUMNS, gather

LABELS = {f"ZTF18a{n:07}": ("QSO", "Otro", "AGN")[n % 3] for n in range(20)}
PRODUCTS = ("stamps.parquet", "stamps.npy", "labels.csv")


class Gathered:
    """Three nights in a folder, their plan, and the gathered products."""

    def __init__(self, folder, *, representative="all", nights=None, crop=21):
        self.folder = folder
        if nights is None:
            candid = itertools.count(1)
            nights = {
                name: [
                    {"object_id": f"ZTF18a{n:07}", "candid": next(candid), "rb": None}
                    for n in range(first, 24, step)
                ]
                for name, first, step in (("20180601", 0, 1), ("20180602", 1, 2), ("x", 2, 3))
            }
        self.nights = [
            write_night(folder, name, alerts, crop=crop) for name, alerts in nights.items()
        ]
        labels = write_labels(folder / "labels.parquet", LABELS)
        plan, _ = make_plan(
            self.nights,
            labels,
            representative=representative,
            sample={"Otro": 3},
            split={"validation": 0.2, "test": 0.2},
            seed=1,
        )
        self.plan = folder / "plan.parquet"
        write_table(self.plan, plan)
        self.planned = plan.to_pandas()

    def gather(self, where="made", nights=None, workers=1):
        """Gather into a folder. Return the folder, entries and counts; keep the identity."""
        folder = self.folder / where
        entries, counts, self.identity = gather(
            self.plan,
            {path: file_sha256(path) for path in nights or self.nights},
            table=folder / PRODUCTS[0],
            array=folder / PRODUCTS[1],
            listing=folder / PRODUCTS[2],
            workers=workers,
        )
        return folder, entries, counts


def contents(folder):
    return [(folder / name).read_bytes() for name in PRODUCTS]


@pytest.mark.parametrize("representative", ["all", "last"])
@pytest.mark.parametrize("crop", [21, 63])
def test_gathered_alerts_equal_a_join_in_pandas(tmp_path, representative, crop):
    built = Gathered(tmp_path, representative=representative, crop=crop)
    folder, _, counts = built.gather()
    made = pq.read_table(folder / "stamps.parquet").to_pandas()
    every = pd.concat([pq.read_table(path).to_pandas() for path in built.nights])
    wanted = built.planned.drop(columns=["row", "night"])
    wanted = wanted.merge(every, on=["object_id", "candid"], validate="one_to_one", how="left")
    wanted["sorted"] = list(
        zip(wanted["label"], wanted["object_id"], wanted["candid"], strict=True)
    )
    wanted = wanted.sort_values("sorted").reset_index(drop=True)
    assert counts["rows"] == len(made) == len(wanted) > 15
    for name in made.columns.drop("stamps"):
        pd.testing.assert_series_equal(
            made[name].astype(object), wanted[name].astype(object), check_dtype=False
        )
    assert np.stack(made["stamps"]).tobytes() == np.stack(wanted["stamps"]).tobytes()
    stamps = np.load(folder / "stamps.npy", mmap_mode="r")
    assert isinstance(stamps, np.memmap)
    assert stamps.dtype == np.float32
    assert stamps.shape == (len(made), 3, crop, crop)
    for stamp, candid in zip(stamps, made["candid"], strict=True):
        assert np.array_equal(stamp, stamp_of(candid, crop))


def test_the_list_of_labels_has_a_line_for_each_row(tmp_path):
    built = Gathered(tmp_path)
    folder, _, _ = built.gather()
    made = pq.read_table(folder / "stamps.parquet", columns=list(LIST_COLUMNS)).to_pylist()
    with open(folder / "labels.csv", newline="") as stream:
        lines = list(csv.DictReader(stream))
    assert [int(line["row"]) for line in lines] == list(range(len(made)))
    for line, row in zip(lines, made, strict=True):
        texts = {**row, "sampled": str(row["sampled"]).lower()}
        assert {name: line[name] for name in LIST_COLUMNS} == {
            name: "" if value is None else str(value) for name, value in texts.items()
        }


def test_columns_come_from_the_nights_then_the_plan_then_the_stamps(tmp_path):
    built = Gathered(tmp_path)
    folder, _, _ = built.gather()
    made, night = (pq.read_schema(path) for path in (folder / PRODUCTS[0], built.nights[0]))
    assert made.names == [*night.names[:-1], *module.PLAN_COLUMNS, "stamps"]
    assert made.field("stamps").type.list_size == 3 * 21 * 21
    assert made.types[: len(night) - 1] == night.types[:-1]


def test_the_order_of_nights_and_the_number_of_workers_change_no_byte(tmp_path, monkeypatch):
    built = Gathered(tmp_path)
    expected, entries, counts = built.gather("expected")
    for number, nights in enumerate(itertools.permutations(built.nights)):
        folder, *described = built.gather(f"order{number}", list(nights))
        assert contents(folder) == contents(expected)
        assert described == [entries, counts]
    folder, *described = built.gather("workers", workers=2)
    assert contents(folder) == contents(expected)
    # With one alert per batch the result is the same.
    monkeypatch.setattr(module, "BATCH_BYTES", 1)
    assert contents(built.gather("batches")[0]) == contents(expected)


def test_the_identity_is_a_digest_of_the_alerts_in_the_order_of_the_rows(tmp_path):
    built = Gathered(tmp_path)
    folder, _, _ = built.gather()
    rows = pq.read_table(folder / "stamps.parquet", columns=["object_id", "candid"]).to_pylist()
    lines = "".join(f"{row['object_id']},{row['candid']}\n" for row in rows)
    assert built.identity == hashlib.sha256(lines.encode()).hexdigest()


def test_other_alerts_have_another_identity(tmp_path):
    identities = []
    for representative in ("all", "last"):
        built = Gathered(tmp_path, representative=representative)
        built.gather()
        identities.append(built.identity)
    assert identities[0] != identities[1]


def test_entries_describe_the_three_files(tmp_path):
    folder, entries, counts = Gathered(tmp_path).gather()
    assert [entry["name"] for entry in entries] == list(PRODUCTS)
    for entry in entries:
        assert entry["bytes"] == (folder / entry["name"]).stat().st_size
        assert entry["rows"] == counts["rows"] == sum(counts["records_by_label"].values())
    assert sorted(path.name for path in folder.iterdir()) == sorted(PRODUCTS)


@given(numbers=st.sets(st.tuples(st.integers(0, 2), st.integers(0, 25)), max_size=30))
def test_any_nights_give_each_stamp_its_row(tmp_path, numbers):
    names = ["a", "b", "c"]
    nights = {
        name: [
            {"object_id": f"ZTF18a{n:07}", "candid": 100 * place + n}
            for night, n in sorted(numbers)
            if night == place
        ]
        for place, name in enumerate(names)
    }
    built = Gathered(tmp_path, nights=nights)
    folder, _, counts = built.gather()
    made = pq.read_table(folder / "stamps.parquet", columns=["candid"])["candid"].to_pylist()
    stamps = np.load(folder / "stamps.npy")
    assert counts["rows"] == len(stamps) == len(made) == len(built.planned)
    assert all(np.array_equal(s, stamp_of(c)) for s, c in zip(stamps, made, strict=True))


def refused(built, match, nights=None):
    with pytest.raises(SkymillError, match=match):
        built.gather("refused", nights)
    assert list(built.folder.glob("refused/*")) == []


def test_a_night_that_was_made_again_is_refused(tmp_path):
    built = Gathered(tmp_path)
    alerts = [{"object_id": f"ZTF18a{n:07}", "candid": 1000 + n} for n in range(24)]
    write_night(tmp_path, "20180601", alerts)
    refused(built, "candid differs between the nights and the plan")


def test_a_night_that_became_shorter_is_refused(tmp_path):
    built = Gathered(tmp_path)
    write_night(tmp_path, "20180601", [{"object_id": "ZTF18a0000000", "candid": 1}])
    refused(built, "the file has fewer rows")


def test_a_night_that_is_missing_is_refused(tmp_path):
    built = Gathered(tmp_path)
    refused(built, "of night x", built.nights[:2])


def test_nights_of_different_crops_are_refused(tmp_path):
    built = Gathered(tmp_path)
    write_night(tmp_path, "x", [], crop=63)
    refused(built, "11,907")


def test_alerts_without_stamps_are_refused(tmp_path):
    built = Gathered(tmp_path)
    table = pq.read_table(built.nights[0])
    index = table.schema.get_field_index("stamps")
    pixels = table.schema.field(index).type.list_size
    nothing = pa.nulls(table.num_rows, pa.list_(pa.float32(), pixels))
    pq.write_table(table.set_column(index, "stamps", nothing), built.nights[0])
    refused(built, "without stamps")
