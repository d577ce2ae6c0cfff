"""Group objects that are so close together that their stamps show the same source."""

import numpy as np

RADIUS_ARCSEC = 1.5
"""Objects up to this distance are linked. ZTF gives alerts within 1.5 arcsec one name. If that
fails, two names are at one place (a real pair is 0.03 arcsec apart)."""


def group_by_position(ra: np.ndarray, dec: np.ndarray) -> np.ndarray:
    """Return the first object of each object's group, int64, shape (objects,).

    Two objects are in one group if they are up to RADIUS_ARCSEC apart, or if a chain of such pairs
    connects them.

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
    # Equal positions are one point: thousands of objects at one place would make millions of pairs.
    points, point = np.unique(ra + 1j * dec, return_inverse=True)
    alpha, delta = np.radians(points.real), np.radians(points.imag)
    vectors = np.stack(
        [np.cos(delta) * np.cos(alpha), np.cos(delta) * np.sin(alpha), np.sin(delta)], axis=1
    )
    # Distances are chords of the unit sphere. The limit is slightly larger to allow for rounding.
    chord = 2 * np.sin(np.radians(RADIUS_ARCSEC / 3600) / 2) * (1 + 1e-9)
    # An unbalanced tree is built in half the time and searched as fast, because objects are spread
    # over the sky.
    tree = cKDTree(vectors, balanced_tree=False, compact_nodes=False)
    pairs = tree.query_pairs(chord, output_type="ndarray")
    links = coo_array(
        (np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(len(points), len(points))
    )
    group = connected_components(links, directed=False)[1][point]
    _, first = np.unique(group, return_index=True)
    return first[group]
