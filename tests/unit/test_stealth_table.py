"""The auxiliary table accounts for every line, and codes keep their meanings."""

import gzip
import json
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skymill.engine.errors import SkymillError
from skymill.stealth import catalogue
from skymill.stealth.catalogue import RejectedLine, ingest, parse_line
from skymill.stealth.check import require_accepted
from skymill.stealth.schema import COLUMNS, PUBLISHED_ROWS, SCHEMA
from skymill.stealth.write import convert

NAMES = ",".join(column.raw_name for column in COLUMNS)
ROW = "C,S,O,1,2,1,1,2,1,2,3,1,0"
IN_ORDER = list(range(len(COLUMNS)))


@dataclass
class Ingested:
    """A file ingested into a folder, and its products read back."""

    folder: Path
    content: dict
    rejected: list[dict] = field(init=False)

    def __post_init__(self):
        quarantine = (self.folder / "quarantine.jsonl").read_text(encoding="utf-8")
        self.rejected = [json.loads(line) for line in quarantine.split("\n") if line]

    def rows(self):
        """Return the valid rows, one dictionary each."""
        return pq.read_table(self.folder / "rows.parquet").to_pylist()

    def convert(self, *, limit=0.02, simulated=True):
        """Write the final table; return the content of its manifest."""
        return convert(
            self.folder / "rows.parquet",
            self.folder / "quarantine.jsonl",
            self.content["counts"],
            self.folder / "solar_flares.parquet",
            max_rejected_fraction=limit,
            simulated=simulated,
        )


def run(folder, lines, names=NAMES, end="\n"):
    raw = folder / "data.csv"
    raw.write_bytes(end.join([names, *lines, ""]).encode())
    return Ingested(folder, ingest(raw, folder / "rows.parquet", folder / "quarantine.jsonl"))


def values_of(column):
    return st.sampled_from(list(column.meanings)) if column.meanings else st.integers(0, 2**15 - 1)


ROWS = st.lists(st.tuples(*map(values_of, COLUMNS)), max_size=20)


@given(ROWS)
def test_every_valid_row_is_kept_in_order(tmp_path, rows):
    ingested = run(tmp_path, [",".join(map(str, row)) for row in rows])
    found = [[str(value) for value in row.values()] for row in ingested.rows()]
    assert found == [[str(value) for value in row] for row in rows]
    assert ingested.rejected == []
    assert ingested.content["counts"]["valid"] == len(rows)


@given(st.lists(st.text(alphabet="CSO1,2 -x\"'\r\u2028é", max_size=40), max_size=12))
def test_every_line_is_accounted_for(tmp_path, lines):
    ingested = run(tmp_path, [ROW, *lines, ROW])
    counts = ingested.content["counts"]
    assert counts["lines"] == counts["valid"] + counts["rejected"] + counts["blank"]
    assert counts["lines"] == len(lines) + 2
    assert len(ingested.rejected) == counts["rejected"]
    assert sum(counts["rejected_by_reason"].values()) == counts["rejected"]


@pytest.mark.parametrize(
    ("line", "reason", "said"),
    [
        ("C,S,O", "wrong_fields", "3 fields instead of 13"),
        (ROW + ",0", "wrong_fields", "14 fields"),
        ("Z" + ROW[1:], "unknown_code", "modified_zurich_class is 'Z'"),
        ("c" + ROW[1:], "unknown_code", "not one of A, B, C"),
        ("C,S,O,3,2,1,1,2,1,2,3,1,0", "unknown_code", "activity is '3', not one of 1, 2"),
        ("C,S,O,1,2,1,1,2,1,2,three,1,0", "not_a_count", "common_flares is 'three'"),
        ("C,S,O,1,2,1,1,2,1,2,0.5,1,0", "not_a_count", "'0.5'"),
        ("C,S,O,1,2,1,1,2,1,2,-1,1,0", "not_a_count", "'-1'"),
        ("C,S,O,1,2,1,1,2,1,2,,1,0", "not_a_count", "''"),
        ("C,S,O,1,2,1,1,2,1,2,3,1,99999", "not_a_count", "severe_flares is '99999'"),
        ("C,S,O,1,2,1,1,2,1,2,3,1,\u0663", "not_a_count", "severe_flares"),
    ],
)
def test_a_bad_line_is_rejected_with_its_reason(line, reason, said):
    with pytest.raises(RejectedLine) as caught:
        parse_line(line, IN_ORDER)
    assert caught.value.reason == reason
    assert said in caught.value.detail


def test_the_quarantine_names_file_and_line(tmp_path):
    ingested = run(tmp_path, [ROW, "", "C,S,O", ROW])
    assert ingested.rejected == [
        {
            "file": "data.csv",
            "line": 4,
            "reason": "wrong_fields",
            "detail": "3 fields instead of 13",
            "beginning": "C,S,O",
        }
    ]
    assert ingested.content["counts"]["blank"] == 1


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_line_ends_spaces_quotes_and_a_byte_order_mark_do_not_matter(tmp_path, end, mark):
    lines = [ROW, ROW.replace(",", ", "), ",".join(f'"{text}"' for text in ROW.split(","))]
    ingested = run(tmp_path, lines, names=mark + NAMES, end=end)
    first, *others = ingested.rows()
    assert others == [first, first]
    assert ingested.rejected == []


def test_columns_are_found_by_name(tmp_path):
    backwards = ",".join(reversed(NAMES.split(",")))
    ingested = run(tmp_path, [",".join(reversed(ROW.split(",")))], names=backwards)
    assert ingested.rows() == run(tmp_path, [ROW]).rows()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is empty"),
        ("\n\n", "is empty"),
        ("<!DOCTYPE html><html><body>404</body></html>", "HTML page"),
        ('{"code": 403, "message": "Permission denied"}', "is JSON"),
        ("[1, 2]", "is JSON"),
        ("id,start,end,peak_flux\n1,2,3,4\n", "another table"),
        (ROW + "\n" + ROW + "\n", "another table"),
        (NAMES + ",extra\n", "another table"),
        ('"unfinished', "another table"),
    ],
)
def test_another_file_is_refused_with_the_columns_found_and_expected(tmp_path, content, said):
    raw = tmp_path / "data.csv"
    raw.write_text(content)
    with pytest.raises(SkymillError, match=said) as caught:
        ingest(raw, tmp_path / "rows.parquet", tmp_path / "quarantine.jsonl")
    message = str(caught.value)
    assert "data.csv" in message
    assert f"Found in its first line: {content.strip()[:2] or 'none'}" in message
    assert "modified Zurich class" in message
    assert not (tmp_path / "rows.parquet").exists()


def test_repeated_rows_are_kept_and_counted(tmp_path):
    other = "D" + ROW[1:]
    content = run(tmp_path, [ROW, other, ROW, ROW]).convert()
    assert content["counts"] == {
        "records": 4,
        "records_with": {"common_flares": 4, "moderate_flares": 4, "severe_flares": 0},
        "repeat_an_earlier_row": 2,
    }
    assert content["files"][0]["rows"] == 4


def test_letters_are_categories_in_the_order_of_their_meanings(tmp_path):
    folders = [tmp_path / name for name in ("a", "b")]
    for folder, row in zip(folders, (ROW, "H,X,X,2,3,3,2,1,1,1,0,0,0"), strict=True):
        folder.mkdir()
        run(folder, [row]).convert()
        frame = pd.read_parquet(folder / "solar_flares.parquet")
        for column in COLUMNS[:3]:
            assert frame[column.name].cat.categories.tolist() == list(column.meanings)
        for column in COLUMNS[3:]:
            assert not isinstance(frame[column.name].dtype, pd.CategoricalDtype)


@pytest.mark.parametrize("name", ["data.csv", "data.csv.gz"])
def test_a_gzipped_file_gives_the_table_of_the_plain_file(tmp_path, name):
    plain = run(tmp_path, [ROW, "?", ROW])
    folder = tmp_path / "gzipped"
    folder.mkdir()
    raw = folder / name
    raw.write_bytes(gzip.compress((tmp_path / "data.csv").read_bytes(), mtime=0))
    content = ingest(raw, folder / "rows.parquet", folder / "quarantine.jsonl")
    assert content == plain.content
    raw.write_bytes(raw.read_bytes()[:-4])
    with pytest.raises(SkymillError, match="is cut short"):
        ingest(raw, folder / "rows.parquet", folder / "quarantine.jsonl")


def test_a_small_file_that_unpacks_to_too_much_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(catalogue, "MOST_BYTES", 1000)
    raw = tmp_path / "data.csv"
    raw.write_bytes(gzip.compress(b"a" * 1001))
    with pytest.raises(SkymillError, match="unpacks to more than"):
        ingest(raw, tmp_path / "rows.parquet", tmp_path / "quarantine.jsonl")


def test_a_loss_within_the_limit_is_a_warning(tmp_path, caplog):
    caplog.set_level("WARNING")
    run(tmp_path, [ROW] * 99 + ["?"]).convert()
    assert caplog.messages == ["the auxiliary table lost 1 of 100 lines (wrong_fields 1)"]


def test_the_meanings_are_in_the_metadata_of_the_written_table(tmp_path):
    run(tmp_path, [ROW]).convert()
    schema = pq.read_schema(tmp_path / "solar_flares.parquet")
    assert schema.equals(SCHEMA, check_metadata=False)
    for column, found in zip(COLUMNS, schema, strict=True):
        assert found.metadata[b"description"].decode() == column.description
        meanings = json.loads(found.metadata.get(b"meanings", b"null"))
        assert meanings == column.meanings
    assert b"UCI" in schema.metadata[b"source"]
    assert schema.metadata[b"licence"] == b"CC BY 4.0"


def test_columns_are_typed_and_in_snake_case():
    assert [column.name for column in COLUMNS] == [
        "modified_zurich_class",
        "largest_spot_size",
        "spot_distribution",
        "activity",
        "evolution",
        "previous_24_hour_flare_activity",
        "historically_complex",
        "became_complex_on_this_pass",
        "area",
        "area_of_largest_spot",
        "common_flares",
        "moderate_flares",
        "severe_flares",
    ]
    letters = pa.dictionary(pa.int8(), pa.string())
    assert SCHEMA.types == [letters] * 3 + [pa.int8()] * 7 + [pa.int16()] * 3


def test_another_number_of_rows_is_a_warning_only_for_real_data(tmp_path, caplog):
    ingested = run(tmp_path, [ROW])
    assert ingested.convert(simulated=True)["warnings"] == []
    (warning,) = ingested.convert(simulated=False)["warnings"]
    assert warning == f"1 rows instead of the {PUBLISHED_ROWS:,} of the published file"
    assert "another version" in caplog.text


def test_the_manifest_keeps_the_counts_of_ingest(tmp_path):
    ingested = run(tmp_path, [*[ROW] * 9, "C,S,O", ""])
    content = ingested.convert(limit=1)
    assert content["ingested"] == ingested.content["counts"]
    assert (content["ingested"]["valid"], content["ingested"]["rejected"]) == (9, 1)


def test_too_many_rejected_lines_stop_the_run_and_are_shown(tmp_path):
    ingested = run(tmp_path, [*[ROW] * 9, "C,S,O"])
    ingested.convert(limit=0.1)
    (tmp_path / "solar_flares.parquet").unlink()
    with pytest.raises(SkymillError) as caught:
        ingested.convert(limit=0.09)
    message = str(caught.value)
    for part in ("1 of 10 lines", "10.00%, allowed 9.00%", "wrong_fields 1", '"line": 11'):
        assert part in message
    assert "limits.max_rejected_fraction" in message
    assert not (tmp_path / "solar_flares.parquet").exists()


def test_a_file_without_rows_is_refused_at_any_limit(tmp_path):
    ingested = run(tmp_path, [])
    with pytest.raises(SkymillError, match="no line below the names"):
        ingested.convert(limit=1)
    with pytest.raises(SkymillError, match="0 rows are left"):
        require_accepted(run(tmp_path, ["bad"]).content["counts"], tmp_path / "quarantine.jsonl", 1)


def test_a_plain_file_of_another_size_is_refused_before_reading(tmp_path, monkeypatch):
    monkeypatch.setattr(catalogue, "MOST_BYTES", 1000)
    raw = tmp_path / "data.csv"
    raw.write_bytes(b"x\n" * 501)
    with pytest.raises(SkymillError, match="another table"):
        catalogue.ingest(raw, tmp_path / "rows.parquet", tmp_path / "lost.jsonl")
