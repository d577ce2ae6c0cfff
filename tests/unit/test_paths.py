"""Products and simulated raw files are in the results folder; other raw files are shared."""

import string

import pytest

from skymill import paths
from skymill.engine.names import AREAS

PRODUCTS = {
    name: path for name, path in vars(paths.below("trial")).items() if not name.startswith("_")
}


def test_every_product_is_below_the_results_folder():
    assert len(PRODUCTS) > 35
    assert all(path.startswith("trial/") for path in PRODUCTS.values())


@pytest.mark.parametrize("name", [name for name in PRODUCTS if name != "PRODUCTS"])
def test_a_product_is_in_one_of_the_areas(name):
    assert getattr(paths, name).split("/")[0] in AREAS
    assert PRODUCTS[name] == f"trial/{getattr(paths, name)}"


def test_another_results_folder_has_the_same_products():
    here, there = paths.below("data"), paths.below("runs/trial")
    assert here.PLAN == "data/preprocessed/solar_flare_2020/plan.parquet"
    assert there.PLAN == "runs/trial/preprocessed/solar_flare_2020/plan.parquet"
    assert {path.removeprefix("data/") for path in vars(here).values()} == {
        path.removeprefix("runs/trial/") for path in vars(there).values()
    }


@pytest.mark.parametrize(
    "name", ["MAGNETIC_FILE", "SDO_FILE", "SDO_FOLDER", "STEALTH_FILE", "ZTF_NIGHT_FILE"]
)
def test_raw_files_are_no_products(name):
    assert not hasattr(paths.below("data"), name)


@pytest.mark.parametrize(
    ("source", "folder"),
    [("sample", "trial/sample/raw"), ("local", "data/raw"), ("archive", "data/raw")],
)
def test_simulated_files_are_never_where_real_ones_are(source, folder):
    assert paths.raw_folder(source, "trial") == folder


def test_a_manifest_is_next_to_its_product():
    assert paths.manifest("a/{x}.parquet") == "a/{x}.parquet.manifest.json"
    assert paths.manifest(["a", "b"]) == ["a.manifest.json", "b.manifest.json"]
    assert paths.manifest([]) == []


@pytest.mark.parametrize(
    ("results", "folder"), [("data", "logs"), ("trial", "trial/logs"), ("/a/b", "/a/b/logs")]
)
def test_logs_are_in_the_results_folder_unless_it_is_the_default(results, folder):
    assert paths.logs(results) == folder


def test_every_product_belongs_to_exactly_one_branch():
    for name in PRODUCTS:
        path = getattr(paths, name)
        if name in ("PRODUCTS", "RAW_RECEIPT", "REPORT"):
            continue
        if "/baseline/" in path:  # of several branches
            assert not path.startswith(sum(paths.BRANCH_FOLDERS.values(), ()))
            continue
        fields = {field for _, field, _, _ in string.Formatter().parse(path) if field}
        filled = path.format(**dict.fromkeys(fields, "x") | {"data_set": "sdo", "branch": "sdo"})
        owners = [
            branch for branch, begins in paths.BRANCH_FOLDERS.items() if filled.startswith(begins)
        ]
        assert len(owners) == 1, path


@pytest.mark.parametrize(
    ("branch", "file"),
    [
        ("magnetic", paths.MAGNETIC_FILE.format(partition="test_4_5_data")),
        ("sdo", paths.SDO_FILE),
        ("aligned", paths.SWAN_FILE.format(swan_partition="partition1")),
        ("stealth", paths.STEALTH_FILE),
        ("ztf", paths.ZTF_LABELS_ARCHIVE),
        *(("ztf", file) for file in paths.ZTF_LABELS_FILES.values()),
    ],
)
def test_the_receipt_of_a_raw_file_belongs_to_its_branch(branch, file):
    receipt = paths.RAW_RECEIPT.format(file=file)
    owners = [name for name, begins in paths.BRANCH_FOLDERS.items() if receipt.startswith(begins)]
    assert owners == [branch]
