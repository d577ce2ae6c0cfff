"""Damaged products, manifests and receipts are named and made again; no command fails on them."""

import os

import pytest
from test_staleness import FEATURES, IDS, INDEX, INGEST

RECEIPTS = "data/interim/raw/solar_flare_2020"
VALUES = "data/interim/solar_flare_2020/values/train_partition1_data"
INGESTED = {"ingest_magnetic", "check_ingest"} | IDS

# A document of each kind, and the rules that make it again.
DOCUMENTS = [
    (f"{VALUES}.manifest.json", INGESTED),
    (
        "data/interim/raw/solar_flare_2020/train_partition1_data.json.receipt.json",
        {"verify_raw"} | INGEST,
    ),
    (
        "data/preprocessed/solar_flare_2020/leaks.receipt.json",
        {"check_leaks", "write_records"} | FEATURES,
    ),
    # Statistics and figures are only made of the training split.
    (
        "data/processed/magnetic_data/dev.manifest.json",
        FEATURES - {"measure_magnetic", "illustrate_magnetic"},
    ),
    ("data/preprocessed/sdo/plan.parquet.manifest.json", INDEX),
    ("data/sample/raw/sdo.manifest.json", {"unpack_sdo"}),
    ("data/interim/ztf/accepted/20180601.receipt.json", {"check_night"}),
]


def cut(path, content: bytes):
    """Replace the content of a file and keep its time, as silent damage does."""
    then = path.stat()
    path.write_bytes(content)
    os.utime(path, ns=(then.st_atime_ns, then.st_mtime_ns))


DAMAGE = (
    lambda good: b"",
    lambda good: good[: len(good) // 2],
    lambda good: b"2".join(good.split(b"1")),
)
"""Empty, truncated, changed: one kind per document. tests/unit/test_products.py has all kinds."""


@pytest.mark.parametrize("number", range(len(DOCUMENTS)), ids=[name for name, _ in DOCUMENTS])
def test_a_damaged_document_is_named_and_its_product_made_again(finished, number):
    document, stages = DOCUMENTS[number]
    path = finished.path(document)
    good = path.read_bytes()
    cut(path, DAMAGE[number % len(DAMAGE)](good))
    rules, text = finished.look()
    assert document.split("/")[-1] in text
    assert "Traceback" not in text
    assert rules >= stages
    cut(path, good)
    assert finished.stale() == set()


def test_all_documents_may_be_damaged_at_the_same_time(finished):
    before = finished.products()
    for path in finished.path("data").rglob("*.json"):
        if path.name.endswith((".manifest.json", ".receipt.json")):
            cut(path, b"")
    rules, text = finished.look()
    assert len(rules) == len(finished.look("--forceall")[0]) - len(SIMULATIONS)
    assert "Traceback" not in text
    finished.run("--cores", "2", "stealth", "ztf")
    after = finished.products()
    of_branches = [name for name in before if "/ztf/" in name or "/stealth/" in name]
    assert {name: after[name] for name in of_branches} == {
        name: before[name] for name in of_branches
    }
    assert finished.stale("stealth", "ztf") == set()


SIMULATIONS = [f"simulate_{name}" for name in ("magnetic", "night", "sdo", "stealth", "ztf_labels")]


@pytest.mark.parametrize(
    ("output", "stages"),
    [
        ("data/interim/solar_flare_2020/catalogue/train_partition1_data.parquet", INGESTED),
        ("data/interim/solar_flare_2020/quarantine/train_partition1_data.jsonl", INGESTED),
        ("data/interim/sdo/problems.jsonl", {"catalogue_sdo"}),
        ("data/interim/sdo/images.parquet", {"catalogue_sdo"}),
        ("data/interim/ztf/quarantine/20180602.jsonl", {"extract_night"}),
        ("data/interim/ztf/label_problems.jsonl", {"read_labels"}),
        ("data/interim/stealth/quarantine.jsonl", {"ingest_stealth"}),
        ("data/processed/ztf/labels.csv", {"gather_ztf"}),
        ("data/processed/sdo/integrity.md", {"report_sdo"}),
    ],
)
def test_every_output_of_a_rule_is_described_and_noticed_when_it_is_cut_or_lost(
    finished, output, stages
):
    path = finished.path(output)
    good = path.read_bytes()
    cut(path, good + b"\n")
    rules, text = finished.look()
    assert output.removeprefix("data/") in text
    assert rules >= stages
    path.unlink()
    rules, text = finished.look()
    assert output.removeprefix("data/") in text
    assert rules >= stages


def test_a_damaged_sidecar_of_a_simulated_file_has_it_simulated_again(finished):
    sidecar = finished.path("data/sample/raw/stealth/data.csv.source.json")
    good = sidecar.read_bytes()
    cut(sidecar, b"")
    rules, text = finished.look()
    assert "data.csv" in text
    assert "simulate_stealth" in rules
    finished.run("--cores", "2")
    assert sidecar.read_bytes() == good
    assert finished.stale() == set()
