"""The complete published auxiliary table, from the CSV file to the typed table.

The data is in the folder that SKYMILL_REAL_DATA names, or in `../shared/real` next to the
repository. Without the data these tests are skipped.
"""

import json
import os
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from skymill.stealth.catalogue import ingest
from skymill.stealth.schema import PUBLISHED_ROWS
from skymill.stealth.write import convert

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDER = Path(os.environ.get("SKYMILL_REAL_DATA") or REPOSITORY.parent / "shared" / "real")
RAW = FOLDER / "stealth" / "data.csv"

pytestmark = pytest.mark.skipif(not RAW.exists(), reason=f"no real data: {RAW} does not exist")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return the manifest's content and the final table."""
    folder = tmp_path_factory.mktemp("stealth")
    rows, quarantine = folder / "rows.parquet", folder / "quarantine.jsonl"
    counts = ingest(RAW, rows, quarantine)["counts"]
    assert counts["rejected"] == counts["blank"] == 0
    output = folder / "solar_flares.parquet"
    content = convert(rows, quarantine, counts, output, max_rejected_fraction=0, simulated=False)
    return content, pq.read_table(output)


def test_the_published_figures_are_reached(made):
    content, table = made
    assert table.num_rows == PUBLISHED_ROWS == 1389
    assert content["warnings"] == []
    assert content["counts"] == {
        "records": 1389,
        "records_with": {"common_flares": 218, "moderate_flares": 68, "severe_flares": 12},
        "repeat_an_earlier_row": 862,
    }


def test_every_row_equals_its_line_of_the_file(made):
    lines = RAW.read_text().splitlines()[1:]
    rows = [",".join(map(str, row.values())) for row in made[1].to_pylist()]
    assert rows == lines


def test_every_value_has_a_meaning(made):
    table = made[1]
    for field in table.schema:
        if meanings := json.loads(field.metadata.get(b"meanings", b"null")):
            assert {str(value) for value in table[field.name].unique().to_pylist()} <= set(meanings)
