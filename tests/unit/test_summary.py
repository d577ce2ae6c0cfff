"""The summary lists the products, and says if they are simulated."""

import pytest

from skymill.engine.products import manifest_path, write_document, write_json
from skymill.summary import summarise


def make(root, name, source="local", counts=None, rows=(1200, 60), size=1500, **content):
    files = [
        {"name": f"{name}/{n}.parquet", "rows": count, "bytes": size}
        for n, count in enumerate(rows)
    ]
    write_document(
        manifest_path(root / name),
        {"product": name, "files": files, "counts": counts or {}, "source": source, **content},
    )


def test_an_empty_folder_says_what_to_run(tmp_path):
    assert summarise(str(tmp_path)) == f"Nothing has been made in {tmp_path}/ yet: run `snakemake`."


def test_a_product_has_rows_size_source_and_classes_in_order(tmp_path):
    counts = {"records_by_label": {"Q": 1200, "X": 3, "B": 2}}
    make(tmp_path, "processed/magnetic_data/train", counts=counts)
    row = summarise(str(tmp_path)).splitlines()[2].split()
    assert row[0].endswith("processed/magnetic_data/train")
    assert row[1:] == ["1,260", "3.0", "kB", "local", "X", "3", "B", "2", "Q", "1,200"]


def test_interim_products_are_not_listed(tmp_path):
    make(tmp_path, "interim/values")
    make(tmp_path, "preprocessed/plan.parquet")
    lines = summarise(str(tmp_path)).splitlines()
    assert len(lines) == 3
    assert "preprocessed/plan.parquet" in lines[2]


def test_files_next_to_a_product_count_as_bytes_and_not_as_rows(tmp_path):
    files = [
        {"name": "processed/a.parquet", "rows": 7, "bytes": 1000},
        {"name": "processed/a.csv", "rows": 7, "bytes": 500},
    ]
    make(tmp_path, "processed/a.parquet", files=files)
    assert summarise(str(tmp_path)).splitlines()[2].split()[1:4] == ["7", "1.5", "kB"]


def test_a_product_of_many_files_has_the_rows_and_size_of_all(tmp_path):
    members = {"folder": "processed/alerts", "count": 2000, "rows": 2000, "bytes": 3_000_000}
    make(tmp_path, "processed/alerts", rows=(), members=members)
    assert summarise(str(tmp_path)).splitlines()[2].split()[1:4] == ["2,000", "3.0", "MB"]


def test_receipts_are_not_listed(tmp_path):
    make(tmp_path, "processed/one")
    write_document(tmp_path / "preprocessed" / "x.receipt.json", {"source": "local"})
    assert len(summarise(str(tmp_path)).splitlines()) == 3


@pytest.mark.parametrize("content", ["", "{", "{}"])
def test_a_damaged_product_is_named_below_the_others(tmp_path, content):
    make(tmp_path, "processed/one")
    make(tmp_path, "processed/two")
    damaged = manifest_path(tmp_path / "processed" / "two")
    damaged.write_text(content)
    lines = summarise(str(tmp_path)).splitlines()
    assert lines[2].split()[0].endswith("processed/one")
    assert lines[3:5] == ["", "DAMAGED (the next run makes them again):"]
    assert lines[5].startswith(f"  {damaged} ")
    assert len(lines) == 6


def test_a_folder_with_only_damaged_products_is_not_called_empty(tmp_path):
    make(tmp_path, "processed/two")
    manifest_path(tmp_path / "processed" / "two").write_text("{")
    assert "DAMAGED" in summarise(str(tmp_path))


def expect(root, *names):
    """Write the list of products of the latest run's configuration."""
    documents = [f"{name}.manifest.json" for name in names]
    write_json(root / "products.json", {"branches": ["ztf"], "products": {"ztf": documents}})


def test_products_of_an_earlier_configuration_are_listed_separately(tmp_path):
    make(tmp_path, "processed/ztf/one")
    make(tmp_path, "processed/ztf/old", source="sample")
    make(tmp_path, "interim/ztf/old")
    make(tmp_path, "processed/sdo/of_a_branch_that_is_off")
    expect(tmp_path, "processed/ztf/one")
    lines = summarise(str(tmp_path)).splitlines()
    assert [line.split()[0].removeprefix(f"{tmp_path}/") for line in lines[2:4]] == [
        "processed/sdo/of_a_branch_that_is_off",
        "processed/ztf/one",
    ]
    assert lines[4:] == [
        "",
        "LEFTOVERS of an earlier configuration, which your configuration does not make "
        f"(`skymill prune {tmp_path}`):",
        f"  {tmp_path}/interim/ztf/old",
        f"  {tmp_path}/processed/ztf/old",
    ]


def test_a_folder_with_only_leftovers_is_not_called_empty(tmp_path):
    make(tmp_path, "processed/ztf/old")
    expect(tmp_path)
    assert f"  {tmp_path}/processed/ztf/old" in summarise(str(tmp_path)).splitlines()


def test_without_a_list_of_products_no_product_is_a_leftover(tmp_path):
    make(tmp_path, "processed/ztf/old")
    assert "LEFT" not in summarise(str(tmp_path))


@pytest.mark.parametrize(("source", "said"), [("sample", True), ("local", False)])
def test_the_last_line_says_that_data_is_simulated(tmp_path, source, said):
    make(tmp_path, "processed/one", source="archive")
    make(tmp_path, "processed/two", source=source)
    assert ("SIMULATED DATA" in summarise(str(tmp_path)).splitlines()[-1]) == said


@pytest.mark.parametrize(
    ("size", "shown"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (25 * 10**5, "2.5 MB"), (17 * 10**9, "17.0 GB")],
)
def test_sizes_have_suitable_units(tmp_path, size, shown):
    make(tmp_path, "processed/one", rows=(60,), size=size)
    assert f" {shown}  local" in summarise(str(tmp_path))


def test_the_summary_of_a_run_lists_its_products(small_run, tmp_path):
    root = tmp_path / "data"
    root.mkdir()
    (root / "processed").symlink_to(small_run.folder / "processed")
    for split in ("train", "dev", "test", "holdout_test"):
        assert f"processed/{split} " in summarise(str(root))


def test_warnings_of_jobs_are_listed_once(tmp_path):
    make(tmp_path, "processed/a", warnings=["3 alerts of night 20180601 are lost"])
    make(tmp_path, "interim/b", warnings=["3 alerts of night 20180601 are lost", "and more"])
    lines = summarise(str(tmp_path)).splitlines()
    assert lines[-3:] == [
        "WARNINGS of the jobs that made the products:",
        "  3 alerts of night 20180601 are lost",
        "  and more",
    ]
