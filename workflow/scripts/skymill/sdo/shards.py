"""Writes shards of a Zarr v3 array of grey values.

A shard is the packed chunks one after the other, then an index with the place and the length of
each (little-endian uint64; all bits set where a chunk is empty), then the CRC-32C of the index: the
codec `sharding_indexed` of the Zarr v3 specification with its defaults. Zarr-python takes more time
for the chunks of a shard than zstd takes to pack them, so shards are put together here; readers,
zarr-python among them, see nothing special.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path

import google_crc32c
import numpy as np

from skymill.engine.durable import partial_path

PACKING = {"level": 1, "checksum": True}
"""Of zstd, as zarr-python names it. Level 3 saves a hundredth more of real AIA and HMI crops.
Without a checksum most damage would give other pixels and no error; it costs four bytes a chunk."""

_EMPTY = np.uint64(2**64 - 1)


def write_shard(
    path: Path, chunks: Iterable[tuple[tuple[int, ...], np.ndarray]], grid: tuple[int, ...]
) -> dict:
    """Write a shard, and return its bytes and sha256; write none without chunks.

    A chunk is packed, hashed and written before the next one is taken from `chunks`, so all of
    them may use the same memory, and it stays in the processor's cache.

    Parameters
    ----------
    path
        The file, in a folder that is there. A piece that is done twice replaces it.
    chunks
        The place in the grid and the values (uint8, contiguous) of each chunk, in the order of the
        file. A chunk that is left out is empty: it has fill_value throughout.
    grid
        How many chunks a whole shard has along each axis.
    """
    import zstandard

    # One packer for all chunks of a shard: numcodecs begins anew with each, which takes a fifth
    # of the time of a sample. Threads cannot share one.
    packer = zstandard.ZstdCompressor(level=PACKING["level"], write_checksum=PACKING["checksum"])
    index = np.full((*grid, 2), _EMPTY, dtype="<u8")
    place, checksum = 0, hashlib.sha256()
    temporary = partial_path(path)
    with open(temporary, "wb") as file:
        for at, values in chunks:
            content = packer.compress(values)
            index[at] = place, len(content)
            place += len(content)
            checksum.update(content)
            file.write(content)
        table = index.tobytes()
        table += google_crc32c.value(table).to_bytes(4, "little")
        checksum.update(table)
        file.write(table)
    if not place:
        temporary.unlink()
        return {}
    temporary.replace(path)
    return {"bytes": place + len(table), "sha256": checksum.hexdigest()}
