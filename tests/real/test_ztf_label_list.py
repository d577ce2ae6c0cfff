"""A real ALeRCE list of 2,000 rows, with one object listed twice.

The data is in the folder that SKYMILL_REAL_DATA names, or in `../shared/real` next to the
repository. Without the data these tests are skipped.
"""

import csv
import os
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from skymill.ztf.labels import Rules, read_labels

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDER = Path(os.environ.get("SKYMILL_REAL_DATA") or REPOSITORY.parent / "shared" / "real")
RAW = FOLDER / "ztf" / "alerce_labels_2000.csv"

pytestmark = pytest.mark.skipif(not RAW.exists(), reason=f"no real data: {RAW} does not exist")


def test_every_object_of_the_real_list_gets_its_label(tmp_path):
    output, problems = tmp_path / "labels.parquet", tmp_path / "problems.jsonl"
    content = read_labels(RAW, output, problems, Rules())
    with open(RAW, newline="") as stream:
        rows = [(row["objectId"], row["classALeRCE"]) for row in csv.DictReader(stream)]
    assert len(rows) == content["counts"]["rows"] == 2000
    assert content["counts"]["merged"] == 1
    assert content["counts"]["kept"] == 1999
    assert problems.read_text() == ""
    table = pq.read_table(output).to_pylist()
    assert [(row["object_id"], row["alerce_class"]) for row in table] == sorted(set(rows))
    labels = Counter(row["label"] for row in table)
    known = Counter(label for _, label in set(rows))
    assert {name: labels[name] for name in ("QSO", "AGN", "YSO")} == {
        name: known[name] for name in ("QSO", "AGN", "YSO")
    }
    assert sum(labels.values()) == 1999
