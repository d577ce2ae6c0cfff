"""Raw files in place: from the cache when it is good, from the archive when not, checked always."""

import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
import time
import zipfile

import pytest
from records import REPOSITORY, SCRIPTS, record

from servers import FileServer, KaggleServer, cut, page, stall, status
from skymill.engine.errors import SkymillError
from skymill.engine.products import read_json
from skymill.raw.fetch import fetch
from skymill.raw.files import changed_since, origin, put_by_hand, verify_raw
from skymill.raw.http import Patience
from skymill.raw.registry import (
    Source,
    branch_of,
    file_patterns,
    find_source,
    learnt,
    load_registry,
)

CONTENT = record(1)
CSV = b"oid,predicted_class\nZTF1,QSO\n"
FILE = "solar_flare_2020/train_partition1_data.json"


@pytest.fixture
def server():
    with FileServer() as server:
        server.files["/x.json"] = CONTENT
        yield server


class Place:
    """A folder to fetch into, with its cache and its lock."""

    def __init__(self, folder, server):
        self.server = server
        self.target = folder / "raw" / FILE
        self.cache = folder / "raw" / ".cache"
        self.lock = folder / "sources.lock.json"

    def source(self, path="/x.json", **fields):
        """Return a registry entry of the file."""
        described = {"kind": "json_lines", "page": "https://example.org", "citation": "none"}
        address = (self.server.address + path,)
        return Source(FILE, **{"licence": "none", "addresses": address, **described, **fields})

    def fetch(self, path="/x.json", **fields):
        """Fetch the file and return its content."""
        patience = Patience(attempts=2, timeout=5, first_pause=0)
        source = self.source(path, **fields)
        fetch(source, self.target, cache=self.cache, lock=self.lock, patience=patience)
        return self.target.read_bytes()

    @property
    def kept(self):
        """The file in the cache."""
        return self.cache / FILE


@pytest.fixture
def place(tmp_path, server):
    return Place(tmp_path, server)


def test_a_file_is_put_in_place_with_its_origin(place):
    assert place.fetch() == CONTENT
    assert origin(place.target) == "archive"
    assert verify_raw(place.target, "json_lines")["source"] == "archive"


def test_the_cache_takes_no_room(place):
    place.fetch()
    assert place.kept.samefile(place.target)


def test_a_rerun_hashes_instead_of_downloading(place):
    place.fetch()
    place.target.unlink()  # as Snakemake does
    assert place.fetch() == CONTENT
    assert len(place.server.requests) == 1


@pytest.mark.parametrize("damage", [b"", b"x" * len(CONTENT)])
def test_a_damaged_cache_is_fetched_anew(place, damage):
    place.fetch()
    place.target.unlink()
    place.kept.write_bytes(damage)
    assert place.fetch() == CONTENT
    assert len(place.server.requests) == 2


def test_a_new_pinned_version_is_fetched(place):
    place.fetch(version=1)
    place.server.files["/x.json"] = record(2)
    assert place.fetch(version=1) == CONTENT
    assert place.fetch(version=2) == record(2)


def test_what_was_learnt_from_the_first_download_is_enforced(place, tmp_path):
    place.fetch()
    other = Place(tmp_path / "other", place.server)
    other.lock = place.lock
    place.server.files["/x.json"] = record(2)
    with pytest.raises(SkymillError, match="delete its entry in") as caught:
        other.fetch()
    assert hashlib.sha256(CONTENT).hexdigest() in str(caught.value)
    assert not other.target.exists()


def test_what_the_registry_knows_is_not_learnt(place):
    place.fetch(checksum=f"md5:{hashlib.md5(CONTENT).hexdigest()}")
    assert learnt(place.source(), place.lock) is None


def test_the_checksum_of_the_registry_is_enforced(place):
    with pytest.raises(SkymillError, match="was expected"):
        place.fetch(checksum=f"md5:{'0' * 32}")
    assert not place.target.exists()


@pytest.mark.parametrize("listed", ["{md5}  {name}", "{md5} *{name}", "{md5} ./{name}"])
def test_a_list_of_checksums_is_asked(place, listed):
    name = "train_partition1_data.json"
    place.server.files["/MD5SUMS"] = listed.format(md5="0" * 32, name=name).encode()
    with pytest.raises(SkymillError, match=f"{'0' * 32} was expected"):
        place.fetch(checksums=place.server.address + "/MD5SUMS")
    md5 = hashlib.md5(CONTENT).hexdigest()
    place.server.files["/MD5SUMS"] = listed.format(md5=md5, name=name).encode()
    assert place.fetch(checksums=place.server.address + "/MD5SUMS") == CONTENT


def test_a_file_that_the_list_does_not_name_is_fetched_with_a_warning(place, caplog):
    place.server.files["/MD5SUMS"] = f"{'0' * 32} another\n".encode()
    assert place.fetch(checksums=place.server.address + "/MD5SUMS") == CONTENT
    assert "does not list" in caplog.text


def tarball(**members):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(f"folder/{name}.csv")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def test_of_a_tarball_only_the_member_is_kept(place):
    place.server.files["/x.tar.gz"] = tarball(features=b"1" * 5000, labels=CSV)
    assert place.fetch("/x.tar.gz", kind="text", member="labels.csv") == CSV
    files = [path for path in place.cache.rglob("*") if path.is_file()]
    assert sorted(path.name for path in files) == [
        "train_partition1_data.json",
        "train_partition1_data.json.source.json",
    ]
    place.target.unlink()
    assert place.fetch("/x.tar.gz", kind="text", member="labels.csv") == CSV
    assert len(place.server.requests) == 1


def test_a_member_that_is_not_there_is_told_with_what_is(place):
    place.server.files["/x.tar.gz"] = tarball(features=b"1")
    with pytest.raises(SkymillError, match=r"holds no single labels\.csv, but folder/features"):
        place.fetch("/x.tar.gz", kind="text", member="labels.csv")


def test_a_damaged_tarball_is_fetched_anew_by_the_next_run(place):
    good = tarball(features=os.urandom(100_000), labels=CSV)
    place.server.files["/x.tar.gz"] = good[:70_000]
    with pytest.raises(SkymillError, match="is damaged"):
        place.fetch("/x.tar.gz", kind="text", member="labels.csv")
    place.server.files["/x.tar.gz"] = good
    assert place.fetch("/x.tar.gz", kind="text", member="labels.csv") == CSV


def test_a_file_put_there_by_hand_is_known_as_such(place):
    place.target.parent.mkdir(parents=True)
    place.target.write_bytes(CONTENT)
    assert put_by_hand(place.target)


@pytest.mark.parametrize("content", [record(22), record(2)])
def test_a_download_that_was_replaced_by_hand_is_local(place, content):
    place.fetch()
    place.target.unlink()
    place.target.write_bytes(content)
    receipt = verify_raw(place.target, "json_lines")
    assert receipt["source"] == "local"
    assert put_by_hand(place.target)
    assert changed_since({"raw": receipt}, place.target, receipt["name"]) is None


def test_a_file_is_never_in_place_without_its_origin(place, monkeypatch):
    def fail(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("skymill.raw.fetch.os.utime", fail)
    with pytest.raises(KeyboardInterrupt):
        place.fetch()
    assert not place.target.exists()
    monkeypatch.undo()
    assert place.fetch() == CONTENT
    assert origin(place.target) == "archive"


def test_a_wrong_checksum_of_a_raw_file_is_told_with_both(place):
    place.fetch()
    with pytest.raises(SkymillError, match="expected is 00"):
        verify_raw(place.target, "json_lines", checksum=f"sha256:{'0' * 64}")


# --- The registry ----------------------------------------------------------------------------


def test_every_registered_file_has_an_entry_of_its_own():
    registry = load_registry(REPOSITORY / "config" / "sources.yaml")
    for name in file_patterns(registry):
        file = name.replace("{night}", "20181129").replace("{own_night}", "my_alerts")
        source = find_source(registry, file)
        own = "{own_night}" in name
        assert own != bool(source.addresses or (source.kaggle and source.version))
        assert branch_of(registry, source.file) in registry


@pytest.mark.parametrize("night", ["20181129", "20181129_programid3"])
def test_a_night_fills_in_its_address(night):
    registry = load_registry(REPOSITORY / "config" / "sources.yaml")
    source = find_source(registry, f"ztf/ztf_public_{night}.tar.gz")
    assert source.addresses[0].endswith(f"/ztf_public_{night}.tar.gz")


def test_an_unknown_file_is_told():
    registry = load_registry(REPOSITORY / "config" / "sources.yaml")
    with pytest.raises(SkymillError, match="does not know ztf/other"):
        find_source(registry, "ztf/other.zip")


def test_a_text_that_was_gzipped_by_hand_has_a_kind_and_nothing_to_fetch():
    registry = load_registry(REPOSITORY / "config" / "sources.yaml")
    for file in ("solar_flare_2020/test_4_5_data.json", "stealth/data.csv"):
        plain, gzipped = (find_source(registry, name) for name in (file, f"{file}.gz"))
        assert gzipped.kind == plain.kind
        assert gzipped.file == f"{file}.gz"
        assert branch_of(registry, gzipped.file) == branch_of(registry, file)
        assert (gzipped.addresses, gzipped.kaggle, gzipped.checksum) == ((), None, None)
    with pytest.raises(SkymillError, match="does not know"):
        find_source(registry, "sdobenchmark.zip.gz")


# --- Kaggle: the client runs in a process of its own, as it does in a job -----------------------

TOKEN = "KGAT_0123456789abcdef0123456789abcdef"

JOB = """
import json, sys
from pathlib import Path
from skymill.engine.errors import SkymillError
from skymill.raw.fetch import fetch
from skymill.raw.registry import Source
target, fields = Path(sys.argv[1]), json.loads(sys.argv[2])
fields |= {"page": "https://kaggle/page", "licence": "", "citation": "", "version": 1}
source = Source(target.name, **fields)
folder = target.parent
try:
    fetch(source, target, cache=folder / ".cache", lock=folder / "lock.json")
except SkymillError as error:
    sys.stderr.write(f"REFUSED {error}")
    raise SystemExit(3)
"""


@pytest.fixture
def kaggle():
    with KaggleServer() as server:
        yield server


def zipped(**members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.csv", content)
    return buffer.getvalue()


def start_job(server, folder, credentials=None, **fields):
    home = folder / "home"
    home.mkdir(exist_ok=True)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "PYTHONPATH": str(SCRIPTS),
        **server.environment(),
        **(credentials or {}),
    }
    return subprocess.Popen(
        [sys.executable, "-c", JOB, str(folder / "x.zip"), json.dumps(fields)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run_job(*arguments, **fields):
    job = start_job(*arguments, **fields)
    stdout, stderr = job.communicate(timeout=60)
    return subprocess.CompletedProcess(job.args, job.returncode, stdout, stderr)


CREDENTIALS = [{"KAGGLE_API_TOKEN": TOKEN}, {"KAGGLE_USERNAME": "tester", "KAGGLE_KEY": "0" * 32}]


@pytest.mark.parametrize("credentials", CREDENTIALS)
def test_a_pinned_data_set_is_downloaded(kaggle, tmp_path, credentials):
    kaggle.files["/blob/set.zip"] = zipped(data=b"1,2\n" * 5000)
    done = run_job(kaggle, tmp_path, credentials, kind="zip", kaggle="owner/set")
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert (tmp_path / "x.zip").read_bytes() == kaggle.files["/blob/set.zip"]
    assert kaggle.asked[0]["datasetVersionNumber"] == 1
    assert read_json(tmp_path / "lock.json")["x.zip"]["version"] == 1


@pytest.mark.parametrize("name", ["access_token", "kaggle.json"])
def test_credentials_in_files_are_found(kaggle, tmp_path, name):
    folder = tmp_path / "home" / ".kaggle"
    folder.mkdir(parents=True)
    legacy = json.dumps({"username": "tester", "key": "0" * 32})
    (folder / name).write_text(TOKEN if name == "access_token" else legacy)
    (folder / name).chmod(0o600)
    kaggle.files["/blob/set.zip"] = zipped(data=b"1,2\n")
    done = run_job(kaggle, tmp_path, kind="text", kaggle="owner/set", member="data.csv")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "x.zip").read_bytes() == b"1,2\n"


def test_an_interrupted_zip_is_gone_on_with(kaggle, tmp_path):
    content = zipped(data=os.urandom(3_000_000))
    kaggle.files["/blob/set.zip"] = content
    kaggle.misbehave("/blob/set.zip", cut(1_500_000))
    done = run_job(kaggle, tmp_path, CREDENTIALS[0], kind="zip", kaggle="owner/set")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "x.zip").read_bytes() == content
    assert kaggle.ranges() == [None, f"bytes={2**20}-"]


def test_a_killed_download_is_gone_on_with_by_the_next_run(kaggle, tmp_path):
    content = zipped(data=os.urandom(5_000_000))
    kaggle.files["/blob/set.zip"] = content
    kaggle.misbehave("/blob/set.zip", stall(after=3 * 2**20, seconds=30))
    job = start_job(kaggle, tmp_path, CREDENTIALS[0], kind="zip", kaggle="owner/set")
    part = tmp_path / ".cache" / ".kaggle" / "set.zip"
    deadline = time.monotonic() + 30
    while not (part.exists() and part.stat().st_size >= 2**20):
        assert job.poll() is None, job.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    job.kill()
    job.communicate()
    kept = part.stat().st_size

    done = run_job(kaggle, tmp_path, CREDENTIALS[0], kind="zip", kaggle="owner/set")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "x.zip").read_bytes() == content
    assert kaggle.ranges()[-1] == f"bytes={kept}-"


@pytest.mark.parametrize("code", [401, 403, 404])
def test_a_refusal_says_where_to_go_and_what_to_do(kaggle, tmp_path, code):
    kaggle.refusals["owner/set"] = code
    done = run_job(kaggle, tmp_path, CREDENTIALS[0], kind="zip", kaggle="owner/set")
    assert done.returncode == 3, done.stderr
    for hint in (f"({code})", "https://kaggle/page", "KAGGLE_API_TOKEN", "data/raw/x.zip"):
        assert hint in done.stderr
    assert TOKEN not in done.stderr + done.stdout


def test_missing_credentials_are_told(kaggle, tmp_path):
    done = run_job(kaggle, tmp_path, kind="zip", kaggle="owner/set")
    assert done.returncode == 3, done.stderr
    assert "found no credentials" in done.stderr
    assert "~/.kaggle/access_token" in done.stderr


def test_a_page_in_place_of_the_zip_is_refused(kaggle, tmp_path):
    kaggle.always("/blob/set.zip", page(b"<html>Sign in</html>"))
    done = run_job(kaggle, tmp_path, CREDENTIALS[0], kind="zip", kaggle="owner/set")
    assert done.returncode == 3, done.stderr
    assert "HTML" in done.stderr
    assert not (tmp_path / "x.zip").exists()


def test_a_server_in_trouble_is_told(kaggle, tmp_path):
    kaggle.always("/blob/set.zip", status(500))
    done = run_job(kaggle, tmp_path, CREDENTIALS[0], kind="zip", kaggle="owner/set")
    assert done.returncode == 3, done.stderr
    assert "500" in done.stderr


NIGHT = "ztf/ztf_public_20180604.tar.gz"


@pytest.fixture
def night(tmp_path, server):
    """Return a function that fetches a night that the archive does not have."""

    def fetch_night(listed="20180605", may_be_absent=True):
        if listed:
            server.files["/MD5SUMS"] = f"{'0' * 32}  ztf_public_{listed}.tar.gz\n".encode()
        source = Source(
            NIGHT,
            kind="gzip",
            page="https://example.org",
            licence="none",
            citation="none",
            addresses=(server.address + "/night.tar.gz",),
            checksums=server.address + "/MD5SUMS",
        )
        target = tmp_path / "raw" / NIGHT
        fetch(
            source,
            target,
            cache=tmp_path / "raw" / ".cache",
            lock=tmp_path / "lock.json",
            patience=Patience(attempts=2, timeout=5, first_pause=0),
            may_be_absent=may_be_absent,
        )
        return target

    return fetch_night


def test_a_day_without_a_night_becomes_an_empty_tarball_that_says_so(night, server, tmp_path):
    target = night()
    with tarfile.open(target) as archive:
        assert archive.getnames() == []
    sidecar = read_json(f"{target}.source.json")
    assert sidecar["absent"] == server.address + "/night.tar.gz"
    assert verify_raw(target, "gzip")["source"] == "archive"
    assert not (tmp_path / "lock.json").exists()
    # Nothing is kept: another try asks the archive again.
    server.files["/night.tar.gz"] = b"\x1f\x8b" + b"now there is one"
    assert night().read_bytes() == server.files["/night.tar.gz"]
    assert "absent" not in read_json(f"{target}.source.json")


@pytest.mark.parametrize(
    ("listed", "may_be_absent"),
    [("20180604", True), ("20180603", True), (None, True), ("20180605", False)],
    ids=["listed", "not listed yet", "no list", "named"],
)
def test_a_night_that_should_be_there_is_not_made_up(night, tmp_path, listed, may_be_absent):
    with pytest.raises(SkymillError, match="404"):
        night(listed, may_be_absent)
    assert not (tmp_path / "raw" / NIGHT).exists()


def test_a_server_in_trouble_does_not_make_a_night_absent(night, server, tmp_path):
    server.always("/night.tar.gz", status(503))
    with pytest.raises(SkymillError, match="503"):
        night()
    assert not (tmp_path / "raw" / NIGHT).exists()


# --- A Dataverse that tells size, checksum and licence -------------------------------------------

PERSISTENT_ID = "doi:10.7910/DVN/EBCFKM/BMXYCB"


def dataset(content=CONTENT, *, file=PERSISTENT_ID, licence=None, **told):
    """Return the JSON of a data set with one file, as a Dataverse writes it."""
    md5 = hashlib.md5(content).hexdigest()
    described = {
        "persistentId": file,
        "filename": "partition1_instances.tar.gz",
        "filesize": len(content),
        "md5": md5,
        "checksum": {"type": "MD5", "value": md5},
    }
    licence = licence or {"name": "CC0 1.0", "uri": "https://example.org"}
    version = {"license": licence, "files": [{"dataFile": described | told}]}
    return json.dumps({"status": "OK", "data": {"latestVersion": version}}).encode()


def fetch_from_dataverse(place):
    told = {"dataset": f"{place.server.address}/dataset", "file": PERSISTENT_ID}
    return place.fetch(dataverse=told)


def test_a_dataverse_is_asked_once_and_what_it_tells_is_enforced(place):
    place.server.files["/dataset"] = dataset()
    assert fetch_from_dataverse(place) == CONTENT
    md5 = hashlib.md5(CONTENT).hexdigest()
    assert read_json(place.lock)[FILE] == {
        "bytes": len(CONTENT),
        "checksum": f"md5:{md5}",
        "version": None,
        "licence": "CC0 1.0",
    }
    place.target.unlink()
    place.kept.unlink()
    del place.server.files["/dataset"]
    assert fetch_from_dataverse(place) == CONTENT
    place.target.unlink()
    place.kept.unlink()
    place.server.files["/x.json"] = record(2)
    with pytest.raises(SkymillError, match="The first download of it had md5:"):
        fetch_from_dataverse(place)


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"md5": None, "checksum": {"type": "SHA-256", "value": "0" * 64}}, "was expected"),
        ({"checksum": {"type": "MD5", "value": "0" * 32}}, "was expected"),
        ({"filesize": 5}, "5"),
        ({"file": "doi:10.7910/DVN/EBCFKM/OTHER"}, "has no file doi:.*BMXYCB, but partition1_inst"),
    ],
)
def test_a_file_that_is_not_as_the_dataverse_tells_is_refused(place, told, message):
    place.server.files["/dataset"] = dataset(**told)
    with pytest.raises(SkymillError, match=message):
        fetch_from_dataverse(place)
    assert not place.target.exists()
    assert not place.lock.exists()


@pytest.mark.parametrize("licence", ["CC0", {"name": "CC0", "uri": "x"}])
def test_a_checksum_that_a_dataverse_does_not_tell_is_learnt(place, caplog, licence):
    untold = {"md5": None, "checksum": None, "licence": licence}
    place.server.files["/dataset"] = dataset(**untold)
    assert fetch_from_dataverse(place) == CONTENT
    assert "tells no checksum" in caplog.text
    known = read_json(place.lock)[FILE]
    assert known["checksum"] == f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
    assert known["licence"] == "CC0"


@pytest.mark.parametrize("answer", [b"<html>", b"", b"[]", b'{"status": "OK", "data": {}}'])
def test_an_answer_that_is_no_data_set_is_refused(place, answer):
    place.server.files["/dataset"] = answer
    with pytest.raises(SkymillError):
        fetch_from_dataverse(place)
    assert not place.target.exists()


def test_a_dataverse_that_is_not_there_is_told_with_what_to_do(place):
    with pytest.raises(SkymillError, match="put it at data/raw/"):
        fetch_from_dataverse(place)


def test_the_registry_knows_each_partition_of_swan_sf_by_its_persistent_id():
    registry = load_registry(REPOSITORY / "config" / "sources.yaml")
    ids = [
        find_source(registry, f"swan_sf/partition{number}_instances.tar.gz").dataverse["file"]
        for number in range(1, 6)
    ]
    names = ("BMXYCB", "TCRPUD", "PTPGQT", "FIFLFU", "QC2C3X")
    assert ids == [f"doi:10.7910/DVN/EBCFKM/{name}" for name in names]
    for number, own in enumerate(ids, start=1):
        source = find_source(registry, f"swan_sf/partition{number}_instances.tar.gz")
        assert source.addresses[0].endswith(f"?persistentId={own}")
        assert (source.kind, source.size, source.checksum) == ("gzip", None, None)
