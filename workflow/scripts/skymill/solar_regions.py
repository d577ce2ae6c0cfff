"""Groups of active regions on the same patch of the Sun: NOAA numbers that HARPs link.

A NOAA number is a name, not a place. A patch that HMI follows (a HARP) may contain several numbered
regions, and a region may be in several HARPs. So samples of two NOAA numbers can show the same
pixels at the same time. A group is a connected component over NOAA and HARP numbers, from JSOC's
table. Overlap in time alone links nothing, because it would make one group of the whole Sun.
"""

import functools
import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from skymill.engine.errors import SkymillError

TABLE = Path(__file__).with_name("harp_to_noaa.2020.txt")
"""JSOC's public table as of 2020; the first lines of the file name its origin."""
TABLE_SHA256 = "51bf79eca6799ac84a6f59fa4cb560364df73a179c5f0b18919e581452a7c93b"
"""The table's digest. It is part of the code, so products of another table are stale."""
TABLE_NAME = "JSOC's table of HARP and NOAA numbers of 2020"


@functools.cache
def harp_table() -> tuple[tuple[int, int], ...]:
    """Return the pairs (HARP number, NOAA number) of the table, in its order.

    Raises
    ------
    SkymillError
        When the table is not the table of this version.
    """
    content = TABLE.read_bytes()
    if hashlib.sha256(content).hexdigest() != TABLE_SHA256:
        raise SkymillError(f"{TABLE} is not the table of this version. Install Skymill again.")
    lines = [line for line in content.decode().splitlines() if not line.startswith("#")]
    rows = (line.split() for line in lines[1:])
    return tuple((int(harp), int(noaa)) for harp, numbers in rows for noaa in numbers.split(","))


@functools.cache
def harps_of() -> dict[int, frozenset[int]]:
    """Return the HARPs of each NOAA number of the table."""
    found: dict[int, set[int]] = {}
    for harp, noaa in harp_table():
        found.setdefault(noaa, set()).add(harp)
    return {noaa: frozenset(harps) for noaa, harps in found.items()}


def group_regions(
    regions: np.ndarray, links: Iterable[tuple[int, int]] | None = None
) -> np.ndarray:
    """Return the group of each active region.

    Parameters
    ----------
    regions
        NOAA numbers, int64, shape (n,).
    links
        Pairs (HARP number, NOAA number), by default those of the table.

    Returns
    -------
    int64, shape (n,): the smallest NOAA number of the group, whether or not it is among `regions`.
    A region without a link is a separate group.
    """
    smallest = _components(harp_table() if links is None else links)
    numbers, place = np.unique(np.asarray(regions, dtype=np.int64), return_inverse=True)
    groups = [smallest.get(number, number) for number in numbers.tolist()]
    return np.array(groups, dtype=np.int64)[place]


def _components(links: Iterable[tuple[int, int]]) -> dict[int, int]:
    """Return, for each NOAA number, the smallest number of its component."""
    above: dict[int, int] = {}

    def top(noaa: int) -> int:
        while above[noaa] != noaa:
            above[noaa] = noaa = above[above[noaa]]
        return noaa

    first_of: dict[int, int] = {}
    for harp, noaa in links:
        above.setdefault(noaa, noaa)
        one, other = top(first_of.setdefault(harp, noaa)), top(noaa)
        # The smaller number is above, so the smallest number is on top of its component.
        above[max(one, other)] = min(one, other)
    return {noaa: top(noaa) for noaa in above}
