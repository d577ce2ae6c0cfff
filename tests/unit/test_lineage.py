"""Lineage: products that have lost what they were made from are found, and made again."""

import json

import pytest

from skymill.lineage import age, made_otherwise, orphans, read_numbers, renumber
from skymill.products import manifest_path, write_json, write_manifest


@pytest.fixture
def chain(tmp_path, monkeypatch):
    """raw.json -> values -> plan -> check.receipt.json; `plan` had to pass gate.json."""
    monkeypatch.chdir(tmp_path)
    write_json(tmp_path / "raw.json", {"source": "local"})
    write_json(tmp_path / "gate.json", {"source": "local"})
    for product, inputs, gates in (
        ("values", ["raw.json"], []),
        ("plan", ["values.manifest.json"], ["gate.json"]),
    ):
        (tmp_path / product).write_text(product)
        manifest = manifest_path(tmp_path / product)
        write_manifest(manifest, {}, code="", settings={}, inputs=inputs, gates=gates)
    receipt = tmp_path / "check.receipt.json"
    write_manifest(receipt, {}, code="", settings={}, inputs=["plan.manifest.json"])
    return tmp_path


PRODUCTS = ["values", "plan", "check.receipt.json", "never.made"]


def test_whole_products_are_no_orphans(chain):
    assert orphans(PRODUCTS, chain) == {}


def test_a_product_whose_input_is_gone_is_an_orphan(chain):
    manifest_path(chain / "values").unlink()
    found = orphans(PRODUCTS, chain)
    assert found == {
        "plan": "values.manifest.json, which it was made from, is gone",
        "values": "its manifest is gone",
    }


def test_a_product_whose_input_has_changed_is_an_orphan(chain):
    write_json(chain / "raw.json", {"source": "sample"})
    assert orphans(PRODUCTS, chain) == {"values": "raw.json has changed since it was made"}


def test_a_receipt_is_judged_by_its_own_inputs(chain):
    write_json(manifest_path(chain / "plan"), {"other": 1})
    assert set(orphans(["check.receipt.json"], chain)) == {"check.receipt.json"}


def test_a_gate_has_to_exist_but_may_say_something_else(chain):
    write_json(chain / "gate.json", {"source": "local", "limit": 3})
    assert orphans(PRODUCTS, chain) == {}
    (chain / "gate.json").unlink()
    assert orphans(PRODUCTS, chain) == {"plan": "the check that wrote gate.json has to pass again"}


def test_each_repair_has_the_next_number(tmp_path):
    state = tmp_path / ".snakemake" / "state.json"
    assert read_numbers(state) == {}
    assert renumber(state, ["a", "b"]) == {"a": 1, "b": 1}
    assert renumber(state, {"b": "why"}) == {"a": 1, "b": 2}
    assert renumber(state, iter(["a"])) == {"a": 2, "b": 2}
    assert read_numbers(state) == {"a": 2, "b": 2}


def test_without_repairs_nothing_is_written(tmp_path):
    state = tmp_path / "state.json"
    assert renumber(state, []) == {}
    assert not state.exists()


NOW = {"code": "c", "settings": {"seed": 1}, "inputs": ["raw.json", "gate.json"]}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({}, None),
        ({"inputs": None}, None),
        ({"inputs": ["gate.json", "raw.json"]}, None),
        ({"code": "d"}, "it was made by other code"),
        ({"settings": {"seed": 2}}, "it was made with other settings"),
        ({"settings": {}}, "it was made with other settings"),
        ({"inputs": ["raw.json"]}, "it was made from other products"),
        ({"inputs": ["raw.json", "gate.json", "more.json"]}, "it was made from other products"),
    ],
)
def test_a_manifest_tells_whether_its_rule_would_make_the_same(chain, change, why):
    path = chain / "x.manifest.json"
    write_manifest(
        path, {}, code="c", settings={"seed": 1}, inputs=["raw.json"], gates=["gate.json"]
    )
    assert made_otherwise(json.loads(path.read_text()), **{**NOW, **change}) == why


def test_receipts_of_raw_files_do_not_say_how_they_were_made(chain):
    assert made_otherwise({"source": "local"}, **NOW) is None
    unpacked = {"code": "c", "inputs": {"raw.json": "0"}}
    assert made_otherwise(unpacked, code="c", settings={}, inputs=["raw.json"]) is None
    assert made_otherwise(unpacked, code="d", settings={}, inputs=None) is not None


def test_an_aged_manifest_is_older_than_anything_and_says_the_same(chain):
    path = chain / "raw.json"
    before = path.read_bytes()
    age(path)
    assert path.stat().st_mtime == 1
    assert path.read_bytes() == before
