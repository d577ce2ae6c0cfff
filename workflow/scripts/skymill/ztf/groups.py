"""Which names are of one source: objects so near that their stamps show the same pixels."""

import numpy as np

RADIUS_ARCSEC = 1.5
"""Objects up to this apart are linked. ZTF itself gives alerts within 1.5 arcsec one name; two
names at one place occur where that went wrong (a real pair is 0.03 arcsec apart)."""


def group_by_position(ra: np.ndarray, dec: np.ndarray) -> np.ndarray:
    """Return the first object of each object's group, int64, shape (objects,).

    Objects up to RADIUS_ARCSEC apart are in one group, and so are those that a chain of such pairs
    connects.

    Parameters
    ----------
    ra, dec
        Positions in degrees, float64, shape (objects,).
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import cKDTree

    if not len(ra):
        return np.empty(0, np.int64)
    # Equal positions are one point: thousands of objects at one place would be millions of pairs.
    points, point = np.unique(ra + 1j * dec, return_inverse=True)
    alpha, delta = np.radians(points.real), np.radians(points.imag)
    vectors = np.stack(
        [np.cos(delta) * np.cos(alpha), np.cos(delta) * np.sin(alpha), np.sin(delta)], axis=1
    )
    # Distances are chords of the unit sphere; a little more, for what rounding takes away.
    chord = 2 * np.sin(np.radians(RADIUS_ARCSEC / 3600) / 2) * (1 + 1e-9)
    # A plain tree is built in half the time, and searched as fast: the sky is no lump.
    tree = cKDTree(vectors, balanced_tree=False, compact_nodes=False)
    pairs = tree.query_pairs(chord, output_type="ndarray")
    links = coo_array(
        (np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(len(points), len(points))
    )
    group = connected_components(links, directed=False)[1][point]
    _, first = np.unique(group, return_index=True)
    return first[group]
