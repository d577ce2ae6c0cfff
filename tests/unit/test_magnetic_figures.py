"""The section of the report about magnetic records: its counts, and that nothing breaks it."""

import copy
import re

import pytest
from records import described, load_config
from runs import Run

from skymill.engine.errors import SkymillError
from skymill.engine.products import Product
from skymill.engine.tables import write_table
from skymill.magnetic import figures
from skymill.magnetic.figures import Sources, draw_section
from skymill.magnetic.inputs import CUP
from skymill.magnetic.schema import LABELS, PARTITIONS
from skymill.report import charts, flow

ALWAYS = [
    *("flow", "class_balance", "published_counts", "splits_and_regions", "leaks"),
    *("raw_distributions", "engineered_distributions", "missing_data", "rejected_records"),
    *("what_to_doubt", "settings"),
]


@pytest.fixture(autouse=True)
def specs(monkeypatch):
    """Keep the specifications of the charts, which take a third of a second each to draw."""
    kept = []

    def draw(spec):
        kept.append(spec)
        return "<svg ></svg>"

    for module in (charts, flow):
        monkeypatch.setattr(module, "draw", draw)
    return kept


def values_of(spec):
    return spec.get("data", {}).get("values", [])


def sources_of(run, **other):
    path = run.folder / "records.parquet"
    if not path.exists():
        described(path, [write_table(path, run.records)])
    config = run.config
    given = {
        "ingested": [run.ingested[name].store for name in PARTITIONS],
        "swan": [],
        "ids": run.products[run.ids["train"]],
        "plan": run.products[run.plan],
        "leaks": Product(run.leaks),
        "clean": run.products[run.clean["train"]],
        "augmented": run.products[run.augmented],
        "train": run.products[run.features("train")],
        "ids_path": run.ids["train"],
        "plan_path": run.plan,
        "records_path": path,
        "settings": {
            "seed": config["seed"],
            "features": config["features"],
            "augmentation": config["augmentation"],
            "split.augment": config["split"]["augment"],
        },
        "one": CUP,
    }
    return Sources(**(given | other))


def parts_of(run, **other):
    return {part.name: part for part in draw_section(sources_of(run, **other)).parts}


def cells(body, row):
    """Return the cells of a row of a table by its first cell."""
    found = re.search(rf"<tr><th scope=\"row\">{row}</th>(.*?)</tr>", body)
    return re.findall(r"<td[^>]*>(.*?)</td>", found[1])


def test_the_flow_tells_what_became_of_every_line(small_run):
    body = parts_of(small_run)["flow"].body
    lines = sum(len(lines) for lines in small_run.raw.values())
    assert cells(body, "lines read")[-1] == str(lines)
    assert cells(body, "in the data set")[-1] == str(len(small_run.planned))
    for name in ("train", "dev", "test"):
        expected = (small_run.planned["split"] == name).sum()
        assert cells(body, name)[-1] == f"{expected:,}"


def test_a_product_that_does_not_belong_to_the_others_is_an_error(small_run):
    plan = copy.deepcopy(small_run.products[small_run.plan])
    plan.counts["by_split"]["dev"]["records"] += 1
    with pytest.raises(SkymillError, match="do not add up"):
        parts_of(small_run, plan=plan)


def test_classes_are_counted_before_and_after_augmentation(small_run, specs):
    parts_of(small_run)
    drawn = next(values_of(spec) for spec in specs if "train, originals" in str(values_of(spec)))
    found = {(row["name"], row["series"]): row["value"] for row in drawn}
    planned = small_run.planned
    train = planned[planned["split"] == "train"]
    for label in LABELS:
        of_label = train[train["label"] == label]
        originals = (of_label["method"] == "original").sum()
        assert found[label, "train, originals"] == originals
        assert found[label, "train, with synthetic records"] == len(of_label)


def test_every_region_is_drawn_once_in_its_split(small_run):
    body = parts_of(small_run)["splits_and_regions"].body
    regions = small_run.planned.groupby("split", observed=True)["region"].nunique()
    assert f"train: {regions['train']} regions" in body
    assert "in several splits: 0 regions" in body


def test_regions_in_several_splits_are_shown(published_run):
    body = parts_of(published_run)["splits_and_regions"].body
    assert "in several splits: 0 regions" not in body
    assert "LEAK" in parts_of(published_run)["leaks"].body


def test_a_record_is_shown_beside_its_changed_copies(small_run, specs):
    part = parts_of(small_run)["record_and_copies"]
    assert "of class X" in part.caption
    drawn = next(values_of(spec) for spec in specs if "the record" in str(values_of(spec)))
    assert {row["series"] for row in drawn} == {"the record", "copy by warp", "copy by scale"}


def test_the_section_is_the_same_for_the_same_products(small_run, specs):
    first = draw_section(sources_of(small_run))
    drawn = copy.deepcopy(specs)
    specs.clear()
    assert draw_section(sources_of(small_run)) == first
    assert specs == drawn


def test_without_augmentation_there_are_no_copies_to_show(tmp_path):
    config = load_config("config.yaml")
    config["augmentation"] = {}
    parts = parts_of(Run(tmp_path, config))
    assert [*parts] == ALWAYS


def test_a_class_without_records_keeps_its_row(small_run, specs):
    plan = small_run.planned
    figures._distributions(plan[plan["label"] != "X"], sources_of(small_run))
    drawn = specs[0]["data"]["values"]
    assert [row["name"] for row in drawn] == [*LABELS]
    assert "q50" not in drawn[0]
    assert "q50" in drawn[1]


def test_nothing_is_read_of_most_records(small_run, monkeypatch):
    read = []

    class Store(figures.RecordStore):
        def read(self, positions, names):
            read.append(len(positions))
            return super().read(positions, names)

    monkeypatch.setattr(figures, "RecordStore", Store)
    monkeypatch.setattr(figures, "OF_A_CLASS", 2)
    parts_of(small_run)
    assert max(read) <= 3
