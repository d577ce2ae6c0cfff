"""The whole report: every check with its number and limit, sources, warnings, simulated data."""

import re

import pytest
from records import load_config

from skymill import paths
from skymill.engine.products import RECEIPT
from skymill.report.checks import READERS, check_rows, is_of
from skymill.report.parts import Part, Section, paragraph
from skymill.report.whole import write_whole

SETTINGS = {
    "limits": load_config("config.yaml")["limits"],
    "split_unit": "region",
    "archives": {
        "magnetic": {
            "title": "The <archive>",
            "page": "https://example.org/",
            "licence": "CC0",
            "citation": "Somebody 2020",
        }
    },
    "bibtex": ["@misc{key,\n  title = {A <title>}\n}"],
}


def accepted(partition, rejected, valid):
    return {
        "product": paths.ACCEPTED.format(partition=partition),
        "source": "archive",
        "counts": {"rejected": rejected, "valid": valid},
    }


def leaks(records):
    kinds = {"regions": {"in_several_splits": min(records, 1), "records": records}}
    return {"product": paths.LEAKS, "source": "archive", "leaks": kinds}


def raw(name, size):
    product = paths.RAW_RECEIPT.format(file=name)
    return {"product": product, "source": "archive", "raw": {"name": name, "bytes": size}}


def product(name, source="archive", **other):
    files = [{"name": name, "bytes": 1500, "sha256": "0", "rows": 7}]
    return {"product": name, "source": source, "files": files, **other}


def test_every_receipt_has_a_reader():
    receipts = {
        value
        for name, value in vars(paths).items()
        if name.isupper() and isinstance(value, str) and value.endswith(RECEIPT)
    }
    assert receipts - {paths.RAW_RECEIPT, RECEIPT} <= {*READERS}


@pytest.mark.parametrize("pattern", READERS)
def test_a_document_has_one_reader(pattern):
    fields = dict.fromkeys(["partition", "collection", "swan_partition", "night"], "x")
    assert [one for one in READERS if is_of(pattern.format(**fields), one)] == [pattern]


def test_of_several_files_the_one_nearest_to_its_limit_is_told():
    documents = [accepted("one", 1, 99), accepted("two", 3, 97), accepted("three", 2, 98)]
    (row,) = check_rows(documents, SETTINGS)
    assert row == [
        "magnetic records rejected",
        "two (of 3)",
        "3 of 100 (3.00%)",
        "at most 2.00% (limits.max_rejected_fraction)",
    ]


def test_a_changed_limit_is_told():
    settings = {**SETTINGS, "limits": {**SETTINGS["limits"], "max_rejected_fraction": 0.5}}
    (row,) = check_rows([accepted("one", 1, 99)], settings)
    assert "at most 50.00%" in row[-1]


def test_leaks_that_are_not_refused_are_told_as_such():
    assert check_rows([leaks(0)], SETTINGS)[0][2:] == ["0", "must be 0"]
    told = check_rows([leaks(12)], {**SETTINGS, "split_unit": "record"})
    assert told[0][2:] == ["12", "no limit: split.unit is not region"]


def test_raw_files_are_counted():
    (row,) = check_rows([raw("a", 1000), raw("b", 500)], SETTINGS)
    assert row[1:3] == ["2 files", "1.5 kB"]


SECTION = Section("magnetic", "Magnetic records", "Intro.", (Part("a", "A", "C.", paragraph("x")),))


def written(*documents):
    return write_whole([SECTION], documents, SETTINGS)


def test_simulated_data_are_called_so_and_real_ones_are_not():
    assert "SIMULATED DATA" in written(product("processed/a", "sample"))
    assert "SIMULATED DATA" not in written(product("processed/a"))
    mixed = product("processed/a", "sample", sources=["local", "sample"])
    assert "Source: simulated, your own files." in written(mixed)


def test_what_users_work_with_is_listed_and_nothing_else():
    page = written(
        product("processed/magnetic_data/train"),
        product("interim/a"),
        product("processed/report/magnetic"),
    )
    assert re.findall(r'<tr><th scope="row">([\w/]+)</th><td class=number>7</td>', page) == [
        "processed/magnetic_data/train"
    ]


def test_what_depends_on_the_place_of_the_project_is_not_told():
    index = product("processed/sdo/train_metadata.csv")
    index["files"][0]["sha256_without_location"] = "1"
    assert "1.5 kB" not in written(index)
    assert "1.5 kB" in written(product("processed/sdo/statistics.json"))


def test_warnings_of_all_jobs_are_told_once():
    page = written(
        product("processed/a", warnings=["<b>lost</b> 1 line"]),
        product("interim/b", warnings=["<b>lost</b> 1 line", "another"]),
    )
    assert page.count("lost") == 1
    assert "<li>another</li>" in page
    assert "<b>lost" not in page


def test_archives_are_cited():
    page = written(product("processed/a"))
    assert ">The &#60;archive&#62;</a>. Licence: CC0. Cite: Somebody 2020." in page
    assert "A &#60;title&#62;" in page


def test_the_page_does_not_depend_on_the_order_of_documents():
    documents = [product("processed/a"), product("processed/b", "local"), raw("a", 1)]
    assert written(*documents) == written(*documents[::-1])
