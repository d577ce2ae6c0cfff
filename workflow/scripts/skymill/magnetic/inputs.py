"""What the magnetic branch can read: the 2020 files, or SWAN-SF.

The Snakefile reads this: no library is imported here.
"""

from dataclasses import dataclass

from skymill.magnetic.schema import (
    PARAMETERS,
    PARTITIONS,
    TEST_PARTITION,
    TRAIN_PARTITIONS,
)
from skymill.swan_sf.schema import PARAMETERS as SWAN_PARAMETERS
from skymill.swan_sf.schema import PARTITIONS as SWAN_PARTITIONS


@dataclass(frozen=True)
class Input:
    """One of the data sets that the branch can read.

    Attributes
    ----------
    name
        As `magnetic.input` has it.
    title
        As a sentence has it.
    train, test
        Files of the training records in order, without the end of their names, and the file of the
        records without labels; None where there is none.
    parameters
        In the order of the 2020 files.
    item
        What a file holds: lines or windows.
    suffix
        How the files' names end.
    has_places
        Whether HARP, NOAA numbers and time of each record are known.
    """

    name: str
    title: str
    train: tuple[str, ...]
    test: str | None
    parameters: tuple[str, ...]
    item: str
    suffix: str
    has_places: bool

    @property
    def files(self) -> tuple[str, ...]:
        """All files in order, without the end of their names."""
        return (*self.train, *([self.test] if self.test else []))


CUP = Input(
    name="cup2020",
    title="the 2020 files",
    train=TRAIN_PARTITIONS,
    test=TEST_PARTITION,
    parameters=PARAMETERS,
    item="line",
    suffix=".json",
    has_places=False,
)
SWAN = Input(
    name="swan_sf",
    title="SWAN-SF",
    train=SWAN_PARTITIONS,
    test=None,
    parameters=SWAN_PARAMETERS,
    item="window",
    suffix="_instances.tar.gz",
    has_places=True,
)

INPUTS = {one.name: one for one in (CUP, SWAN)}
"""By `magnetic.input`."""

PARTITION_NAMES = (*PARTITIONS, *SWAN_PARTITIONS)
"""The categories of every column of files, in order."""


def input_of(config: dict) -> Input:
    """Return what the magnetic branch reads by a configuration."""
    return INPUTS[config.get("magnetic", {}).get("input", CUP.name)]


def input_with(partition: str) -> Input:
    """Return the data set that has a file."""
    return SWAN if partition in SWAN.files else CUP


def file_name(partition: str) -> str:
    """Return the name of a file with its end."""
    return f"{partition}{input_with(partition).suffix}"


def place_of_record(partition: str, line: int) -> str:
    """Return where a record is, for a message; lines and windows count from 1."""
    return f"{file_name(partition)} {input_with(partition).item} {line}"
