"""`source: archive` from end to end, against servers on loopback; nothing is fetched twice."""

import hashlib
import io
import os
import re
import signal
import subprocess
import time
import zipfile

import pytest
import yaml

from projects import ONE_THREAD, WARM, said
from servers import FileServer, KaggleServer, chunked, stall, status

FILE = "solar_flare_2020/train_partition2_data.json"
RAW = f"data/raw/{FILE}"
LABELS = "ztf/labels/files_for_lc_classifier_SanchezSaez2020.tar.gz"
TOKEN = "KGAT_planted0123456789abcdef01234567"


def md5(content):
    return hashlib.md5(content).hexdigest()


class Archive:
    """The archives of all branches on loopback, with the simulated files of a finished project."""

    def __init__(self, server, kaggle, project, simulated):
        self.server, self.kaggle, self.project = server, kaggle, project
        for raw in simulated.glob("**/*"):
            if raw.is_file() and not raw.name.endswith(".source.json"):
                server.files[f"/{raw.relative_to(simulated)}"] = raw.read_bytes()
        path = project.path("config/sources.yaml")
        registry = yaml.safe_load(path.read_text())
        for collection in registry["collections"].values():
            for name, entry in collection["files"].items():
                if "url" in entry:
                    # A file with a member is a tarball, which is in the same folder.
                    name = LABELS if "member" in entry else name
                    entry["url"] = f"{server.address}/{name}"
                if "checksum" in entry:
                    entry["checksum"] = f"md5:{md5(server.files[f'/{LABELS}'])}"
                if "checksums" in entry:
                    entry["checksums"] = f"{server.address}/MD5SUMS"
        path.write_text(yaml.safe_dump(registry))
        nights = [name for name in server.files if name.startswith("/ztf/ztf_public_")]
        listed = [f"{md5(server.files[name])}  {name.rpartition('/')[2]}\n" for name in nights]
        server.files["/MD5SUMS"] = "".join(listed).encode()
        kaggle.files["/blob/sdobenchmark.zip"] = server.files["/sdobenchmark.zip"]
        table = io.BytesIO()
        with zipfile.ZipFile(table, "w") as archive:
            archive.writestr("data.csv", server.files["/stealth/data.csv"])
        kaggle.files["/blob/solar-flares-dataset.zip"] = table.getvalue()
        project.set("source: archive")
        project.set("retrieve: {timeout: 5, first_pause: 0, attempts: 2}")
        # Kaggle's client connects to `localhost` by the proxy; other archives need no proxy.
        direct = dict.fromkeys(("no_proxy", "NO_PROXY"), "127.0.0.1")
        project.variables = {**kaggle.environment(), **direct, "KAGGLE_API_TOKEN": TOKEN}

    def fetched(self, file=FILE):
        """Return the requests for a file."""
        return [path for method, path, _ in self.server.requests if path == f"/{file}"]


@pytest.fixture
def archive(finished, project):
    with FileServer() as server, KaggleServer() as kaggle:
        yield Archive(server, kaggle, project, finished.path("data/sample/raw"))


def without_origin(products):
    """Return products that do not say where their raw files came from."""
    return {
        name: content
        for name, content in products.items()
        if name.startswith(("data/preprocessed/", "data/processed/"))
        and name.endswith((".parquet", "/c/0/0/0/0/0"))
    }


def test_the_whole_workflow_runs_on_downloaded_files_even_if_a_download_is_killed(
    archive, finished
):
    project = archive.project
    content = archive.server.files[f"/{FILE}"]
    half = len(content) // 2
    archive.server.misbehave(f"/{FILE}", stall(after=half, seconds=30))
    project.set("retrieve: {timeout: 60}")
    run = subprocess.Popen(
        project.command("magnetic", "--cores", "2"),
        cwd=project.folder,
        env=project.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    part = project.path(f"data/raw/.cache/{FILE}.part")
    deadline = time.monotonic() + 60
    while not (part.exists() and part.stat().st_size > half // 2):
        assert run.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    kept = part.stat().st_size

    done = project.run("--cores", "2", *ONE_THREAD)
    assert f"bytes={kept}-" in archive.server.ranges()
    assert not part.exists()
    assert project.path(RAW).read_bytes() == content
    assert "SIMULATED" not in said(done)
    made = without_origin(project.products())
    assert any("magnetic_data/train/" in name for name in made)
    assert made == without_origin(finished.products())
    assert project.stale() == set()

    lock = project.path("config/sources.lock.json")
    assert FILE in lock.read_text()
    for path in project.folder.rglob("*"):
        if path.is_file():
            assert TOKEN.encode() not in path.read_bytes(), path
    assert TOKEN not in said(done)


PLANTED = "planted0123456789abcdef01234567"
SECRETS = {
    "token": {"KAGGLE_API_TOKEN": f"KGAT_{PLANTED}\r"},
    "key": {"KAGGLE_USERNAME": "tester", "KAGGLE_KEY": f"{PLANTED}\n"},
    "proxy": {"KAGGLE_API_TOKEN": TOKEN, "http_proxy": f"http://me:{PLANTED}@"},
    "file": {},
}


@pytest.mark.parametrize("kind", SECRETS)
def test_no_file_or_output_of_a_run_contains_a_secret(archive, tmp_path, kind):
    """See tests/unit/test_fetch.py for all kinds and places of secrets."""
    project, kaggle = archive.project, archive.kaggle
    home = tmp_path / "home"
    if kind == "file":
        (home / ".kaggle").mkdir(parents=True)
        (home / ".kaggle" / "access_token").write_text(f"KGAT_{PLANTED}\r\n")
    del project.variables["KAGGLE_API_TOKEN"]
    given = dict(SECRETS[kind])
    if kind == "proxy":
        given["HTTP_PROXY"] = given["http_proxy"] = given["http_proxy"] + kaggle.address[7:]
    project.variables |= {"HOME": str(home), "VERBOSE": "true", **given}
    project.set("retrieve: {attempts: 1}")
    kaggle.misbehave("DownloadDataset", status(401))
    refused = project.run("--cores", "1", "data/raw/stealth/data.csv", succeeds=False)
    assert "refused the credentials in" in said(refused)
    done = project.run("--cores", "1", "data/raw/stealth/data.csv")
    assert PLANTED not in said(refused) + said(done)
    for path in project.folder.rglob("*"):
        if path.is_file():
            assert PLANTED.encode() not in path.read_bytes(), path


def test_data_sets_of_kaggle_are_fetched_in_parallel_on_a_new_machine(archive, tmp_path):
    archive.project.variables["HOME"] = str(tmp_path / "home")
    archive.project.run("--cores", "2", "data/raw/stealth/data.csv", "data/raw/sdobenchmark.zip")
    assert not (tmp_path / "home" / ".config" / "kaggle").exists()


def test_sdobenchmark_comes_from_github_without_an_account(archive, finished, tmp_path):
    """GitHub packs a branch for each download: in chunks, below a folder named after the branch."""
    project = archive.project
    project.variables |= {"HOME": str(tmp_path / "home")}
    del project.variables["KAGGLE_API_TOKEN"]
    branch = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(archive.server.files["/sdobenchmark.zip"])) as published,
        zipfile.ZipFile(branch, "w") as packed,
    ):
        packed.comment = b"0123456789abcdef0123456789abcdef01234567"
        packed.writestr("SDOBenchmark-data-full/README.md", "the data set")
        for name in published.namelist():
            root, _, path = name.partition("/")
            if root == "sdobenchmark_full" and not name.endswith("/"):
                packed.writestr(f"SDOBenchmark-data-full/{path}", published.read(name))
    content = archive.server.files["/sdobenchmark.zip"] = branch.getvalue()
    archive.server.misbehave("/sdobenchmark.zip", chunked(len(content) // 3), chunked())
    plan = "data/preprocessed/sdo/plan.parquet"
    images = "data/interim/sdo/images.parquet"  # has a checksum of each image
    project.run("--cores", "2", *ONE_THREAD, plan)
    assert project.path("data/raw/sdobenchmark.zip").read_bytes() == content
    assert not project.path("config/sources.lock.json").exists()
    for table in (images, plan):
        assert project.path(table).read_bytes() == finished.path(table).read_bytes(), table
    assert project.stale(plan) == set()


def test_a_dry_run_says_how_much_is_to_be_downloaded_and_contacts_no_server(archive):
    project = archive.project
    text = project.look()[1]
    assert "about 51 GB by the registry" in text
    assert "a ZTF night varies from 0.01 to 73 GB" in text
    assert "2 files, about 6.1 GB" in project.look(RAW, f"data/raw/{LABELS}")[1]
    assert archive.server.requests == archive.kaggle.requests == []
    project.run("--cores", "1", RAW)
    assert "To download" not in project.look(RAW)[1]
    project.path(RAW).unlink()
    assert "To download" not in project.look(RAW)[1]  # the cache has it
    project.set("source: sample")
    assert "To download" not in project.look()[1]


def test_only_its_name_and_its_version_make_a_download_stale(archive):
    project = archive.project
    target = f"data/interim/raw/{FILE}.receipt.json"
    project.run("--cores", "1", target)
    project.edit("workflow/scripts/skymill/raw/http.py", "2**18", "2**19")
    project.edit("workflow/scripts/retrieve.py", "Fetch one", "Bring one")
    project.edit("config/sources.yaml", "disk_gb: 5", "disk_gb: 7")
    project.set("retrieve: {attempts: 9}")
    assert "retrieve" not in project.stale(target)


def test_another_published_list_of_labels_downloads_nothing_again(archive):
    target = "data/preprocessed/ztf/labels.parquet"
    for source in ("predictions", "catalogue", "predictions"):
        archive.project.set(f"labels: {{source: {source}}}")
        archive.project.run("--cores", "1", target)
    assert len(archive.fetched(LABELS)) == 1


def test_downloads_are_limited_unless_the_command_line_does_and_a_forced_one_uses_the_cache(
    archive,
):
    project = archive.project
    done = project.run("--cores", "2", RAW)
    assert re.search(r"Provided resources: downloads=\D*2\b", said(done))
    done = project.run("--cores", "2", "--force", RAW, "--resources", "downloads=7")
    assert re.search(r"Provided resources: downloads=\D*7\b", said(done))
    assert len(archive.fetched()) == 1
    assert project.path(RAW).read_bytes() == archive.server.files[f"/{FILE}"]


def test_a_file_put_there_by_hand_is_verified_and_used_and_never_deleted(archive):
    project = archive.project
    raw = project.path(RAW)
    raw.parent.mkdir(parents=True)
    raw.write_bytes(archive.server.files[f"/{FILE}"])
    before = raw.stat()
    project.run("--cores", "1", "--forceall", f"data/interim/raw/{FILE}.receipt.json")
    assert archive.fetched() == []
    after = raw.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert '"local"' in project.path(f"data/interim/raw/{FILE}.receipt.json").read_text()


def test_a_page_instead_of_a_file_fails_by_name(archive):
    archive.server.files[f"/{FILE}"] = b"<html><body>Service Unavailable</body></html>"
    done = archive.project.run("--cores", "1", RAW, succeeds=False)
    assert "an HTML or XML page" in said(done)
    assert not archive.project.path(RAW).exists()


def test_the_plan_of_a_run_lists_downloads(archive):
    command = [RAW, "--cores", "1", "--configfile", "config/small.yaml"]
    done = WARM.run(command, archive.project.folder, archive.project.environment())
    assert done.returncode == 0, said(done)
    assert "\n1 job, about 10 seconds on 1 core and the downloads, in data/:\n" in said(done)
    assert "\nTo download: 1 file, about " in said(done)
