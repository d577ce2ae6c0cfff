"""The catalogue of SWAN-SF against gunzip and one joined parse, and against a loop over pandas."""

import gzip
import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from measure import PACKAGE, Row, Section, at_least, interleaved, seconds

from skymill.simulate.magnetic import PARTITION_SHARES
from skymill.swan_sf.catalogue import catalogue
from skymill.swan_sf.schema import PARAMETERS

PARTITION = "partition1"

JOINED_BYTES = 4 * 2**20
"""Text that the reference parses at once."""

WINDOWS_PER_RECORD = 2.4
"""Approximate number of hourly windows of a simulated series for each of its records."""

SIMULATION = """
import sys
from pathlib import Path
from skymill.simulate.swan_sf import write_partition
if __name__ == "__main__":
    raw, partition, records = sys.argv[1:]
    write_partition(
        Path(raw), partition, coverage=1.0, seed=20, workers=2,
        magnetic={"records": int(records), "test_records": 10, "seed": 20},
        sdo={"training_samples": 20, "test_samples": 10, "copies": 1, "seed": 20},
    )
"""


def simulate(folder: Path, windows: int) -> Path:
    """Write a tarball of about so many windows, in a separate process."""
    share = PARTITION_SHARES[0] / sum(PARTITION_SHARES)
    raw = folder / f"{PARTITION}_instances.tar.gz"
    subprocess.run(
        [
            sys.executable,
            "-c",
            SIMULATION,
            str(raw),
            PARTITION,
            str(round(windows / WINDOWS_PER_RECORD / share)),
        ],
        env={**os.environ, "PYTHONPATH": str(PACKAGE)},
        check=True,
    )
    os.sync()
    return raw


def measure_swan_sf(folder: Path, *, windows: int, reference_windows: int) -> Section:
    """Measure the catalogue of a partition on one core.

    Parameters
    ----------
    windows
        Approximate number of windows in the tarball.
    reference_windows
        Number of windows that the loop over pandas reads.
    """
    raw = simulate(folder, windows)
    few, texts = _part(raw, folder / "few.tar.gz", reference_windows)

    def run() -> dict:
        return catalogue(
            raw,
            PARTITION,
            steps=folder / "steps.parquet",
            windows=folder / "windows.parquet",
            quarantine=folder / "quarantine.jsonl",
        )

    def gunzip() -> None:
        with gzip.open(raw) as stream:
            while stream.read(2**20):
                pass

    contenders = {
        "catalogue": run,
        "gunzip": gunzip,
        "joined parse": lambda: [_parse(text) for text in texts],
        "pandas": lambda: _catalogue_with_pandas(few, folder / "pandas.parquet"),
    }
    counts = run()["counts"]
    _compare(folder, contenders["pandas"]())
    met = {
        "catalogue": counts["windows"],
        "gunzip": counts["windows"],
        "joined parse": reference_windows,
        "pandas": reference_windows,
    }
    timings = interleaved(contenders, {name: 3 for name in contenders})
    cost = {name: 1e6 * timings[name].best / count for name, count in met.items()}
    reference = cost["gunzip"] + cost["joined parse"]
    return Section(
        "SWAN-SF: catalogue of a partition, one core",
        [
            f"{counts['windows']:,} windows of 60 steps, {counts['steps']:,} distinct steps; the "
            f"loop over pandas and the joined parse read the first {reference_windows:,} of them. "
            "Joined parse: `pyarrow.csv` on the rows of many windows as one text, all columns, "
            "already in memory. Times are microseconds per window.",
        ],
        [
            Row("catalogue", f"{cost['catalogue']:.0f} µs", figures={"cost_us": cost}),
            Row("gunzip alone", f"{cost['gunzip']:.0f} µs"),
            Row("joined parse alone", f"{cost['joined parse']:.0f} µs"),
            Row("loop over pandas", f"{cost['pandas']:.0f} µs"),
            at_least(
                "catalogue against gunzip and joined parse together, per window",
                reference / cost["catalogue"],
                0.6,
                windows=met,
                seconds=seconds(timings),
            ),
            at_least(
                "catalogue against the loop over pandas, per window",
                cost["pandas"] / cost["catalogue"],
                5,
            ),
        ],
    )


def _part(raw: Path, few: Path, count: int) -> tuple[Path, list[bytes]]:
    """Write a tarball of the first windows, and return their rows as joined texts."""
    joined: dict[bytes, list[bytes]] = {}
    texts = []
    with tarfile.open(raw) as archive, tarfile.open(few, "w:gz", compresslevel=1) as part:
        for _, info in zip(range(count), archive, strict=False):
            content = archive.extractfile(info).read()
            part.addfile(info, io.BytesIO(content))
            header, _, body = content.partition(b"\n")
            bodies = joined.setdefault(header, [])
            bodies.append(body)
            if sum(map(len, bodies)) > JOINED_BYTES:
                texts.append(b"".join(bodies))
                bodies.clear()
    texts += [b"".join(bodies) for bodies in joined.values() if bodies]
    return few, texts


def _parse(text: bytes) -> pa.Table:
    return pa.csv.read_csv(
        pa.py_buffer(text),
        pa.csv.ReadOptions(
            use_threads=False, block_size=len(text) + 1, autogenerate_column_names=True
        ),
        pa.csv.ParseOptions(delimiter="\t"),
    )


def _catalogue_with_pandas(raw: Path, output: Path) -> pd.DataFrame:
    """Return and write the distinct steps of a tarball, with a data frame for each window."""
    frames = []
    with tarfile.open(raw) as archive:
        for info in archive:
            frame = pd.read_csv(archive.extractfile(info), sep="\t")
            if len(frame) != 60 or ("_ar" not in info.name and "_id[" not in info.name):
                continue
            name = info.name.replace("_id[", "_ar").replace("]", "_")
            frame["harp"] = int(name.partition("_ar")[2].partition("_")[0])
            frame["time_tai"] = pd.to_datetime(frame["Timestamp"])
            frames.append(frame[["harp", "time_tai", *PARAMETERS]])
    steps = pd.concat(frames).drop_duplicates(["harp", "time_tai"])
    steps = steps.sort_values(["harp", "time_tai"])
    pq.write_table(pa.Table.from_pandas(steps, preserve_index=False), output)
    return steps


def _compare(folder: Path, expected: pd.DataFrame) -> None:
    """Raise RuntimeError if the catalogue does not have the values that pandas reads."""
    found = pq.read_table(folder / "steps.parquet").to_pandas()
    both = expected.merge(found, on=["harp", "time_tai"], suffixes=("", "_found"))
    same = np.mean(
        [
            np.isclose(both[name], both[f"{name}_found"], rtol=0, atol=0, equal_nan=True)
            for name in PARAMETERS
        ]
    )
    # Damaged windows have a few steps that no other window has.
    if len(both) < 0.99 * len(expected) or same < 0.999:
        raise RuntimeError(f"the catalogue and pandas agree only in {same:.2%} of the values")
