"""The inputs of the magnetic branch: the 2020 files, or SWAN-SF.

The Snakefile imports this module, so it imports no library.
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
    """A data set that the branch can read.

    Attributes
    ----------
    name
        The value of `magnetic.input`.
    title
        The name in a sentence.
    train, test
        The files of the training records in order, and the file of the records without labels
        (None if the data set has no such file). The names are without suffix.
    parameters
        The parameters in the order of the 2020 files.
    item
        What a file contains: line or window.
    suffix
        The end of the files' names.
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
        """All files in order, without suffix."""
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
"""The inputs by the value of `magnetic.input`."""

PARTITION_NAMES = (*PARTITIONS, *SWAN_PARTITIONS)
"""The categories of every `partition` column, in order."""


def input_of(config: dict) -> Input:
    """Return the input of the magnetic branch in a configuration."""
    return INPUTS[config.get("magnetic", {}).get("input", CUP.name)]


def input_with(partition: str) -> Input:
    """Return the data set that has a file."""
    return SWAN if partition in SWAN.files else CUP


def file_name(partition: str) -> str:
    """Return the name of a file with its suffix."""
    return f"{partition}{input_with(partition).suffix}"


def place_of_record(partition: str, line: int) -> str:
    """Return the file and line or window of a record for a message; both count from 1."""
    return f"{file_name(partition)} {input_with(partition).item} {line}"
