"""Damaged products, manifests and receipts are named and made again; no command fails on them."""

import os

import pytest
from test_staleness import FEATURES, IDS, INDEX, INGEST

RECEIPTS = "data/interim/raw/solar_flare_2020"
VALUES = "data/interim/solar_flare_2020/values/train_partition1_data"
INGESTED = {"ingest_magnetic", "check_ingest"} | IDS

# A document of each kind, and the rules that make it again. Those of a group are in different
# branches, so one look is enough.
DOCUMENTS = [
    {
        f"{VALUES}.manifest.json": INGESTED,
        "data/preprocessed/sdo/plan.parquet.manifest.json": INDEX,
        "data/interim/ztf/accepted/20180601.receipt.json": {"check_night"},
    },
    {
        f"{RECEIPTS}/train_partition1_data.json.receipt.json": {"verify_raw"} | INGEST,
        "data/sample/raw/sdo.manifest.json": {"unpack_sdo"},
    },
    {
        "data/preprocessed/solar_flare_2020/leaks.receipt.json": {"check_leaks", "write_records"}
        | FEATURES,
    },
    # Statistics and figures are only made of the training split.
    {
        "data/processed/magnetic_data/dev.manifest.json": FEATURES
        - {"measure_magnetic", "illustrate_magnetic"},
    },
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


@pytest.mark.parametrize("group", range(len(DOCUMENTS)))
def test_a_damaged_document_is_named_and_its_product_made_again(finished, group):
    good = {document: finished.path(document).read_bytes() for document in DOCUMENTS[group]}
    for number, (document, content) in enumerate(good.items()):
        cut(finished.path(document), DAMAGE[(group + number) % len(DAMAGE)](content))
    rules, text = finished.look()
    for document, stages in DOCUMENTS[group].items():
        assert document.split("/")[-1] in text
        assert rules >= stages
    assert "Traceback" not in text
    for document, content in good.items():
        cut(finished.path(document), content)
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
    "outputs",
    [
        {
            "interim/solar_flare_2020/catalogue/train_partition1_data.parquet": INGESTED,
            "interim/sdo/problems.jsonl": {"catalogue_sdo"},
            "interim/ztf/quarantine/20180602.jsonl": {"extract_night"},
        },
        {
            "interim/solar_flare_2020/quarantine/train_partition1_data.jsonl": INGESTED,
            "interim/sdo/images.parquet": {"catalogue_sdo"},
            "interim/ztf/label_problems.jsonl": {"read_labels"},
            "interim/stealth/quarantine.jsonl": {"ingest_stealth"},
        },
        {
            "processed/sdo/integrity.md": {"report_sdo"},
            "processed/ztf/labels.csv": {"gather_ztf"},
        },
    ],
    ids=lambda outputs: " and ".join(outputs),
)
def test_every_output_of_a_rule_is_described_and_noticed_when_it_is_cut_or_lost(finished, outputs):
    for output in outputs:
        path = finished.path(f"data/{output}")
        cut(path, path.read_bytes() + b"\n")
    looks = [finished.look()]
    for output in outputs:
        finished.path(f"data/{output}").unlink()
    looks.append(finished.look())
    for rules, text in looks:
        for output, stages in outputs.items():
            assert output in text
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
