"""A split with fraction 0 has one file with all columns and no rows, and readers accept it."""

import dask.dataframe
import pandas as pd
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest
from records import load_config
from runs import Run
from test_books import reconcile
from test_diagnostics import page_of
from test_magnetic_figures import ALWAYS, parts_of, specs  # noqa: F401 (a fixture)

from skymill.magnetic.check import conserve
from skymill.magnetic.features import FeatureSet
from skymill.magnetic.leaks import require_no_leak
from skymill.magnetic.schema import TRAIN_PARTITIONS, TRAIN_SPLITS

FEW = {"warp": 1, "duplicate": {"fraction": 0.5, "times": 1}}


@pytest.fixture(
    scope="module",
    params=[
        ("dev", {"fractions": {"train": 0.7, "dev": 0, "test": 0.3}}),
        ("test", {"fractions": {"train": 0.7, "dev": 0.3, "test": 0}, "augment": "all"}),
        ("train", {"fractions": {"train": 0, "dev": 0.5, "test": 0.5}}),
        (
            "dev",
            {
                "unit": "partition",
                "partitions": dict(zip(TRAIN_PARTITIONS, ("train", "train", "test"), strict=True)),
            },
        ),
    ],
    ids=["no dev", "no test, augmented first", "no train", "no dev, whole files"],
)
def empty(request, tmp_path_factory):
    """Return the empty split and a run."""
    name, split = request.param
    config = load_config("config.yaml")
    config["split"] |= split
    config["augmentation"] = {"X": FEW, "Q": {"undersample": 0.5}}
    return name, Run(tmp_path_factory.mktemp("empty"), config)


def test_an_empty_split_has_one_file_of_no_rows_with_all_columns(empty):
    name, run = empty
    schema = FeatureSet(run.config["features"]).schema()
    for split in TRAIN_SPLITS:
        (file,) = run.features(split).iterdir()
        table = pq.read_table(file)
        assert table.schema.equals(schema)
        assert (table.num_rows == 0) == (split == name)
    assert pq.read_table(next(run.augmented.iterdir())).num_rows > 0 or name == "train"


# Dask resets an index in place.
@pytest.mark.filterwarnings("ignore:The inplace keyword")
def test_readers_accept_an_empty_split(empty):
    name, run = empty
    expected = ["record_id", "seq_id", "label", *run.config["features"]["columns"]]
    frames = [
        pd.read_parquet(run.features(name)),
        pyarrow.dataset.dataset(run.features(name)).to_table().to_pandas(),
        dask.dataframe.read_parquet(run.features(name)).compute(),
    ]
    for frame in frames:
        assert frame.columns.tolist() == expected
        assert len(frame) == 0
        assert isinstance(frame["label"].dtype, pd.CategoricalDtype)
        assert (frame.dtypes.iloc[3:] == "float64").all()


def test_counts_leaks_and_pages_accept_an_empty_split(empty):
    name, run = empty
    conserve(*reconcile(run))
    leaks = pd.read_json(run.leaks)["leaks"].dropna().to_dict()
    if run.config["split"]["unit"] == "region":
        require_no_leak(leaks, "region")
    page = page_of(run)
    (row,) = [line for line in page.splitlines() if line.startswith(f"| {name} ")][:1]
    assert {cell.strip() for cell in row.strip("|").split("|")[1:]} <= {"0", "0.0000"}
    assert f"The split {name} " not in page
    assert name not in set(run.records["split"].to_pylist())


def test_the_report_is_drawn_with_an_empty_split(empty):
    name, run = empty
    parts = parts_of(run)
    assert {*ALWAYS} <= {*parts}
    assert f"{name}: 0 regions" in parts["splits_and_regions"].body
