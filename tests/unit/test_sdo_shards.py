"""zarr-python reads the shards that Skymill assembles."""

import hashlib

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from skymill.sdo.shards import PACKING, write_shard

CHUNK, SHARD = (1, 2, 1, 8), (4, 2, 3, 8)


def array_in(folder, samples):
    root = zarr.create_group(folder, zarr_format=3)
    return root.create_array(
        "images",
        shape=(samples, *SHARD[1:]),
        dtype="uint8",
        chunks=CHUNK,
        shards=SHARD,
        compressors=zarr.codecs.ZstdCodec(**PACKING),
        fill_value=0,
    )


def write(folder, values, number):
    path = folder / "images" / "c" / str(number) / "0" / "0" / "0"
    path.parent.mkdir(parents=True)
    block = values[number * SHARD[0] : (number + 1) * SHARD[0]]
    return path, write_shard(path, chunks_of(block), (4, 1, 3, 1))


def chunks_of(block):
    """The chunks with values; all use the same memory."""
    memory = np.empty((SHARD[1], SHARD[3]), dtype=np.uint8)
    for sample, channel in np.ndindex(len(block), SHARD[2]):
        memory[...] = block[sample, :, channel]
        if memory.any():
            yield (sample, 0, channel, 0), memory


@given(
    samples=st.integers(1, 9),
    filled=st.sets(st.tuples(st.integers(0, 8), st.integers(0, 2))),
    seed=st.integers(0, 9),
)
@settings(max_examples=30)
def test_zarr_reads_the_written_values_whichever_chunks_are_empty(
    tmp_path_factory, samples, filled, seed
):
    folder = tmp_path_factory.mktemp("group")
    values = np.zeros((samples, *SHARD[1:]), dtype=np.uint8)
    random = np.random.default_rng(seed)
    for sample, channel in filled:
        if sample < samples:
            values[sample, :, channel] = random.integers(0, 256, (2, 8))
    array = array_in(folder, samples)
    for number in range(-(-samples // SHARD[0])):
        path, entry = write(folder, values, number)
        assert path.exists() == bool(entry) == bool(values[number * 4 : number * 4 + 4].any())
        if entry:
            content = path.read_bytes()
            assert entry == {
                "bytes": len(content),
                "sha256": hashlib.sha256(content).hexdigest(),
            }
    assert (array[...] == values).all()
    assert (array[:, :, 1] == values[:, :, 1]).all()


def test_a_changed_bit_of_a_chunk_is_refused(tmp_path):
    values = np.random.default_rng(1).integers(0, 3, (4, *SHARD[1:]), dtype=np.uint8)
    array = array_in(tmp_path, 4)
    path, entry = write(tmp_path, values, 0)
    content = path.read_bytes()
    index = np.frombuffer(content, "<u8", 2 * 4 * 3, entry["bytes"] - 4 - 16 * 4 * 3)
    first, length = index[:2].tolist()
    for place in range(first + 4, first + length):
        damaged = bytearray(content)
        damaged[place] ^= 1
        path.write_bytes(damaged)
        with pytest.raises((RuntimeError, ValueError)):
            _ = array[0, :, 0]
