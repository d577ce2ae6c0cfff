"""Writes shards of a Zarr v3 array of grey values.

A shard is the packed chunks one after the other, then an index with the place and the length of
each (little-endian uint64; all bits set where a chunk is empty), then the CRC-32C of the index: the
codec `sharding_indexed` of the Zarr v3 specification with its defaults. Zarr-python takes more time
for the chunks of a shard than zstd takes to pack them, so shards are put together here; readers,
zarr-python among them, see nothing special.
"""

import functools
import hashlib
from pathlib import Path

import google_crc32c
import numpy as np

from skymill.engine.durable import partial_path
from skymill.engine.errors import SkymillError

PACKING = {"level": 1, "checksum": True}
"""Of zstd. Level 3 saves a hundredth more of real AIA and HMI crops. Without a checksum most damage
would give other pixels and no error; it costs four bytes a chunk."""

_EMPTY = np.uint64(2**64 - 1)


def write_shard(
    path: Path, block: np.ndarray, chunk: tuple[int, ...], shape: tuple[int, ...]
) -> dict:
    """Write a shard, read it back, and return its bytes and sha256; write none without values.

    Parameters
    ----------
    path
        The file, in a folder that is there. A piece that is done twice replaces it.
    block
        uint8, the values of the shard; the last shard of an array may have fewer samples.
    chunk
        The shape of a chunk. Except for the first axis, it divides that of the block.
    shape
        The shape of a whole shard.

    Raises
    ------
    SkymillError
        When what is read back is not what was written.
    """
    grid = tuple(whole // part for whole, part in zip(shape, chunk, strict=True))
    index = np.full((*grid, 2), _EMPTY, dtype="<u8")
    packed, place = [], 0
    for at in np.ndindex(grid):
        values = block[
            tuple(slice(n * size, (n + 1) * size) for n, size in zip(at, chunk, strict=True))
        ]
        # An empty chunk has fill_value throughout, as has all behind the end of the array.
        if values.shape == chunk and values.any():
            content = _codec().encode(np.ascontiguousarray(values))
            index[at] = place, len(content)
            packed.append(content)
            place += len(content)
    if not packed:
        return {}
    table = index.tobytes()
    packed += [table, google_crc32c.value(table).to_bytes(4, "little")]
    content = b"".join(packed)
    temporary = partial_path(path)
    temporary.write_bytes(content)
    if temporary.read_bytes() != content:
        raise SkymillError(
            f"{path} reads back differently from what was written. The disk may be full or faulty: "
            "check it and run again."
        )
    temporary.replace(path)
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


@functools.cache
def _codec():
    from numcodecs.zstd import Zstd

    return Zstd(**PACKING)
