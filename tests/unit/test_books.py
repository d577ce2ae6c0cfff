"""The checks between stages: too many losses, large regions, counts that do not add up."""

import copy
import json

import numpy as np
import pytest
from records import Ingested, record, write_raw

from skymill.engine.errors import SkymillError
from skymill.magnetic.check import (
    conserve,
    require_accepted,
    require_few_dropped,
    require_small_regions,
)
from skymill.magnetic.regions import describe_regions
from skymill.magnetic.schema import TEST_PARTITION, TRAIN_PARTITIONS


def counts(valid, rejected, blank=0):
    return {
        "valid": valid,
        "rejected": rejected,
        "blank": blank,
        "rejected_by_reason": {"invalid_json": rejected} if rejected else {},
    }


@pytest.fixture
def quarantine(tmp_path):
    path = tmp_path / "part.jsonl"
    path.write_text("".join(f'{{"line": {number}}}\n' for number in range(1, 8)))
    return path


@pytest.mark.parametrize(("valid", "rejected"), [(98, 2), (1, 0), (99, 1)])
def test_a_file_that_lost_no_more_than_allowed_is_accepted(quarantine, valid, rejected):
    require_accepted("part", counts(valid, rejected, blank=1000), quarantine, 0.02)


def test_a_file_that_lost_more_is_refused_with_the_first_offenders(quarantine):
    with pytest.raises(SkymillError) as caught:
        require_accepted("part", counts(97, 3, blank=1000), quarantine, 0.02)
    message = str(caught.value)
    assert "3 of 100 lines of part.json were rejected (3.00%, allowed 2.00%)" in message
    assert "invalid_json 3" in message
    assert [f'  {{"line": {n}}}\n' in message for n in range(1, 8)] == [True] * 5 + [False] * 2
    assert str(quarantine) in message


@pytest.mark.parametrize("blank", [0, 5])
def test_a_file_without_a_valid_record_is_refused_at_any_limit(tmp_path, blank):
    quarantine = tmp_path / "part.jsonl"
    quarantine.write_text("")
    with pytest.raises(SkymillError, match=r"part.json contains no valid record \(0 lines"):
        require_accepted("part", counts(0, 0, blank), quarantine, 1.0)
    with pytest.raises(SkymillError, match="no valid record"):
        require_accepted("part", counts(0, 4, blank), quarantine, 1.0)


def test_a_loss_within_the_limit_is_a_warning(quarantine, caplog):
    caplog.set_level("WARNING")
    require_accepted("part", counts(98, 2), quarantine, 0.02)
    assert caplog.messages == ["part.json lost 2 of 100 lines (invalid_json 2)"]
    require_accepted("part", counts(98, 0, blank=3), quarantine, 0.02)
    assert len(caplog.messages) == 1


def test_losses_of_swan_sf_are_called_windows(quarantine, caplog):
    caplog.set_level("WARNING")
    require_accepted("partition2", counts(98, 2), quarantine, 0.02)
    assert caplog.messages == ["partition2_instances.tar.gz lost 2 of 100 windows (invalid_json 2)"]
    with pytest.raises(SkymillError, match=r"3 of 100 windows of partition2_instances.tar.gz were"):
        require_accepted("partition2", counts(97, 3), quarantine, 0.02)


def test_dropped_records_have_a_limit_and_are_a_warning_below_it(caplog):
    caplog.set_level("WARNING")
    few = {"valid": 20, "dropped_identical": 2}
    require_few_dropped("train", few, 0.1)
    assert caplog.messages == [
        "2 of 20 valid records of the train files repeat the id and the values of an earlier one "
        "and were dropped (collisions: drop_identical)"
    ]
    require_few_dropped("train", {**few, "dropped_identical": 0}, 0)
    assert len(caplog.messages) == 1
    with pytest.raises(SkymillError, match=r"10\.00%, allowed 9\.00%.*max_dropped_fraction"):
        require_few_dropped("train", few, 0.09)


def test_each_offender_is_shown_on_one_line_whatever_its_content(tmp_path):
    raw = write_raw(tmp_path / "raw.json", [record(1), "{\u2028\x85\x1e".encode(), b"["])
    done = Ingested(raw, tmp_path)
    with pytest.raises(SkymillError) as caught:
        require_accepted("raw", done.counts, done.paths["quarantine"], 0.5)
    shown = str(caught.value).split("\n")[1:-1]
    assert [json.loads(line)["line"] for line in shown] == [2, 3]


def test_a_region_of_exactly_the_allowed_share_passes_and_a_larger_one_fails():
    found = describe_regions(np.repeat([1, 2, 3], [2, 4, 4]))
    require_small_regions(found, 0.4)
    with pytest.raises(SkymillError, match=r"region 2 has 4 of 10 records \(40.0%, allowed 39"):
        require_small_regions(found, 0.39)


def reconcile(run, collection="train"):
    partitions = TRAIN_PARTITIONS if collection == "train" else (TEST_PARTITION,)
    planned = [run.plan, run.augmented] if collection == "train" else []
    return [
        [run.ingested[name].store for name in partitions],
        *(run.products[path] for path in (run.ids[collection], run.clean[collection], *planned)),
    ]


@pytest.mark.parametrize("which", ["small_run", "published_run"])
def test_the_counts_of_a_run_add_up(request, which):
    run = request.getfixturevalue(which)
    books = conserve(*reconcile(run))
    lines = [line for name in TRAIN_PARTITIONS for line in run.raw[name]]
    assert books["lines"] == len(lines)
    assert (books["valid"], books["rejected"], books["blank"]) == (60, 3, 1)
    assert books["originals"] + books["removed"] == books["kept"] == 60


def test_the_counts_of_the_test_file_add_up(small_run):
    books = conserve(*reconcile(small_run, "test"))
    assert books == {
        "lines": 5,
        "valid": 4,
        "rejected": 1,
        "blank": 0,
        "dropped_identical": 0,
        "kept": 4,
        "clean_files": 4,
    }


def changed(product, keys, by):
    """Return a product whose document contains another number."""
    product = copy.deepcopy(product)
    part = product.document
    for key in keys[:-1]:
        part = part[key]
    part[keys[-1]] += by
    return product


def test_dropped_records_are_accounted_for(small_run):
    ingested, ids, *others = reconcile(small_run)
    ids = changed(ids, ("counts", "kept"), -1)
    ids = changed(ids, ("counts", "dropped_identical"), 1)
    with pytest.raises(SkymillError, match="records kept 59, records in the clean files 60"):
        conserve(ingested, ids, *others)


@pytest.mark.parametrize(
    ("number", "keys", "by", "said"),
    [
        (0, ("counts", "rejected"), 1, "lines read 64, valid + rejected + blank 65"),
        (0, ("counts", "lines"), -1, "lines read 63, valid + rejected + blank 64"),
        (1, ("counts", "kept"), -1, "valid records 60, kept [+] dropped_identical 59"),
        (2, ("files", 0, "rows"), -60, "records kept 60, records in the clean files 59"),
        (3, ("counts", "removed_by_label", "Q"), 1, "records kept 60, originals [+] removed 61"),
        (3, ("counts", "records"), 1, "records planned"),
        (3, ("counts", "by_split", "train", "by_method", "warp"), 1, "records planned"),
        (4, ("files", 0, "rows"), 60, "augmented records planned"),
    ],
)
def test_counts_that_do_not_add_up_are_refused_with_both_numbers(small_run, number, keys, by, said):
    ingested, *others = reconcile(small_run)
    products = [ingested[0], *others]
    products[number] = changed(products[number], keys, by)
    with pytest.raises(SkymillError, match=said.replace(" + ", " [+] ")):
        conserve([products[0], *ingested[1:]], *products[1:])
