"""Arrow arrays that are built from buffers equal those that PyArrow builds from the values."""

import os
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from alert_packets import alert, members, tar, write
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from records import SCRIPTS, record, write_raw

from skymill.engine.arrays import to_arrow

NUMBERS = {
    pa.int8(): np.int8,
    pa.int16(): np.int16,
    pa.int32(): np.int32,
    pa.int64(): np.int64,
    pa.uint64(): np.uint64,
    pa.float32(): np.float32,
    pa.float64(): np.float64,
    pa.bool_(): np.bool_,
}


@given(st.data())
def test_numbers_equal_those_of_pyarrow(data):
    kind = data.draw(st.sampled_from(list(NUMBERS)))
    values = data.draw(npst.arrays(NUMBERS[kind], st.integers(0, 40)))
    missing = data.draw(st.none() | npst.arrays(np.bool_, len(values)))
    step = data.draw(st.sampled_from([1, 2, -1]))
    values = values[::step]
    missing = None if missing is None else missing[::step]
    expected = pa.array(values, kind, mask=missing)
    made = to_arrow(values, kind, missing)
    made.validate(full=True)
    # NaN is not equal to itself, so arrays that contain NaN are not equal either.
    assert made.null_count == expected.null_count
    assert made.is_null().equals(expected.is_null())
    for ours, theirs in zip(made.to_pylist(), expected.to_pylist(), strict=True):
        assert ours == theirs or (ours != ours and theirs != theirs)


@given(st.lists(st.text(st.characters(min_codepoint=1, max_codepoint=126), max_size=6)))
def test_bytes_become_texts(texts):
    values = np.array([text.encode() for text in texts], "S6")
    made = to_arrow(values, pa.string())
    made.validate(full=True)
    assert made.equals(pa.array(texts, pa.string()))


@given(
    st.lists(st.none() | st.text()),
    st.lists(st.none() | st.integers(-(2**63), 2**63 - 1)),
    st.lists(st.none() | st.binary(min_size=16, max_size=16)),
)
def test_sequences_with_nulls_equal_those_of_pyarrow(texts, numbers, digests):
    for values, kind in ((texts, pa.string()), (numbers, pa.int64()), (digests, pa.binary(16))):
        for sequence in (values, tuple(values)):
            made = to_arrow(sequence, kind)
            made.validate(full=True)
            assert made.equals(pa.array(sequence, kind))


def test_a_number_that_does_not_fit_is_an_error():
    with pytest.raises(TypeError, match="Cannot cast"):
        to_arrow(np.array([1]), pa.int8())
    with pytest.raises(OverflowError):
        to_arrow([2**63], pa.int64())
    with pytest.raises(TypeError, match="float"):
        to_arrow([1.5], pa.int64())


def test_digests_of_another_length_are_an_error():
    # Together, both have the length of two good digests.
    with pytest.raises(ValueError, match="16 bytes"):
        to_arrow([bytes(15), bytes(17)], pa.binary(16))


INGEST = """
from skymill.magnetic.catalogue import ingest
counts = ingest(
    raw, "partition1", labelled=True, values=out / "values", catalogue=out / "catalogue.parquet",
    quarantine=out / "lost.jsonl",
)["counts"]
assert (counts["valid"], counts["rejected"]) == (2, 1)
"""

EXTRACT = """
from skymill.ztf.decode import Choice
from skymill.ztf.catalogue import extract_night
counts = extract_night(
    raw, "20180605", stamps=out / "stamps.parquet", quarantine=out / "lost.jsonl",
    choice=Choice(labels=out / "labels.parquet"), workers=2,
)["counts"]
assert counts["kept"] == 2
"""


@pytest.mark.parametrize("program", [INGEST, EXTRACT])
def test_jobs_that_run_many_times_do_not_import_pandas(tmp_path, program):
    if program is INGEST:
        raw = write_raw(tmp_path / "raw.json", [record(1), b"no record", record(2, "X")])
    else:
        labels = pa.table({"object_id": [alert(number)["objectId"] for number in range(2)]})
        pq.write_table(labels, tmp_path / "labels.parquet")
        raw = write(tmp_path / "night.tar.gz", tar(members(range(2))))
    before = f"import sys, pathlib\nraw, out = map(pathlib.Path, {[str(raw), str(tmp_path)]})\n"
    check = "assert 'pandas' not in sys.modules"
    environment = {**os.environ, "PYTHONPATH": str(SCRIPTS)}
    subprocess.run([sys.executable, "-c", before + program + check], check=True, env=environment)
