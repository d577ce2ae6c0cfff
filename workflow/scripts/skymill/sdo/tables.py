"""The catalogue and the plan hold both official sets; this reads one of them."""

from pathlib import Path
from typing import TYPE_CHECKING

from skymill.engine.tables import read_frame

if TYPE_CHECKING:
    import pandas as pd


def read_set(path: Path, name: str) -> "pd.DataFrame":
    """Return the rows of one set (train or test) in file order, numbered from 0."""
    whole = read_frame(path)
    return whole[whole["set"] == name].reset_index(drop=True)
