"""Find the pixels around the source in a cutout.

A regular cutout has 63 x 63 pixels with the source in the centre. A cutout at the detector's edge
is cut, not padded, so the source is off the centre. Its place depends on the side that is cut.
"""

import numpy as np

from skymill.alerts.packet import STAMP

CENTRE = STAMP // 2

DETECTOR_ROWS, DETECTOR_COLUMNS = 3080, 3072
"""Pixels of a ZTF readout channel (Masci et al. 2019, section 2): ypos counts rows."""


class Unfit(Exception):
    """A cutout without a usable stamp; `reason` says why, such as `wrong_shape`."""

    def __init__(self, reason: str, detail: str):
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def window(
    rows: int, columns: int, crop: int, edge: str, xpos: float, ypos: float
) -> tuple[slice, slice, bool]:
    """Return the rows and columns of a cutout to keep, and whether it was cut at an edge.

    Parameters
    ----------
    rows, columns
        The cutout's shape.
    crop
        How many rows and columns to keep around the source, odd.
    edge
        `recover` or `drop` cutouts that are cut at an edge.
    xpos, ypos
        Position of the source on the detector, in pixels; NaN if unknown.

    Raises
    ------
    Unfit
        When pixels around the source are missing (`wrong_shape` or `dropped_at_edge`).
    """
    if (rows, columns) == (STAMP, STAMP):
        whole = slice(CENTRE - crop // 2, CENTRE + crop // 2 + 1)
        return whole, whole, False
    if crop == STAMP or rows > STAMP or columns > STAMP:
        raise Unfit("wrong_shape", f"{rows} x {columns} pixels")
    if edge == "drop":
        raise Unfit("dropped_at_edge", f"{rows} x {columns} pixels, and ztf.edge is drop")
    row = source_place(rows, ypos, DETECTOR_ROWS)
    column = source_place(columns, xpos, DETECTOR_COLUMNS)
    half = crop // 2
    if not (half <= row < rows - half and half <= column < columns - half):
        raise Unfit(
            "dropped_at_edge",
            f"{rows} x {columns} pixels do not hold {crop} x {crop} around the source",
        )
    return slice(row - half, row + half + 1), slice(column - half, column + half + 1), True


def source_place(size: int, position: float, detector: int) -> int:
    """Return the row or column of the source in a cutout of `size` rows or columns.

    Returns -1, which is never inside the cutout, if the cutout is cut and the position is unknown.
    """
    if size == STAMP:
        return CENTRE
    if np.isnan(position):
        return -1
    return min(CENTRE, CENTRE - (STAMP - size)) if position < detector / 2 else CENTRE
