"""`ztf.nights`: ranges and files of nights, days without a night, one more night, batches."""

import re
import shutil

import pytest
from test_archive import Archive

from projects import ONE_THREAD, said
from servers import FileServer, KaggleServer

TINY = """
branches: [ztf]
simulate: {ztf: {alerts: 20, objects: 86, seed: 20}}
ztf: {nights: "20180601..20180606", extract: all}
limits: {max_corrupt_fraction: 0.5}
"""
PLAN = "data/preprocessed/ztf/plan.parquet"


@pytest.fixture
def tiny(project):
    """Return a project of six small simulated nights, before any run."""
    project.set(TINY)
    return project


@pytest.fixture(scope="session")
def _made(made_once):
    return made_once("nights", TINY)


@pytest.fixture
def made(_made, tmp_path):
    """Return a copy of the project after a complete run."""
    return _made.copy(tmp_path / "made")


def jobs(project, *arguments):
    """Return the jobs that a run would execute: (rule, night); the night may be empty."""
    return jobs_in(project.run("-n", *arguments).stdout)


def jobs_in(output):
    """Return the jobs in the output of a run or of a dry run."""
    found = set()
    for block in re.split(r"^(?:local)?rule ", output, flags=re.MULTILINE)[1:]:
        rule = block.partition(":")[0]
        wildcards = re.search(r"^ +wildcards: (.*)", block, re.MULTILINE)
        night = re.search(r"2\d{7}(_programid\d)?", wildcards[1]) if wildcards else None
        found.add((rule, night[0] if night else ""))
    found -= {("all", ""), ("write_report", "")}
    return found


def nights(project, *arguments):
    """Return the nights that a run would read."""
    return nights_in(project.run("-n", *arguments).stdout)


def nights_in(output):
    """Return the nights that are read, by the output of a run or of a dry run."""
    return {night for rule, night in jobs_in(output) if rule == "extract_night"}


def of_night(night):
    """Return the jobs of one simulated night."""
    return {(rule, night) for rule in ("simulate_night", "extract_night", "check_night")}


GATHERING = {
    (rule, "")
    for rule in (
        *("plan_ztf", "gather_ztf", "export_ztf", "report_ztf"),
        *("measure_ztf", "write_card", "illustrate_ztf"),
    )
}


def test_a_range_means_every_day_of_it(tiny):
    tiny.set("ztf: {nights: '20180630..20180702'}")
    assert nights(tiny, "read_nights") == {"20180630", "20180701", "20180702"}


def test_a_file_of_nights_is_read_from_the_project(tiny):
    tiny.path("config/nights.txt").write_text(
        "# two, and some\n20180602\n20180605..20180606  # good seeing\n20180603_programid3\n"
    )
    tiny.set("ztf: {nights: config/nights.txt}")
    found = nights(tiny, "read_nights")
    assert found == {"20180602", "20180605", "20180606", "20180603_programid3"}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("20180601\n20180231\n", ["config/nights.txt, line 2", "20180231", "not a date"]),
        ("20180601..20180603\n\n20180602\n", ["config/nights.txt, line 3", "20180602", "line 1"]),
    ],
)
def test_a_wrong_night_is_refused_with_its_file_and_line(tiny, content, words):
    tiny.path("config/nights.txt").write_text(content)
    tiny.set("ztf: {nights: config/nights.txt}")
    done = tiny.run("-n", succeeds=False)
    for word in words:
        assert word in said(done)
    assert "Traceback" not in said(done)


def test_more_nights_run_their_own_jobs_and_those_that_gather_nights(made):
    more = ("20180608", "20180531", "20180603_programid3")
    made.set(f"ztf: {{nights: ['20180601..20180606', {', '.join(more)}]}}")
    assert jobs(made) == set().union(*map(of_night, more)) | GATHERING


def test_one_night_less_gathers_again_and_reads_no_night(made):
    made.set("ztf: {nights: '20180601..20180605'}")
    assert jobs(made) == GATHERING


def test_a_list_and_a_range_of_the_same_nights_are_equal(made):
    made.set("ztf: {nights: [20180606, '20180601..20180605']}")
    assert jobs(made) == set()


def put_by_hand(project, made, *nights):
    """Put some simulated nights and the labels into the folder of the user's files."""
    there = project.path("data/raw/ztf")
    shutil.copytree(made.path("data/sample/raw/ztf/labels"), there / "labels")
    for night in nights:
        name = f"ztf_public_{night}.tar.gz"
        shutil.copy(made.path(f"data/sample/raw/ztf/{name}"), there / name)
    for sidecar in there.rglob("*.source.json"):
        sidecar.unlink()
    project.set("source: local")


def test_days_without_a_local_file_are_skipped_in_a_range_and_named(tiny, made):
    put_by_hand(tiny, made, "20180602", "20180605")
    output = said(tiny.run("--cores", "2", *ONE_THREAD))
    assert nights_in(output) == {"20180602", "20180605"}
    assert "20180601, 20180603..20180604, 20180606" in output
    report = tiny.path("data/processed/ztf/report.md").read_text()
    assert "20180601, 20180603..20180604, 20180606" in report
    assert jobs(tiny) == set()

    # A night that is added later is read, and the page no longer calls it absent.
    # A night that was read and then deleted to free space is kept.
    put_by_hand_later = tiny.path("data/raw/ztf/ztf_public_20180603.tar.gz")
    shutil.copy(made.path("data/sample/raw/ztf/ztf_public_20180603.tar.gz"), put_by_hand_later)
    tiny.path("data/raw/ztf/ztf_public_20180602.tar.gz").unlink()
    output = said(tiny.run("-n"))
    own = of_night("20180603") - {("simulate_night", "20180603")}
    assert jobs_in(output) == own | GATHERING
    assert "20180601, 20180604, 20180606" in output


def test_named_local_nights_must_exist(tiny, made):
    put_by_hand(tiny, made, "20180602")
    tiny.set("ztf: {nights: ['20180601..20180602', 20180604]}")
    done = tiny.run("-n", succeeds=False)
    assert "data/raw/ztf/ztf_public_20180604.tar.gz" in said(done)
    assert "ztf_public_20180601" not in said(done)


def test_a_range_without_a_single_local_night_is_refused(tiny, made):
    put_by_hand(tiny, made)
    done = tiny.run("-n", succeeds=False)
    assert "none of the nights 20180601..20180606" in said(done)


def test_simulated_nights_do_not_count_as_local_nights(made):
    put_by_hand(made, made, "20180602")
    assert nights(made) == {"20180602"}


def test_the_last_lines_report_an_empty_cross_match(made):
    # An empty tarball: the archive has some of these.
    made.set("ztf: {nights: [20180604]}")
    assert any("NO STAMPS" in line for line in said(made.run("--cores", "2")).splitlines()[-8:])


@pytest.fixture
def archive(made, project):
    """Return the archives with the simulated files of a project of six nights."""
    with FileServer() as server, KaggleServer() as kaggle:
        for name in ("sdobenchmark.zip", "stealth/data.csv"):
            path = made.path(f"data/sample/raw/{name}")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"not of this test")
        yield Archive(server, kaggle, project, made.path("data/sample/raw"))


def test_days_without_a_tarball_in_the_archive_are_nights_without_alerts(archive, made):
    server, project = archive.server, archive.project
    for night in ("20180602", "20180603"):
        del server.files[f"/ztf/ztf_public_{night}.tar.gz"]
    listed = server.files["/MD5SUMS"].decode().splitlines(keepends=True)
    kept = [line for line in listed if not re.search("2018060[23]", line)]
    server.files["/MD5SUMS"] = "".join(kept).encode()
    project.set(TINY + "source: archive\n")
    project.set("ztf: {nights: '20180601..20180605'}")
    project.run("--cores", "2", *ONE_THREAD)
    report = project.path("data/processed/ztf/report.md").read_text()
    # 20180604 is an empty tarball: the archive has some of these.
    assert "the archive has none): 20180602..20180604." in report
    assert jobs(project) == set()

    # A named night must exist.
    project.set("ztf: {nights: [20180601, 20180602]}")
    project.path("data/raw/ztf/ztf_public_20180602.tar.gz").unlink()
    done = project.run("--cores", "1", "data/raw/ztf/ztf_public_20180602.tar.gz", succeeds=False)
    assert "404" in said(done)


def test_batches_of_nights_leave_little_to_the_run_that_follows(tiny, made):
    done = set()
    for number in (1, 2, 3):
        arguments = ("--batch", f"read_nights={number}/3")
        read = nights_in(said(tiny.run("--cores", "2", *arguments, "read_nights")))
        assert len(read) == 2
        assert not read & done
        done |= read
    assert len(done) == 6
    # With `extract: all` nights need no labels.
    labels = {(rule, "") for rule in ("simulate_ztf_labels", "read_labels", "check_labels")}
    assert jobs_in(said(tiny.run("--cores", "2"))) == labels | GATHERING
    assert tiny.products() == made.products()


def test_the_last_batch_of_nights_needs_the_others(tiny):
    done = tiny.run("--cores", "2", "--batch", "read_nights=3/3", "read_nights", succeeds=False)
    assert "previous batches" in said(done)
