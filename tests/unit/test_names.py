"""Names of files in documents do not depend on where the folders are."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skymill.engine.names import AREAS, Names, raw_name

STORAGE = ".snakemake/storage/s3/bucket/"
BASES = ["", STORAGE, "../module/", "/somewhere/"]
RESULTS = ["data", "trial", "runs/trial", "a.b/c-d"]


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("results", RESULTS)
@pytest.mark.parametrize("area", AREAS)
def test_the_path_before_the_results_folder_is_found_from_a_file_in_it(base, results, area):
    path = f"{base}{results}/{area}/ztf/x.manifest.json"
    for given_as in (path, Path(path)):
        assert Names.around(given_as, results) == Names(results, base)


def test_the_results_folder_is_the_first_of_its_name():
    path = "data/interim/data/interim/x.manifest.json"
    assert Names.around(path, "data") == Names("data", "")
    assert Names.around(path, "data").name(path) == "interim/data/interim/x.manifest.json"


def test_a_folder_whose_name_has_the_same_end_is_another_folder():
    names = Names.around("old-data/runs/data/interim/x", "data")
    assert names == Names("data", "old-data/runs/")
    assert Names.around(f"{STORAGE}my-data/data/interim/x", "data").base == f"{STORAGE}my-data/"


@pytest.mark.parametrize(
    "path", ["other/interim/x", "mydata/interim/x", "mydata/raw/x", "data/x", "interim/x", "raw/x"]
)
def test_a_file_outside_the_results_folder_is_refused(path):
    with pytest.raises(ValueError, match="is neither in the results folder data nor a raw file"):
        Names.around(path, "data")


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("results", RESULTS)
def test_the_path_before_the_results_folder_is_found_from_a_raw_file(base, results):
    path = f"{base}data/raw/ztf/x.tar.gz"
    assert Names.around(path, results) == Names(results, base)
    assert Names.around(path, results).name(path) == "raw:ztf/x.tar.gz"


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("results", RESULTS)
@pytest.mark.parametrize(
    ("below", "name"),
    [
        ("{results}/interim/ztf/x.parquet", "interim/ztf/x.parquet"),
        ("{results}/sample/raw/ztf/x.tar.gz", "sample/raw/ztf/x.tar.gz"),
        ("data/raw/ztf/x.tar.gz", "raw:ztf/x.tar.gz"),
        ("data/raw/sdo.manifest.json", "raw:sdo.manifest.json"),
    ],
)
def test_the_path_before_the_results_folder_does_not_change_the_name(base, results, below, name):
    names, path = Names(results, base), base + below.format(results=results)
    assert names.name(path) == names.name(Path(path)) == name
    assert names.path(name) == Path(path)


@pytest.mark.parametrize("path", ["other/interim/x", "data", "raw/x", "/data/interim/x"])
def test_a_file_that_is_neither_product_nor_raw_file_has_no_name(path):
    with pytest.raises(ValueError, match="is neither a product nor a raw file"):
        Names("data").name(path)


def test_a_folder_whose_name_has_the_same_beginning_is_another_folder():
    with pytest.raises(ValueError, match="neither"):
        Names("data").name("data2/interim/x")


PARTS = st.text("ab.-_", min_size=1, max_size=4).filter(lambda part: part not in (".", ".."))


@given(
    st.sampled_from(BASES),
    st.lists(PARTS, min_size=1, max_size=3),
    st.sampled_from(AREAS),
    st.lists(PARTS, min_size=1, max_size=3),
)
def test_names_convert_back_to_paths(base, results, area, parts):
    folder, name = "/".join(results), "/".join([area, *parts])
    path = f"{base}{folder}/{name}"
    names = Names.around(path, folder)
    assert names.name(path) == name
    assert names.path(name) == Path(path)


@pytest.mark.parametrize("above", ["data/raw/", "data/raw/old/", "/x/data/raw/"])
@pytest.mark.parametrize(
    ("below", "name"),
    [("trial/interim/x", "interim/x"), ("data/raw/sdo.manifest.json", "raw:sdo.manifest.json")],
)
def test_a_storage_may_be_below_a_folder_of_raw_files(above, below, name):
    path = f"{above}.snakemake/storage/{below}"
    names = Names.around(path, "trial")
    assert names.name(path) == name
    assert names.path(name) == Path(path)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("data/raw/ztf/labels/x.csv", "raw:ztf/labels/x.csv"),
        ("trial/sample/raw/ztf/x.csv", "sample/raw/ztf/x.csv"),
        ("lists/x.csv", "file:lists/x.csv"),
        ("../lists/x.csv", "file:../lists/x.csv"),
        ("/home/somebody/x.csv", "file:/home/somebody/x.csv"),
        ("../other/data/raw/x.csv", "file:../other/data/raw/x.csv"),
        ("/other/data/raw/x.csv", "file:/other/data/raw/x.csv"),
        ("/other/trial/sample/raw/x.csv", "file:/other/trial/sample/raw/x.csv"),
        ("lists/data/raw/x.csv", "file:lists/data/raw/x.csv"),
        ("data/raw/../x.csv", "file:data/raw/../x.csv"),
        ("data/rawest/x.csv", "file:data/rawest/x.csv"),
    ],
)
def test_only_files_in_the_projects_own_folders_are_named_without_their_folder(path, name):
    assert raw_name(path, "trial") == raw_name(Path(path), "trial") == name


@pytest.mark.parametrize("project", ["project", "other/data/raw/project"])
def test_an_absolute_path_of_a_file_in_the_project_has_the_name_of_the_relative_path(
    tmp_path, monkeypatch, project
):
    here = tmp_path / project
    here.mkdir(parents=True)
    monkeypatch.chdir(here)
    assert raw_name(here / "data/raw/x.csv", "trial") == "raw:x.csv"
    assert raw_name(here / "trial/sample/raw/x.csv", "trial") == "sample/raw/x.csv"
    results = str(here / "trial")
    assert raw_name(f"{results}/sample/raw/x.csv", results) == "sample/raw/x.csv"
    assert raw_name("data/raw/x.csv", results) == "raw:x.csv"
    assert raw_name(here.parent / "data/raw/x.csv", "trial") == f"file:{here.parent}/data/raw/x.csv"


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize(
    ("below", "name"),
    [("data/raw/x.csv", "raw:x.csv"), ("lists/x.csv", "file:lists/x.csv")],
)
def test_a_storage_does_not_change_the_name_of_a_raw_file(base, below, name):
    assert raw_name(base + below, "trial", base) == name


@given(st.lists(PARTS, min_size=1, max_size=4), st.lists(PARTS, min_size=1, max_size=4))
def test_lists_in_other_folders_have_other_names(one, other):
    assert (raw_name("/".join(one), "trial") == raw_name("/".join(other), "trial")) == (
        one == other
    )
