"""The columns of UCI "Solar Flare" and the meanings of their codes.

The codes are from the data set's description, flare.names (UCI Machine Learning Repository, Solar
Flare, id 89, doi:10.24432/C5530G, CC BY 4.0; donated by Gary Bradshaw in 1989). flare.names lists
letters without meanings. The meanings of the letters are from McIntosh's classification of sunspot
groups (1990, Solar Physics 125, 251).
"""

import json
from dataclasses import dataclass

import pyarrow as pa

from skymill.engine.tables import categorical

SOURCE = "UCI Machine Learning Repository, Solar Flare (id 89), doi:10.24432/C5530G"
LICENCE = "CC BY 4.0"

PUBLISHED_ROWS = 1389
"""The rows of the published file: flare.data1 (323) and flare.data2 (1,066)."""

LARGEST_COUNT = 2**15 - 1
"""The largest count that fits the column. The largest count in the published file is 8."""

_SPOT_GROUPS = {
    "A": "one polarity, no penumbra",
    "B": "two polarities, no penumbra",
    "C": "two polarities, penumbra at one end",
    "D": "two polarities, penumbra at both ends, up to 10 degrees long",
    "E": "two polarities, penumbra at both ends, 10 to 15 degrees long",
    "F": "two polarities, penumbra at both ends, more than 15 degrees long",
    "H": "one polarity, with penumbra",
}
_LARGEST_SPOTS = {
    "X": "no penumbra",
    "R": "rudimentary penumbra",
    "S": "small and symmetric",
    "A": "small and asymmetric",
    "H": "large and symmetric",
    "K": "large and asymmetric",
}
_DISTRIBUTIONS = {"X": "one polarity", "O": "open", "I": "intermediate", "C": "compact"}
_YES_NO = {"1": "yes", "2": "no"}


@dataclass(frozen=True)
class Column:
    """One column of the table.

    Attributes
    ----------
    raw_name
        Its name in the published file.
    description
        The meaning of the column.
    meanings
        The valid codes and their meanings; None for counts.
    """

    raw_name: str
    description: str
    meanings: dict[str, str] | None = None

    @property
    def name(self) -> str:
        """Its name in the product, in snake_case."""
        return self.raw_name.lower().replace(" ", "_").replace("-", "_")

    @property
    def field(self) -> pa.Field:
        """Its Arrow field: letters as categories in this order, codes as int8, counts as int16.

        The metadata contain `description` and, for codes, `meanings` as JSON.
        """
        metadata = {"description": self.description}
        kind = pa.int16()
        if self.meanings:
            metadata["meanings"] = json.dumps(self.meanings)
            if not all(code.isdigit() for code in self.meanings):
                field = categorical(self.name, self.meanings, nullable=False)
                return field.with_metadata({**field.metadata, **metadata})
            kind = pa.int8()
        return pa.field(self.name, kind, nullable=False, metadata=metadata)


COLUMNS = (
    Column("modified Zurich class", "class of the sunspot group (McIntosh)", _SPOT_GROUPS),
    Column("largest spot size", "penumbra of the group's largest spot (McIntosh)", _LARGEST_SPOTS),
    Column("spot distribution", "how densely spots lie in the group (McIntosh)", _DISTRIBUTIONS),
    Column("activity", "activity of the region", {"1": "reduced", "2": "unchanged"}),
    Column("evolution", "evolution", {"1": "decay", "2": "no growth", "3": "growth"}),
    Column(
        "previous 24 hour flare activity",
        "flare activity in the 24 hours before",
        {
            "1": "nothing as big as an M1",
            "2": "one M1",
            "3": "more activity than one M1",
        },
    ),
    Column("historically-complex", "whether the region has been complex", _YES_NO),
    Column(
        "became complex on this pass",
        "whether the region became complex on this pass across the Sun's disk",
        _YES_NO,
    ),
    Column("area", "area", {"1": "small", "2": "large"}),
    Column("area of largest spot", "area of the largest spot", {"1": "<= 5", "2": "> 5"}),
    Column("common flares", "C-class flares in the following 24 hours"),
    Column("moderate flares", "M-class flares in the following 24 hours"),
    Column("severe flares", "X-class flares in the following 24 hours"),
)

SCHEMA = pa.schema(
    [column.field for column in COLUMNS], metadata={"source": SOURCE, "licence": LICENCE}
)
"""One row per active region and day, in the order of the published file."""
