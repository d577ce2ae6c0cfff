"""Results in object storage are judged like those on a disk, and listed without Snakemake."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from rule_jobs import Named, write_product

from skymill.engine.digests import document_digest
from skymill.engine.errors import SkymillError
from skymill.engine.names import Names
from skymill.engine.products import read_document, read_json, write_document
from skymill.engine.remote import RemoteFolder
from skymill.engine.staleness import Folder, Job, why
from skymill.engine.storage import StorageFolder
from skymill.summary import summarise
from skymill.watch import Watch, leftovers_of, open_results

PROJECT = "s3://bucket/project"
ROOT = f"{PROJECT}/data/"
LOCAL = ".snakemake/storage/s3/bucket/project"
"""The folder of Snakemake's local copies of the project's files."""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The folder in which Snakemake runs."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@dataclass
class Bucket:
    """A storage provider of Snakemake with the content and the time of each address."""

    content: dict[str, bytes] = field(default_factory=dict)
    times: dict[str, float] = field(default_factory=dict)
    listings: int = 0

    def object(self, query):
        """Return the storage object of an address."""
        return Stored(query=query, keep_local=False, retrieve=True, provider=self)

    def put(self, path, name=None, *, root=ROOT):
        """Put a local file into the bucket, under the name that it has below `data`."""
        name = name or str(path).removeprefix("data/")
        self.content[root + name] = Path(path).read_bytes()

    def folder(self):
        """Return the results folder as a new run reads it."""
        return StorageFolder(self.object, PROJECT, "data")


class Stored:
    """A file of the bucket, with the interface of Snakemake's storage plugins."""

    def __init__(self, *, query, keep_local, retrieve, provider):
        assert (keep_local, retrieve) == (False, True)
        self.query, self.provider = query, provider

    def set_local_path(self, path):
        """Set the local path for retrieving and storing."""
        self.local = Path(path)

    def retrieve_object(self):
        """Copy the object to the local path."""
        self.local.write_bytes(self.provider.content[self.query])

    def store_object(self):
        """Copy the object from the local path."""
        self.provider.content[self.query] = self.local.read_bytes()

    def exists(self):
        """Return whether the object is in the bucket."""
        return self.query in self.provider.content

    def mtime(self):
        """Return the time at which the object was written."""
        return self.provider.times[self.query]

    def cache_key(self):
        """Return the key of this file in an inventory."""
        return self.query.removeprefix("s3://")

    async def inventory(self, cache):
        """List all files of the bucket."""
        await asyncio.sleep(0)
        self.provider.listings += 1
        for query, content in self.provider.content.items():
            key = self.provider.object(query).cache_key()
            cache.exists_in_storage[key] = True
            cache.size[key] = len(content)


@pytest.fixture
def bucket():
    return Bucket()


# --- A storage provider --------------------------------------------------------------------------


def test_a_document_is_read_from_the_bucket(bucket):
    document = write_product("data/interim/one", counts={"rows": 3})
    bucket.put(document)
    assert bucket.folder().document("interim/one.manifest.json") == read_document(Path(document))
    assert bucket.folder().document("interim/other.manifest.json") is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}"])
def test_a_damaged_document_in_the_bucket_is_named(bucket, content):
    bucket.content[f"{ROOT}interim/x.manifest.json"] = content
    found = bucket.folder().document("interim/x.manifest.json")
    assert isinstance(found, SkymillError)
    assert str(found).startswith("interim/x.manifest.json ")


def test_sizes_are_those_of_files_and_folders_of_the_bucket(bucket):
    bucket.content[f"{ROOT}interim/set/part"] = b"1234"
    bucket.content[f"{ROOT}interim/settled"] = b"12"
    folder = bucket.folder()
    assert folder.size("interim/set/part") == 4
    assert folder.size("interim/set") == 0
    assert folder.size("interim/settle") is None
    assert folder.size("interim/set/par") is None


def test_files_directly_in_a_folder_of_the_bucket_are_listed(bucket):
    for number, name in enumerate(("a", "b", "deep/c", ".hidden")):
        bucket.content[f"{ROOT}interim/set/{name}"] = b"x" * number
    bucket.content[f"{ROOT}interim/settled"] = b"12"
    assert bucket.folder().listing("interim/set") == {"a": 0, "b": 1}


def test_documents_of_the_bucket_are_those_of_products_and_checks(bucket):
    for name in ("interim/a.manifest.json", "processed/b.receipt.json"):
        bucket.content[ROOT + name] = b""
    for name in ("sample/raw/sdo.manifest.json", "raw/x.manifest.json", "interim/a.json"):
        bucket.content[ROOT + name] = b""
    bucket.content[f"{PROJECT}/trial/interim/c.manifest.json"] = b""
    assert bucket.folder().documents() == {"interim/a.manifest.json", "processed/b.receipt.json"}


def test_the_bucket_is_listed_once(bucket):
    bucket.content[f"{ROOT}interim/a"] = b"1"
    folder = bucket.folder()
    assert [folder.size("interim/a"), folder.size("interim/b")] == [1, None]
    assert folder.documents() == set()
    assert bucket.listings == 1
    bucket.content[f"{ROOT}interim/b"] = b"12"
    assert folder.again().size("interim/b") == 2
    assert bucket.listings == 2


def test_a_file_is_written_to_the_bucket(bucket, tmp_path):
    bucket.folder().write("products.json", {"a": 1})
    (tmp_path / "copy.json").write_bytes(bucket.content[f"{ROOT}products.json"])
    assert read_json(tmp_path / "copy.json") == {"a": 1}


def test_a_file_written_to_the_bucket_after_a_moment_is_younger(bucket):
    bucket.times[f"{ROOT}interim/a"] = 1000
    assert bucket.folder().is_younger("interim/a", 1000)
    assert not bucket.folder().is_younger("interim/a", 1001)


def test_a_product_in_the_bucket_is_judged_like_one_on_a_disk(bucket):
    document = write_product("data/interim/one", code="c", settings={"sha256": "s"})
    job = Job("interim/one.manifest.json", ("interim/one",), code="c", settings="s")
    assert why(job, bucket.folder()) is None
    bucket.put("data/interim/one")
    assert why(job, bucket.folder()).text == "its manifest is missing"
    bucket.put(document)
    assert why(job, bucket.folder()) is None
    bucket.content[f"{ROOT}interim/one"] += b"more"
    assert "is not the file that its manifest describes" in why(job, bucket.folder()).text


def local(name):
    """Return the path of a file of the project, as Snakemake gives it to a function."""
    return f"{LOCAL}/{name}"


def watch_of(bucket, products=None):
    """Return the watch of the results folder in the bucket."""
    products = products or {}
    return Watch("data", products, [*products], objects=bucket.object, prefix=PROJECT)


def judge(watch, inputs=()):
    """Return why the job that makes data/interim/one from other products must run."""
    output = Named(
        product=local("data/interim/one"),
        manifest=local("data/interim/one.manifest.json"),
    )
    given = Named(products=[local(name) for name in inputs])
    return watch.why(output, given, code="c", settings={})


def put_made_from(bucket, inputs):
    """Put a product that was made from other products, given by names and documents."""
    document = write_product(
        "data/interim/one",
        code="c",
        settings={"sha256": document_digest({})},
        inputs={name: read_document(Path(path))["digest"] for name, path in inputs.items()},
        source="sample",
    )
    bucket.put("data/interim/one")
    bucket.put(document)


def test_a_run_judges_the_products_in_the_bucket(bucket):
    other = write_product("data/interim/other")
    bucket.put(other)
    put_made_from(bucket, {"interim/other.manifest.json": other})
    inputs = ["data/interim/other.manifest.json"]
    assert judge(watch_of(bucket), inputs) is None
    bucket.put(write_product("data/interim/other", counts={"rows": 1}))
    reason = judge(watch_of(bucket), inputs)
    assert reason.text == "interim/other.manifest.json has changed since it was made"


def test_a_tree_unpacked_in_the_folder_of_raw_files_is_found_in_the_bucket(bucket):
    tree = Path("data/raw/sdo.manifest.json")
    tree.parent.mkdir(parents=True)
    write_document(tree, {"source": "archive"})
    bucket.put(tree)
    put_made_from(bucket, {"raw:sdo.manifest.json": tree})
    watch = watch_of(bucket)
    assert judge(watch, ["data/raw/sdo.manifest.json"]) is None
    assert watch.damage(local("data/raw/sdo.manifest.json")) is None
    bucket.content[f"{ROOT}raw/sdo.manifest.json"] = b"{"
    watch = watch_of(bucket)
    assert watch.damage(local("data/raw/sdo.manifest.json")) is not None


def test_a_run_in_a_bucket_lists_its_products_and_their_place(bucket):
    put_made_from(bucket, {})
    watch = watch_of(bucket, {"ztf": ["data/interim/one.manifest.json"]})
    assert judge(watch) is None
    lines = [line for _, line in watch.closing_lines()]
    assert lines[0] == f"`skymill summary {PROJECT}/data` lists all products."
    assert lines[1].startswith("SIMULATED DATA")


def test_a_run_in_a_bucket_keeps_its_list_of_products_there(bucket):
    watch = watch_of(bucket, {"ztf": ["data/processed/ztf/a.csv.manifest.json"]})
    bucket.content[f"{ROOT}processed/ztf/old.csv.manifest.json"] = b""
    folder = watch.folder(local("data/interim/one"))
    assert folder.address == f"{PROJECT}/data"
    watch.write_products(folder)
    assert f"{ROOT}products.json" in bucket.content
    assert watch.leftovers(folder) == ["processed/ztf/old.csv"]
    assert not Path("data/products.json").exists()


# --- An address without Snakemake ----------------------------------------------------------------


@pytest.fixture
def address(folder):
    """The address of a results folder, here on a disk."""
    (folder / "data").mkdir()
    return f"file://{folder}/data"


def test_addresses_are_distinguished_from_paths(address):
    assert isinstance(open_results(address), RemoteFolder)
    assert open_results(f"{address}/").address == address
    assert type(open_results("data")) is Folder
    assert open_results("data").address is None


def test_documents_at_an_address_are_those_of_the_folder(address):
    write_product("data/interim/one")
    write_product("data/processed/x.receipt.json")
    Path("data/raw").mkdir()
    write_document(Path("data/raw/sdo.manifest.json"), {})
    remote, local = open_results(address), open_results("data")
    assert remote.documents() == local.documents() != set()
    for name in [*local.documents(), "interim/other.manifest.json"]:
        assert remote.document(name) == local.document(name)
    assert remote.size("interim/one") == local.size("interim/one") == 2


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"{}", b'{"a": NaN}'])
def test_a_damaged_document_at_an_address_is_named(address, content):
    write_product("data/interim/one")
    Path("data/interim/one.manifest.json").write_bytes(content)
    found = open_results(address).document("interim/one.manifest.json")
    assert isinstance(found, SkymillError)
    assert "interim/one.manifest.json " in str(found)


def test_leftovers_at_an_address_are_those_of_the_folder(address):
    write_product("data/processed/ztf/old.csv")
    assert leftovers_of(open_results(address)) == []
    Watch("data", {}, ["ztf"]).write_products(Folder(Names("data").path))
    assert leftovers_of(open_results(address)) == ["processed/ztf/old.csv"]


def test_a_damaged_list_of_products_at_an_address_is_refused_by_name(address):
    Path("data/products.json").write_text("{")
    with pytest.raises(SkymillError, match=r"products\.json"):
        leftovers_of(open_results(address))


def test_the_summary_at_an_address_is_that_of_the_folder(address):
    write_product("data/processed/one", counts={"records_by_label": {"X": 3}})
    here, there = summarise("data").splitlines(), summarise(address).splitlines()
    assert here[2].removeprefix("data/").split() == there[2].removeprefix(f"{address}/").split()


@pytest.mark.parametrize("wrong", ["nothing://bucket/data", "file:///nowhere/at/all"])
def test_an_address_that_cannot_be_read_is_refused(wrong):
    with pytest.raises(SkymillError, match=f"^{wrong} cannot be read: "):
        summarise(wrong)
