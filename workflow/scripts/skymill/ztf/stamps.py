"""From a cutout to the pixels around the source.

A regular cutout is 63 x 63 with the source in its centre. At the detector's edge it is cut, not
padded, so the source is off the centre: its place follows from which side is cut.
"""

import numpy as np

from skymill.alerts.packet import STAMP

CENTRE = STAMP // 2

DETECTOR_ROWS, DETECTOR_COLUMNS = 3080, 3072
"""Pixels of a ZTF readout channel (Masci et al. 2019, section 2): ypos runs over rows."""


class Unfit(Exception):
    """A cutout that gives no stamp; `reason` is `wrong_shape` or `dropped_at_edge`."""

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
        `recover` or `drop`: what becomes of a cutout that an edge has cut.
    xpos, ypos
        Where the source is on the detector, in pixels; NaN when that is not known.

    Raises
    ------
    Unfit
        When the pixels asked for are not there.
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
    """Return the row or column of the source, given how many are left and where it is.

    -1, which fits nowhere, when some are missing and the position is not known.
    """
    if size == STAMP:
        return CENTRE
    if np.isnan(position):
        return -1
    return min(CENTRE, CENTRE - (STAMP - size)) if position < detector / 2 else CENTRE
