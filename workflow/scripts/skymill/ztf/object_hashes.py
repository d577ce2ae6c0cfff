"""Keyed hashes of object names: random numbers that depend only on the name."""

import numpy as np
import pyarrow as pa

from skymill.engine.randomness import keyed_hash

_WORD = 8
"""Bytes that are added to the hash at a time."""


def name_hashes(names: pa.Array | pa.ChunkedArray, key: int) -> np.ndarray:
    """Return a uniform uint64 for each name, shape (n,).

    `skymill.engine.randomness.keyed_hash` hashes the length, then the UTF-8 bytes, eight at a time.
    Names of the same length with up to eight bytes never tie. Longer names may tie, once in 2^64.
    So if you sort by the hash, also sort by the name.
    """
    if isinstance(names, pa.ChunkedArray):
        names = names.combine_chunks()
    # Copy, so that the buffers begin with the first name.
    names = pa.concat_arrays([names.cast(pa.large_binary())])
    _, offsets, content = names.buffers()
    if not len(names) or content is None:
        return keyed_hash(np.zeros(len(names), dtype=np.int64), key)
    bounds = np.frombuffer(offsets, dtype=np.int64)[names.offset : names.offset + len(names) + 1]
    characters = np.frombuffer(content, dtype=np.uint8)
    start, lengths = bounds[:-1], np.diff(bounds)
    state = keyed_hash(lengths, key)
    for begin in range(0, int(lengths.max(initial=0)), _WORD):
        # Shorter names are complete: longer names must not change their hashes.
        active = np.flatnonzero(lengths > begin)
        places = start[active, None] + np.arange(begin, begin + _WORD)
        inside = places < (start + lengths)[active, None]
        taken = np.where(inside, characters[np.where(inside, places, 0)], 0).astype(np.uint8)
        words = np.ascontiguousarray(taken).view("<u8")[:, 0].astype(np.uint64)
        state[active] = keyed_hash((state[active] ^ words).view(np.int64), key)
    return state


def order_by_hash(names: pa.Array | pa.ChunkedArray, key: int) -> np.ndarray:
    """Return the positions of the names in the order of their hashes, ties by name."""
    import pyarrow.compute as pc

    hashes = pa.array(name_hashes(names, key))
    table = pa.table({"hash": hashes, "name": names})
    return pc.sort_indices(
        table, sort_keys=[("hash", "ascending"), ("name", "ascending")]
    ).to_numpy()


def fractions(hashes: np.ndarray) -> np.ndarray:
    """Return uint64 hashes as float64 in [0, 1)."""
    return (hashes >> np.uint64(11)) * 2.0**-53
