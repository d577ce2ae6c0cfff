"""A dry run changes nothing: neither files, nor the jobs of the next run."""

import json
import socket

from test_shared_filesystem import clone

from projects import said

LOOKS = [
    ("-n",),
    ("--list-rules",),
    ("--lint",),
    ("--dag",),
    ("--rulegraph",),
    ("--summary",),
    ("--unlock",),
    ("-n", "--config", "seed=7"),
]
MAY_CHANGE = (".snakemake/log/", ".snakemake/iocache/")


def state(project):
    """Return content and time of every file that a dry run must not change."""
    files = (path for path in project.folder.rglob("*") if path.is_file())
    return {
        name: (path.read_bytes(), path.stat().st_mtime_ns)
        for path in files
        if not (name := path.relative_to(project.folder).as_posix()).startswith(MAY_CHANGE)
    }


def test_no_dry_run_changes_a_file(finished):
    before = state(finished)
    for look in LOOKS:
        finished.run(*look)
        assert state(finished) == before, look


def test_a_product_that_is_away_during_dry_runs_is_current_when_it_is_back(finished):
    receipts, away = finished.path("data/interim/raw"), finished.path("away")
    receipts.rename(away)
    for look in LOOKS[:5]:
        finished.run(*look)
    away.rename(receipts)
    assert finished.stale() == set()


def test_a_dry_run_of_a_colleague_with_other_settings_changes_nothing_for_the_owner(
    finished, tmp_path
):
    other = clone(finished, tmp_path / "other")
    before = state(finished)
    other.run("-n", "--config", "seed=7")
    assert state(finished) == before
    assert finished.stale() == set()


def test_a_dry_run_does_not_take_over_the_note_of_a_killed_run(finished):
    note = {"pid": 1, "start": "before", "host": socket.gethostname(), "slurm_job": None}
    where = {"executor": "local", "folder": str(finished.folder), "started": "yesterday"}
    note_path = finished.path("data/.lock")
    note_path.write_text(json.dumps(note | where))
    # Products are judged nevertheless, because no process is making them.
    finished.path("data/interim/solar_flare_2020/quarantine/test_4_5_data.jsonl").unlink()
    left = finished.path("data/interim/.x.parquet.0123456789ab.partial")
    left.touch()
    assert "ingest_magnetic" in finished.stale()
    assert note_path.exists()
    assert left.exists()
    assert "An earlier run was killed" in said(finished.run("--cores", "2"))
    assert not note_path.exists()
    assert not left.exists()
