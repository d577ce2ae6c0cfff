"""Jobs write a log, end errors with a line of advice, and finish with a manifest."""

import errno
import logging
import os
import socket
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from records import SCRIPTS
from rule_jobs import RESULTS, job, write_product

from skymill.engine import job as jobs
from skymill.engine.digests import document_digest
from skymill.engine.errors import SkymillError
from skymill.engine.job import Paths, Run, Warnings, logged_job, require_own_package
from skymill.engine.products import Product, describe_file, read_document, read_json
from skymill.engine.secrets import keep_secret
from skymill.engine.staleness import MANY, listing_digest
from skymill.engine.system_errors import ADVICE, advice
from skymill.engine.tables import write_table
from skymill.watch import Watch

SCRIPT = str(SCRIPTS / "assign_ids.py")


def fail(tmp_path, error, script=SCRIPT):
    with pytest.raises(SystemExit) as caught, logged_job(script, str(tmp_path / "job.log")):
        raise error
    assert caught.value.code not in (0, None)
    return (tmp_path / "job.log").read_text()


def test_messages_of_a_job_are_in_its_log(tmp_path):
    with logged_job(SCRIPT, str(tmp_path / "deep" / "job.log")):
        logging.getLogger("skymill.test").info("3 pieces")
    assert (tmp_path / "deep" / "job.log").read_text() == "INFO skymill.test: 3 pieces\n"
    logging.getLogger("skymill.test").warning("after the job")
    assert "after" not in (tmp_path / "deep" / "job.log").read_text()


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (SkymillError("raise the limit"), "raise the limit"),
        (MemoryError(), "out of memory. Run with fewer cores"),
        (pa.lib.ArrowMemoryError("malloc of size 64 failed"), "out of memory"),
        (OSError(12, "Cannot allocate memory"), "out of memory"),
        (ImportError("libarrow.so: failed to map segment from shared object"), "out of memory"),
        (RuntimeError("can't start new thread"), "out of memory"),
        (ImportError("No module named 'numba'"), "Run `make setup`"),
        (OSError(28, "No space left on device", "a.parquet"), "The disk is full"),
        (KeyError("USFLUX"), "Please report the bug with"),
    ],
)
def test_the_last_line_of_log_and_stderr_says_what_to_do(tmp_path, capsys, error, advice):
    log = fail(tmp_path, error)
    assert "Traceback" in log
    assert advice in log.splitlines()[-1]
    shown = capsys.readouterr().err
    assert "Traceback" not in shown
    assert shown.startswith("job: ")
    assert advice in shown.splitlines()[-1]


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ENOSPC, "Free some space"),
        (errno.EDQUOT, "quota"),
        (errno.EACCES, "permissions"),
        (errno.EROFS, "read-only"),
        (errno.EMFILE, "ulimit -n"),
        (errno.EAGAIN, "ulimit -u"),
        (errno.ENOENT, "deleted or renamed"),
        (errno.EIO, "connection to it failed"),
        (errno.ENAMETOOLONG, "shorter path"),
        (errno.ECONNREFUSED, "network"),
        (errno.ENETUNREACH, "network"),
        (errno.ETIMEDOUT, "network"),
        (errno.EPIPE, "has ended"),
        (errno.ENOMEM, "Run with fewer cores"),
        (errno.EILSEQ, "report it with job.log"),
    ],
)
def test_the_advice_follows_the_number_of_the_error(number, said):
    error = OSError(number, os.strerror(number), "a.parquet")
    told = advice(error, "job.log")
    assert said in told
    assert number == errno.ENOMEM or ("a.parquet" in told and os.strerror(number) in told)


@given(st.sampled_from(sorted(errno.errorcode)))
def test_no_number_of_an_error_is_without_advice(number):
    told = advice(OSError(number, os.strerror(number)), "job.log")
    assert told.endswith(".")
    # Only disk errors mention disks, and only network errors mention networks.
    assert number in ADVICE or number == errno.ENOMEM or "report it" in told


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError("Couldn't deserialize thrift"), "traceback in job.log says which file"),
        (socket.gaierror(-3, "Temporary failure in name resolution"), "network"),
        (TimeoutError("timed out"), "network"),
        (ConnectionError("Timed out trying to connect to tcp://10.0.0.5:8786"), "network"),
    ],
)
def test_errors_without_a_number_are_not_blamed_on_the_disk(error, said):
    told = advice(error, "job.log")
    assert said in told
    assert "disk" not in told


def test_secrets_are_in_neither_log_nor_output_nor_document(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("skymill.engine.secrets._secrets", set())
    keep_secret("planted-0123\r")

    def work():
        logger = logging.getLogger("skymill.test")
        logger.warning("sent %r", "Bearer planted-0123\r")
        try:
            raise ValueError("header planted-0123")
        except ValueError:
            logger.exception("a traceback")
        raise OSError(5, "Input/output error", "planted-0123")

    script, log = SCRIPT, tmp_path / "job.log"
    with pytest.raises(SystemExit), logged_job(script, str(log)) as warnings:
        work()
    said = capsys.readouterr()
    assert said.out == ""
    for text in (log.read_text(), said.err, warnings.texts[0]):
        assert "[secret]" in text
    for text in (log.read_text(), said.err, *warnings.texts):
        assert "planted" not in text


def test_a_script_next_to_another_copy_of_the_package_refuses_to_run(tmp_path, capsys):
    script = tmp_path / "assign_ids.py"
    (tmp_path / "skymill").mkdir()
    with pytest.raises(SkymillError, match="Install this checkout"):
        require_own_package(script)
    ran = []
    with pytest.raises(SystemExit), logged_job(str(script), str(tmp_path / "job.log")):
        ran.append(True)
    assert ran == []
    assert "Python imports" in capsys.readouterr().err


# --- Paths ---------------------------------------------------------------------------------------


def test_paths_are_known_by_their_names():
    paths = Paths({"one": "a/b", "many": ["c", "d"], "none": []}.items())
    assert paths.one == Path("a/b")
    assert paths.many == [Path("c"), Path("d")]
    assert paths.none == []
    assert paths.all() == [Path("a/b"), Path("c"), Path("d")]


def test_a_name_that_a_rule_does_not_have_is_none_or_an_error():
    paths = Paths({"one": "a"}.items())
    assert paths.get("one") == Path("a")
    assert paths.get("other") is None
    with pytest.raises(AttributeError, match="other"):
        _ = paths.other


# --- Inputs, outputs and settings of a job -------------------------------------------------------


def test_a_run_has_the_inputs_outputs_and_settings_of_its_rule():
    given = job({"raw": "a"}, {"table": "b"}, settings={"seed": 1})
    run = Run(given)
    assert run.input.raw == Path("a")
    assert run.output.table == Path("b")
    assert run.settings == {"seed": 1}
    assert run.config is given.config
    assert (run.params, run.wildcards, run.threads) == (given.params, given.wildcards, 1)


def test_a_rule_without_settings_has_none():
    given = job()
    del given.params.__dict__["settings"]
    assert Run(given).settings == {}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder in which Snakemake runs. Paths of a rule are relative to this folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_inputs_are_opened_as_products(folder):
    manifests = [
        write_product(Path(f"data/interim/{name}"), counts={"rows": number})
        for number, name in enumerate("ab")
    ]
    receipt = write_product(Path("data/interim/x.receipt.json"), counts={"rows": 7})
    run = Run(job({"first": "data/interim/a", "both": manifests, "receipt": receipt}))
    assert run.product("first").counts == {"rows": 0}
    assert run.product("receipt").counts == {"rows": 7}
    assert [product.counts["rows"] for product in run.products("both")] == [0, 1]


# --- The manifest at the end of a job ------------------------------------------------------------

ALERTS = {"alerts": "data/processed/alerts", "manifest": "data/processed/alerts.manifest.json"}
OUTPUTS = {"table": "data/interim/x.parquet", "manifest": "data/interim/x.parquet.manifest.json"}


def test_an_input_is_intact_if_it_agrees_with_a_manifest_among_the_inputs(folder):
    inputs = {"table": "data/interim/a.csv", "table_manifest": write_product("data/interim/a.csv")}
    run = Run(job(inputs))
    assert run.intact("table") == Path("data/interim/a.csv")
    Path("data/interim/a.csv").write_text("y\n")
    with pytest.raises(
        SkymillError, match=r"data/interim/a\.csv is damaged or was changed"
    ) as said:
        Run(job(inputs)).intact("table")
    assert "skymill verify --repair" in str(said.value)


def test_all_files_of_a_list_of_inputs_are_compared(folder):
    names = ["data/interim/a.csv", "data/interim/b.csv"]
    inputs = {"tables": names, "manifests": [write_product(name) for name in names]}
    assert Run(job(inputs)).intact("tables") == list(map(Path, names))
    Path(names[1]).write_text("y\n")
    with pytest.raises(SkymillError, match=r"data/interim/b\.csv"):
        Run(job(inputs)).intact("tables")


def test_a_file_that_no_manifest_describes_cannot_be_compared(folder):
    write_product("data/interim/a.csv")
    with pytest.raises(KeyError):
        Run(job({"table": "data/interim/a.csv"})).intact("table")


def table_of(rows):
    return pa.table({"number": range(rows)})


def finish(inputs=None, outputs=OUTPUTS, files=None, *, rows=3, content=None, **given):
    """Write the table of a rule and finish its job; return the document."""
    entry = write_table(Path(outputs["table"]), table_of(rows))
    run = Run(job(inputs, outputs, **given))
    run.finish([entry] if files is None else files, **(content or {"source": "local"}))
    return read_document(Path(outputs["manifest"]))


def test_a_manifest_says_what_its_product_contains_and_how_it_was_made(folder):
    settings = {"split.unit": "region", "seed": 1}
    content = {"source": "local", "counts": {"records": 3}, "more": [1]}
    document = finish(settings=settings, content=content)
    del document["digest"]
    assert document == {
        "product": "interim/x.parquet",
        "files": [{**describe_file(Path(OUTPUTS["table"]), 3), "name": "interim/x.parquet"}],
        "code": "c0de",
        "settings": {"keys": ["seed", "split.unit"], "sha256": document_digest(settings)},
        "inputs": {},
        "checks": [],
        "source": "local",
        "counts": {"records": 3},
        "more": [1],
    }


def test_several_sources_are_all_named_and_the_least_trustworthy_counts(folder):
    simulated = write_product("data/interim/a.parquet", source="sample")
    own = write_product("data/interim/b.parquet", source="local")
    document = finish({"a": simulated, "b": own}, content={})
    assert (document["source"], document["sources"]) == ("sample", ["local", "sample"])
    # The same is true for products that are made from this product.
    inputs = {"x": str(Path(OUTPUTS["manifest"])), "b": own}
    outputs = {
        "table": "data/interim/y.parquet",
        "manifest": "data/interim/y.parquet.manifest.json",
    }
    pq.write_table(pa.table({"x": [1]}), outputs["table"])
    later = finish(inputs, outputs=outputs, files=[], content={})
    assert later["sources"] == ["local", "sample"]


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ("lists/own.csv", "file:lists/own.csv"),
        ("/other/data/raw/own.csv", "file:/other/data/raw/own.csv"),
        ("data/raw/own.csv", "raw:own.csv"),
    ],
)
def test_a_raw_file_elsewhere_has_its_path_as_the_name(folder, raw, name):
    receipt = {"name": "own.csv", "bytes": 3, "sha256": "0", "source": "local"}
    assert finish({"raw": raw}, content={"raw": receipt})["raw"]["name"] == name


def test_a_product_can_be_opened_with_the_manifest_of_its_job(folder):
    finish(content={"source": "local", "counts": {"records": 3}})
    product = Product(OUTPUTS["table"])
    assert product.files() == [folder / OUTPUTS["table"]]
    assert (product.rows, product.counts) == (3, {"records": 3})


def test_outputs_that_are_not_described_are_read(folder):
    outputs = {
        "table": "data/interim/x.parquet",
        "rejects": "data/interim/x/rejects.jsonl",
        "page": "data/interim/x.md",
        "sheet": "data/interim/x.png",
        "manifest": "data/interim/x.parquet.manifest.json",
    }
    texts = {"rejects": "{}\n{}\n", "page": "# Page\n", "sheet": "\n\n\n"}
    for name, text in texts.items():
        path = Path(outputs[name])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    files = finish(outputs=outputs, files=[])["files"]
    rows = {"table": 3, "rejects": 2, "page": 1, "sheet": 0}
    assert files == [
        {**describe_file(Path(outputs[name]), count), "name": outputs[name].removeprefix("data/")}
        for name, count in rows.items()
    ]


def test_described_outputs_are_not_read_again(folder):
    entry = {"name": "x.parquet", "bytes": 7, "sha256": "taken while it was written", "rows": 5}
    assert finish(files=[entry])["files"] == [{**entry, "name": "interim/x.parquet"}]


def test_each_of_several_products_has_its_own_manifest(folder):
    tables = [f"data/interim/{name}.parquet" for name in "ab"]
    outputs = {"tables": tables, "manifest": [f"{path}.manifest.json" for path in tables]}
    warnings = Warnings()
    run = Run(job({}, outputs), warnings)
    for rows, path in enumerate(run.output.tables):
        entry = write_table(path, table_of(rows))
        warnings.texts.append(f"{rows} rows")
        run.finish([entry], product=path, source="local", counts={"rows": rows})
    for rows, path in enumerate(tables):
        product = Product(Path(path))
        assert product.counts == {"rows": rows}
        assert [(one["name"], one["rows"]) for one in product.document["files"]] == [
            (path.removeprefix("data/"), rows)
        ]
        assert product.document["product"] == path.removeprefix("data/")
        assert product.document["warnings"] == [f"{rows} rows"]


def test_files_in_a_folder_are_named_by_their_place_in_it(folder):
    outputs = {
        "values": "data/interim/values/one",
        "table": "data/interim/one.parquet",
        "manifest": "data/interim/values/one.manifest.json",
    }
    directory = Path(outputs["values"])
    (directory / "deep").mkdir(parents=True)
    entries = []
    for name in ("b", "deep/a"):
        (directory / name).write_text(name)
        entries.append({**describe_file(directory / name, 1), "name": name})
    files = finish(outputs=outputs, files=entries)["files"]
    assert [entry["name"] for entry in files] == [
        "interim/values/one/b",
        "interim/values/one/deep/a",
        "interim/one.parquet",
    ]
    assert Product(directory).files() == [folder / directory / "b", folder / directory / "deep/a"]


def test_an_empty_folder_has_no_entries(folder):
    Path(ALERTS["alerts"]).mkdir(parents=True)
    Run(job(outputs=ALERTS)).finish([], source="local")
    assert read_document(Path(ALERTS["manifest"]))["files"] == []


def test_describing_a_file_that_is_no_output_is_a_fault(folder):
    with pytest.raises(AssertionError, match=r"\['other'\] are described, but are not outputs"):
        finish(files=[{"name": "other", "bytes": 1, "sha256": "", "rows": 1}])
    assert not Path(OUTPUTS["manifest"]).exists()


def test_a_missing_output_is_a_fault(folder):
    run = Run(job(outputs=OUTPUTS))
    with pytest.raises(FileNotFoundError):
        run.finish(source="local")
    assert not Path(OUTPUTS["manifest"]).exists()


def test_a_receipt_describes_no_files(folder):
    receipt = "data/interim/x.receipt.json"
    manifest = write_product(Path("data/interim/a"))
    Run(job({"a": manifest}, {"receipt": receipt})).finish(counts={"rejected": 1})
    document = read_document(Path(receipt))
    assert document["product"] == "interim/x.receipt.json"
    assert document["counts"] == {"rejected": 1}
    assert "files" not in document


# --- Inputs in a manifest ------------------------------------------------------------------------


@pytest.fixture
def inputs(folder):
    """Two products, and a check of them."""
    return {
        "one": "data/interim/one",
        "one_manifest": write_product(Path("data/interim/one"), source="archive"),
        "others": [write_product(Path("data/interim/other"), source="archive")],
        "checks": [
            write_product(Path(f"data/interim/{name}.receipt.json"), source="archive")
            for name in ("good", "fine")
        ],
    }


def test_inputs_are_named_with_the_digests_of_their_documents(inputs):
    assert finish(inputs, content={"counts": {}})["inputs"] == {
        f"interim/{name}.manifest.json": read_json(Path(f"data/interim/{name}.manifest.json"))[
            "digest"
        ]
        for name in ("one", "other")
    }


def test_checks_are_listed_separately(inputs):
    document = finish(inputs, content={"counts": {}})
    assert document["checks"] == ["interim/fine.receipt.json", "interim/good.receipt.json"]


def test_the_content_of_a_check_does_not_change_the_manifest(inputs):
    before = finish(inputs, content={"counts": {}})
    write_product(Path("data/interim/good.receipt.json"), source="archive", limit=2)
    assert finish(inputs, content={"counts": {}}) == before


def test_a_receipt_that_is_no_check_is_an_input(folder):
    receipt = write_product(Path("data/interim/x.receipt.json"))
    document = finish({"receipt": receipt}, content={"counts": {}})
    assert list(document["inputs"]) == ["interim/x.receipt.json"]
    assert document["checks"] == []


@pytest.mark.parametrize(
    ("changed", "source"),
    [({}, "archive"), ({"one": "local"}, "local"), ({"one": "local", "other": "sample"}, "sample")],
)
def test_the_source_is_the_least_trustworthy_of_the_inputs(inputs, changed, source):
    for name, stated in changed.items():
        write_product(Path(f"data/interim/{name}"), source=stated)
    assert finish(inputs, content={"counts": {}})["source"] == source


def test_the_source_that_a_job_states_counts_too(inputs):
    assert finish(inputs, content={"source": "sample"})["source"] == "sample"


def test_a_damaged_input_is_refused_by_name(inputs):
    Path("data/interim/one.manifest.json").write_text("{")
    with pytest.raises(SkymillError, match=r"one\.manifest\.json contains no JSON object"):
        finish(inputs)
    assert not Path(OUTPUTS["manifest"]).exists()


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ("data/raw/ztf/night.tar.gz", "raw:ztf/night.tar.gz"),
        ("data/sample/raw/ztf/night.tar.gz", "sample/raw/ztf/night.tar.gz"),
    ],
)
def test_a_raw_file_is_named_where_it_is_and_states_its_source(folder, raw, name):
    receipt = {"name": "night.tar.gz", "bytes": 3, "sha256": "0", "source": "archive"}
    document = finish({"raw": raw}, content={"raw": receipt})
    assert document["raw"] == {**receipt, "name": name}
    assert document["source"] == "archive"
    assert document["inputs"] == {}


def test_the_order_of_inputs_checks_and_settings_does_not_change_the_manifest(inputs):
    settings = {"seed": 1, "split.unit": "region"}
    before = finish(inputs, settings=settings, content={"counts": {}})
    turned = dict(reversed(inputs.items())) | {"checks": inputs["checks"][::-1]}
    settings = dict(reversed(settings.items()))
    assert finish(turned, settings=settings, content={"counts": {}}) == before


@pytest.mark.parametrize(
    "other",
    [{"code": "other"}, {"settings": {"seed": 2}}, {"rows": 4}, {"content": {"counts": {"a": 1}}}],
)
def test_another_code_setting_or_content_changes_the_manifest(inputs, other):
    usual = {"settings": {"seed": 1}, "content": {"counts": {}}}
    before = finish(inputs, **usual)
    assert finish(inputs, **{**usual, **other})["digest"] != before["digest"]


def test_another_input_changes_the_manifest(inputs):
    before = finish(inputs, content={"counts": {}})
    write_product(Path("data/interim/one"), source="archive", counts={"records": 2})
    assert finish(inputs, content={"counts": {}})["digest"] != before["digest"]


def in_results(results, before=""):
    """Finish the same job in some results folder; return the bytes of its manifest."""
    one, made = Path(f"{before}{results}/interim/one"), f"{before}{results}/interim/x.parquet"
    inputs = {"one": write_product(one, results=results), "raw": f"{before}data/raw/x.json"}
    outputs = {"table": made, "manifest": f"{made}.manifest.json"}
    receipt = {"name": "x.json", "bytes": 3, "sha256": "0", "source": "archive"}
    finish(inputs, outputs, results=results, content={"raw": receipt})
    return Path(outputs["manifest"]).read_bytes()


@pytest.mark.parametrize("results", ["trial", "runs/trial", "interim"])
def test_the_name_of_the_results_folder_is_not_in_the_manifest(folder, results):
    assert in_results(results) == in_results("data")


def test_an_absolute_results_folder_is_not_in_the_manifest(folder):
    assert in_results(str(folder / "elsewhere" / "trial")) == in_results("data")


def test_the_place_of_local_copies_of_a_storage_is_not_in_the_manifest(folder):
    before = ".snakemake/storage/s3/bucket/"
    assert in_results("data", before) == in_results("data")


# --- Long lists ----------------------------------------------------------------------------------

MEMBERS = Path("data/processed/alerts.manifest.members.parquet")


def finish_alerts(count):
    """Finish a job that wrote `count` files; return the document and the entries."""
    directory = Path(ALERTS["alerts"])
    directory.mkdir(parents=True)
    entries = []
    for number in range(count):
        (directory / f"{number:05}.npy").write_bytes(b"x" * (number % 3))
        digest = f"{number:064x}"
        entries.append(
            {"name": f"{number:05}.npy", "bytes": number % 3, "sha256": digest, "rows": 1}
        )
    Run(job(outputs=ALERTS)).finish(entries, source="local")
    named = [{**entry, "name": f"processed/alerts/{entry['name']}"} for entry in entries]
    return read_document(Path(ALERTS["manifest"])), named


def test_a_manifest_lists_a_thousand_files_itself(folder):
    document, entries = finish_alerts(MANY)
    assert document["files"] == entries
    assert "members" not in document
    assert not MEMBERS.exists()


def test_a_longer_list_of_files_is_in_a_file_next_to_the_manifest(folder):
    document, entries = finish_alerts(MANY + 1)
    assert document["files"] == []
    listing = {entry["name"].rpartition("/")[2]: entry["bytes"] for entry in entries}
    assert document["members"] == {
        "folder": "processed/alerts",
        "count": MANY + 1,
        "bytes": sum(listing.values()),
        "rows": MANY + 1,
        "listing_sha256": listing_digest(listing),
    }
    assert document["members_list"] == describe_file(MEMBERS, MANY + 1)
    assert Path(ALERTS["manifest"]).stat().st_size < 10_000
    rows = pq.read_table(MEMBERS).to_pylist()
    assert rows == [{"role": "file", **entry} for entry in entries]


def finish_gathered(count):
    """Finish a job that read `count` products; return the document and their digests."""
    manifests = [
        write_product(Path(f"data/interim/{number:05}.receipt.json"), counts={"n": number})
        for number in range(count)
    ]
    document = finish({"nights": manifests}, content={"counts": {}})
    digests = {f"interim/{Path(path).name}": read_json(Path(path))["digest"] for path in manifests}
    return document, digests


def test_a_longer_list_of_inputs_is_in_a_file_next_to_the_manifest(folder):
    document, digests = finish_gathered(MANY + 1)
    assert document["inputs"] == {
        "count": MANY + 1,
        "names_sha256": document_digest(dict.fromkeys(digests)),
        "sha256": document_digest(digests),
    }
    assert [entry["name"] for entry in document["files"]] == ["interim/x.parquet"]
    assert "members" not in document
    place = Path("data/interim/x.parquet.manifest.members.parquet")
    assert document["members_list"] == describe_file(place, MANY + 2)
    rows = pq.read_table(place).to_pylist()
    assert {row["name"]: row["sha256"] for row in rows if row["role"] == "input"} == digests
    assert [row["name"] for row in rows if row["role"] == "file"] == ["interim/x.parquet"]


# --- A finished job is current in the next run ---------------------------------------------------


def why_again(given):
    """Return why a run with the same job would run the job again."""
    reason = Watch(RESULTS, {}, []).why(
        given.output, given.input, code=given.params.code, settings=given.params.settings
    )
    return reason and reason.text


def test_a_finished_job_is_current(inputs):
    finish(inputs, settings={"seed": 1}, content={"counts": {}})
    assert why_again(job(inputs, OUTPUTS, settings={"seed": 1})) is None
    assert (
        why_again(job(inputs, OUTPUTS, settings={"seed": 2})) == "it was made with other settings"
    )
    fewer = {**inputs, "others": []}
    assert why_again(job(fewer, OUTPUTS, settings={"seed": 1})) == "it was made from other products"


def test_a_finished_job_with_long_lists_is_current(folder):
    finish_alerts(MANY + 1)
    assert why_again(job(outputs=ALERTS)) is None
    (Path(ALERTS["alerts"]) / "00007.npy").unlink()
    assert why_again(job(outputs=ALERTS)) is not None


def test_a_finished_job_with_many_inputs_is_current(folder):
    _, digests = finish_gathered(MANY + 1)
    manifests = [f"data/{name}" for name in digests]
    assert why_again(job({"nights": manifests}, OUTPUTS)) is None
    write_product(Path(manifests[700]), counts={"n": -1})
    said = "one of the 1,001 products that it was made from has changed"
    assert why_again(job({"nights": manifests}, OUTPUTS)) == said


# --- From the script to its end ------------------------------------------------------------------


@pytest.fixture
def script(monkeypatch):
    """Make this process look like a process that runs a script of the workflow."""
    monkeypatch.setattr(sys.modules["__main__"], "__file__", SCRIPT, raising=False)


def test_a_script_gets_its_run_and_a_log(folder, script):
    with jobs.job(job({"raw": "a"})) as run:
        assert run.input.raw == Path("a")
    assert Path("logs/job.log").exists()


def test_a_script_that_fails_leaves_no_manifest(folder, script):
    def fail():
        with jobs.job(job(outputs=OUTPUTS)) as run:
            write_table(run.output.table, table_of(3))
            raise SkymillError("raise the limit")

    with pytest.raises(SystemExit):
        fail()
    assert not Path(OUTPUTS["manifest"]).exists()
    assert Path("logs/job.log").read_text().endswith("ERROR: raise the limit\n")


def test_workers_start_before_the_work(folder, script, monkeypatch):
    done = []
    monkeypatch.setattr(
        "skymill.engine.parallel.start_workers", lambda *arguments: done.append(arguments)
    )
    with jobs.job(job(), workers="skymill.magnetic.write"):
        done.append("work")
    assert done == [("skymill.magnetic.write", 1), "work"]


def test_warnings_of_a_job_are_in_its_document(folder, script):
    with jobs.job(job(outputs=OUTPUTS)) as run:
        logger = logging.getLogger("skymill.ztf.plan")
        for text in ("b is lost", "a is lost", "b is lost"):
            logger.warning("%s", text)
        logger.info("60 steps")
        logging.getLogger("another").warning("not ours")
        write_table(run.output.table, table_of(1))
        run.finish(source="local")
    assert read_document(Path(OUTPUTS["manifest"]))["warnings"] == ["b is lost", "a is lost"]
    with jobs.job(job(outputs=OUTPUTS)) as run:
        run.finish(source="local")
    assert "warnings" not in read_document(Path(OUTPUTS["manifest"]))
