"""Read the rows of one official set from the catalogue or the plan, which contain both sets."""

from pathlib import Path
from typing import TYPE_CHECKING

from skymill.engine.tables import read_frame

if TYPE_CHECKING:
    import pandas as pd


def read_set(path: Path, name: str) -> "pd.DataFrame":
    """Return the rows of one set (train or test) in file order, numbered from 0."""
    whole = read_frame(path)
    return whole[whole["set"] == name].reset_index(drop=True)
