"""`verify` finds damaged files by content, names them, and prepares them to be made again."""

import gzip
import json
import os
import random
import shutil
from pathlib import Path

import pyarrow as pa
import pytest
from rule_jobs import job, write_product

from skymill import paths
from skymill.engine.digests import file_sha256
from skymill.engine.errors import SkymillError
from skymill.engine.job import Run
from skymill.engine.products import manifest_path, read_document, write_document, write_json
from skymill.engine.run_lock import LOCAL, RunLock
from skymill.engine.staleness import MANY
from skymill.engine.tables import write_table
from skymill.raw.fetch import CACHE
from skymill.raw.files import HashedRaw, sidecar_path, write_sidecar
from skymill.sdo.catalogue import digest
from skymill.verify import verify

DATA, RAW = Path("data"), Path("data/raw")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The folder in which Snakemake runs."""
    monkeypatch.chdir(tmp_path)
    DATA.mkdir()
    return tmp_path


def flip(path, at=None, by=1):
    """Change a byte of a file and keep its size and time, as silent damage does."""
    path, then = Path(path), Path(path).stat()
    content = bytearray(path.read_bytes())
    content[len(content) // 2 if at is None else at] ^= by
    path.write_bytes(content)
    os.utime(path, ns=(then.st_atime_ns, then.st_mtime_ns))


def damaged(**options):
    """Return the paths of the damaged files."""
    return [str(one.path) for one in verify(**options).damaged]


def make_many(name):
    """Make a product with so many files that its manifest has a separate list of them."""
    rule = job(outputs={"folder": f"data/{name}", "manifest": f"data/{name}.manifest.json"})
    (DATA / name).mkdir(parents=True)
    entries = []
    for number in range(MANY + 1):
        path = DATA / name / f"{number}.npy"
        path.write_bytes(b"%d" % number)
        entries.append(
            {
                "name": path.name,
                "bytes": path.stat().st_size,
                "sha256": file_sha256(path),
                "rows": 1,
            }
        )
    Run(rule).finish(entries, source="local")


def receipt(raw, source, name=None, *, document="interim/raw/x.receipt.json", **content):
    """Write the receipt of a raw file that was read."""
    write_product(
        DATA / document,
        source=source,
        raw={
            "name": name or f"raw:{raw.relative_to(RAW)}",
            "bytes": raw.stat().st_size,
            "sha256": file_sha256(raw),
            "source": source,
        },
        **content,
    )


def download(name="x.zip", content=b"from the archive", *, cached=True):
    """Put a download in place, with a link in the cache and a receipt."""
    raw, kept = RAW / name, CACHE / name
    kept.parent.mkdir(parents=True, exist_ok=True)
    raw.parent.mkdir(parents=True, exist_ok=True)
    raw.write_bytes(content)
    note = {"checksum": f"sha256:{file_sha256(raw)}", "bytes": len(content), "version": 1}
    write_sidecar(raw, "archive", **note)
    if cached:
        os.link(raw, kept)
        write_sidecar(kept, "archive", **note)
    receipt(raw, "archive")
    return raw, kept


# --- Products and documents ----------------------------------------------------------------------


def test_an_undamaged_folder_is_sound_and_is_not_changed():
    write_product("data/interim/a.csv")
    write_product("data/interim/b.receipt.json")
    before = {path: path.stat().st_mtime_ns for path in DATA.rglob("*")}
    verdict = verify()
    assert verdict.is_sound
    assert "Nothing is damaged or missing." in verdict.text()
    assert {path: path.stat().st_mtime_ns for path in DATA.rglob("*")} == before


@pytest.mark.parametrize("results", ["trial", "trial/"])
def test_any_results_folder_is_compared(results):
    write_product("trial/interim/a.csv", results="trial")
    flip("trial/interim/a.csv")
    assert damaged(results=results) == ["trial/interim/a.csv"]


def test_each_changed_byte_of_each_file_is_found():
    write_product("data/interim/a.csv", "one\ntwo\n")
    write_product("data/processed/b.receipt.json", counts={"rows": 3})
    write_json(DATA / paths.PRODUCTS, {"branches": [], "products": {}})
    draw = random.Random(1)
    files = [path for path in DATA.rglob("*") if path.is_file()]
    assert len(files) == 4
    for path in files:
        for at in range(path.stat().st_size):
            by = draw.randrange(1, 256)
            flip(path, at, by)
            # The list of products has no digest here: only its form can be checked.
            if path.name != paths.PRODUCTS:
                assert str(path) in damaged(), (path, at, by)
            flip(path, at, by)
    assert verify().is_sound


@pytest.mark.parametrize("content", [b"", b"{", b"{}", b"[]", b"\xff"])
def test_a_document_that_cannot_be_read_is_named(content):
    write_product("data/interim/a.csv")
    manifest_path(DATA / "interim/a.csv").write_bytes(content)
    assert damaged() == ["data/interim/a.csv.manifest.json"]


def test_a_document_with_other_spaces_is_damaged():
    path = Path(write_product("data/interim/a.csv"))
    path.write_text(json.dumps(read_document(path)))
    assert damaged() == [str(path)]


def test_the_manifest_of_another_product_is_named():
    write_product("data/interim/a.csv")
    write_product("data/interim/b.csv")
    shutil.copy("data/interim/a.csv.manifest.json", "data/interim/b.csv.manifest.json")
    assert damaged() == ["data/interim/b.csv.manifest.json"]


def test_a_wrong_size_is_named_with_the_expected_size():
    write_product("data/interim/a.csv", "12345")
    Path("data/interim/a.csv").write_text("123")
    (one,) = verify().damaged
    assert one.what == "has 3 bytes instead of 5"


def test_missing_files_and_documents_that_others_name_are_listed():
    first = write_product("data/interim/a.csv")
    digest = read_document(first)["digest"]
    write_product("data/interim/b.csv", inputs={"interim/a.csv.manifest.json": digest})
    write_product("data/interim/c.csv", checks=["interim/c.receipt.json"])
    Path(first).unlink()
    Path("data/interim/b.csv").unlink()
    verdict = verify()
    assert not verdict.is_sound
    assert list(map(str, verdict.inventory.missing)) == [
        "data/interim/a.csv.manifest.json",
        "data/interim/b.csv",
        "data/interim/c.receipt.json",
    ]
    assert list(map(str, verdict.inventory.undescribed)) == ["data/interim/a.csv"]


def test_a_missing_manifest_of_a_product_of_the_run_is_listed():
    write_product("data/processed/ztf/a.csv")
    known = {
        "branches": ["ztf"],
        "products": {"ztf": ["processed/ztf/a.csv.manifest.json", "processed/ztf/b.manifest.json"]},
    }
    write_json(DATA / paths.PRODUCTS, known)
    manifest_path(DATA / "processed/ztf/a.csv").unlink()
    missing = verify().inventory.missing
    assert list(map(str, missing)) == ["data/processed/ztf/a.csv.manifest.json"]


def test_an_undescribed_file_is_listed_and_is_no_damage():
    write_product("data/interim/a.csv")
    Path("data/interim/notes.txt").write_text("mine")
    Path("data/interim/.a.csv.0123456789ab.partial").write_text("of a killed run")
    verdict = verify()
    assert verdict.is_sound
    assert list(map(str, verdict.inventory.undescribed)) == ["data/interim/notes.txt"]
    assert "data/interim/notes.txt" in verdict.text()


def test_files_of_a_long_list_and_the_list_itself_are_compared():
    make_many("processed/ztf/alerts")
    assert verify().is_sound
    flip("data/processed/ztf/alerts/7.npy")
    assert damaged() == ["data/processed/ztf/alerts/7.npy"]
    Path("data/processed/ztf/alerts/8.npy").unlink()
    assert list(map(str, verify().inventory.missing)) == ["data/processed/ztf/alerts/8.npy"]
    members = "data/processed/ztf/alerts.manifest.members.parquet"
    flip(members)
    assert damaged() == [members]


def test_a_repair_deletes_only_the_documents_of_damaged_products():
    make_many("processed/ztf/alerts")
    for name in ("a", "b", "c"):
        write_product(f"data/interim/{name}.csv")
    flip("data/interim/b.csv")
    flip("data/interim/c.csv.manifest.json")
    flip("data/processed/ztf/alerts/7.npy")
    before = {path for path in DATA.rglob("*") if path.is_file()}
    verdict = verify(repair=True)
    assert not verdict.is_sound
    gone = before - {path for path in DATA.rglob("*") if path.is_file()}
    assert (
        sorted(map(str, gone))
        == sorted(map(str, verdict.deleted))
        == [
            "data/interim/b.csv.manifest.json",
            "data/interim/c.csv.manifest.json",
            "data/processed/ztf/alerts.manifest.json",
            "data/processed/ztf/alerts.manifest.members.parquet",
        ]
    )
    assert verify().damaged == []


def test_an_unreadable_file_is_damaged(monkeypatch):
    write_product("data/interim/a.csv")

    def fail(*arguments, **options):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("skymill.verify.open", fail, raising=False)
    (one,) = verify().damaged
    assert one.what == "cannot be read (Input/output error)"


# --- Raw files -----------------------------------------------------------------------------------


def test_a_damaged_download_is_deleted_with_its_link_its_notes_and_its_receipt():
    raw, kept = download()
    write_product("data/interim/other.csv")
    assert verify().is_sound
    flip(raw)
    assert damaged() == [str(kept), str(raw)]
    verify(repair=True)
    left = [path for path in DATA.rglob("*") if path.is_file()]
    assert sorted(path.name for path in left) == ["other.csv", "other.csv.manifest.json"]
    assert verify().is_sound


def test_only_the_damaged_copy_in_the_cache_is_deleted():
    raw, kept = download(cached=False)
    kept.write_bytes(raw.read_bytes())
    shutil.copy(sidecar_path(raw), sidecar_path(kept))
    flip(kept)
    assert damaged(repair=True) == [str(kept)]
    assert raw.exists()
    assert not kept.exists()
    assert not sidecar_path(kept).exists()
    assert verify().is_sound


@pytest.mark.parametrize("algorithm", ["md5", "sha256"])
def test_a_download_that_no_job_has_read_is_compared_with_its_sidecar(algorithm):
    import hashlib

    raw = RAW / "ztf/night.tar.gz"
    raw.parent.mkdir(parents=True)
    raw.write_bytes(b"alerts")
    checksum = f"{algorithm}:{hashlib.new(algorithm, b'alerts').hexdigest()}"
    write_sidecar(raw, "archive", checksum=checksum, bytes=6)
    assert verify().is_sound
    flip(raw)
    assert damaged() == [str(raw)]


def test_each_changed_byte_of_a_sidecar_is_found():
    raw, _ = download(cached=False)
    note = sidecar_path(raw)
    for at in range(note.stat().st_size):
        flip(note, at)
        assert str(note) in damaged(), at
        flip(note, at)


def test_a_sidecar_of_an_earlier_version_has_no_digest():
    raw, _ = download(cached=False)
    note = read_document(sidecar_path(raw))
    del note["digest"]
    write_json(sidecar_path(raw), note)
    assert verify().is_sound


def test_a_download_with_a_damaged_sidecar_is_fetched_again_if_it_agrees_with_the_receipt():
    raw, _ = download(cached=False)
    flip(sidecar_path(raw))
    verify(repair=True)
    assert not raw.exists()
    assert not sidecar_path(raw).exists()


def test_a_file_with_a_damaged_sidecar_that_may_be_the_users_is_kept():
    raw, _ = download(cached=False)
    raw.write_bytes(b"from the user...")
    flip(sidecar_path(raw))
    verdict = verify(repair=True)
    assert raw.read_bytes() == b"from the user..."
    assert "may be your own" in verdict.text()


def test_the_receipt_of_another_download_is_made_again():
    raw, _ = download()
    receipt_path = DATA / "interim/raw/x.receipt.json"
    document = read_document(receipt_path)
    del document["digest"]
    document["raw"]["sha256"] = "0" * 64
    write_document(receipt_path, document)
    assert damaged(repair=True) == [str(receipt_path)]
    assert raw.exists()
    assert not receipt_path.exists()


def test_a_damaged_file_of_the_user_is_only_named():
    raw = RAW / "night.tar.gz"
    RAW.mkdir(parents=True)
    raw.write_bytes(b"alerts of the user")
    receipt(raw, "local")
    flip(raw)
    verdict = verify(repair=True)
    assert [str(one.path) for one in verdict.damaged] == [str(raw)]
    assert not verdict.is_sound
    assert verdict.deleted == []
    assert "your own" in verdict.text()


@pytest.mark.parametrize("place", ["lists/mine.csv", "{}/mine.csv"])
def test_a_users_list_in_another_folder_is_compared(tmp_path, place):
    raw = Path(place.format(tmp_path / "elsewhere"))
    raw.parent.mkdir()
    raw.write_text("oid,class\n")
    receipt(raw, "local", f"file:{raw}", document="preprocessed/x.receipt.json")
    assert damaged() == []
    flip(raw)
    assert damaged(repair=True) == [str(raw)]
    assert raw.exists()
    raw.unlink()
    assert f"Deleted since they were read, and not compared:\n  {raw}" in verify().text()


def test_a_missing_image_of_the_user_is_not_announced_to_be_made_again():
    image = RAW / "sdo" / "full" / "sample" / "a.jpg"
    image.parent.mkdir(parents=True)
    image.write_bytes(b"image")
    samples = {"set": ["train"], "row": [0], "folder": ["full/sample"]}
    images = {"set": ["train"], "row": [0], "name": ["a.jpg"], "bytes": [5]}
    content = pa.array([digest(b"image")], pa.uint64())
    write_table(DATA / paths.SDO_SAMPLES, pa.table(samples))
    write_table(DATA / paths.SDO_IMAGES, pa.table({**images, "content": content}))
    located = {"source": "local", "tables": {}, "root": "full"}
    write_document(DATA / paths.SDO_RECEIPT, located)
    assert verify().is_sound
    image.unlink()
    text = verify(repair=True).text()
    assert f"{image}: is missing now" in text
    assert "makes them again" not in text
    assert (DATA / paths.SDO_RECEIPT).exists()


def test_a_folder_of_alerts_is_only_named():
    night = RAW / "ztf/ztf_public_20180601"
    (night / "deeper").mkdir(parents=True)
    for name in ("a.avro", "deeper/b.avro"):
        (night / name).write_bytes(b"alert of " + name.encode())
    raw = {**HashedRaw(night, "folder").receipt(), "name": "raw:ztf/ztf_public_20180601"}
    write_product("data/preprocessed/ztf/stamps/20180601.parquet", raw=raw)
    assert verify().is_sound
    flip(night / "deeper/b.avro")
    verdict = verify(repair=True)
    assert [str(one.path) for one in verdict.damaged] == [str(night)]
    assert verdict.deleted == []


def test_a_folder_of_links_is_compared_like_a_folder_of_files(tmp_path):
    night = RAW / "ztf/ztf_public_20180601"
    night.mkdir(parents=True)
    (tmp_path / "big").mkdir()
    (tmp_path / "big/b.avro").write_bytes(b"alert")
    (night / "linked").symlink_to(tmp_path / "big")
    (night / "gone.avro").symlink_to("missing")
    raw = {**HashedRaw(night, "folder").receipt(), "name": "raw:ztf/ztf_public_20180601"}
    write_product("data/preprocessed/ztf/stamps/20180601.parquet", raw=raw)
    assert verify().is_sound
    flip(tmp_path / "big/b.avro")
    assert damaged() == [str(night)]


def test_downloads_in_a_linked_folder_are_compared_with_their_sidecars(tmp_path):
    raw = RAW / "ztf/x.tar.gz"
    (tmp_path / "big").mkdir()
    RAW.mkdir(parents=True)
    (RAW / "ztf").symlink_to(tmp_path / "big")
    raw.write_bytes(b"alerts")
    checksum = f"sha256:{file_sha256(raw)}"
    write_sidecar(raw, "archive", checksum=checksum, bytes=6, version=None)
    assert verify().is_sound
    flip(raw)
    assert damaged() == [str(raw)]


def test_a_link_that_was_dangling_when_a_tree_was_catalogued_is_not_missing():
    image = RAW / "sdo" / "full" / "sample" / "a.jpg"
    image.parent.mkdir(parents=True)
    image.symlink_to("missing")
    samples = {"set": ["train"], "row": [0], "folder": ["full/sample"]}
    images = {"set": ["train"], "row": [0], "name": ["a.jpg"], "bytes": [0]}
    content = pa.array([0], pa.uint64())
    write_table(DATA / paths.SDO_SAMPLES, pa.table(samples))
    write_table(DATA / paths.SDO_IMAGES, pa.table({**images, "content": content}))
    write_document(DATA / paths.SDO_RECEIPT, {"source": "local", "tables": {}, "root": "full"})
    assert verify().is_sound
    image.unlink()
    assert damaged() == [str(image)]


def test_a_simulated_file_is_deleted_with_its_sidecar_and_the_manifest_of_its_reader():
    raw = DATA / "sample/raw/ztf/x.tar.gz"
    raw.parent.mkdir(parents=True)
    raw.write_bytes(gzip.compress(b"alerts", mtime=0))
    write_sidecar(raw, "sample")
    name = "sample/raw/ztf/x.tar.gz"
    receipt(raw, "sample", name, document="preprocessed/ztf/stamps/x.parquet")
    assert verify().is_sound
    flip(raw)
    verdict = verify(repair=True)
    assert sorted(map(str, verdict.deleted)) == [
        "data/preprocessed/ztf/stamps/x.parquet.manifest.json",
        str(raw),
        str(sidecar_path(raw)),
    ]


def test_a_raw_file_that_was_deleted_after_it_was_read_is_no_damage():
    raw, kept = download()
    for path in (raw, kept):
        path.unlink()
        sidecar_path(path).unlink()
    verdict = verify()
    assert verdict.is_sound
    assert "Deleted since they were read" in verdict.text()


def test_downloads_are_ignored_for_results_that_were_not_made_from_them():
    raw, _ = download()
    flip(raw)
    write_product("trial/interim/a.csv", results="trial")
    assert verify("trial").is_sound


# --- During a run --------------------------------------------------------------------------------


@pytest.mark.parametrize("repair", [False, True])
@pytest.mark.parametrize("where", [DATA, RAW])
def test_nothing_is_compared_during_a_run(repair, where):
    write_product("data/interim/a.csv")
    RAW.mkdir()
    lock = RunLock([where], Path.cwd())
    lock.take(LOCAL)
    with pytest.raises(SkymillError, match=r"another run works in .*: process"):
        verify(repair=repair)
    lock.release()
    assert verify(repair=repair).is_sound
    assert not (where / ".lock").exists()


def test_a_run_that_starts_during_a_comparison_invalidates_it(monkeypatch):
    write_product("data/interim/a.csv")
    lock = RunLock([DATA], Path.cwd())

    def compare(inventory):
        lock.take(LOCAL)
        return []

    monkeypatch.setattr("skymill.verify._compare", compare)
    with pytest.raises(SkymillError, match="another run works"):
        verify()
    lock.release()


@pytest.mark.parametrize("results", ["nowhere", "s3://bucket/data"])
def test_a_path_that_is_no_folder_is_refused(results):
    with pytest.raises(SkymillError, match=r"no folder nowhere|not on object storage"):
        verify(results)


@pytest.mark.parametrize("results", ["", "/", "empty"])
def test_a_folder_without_results_is_not_called_sound(results):
    Path("empty").mkdir()
    with pytest.raises(SkymillError, match=r"no folder|no products"):
        verify(results)


def test_the_command_accepts_a_folder_and_a_repair_option():
    write_product("trial/interim/a.csv", results="trial")
    flip("trial/interim/a.csv")
    assert "--repair" in verify("trial").text()
    assert [str(path) for path in verify("trial", repair=True).deleted] == [
        "trial/interim/a.csv.manifest.json"
    ]
