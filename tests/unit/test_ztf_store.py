"""The Parquet file of a night does not depend on the order of its rows."""

from io import BytesIO
from unittest.mock import patch

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skymill.engine.products import HashedFile
from skymill.ztf import store
from skymill.ztf.schema import row_type
from skymill.ztf.store import SortedStamps

CROP = 1
GROUP = 5


def made(candids):
    """Return rows of these candids; equal candids give equal rows."""
    rows = np.zeros(len(candids), row_type(CROP))
    rows["candid"] = candids
    rows["object_id"] = [f"ZTF{candid}" for candid in candids]
    rows["stamps"] = rows["candid"][:, None]
    rows["nan"][:, 1] = rows["candid"] % 3
    rows["recovered"] = rows["candid"] % 2
    return rows


@pytest.fixture(scope="module")
def write(tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")

    def write(name, batches):
        path = folder / name
        with (
            patch.object(store, "GROUP_BYTES", GROUP * row_type(CROP).itemsize),
            SortedStamps(path, BytesIO(), "20180605", CROP) as output,
        ):
            for candids in batches:
                output.add(made(candids))
            written, entry, duplicates = output.finish()
        return path, written, entry, duplicates

    return write


@given(
    st.lists(st.lists(st.integers(0, 60), max_size=9), max_size=9),
    st.booleans(),
)
@settings(deadline=None)
def test_the_order_of_rows_and_the_size_of_batches_do_not_matter(write, batches, ascending):
    everything = sorted(number for batch in batches for number in batch)
    once = sorted(set(everything))
    if ascending:
        batches = [once[begin : begin + 4] for begin in range(0, len(once), 4)]
    path, written, entry, duplicates = write("some.parquet", batches)
    expected, *_ = write("expected.parquet", [once])
    assert path.read_bytes() == expected.read_bytes()
    assert entry["rows"] == written.rows == len(once)
    assert duplicates == (0 if ascending else len(everything) - len(once))
    assert written.recovered == sum(number % 2 for number in once)
    assert written.nan_pixels.tolist() == [0, sum(number % 3 for number in once), 0]
    assert written.alerts_with_nan == sum(number % 3 > 0 for number in once)
    found = pq.ParquetFile(path)
    assert found.read(["candid"])["candid"].to_pylist() == once
    sizes = [found.metadata.row_group(place).num_rows for place in range(found.num_row_groups)]
    assert sizes == [GROUP] * (len(once) // GROUP) + [len(once) % GROUP] * (len(once) % GROUP > 0)


def test_rows_in_order_are_written_as_they_arrive(tmp_path):
    path = tmp_path / "stamps.parquet"
    with (
        patch.object(store, "GROUP_BYTES", GROUP * row_type(CROP).itemsize),
        SortedStamps(path, BytesIO(), "20180605", CROP) as output,
    ):
        output.add(made(range(100 * GROUP)))
        assert path.stat().st_size > 30_000
        output.add(made([3]))
        written, _, duplicates = output.finish()
    assert (written.rows, duplicates) == (100 * GROUP, 1)


def test_a_night_that_fails_leaves_no_open_file(tmp_path):
    files = []

    def break_off(output):
        output.add(made(range(9)))
        raise OSError("the disk is full")

    def open_file(path):
        files.append(HashedFile(path))
        return files[-1]

    with (
        patch.object(store, "HashedFile", open_file),
        pytest.raises(OSError, match="full"),
        SortedStamps(tmp_path / "stamps.parquet", BytesIO(), "20180605", CROP) as output,
    ):
        break_off(output)
    assert [file.closed for file in files] == [True]
