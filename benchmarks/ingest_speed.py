"""Ingest against record-by-record pandas, against orjson alone, and two cores against one."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import orjson
from measure import (
    PACKAGE,
    SCALING_RUNS,
    Row,
    Section,
    at_least,
    at_most,
    interleaved,
    neighbours,
    seconds,
)
from references import ingest_with_pandas

from skymill.magnetic.catalogue import ingest
from skymill.magnetic.schema import TRAIN_PARTITIONS
from skymill.simulate.magnetic import PARTITION_SHARES

PARTITION = TRAIN_PARTITIONS[1]
"""The largest of the three training files."""

MB = 1e6

SIMULATION = """
import sys
from pathlib import Path
from skymill.simulate.files import write_magnetic
if __name__ == "__main__":
    raw, partition, records, seed = sys.argv[1:]
    write_magnetic(
        Path(raw), partition, records=int(records), test_records=10, seed=int(seed), workers=2
    )
"""


def simulate(folder: Path, records: int, seed: int) -> Path:
    """Write a raw file of `records` lines and return its path.

    A separate process writes it: worker processes are forked from a server that has imported the
    modules of its first user, and the workers of ingest must start as in a job.
    """
    total = round(records * sum(PARTITION_SHARES) / PARTITION_SHARES[1])
    raw = folder / f"{PARTITION}.json"
    subprocess.run(
        [sys.executable, "-c", SIMULATION, str(raw), PARTITION, str(total), str(seed)],
        env={**os.environ, "PYTHONPATH": str(PACKAGE)},
        check=True,
    )
    os.sync()  # or the disk would still be writing the file while ingest is timed
    return raw


def ingest_job(raw: Path, folder: Path, workers: int) -> Callable[[], dict]:
    """Return a function that ingests a file into a folder, and replaces its contents."""

    def run() -> dict:
        return ingest(
            raw,
            PARTITION,
            labelled=True,
            values=folder / "values",
            catalogue=folder / "catalogue.parquet",
            quarantine=folder / "quarantine.jsonl",
            workers=workers,
        )

    return run


def measure_one_core(folder: Path, raw: Path, *, reference_records: int) -> Section:
    """Measure ingest on one core against pandas and against orjson."""
    sound, strict = folder / "sound.json", folder / "strict.json"
    lines = _write_strict_lines(raw, strict)
    with open(raw, "rb") as stream, open(sound, "wb") as subset:
        # The reference cannot skip a damaged line, so it gets only lines that pandas can read.
        whole = (line for line in stream if line.endswith(b"}}}}\n"))
        taken = list(islice(whole, reference_records))
        subset.writelines(taken)
    output = folder / "reference.parquet"
    kept = ingest_with_pandas(sound, output)

    def load_lines() -> None:
        for line in lines:
            orjson.loads(line)

    contenders = {
        "ingest": ingest_job(raw, folder / "ingest", 1),
        "ingest NaN-free": ingest_job(strict, folder / "strict", 1),
        "orjson.loads": load_lines,
        "pandas": lambda: ingest_with_pandas(sound, output),
    }
    records = {
        "ingest": contenders["ingest"]()["counts"]["valid"],
        "ingest NaN-free": contenders["ingest NaN-free"]()["counts"]["valid"],
        "pandas": kept,
    }
    timings = interleaved(contenders, {name: 5 for name in contenders} | {"pandas": 3})
    size = {
        "ingest": raw.stat().st_size,
        "ingest NaN-free": strict.stat().st_size,
        "orjson.loads": sum(map(len, lines)),
        "pandas": sound.stat().st_size,
    }
    per_record = {name: timings[name].best / count for name, count in records.items()}
    per_byte = {name: timings[name].best / size[name] for name in size}
    speed = {name: 1 / cost / MB for name, cost in per_byte.items()}
    figures = {"records": records, "bytes": size, "MB_per_s": speed, "seconds": seconds(timings)}
    return Section(
        "Ingest, one core",
        [
            f"ingest: {records['ingest']:,} valid records, {size['ingest'] / MB:,.0f} MB; pandas: "
            f"the first {len(taken):,} whole lines of the same file, compared per record.",
            f"NaN-free: the {len(lines):,} lines that orjson can parse, as a separate file "
            "for ingest and as bytes in memory for orjson; compared per byte.",
        ],
        [
            Row("ingest", f"{speed['ingest']:.0f} MB/s"),
            Row("record-by-record pandas", f"{speed['pandas']:.1f} MB/s"),
            Row("orjson.loads alone", f"{speed['orjson.loads']:.0f} MB/s"),
            at_least(
                "ingest against record-by-record pandas, per record",
                per_record["pandas"] / per_record["ingest"],
                15,
                **figures,
            ),
            at_most(
                "ingest against orjson.loads alone, time per byte of NaN-free lines",
                per_byte["ingest NaN-free"] / per_byte["orjson.loads"],
                2.5,
                "x",
            ),
        ],
    )


def _write_strict_lines(raw: Path, path: Path) -> list[bytes]:
    """Write the lines that orjson parses to a separate file, and return them."""
    lines = []
    for line in raw.read_bytes().splitlines():
        if line and b"NaN" not in line:
            try:
                orjson.loads(line)
            except orjson.JSONDecodeError:
                continue
            lines.append(line)
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return lines


def measure_two_cores(folder: Path, raw: Path) -> Section:
    """Measure ingest with two workers on two cores against one worker on one core."""
    cores = {"one core": 1, "two cores": 2}
    contenders = {name: ingest_job(raw, folder / name, count) for name, count in cores.items()}
    timings = interleaved(
        contenders,
        dict.fromkeys(contenders, SCALING_RUNS),
        cores,
        # As Snakemake does before a job.
        before=lambda name: shutil.rmtree(folder / name, ignore_errors=True),
    )
    if _files(folder / "one core") != _files(folder / "two cores"):
        raise RuntimeError("two workers wrote other bytes than one")
    one, two = timings["one core"].best, timings["two cores"].best
    size = raw.stat().st_size
    return Section(
        "Ingest, two cores against one",
        [
            f"A file of {size / MB:,.0f} MB, {one:.1f} s against {two:.1f} s, best of "
            f"{SCALING_RUNS} alternately. The time includes the start of the workers. The "
            "archive's files have 2 to 6 GB.",
        ],
        [
            at_least("two cores against one", one / two, 1.8, bytes=size, seconds=seconds(timings)),
            neighbours(timings["one core"].runs, timings["two cores"].runs),
        ],
    )


def _files(folder: Path) -> dict[str, bytes]:
    """Return the catalogue and the names and sizes of the value files."""
    sizes = {path.name: path.stat().st_size for path in sorted((folder / "values").iterdir())}
    return {"catalogue": (folder / "catalogue.parquet").read_bytes(), **sizes}
