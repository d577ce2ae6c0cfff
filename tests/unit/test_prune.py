"""Pruning lists and deletes the products of an earlier configuration with all their files."""

import errno
from pathlib import Path

import pytest
from rule_jobs import job, write_product

from skymill.engine.errors import SkymillError
from skymill.engine.job import Run
from skymill.engine.products import write_json
from skymill.engine.run_lock import LOCAL, RunLock
from skymill.engine.staleness import MANY
from skymill.prune import delete_leftover, files_of, prune

DATA = Path("data")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The folder in which Snakemake runs."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def expect(*names, branches=("ztf",), results=DATA):
    """Write the list of products that the configuration makes."""
    documents = [f"{name}.manifest.json" for name in names]
    known = {"branches": list(branches), "products": {"ztf": documents}}
    write_json(results / "products.json", known)


def make(name, *others, folder_of=()):
    """Make a product of the ztf branch: a file, or a folder of files, and files next to it."""
    outputs = {"product": f"data/{name}"}
    outputs |= {f"other{number}": f"data/{other}" for number, other in enumerate(others)}
    rule = job(outputs={**outputs, "manifest": f"data/{name}.manifest.json"})
    entries = []
    for path in rule.output:
        if path.endswith(".manifest.json"):
            continue
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        if path == outputs["product"] and folder_of:
            Path(path).mkdir()
            for own in folder_of:
                (Path(path) / own).write_bytes(b"x")
                entries.append({"name": own, "bytes": 1, "sha256": "", "rows": 1})
        else:
            Path(path).write_text(path)
    Run(rule).finish(entries, source="local")


def below():
    """Return all files and folders below the results folder, except `products.json`."""
    found = {path.relative_to(DATA).as_posix() for path in DATA.rglob("*")}
    return found - {"products.json"}


def names(paths):
    return [path.relative_to(DATA).as_posix() for path in paths]


# --- The files of a leftover ---------------------------------------------------------------------


def test_the_document_is_the_last_file_of_a_leftover():
    make("processed/ztf/a.png", "processed/ztf/a.npy", "processed/ztf/0.csv")
    assert names(files_of(DATA, "processed/ztf/a.png")) == [
        "processed/ztf/0.csv",
        "processed/ztf/a.npy",
        "processed/ztf/a.png",
        "processed/ztf/a.png.manifest.json",
    ]


def test_a_folder_is_listed_without_its_files():
    make("processed/ztf/set", "processed/ztf/a.csv", folder_of=["x", "y"])
    assert names(files_of(DATA, "processed/ztf/set")) == [
        "processed/ztf/a.csv",
        "processed/ztf/set",
        "processed/ztf/set.manifest.json",
    ]


def test_a_leftover_check_has_only_its_receipt():
    write_product("data/interim/ztf/x.receipt.json")
    assert names(files_of(DATA, "interim/ztf/x.receipt.json")) == ["interim/ztf/x.receipt.json"]


def test_a_long_list_of_files_is_deleted_with_its_manifest():
    make("processed/ztf/alerts", folder_of=[f"{number}.npy" for number in range(MANY + 1)])
    assert names(files_of(DATA, "processed/ztf/alerts")) == [
        "processed/ztf/alerts",
        "processed/ztf/alerts.manifest.members.parquet",
        "processed/ztf/alerts.manifest.json",
    ]


def test_files_that_are_already_deleted_are_not_listed():
    make("processed/ztf/a.png", "processed/ztf/a.npy")
    Path("data/processed/ztf/a.png").unlink()
    assert names(files_of(DATA, "processed/ztf/a.png")) == [
        "processed/ztf/a.npy",
        "processed/ztf/a.png.manifest.json",
    ]


def test_with_a_damaged_manifest_only_the_product_itself_is_listed():
    make("processed/ztf/a.png", "processed/ztf/a.npy")
    Path("data/processed/ztf/a.png.manifest.json").write_text("{")
    assert names(files_of(DATA, "processed/ztf/a.png")) == [
        "processed/ztf/a.png",
        "processed/ztf/a.png.manifest.json",
    ]


# --- Deleting ------------------------------------------------------------------------------------


def test_deleting_a_leftover_deletes_its_files_and_no_others():
    make("processed/ztf/kept.csv")
    kept = below()
    make("processed/ztf/set", "processed/ztf/a.csv", folder_of=["x", "y"])
    delete_leftover(DATA, "processed/ztf/set")
    assert below() == kept


def test_the_document_is_deleted_last(monkeypatch):
    make("processed/ztf/a.png", "processed/ztf/a.npy")

    def fail(path, missing_ok=False):
        assert path.suffix == ".npy"
        raise PermissionError

    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", fail)
        with pytest.raises(PermissionError):
            delete_leftover(DATA, "processed/ztf/a.png")
    expect()
    assert "processed/ztf/a.npy" in prune("data")


# --- The command ---------------------------------------------------------------------------------


@pytest.fixture
def left():
    """One product that the configuration makes, and two that it does not."""
    make("processed/ztf/kept.csv")
    make("processed/ztf/old.csv", "interim/ztf/old.jsonl")
    write_product("data/interim/ztf/old.receipt.json")
    expect("processed/ztf/kept.csv")


def test_leftovers_are_listed_and_nothing_is_deleted(left):
    before = below()
    assert prune("data").splitlines() == [
        "Leftovers of an earlier configuration (--delete deletes them):",
        "  data/interim/ztf/old.receipt.json",
        "  data/interim/ztf/old.jsonl",
        "  data/processed/ztf/old.csv",
        "  data/processed/ztf/old.csv.manifest.json",
    ]
    assert below() == before


def test_leftovers_are_deleted_on_request(left):
    said = prune("data", delete=True).splitlines()
    assert said[0] == "Deleted:"
    assert said[1:] == [
        "  data/interim/ztf/old.receipt.json",
        "  data/interim/ztf/old.jsonl",
        "  data/processed/ztf/old.csv",
        "  data/processed/ztf/old.csv.manifest.json",
    ]
    files = {name for name in below() if (DATA / name).is_file()}
    assert files == {"processed/ztf/kept.csv", "processed/ztf/kept.csv.manifest.json"}
    assert prune("data", delete=True) == "data/ contains only the products of its configuration."


def test_products_of_a_branch_that_is_off_are_kept(left):
    write_product("data/processed/sdo/integrity.md")
    prune("data", delete=True)
    assert Path("data/processed/sdo/integrity.md").exists()


def test_without_a_list_of_products_nothing_is_said_about_leftovers():
    make("processed/ztf/old.csv")
    for delete in (False, True):
        with pytest.raises(SkymillError, match=r"data/ has no products\.json: .* Run Snakemake"):
            prune("data", delete=delete)
        with pytest.raises(SkymillError, match="There is no folder nowhere"):
            prune("nowhere", delete=delete)
    assert "processed/ztf/old.csv" in below()


@pytest.mark.parametrize("content", ["", "{", "{}", '{"products": {}, "branches": 1}', None])
def test_a_damaged_list_of_products_is_named(content):
    make("processed/ztf/old.csv")
    path = DATA / "products.json"
    path.mkdir() if content is None else path.write_text(content)
    with pytest.raises(SkymillError, match=r"products\.json .* Delete it and run again"):
        prune("data", delete=True)
    assert "processed/ztf/old.csv" in below()


def test_nothing_is_deleted_during_a_run(left, folder):
    lock = RunLock(["data"], folder)
    lock.take(LOCAL)
    before = below()
    assert "old.csv" in prune("data")
    with pytest.raises(SkymillError, match="another run works in"):
        prune("data", delete=True)
    assert below() == before
    lock.release()
    prune("data", delete=True)
    assert below() < before


def test_a_read_only_disk_is_named(left, monkeypatch):
    def fail(path, missing_ok=False):
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    monkeypatch.setattr(Path, "unlink", fail)
    with pytest.raises(SkymillError, match="cannot be written: Read-only file system"):
        prune("data", delete=True)


def test_another_results_folder_can_be_named():
    write_product("runs/trial/processed/ztf/old.csv", results="runs/trial")
    expect(results=Path("runs/trial"))
    make("processed/ztf/old.csv")
    expect()
    prune("runs/trial", delete=True)
    assert not Path("runs/trial/processed/ztf/old.csv").exists()
    assert Path("data/processed/ztf/old.csv").exists()
