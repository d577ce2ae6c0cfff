"""The loading functions return the values of the files, and refuse changed files."""

import json
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from records import SCRIPTS, described

import skymill
from skymill.engine.errors import SkymillError
from skymill.engine.products import describe_file
from skymill.engine.tables import categorical, write_parquet, write_table
from skymill.magnetic.records import records_schema
from skymill.magnetic.schema import CLASSES, STEPS
from skymill.magnetic.store import step_table
from skymill.ztf.schema import stamps_schema

COLUMNS = ("MEANSHR", "TOTFZ")
SCHEMA = records_schema()
COUNT = 7


class Products:
    """A results folder with seven magnetic records in two files, and their expected values."""

    def __init__(self, results):
        self.results = results
        self.values = np.random.default_rng(1).normal(size=(COUNT, STEPS, 2))
        self.record_id = np.array([2, 3, 5, 8, 13, 21, 34])
        self.labels = ["X", "Q", "Q", "B", "M", "C", "Q"]
        schema = pa.schema(
            [
                pa.field("record_id", pa.int64()),
                pa.field("seq_id", pa.int8()),
                categorical("label", CLASSES),
                *(pa.field(name, pa.float64()) for name in COLUMNS),
            ]
        )
        folder = results / "processed" / "magnetic_data"
        (folder / "train").mkdir(parents=True)
        files = []
        for number, (first, last) in enumerate([(0, 4), (4, COUNT)]):
            columns = {
                "record_id": self.record_id[first:last],
                "seq_id": np.tile(np.arange(STEPS, dtype=np.int8), (last - first, 1)),
                "label": np.array(self.labels[first:last], dtype=object),
            }
            for place, name in enumerate(COLUMNS):
                columns[name] = self.values[first:last, :, place]
            table = step_table(columns, schema)
            path = folder / "train" / f"part-{number}.parquet"
            entry = write_parquet(path, table, rows_per_group=240)
            files.append(entry)
        described(folder / "train", files, source="sample")
        rows = pd.DataFrame(
            {
                "record_id": [*self.record_id, 2],
                "split": ["train"] * COUNT + ["holdout_test"],
                "fold": [0, 1, 0, 1, 0, 1, 0, None],
                "region": [1, 1, 2, 2, 3, 3, 3, None],
                "partition": ["train_partition1_data"] * COUNT + ["test_4_5_data"],
                "parent": [None] * 6 + [21, None],
                "method": ["original"] * 6 + ["warp", "original"],
                "label": [*self.labels, "unknown"],
                "m_or_x": [1, 0, 0, 0, 1, 0, 0, None],
            }
        )
        for field in SCHEMA:
            if field.name not in rows:
                rows[field.name] = np.float32(0)
        self.folder = folder
        self.write_records(rows)

    def write_records(self, rows):
        """Write records.parquet and its manifest."""
        arrays = [pa.array(rows[field.name], type=field.type, from_pandas=True) for field in SCHEMA]
        path = self.folder / "records.parquet"
        entry = write_table(path, pa.Table.from_arrays(arrays, schema=SCHEMA))
        described(path, [entry], source="sample")

    def load(self, split="train", **options):
        """Load a split of these products."""
        return skymill.load("magnetic", split, self.results, **options)


@pytest.fixture(name="made")
def _made(tmp_path):
    return Products(tmp_path / "data")


def test_arrays_have_the_values_and_the_metadata_of_each_record(made):
    train = made.load()
    assert (made.values == train.X).all()
    assert train.X.shape == (COUNT, STEPS, 2)
    assert [train.classes[code] for code in train.y] == made.labels
    assert train.columns == ("MEANSHR", "TOTFZ")
    assert train.record_id.tolist() == made.record_id.tolist()
    assert train.groups.tolist() == [1, 1, 2, 2, 3, 3, 3]
    assert train.folds.tolist() == [0, 1, 0, 1, 0, 1, 0]
    assert train.method.tolist() == ["original"] * 6 + ["warp"]
    assert (len(train), train.source) == (COUNT, "sample")


def test_channels_come_first_on_request_and_values_are_float32(made):
    train = made.load(layout="nct", dtype="float32")
    assert train.X.dtype == np.float32
    assert train.X.flags["C_CONTIGUOUS"]
    assert (made.values.transpose(0, 2, 1).astype(np.float32) == train.X).all()


@pytest.mark.parametrize("form", ["arrow", "pandas", "dask"])
def test_tables_have_one_row_per_step_with_the_columns_of_its_record(made, form):
    table = made.load(form=form)
    frame = {
        "arrow": lambda: table.to_pandas(),
        "pandas": lambda: table.reset_index(),
        "dask": lambda: table.compute(scheduler="synchronous"),
    }[form]()
    assert frame["record_id"].tolist() == np.repeat(made.record_id, STEPS).tolist()
    assert frame["seq_id"].tolist() == list(range(STEPS)) * COUNT
    assert frame["region"].tolist() == np.repeat([1, 1, 2, 2, 3, 3, 3], STEPS).tolist()
    assert frame["label"].astype(str).tolist() == np.repeat(made.labels, STEPS).tolist()
    assert (frame[["MEANSHR", "TOTFZ"]].to_numpy() == made.values.reshape(-1, 2)).all()
    assert "missing_USFLUX" not in frame


def test_a_folder_that_was_copied_is_found(made, tmp_path):
    for place in ("somewhere/magnetic_data", "else"):
        target = tmp_path / place
        target.parent.mkdir(exist_ok=True)
        made.folder.rename(target)
        found = skymill.load("magnetic", "train", tmp_path / place.split("/")[0])
        assert (made.values == found.X).all()
        target.rename(made.folder)


def test_one_changed_byte_is_refused_by_name(made):
    path = made.folder / "train" / "part-1.parquet"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(SkymillError, match=r"part-1\.parquet is missing or is not the file"):
        made.load()


def test_steps_and_records_of_different_runs_are_refused(made):
    rows = pd.read_parquet(made.folder / "records.parquet")
    rows["record_id"] += 1
    made.write_records(rows)
    with pytest.raises(SkymillError, match="different runs"):
        made.load()


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda made: made.load("validation"), "train, dev, test, holdout_test"),
        (lambda made: made.load("dev"), "snakemake --config results="),
        (lambda made: skymill.load("stars", "train"), "magnetic, sdo, aligned, ztf"),
        (lambda made: made.load(form="torch"), "numpy, arrow, pandas, dask"),
        (lambda made: made.load(colour="red"), "no option 'colour'"),
        (lambda made: skymill.load("ztf", "train"), "`snakemake ztf`"),
        (lambda made: skymill.load("sdo", "train", "s3://bucket/data"), "is in object storage"),
        (lambda made: skymill.lineage(1, results="s3://bucket/data"), "is in object storage"),
        (lambda made: skymill.lineage(10**30, results=made.results), "at most 18 digits"),
    ],
)
def test_errors_list_existing_products_and_say_what_to_run(made, call, says, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SkymillError, match=says):
        call(made)


def test_a_split_of_another_data_set_is_refused(tmp_path):
    path = tmp_path / "magnetic_data" / "train"
    path.mkdir(parents=True)
    described(path, [], product="processed/magnetic_data/train")
    with pytest.raises(SkymillError, match="is of the data set magnetic, not of aligned"):
        skymill.load("aligned", "train", path.parent)


def test_without_tensors_the_setting_is_named(tmp_path):
    path = tmp_path / "processed" / "sdo" / "train_metadata.csv"
    path.parent.mkdir(parents=True)
    path.touch()
    described(path, [describe_file(path, 0)], identity="")
    with pytest.raises(SkymillError, match=r"no train\.zarr.*`sdo\.tensors: false`"):
        skymill.load("sdo", "train", tmp_path)


def test_without_its_manifest_a_product_is_refused(made):
    (made.folder / "train.manifest.json").unlink()
    with pytest.raises(SkymillError, match=r"train\.manifest\.json is not there"):
        made.load()


def test_items_come_one_by_one_with_weights_that_balance_classes(made):
    items = skymill.Dataset("magnetic", "train", made.results)
    assert len(items) == COUNT
    series, code = items[-1]
    assert series.dtype == np.float32
    assert (series == made.values[-1].astype(np.float32)).all()
    assert items.classes[code] == "Q"
    weights = items.weights()
    for name in "XMCBQ":
        mine = [weight for weight, label in zip(weights, made.labels, strict=True) if label == name]
        assert sum(mine) == pytest.approx(1)
    with pytest.raises(IndexError):
        items[COUNT]


def test_loaded_stamps_belong_to_the_split(tmp_path):
    crop, count = 5, 9
    schema = stamps_schema(crop)
    stamps = np.random.default_rng(1).normal(size=(count, 3 * crop * crop)).astype(np.float32)
    columns = {
        "object_id": [f"ZTF18a{n:07}" for n in range(count)],
        "label": ["QSO", "AGN", "Otro"] * 3,
        "split": ["train"] * 5 + ["validation"] * 2 + ["test"] * 2,
        "sampled": [n % 2 == 0 for n in range(count)],
        "group": [f"ZTF18a{n:07}" for n in range(count)],
        "stamps": pa.FixedSizeListArray.from_arrays(
            pa.array(stamps.reshape(-1)), type=schema.field("stamps").type
        ),
    }
    path = tmp_path / "processed" / "ztf" / "stamps.parquet"
    entry = write_table(path, pa.table(columns), rows_per_group=4)
    described(path, [entry])
    train = skymill.load("ztf", "train", tmp_path)
    assert train.stamps.shape == (5, 3, crop, crop)
    assert (train.stamps.reshape(5, -1) == stamps[:5]).all()
    assert [train.classes[code] for code in train.y] == columns["label"][:5]
    sampled = skymill.load("ztf", "test", tmp_path, sampled=True)
    assert sampled.object_id.tolist() == ["ZTF18a0000008"]
    assert (sampled.stamps.reshape(1, -1) == stamps[8:]).all()


def test_the_package_imports_no_library_until_one_is_needed():
    code = (
        "import sys, skymill; assert not {'numpy', 'pandas', 'skymill.reader'} & {*sys.modules}; "
        "assert 'load' in dir(skymill); skymill.load; assert 'skymill.reader.load' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="no attribute 'fetch'"):
        _ = skymill.fetch


def test_statistics_are_read_after_a_check(tmp_path):
    path = tmp_path / "processed" / "sdo" / "statistics.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"records": 3}))
    described(path, [describe_file(path, 1)])
    assert skymill.statistics("sdo", tmp_path) == {"records": 3}
    path.write_text(json.dumps({"records": 4}))
    with pytest.raises(SkymillError, match=r"statistics\.json is missing or is not the file"):
        skymill.statistics("sdo", tmp_path)


IMPORT = """
import importlib.abc, sys

class Missing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {packages}:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Missing())
import skymill
skymill.load, skymill.Dataset
"""


def test_readers_need_no_package_for_images_or_alerts_until_they_read_them():
    packages = ("astropy", "fastavro", "google_crc32c", "numba", "simplejpeg", "zarr", "zstandard")
    subprocess.run(
        [sys.executable, "-c", IMPORT.format(packages=packages)],
        env={**os.environ, "PYTHONPATH": str(SCRIPTS)},
        check=True,
    )
