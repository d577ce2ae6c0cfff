"""SWAN-SF's windows as records: a catalogue like the catalogue of a file of 2020.

The values are not copied: the catalogue of SWAN-SF has each step once, and a window is sixty of
these steps. The windows are put together when the clean records are written.
"""

import functools
import hashlib
import json
from pathlib import Path

import numpy as np
import pyarrow as pa

from skymill.engine.arrays import to_arrow
from skymill.engine.errors import SkymillError
from skymill.engine.products import new_file
from skymill.engine.tables import ParquetFile, read_table, write_table
from skymill.magnetic.catalogue_table import CATALOGUE_SCHEMA, NO_USFLUX, count_lines
from skymill.magnetic.fingerprints import fold, is_measured
from skymill.magnetic.inputs import SWAN
from skymill.magnetic.places import CATALOGUED
from skymill.magnetic.schema import STEPS
from skymill.swan_sf.places import place_of, seconds_of
from skymill.swan_sf.schema import PARAMETERS, STEP_SECONDS

WINDOWS_SCHEMA = pa.schema([*CATALOGUE_SCHEMA, *CATALOGUED])
"""One row per window in the catalogue of a partition of SWAN-SF, in the same order; `line` counts
the windows from 1."""

FINGERPRINTS_SCHEMA = pa.schema(
    [
        pa.field("harp", pa.int32(), nullable=False),
        pa.field("fingerprint", pa.uint64(), nullable=False),
    ]
)
"""One row per measured step: its HARP and a hash of its 24 parameters."""

WINDOWS_AT_ONCE = 4096

_OFFSETS = np.arange(STEPS, dtype=np.int64) * STEP_SECONDS


def record_ids(harp: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Return the id of each window: its HARP, and seven digits that count 12 minutes from 1970 on.

    So an id depends only on the window. `harp` are HARP numbers and `start` the times of the first
    steps in seconds (TAI), both int64.
    """
    return harp * 10**7 + start // STEP_SECONDS


def ingest_windows(
    steps: Path,
    windows: Path,
    partition: str,
    *,
    catalogue: Path,
    fingerprints: Path,
    quarantine: Path,
) -> dict:
    """Make records of the windows of a partition, and reject windows without a usable USFLUX.

    Parameters
    ----------
    steps, windows
        The tables of swan_sf.catalogue.
    partition
        One of inputs.SWAN.train.
    catalogue, fingerprints, quarantine
        Outputs: Parquet files of WINDOWS_SCHEMA and FINGERPRINTS_SCHEMA, and JSON lines, one per
        rejected window: file, line, member, reason, detail.

    Returns
    -------
    The counts of the manifest, as in `ingest`.
    """
    table = read_table(windows)
    harp = table["harp"].to_numpy().astype(np.int64)
    start = seconds_of(table, "start_tai")
    known = _KnownSteps(steps)
    dark, contents = np.zeros(len(table), bool), []
    for first in range(0, len(table), WINDOWS_AT_ONCE):
        part = slice(first, first + WINDOWS_AT_ONCE)
        rows = known.rows_of(harp[part], start[part])
        dark[part] = ~known.has_flux[rows].any(axis=1)
        contents += [
            hashlib.blake2b(record, digest_size=16).digest() for record in known.state[rows]
        ]
    reasons = [NO_USFLUX if is_dark else None for is_dark in dark]
    columns = {
        "partition": [partition] * len(table),
        "line": np.arange(1, len(table) + 1),
        "lines": np.ones(len(table), np.int64),
        "source_id": record_ids(harp, start),
        "status": ["rejected" if reason else "valid" for reason in reasons],
        "reason": reasons,
        "content": [None if reason else own for reason, own in zip(reasons, contents, strict=True)],
    }
    columns = {name: pa.array(values) for name, values in columns.items()}
    columns |= {name: table[name] for name in ("label", *(field.name for field in CATALOGUED))}
    taken = pa.table(
        [columns[field.name].cast(field.type) for field in WINDOWS_SCHEMA], schema=WINDOWS_SCHEMA
    )
    _write_quarantine(quarantine, f"{partition}{SWAN.suffix}", table, dark)
    write_table(catalogue, taken)
    write_table(fingerprints, known.fingerprints())
    return count_lines(taken)


def _write_quarantine(path: Path, name: str, windows: pa.Table, dark: np.ndarray) -> None:
    with new_file(path) as temporary, open(temporary, "w", encoding="utf-8") as stream:
        for row in np.flatnonzero(dark).tolist():
            entry = {
                "file": name,
                "line": row + 1,
                "member": windows["member"][row].as_py(),
                "reason": NO_USFLUX,
                "detail": "USFLUX is zero or missing at every step",
            }
            stream.write(json.dumps(entry, ensure_ascii=False) + "\n")


class _KnownPlaces:
    """The rows of a partition's steps in its table, which is sorted by HARP and time."""

    def __init__(self, steps: Path):
        self.path = steps
        keys = read_table(steps, ["harp", "time_tai"])
        self.harp = keys["harp"].to_numpy()
        self._place = place_of(self.harp, seconds_of(keys, "time_tai"))

    def rows_of(self, harp: np.ndarray, start: np.ndarray) -> np.ndarray:
        """Return the rows of the steps of windows: int64, shape (windows, 60).

        Raises
        ------
        SkymillError
            When a step of a window is not in the table.
        """
        wanted = place_of(harp, start)[:, None] + _OFFSETS
        if not len(self._place):
            rows, found = np.zeros(wanted.shape, np.int64), np.zeros(wanted.shape, bool)
        else:
            # Usually sixty consecutive rows, unless a HARP has more steps between them.
            rows = np.searchsorted(self._place, wanted[:, :1]) + np.arange(STEPS)
            last = len(self._place) - 1
            found = self._place[np.minimum(rows, last)] == wanted
            apart = ~found.all(axis=1)
            rows[apart] = np.searchsorted(self._place, wanted[apart])
            found[apart] = self._place[np.minimum(rows[apart], last)] == wanted[apart]
        if not found.all():
            window, step = np.argwhere(~found)[0]
            raise SkymillError(
                f"step {step} of a window of HARP {harp[window]} is not in {self.path}, the "
                "catalogue of its own partition. The two tables come from different runs: delete "
                f"the folder {self.path.parent} and run again."
            )
        return rows


class _KnownSteps(_KnownPlaces):
    """Hashes and flags of each step of a partition, without the values.

    Attributes
    ----------
    state
        uint64: a hash of the 24 parameters of each step.
    measured
        bool: whether the step has enough values, see fingerprints.is_measured.
    has_flux
        bool: whether USFLUX is a number and not zero.
    """

    def __init__(self, steps: Path):
        super().__init__(steps)
        file = ParquetFile(steps)
        states, measured, has_flux = ([np.empty(0, kind)] for kind in (np.uint64, bool, bool))
        for group in range(file.metadata.num_row_groups):
            values = _values(file, group, PARAMETERS)
            values += 0.0  # -0.0 equals 0.0
            values[np.isnan(values)] = np.nan
            states.append(fold(values.view(np.uint64)))
            measured.append(is_measured(values))
            flux = values[PARAMETERS.index("USFLUX")]
            has_flux.append(np.isfinite(flux) & (flux != 0))
        self.state = np.concatenate(states)
        self.measured = np.concatenate(measured)
        self.has_flux = np.concatenate(has_flux)

    def fingerprints(self) -> pa.Table:
        """Return the table of FINGERPRINTS_SCHEMA."""
        columns = [
            to_arrow(self.harp[self.measured], pa.int32()),
            to_arrow(self.state[self.measured], pa.uint64()),
        ]
        return pa.table(columns, schema=FINGERPRINTS_SCHEMA)


def _values(file: ParquetFile, group: int, names) -> np.ndarray:
    """Return columns of a row group, float64, shape (len(names), rows)."""
    table = file.read_row_group(group, list(names))
    return np.stack([table[name].to_numpy() for name in names])


class WindowStore:
    """Reads windows of one partition by position, as store.RecordStore reads records.

    Parameters
    ----------
    catalogue
        The table of WINDOWS_SCHEMA. A position counts the valid rows of this table.
    steps
        The steps in the catalogue of SWAN-SF.
    """

    def __init__(self, catalogue: Path, steps: Path):
        self._catalogue, self._steps = catalogue, steps

    def __getstate__(self) -> dict:
        """Return only the paths: a worker reads the tables itself."""
        return {"_catalogue": self._catalogue, "_steps": self._steps}

    @functools.cached_property
    def _windows(self) -> tuple[np.ndarray, np.ndarray]:
        """HARP and first step of each valid window, int64."""
        names = ["status", "harp", "start_tai"]
        table = read_table(self._catalogue, names)
        status = table["status"].cast(pa.string()).to_numpy(zero_copy_only=False)
        valid = status == "valid"
        harp = table["harp"].to_numpy().astype(np.int64)
        return harp[valid], seconds_of(table, "start_tai")[valid]

    @functools.cached_property
    def _places(self) -> _KnownPlaces:
        return _KnownPlaces(self._steps)

    def read(self, positions: np.ndarray, names) -> np.ndarray:
        """Return float64 values, shape (len(names), len(positions), 60).

        `positions` are int64. Row groups without a step of these windows are not read.
        """
        harp, start = self._windows
        rows = self._places.rows_of(harp[positions], start[positions])
        out = np.empty((len(names), *rows.shape))
        file = ParquetFile(self._steps, memory_map=True)
        sizes = [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)]
        starts = np.concatenate([[0], np.cumsum(sizes)])
        group = np.searchsorted(starts, rows, side="right") - 1
        wanted = np.unique(group)
        if len(wanted):
            table = file.read_row_groups(wanted.tolist(), list(names))
            # Row groups between the selected groups are not in this table.
            before = np.cumsum(np.diff(starts)[wanted]) - np.diff(starts)[wanted]
            local = rows - (starts[wanted] - before)[np.searchsorted(wanted, group)]
            for place, name in enumerate(names):
                np.take(table[name].to_numpy(), local, out=out[place])
        return out
