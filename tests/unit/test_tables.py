"""Parquet files: categorical columns have one declared order, the same in every file."""

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

from skymill.engine.tables import (
    CATEGORIES,
    categorical,
    in_declared_order,
    read_frame,
    write_parquet,
)

NAMES = ["X", "M", "C"]
SCHEMA = pa.schema([categorical("label", NAMES), pa.field("place", pa.int64())])
LABELS = st.lists(st.sampled_from([*NAMES, None]), max_size=12)


def table(labels):
    """Return a table whose dictionary is in the order of appearance, as Arrow makes it."""
    column = pa.array(labels, type=pa.string()).dictionary_encode()
    column = column.cast(pa.dictionary(pa.int8(), pa.string()))
    return pa.Table.from_arrays([column, pa.array(range(len(labels)))], schema=SCHEMA)


def codes(labels):
    return [-1 if label is None else NAMES.index(label) for label in labels]


@given(LABELS, LABELS)
def test_codes_are_places_in_the_declared_order_whatever_the_order_of_appearance(first, second):
    whole = pa.concat_tables([table(first), table(second)])
    found = in_declared_order(whole)
    assert found.schema.equals(whole.schema, check_metadata=True)
    assert found["label"].to_pylist() == first + second
    for chunk in found["label"].chunks:
        assert chunk.dictionary.to_pylist() == NAMES
    numbers = found["label"].to_pandas().cat.codes.tolist()
    assert numbers == codes(first + second)


def test_a_value_that_is_not_declared_is_kept_behind_the_declared_ones():
    found = in_declared_order(table(["new", "C", "X"]))
    assert found["label"].chunk(0).dictionary.to_pylist() == [*NAMES, "new"]
    assert found["label"].to_pylist() == ["new", "C", "X"]


def test_a_column_that_declares_nothing_stays_as_it_is():
    column = pa.array(["b", "a"]).dictionary_encode()
    plain = pa.table({"name": column})
    assert in_declared_order(plain).equals(plain)


def read_by_dask(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of pandas, in Dask's own code
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
    assert pd.read_parquet(path)["label"].cat.categories.empty  # Parquet keeps values, not types
    field = pq.read_schema(path).field("label")
    assert json.loads(field.metadata[CATEGORIES]) == NAMES
    assert read_frame(path)["label"].tolist() == []


def test_equal_tables_give_equal_bytes_whatever_their_dictionaries(tmp_path):
    labels = ["C", "X", None, "C"]
    other = in_declared_order(table(labels))
    for name, written in (("a", table(labels)), ("b", other)):
        write_parquet(tmp_path / name, written, rows_per_group=3)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
