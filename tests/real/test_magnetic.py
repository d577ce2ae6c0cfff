"""Six real SWAN-SF windows in the 2020 layout, from JSON lines to features.

The data is in the folder that SKYMILL_REAL_DATA names, or in `../shared/real` next to the
repository. Without the data these tests are skipped.
"""

import json
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from skymill.engine.products import Product, manifest_path, write_document
from skymill.engine.tables import write_table
from skymill.magnetic.augment import synthesise, write_augmented
from skymill.magnetic.catalogue import ingest
from skymill.magnetic.features import FeatureSet, records_of_split, write_features
from skymill.magnetic.ids import assign_ids, read_ids, steps_of_records
from skymill.magnetic.leaks import find_leaks
from skymill.magnetic.plan import make_plan
from skymill.magnetic.plan_table import read_plan
from skymill.magnetic.regions import describe_regions, find_regions
from skymill.magnetic.schema import (
    INDEX,
    LORENTZ,
    PARAMETERS,
    STEPS,
    TRAIN_PARTITIONS,
    TRAIN_SPLITS,
)
from skymill.magnetic.store import RecordStore
from skymill.magnetic.write import write_clean
from skymill.raw.files import verify_raw
from skymill.settings import of_input

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDER = Path(os.environ.get("SKYMILL_REAL_DATA") or REPOSITORY.parent / "shared" / "real")
RAW = FOLDER / "magnetic" / "windows_2020_schema.jsonl"

pytestmark = pytest.mark.skipif(
    not RAW.is_file(),
    reason=f"no real data: {RAW} does not exist (set SKYMILL_REAL_DATA to the folder that has it)",
)

IDS = [2, 3, 5, 9, 11, 12]
LABELS = ["B", "B", "C", "M", "Q", "Q"]
PAIRS = [(2, 3), (11, 12)]
SHARED_STEPS = {(2, 3): 45, (11, 12): 40}
ABSENT = {"RBZ_VALUE", "RBT_VALUE", "RBP_VALUE", "PIL_LEN"} | {
    name for name in PARAMETERS if name.endswith("FDIM")
}
FORCES = [("EPSX", "TOTFX", -1), ("EPSY", "TOTFY", -1), ("EPSZ", "TOTFZ", 1)]
IDENTITY = 3.5e-7
"""Largest relative deviation from the identity of EPS, TOTF and TOTBSQ in real steps."""


def ingest_file(raw, folder):
    """Ingest a labelled file; return the content of its manifest."""
    return ingest(
        raw,
        raw.stem,
        labelled=True,
        values=folder / "values" / raw.stem,
        catalogue=folder / "catalogue" / f"{raw.stem}.parquet",
        quarantine=folder / "quarantine" / f"{raw.stem}.jsonl",
    )


class Stages:
    """The products of each stage from the real windows. Two windows form each training file."""

    def __init__(self, folder):
        self.config = of_input(yaml.safe_load((REPOSITORY / "config" / "config.yaml").read_text()))
        lines = RAW.read_bytes().splitlines(keepends=True)
        stores, contents = {}, []
        for number, partition in enumerate(TRAIN_PARTITIONS):
            raw = folder / f"{partition}.json"
            raw.write_bytes(b"".join(lines[2 * number : 2 * number + 2]))
            contents.append(ingest_file(raw, folder))
            stores[partition] = self._store(folder / "values" / partition, contents[-1]["files"])
        values = [RecordStore(store).read(np.arange(2), PARAMETERS) for store in stores.values()]
        self.values = np.concatenate(values, axis=1)
        catalogues = [folder / "catalogue" / f"{name}.parquet" for name in TRAIN_PARTITIONS]
        ids, self.id_counts = assign_ids(
            [pq.read_table(path) for path in catalogues], collisions=self.config["collisions"]
        )
        ids_path, plan_path = folder / "ids.parquet", folder / "plan.parquet"
        write_table(ids_path, ids)
        self.ids = read_ids(ids_path)
        self.steps = steps_of_records(self.ids, stores)
        self.region = find_regions(self.ids["record_id"].to_numpy(), self.steps)
        files = write_clean(
            ids_path, {name: RecordStore(store) for name, store in stores.items()}, folder / "clean"
        )
        clean = self._store(folder / "clean", files)
        # Four regions cannot be split by class, so the split is by whole files.
        split = {
            **self.config["split"],
            "unit": "partition",
            "partitions": dict(zip(TRAIN_PARTITIONS, TRAIN_SPLITS, strict=True)),
        }
        plan, self.plan_counts = make_plan(
            self.ids.assign(region=self.region),
            split,
            {"B": {"warp": 2, "scale": 3, "duplicate": {"fraction": 0.5, "times": 2}}},
            self.config["seed"],
        )
        write_table(plan_path, plan)
        self.plan = read_plan(plan_path)
        files, _ = write_augmented(
            plan_path,
            ids_path,
            clean,
            folder / "augmented",
            seed=self.config["seed"],
            everything=False,
        )
        augmented = self._store(folder / "augmented", files)
        self.augmented = pa.concat_tables(
            [pq.read_table(folder / "augmented" / file["name"]) for file in files]
        ).to_pandas()
        self.features = {}
        for name in TRAIN_SPLITS:
            files, _ = write_features(
                augmented if name == "train" else clean,
                *records_of_split(name, ids_path, plan_path, everything=False),
                self.config["features"],
                folder / name,
                expected=self.plan_counts["by_split"][name]["by_label"],
            )
            self.features[name] = pa.concat_tables(
                [pq.read_table(folder / name / file["name"]) for file in files]
            ).to_pandas()

    @staticmethod
    def _store(directory, files):
        named = [{**file, "name": f"{directory.name}/{file['name']}"} for file in files]
        write_document(manifest_path(directory), {"product": directory.name, "files": named})
        return Product(directory)


@pytest.fixture(scope="module")
def stages(tmp_path_factory):
    return Stages(tmp_path_factory.mktemp("real"))


@pytest.fixture(scope="module")
def documents():
    """The records, read with Python's json."""
    found = {}
    for line in RAW.read_text().splitlines():
        found.update(json.loads(line))
    return found


def identity(values):
    """Return EPS * TOTBSQ / TOTF divided by the constant, for each force; NaN if unknown."""
    energy = values[INDEX["TOTBSQ"]]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = [
            sign * values[INDEX[eps]] * energy / values[INDEX[force]] / LORENTZ
            for eps, force, sign in FORCES
        ]
    ratios = np.stack(ratios)
    return ratios[np.isfinite(ratios) & (ratios != 0)]


def test_the_file_is_accepted_as_a_file_of_the_2020_data_set():
    assert verify_raw(RAW, "json_lines")["bytes"] == RAW.stat().st_size


def test_all_six_windows_are_valid(tmp_path):
    counts = ingest_file(RAW, tmp_path)["counts"]
    assert (counts["lines"], counts["valid"], counts["rejected"]) == (6, 6, 0)
    assert counts["valid_by_label"] == {"M": 1, "C": 1, "B": 2, "Q": 2}


def test_values_equal_those_of_python_bit_for_bit(stages, documents):
    expected = np.array(
        [
            [
                [float(record["values"][name][str(step)]) for step in range(STEPS)]
                for record in documents.values()
            ]
            for name in PARAMETERS
        ]
    )
    assert np.array_equal(stages.values.view(np.uint64), expected.view(np.uint64))


def test_ids_and_labels_are_unchanged(stages):
    assert stages.ids["record_id"].tolist() == IDS
    assert stages.ids["label"].tolist() == LABELS
    assert stages.id_counts["collisions"] == 0


def test_exactly_the_two_overlapping_pairs_are_found(stages):
    region = dict(zip(IDS, stages.region.tolist(), strict=True))
    assert region == {2: 2, 3: 2, 5: 5, 9: 9, 11: 11, 12: 11}
    counts = describe_regions(stages.region)
    assert (counts["regions"], counts["largest"]) == (4, 2)


@pytest.mark.parametrize("pair", PAIRS)
def test_overlapping_windows_share_the_published_number_of_steps(stages, pair):
    one, other = (stages.steps[IDS.index(number)] for number in pair)
    assert len(np.intersect1d(one, other)) == SHARED_STEPS[pair]


def test_the_identity_holds_in_every_usable_step(stages):
    ratios = identity(stages.values)
    assert len(ratios) > 900
    assert np.abs(ratios - 1).max() < IDENTITY


def test_the_plan_has_no_leak(stages):
    leaks = find_leaks(stages.plan, stages.ids.set_index("record_id")["content"])
    assert all(leak["in_several_splits"] == 0 for leak in leaks.values())
    assert set(stages.plan["split"]) == set(TRAIN_SPLITS)
    assert (stages.plan["method"] != "original").sum() == 2 * 2 + 2 * 3 + 2


def test_augmentation_keeps_identity_nan_and_signs(stages):
    made = stages.augmented
    clean = dict(zip(IDS, np.moveaxis(stages.values, 1, 0), strict=True))
    assert set(made["record_id"][made["method"] == "original"]) <= set(IDS)
    for record_id, rows in made.groupby("record_id"):
        parent = clean[int(rows["parent"].fillna(record_id).iloc[0])]
        values = rows[list(PARAMETERS)].to_numpy().T
        assert np.array_equal(np.isnan(values), np.isnan(parent))
        assert np.array_equal(
            np.sign(values[~np.isnan(values)]), np.sign(parent[~np.isnan(parent)])
        )
        assert np.abs(identity(values) - 1).max() < IDENTITY * 1.01


@pytest.mark.parametrize("method", ["warp", "scale"])
def test_every_window_stays_physical_under_every_method(stages, method):
    values = stages.values.copy()
    synthesise(values, np.array(IDS), np.full(6, method, object), np.ones(6, np.int16), seed=1)
    assert (values != stages.values).any()
    assert np.abs(identity(values) - 1).max() < IDENTITY * 1.01
    shear = values[INDEX["SHRGT45"]]
    assert ((shear >= 0) & (shear <= 100))[~np.isnan(shear)].all()


def test_features_are_finite_and_have_sixty_steps_a_record(stages):
    names = ["record_id", "seq_id", "label", *stages.config["features"]["columns"]]
    seen = []
    for table in stages.features.values():
        assert list(table.columns) == names
        assert np.isfinite(table[names[3:]].to_numpy()).all()
        assert (table.groupby("record_id").size() == STEPS).all()
        seen += table["record_id"].unique().tolist()
    assert sorted(seen) == stages.plan["record_id"].tolist()


def test_parameters_that_were_never_measured_are_counted(stages):
    features = FeatureSet({**stages.config["features"], "columns": list(PARAMETERS)})
    columns, never = features.compute(stages.values.copy())
    assert {name for name, count in never.items() if count == 6} >= ABSENT
    assert all(never[name] == 0 for name in ("USFLUX", "TOTBSQ", "MEANSHR"))
    assert not columns["PIL_LEN"].any()


def test_measured_values_pass_through_features_untouched(stages):
    features = FeatureSet({**stages.config["features"], "columns": list(PARAMETERS)})
    columns, _ = features.compute(stages.values.copy())
    for name in ("MEANSHR", "R_VALUE", "EPSZ", "USFLUX"):
        raw = stages.values[INDEX[name]]
        measured = ~np.isnan(raw) & ((raw != 0) | (name == "R_VALUE"))
        assert np.array_equal(columns[name][measured], raw[measured] + 0.0)
