"""The report shows the manifests' counts, and accepts manifests without a counter."""

import pytest
from records import described
from test_ztf_gather import LABELS
from ztf_nights import write_labels, write_night

from skymill.ztf.plan import make_plan
from skymill.ztf.report import describe


@pytest.fixture(name="page")
def _page(tmp_path):
    alerts = [{"object_id": f"ZTF18a{n:07}", "candid": n} for n in range(24)]
    night = write_night(tmp_path, "20180601", alerts)
    _, counts = make_plan(
        [night],
        write_labels(tmp_path / "labels.parquet", LABELS),
        representative="first",
        sample={"Otro": 3, "QSO": 500},
        split={"validation": 0.2, "test": 0.2},
        seed=1,
    )
    found = {
        "members": 1030,
        "records": 1030,
        "kept": 24,
        "unlabelled": 1000,
        "null_cutout": 1,
        "corrupt": 5,
        "corrupt_by_cause": {"jpeg": 2, "gzip": 3},
    }
    first = described(night, [], night="20180601", counts=found)
    second = described(
        tmp_path / "20180602.parquet",
        [],
        night="20180602",
        counts={},
        truncated=True,
        broken_off="it ends early",
    )
    classes = {"QSO": {"objects": 7, "published": 43054}, "AGN": {"objects": 0, "published": None}}
    listed = {"rows": 20, "kept": 20}
    return describe(
        nights=[second, first],
        labels=described(tmp_path / "labels.parquet", [], classes=classes, counts=listed),
        plan=described(tmp_path / "plan.parquet", [], counts=counts, source="sample"),
        absent=["20180603", "20180604", "20180607"],
    )


def cells(page, start):
    """Return the cells of the first row that starts with a word."""
    line = next(line for line in page.splitlines() if line.startswith(f"| {start} "))
    return [cell.strip() for cell in line.strip("|").split("|")]


def night_page(tmp_path, **nights):
    """Return the page of nights whose manifests have these counts and other content."""
    documents = [
        described(tmp_path / f"{name}.parquet", [], **{"night": name, **content})
        for name, content in nights.items()
    ]
    plan, counts = make_plan(
        [],
        write_labels(tmp_path / "labels.parquet", LABELS),
        representative="first",
        sample={},
        split={},
        seed=1,
    )
    assert plan.num_rows == 0
    return describe(
        nights=documents,
        labels=described(tmp_path / "labels.parquet", [], classes={}, counts={}),
        plan=described(tmp_path / "plan.parquet", [], counts=counts, source="sample"),
    )


def test_only_an_empty_tarball_is_called_empty(tmp_path):
    page = night_page(
        tmp_path,
        a={"counts": {"members": 0, "ignored_members": 0}, "ignored": []},
        b={"counts": {"members": 0, "ignored_members": 2}, "ignored": ["x.txt", "<b>.gz"]},
        c={"counts": {"members": 3, "records": 3, "null_cutout": 3}, "ignored": []},
    )
    assert "(the tarball is empty, or the archive has none): a." in page
    assert cells(page, "b")[-1] == "2"
    assert "Files that are not alert files" in page
    assert "x.txt, &#60;b&#62;.gz" in page


def test_text_from_the_tarball_is_never_markup(tmp_path):
    cut = "the tar ends within <img src=x>"
    page = night_page(tmp_path, a={"counts": {}, "truncated": True, "broken_off": cut})
    assert "<img" not in page
    assert "img src=x" in page


def test_groups_of_names_are_counted(page):
    assert "each within 1.5 arcsec of the next" in page
    assert "The 20 objects are in 20 groups; 0 objects are in groups of several objects." in page


def test_nights_are_counted_each_and_together(page):
    assert cells(page, "20180601")[:6] == ["20180601", "1,030", "1,030", "24", "1,000", "1"]
    assert set(cells(page, "20180602")[1:]) == {"0"}
    assert cells(page, "all")[1:4] == ["1,030", "1,030", "24"]
    assert "- 20180602: it ends early" in page


def test_nights_without_alerts_and_days_without_a_file_are_named(page):
    assert "or the archive has none): 20180602.\n" in page
    assert "skipped because they have no file: 20180603..20180604, 20180607.\n" in page


def test_corrupt_alerts_are_listed_by_cause(page):
    assert cells(page, "jpeg")[1:] == ["2", "a stamp is a JPEG"]
    assert cells(page, "gzip")[1] == "3"


def test_classes_and_matches_are_shown_with_published_numbers(page):
    assert cells(page, "QSO") == ["QSO", "7", "43,054"]
    assert cells(page, "objects with stamps") == ["objects with stamps", "24", "358,163"]
    assert cells(page, "objects matched") == ["objects matched", "20", "134,066"]
    sample = page.split("## Sample")[1]
    assert cells(sample, "Otro") == ["Otro", "7", "122,968", "3", "3", "3"]
    assert cells(sample, "QSO") == ["QSO", "7", "2,804", "500", "7", "7"]
    assert (
        "QSO does not have more objects than requested, so the sample contains all of them." in page
    )


def test_splits_add_up_to_the_sample(page):
    splits = page.split("## Splits")[1]
    rows = [cells(splits, name) for name in ("train", "validation", "test")]
    assert sum(int(row[1]) for row in rows) == 3 + 7 + 6
