"""Keyed hashes of object names: chance that hangs on the name alone, not on the other objects."""

import numpy as np
import pyarrow as pa

from skymill.engine.randomness import keyed_hash

_WORD = 8
"""Bytes that are folded in at a time."""


def name_hashes(names: pa.Array | pa.ChunkedArray, key: int) -> np.ndarray:
    """Return a uniform uint64 for each name, shape (n,).

    The length and the UTF-8 bytes, eight at a time, are folded in one after the other by
    `skymill.engine.randomness.keyed_hash`. Names of up to eight bytes and of one length never tie;
    longer ones may, once in 2^64, so whoever sorts by the hash sorts by the name next.
    """
    if isinstance(names, pa.ChunkedArray):
        names = names.combine_chunks()
    # From the beginning of the buffers, without an offset.
    names = pa.concat_arrays([names.cast(pa.large_binary())])
    _, offsets, content = names.buffers()
    if not len(names) or content is None:
        return keyed_hash(np.zeros(len(names), dtype=np.int64), key)
    bounds = np.frombuffer(offsets, dtype=np.int64)[names.offset : names.offset + len(names) + 1]
    characters = np.frombuffer(content, dtype=np.uint8)
    start, lengths = bounds[:-1], np.diff(bounds)
    state = keyed_hash(lengths, key)
    for begin in range(0, int(lengths.max(initial=0)), _WORD):
        # Shorter names are done: what longer ones there are must not bear on them.
        active = np.flatnonzero(lengths > begin)
        places = start[active, None] + np.arange(begin, begin + _WORD)
        inside = places < (start + lengths)[active, None]
        taken = np.where(inside, characters[np.where(inside, places, 0)], 0).astype(np.uint8)
        words = np.ascontiguousarray(taken).view("<u8")[:, 0].astype(np.uint64)
        state[active] = keyed_hash((state[active] ^ words).view(np.int64), key)
    return state


def order_by_hash(names: pa.Array | pa.ChunkedArray, key: int) -> np.ndarray:
    """Return the positions of the names in the order of their hashes, equal ones by name."""
    import pyarrow.compute as pc

    hashes = pa.array(name_hashes(names, key))
    table = pa.table({"hash": hashes, "name": names})
    return pc.sort_indices(
        table, sort_keys=[("hash", "ascending"), ("name", "ascending")]
    ).to_numpy()


def fractions(hashes: np.ndarray) -> np.ndarray:
    """Return uint64 hashes as float64 from 0 to below 1."""
    return (hashes >> np.uint64(11)) * 2.0**-53
