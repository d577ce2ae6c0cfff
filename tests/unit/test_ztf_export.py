"""CSV and alert files contain every value of every stamp."""

import csv
import json
import logging

import numpy as np
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from test_ztf_gather import Gathered

from skymill.engine.errors import SkymillError
from skymill.engine.products import describe_file
from skymill.ztf import alert_files
from skymill.ztf import export as module
from skymill.ztf.alert_files import write_alert_files
from skymill.ztf.export import (
    FORMS,
    TWICE_ROUNDED,
    export_label,
    export_labels,
    read_csv_stamps,
    spell_stamps,
)

EXTREMES = np.array(
    [
        -0.0,
        1e-45,
        -1.1754942e-38,
        1.17549435e-38,
        3.4028235e38,
        -3.4028235e38,
        16777217,
        0.1,
        1 / 3,
        123456.789,
        TWICE_ROUNDED,
    ],
    dtype=np.float32,
)


@pytest.fixture(name="gathered")
def _gathered(tmp_path):
    folder, _, _ = Gathered(tmp_path).gather()
    return folder / "stamps.parquet", folder / "stamps.npy"


def expected_rows(table, label):
    rows = pq.read_table(table).to_pylist()
    return [n for n, row in enumerate(rows) if row["label"] == label and row["sampled"]], rows


def bits(stamps):
    return np.ascontiguousarray(stamps).view(np.uint32)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("label", ["QSO", "Otro", "AGN"])
def test_a_csv_has_exactly_the_sampled_alerts_of_its_label(tmp_path, gathered, form, label):
    table, array = gathered
    entries, counts = export_label(table, array, tmp_path / "x.csv", label=label, form=form)
    chosen, rows = expected_rows(table, label)
    objects, stamps = read_csv_stamps(tmp_path / "x.csv")
    assert objects == [rows[n]["object_id"] for n in chosen]
    assert np.array_equal(bits(stamps), bits(np.load(array)[chosen]))
    assert entries[0]["rows"] == counts["rows"] == len(chosen) > 0
    assert entries[0]["name"] == "x.csv"


def test_a_csv_has_all_columns_in_order(tmp_path, gathered):
    table, array = gathered
    export_label(table, array, tmp_path / "x.csv", label="QSO", form="columns")
    with open(tmp_path / "x.csv", newline="") as stream:
        names, first = list(csv.reader(stream))[:2]
    own = [name for name in pq.read_schema(table).names if name not in ("stamps", "sampled")]
    last = ["alerce_class", "probability", "label", "split", "group"]
    assert names[: len(own)] == [*(name for name in own if name not in last), *last]
    pixels = names[len(own) :]
    assert len(pixels) == 3 * 21 * 21
    assert pixels[:2] == ["science_00_00", "science_00_01"]
    assert pixels[21 * 21] == "template_00_00"
    assert pixels[-1] == "difference_20_20"
    row = pq.read_table(table).slice(expected_rows(table, "QSO")[0][0], 1).to_pylist()[0]
    found = dict(zip(names, first, strict=True))
    assert found["candid"] == str(row["candid"])
    assert found["jd"] == "2458270.5"
    assert found["rb"] == found["ypos"] == ""
    assert found["recovered"] == "false"
    assert found["magpsf"] == "18.25"


def test_a_json_column_is_shaped_like_the_stamps(tmp_path, gathered):
    table, array = gathered
    export_label(table, array, tmp_path / "x.csv", label="AGN", form="data")
    csv.field_size_limit(2**30)
    with open(tmp_path / "x.csv", newline="") as stream:
        row = next(csv.DictReader(stream))
    assert np.array(json.loads(row["data"])).shape == (3, 21, 21)


def test_the_size_of_blocks_does_not_change_a_csv(tmp_path, gathered, monkeypatch):
    for form in FORMS:
        export_label(*gathered, tmp_path / "whole.csv", label="QSO", form=form)
        monkeypatch.setattr(module, "BLOCK_VALUES", 1)
        export_label(*gathered, tmp_path / "cut.csv", label="QSO", form=form)
        monkeypatch.undo()
        assert (tmp_path / "whole.csv").read_bytes() == (tmp_path / "cut.csv").read_bytes()


@pytest.mark.parametrize("workers", [1, 2])
def test_all_labels_are_exported_in_order_with_the_bytes_of_each_alone(tmp_path, gathered, workers):
    paths = {label: tmp_path / f"{label}.csv" for label in ("QSO", "AGN", "YSO", "Otro")}
    made = list(export_labels(*gathered, paths, form="columns", workers=workers))
    assert [path for path, *_ in made] == [*paths.values()]
    for label, (path, *described) in zip(paths, made, strict=True):
        alone = tmp_path / "alone" / path.name
        alone.parent.mkdir(exist_ok=True)
        assert tuple(described) == export_label(*gathered, alone, label=label, form="columns")
        assert path.read_bytes() == alone.read_bytes()


@pytest.mark.parametrize("form", FORMS)
def test_a_label_without_alerts_gives_a_header_and_a_warning(tmp_path, gathered, form, caplog):
    with caplog.at_level(logging.INFO):
        made = export_labels(*gathered, {"YSO": tmp_path / "x.csv"}, form=form, workers=1)
        ((_, entries, counts),) = made
    lines = (tmp_path / "x.csv").read_text().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("object_id,candid,jd,")
    assert entries[0]["rows"] == counts["rows"] == 0
    assert "no alert has the label YSO" in caplog.text


@pytest.mark.parametrize("form", FORMS)
def test_without_gathered_alerts_files_have_only_headers(tmp_path, form):
    folder, _, _ = Gathered(tmp_path, nights={"20180601": []}).gather()
    table, array = folder / "stamps.parquet", folder / "stamps.npy"
    export_label(table, array, tmp_path / "x.csv", label="QSO", form=form)
    assert len((tmp_path / "x.csv").read_text().splitlines()) == 1


@pytest.mark.parametrize("form", FORMS)
@given(
    stamps=arrays.arrays(
        np.float32,
        (2, 3, 2, 2),
        elements=st.one_of(
            st.floats(width=32, allow_nan=False), st.sampled_from([*EXTREMES.tolist()])
        ),
    )
)
def test_every_float32_is_read_back_bit_for_bit(form, stamps):
    # Both ways of reading: directly as float32, and through float64.
    for line, stamp in zip(spell_stamps(stamps, form), stamps, strict=True):
        if form == "columns":
            texts = line.decode().split(",")
            values = np.array([float(text) for text in texts], dtype=np.float32)
        else:
            assert line[:1] == line[-1:] == b'"'
            values = np.array(json.loads(line[1:-1]), dtype=np.float32)
            assert values.shape == stamp.shape
        assert np.array_equal(bits(values).ravel(), bits(stamp).ravel())


def test_arrow_reads_the_columns_as_the_same_float32(tmp_path, gathered):
    table, array = gathered
    stamps = np.load(array, mmap_mode="r+")
    random = np.random.default_rng(0).integers(0, 2**32, stamps.shape, dtype=np.uint32)
    values = random.view(np.float32)
    stamps[:] = np.where(np.isfinite(values), values, -0.0)
    stamps[:, 0, 0, : len(EXTREMES)] = EXTREMES
    stamps.flush()
    export_label(table, array, tmp_path / "x.csv", label="QSO", form="columns")
    names = (tmp_path / "x.csv").read_text().split("\n", 1)[0].split(",")[-3 * 21 * 21 :]
    types = pa_csv.ConvertOptions(column_types=dict.fromkeys(names, "float32"))
    read = pa_csv.read_csv(tmp_path / "x.csv", convert_options=types).select(names)
    found = np.stack([column.to_numpy() for column in read.columns], axis=1)
    chosen, _ = expected_rows(table, "QSO")
    assert np.array_equal(bits(found), bits(np.load(array)[chosen].reshape(len(chosen), -1)))


@pytest.mark.parametrize("form", FORMS)
def test_non_finite_values_are_written(form):
    stamps = np.zeros((3, 3, 2, 2), dtype=np.float32)
    stamps[1, 0, 0] = [np.nan, np.inf]
    stamps[1, 1, 0] = [-np.inf, 0.1]
    lines = spell_stamps(stamps, form)
    strip = str.maketrans("", "", '"[]')
    for line, stamp in zip(lines, stamps, strict=True):
        values = [float(text) for text in line.decode().translate(strip).split(",")]
        assert np.array_equal(np.array(values, np.float32), stamp.ravel(), equal_nan=True)


def test_a_table_and_an_array_of_different_length_are_refused(tmp_path, gathered):
    np.save(tmp_path / "other.npy", np.zeros((2, 3, 21, 21), np.float32))
    with pytest.raises(SkymillError, match="but the array in the same folder has 2"):
        export_label(
            gathered[0], tmp_path / "other.npy", tmp_path / "x.csv", label="QSO", form="data"
        )


def test_a_writer_that_loses_digits_is_refused(tmp_path, gathered, monkeypatch):
    right = module.spell_stamps

    def shorter(stamps, form):
        return [line.replace(b"9", b"8", 1) for line in right(stamps, form)]

    monkeypatch.setattr(module, "spell_stamps", shorter)
    with pytest.raises(SkymillError, match="would not contain the exact values"):
        export_label(*gathered, tmp_path / "x.csv", label="QSO", form="columns")
    assert not (tmp_path / "x.csv").exists()


def test_alert_files_contain_one_alert_each(tmp_path):
    folder, _, _ = Gathered(tmp_path, representative="first").gather()
    table, array = folder / "stamps.parquet", folder / "stamps.npy"
    entries, counts = write_alert_files(table, array, tmp_path / "alerts", by_candid=False)
    rows = pq.read_table(table).select(["object_id", "sampled"]).to_pylist()
    sampled = [row["sampled"] for row in rows]
    assert counts["files"] == sum(sampled) == len(list((tmp_path / "alerts").iterdir()))
    assert not all(sampled)
    for row, stamp in zip(rows, np.load(array), strict=True):
        path = tmp_path / "alerts" / f"alert_{row['object_id']}_stamps_3d.npy"
        if not row["sampled"]:
            assert not path.exists()
            continue
        read = np.load(path)
        assert read.dtype == np.float32
        assert np.array_equal(read, stamp)
    again, _ = write_alert_files(table, array, tmp_path / "alerts", by_candid=False)
    assert again == entries
    assert entries == [describe_file(path, 1) for path in sorted((tmp_path / "alerts").iterdir())]
    assert counts["bytes"] == sum(entry["bytes"] for entry in entries)


def test_two_alerts_of_an_object_have_two_files(tmp_path, gathered):
    _, counts = write_alert_files(*gathered, tmp_path / "alerts", by_candid=True)
    rows = pq.read_table(gathered[0]).select(["object_id", "candid", "sampled"]).to_pylist()
    rows = [row for row in rows if row["sampled"]]
    assert len({row["object_id"] for row in rows}) < len(rows)
    expected = {f"alert_{row['object_id']}_{row['candid']}_stamps_3d.npy" for row in rows}
    assert {path.name for path in (tmp_path / "alerts").iterdir()} == expected
    assert counts["files"] == len(rows)


def test_alerts_that_would_overwrite_each_other_are_refused(tmp_path, gathered):
    with pytest.raises(SkymillError, match="two alerts would be written"):
        write_alert_files(*gathered, tmp_path / "alerts", by_candid=False)
    assert not (tmp_path / "alerts").exists()


def test_an_object_id_that_points_to_another_folder_is_refused():
    with pytest.raises(SkymillError, match="cannot be in a file name"):
        alert_files._alert_name("../x", 1, False)
