"""The summary lists what was made, and says when it is simulated."""

import pytest

from skymill.products import write_json
from skymill.summary import summarise


def make(root, name, source="local", counts=None, rows=(1200, 60), size=1500):
    files = [{"name": f"{n}.parquet", "rows": count, "bytes": size} for n, count in enumerate(rows)]
    write_json(
        root / f"{name}.manifest.json",
        {"files": files, "counts": counts or {}, "source": source},
    )


def test_an_empty_folder_says_what_to_run(tmp_path):
    assert summarise(tmp_path) == f"Nothing has been made under {tmp_path}/ yet: run `snakemake`."


def test_a_product_has_rows_size_source_and_classes_in_order(tmp_path):
    counts = {"records_by_label": {"Q": 1200, "X": 3, "B": 2}}
    make(tmp_path, "processed/magnetic_data/train", counts=counts)
    row = summarise(tmp_path).splitlines()[2].split()
    assert row[0].endswith("processed/magnetic_data/train")
    assert row[1:] == ["1,260", "3.0", "kB", "local", "X", "3", "B", "2", "Q", "1,200"]


def test_interim_products_are_not_listed(tmp_path):
    make(tmp_path, "interim/values")
    make(tmp_path, "preprocessed/plan.parquet")
    lines = summarise(tmp_path).splitlines()
    assert len(lines) == 3
    assert "preprocessed/plan.parquet" in lines[2]


@pytest.mark.parametrize(("source", "said"), [("sample", True), ("local", False)])
def test_simulated_data_is_called_so_in_the_last_line(tmp_path, source, said):
    make(tmp_path, "processed/one", source="archive")
    make(tmp_path, "processed/two", source=source)
    assert ("SIMULATED DATA" in summarise(tmp_path).splitlines()[-1]) == said


@pytest.mark.parametrize(
    ("size", "shown"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (25 * 10**5, "2.5 MB"), (17 * 10**9, "17.0 GB")],
)
def test_sizes_have_fitting_units(tmp_path, size, shown):
    make(tmp_path, "processed/one", rows=(60,), size=size)
    assert f" {shown}  local" in summarise(tmp_path)


def test_the_summary_of_a_run_lists_its_products(small_run, tmp_path):
    root = tmp_path / "data"
    root.mkdir()
    (root / "processed").symlink_to(small_run.folder / "processed")
    for split in ("train", "dev", "test", "holdout_test"):
        assert f"processed/{split} " in summarise(root)
