"""`verify` finds silent damage, the next run repairs it, and no job reads damaged inputs."""

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile

import pytest

from projects import ONE_THREAD, said


def flip(path):
    """Change a byte of a file, and keep its size and time, as silent damage does."""
    then = path.stat()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    damaged = path.with_name(f"{path.name}.damaged")
    damaged.write_bytes(content)
    os.utime(damaged, ns=(then.st_atime_ns, then.st_mtime_ns))
    damaged.replace(path)  # do not change other links to the same file


def verify(project, *arguments):
    """Run the command; return its exit code, and the paths that it names as damaged."""
    done = subprocess.run(
        [sys.executable, "-m", "skymill", "verify", *arguments],
        cwd=project.folder,
        env=project.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    # Products are DAMAGED, and files of the user's own are CHANGED.
    lists = re.findall(r"^(?:DAMAGED|CHANGED).*:\n((?:  .*\n)+)", done.stdout, re.MULTILINE)
    names = "".join(lists).splitlines()
    return done.returncode, {name.split(": ")[0].strip() for name in names}


DAMAGED = {
    # magnetic
    "data/sample/raw/solar_flare_2020/train_partition3_data.json",
    "data/interim/solar_flare_2020/values/train_partition1_data/part-00000.parquet",
    "data/processed/magnetic_data/dev/part-00000.parquet",
    "data/processed/magnetic_diagnostics.md",
    "data/preprocessed/solar_flare_2020/leaks.receipt.json",
    # sdo
    "data/sample/raw/sdobenchmark.zip",
    "data/processed/sdo/train.zarr/images/c/0/0/0/0/0",
    "data/processed/sdo/test_metadata.csv",
    # stealth
    "data/sample/raw/stealth/data.csv.source.json",
    "data/preprocessed/stealth/solar_flares.parquet",
    # ztf
    "data/sample/raw/ztf/ztf_public_20180602.tar.gz",
    "data/interim/ztf/quarantine/20180601.jsonl",
    "data/processed/ztf/stamps.npy",
    "data/processed/ztf/labels.csv",
    "data/preprocessed/ztf/plan.parquet.manifest.json",
}


def test_damage_in_every_branch_is_named_and_made_again_with_the_same_bytes(finished):
    image = next(finished.path("data/sample/raw/sdo").rglob("*__171.jpg"))
    damaged = DAMAGED | {str(image.relative_to(finished.folder))}
    assert verify(finished) == (0, set())
    before = finished.products()
    for name in damaged:
        flip(finished.path(name))
    assert finished.stale() != set(), "a document is damaged, which any run sees"
    assert verify(finished) == (1, damaged)
    assert verify(finished, "--repair") == (1, damaged)
    assert not finished.path("data/.lock").exists()
    finished.run("--cores", "2")
    assert finished.products() == before
    assert verify(finished) == (0, set())
    assert finished.stale() == set()


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("data/processed/ztf/stamps.npy", "data/processed/ztf/ztf_avro_Grande_AGN.csv"),
        ("data/preprocessed/ztf/stamps/20180601.parquet", "data/processed/ztf/stamps.npy"),
        ("data/interim/sdo/images.parquet", "data/processed/sdo/train.zarr"),
        ("data/interim/stealth/rows.parquet", "data/preprocessed/stealth/solar_flares.parquet"),
        (
            "data/interim/solar_flare_2020/values/train_partition1_data/part-00000.parquet",
            "data/preprocessed/solar_flare_2020/train",
        ),
    ],
)
def test_no_job_makes_a_product_from_damaged_inputs(finished, name, target):
    flip(finished.path(name))
    done = finished.run("--cores", "2", "--force", target, succeeds=False)
    assert name.removeprefix("data/") in said(done)
    assert "skymill verify --repair" in said(done)
    assert "bug in Skymill" not in said(done)


def test_an_edit_in_a_folder_of_the_users_own_is_noticed(finished):
    shutil.copytree(finished.path("data/sample/raw/sdo"), finished.path("data/raw/sdo"))
    night = finished.path("data/raw/ztf/ztf_public_20180601")
    with tarfile.open(finished.path("data/sample/raw/ztf/ztf_public_20180601.tar.gz")) as tarball:
        tarball.extractall(night, filter="data")
    labels = finished.path("data/raw/ztf/labels")
    shutil.copytree(finished.path("data/sample/raw/ztf/labels"), labels)
    for sidecar in labels.glob("*.source.json"):
        sidecar.unlink()
    finished.set(
        "{branches: [sdo, ztf], source: local, sdo: {tensors: false}, ztf: {nights: [20180601]}}"
    )
    finished.run("--cores", "2", *ONE_THREAD)
    assert finished.stale() == set()
    before = finished.products()
    root = json.loads(finished.path("data/interim/sdo/raw.receipt.json").read_text())["root"]
    tree = finished.path("data/raw/sdo") / root
    rules = {"locate_sdo", "catalogue_sdo", "extract_night"}
    edited = [next(tree.rglob("*__171.jpg")), next(night.rglob("*.avro"))]
    places = [*edited, *(path.parent for path in edited)]
    times = {path: (path.stat().st_atime_ns, path.stat().st_mtime_ns) for path in places}

    def flip_last_bits():
        # In place: the same size, and no folder that shows it.
        for path in edited:
            content = bytearray(path.read_bytes())
            content[-1] ^= 1
            path.write_bytes(content)

    def restore_times():
        # Snakemake itself uses the time of the folder of a night.
        for path, time in times.items():
            os.utime(path, ns=time)

    flip_last_bits()
    assert finished.stale() >= rules
    code, names = verify(finished)
    assert code == 1
    assert {name.split("/")[2] for name in names} == {"sdo", "ztf"}
    flip_last_bits()
    restore_times()
    assert finished.stale() == set()
    for path in edited:
        path.rename(path.with_name("other"))
    assert finished.stale() >= rules
    for path in edited:
        path.with_name("other").rename(path)
    restore_times()
    assert finished.stale() == set()
    assert finished.products() == before
    assert verify(finished) == (0, set())
