"""Raw files come from the cache if it is good, else from the archive, and are always checked."""

import dataclasses
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import time
import zipfile

import pytest
from jsonschema import Draft202012Validator
from records import REPOSITORY, SCRIPTS, record

from servers import FileServer, KaggleServer, chunked, cut, page, stall, status, until_the_end
from skymill.engine.errors import SkymillError
from skymill.engine.products import read_json, write_json
from skymill.engine.yaml_files import read_yaml
from skymill.raw.fetch import fetch
from skymill.raw.files import changed_since, origin, put_by_hand, verify_raw
from skymill.raw.http import Patience
from skymill.raw.registry import (
    Source,
    about_downloads,
    branch_of,
    enforced_checksum,
    file_patterns,
    find_source,
    learn,
    learnt,
    load_registry,
)
from warm_jobs import SOCKET, warm_jobs

CONTENT = record(1)
CSV = b"oid,predicted_class\nZTF1,QSO\n"
SHA256 = f"sha256:{'0' * 64}"
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


def test_the_cache_takes_no_additional_space(place):
    place.fetch()
    assert place.kept.samefile(place.target)


def test_a_rerun_hashes_instead_of_downloading(place):
    place.fetch()
    place.target.unlink()  # as Snakemake does
    assert place.fetch() == CONTENT
    assert len(place.server.requests) == 1


@pytest.mark.parametrize("damage", [b"", b"x" * len(CONTENT)])
def test_a_damaged_file_in_the_cache_is_fetched_again(place, damage):
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


def test_checksum_and_size_of_the_first_download_are_enforced(place, tmp_path):
    place.fetch()
    other = Place(tmp_path / "other", place.server)
    other.lock = place.lock
    place.server.files["/x.json"] = record(2)
    with pytest.raises(SkymillError, match="delete its entry in") as caught:
        other.fetch()
    assert hashlib.sha256(CONTENT).hexdigest() in str(caught.value)
    assert not other.target.exists()


def test_nothing_is_learnt_of_a_file_of_unannounced_length(place):
    place.server.always("/x.json", until_the_end())
    assert place.fetch(min_size=100) == CONTENT
    assert not place.lock.exists()
    assert learnt(place.source(), place.source().web, place.lock) is None


@pytest.mark.parametrize("failure", [status(503), status(404)])
def test_a_server_error_is_not_mistaken_for_a_changed_file(place, failure):
    place.fetch()
    place.target.unlink()
    shutil.rmtree(place.cache)
    place.server.always("/x.json", failure)
    with pytest.raises(SkymillError) as caught:
        place.fetch()
    assert "delete its entry" not in str(caught.value)
    assert "run again" in str(caught.value)


def test_checksums_in_the_registry_are_not_learnt(place):
    place.fetch(checksum=f"md5:{hashlib.md5(CONTENT).hexdigest()}")
    source = place.source()
    assert learnt(source, source.web, place.lock) is None


def test_the_checksum_of_the_registry_is_enforced(place):
    with pytest.raises(SkymillError, match="was expected"):
        place.fetch(checksum=f"md5:{'0' * 32}")
    assert not place.target.exists()


@pytest.mark.parametrize("listed", ["{md5}  {name}", "{md5} *{name}", "{md5} ./{name}"])
def test_a_published_list_of_checksums_is_used(place, listed):
    name = "train_partition1_data.json"
    place.server.files["/MD5SUMS"] = listed.format(md5="0" * 32, name=name).encode()
    with pytest.raises(SkymillError, match=f"{'0' * 32} was expected"):
        place.fetch(checksums=place.server.address + "/MD5SUMS")
    md5 = hashlib.md5(CONTENT).hexdigest()
    place.server.files["/MD5SUMS"] = listed.format(md5=md5, name=name).encode()
    assert place.fetch(checksums=place.server.address + "/MD5SUMS") == CONTENT


def test_a_file_that_is_not_in_the_list_is_fetched_with_a_warning(place, caplog):
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


def test_only_the_member_of_a_tarball_is_kept(place):
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


def test_a_tarball_that_was_complete_when_the_run_was_killed_is_not_fetched_again(
    place, monkeypatch
):
    place.server.files["/x.tar.gz"] = tarball(labels=CSV)
    monkeypatch.setattr("skymill.raw.fetch._extract", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        place.fetch("/x.tar.gz", kind="text", member="labels.csv")
    monkeypatch.undo()
    assert place.fetch("/x.tar.gz", kind="text", member="labels.csv") == CSV
    assert len(place.server.requests) == 1
    place.target.unlink()
    assert place.fetch("/x.tar.gz", kind="text", member="labels.csv", version=2) == CSV
    assert len(place.server.requests) == 2
    assert learnt(place.source(version=2), place.source("/x.tar.gz").web, place.lock)


def test_a_missing_member_is_named_with_the_existing_ones(place):
    place.server.files["/x.tar.gz"] = tarball(features=b"1")
    with pytest.raises(
        SkymillError, match=r"must contain labels\.csv exactly once, but contains folder/features"
    ):
        place.fetch("/x.tar.gz", kind="text", member="labels.csv")


def test_a_damaged_tarball_is_fetched_again_by_the_next_run(place):
    good = tarball(features=os.urandom(100_000), labels=CSV)
    place.server.files["/x.tar.gz"] = good[:70_000]
    with pytest.raises(SkymillError, match="is damaged"):
        place.fetch("/x.tar.gz", kind="text", member="labels.csv")
    place.server.files["/x.tar.gz"] = good
    assert place.fetch("/x.tar.gz", kind="text", member="labels.csv") == CSV


def test_a_file_put_there_by_hand_counts_as_local(place):
    place.target.parent.mkdir(parents=True)
    place.target.write_bytes(CONTENT)
    assert put_by_hand(place.target)


@pytest.mark.parametrize("content", [record(22), record(2)])
def test_a_download_that_was_replaced_by_hand_counts_as_local(place, content):
    place.fetch()
    place.target.unlink()
    place.target.write_bytes(content)
    receipt = verify_raw(place.target, "json_lines")
    assert receipt["source"] == "local"
    assert put_by_hand(place.target)
    assert changed_since({"raw": receipt}, place.target, receipt["name"], bool) is None


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


def test_a_wrong_checksum_of_a_raw_file_is_shown_with_the_expected_one(place):
    place.fetch()
    with pytest.raises(SkymillError, match="expected is 00"):
        verify_raw(place.target, "json_lines", checksum=f"sha256:{'0' * 64}")


# --- The registry ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no section `collections`"),
        ("- a", "has no section `collections`"),
        ("other: {}", "has no section `collections`"),
        ("collections:", "has no section `collections`"),
        ("collections: [a]", "has no section `collections`"),
        ("collections: [", "is not YAML in UTF-8"),
    ],
)
def test_a_file_that_is_no_registry_is_named(tmp_path, text, message):
    path = tmp_path / "sources.yaml"
    path.write_text(text)
    with pytest.raises(SkymillError, match=f"sources.yaml {message}"):
        load_registry(path)


def test_every_registered_file_has_its_own_entry():
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


@pytest.mark.parametrize(
    ("keys", "fits"),
    [
        ({"url": "https://a.b/c"}, True),
        ({"kaggle": "a/b", "version": 1}, True),
        ({"url": "https://a.b/c", "kaggle": "a/b", "version": 1, "min_size": 1}, True),
        ({"url": "https://a.b/c", "kaggle": "a/b", "version": 1, "size": 1}, False),
        ({"url": "https://a.b/c", "kaggle": "a/b", "version": 1, "checksum": SHA256}, False),
        ({"url": "https://a.b/c", "size": 1, "checksum": SHA256, "min_lines": 1}, True),
        ({"kaggle": "a/b"}, False),
        ({"kaggle": "a/b", "version": 1, "mirrors": ["https://a.b/c"]}, False),
        ({"kaggle": "a/b", "version": 1, "checksums": "https://a.b/c"}, False),
        ({"url": "https://a.b/c", "version": 1}, False),
    ],
)
def test_an_entry_says_where_a_file_comes_from(keys, fits):
    schema = read_yaml(REPOSITORY / "workflow/schemas/sources.schema.yaml")
    described = dict.fromkeys(("page", "licence", "citation", "title"), "https://a.b")
    collection = {**described, "files": {"x": {"kind": "zip", **keys}}}
    document = {"collections": {"sdo": collection}}
    assert Draft202012Validator(schema).is_valid(document) == fits


def test_an_unknown_file_is_refused():
    registry = load_registry(REPOSITORY / "config" / "sources.yaml")
    with pytest.raises(SkymillError, match="does not list ztf/other"):
        find_source(registry, "ztf/other.zip")


def test_a_text_gzipped_by_hand_has_a_kind_and_no_address():
    registry = load_registry(REPOSITORY / "config" / "sources.yaml")
    for file in ("solar_flare_2020/test_4_5_data.json", "stealth/data.csv"):
        plain, gzipped = (find_source(registry, name) for name in (file, f"{file}.gz"))
        assert gzipped.kind == plain.kind
        assert gzipped.file == f"{file}.gz"
        assert branch_of(registry, gzipped.file) == branch_of(registry, file)
        assert (gzipped.addresses, gzipped.kaggle, gzipped.checksum) == ((), None, None)
    with pytest.raises(SkymillError, match="does not list"):
        find_source(registry, "sdobenchmark.zip.gz")


# --- Kaggle: the client runs in a separate process, as in a job ----------------------------------

TOKEN = "KGAT_0123456789abcdef0123456789abcdef"

JOB = """
import json, sys
from pathlib import Path
from skymill.engine.errors import SkymillError
from skymill.raw.fetch import fetch
from skymill.raw.http import Patience
from skymill.raw.registry import Source
target, fields = Path(sys.argv[1]), json.loads(sys.argv[2])
fields |= {"page": "https://kaggle/page", "licence": "", "citation": "", "version": 1}
patience = {"attempts": 2, "timeout": 10, "first_pause": 0, **fields.pop("patience", {})}
patience = Patience(**patience)
source = Source(target.name, **fields)
folder = target.parent
try:
    fetch(source, target, cache=folder / ".cache", lock=folder / "lock.json", patience=patience)
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


def start_job(server, folder, credentials=None, script=JOB, python=sys.executable, **fields):
    home = folder / "home"
    home.mkdir(exist_ok=True)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "PYTHONPATH": str(SCRIPTS),
        SOCKET: warm_jobs().address,
        **server.environment(),
        **(credentials or {}),
    }
    (folder / "job.py").write_text(script)
    return subprocess.Popen(
        [python, folder / "job.py", str(folder / "x.zip"), json.dumps(fields)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run_job(*arguments, **fields):
    job = start_job(*arguments, python=warm_jobs().python, **fields)
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


def test_an_interrupted_zip_is_resumed(kaggle, tmp_path):
    content = zipped(data=os.urandom(3_000_000))
    kaggle.files["/blob/set.zip"] = content
    kaggle.misbehave("/blob/set.zip", cut(1_500_000))
    done = run_job(kaggle, tmp_path, CREDENTIALS[0], kind="zip", kaggle="owner/set")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "x.zip").read_bytes() == content
    assert kaggle.ranges() == [None, "bytes=1500000-"]


def test_a_killed_download_is_resumed_by_the_next_run(kaggle, tmp_path):
    content = zipped(data=os.urandom(5_000_000))
    kaggle.files["/blob/set.zip"] = content
    kaggle.misbehave("/blob/set.zip", stall(after=3 * 2**20, seconds=30))
    job = start_job(kaggle, tmp_path, CREDENTIALS[0], kind="zip", kaggle="owner/set")
    part = tmp_path / ".cache" / "x.zip.part"
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


def test_missing_credentials_are_reported(kaggle, tmp_path):
    done = run_job(kaggle, tmp_path, kind="zip", kaggle="owner/set")
    assert done.returncode == 3, done.stderr
    assert "found no credentials for Kaggle" in done.stderr
    assert "~/.kaggle/access_token" in done.stderr


def test_a_page_instead_of_the_zip_is_refused(kaggle, tmp_path):
    kaggle.always("/blob/set.zip", page(b"<html>Sign in</html>"))
    done = run_job(kaggle, tmp_path, CREDENTIALS[0], kind="zip", kaggle="owner/set")
    assert done.returncode == 3, done.stderr
    assert "HTML" in done.stderr
    assert not (tmp_path / "x.zip").exists()


CALLS = ["IntrospectToken", "DownloadDataset", "/blob/set.zip"]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("code", [500, 503])
def test_a_failing_server_is_reported_after_the_set_number_of_tries(kaggle, tmp_path, call, code):
    kaggle.always(call, status(code))
    patience = {"attempts": 3}
    done = run_job(
        kaggle, tmp_path, CREDENTIALS[0], kind="zip", kaggle="owner/set", patience=patience
    )
    assert done.returncode == 3, done.stderr
    assert f"the server answered {code}" in done.stderr
    assert "(after 3 tries without a new byte)" in done.stderr
    asked = [path for _, path, _ in kaggle.requests if path.endswith(call)]
    assert len(asked) == 3


@pytest.mark.parametrize("call", CALLS)
def test_a_server_that_asks_to_wait_is_waited_for(kaggle, tmp_path, call):
    kaggle.files["/blob/set.zip"] = zipped(data=b"1,2\n")
    kaggle.misbehave(call, status(429, Retry_After=1))
    patience = {"attempts": 1}
    began = time.monotonic()
    done = run_job(
        kaggle, tmp_path, CREDENTIALS[0], kind="zip", kaggle="owner/set", patience=patience
    )
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - began >= 1


@pytest.mark.parametrize("call", CALLS)
def test_a_silent_server_is_given_up_after_the_set_time(kaggle, tmp_path, call):
    def fall_silent(handler, _):
        time.sleep(3)
        handler.close_connection = True

    kaggle.always(call, fall_silent)
    patience = {"attempts": 1, "timeout": 0.2}
    done = run_job(
        kaggle, tmp_path, CREDENTIALS[0], kind="zip", kaggle="owner/set", patience=patience
    )
    assert done.returncode == 3, done.stderr
    assert "silence for 0.2 s" in done.stderr


@pytest.mark.parametrize("token", [TOKEN, "KGAT_revoked0123456789"])
def test_a_refused_token_is_named_by_its_place(kaggle, tmp_path, token):
    if token == TOKEN:
        kaggle.always("IntrospectToken", status(401))
    credentials = {"KAGGLE_API_TOKEN": token}
    done = run_job(kaggle, tmp_path, credentials, kind="zip", kaggle="owner/set")
    assert done.returncode == 3, done.stderr
    assert "refused the credentials in KAGGLE_API_TOKEN" in done.stderr
    assert token not in done.stderr + done.stdout


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"http_proxy": "http://me:planted-1234@127.0.0.1:9"}, "no connection to the proxy"),
        ({"http_proxy": ""}, "no connection (Connection refused)"),
        ({"http_proxy": "me:planted-1234#@127.0.0.1:9"}, "the proxy (http_proxy=http://127.0.0.1"),
        ({"KAGGLE_API_ENVIRONMENT": "TEST", "http_proxy": ""}, "no connection (Conn"),
        ({"KAGGLE_API_ENVIRONMENT": "ELSEWHERE"}, "Skymill does not understand Kaggle's answer"),
        ({"KAGGLE_API_TOKEN": "planted-1234 5"}, "has a space, a line break"),
        ({"KAGGLE_API_TOKEN": "planted-1234\r\n5"}, "has a space, a line break"),
        ({"KAGGLE_API_TOKEN": "planted-1234\u2019"}, "a letter that no credentials have"),
        ({"KAGGLE_API_TOKEN": "planted-1234" * 40, "http_proxy": ""}, "no connection (Conn"),
    ],
)
def test_network_problems_on_the_way_to_kaggle_are_reported(kaggle, tmp_path, variables, said):
    for name, value in list(variables.items()):
        if name == "http_proxy":
            variables["HTTP_PROXY"] = value
    done = run_job(
        kaggle, tmp_path, CREDENTIALS[0] | variables, kind="zip", kaggle="owner/set",
        patience={"attempts": 1},
    )  # fmt: skip
    assert done.returncode == 3, done.stderr
    assert said in done.stderr
    assert "planted" not in done.stderr + done.stdout
    assert TOKEN not in done.stderr + done.stdout


@pytest.mark.parametrize("answer", [page(b"<html>Sign in"), page(b"[1]", "application/json")])
@pytest.mark.parametrize("call", CALLS)
def test_an_answer_that_is_not_from_kaggle_is_reported(kaggle, tmp_path, call, answer):
    kaggle.always(call, answer)
    done = run_job(kaggle, tmp_path, CREDENTIALS[0], kind="zip", kaggle="owner/set")
    assert done.returncode == 3, done.stderr


def test_nothing_is_written_to_the_home_of_the_user(kaggle, tmp_path):
    kaggle.files["/blob/set.zip"] = zipped(data=b"1,2\n")
    done = run_job(kaggle, tmp_path, CREDENTIALS[0], kind="zip", kaggle="owner/set")
    assert done.returncode == 0, done.stderr
    assert list((tmp_path / "home").iterdir()) == []


@pytest.mark.parametrize("validator", ["the same", "another"])
def test_downloads_of_an_earlier_release_are_resumed_or_deleted(kaggle, tmp_path, validator):
    content = kaggle.files["/blob/set.zip"] = zipped(data=os.urandom(300_000))
    folder = tmp_path / ".cache" / ".kaggle"
    folder.mkdir(parents=True)
    (folder / "set.zip").write_bytes(content[:200_000])
    etag = f'"{hashlib.md5(content).hexdigest()}"' if validator == "the same" else '"1"'
    marker = {"validator": etag, "size": len(content)}
    (folder / "set.zip.kaggle-partial").write_text(json.dumps(marker))
    done = run_job(kaggle, tmp_path, CREDENTIALS[0], kind="zip", kaggle="owner/set")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "x.zip").read_bytes() == content
    assert kaggle.ranges() == ["bytes=200000-"]
    assert list(folder.iterdir()) == []


def test_downloads_of_an_earlier_release_without_a_note_are_deleted(kaggle, tmp_path):
    kaggle.files["/blob/set.zip"] = zipped(data=b"1,2\n")
    folder = tmp_path / ".cache" / ".kaggle"
    folder.mkdir(parents=True)
    (folder / "set.zip").write_bytes(b"PK")
    done = run_job(kaggle, tmp_path, CREDENTIALS[0], kind="zip", kaggle="owner/set")
    assert done.returncode == 0, done.stderr
    assert list(folder.iterdir()) == []


# --- Secrets: each kind is planted where it is read, and searched for in all output of a job -----

LOGGED_JOB = """
import sys
from pathlib import Path
from skymill.engine.job import logged_job
from skymill.raw.fetch import fetch
from skymill.raw.http import Patience
from skymill.raw.registry import Source
folder = Path(sys.argv[1])
with logged_job("retrieve.py", str(folder / "job.log")):
    source = Source("x.zip", "zip", "page", "", "", kaggle="owner/set", version=1)
    patience = Patience(attempts=1, timeout=10, first_pause=0)
    place = {"cache": folder / ".cache", "lock": folder / "lock.json"}
    fetch(source, folder / "x.zip", patience=patience, **place)
"""

PLANTED = "planted0123456789abcdef01234567"
KEY = json.dumps({"username": "tester", "key": f"{PLANTED}\n"})
LOGIN = json.dumps({"refresh_token": PLANTED, "access_token": PLANTED, "username": "tester"})
FAR = {"access_token_expiration": "2099-01-01T00:00:00+00:00"}
SECRETS = {
    "token": {"KAGGLE_API_TOKEN": f"KGAT_{PLANTED}"},
    "token with a carriage return": {"KAGGLE_API_TOKEN": f"KGAT_{PLANTED}\r"},
    "token with a line feed": {"KAGGLE_API_TOKEN": f"KGAT_{PLANTED}\n"},
    "token of two lines": {"KAGGLE_API_TOKEN": f"KGAT_{PLANTED}\n{PLANTED}"},
    "token that is not ASCII": {"KAGGLE_API_TOKEN": f"KGAT_{PLANTED}\u201d"},
    "token that is longer than a name": {"KAGGLE_API_TOKEN": PLANTED * 20},
    "token in a named file": {"KAGGLE_API_TOKEN": "{home}/.kaggle/named"},
    "key": {"KAGGLE_USERNAME": "tester", "KAGGLE_KEY": f"{PLANTED}\r\n"},
    "key of two lines": {"KAGGLE_USERNAME": "tester", "KAGGLE_KEY": f"{PLANTED}\n{PLANTED}"},
    "proxy": {"KAGGLE_API_TOKEN": TOKEN, "http_proxy": f"http://me:{PLANTED}@127.0.0.1:9"},
    "broken proxy": {"KAGGLE_API_TOKEN": TOKEN, "http_proxy": f"me:{PLANTED}#/@127.0.0.1:x"},
    "kaggle.json elsewhere": {"KAGGLE_CONFIG_DIR": "{home}/.kaggle/own"},
    "access_token": {},
    "access_token.txt": {},
    "kaggle.json": {},
    "broken kaggle.json": {},
    "login": {},
    "expired login": {},
}
FILES = {
    "token in a named file": ("named", f"KGAT_{PLANTED}\r\n"),
    "access_token": ("access_token", f"KGAT_{PLANTED}\r\n"),
    "access_token.txt": ("access_token.txt", f"KGAT_{PLANTED}\r\n"),
    "kaggle.json": ("kaggle.json", KEY),
    "broken kaggle.json": ("kaggle.json", KEY[:-1]),
    "kaggle.json elsewhere": ("own/kaggle.json", KEY),
    "login": ("credentials.json", json.dumps(json.loads(LOGIN) | FAR)),
    "expired login": ("credentials.json", LOGIN),
}
UNUSABLE = ("two lines", "not ASCII", "proxy", "broken", "expired")
ODD = page(f'{{"code": 400, "message": "{PLANTED} is odd"}}'.encode(), "application/json")


def plant(kind, folder):
    """Write the files of a kind of secret; return its environment variables."""
    home = folder / "home"
    if kind in FILES:
        name, content = FILES[kind]
        (home / ".kaggle" / name).parent.mkdir(parents=True)
        (home / ".kaggle" / name).write_text(content)
    variables = {name: value.format(home=home) for name, value in SECRETS[kind].items()}
    if "http_proxy" in variables:
        variables["HTTP_PROXY"] = variables["http_proxy"]
    return {"HOME": str(home), "VERBOSE": "true", **variables}


@pytest.mark.parametrize("answer", [None, ODD], ids=["given", "refused"])
@pytest.mark.parametrize("kind", SECRETS)
def test_no_file_or_output_of_a_job_contains_a_secret(kaggle, tmp_path, kind, answer):
    kaggle.files["/blob/set.zip"] = zipped(data=b"1,2\n")
    if answer:
        kaggle.always("IntrospectToken", answer)
        kaggle.always("DownloadDataset", answer)
    (tmp_path / "job.py").write_text(LOGGED_JOB)
    done = subprocess.run(
        [warm_jobs().python, tmp_path / "job.py", str(tmp_path)],
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(SCRIPTS),
            SOCKET: warm_jobs().address,
            **kaggle.environment(),
            **plant(kind, tmp_path),
        },
        capture_output=True,
        text=True,
        timeout=60,
    )
    good = answer is None and not any(word in kind for word in UNUSABLE)
    assert (done.returncode == 0) == (tmp_path / "x.zip").exists() == good, done.stderr
    assert PLANTED not in done.stdout + done.stderr
    assert "Please report the bug" not in done.stderr
    for path in tmp_path.rglob("*"):
        if path.is_file() and (tmp_path / "home") not in path.parents:
            assert PLANTED.encode() not in path.read_bytes(), path


# --- Two origins: Kaggle, and an address that needs no account -----------------------------------


@pytest.fixture
def both(kaggle):
    """Return the fields of an entry with both origins; their files have different bytes."""
    kaggle.files["/blob/set.zip"] = zipped(data=b"from Kaggle")
    kaggle.files["/branch.zip"] = zipped(data=b"from elsewhere")
    kaggle.always("/branch.zip", chunked())
    return {
        "kind": "zip",
        "kaggle": "owner/set",
        "addresses": ["http://elsewhere.invalid/branch.zip"],
    }


def test_kaggle_comes_first_when_a_token_is_set(kaggle, tmp_path, both):
    done = run_job(kaggle, tmp_path, CREDENTIALS[0], **both)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "x.zip").read_bytes() == kaggle.files["/blob/set.zip"]
    note = read_json(tmp_path / "lock.json")["x.zip"]
    assert note["origin"] == "https://www.kaggle.com/datasets/owner/set"
    assert read_json(tmp_path / "x.zip.source.json")["origin"] == note["origin"]


def test_without_credentials_the_other_address_is_used_and_nothing_is_learnt(
    kaggle, tmp_path, both
):
    for _ in range(2):
        done = run_job(kaggle, tmp_path, **both)
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "x.zip").read_bytes() == kaggle.files["/branch.zip"]
        assert not (tmp_path / "lock.json").exists()
        assert "instead_of" not in read_json(tmp_path / "x.zip.source.json")
        # GitHub makes the file again for each download.
        kaggle.files["/branch.zip"] = zipped(data=b"the same, packed anew")
        shutil.rmtree(tmp_path / ".cache")


@pytest.mark.parametrize("trouble", ["refused", "down", "garbled"])
def test_the_other_address_is_used_when_kaggle_fails(kaggle, tmp_path, both, trouble, caplog):
    credentials = {"KAGGLE_API_TOKEN": "a b" if trouble == "garbled" else TOKEN}
    answer = {"refused": status(401), "down": status(503)}.get(trouble)
    if answer:
        kaggle.always("DownloadDataset", answer)
    done = run_job(kaggle, tmp_path, credentials, **both)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "x.zip").read_bytes() == kaggle.files["/branch.zip"]
    assert "https://www.kaggle.com/datasets/owner/set" in done.stderr  # why Kaggle failed
    note = read_json(tmp_path / "x.zip.source.json")
    assert note["instead_of"] == "https://www.kaggle.com/datasets/owner/set"
    verify_raw(tmp_path / "x.zip", "zip")
    assert "did not provide x.zip" in caplog.text


def test_a_checksum_learnt_from_one_origin_is_not_expected_from_the_other(kaggle, tmp_path, both):
    assert run_job(kaggle, tmp_path, CREDENTIALS[0], **both).returncode == 0
    shutil.rmtree(tmp_path / ".cache")
    done = run_job(kaggle, tmp_path, **both)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "x.zip").read_bytes() == kaggle.files["/branch.zip"]
    shutil.rmtree(tmp_path / ".cache")
    kaggle.files["/blob/set.zip"] = zipped(data=b"changed on Kaggle")
    done = run_job(kaggle, tmp_path, CREDENTIALS[0], **both)
    assert done.returncode == 3
    assert "was expected" in done.stderr
    assert "delete its entry" in done.stderr


def test_a_full_disk_does_not_switch_to_the_other_origin(kaggle, tmp_path, both):
    kaggle.misbehave("/blob/set.zip", cut(100))
    script = JOB.replace("from pathlib", "import skymill.engine.space as space\nfrom pathlib", 1)
    script = script.replace("target, fields", "space.RESERVE_BYTES = 2**62\ntarget, fields", 1)
    done = run_job(kaggle, tmp_path, CREDENTIALS[0], script=script, **both)
    assert done.returncode == 3
    assert "GB are free" in done.stderr
    assert not any(path == "/branch.zip" for _, path, _ in kaggle.requests)


def test_when_both_origins_fail_the_message_has_both_reasons(kaggle, tmp_path, both):
    kaggle.always("/branch.zip", status(404))
    done = run_job(kaggle, tmp_path, **both)
    assert done.returncode == 3
    for hint in ("found no credentials", "KAGGLE_API_TOKEN", "branch.zip: the server answered 404"):
        assert hint in done.stderr


SOURCE = Source(
    "x.zip",
    kind="zip",
    page="",
    licence="",
    citation="",
    kaggle="owner/set",
    version=1,
    addresses=("https://me:planted-1234@elsewhere/branch.zip",),
)


def test_a_learnt_checksum_belongs_to_its_origin(tmp_path):
    lock = tmp_path / "lock.json"
    kaggle_page, web = SOURCE.origins
    assert "planted" not in web
    learn(SOURCE, kaggle_page, 7, "sha256:1", lock)
    assert enforced_checksum(SOURCE, kaggle_page, lock) == "sha256:1"
    assert enforced_checksum(SOURCE, web, lock) is None
    assert enforced_checksum(SOURCE, None, lock) is None  # put there by hand: from any origin
    alone = dataclasses.replace(SOURCE, addresses=())
    assert enforced_checksum(alone, None, lock) == "sha256:1"
    learn(SOURCE, web, 7, "sha256:2", lock)
    assert enforced_checksum(SOURCE, kaggle_page, lock) == "sha256:1"


def test_a_lock_of_an_earlier_release_belongs_to_the_first_origin(tmp_path):
    lock = tmp_path / "lock.json"
    write_json(lock, {"x.zip": {"bytes": 7, "checksum": "sha256:1", "version": 1}})
    assert learnt(SOURCE, SOURCE.origins[0], lock)
    assert learnt(SOURCE, SOURCE.origins[1], lock) is None


def test_the_registry_says_how_much_is_to_be_downloaded():
    registry = load_registry(REPOSITORY / "config" / "sources.yaml")
    nights = [f"ztf/ztf_public_201806{day:02}.tar.gz" for day in range(1, 31)]
    said = about_downloads([find_source(registry, name) for name in [*nights, "sdobenchmark.zip"]])
    assert "31 files, about 312 GB by the registry" in said
    assert "a ZTF night varies from 0.01 to 73 GB" in said
    assert "varies" not in about_downloads([find_source(registry, "stealth/data.csv")])


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


def test_a_day_without_a_night_becomes_an_empty_tarball_marked_as_such(night, server, tmp_path):
    target = night()
    with tarfile.open(target) as archive:
        assert archive.getnames() == []
    sidecar = read_json(f"{target}.source.json")
    assert sidecar["absent"] == server.address + "/night.tar.gz"
    assert verify_raw(target, "gzip")["source"] == "archive"
    assert not (tmp_path / "lock.json").exists()
    # No file is kept, so another attempt asks the archive again.
    server.files["/night.tar.gz"] = b"\x1f\x8b" + b"now there is one"
    assert night().read_bytes() == server.files["/night.tar.gz"]
    assert "absent" not in read_json(f"{target}.source.json")


@pytest.mark.parametrize(
    ("listed", "may_be_absent"),
    [("20180604", True), ("20180603", True), (None, True), ("20180605", False)],
    ids=["listed", "not listed yet", "no list", "named"],
)
def test_a_night_that_should_exist_is_not_replaced_by_an_empty_one(
    night, tmp_path, listed, may_be_absent
):
    with pytest.raises(SkymillError, match="404"):
        night(listed, may_be_absent)
    assert not (tmp_path / "raw" / NIGHT).exists()


def test_a_server_error_does_not_make_a_night_absent(night, server, tmp_path):
    server.always("/night.tar.gz", status(503))
    with pytest.raises(SkymillError, match="503"):
        night()
    assert not (tmp_path / "raw" / NIGHT).exists()


# --- A Dataverse, which states size, checksum and licence ----------------------------------------

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


def test_a_dataverse_is_asked_once_and_its_answer_is_enforced(place):
    place.server.files["/dataset"] = dataset()
    assert fetch_from_dataverse(place) == CONTENT
    md5 = hashlib.md5(CONTENT).hexdigest()
    assert read_json(place.lock)[FILE] == {
        "bytes": len(CONTENT),
        "checksum": f"md5:{md5}",
        "origin": f"{place.server.address}/x.json",
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
    with pytest.raises(SkymillError, match="The first download of the file had md5:"):
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
def test_a_file_that_differs_from_the_answer_of_the_dataverse_is_refused(place, told, message):
    place.server.files["/dataset"] = dataset(**told)
    with pytest.raises(SkymillError, match=message):
        fetch_from_dataverse(place)
    assert not place.target.exists()
    assert not place.lock.exists()


@pytest.mark.parametrize("licence", ["CC0", {"name": "CC0", "uri": "x"}])
def test_a_checksum_that_a_dataverse_does_not_state_is_learnt(place, caplog, licence):
    untold = {"md5": None, "checksum": None, "licence": licence}
    place.server.files["/dataset"] = dataset(**untold)
    assert fetch_from_dataverse(place) == CONTENT
    assert "has no checksum" in caplog.text
    known = read_json(place.lock)[FILE]
    assert known["checksum"] == f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
    assert known["licence"] == "CC0"


@pytest.mark.parametrize("answer", [b"<html>", b"", b"[]", b'{"status": "OK", "data": {}}'])
def test_an_answer_without_a_data_set_is_refused(place, answer):
    place.server.files["/dataset"] = answer
    with pytest.raises(SkymillError):
        fetch_from_dataverse(place)
    assert not place.target.exists()


def test_an_unreachable_dataverse_is_reported_with_advice(place):
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
