"""Staleness: a job runs when its products are broken, or differ from what it would make now."""

import os
import shutil
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skymill.engine.digests import document_digest
from skymill.engine.errors import SkymillError
from skymill.engine.products import read_json, write_document, write_json
from skymill.engine.staleness import Folder, Job, listing_digest, why

CODE, SETTINGS = "c0de", "5e77"


class Results:
    """A results folder with products that tests write directly."""

    def __init__(self, path):
        self.path = path

    def place(self, name):
        """Return the path of a file."""
        return self.path / name

    def folder(self):
        """Return the folder as a new run reads it."""
        return Folder(self.place)

    def make(self, job, **content):
        """Write the outputs of a job, and the document that the job would write."""
        for name in job.outputs:
            self.place(name).parent.mkdir(parents=True, exist_ok=True)
            self.place(name).write_text(f"content of {name}")
        digests = {name: read_json(self.place(name))["digest"] for name in job.inputs}
        described = {
            "files": [
                {"name": name, "bytes": self.place(name).stat().st_size} for name in job.outputs
            ],
            "code": job.code,
            "settings": {"keys": [], "sha256": job.settings},
            "inputs": digests,
            "checks": sorted(job.checks),
            "source": "local",
            **content,
        }
        if job.document.endswith(".receipt.json"):
            del described["files"]
        self.place(job.document).parent.mkdir(parents=True, exist_ok=True)
        write_document(self.place(job.document), described)

    def change(self, name, **content):
        """Replace a document by one with other content."""
        document = read_json(self.place(name))
        del document["digest"]
        write_document(self.place(name), {**document, **content})

    def why(self, job, also=None):
        """Return the reason why a job must run as text; None if the job need not run."""
        reason = why(job, self.folder(), also)
        return reason.text if reason else None


@pytest.fixture
def results(tmp_path):
    return Results(tmp_path / "data")


RAW = Job("interim/raw.receipt.json", (), (), (), CODE, SETTINGS)
VALUES = Job(
    "interim/values.manifest.json",
    ("interim/values", "interim/rejects.jsonl"),
    (RAW.document,),
    (),
    CODE,
    SETTINGS,
)
ACCEPTED = Job("interim/accepted.receipt.json", (), (VALUES.document,), (), CODE, SETTINGS)
PLAN = Job(
    "preprocessed/plan.manifest.json",
    ("preprocessed/plan",),
    (VALUES.document,),
    (ACCEPTED.document,),
    CODE,
    SETTINGS,
)
CHAIN = (RAW, VALUES, ACCEPTED, PLAN)


@pytest.fixture
def chain(results):
    """Raw file, values and plan. The plan depends on a check of the values."""
    for job in CHAIN:
        results.make(job)
    return results


def found(results):
    """Return the reasons of the jobs that must run, by the names of their documents."""
    reasons = {job.document: results.why(job) for job in CHAIN}
    return {name: reason for name, reason in reasons.items() if reason}


# --- Whole products ------------------------------------------------------------------------------


def test_whole_products_are_current(chain):
    assert found(chain) == {}


def test_a_job_without_products_has_no_reason(results):
    assert found(results) == {}


def test_judging_writes_nothing(chain):
    before = {path: path.stat().st_mtime_ns for path in chain.path.rglob("*")}
    found(chain)
    assert {path: path.stat().st_mtime_ns for path in chain.path.rglob("*")} == before


def test_times_of_files_do_not_count(chain):
    for number, path in enumerate(sorted(chain.path.rglob("*"))):
        os.utime(path, (number * 1e6, number * 1e6))
    assert found(chain) == {}


def test_a_copy_of_the_folder_is_current(chain, tmp_path):
    shutil.copytree(chain.path, tmp_path / "other")
    assert found(Results(tmp_path / "other")) == {}


def test_products_of_another_run_on_the_same_data_are_noticed(chain, tmp_path):
    shutil.copytree(chain.path, tmp_path / "other")
    other = Results(tmp_path / "other")
    other.change(RAW.document, sha256="other")
    other.make(VALUES)
    shutil.copy(other.place(VALUES.document), chain.place(VALUES.document))
    assert found(chain) == {
        VALUES.document: f"{RAW.document} has changed since it was made",
        ACCEPTED.document: f"{VALUES.document} has changed since it was made",
        PLAN.document: f"{VALUES.document} has changed since it was made",
    }


def test_a_product_that_is_put_back_is_current_again(chain, tmp_path):
    shutil.copytree(chain.path, tmp_path / "kept")
    chain.change(RAW.document, sha256="other")
    chain.place("preprocessed/plan").unlink()
    assert found(chain) != {}
    shutil.copytree(tmp_path / "kept", chain.path, dirs_exist_ok=True)
    assert found(chain) == {}


def test_each_file_is_examined_once(chain):
    looked = []

    def place(name):
        looked.append(name)
        return chain.place(name)

    folder = Folder(place)
    for job in CHAIN * 2:
        assert why(job, folder) is None
    assert len(looked) == len(set(looked))


# --- The folder ----------------------------------------------------------------------------------


def test_a_file_of_the_folder_is_written_and_read(results):
    folder = results.folder()
    assert folder.read("products.json") is None
    folder.write("products.json", {"a": 1})
    assert folder.read("products.json") == read_json(results.place("products.json")) == {"a": 1}


def test_a_damaged_file_of_the_folder_is_refused_by_name(results):
    results.path.mkdir()
    results.place("products.json").write_text("{")
    with pytest.raises(SkymillError, match=r"products\.json contains no JSON object"):
        results.folder().read("products.json")


def test_documents_are_those_of_products_and_checks(chain):
    for name in ("sample/raw/sdo.manifest.json", "raw/sdo.manifest.json", "x.receipt.json"):
        chain.make(Job(name))
    chain.place("interim/products.json").write_text("{}")
    chain.place("interim/raw.csv.source.json").write_text("{}")
    assert chain.folder().documents() == {job.document for job in CHAIN}


def test_a_missing_folder_has_no_documents(results):
    assert results.folder().documents() == set()


def test_a_document_written_after_a_moment_is_younger(chain):
    os.utime(chain.place(PLAN.document), (1000, 1000))
    assert chain.folder().is_younger(PLAN.document, 1000)
    assert not chain.folder().is_younger(PLAN.document, 1001)


def test_a_folder_is_listed_again_on_request(chain):
    folder = chain.folder()
    assert (why(PLAN, folder), folder.size("preprocessed/plan") is None) == (None, False)
    shutil.rmtree(chain.path)
    assert why(PLAN, folder) is None
    again = folder.again()
    assert (again.document(PLAN.document), again.size("preprocessed/plan")) == (None, None)


# --- Broken products -----------------------------------------------------------------------------


def test_a_product_without_a_manifest_is_made_again(chain):
    chain.place(VALUES.document).unlink()
    assert found(chain) == {
        VALUES.document: "its manifest is missing",
        ACCEPTED.document: f"{VALUES.document}, which it was made from, is missing or damaged",
        PLAN.document: f"{VALUES.document}, which it was made from, is missing or damaged",
    }


def test_one_existing_output_is_enough_to_notice_a_missing_manifest(chain):
    chain.place(VALUES.document).unlink()
    chain.place("interim/values").unlink()
    assert chain.why(VALUES) == "its manifest is missing"
    chain.place("interim/rejects.jsonl").unlink()
    assert chain.why(VALUES) is None


@pytest.mark.parametrize("content", ["", "content of preprocessed/plan and more", "short"])
def test_a_file_of_another_size_is_noticed(chain, content):
    chain.place("preprocessed/plan").write_text(content)
    assert found(chain) == {
        PLAN.document: "preprocessed/plan is not the file that its manifest describes"
    }


def test_a_missing_file_is_noticed(chain):
    chain.place("interim/rejects.jsonl").unlink()
    assert found(chain) == {
        VALUES.document: "interim/rejects.jsonl is not the file that its manifest describes"
    }


def test_an_output_without_an_entry_must_exist(chain):
    chain.change(VALUES.document, files=[])
    chain.place("interim/rejects.jsonl").unlink()
    assert chain.why(VALUES) == "interim/rejects.jsonl is missing"


def test_a_file_in_a_folder_of_the_product_is_noticed(results):
    results.place("set").mkdir(parents=True)
    results.place("set/part").write_text("1234")
    job = Job("set.manifest.json", ("set",))
    write_document(results.place(job.document), {"files": [{"name": "set/part", "bytes": 4}]})
    assert results.why(job) is None
    results.place("set/part").write_text("123")
    assert results.why(job) == "set/part is not the file that its manifest describes"
    shutil.rmtree(results.place("set"))
    assert results.why(job) == "set/part is not the file that its manifest describes"


def test_an_empty_folder_can_be_a_product(results):
    results.place("set").mkdir(parents=True)
    job = Job("set.manifest.json", ("set",))
    write_document(results.place(job.document), {"files": []})
    assert results.why(job) is None
    results.place("set").rmdir()
    assert results.why(job) == "set is missing"


def test_a_folder_that_became_a_file_is_noticed(results):
    results.place("set").mkdir(parents=True)
    results.place("set/part").write_text("1234")
    job = Job("set.manifest.json", ("set",))
    write_document(results.place(job.document), {"files": [{"name": "set/part", "bytes": 4}]})
    shutil.rmtree(results.place("set"))
    results.place("set").write_text("1234")
    assert results.why(job) == "set/part is not the file that its manifest describes"


# --- Damaged documents ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"\0" * 512, "is empty"),
        (b" \n", "is empty"),
        (b"{", "contains no JSON object"),
        (b"[]", "contains no JSON object"),
        (b"null", "contains no JSON object"),
        (b"\xff\xfe", "contains no JSON object"),
        (b"<html>", "contains no JSON object"),
        (b"{}", "does not have the content that was written"),
        (b'{"digest": "0"}', "does not have the content that was written"),
        (b'{"digest": null, "files": 3}', "does not have the content that was written"),
        (b'{"rows": NaN}', "does not have the content that was written"),
        (b'{"rows": 1e999}', "does not have the content that was written"),
    ],
)
def test_a_damaged_document_is_named(chain, content, said):
    chain.place(VALUES.document).write_bytes(content)
    reasons = found(chain)
    assert set(reasons) == {VALUES.document, ACCEPTED.document, PLAN.document}
    assert reasons[VALUES.document].startswith(f"{chain.place(VALUES.document)} {said}: ")
    gone = f"{VALUES.document}, which it was made from, is missing or damaged"
    assert reasons[ACCEPTED.document] == reasons[PLAN.document] == gone


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_truncated_document_is_named(chain, share):
    content = chain.place(PLAN.document).read_bytes()
    chain.place(PLAN.document).write_bytes(content[: int(share * len(content))])
    assert f"{chain.place(PLAN.document)} contains no JSON object" in found(chain)[PLAN.document]


@given(data=st.data())
def test_a_document_with_a_changed_byte_is_named_or_has_the_same_content(tmp_path, data):
    results = Results(tmp_path)
    job = Job("x.manifest.json", ("x",), code=CODE, settings=SETTINGS)
    results.make(job)
    before = read_json(results.place(job.document))
    content = bytearray(results.place(job.document).read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] = data.draw(st.integers(0, 255))
    results.place(job.document).write_bytes(content)
    reason = results.why(job)
    if reason is None:
        assert read_json(results.place(job.document)) == before
    else:
        assert str(results.place(job.document)) in reason


def test_a_document_changed_by_an_editor_is_named(chain):
    document = read_json(chain.place(PLAN.document))
    write_json(chain.place(PLAN.document), {**document, "source": "archive"})
    assert "does not have the content that was written" in chain.why(PLAN)


def test_the_reason_does_not_ask_to_delete_products_that_are_made_again_anyway(chain):
    chain.place(PLAN.document).write_bytes(b"")
    reason = chain.why(PLAN)
    assert "Delete" not in reason
    assert not reason.endswith(".")


# --- Inputs --------------------------------------------------------------------------------------


def test_an_input_that_has_changed_is_named(chain):
    chain.change(RAW.document, sha256="other")
    assert found(chain) == {VALUES.document: f"{RAW.document} has changed since it was made"}


def test_an_input_that_was_written_again_with_the_same_content_is_no_change(chain):
    chain.make(VALUES)
    assert found(chain) == {}


def test_a_missing_input_is_named(chain):
    chain.place(RAW.document).unlink()
    assert found(chain) == {
        VALUES.document: f"{RAW.document}, which it was made from, is missing or damaged"
    }


def test_a_receipt_is_judged_by_its_own_inputs(chain):
    chain.change(VALUES.document, counts={"records": 1})
    assert chain.why(ACCEPTED) == f"{VALUES.document} has changed since it was made"


# --- Checks --------------------------------------------------------------------------------------


def test_a_check_may_have_other_content(chain):
    chain.change(ACCEPTED.document, limit=3)
    assert found(chain) == {}


def test_a_missing_check_must_pass_again(chain):
    chain.place(ACCEPTED.document).unlink()
    assert found(chain) == {
        PLAN.document: f"the check that wrote {ACCEPTED.document} must pass again"
    }


def test_a_damaged_check_affects_only_itself(chain):
    chain.place(ACCEPTED.document).write_bytes(b"")
    assert set(found(chain)) == {ACCEPTED.document}


# --- What the job would make now -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, None),
        ({"code": "d"}, "it was made by other code"),
        ({"settings": "other"}, "it was made with other settings"),
        ({"inputs": ()}, "it was made from other products"),
        ({"inputs": (VALUES.document, RAW.document)}, "it was made from other products"),
        ({"inputs": (RAW.document,)}, "it was made from other products"),
        ({"checks": ()}, "it was made from other products"),
        ({"checks": (ACCEPTED.document, "more")}, "it was made from other products"),
        ({"inputs": (ACCEPTED.document,), "checks": (VALUES.document,)}, "it was made from other "),
    ],
)
def test_a_document_shows_whether_its_job_would_make_the_same_products(chain, change, reason):
    said = chain.why(replace(PLAN, **change))
    assert said == reason or said.startswith(reason)


def test_the_order_of_inputs_and_checks_does_not_matter(results):
    names = tuple(f"{letter}.receipt.json" for letter in "abcd")
    for name in names:
        results.make(Job(name))
    job = Job("x.manifest.json", ("x",), names[:2], names[2:], CODE, SETTINGS)
    results.make(job)
    assert results.why(replace(job, inputs=job.inputs[::-1], checks=job.checks[::-1])) is None


def test_a_job_that_states_no_code_or_settings_is_not_judged_by_them(chain):
    assert chain.why(replace(PLAN, code=None, settings=None)) is None


def test_a_document_that_does_not_say_how_it_was_made_differs(chain):
    write_document(chain.place(RAW.document), {"source": "local"})
    assert chain.why(RAW) == "it was made by other code"
    assert chain.why(replace(RAW, code=None)) == "it was made with other settings"
    assert chain.why(replace(RAW, code=None, settings=None)) is None


@pytest.mark.parametrize(
    ("damage", "damaged"),
    [
        (lambda chain: chain.place("preprocessed/plan").unlink(), True),
        (lambda chain: chain.place(PLAN.document).unlink(), True),
        (lambda chain: chain.place(PLAN.document).write_text("{"), True),
        (lambda chain: chain.place(ACCEPTED.document).unlink(), True),
        (lambda chain: chain.change(VALUES.document, counts={}), True),
        (lambda chain: chain.change(PLAN.document, code="other"), False),
        (lambda chain: chain.change(PLAN.document, settings={"sha256": "other"}), False),
        (lambda chain: chain.change(PLAN.document, inputs={}), False),
        (lambda chain: chain.change(PLAN.document, checks=[]), False),
    ],
)
def test_broken_and_differing_products_have_different_reasons(chain, damage, damaged):
    damage(chain)
    assert why(PLAN, chain.folder()).damaged == damaged


def test_broken_comes_before_differs_in_the_reason(chain):
    chain.change(VALUES.document, counts={})
    assert "has changed since" in chain.why(replace(PLAN, code="other"))


# --- Hooks: reasons that are in no document ------------------------------------------------------


def test_a_hook_gets_the_document_of_a_current_product(chain):
    seen = []
    assert chain.why(PLAN, also=seen.append) is None
    assert seen == [read_json(chain.place(PLAN.document))]


def test_the_answer_of_a_hook_is_the_reason(chain):
    reason = why(PLAN, chain.folder(), lambda document: "its limit no longer holds")
    assert reason.text == "its limit no longer holds"
    assert reason.damaged


@pytest.mark.parametrize("job", [replace(PLAN, code="other"), replace(PLAN, checks=())])
def test_a_hook_is_not_called_for_products_that_are_made_again_anyway(chain, job):
    assert chain.why(job, also=lambda document: "asked") != "asked"


def test_a_hook_is_not_called_for_missing_products(results):
    assert results.why(PLAN, also=lambda document: "asked") is None


# --- Long lists. The lists are short here; test_job has lists of 1,001 ---------------------------

SOURCES = tuple(f"nights/{number:02}.receipt.json" for number in range(12))
GATHERED = Job("all.manifest.json", ("all",), SOURCES, (), CODE, SETTINGS)


@pytest.fixture
def gathered(results):
    """A product whose document contains a digest of its inputs instead of their names."""
    for name in SOURCES:
        results.make(Job(name))
    results.make(GATHERED)
    digests = read_json(results.place(GATHERED.document))["inputs"]
    shorter = {
        "count": len(digests),
        "names_sha256": document_digest(dict.fromkeys(digests)),
        "sha256": document_digest(digests),
    }
    results.change(GATHERED.document, inputs=shorter)
    return results


def test_a_product_of_many_inputs_is_current(gathered):
    assert gathered.why(GATHERED) is None
    assert gathered.why(replace(GATHERED, inputs=SOURCES[::-1])) is None


def test_a_change_among_many_inputs_is_noticed(gathered):
    gathered.change(SOURCES[5], sha256="other")
    reason = why(GATHERED, gathered.folder())
    assert reason.text == "one of the 12 products that it was made from has changed"
    assert reason.damaged


@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: path.write_text("")])
def test_a_missing_or_damaged_input_among_many_is_named(gathered, damage):
    damage(gathered.place(SOURCES[7]))
    said = gathered.why(GATHERED)
    assert said == f"{SOURCES[7]}, which it was made from, is missing or damaged"


@pytest.mark.parametrize("inputs", [SOURCES[:-1], SOURCES[:3]])
def test_fewer_inputs_make_another_product(gathered, inputs):
    reason = why(replace(GATHERED, inputs=inputs), gathered.folder())
    assert (reason.text, reason.damaged) == ("it was made from other products", False)


def test_the_same_number_of_other_inputs_makes_another_product(gathered):
    gathered.make(Job("nights/other.receipt.json"))
    other = replace(GATHERED, inputs=(*SOURCES[:-1], "nights/other.receipt.json"))
    reason = why(other, gathered.folder())
    assert (reason.text, reason.damaged) == ("it was made from other products", False)


ALERTS = Job("alerts.manifest.json", ("alerts",), (), (), CODE, SETTINGS)


@pytest.fixture
def folder_of_many(results):
    """A folder whose document contains a digest of the names and sizes of its files."""
    results.place("alerts").mkdir(parents=True)
    listing = {f"{number:02}.npy": number % 3 for number in range(12)}
    for name, size in listing.items():
        results.place(f"alerts/{name}").write_bytes(bytes(size))
    content = {
        "files": [],
        "members": {"folder": "alerts", "listing_sha256": listing_digest(listing)},
        "code": CODE,
        "settings": {"sha256": SETTINGS},
    }
    write_document(results.place(ALERTS.document), content)
    return results


def test_a_folder_of_many_files_is_current(folder_of_many):
    assert folder_of_many.why(ALERTS) is None


def test_hidden_files_in_a_folder_of_many_files_do_not_count(folder_of_many):
    folder_of_many.place("alerts/.snakemake_timestamp").write_bytes(b"")
    assert folder_of_many.why(ALERTS) is None


def empty_all(folder):
    shutil.rmtree(folder)
    folder.mkdir()


def make_a_file_of_it(folder):
    shutil.rmtree(folder)
    folder.write_bytes(b"")


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "05.npy").unlink(),
        lambda folder: (folder / "05.npy").write_bytes(b"1234"),
        lambda folder: (folder / "05.npy").rename(folder / "x.npy"),
        lambda folder: (folder / "x.npy").write_bytes(b""),
        empty_all,
        make_a_file_of_it,
    ],
)
def test_a_missing_additional_or_resized_file_is_noticed(folder_of_many, damage):
    damage(folder_of_many.place("alerts"))
    reason = why(ALERTS, folder_of_many.folder())
    assert reason.text == "alerts is not the file that its manifest describes"
    assert reason.damaged


def test_a_missing_folder_of_many_files_is_noticed(folder_of_many):
    shutil.rmtree(folder_of_many.place("alerts"))
    assert folder_of_many.why(ALERTS) == "alerts is missing"


@given(st.dictionaries(st.text("abc", max_size=3), st.integers(0, 3)))
def test_the_digest_of_a_listing_does_not_depend_on_its_order(listing):
    assert listing_digest(dict(reversed(listing.items()))) == listing_digest(listing)


@given(*(st.dictionaries(st.text("ab1", min_size=1, max_size=3), st.integers(0, 12)),) * 2)
def test_other_listings_have_other_digests(one, other):
    assert (listing_digest(one) == listing_digest(other)) == (one == other)


def test_a_manifest_of_another_product_is_noticed(tmp_path):
    results = Results(tmp_path)
    one = Job("dev.manifest.json", outputs=("dev",), code=CODE, settings=SETTINGS)
    other = replace(one, document="test.manifest.json", outputs=("test",))
    results.make(one, product="dev")
    results.make(other, product="test")
    assert why(one, results.folder()) is None
    shutil.copy(tmp_path / "test.manifest.json", tmp_path / "dev.manifest.json")
    assert why(one, results.folder()).text == "its manifest is that of test"


def test_a_document_without_read_permission_is_named(tmp_path, monkeypatch):
    results = Results(tmp_path)
    job = Job("one.manifest.json", outputs=("one",), code=CODE, settings=SETTINGS)
    results.make(job)

    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("skymill.engine.staleness.read_document", refuse)
    reason = why(job, results.folder())
    assert reason.text == "one.manifest.json cannot be read: Permission denied"
