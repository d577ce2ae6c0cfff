"""Write shards of a Zarr v3 array of grey values.

A shard contains the packed chunks one after another, then an index with the place and length of
each chunk (little-endian uint64; all bits set for an empty chunk), then the CRC-32C of the index.
This is the codec `sharding_indexed` of the Zarr v3 specification with its defaults. Zarr-python
needs more time for the chunks of a shard than zstd needs to pack them. So this module writes the
shards itself. Zarr-python and other readers read them as usual.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from skymill.engine.durable import begin_flush, partial_path

PACKING = {"level": 1, "checksum": True}
"""Settings of zstd, with zarr-python's names. Level 3 would save one hundredth more of real AIA and
HMI crops. Without a checksum, most damage would change pixels without an error; the checksum costs
four bytes per chunk."""

DAMAGE = (RuntimeError, ValueError)
"""Zarr-python's errors when the checksum of a chunk (zstd) or of an index (CRC-32C) is wrong. Their
messages do not name the file."""

_EMPTY = np.uint64(2**64 - 1)


def write_shard(
    path: Path, chunks: Iterable[tuple[tuple[int, ...], np.ndarray]], grid: tuple[int, ...]
) -> dict:
    """Write a shard; return its bytes and sha256. Without chunks, write no file.

    Each chunk is packed, hashed and written before the next chunk is taken from `chunks`. So all
    chunks may use the same memory, which stays in the processor's cache.

    Parameters
    ----------
    path
        The file, in an existing folder. A batch that is done twice replaces the file.
    chunks
        The place in the grid and the values (uint8, contiguous) of each chunk, in the order of the
        file. A chunk that is left out is empty: all its values are fill_value.
    grid
        Number of chunks of a whole shard along each axis.
    """
    # Readers of other data import this module, in environments without packages for images.
    import google_crc32c
    import zstandard

    # One packer for all chunks of a shard: numcodecs makes a new one for each chunk, which takes a
    # fifth of the time of a sample. Threads cannot share a packer.
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
        begin_flush(file)
    if not place:
        temporary.unlink()
        return {}
    temporary.replace(path)
    return {"bytes": place + len(table), "sha256": checksum.hexdigest()}
