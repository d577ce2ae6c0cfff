"""The simulated auxiliary table has the published layout and marginals."""

from collections import Counter

import pyarrow.parquet as pq
import pytest

from skymill.raw.files import origin
from skymill.simulate.stealth import MARGINALS, write_stealth
from skymill.stealth.catalogue import ingest
from skymill.stealth.schema import COLUMNS


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """Return the folder of a simulated file and its products, and the counts of ingest."""
    folder = tmp_path_factory.mktemp("simulated")
    write_stealth(folder / "data.csv", rows=2000, seed=7)
    content = ingest(folder / "data.csv", folder / "rows.parquet", folder / "quarantine.jsonl")
    return folder, content["counts"]


def test_the_table_has_the_published_names_and_one_bad_line_in_two_hundred(simulated):
    folder, counts = simulated
    names = (folder / "data.csv").read_text().splitlines()[0].split(",")
    assert names == [column.raw_name for column in COLUMNS]
    assert (counts["lines"], counts["rejected"], counts["blank"]) == (2000, 10, 0)
    assert set(counts["rejected_by_reason"]) == {"wrong_fields", "unknown_code"}


def test_values_are_as_frequent_as_in_the_published_table(simulated):
    table = pq.read_table(simulated[0] / "rows.parquet")
    assert list(MARGINALS) == table.column_names
    conditional = {"largest_spot_size": "X", "spot_distribution": "X"}
    for name, counts in MARGINALS.items():
        found = Counter(map(str, table[name].to_pylist()))
        del found[conditional.get(name)]
        for value, count in counts.items():
            expected = count / sum(counts.values())
            assert found[value] / found.total() == pytest.approx(expected, abs=0.04), (name, value)


def test_groups_of_one_polarity_have_no_distribution_and_those_without_penumbra_no_spot(simulated):
    for row in pq.read_table(simulated[0] / "rows.parquet").to_pylist():
        group = row["modified_zurich_class"]
        assert (row["largest_spot_size"] == "X") == (group == "B")
        assert (row["spot_distribution"] == "X") == (group == "H")


def test_the_same_seed_gives_the_same_bytes_and_the_sidecar_says_sample(tmp_path):
    paths = [tmp_path / name for name in ("one.csv", "two.csv", "other.csv")]
    for path, seed in zip(paths, (7, 7, 8), strict=True):
        write_stealth(path, rows=10, seed=seed)
        assert origin(path) == "sample"
    one, two, other = (path.read_bytes() for path in paths)
    assert one == two != other
