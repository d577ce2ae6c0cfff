"""The watch of a run: jobs that are not current, leftovers, and the last messages."""

import logging
import os
from pathlib import Path
from unittest.mock import ANY

import pytest
from rule_jobs import Named, job, write_product

from skymill import paths
from skymill.engine.digests import document_digest
from skymill.engine.errors import SkymillError
from skymill.engine.job import Run
from skymill.engine.products import read_document, write_document
from skymill.watch import Watch, find_leftovers, leftovers_of, open_results

STARTED = 1_000_000


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The folder in which Snakemake runs."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


# --- Jobs that are not current -------------------------------------------------------------------

MADE = "data/interim/x.md"
OUTPUT = {"page": MADE, "manifest": f"{MADE}.manifest.json"}
SETTINGS = {"seed": 1, "split.unit": "region"}


@pytest.fixture
def inputs():
    """Two products, one of them with its file, and a check."""
    return {
        "one": "data/interim/one",
        "one_manifest": write_product("data/interim/one"),
        "others": [write_product("data/interim/other")],
        "checks": [write_product("data/interim/good.receipt.json")],
    }


def make(inputs, outputs=OUTPUT, **given):
    """Run a job that writes a page; return the job object of its rule."""
    rule = job(inputs, outputs, **{"settings": SETTINGS, **given})
    for path in rule.output:
        if not path.endswith(".json"):
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            Path(path).write_text("# Page\n")
    Run(rule).finish(source="local", counts={"rows": 3})
    return rule


def judge(rule, watch=None, *, code="c0de", settings=SETTINGS, also=None):
    """Return the watch's reason why a job must run; None if the job need not run."""
    watch = watch or Watch("data", {}, [])
    reason = watch.why(rule.output, rule.input, code=code, settings=settings, also=also)
    return reason and reason.text


def test_a_job_whose_product_is_current_need_not_run(inputs):
    assert judge(make(inputs)) is None


def test_a_job_whose_products_are_all_missing_is_left_to_snakemake(inputs):
    assert judge(job(inputs, OUTPUT)) is None


SHEETS = [f"data/processed/sheet_{name}.md" for name in "abc"]
SEVERAL = {"sheets": SHEETS, "manifest": [f"{path}.manifest.json" for path in SHEETS]}


@pytest.fixture
def several(inputs):
    """A finished job that makes several products."""
    rule = job(inputs, SEVERAL, settings=SETTINGS)
    run = Run(rule)
    for path in run.output.sheets:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("# Page\n")
        run.finish(source="local", product=path, counts={"rows": 3})
    return rule


def test_a_job_with_several_products_is_current_if_all_of_them_are(several):
    assert judge(several) is None
    assert judge(several, code="other") == "it was made by other code"


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_text("other\n")])
@pytest.mark.parametrize("end", ["", ".manifest.json"])
@pytest.mark.parametrize("path", SHEETS)
def test_the_damaged_one_of_several_products_is_named(several, path, end, damage):
    damage(Path(path + end))
    reason = Watch("data", {}, []).why(
        several.output, several.input, code="c0de", settings=SETTINGS
    )
    assert (reason.product, reason.damaged) == (path, True)


@pytest.mark.parametrize("path", SHEETS)
def test_one_of_several_products_that_is_missing_with_its_manifest_is_named(several, path):
    for end in ("", ".manifest.json"):
        Path(path + end).unlink()
    reason = Watch("data", {}, []).why(
        several.output, several.input, code="c0de", settings=SETTINGS
    )
    assert (reason.product, reason.text) == (path, "it is missing")
    # A new label is no damage.
    assert not reason.damaged


@pytest.mark.parametrize(
    ("now", "text"),
    [
        ({"code": "other"}, "it was made by other code"),
        ({"settings": {**SETTINGS, "seed": 2}}, "it was made with other settings"),
        ({"settings": {}}, "it was made with other settings"),
        ({"also": lambda document: "a limit no longer holds"}, "a limit no longer holds"),
    ],
)
def test_a_job_that_must_run_has_a_reason(inputs, now, text):
    assert judge(make(inputs), **now) == text


def test_the_order_of_settings_does_not_matter(inputs):
    assert judge(make(inputs), settings=dict(reversed(SETTINGS.items()))) is None


@pytest.mark.parametrize("change", [{"others": []}, {"checks": []}])
def test_a_job_with_other_inputs_must_run(inputs, change):
    make(inputs)
    assert judge(job({**inputs, **change}, OUTPUT)) == "it was made from other products"


def test_input_files_without_a_document_are_not_judged(inputs):
    make(inputs)
    assert judge(job({**inputs, "file": "data/interim/file.jsonl"}, OUTPUT)) is None


def test_all_outputs_of_the_rule_must_exist(inputs):
    rule = make(inputs, {**OUTPUT, "rejects": "data/interim/rejects.jsonl"})
    Path("data/interim/rejects.jsonl").unlink()
    assert judge(rule).startswith("interim/rejects.jsonl is ")


def test_a_check_is_judged_by_its_receipt(inputs):
    rule = make(inputs, {"receipt": "data/interim/x.receipt.json"})
    assert judge(rule) is None
    assert judge(rule, code="other") == "it was made by other code"
    Path("data/interim/x.receipt.json").write_text("")
    assert judge(rule) == "data/interim/x.receipt.json is empty: something damaged it"


@pytest.mark.parametrize("results", ["data", "runs/trial"])
@pytest.mark.parametrize("before", ["", ".snakemake/storage/s3/bucket/"])
def test_paths_may_have_the_prefix_of_a_storage(results, before):
    one = write_product(f"{before}{results}/interim/one", results=results)
    page = f"{before}{results}/interim/x.md"
    outputs = {"page": page, "manifest": f"{page}.manifest.json"}
    rule = make({"one": one}, outputs, results=results)
    watch = Watch(results, {}, [])
    assert judge(rule, watch) is None
    assert judge(rule, watch, code="other") == "it was made by other code"


def test_a_document_is_read_once_for_all_jobs(inputs):
    rule = make(inputs)
    watch = Watch("data", {}, [])
    assert judge(rule, watch) is None
    Path(OUTPUT["manifest"]).write_text("")
    assert judge(rule, watch) is None
    assert judge(rule) is not None


# --- Products of which only the manifest is judged -----------------------------------------------

SDO = "data/raw/sdo.manifest.json"


def write_raw_manifest():
    Path(SDO).parent.mkdir(parents=True)
    write_document(Path(SDO), {"source": "archive"})


@pytest.mark.parametrize("results", ["data", "trial"])
def test_a_complete_or_missing_manifest_is_not_damaged(results):
    assert Watch(results, {}, []).damage(SDO) is None
    write_raw_manifest()
    assert Watch(results, {}, []).damage(SDO) is None


@pytest.mark.parametrize("results", ["data", "trial"])
@pytest.mark.parametrize("content", ["", "{", "{}"])
def test_a_damaged_manifest_is_named(results, content):
    write_raw_manifest()
    Path(SDO).write_text(content)
    assert Watch(results, {}, []).damage(SDO).startswith(f"{SDO} ")


# --- Products of the configuration, and leftovers ------------------------------------------------

PLAN, MATCH = "preprocessed/solar_flare_2020/plan.parquet", "preprocessed/ztf/plan.parquet"
RECEIPT = "interim/raw/solar_flare_2020/a.json.receipt.json"
PRODUCTS = {
    "magnetic": [f"data/{PLAN}", f"data/{PLAN}.manifest.json", f"data/{RECEIPT}"],
    "ztf": [f"data/{MATCH}", f"data/{MATCH}.manifest.json"],
    "sdo": [],
}


def data():
    """Return the current results folder."""
    return open_results("data")


def test_products_of_the_configuration_are_written_by_branch():
    Watch("data", PRODUCTS, ["ztf", "magnetic"]).write_products(data(), {"seed": 1})
    assert read_document(Path("data/products.json")) == {
        "digest": ANY,
        "settings": {"seed": 1},
        "branches": ["magnetic", "ztf"],
        "products": {
            "magnetic": [RECEIPT, f"{PLAN}.manifest.json"],
            "ztf": [f"{MATCH}.manifest.json"],
            "sdo": [],
        },
    }


def test_files_outside_the_results_folder_are_not_among_its_products():
    made = [SDO, "trial/processed/sdo/integrity.md.manifest.json"]
    Watch("trial", {"sdo": made}, ["sdo"]).write_products(open_results("trial"))
    known = read_document(Path("trial/products.json"))
    assert known["products"] == {"sdo": ["processed/sdo/integrity.md.manifest.json"]}


def test_products_of_the_configuration_are_no_leftovers():
    for made in PRODUCTS.values():
        for path in made:
            if path.endswith(".json"):
                write_product(path.removesuffix(".manifest.json"))
    watch = Watch("data", PRODUCTS, [*paths.BRANCH_FOLDERS])
    assert watch.leftovers(data()) == []
    watch.write_products(data())
    assert leftovers_of(data()) == []


LEFT = [
    "interim/raw/solar_flare_2020/b.json.receipt.json",
    "interim/solar_flare_2020/values/old",
    "processed/magnetic_diagnostics.md",
]


@pytest.fixture
def left():
    """Products of both branches that no rule makes."""
    for name in [*LEFT, "processed/ztf/old.csv", PLAN]:
        write_product(f"data/{name}")


@pytest.mark.parametrize(
    ("branches", "expected"),
    [
        (["magnetic"], LEFT),
        (["ztf"], ["processed/ztf/old.csv"]),
        (["ztf", "magnetic"], [*LEFT, "processed/ztf/old.csv"]),
        (["sdo", "stealth"], []),
        ([], []),
    ],
)
def test_other_products_of_enabled_branches_are_leftovers(left, branches, expected):
    watch = Watch("data", PRODUCTS, branches)
    assert watch.leftovers(data()) == expected
    watch.write_products(data())
    assert leftovers_of(data()) == expected


def test_leftovers_are_listed_by_product_and_sorted():
    found = ["processed/ztf/b.csv.manifest.json", "interim/ztf/a.receipt.json", f"{MATCH}.x"]
    found.append(f"{MATCH}.manifest.json")
    documents = {"ztf": [f"{MATCH}.manifest.json"], "magnetic": [f"{MATCH}.x"]}
    left_over = ["interim/ztf/a.receipt.json", "processed/ztf/b.csv"]
    assert find_leftovers(iter(found), documents, ["ztf"]) == left_over


def test_raw_files_real_or_simulated_are_never_leftovers():
    write_product("data/sample/raw/sdo")
    write_raw_manifest()
    assert Watch("data", {}, [*paths.BRANCH_FOLDERS]).leftovers(data()) == []


def test_a_file_without_a_document_is_no_leftover(left):
    Path("data/processed/ztf/notes.txt").write_text("mine")
    assert Watch("data", PRODUCTS, ["ztf"]).leftovers(data()) == ["processed/ztf/old.csv"]


def test_without_a_run_no_leftovers_are_known(left):
    assert leftovers_of(data()) == []
    assert leftovers_of(open_results("nowhere")) == []


def test_leftovers_belong_to_one_results_folder(left):
    assert Watch("trial", PRODUCTS, ["magnetic", "ztf"]).leftovers(open_results("trial")) == []


def test_a_damaged_list_of_products_is_refused_by_name():
    Path("data").mkdir()
    Path("data/products.json").write_text("{")
    with pytest.raises(SkymillError, match=r"products\.json contains no JSON object"):
        leftovers_of(data())


@pytest.mark.parametrize("name", ["data", "data/", "runs/trial", "/scratch/trial/"])
def test_a_results_folder_is_opened_by_its_path(name):
    write_path = open_results(name)._path_of("interim/x")
    assert write_path == Path(name) / "interim/x"


# --- The last messages of a run ------------------------------------------------------------------


def closing(products, branches):
    """Return the last lines of a run that has judged a job."""
    watch = Watch("data", products, branches)
    judge(job(outputs={"receipt": "data/interim/any.receipt.json"}), watch)
    return list(watch.closing_lines())


@pytest.fixture(autouse=True)
def _clock(monkeypatch):
    """Let every run of these tests start at the same time."""
    monkeypatch.setattr("skymill.watch.time.time", lambda: STARTED)


def manifest_of(name, *, at=STARTED - 1, **content):
    """Write a product at a time; return the path of its manifest."""
    path = write_product(f"data/{name}", **content)
    os.utime(path, (at, at))
    return path


SUMMARY = (logging.INFO, "`skymill summary` lists all products.")


@pytest.mark.parametrize("results", ["trial", "runs/trial", "/scratch/trial"])
def test_a_run_says_where_the_results_of_another_folder_are(results):
    lines = list(Watch(results, {}, []).closing_lines())
    said = f"`skymill summary {results}` lists all products."
    assert lines == [(logging.INFO, said)]


def test_a_run_says_where_the_results_are():
    made = manifest_of(PLAN, source="archive")
    assert closing({"magnetic": [made]}, ["magnetic"]) == [SUMMARY]
    assert closing({"magnetic": ["data/never/made.manifest.json"]}, ["magnetic"]) == [SUMMARY]


def test_a_run_says_that_results_are_simulated():
    made = [manifest_of(PLAN, source="sample"), manifest_of("processed/x", source="archive")]
    lines = closing({"magnetic": made}, ["magnetic"])
    assert lines[0] == SUMMARY
    assert [level for level, _ in lines] == [logging.INFO] * 2
    assert lines[1][1].startswith("SIMULATED DATA: ")


@pytest.mark.parametrize(("at", "said"), [(STARTED - 1, False), (STARTED, True)])
def test_only_products_of_this_run_count_for_a_disabled_branch(at, said):
    made = {"magnetic": [manifest_of(PLAN, at=at, source="sample")], "ztf": []}
    assert any("SIMULATED" in line for _, line in closing(made, ["ztf"])) == said


@pytest.mark.parametrize(("rows", "said"), [(0, True), (1, False)])
def test_a_cross_match_without_stamps_gives_a_warning(rows, said):
    made = manifest_of(paths.ZTF_STAMPS, counts={"rows": rows}, source="local")
    lines = closing({"ztf": [made]}, ["ztf"])
    warned = [line for level, line in lines if level == logging.WARNING]
    assert len(warned) == said
    assert all(line.startswith("NO STAMPS: ") for line in warned)


def test_the_warning_comes_before_the_message_on_simulated_data():
    made = manifest_of(paths.ZTF_STAMPS, counts={"rows": 0}, source="sample")
    lines = closing({"ztf": [made]}, ["ztf"])
    assert [line.partition(":")[0] for _, line in lines[1:]] == ["NO STAMPS", "SIMULATED DATA"]


def test_products_made_since_a_job_was_judged_count(inputs):
    rule = job(inputs, OUTPUT)
    watch = Watch("data", {"magnetic": [OUTPUT["manifest"]]}, ["magnetic"])
    assert judge(rule, watch) is None
    make({**inputs, "more": [write_product("data/interim/more", source="sample")]})
    assert any("SIMULATED" in line for _, line in watch.closing_lines())


def test_a_product_that_was_damaged_meanwhile_is_ignored():
    made = [manifest_of(PLAN, source="sample"), manifest_of(MATCH, source="local")]
    Path(made[0]).write_text("{")
    assert closing({"magnetic": made}, ["magnetic"]) == [SUMMARY]


def test_receipts_and_plain_files_are_not_listed_as_products():
    receipt = write_product("data/interim/x.receipt.json", source="sample")
    Path("data/x.csv").write_text("")
    assert closing({"magnetic": [receipt, "data/x.csv"]}, ["magnetic"]) == [SUMMARY]


def test_settings_are_compared_in_the_form_of_documents(inputs):
    make(inputs)
    known = read_document(Path(OUTPUT["manifest"]))["settings"]
    assert known == {"keys": ["seed", "split.unit"], "sha256": document_digest(SETTINGS)}


def test_the_named_lists_of_snakemake_are_supported():
    named = Named(one="a", many=["b", "c"], none=[])
    assert list(named) == ["a", "b", "c"]
    assert (named.many, named.get("none"), named.get("other")) == (["b", "c"], [], None)


# --- Warnings are repeated -----------------------------------------------------------------------


def warned(*texts):
    """Write two documents with warnings; return the warnings that the end of a run repeats."""
    products = [
        manifest_of("interim/b", source="local", warnings=list(texts)),
        write_product("data/interim/a.receipt.json", source="local", warnings=["first"]),
    ]
    return [line for level, line in closing({"ztf": products}, ["ztf"]) if level > logging.INFO]


def test_the_end_of_a_run_repeats_the_warnings_of_its_jobs():
    assert warned("second", "first", "third") == [
        "Warnings about the results in data/:",
        "  first",
        "  second",
        "  third",
    ]


def test_the_first_of_many_warnings_are_repeated_and_the_others_counted():
    lines = warned(*(f"night {number:04}" for number in range(1500)))
    assert len(lines) == 22
    assert lines[-1] == "  and 1,481 more: `skymill summary` lists them."
