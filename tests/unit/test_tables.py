"""Categorical columns of Parquet files have the same declared order in every file."""

import json
import warnings

import dask.dataframe as dd
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skymill.engine.errors import SkymillError
from skymill.engine.tables import (
    CATEGORIES,
    ParquetFile,
    categorical,
    in_declared_order,
    read_frame,
    read_table,
    write_parquet,
)

NAMES = ["X", "M", "C"]
SCHEMA = pa.schema([categorical("label", NAMES), pa.field("place", pa.int64())])
LABELS = st.lists(st.sampled_from([*NAMES, None]), max_size=12)


def table(labels):
    """Return a table whose dictionary is in the order of appearance, as in Arrow."""
    column = pa.array(labels, type=pa.string()).dictionary_encode()
    column = column.cast(pa.dictionary(pa.int8(), pa.string()))
    return pa.Table.from_arrays([column, pa.array(range(len(labels)))], schema=SCHEMA)


def codes(labels):
    return [-1 if label is None else NAMES.index(label) for label in labels]


@given(LABELS, LABELS)
def test_codes_follow_the_declared_order_for_any_order_of_appearance(first, second):
    whole = pa.concat_tables([table(first), table(second)])
    found = in_declared_order(whole)
    assert found.schema.equals(whole.schema, check_metadata=True)
    assert found["label"].to_pylist() == first + second
    for chunk in found["label"].chunks:
        assert chunk.dictionary.to_pylist() == NAMES
    numbers = found["label"].to_pandas().cat.codes.tolist()
    assert numbers == codes(first + second)


def test_an_undeclared_value_is_kept_after_the_declared_values():
    found = in_declared_order(table(["new", "C", "X"]))
    assert found["label"].chunk(0).dictionary.to_pylist() == [*NAMES, "new"]
    assert found["label"].to_pylist() == ["new", "C", "X"]


def test_a_column_without_a_declared_order_is_unchanged():
    column = pa.array(["b", "a"]).dictionary_encode()
    plain = pa.table({"name": column})
    assert in_declared_order(plain).equals(plain)


def read_by_dask(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # from pandas, in Dask's code
        return dd.read_parquet(path).compute()


@pytest.mark.parametrize(
    "labels", [["C"] * 9, ["M", "X", "M"], ["C", None, "X"], [None, None]], ids=str
)
def test_every_reader_has_all_categories_in_the_declared_order(tmp_path, labels):
    write_parquet(tmp_path / "part-0.parquet", table(labels), rows_per_group=2)
    read = {
        "pyarrow": pq.read_table(tmp_path)["label"].to_pandas(),
        "dataset": ds.dataset(tmp_path).to_table()["label"].to_pandas(),
        "pandas": pd.read_parquet(tmp_path)["label"],
        "dask": read_by_dask(tmp_path)["label"],
    }
    for reader, column in read.items():
        assert column.cat.categories.tolist() == NAMES, reader
        assert column.cat.codes.tolist() == codes(labels), reader
    assert list(pd.get_dummies(read["pandas"]).columns) == NAMES


def test_a_file_without_rows_has_the_categories_in_the_metadata_of_its_field(tmp_path):
    path = tmp_path / "part-0.parquet"
    write_parquet(path, table([]), rows_per_group=2)
    assert pd.read_parquet(path)["label"].cat.categories.empty  # Parquet stores values, not types
    field = pq.read_schema(path).field("label")
    assert json.loads(field.metadata[CATEGORIES]) == NAMES
    assert read_frame(path)["label"].tolist() == []


def test_equal_tables_give_equal_bytes_for_any_dictionaries(tmp_path):
    labels = ["C", "X", None, "C"]
    other = in_declared_order(table(labels))
    for name, written in (("a", table(labels)), ("b", other)):
        write_parquet(tmp_path / name, written, rows_per_group=3)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


# --- Damage --------------------------------------------------------------------------------------


def written(tmp_path):
    """Write a table of all kinds of columns in two row groups; return it and its path."""
    rows = pa.table(
        {
            "value": pa.array([0.5 * number for number in range(200)]),
            "hash": pa.array([2**63 + number for number in range(200)], pa.uint64()),
            "name": pa.array([f"name {number % 7}" for number in range(200)]),
            "list": pa.array(
                [[float(number)] * 3 for number in range(200)], pa.list_(pa.float32(), 3)
            ),
        }
    )
    path = tmp_path / "table.parquet"
    write_parquet(path, rows, rows_per_group=100)
    return rows, path


def read_row_groups(path):
    """Return a table, read one row group at a time."""
    with ParquetFile(path, memory_map=True) as file:
        return pa.concat_tables([file.read_row_group(0), file.read_row_group(1)])


READERS = [read_table, read_row_groups, lambda path: pa.Table.from_batches(batches(path))]


def batches(path):
    """Return a table, read in batches."""
    with ParquetFile(path) as file:
        return list(file.iter_batches(30))


@pytest.mark.parametrize("read", READERS)
def test_every_reader_returns_the_written_table(tmp_path, read):
    rows, path = written(tmp_path)
    assert read(path).equals(rows)


@pytest.mark.parametrize("read", READERS)
def test_every_reader_refuses_a_damaged_file_by_its_name(tmp_path, read):
    rows, path = written(tmp_path)
    good = path.read_bytes()
    pages = pq.read_metadata(path).row_group(1).column(0).data_page_offset
    refused = []
    for at in range(0, len(good), 13):
        path.write_bytes(good[:at] + bytes([good[at] ^ 0x55]) + good[at + 1 :])
        try:
            found = read(path)
        except SkymillError as error:
            refused.append(str(error))
        else:
            # The bit is in a page header or the footer and does not change the values.
            assert found.equals(rows) or at > pages
    assert len(refused) > len(good) // 13 // 2
    assert all(str(path) in said for said in refused)
    assert all("skymill verify --repair" in said for said in refused)


def test_other_readers_can_compare_the_checksums_too(tmp_path):
    _, path = written(tmp_path)
    content = bytearray(path.read_bytes())
    content[pq.read_metadata(path).row_group(0).column(0).data_page_offset + 60] ^= 1
    path.write_bytes(content)
    with pytest.raises(OSError, match="CRC"):
        pd.read_parquet(path, page_checksum_verification=True)


def test_columns_are_in_the_requested_order(tmp_path):
    _, path = written(tmp_path)
    wanted = ["name", "value"]
    assert read_table(path, wanted).column_names == wanted
    with ParquetFile(path) as file:
        assert file.read_row_group(1, wanted).column_names == wanted
        assert next(file.iter_batches(columns=wanted)).schema.names == wanted


def test_a_missing_column_is_named_with_the_file(tmp_path):
    _, path = written(tmp_path)
    with pytest.raises(SkymillError, match=r"table\.parquet .*no column .*label"):
        read_table(path, ["label"])


def test_a_folder_named_like_a_partition_adds_no_column(tmp_path):
    (tmp_path / "seed=7").mkdir()
    rows, path = written(tmp_path / "seed=7")
    assert read_table(path).column_names == rows.column_names


@pytest.mark.parametrize("error", [MemoryError(), pa.ArrowMemoryError("malloc of 9 GB failed")])
def test_running_out_of_memory_does_not_count_as_damage(tmp_path, monkeypatch, error):
    _, path = written(tmp_path)

    def fail(*arguments, **options):
        raise error

    monkeypatch.setattr(pq.ParquetFile, "read", fail)
    with pytest.raises(MemoryError):
        read_table(path)


def test_a_missing_file_does_not_count_as_damage(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_table(tmp_path / "table.parquet")
