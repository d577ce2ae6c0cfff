"""Stores read records by position, for any division into files and row groups."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from records import described, same_bits

from skymill.engine.errors import SkymillError
from skymill.engine.tables import write_parquet
from skymill.magnetic.schema import STEPS
from skymill.magnetic.store import RECORDS_PER_FILE, RecordStore, pieces, step_table

NAMES = ("TOTFX", "MEANSHR")
SCHEMA = pa.schema([pa.field(name, pa.float64(), nullable=False) for name in NAMES])


def make_store(folder, sizes, per_group=3):
    """Write files with the given numbers of records; return (product, values)."""
    directory = folder / "store"
    directory.mkdir(parents=True)
    values = np.random.default_rng(0).normal(size=(len(NAMES), sum(sizes), STEPS))
    files, start = [], 0
    for number, size in enumerate(sizes):
        part = values[:, start : start + size]
        table = step_table(dict(zip(NAMES, part, strict=True)), SCHEMA)
        path = directory / f"part-{number}.parquet"
        files.append(write_parquet(path, table, rows_per_group=per_group * STEPS))
        start += size
    return described(directory, files), values


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return make_store(tmp_path_factory.mktemp("store"), [4, 1, 9, 3])


@given(st.lists(st.integers(0, 16), max_size=30).map(sorted))
def test_any_positions_are_read_in_ascending_order_with_repeats(store, positions):
    product, values = store
    at = np.array(positions, np.int64)
    assert same_bits(RecordStore(product).read(at, NAMES), values[:, at])


def test_the_selected_parameters_are_in_the_given_order(store):
    product, values = store
    got = RecordStore(product).read(np.arange(17), ["MEANSHR"])
    assert same_bits(got, values[1:])


@pytest.mark.parametrize("position", [-1, 17])
def test_a_position_that_the_store_does_not_have_is_an_error(store, position):
    with pytest.raises(IndexError, match="of 17 records"):
        RecordStore(store[0]).read(np.array(sorted([3, position])), NAMES)


def test_the_length_is_the_number_of_records(store, tmp_path):
    assert len(RecordStore(store[0])) == 17
    assert len(RecordStore(make_store(tmp_path, [])[0])) == 0


def test_a_file_of_another_size_than_its_manifest_says_is_refused(tmp_path):
    product, _ = make_store(tmp_path, [2, 2])
    with open(product.path / "part-1.parquet", "ab") as stream:
        stream.write(b"x")
    with pytest.raises(SkymillError, match=r"part-1\.parquet is not the file that"):
        RecordStore(product)
    (product.path / "part-1.parquet").unlink()
    with pytest.raises(SkymillError, match=r"part-1\.parquet is not the file that"):
        RecordStore(product)


def test_a_value_of_a_record_is_repeated_for_each_step():
    schema = pa.schema([pa.field("label", pa.string()), pa.field("n", pa.int64())])
    table = step_table({"label": pa.array(["X", None]), "n": np.array([4, 5])}, schema)
    assert table["label"].to_pylist() == ["X"] * STEPS + [None] * STEPS
    assert table["n"].to_pylist() == [4] * STEPS + [5] * STEPS


@given(st.integers(0, 10_000), st.integers(1, 5000))
def test_batches_divide_a_total_without_gap_or_overlap(total, size):
    ranges = pieces(total, size)
    assert [number for first, last in ranges for number in (first, last)] == sorted(
        number for first, last in ranges for number in (first, last)
    )
    assert sum(last - first for first, last in ranges) == total
    assert all(0 < last - first <= size for first, last in ranges)
    assert all(first % size == 0 for first, _ in ranges)


def test_a_batch_fits_into_memory():
    assert RECORDS_PER_FILE * STEPS * 33 * 8 < 100e6
