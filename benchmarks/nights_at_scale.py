"""Thousands of ZTF nights: time and memory of Snakemake to plan the jobs.

Reading so many nights would take hours. So one night is simulated and read, and its files and
Snakemake's records of these files are copied under other names. The jobs that gather the nights run
on all of them.
"""

import json
import logging
import os
import shutil
import subprocess
import sys
import time
from base64 import urlsafe_b64encode
from datetime import date, timedelta
from pathlib import Path

import yaml
from measure import ONE_THREAD, REPOSITORY, Row, Section, at_most, markdown_table

from skymill.engine.products import read_document, write_document

logger = logging.getLogger(__name__)

MEASURED = """
import resource, subprocess, sys, time
start = time.perf_counter()
code = subprocess.run(sys.argv[1:]).returncode
memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
print(f"\\n[{time.perf_counter() - start}, {memory}]", end="", flush=True)
sys.exit(code)
"""
"""Runs a command from a small process: a child's peak includes its parent's memory at the fork."""

RUNS = 2
"""Runs of each dry run. The faster run counts."""

FIRST = date(2018, 6, 1)
CLAIMED_SECONDS, CLAIMED_GB = 20, 0.5

MADE_BY_NIGHT = (
    "data/preprocessed/ztf/stamps/{night}.parquet.manifest.json",
    "data/interim/ztf/accepted/{night}.receipt.json",
)
"""The files of a night, each made from the file before."""

OTHERS_OF_NIGHT = (
    "data/sample/raw/ztf/ztf_public_{night}.tar.gz",
    "data/sample/raw/ztf/ztf_public_{night}.tar.gz.source.json",
    "data/preprocessed/ztf/stamps/{night}.parquet",
    "data/interim/ztf/quarantine/{night}.jsonl",
)


def measure_nights(folder: Path, *, nights: int) -> Section:
    """Time `snakemake -n` for many nights, with no products, with some, and with all."""
    days = [(FIRST + timedelta(day)).strftime("%Y%m%d") for day in range(nights + 1)]
    every = f"{days[0]}..{days[nights - 1]}"
    runs = {}

    _configure(folder, days[0])
    _run(folder, "--cores", "2")
    _configure(folder, every)
    for night in days[1:nights]:
        _multiply(folder, days[0], night)
    start = time.perf_counter()
    said = _run(folder, "--cores", "2")
    gathering = time.perf_counter() - start
    if "rule extract_night" in said or "rule report_ztf" not in said:
        raise RuntimeError("Snakemake does not accept the copied nights as read")

    runs["everything made"] = _dry_run(folder, "Nothing to be done")
    _configure(folder, [every, int(days[nights])])
    runs["one night more"] = _dry_run(folder, "extract_night 1 ")
    _configure(folder, every)
    for name in ("interim", "preprocessed", "processed"):
        shutil.rmtree(folder / "data" / name)
    runs["simulated files there, nothing made"] = _dry_run(folder, f"extract_night {nights} ")
    (folder / "data/sample/raw").rename(folder / "data/raw")
    for sidecar in (folder / "data/raw").rglob("*.source.json"):
        sidecar.unlink()
    _configure(folder, every, source="local")
    runs["local files there, nothing made"] = _dry_run(folder, f"extract_night {nights} ")
    shutil.rmtree(folder / "data")
    _configure(folder, every, source="archive")
    runs["nothing there, `source: archive`"] = _dry_run(folder, f"retrieve {nights + 1} ")
    _configure(folder, every)
    runs["nothing there, `source: sample`"] = _dry_run(folder, f"simulate_night {nights} ")

    slowest = max(runs, key=lambda name: runs[name][0])
    largest = max(runs, key=lambda name: runs[name][1])
    table = markdown_table(
        ["state", "wall (s)", "peak RSS (GB)"],
        [[name, f"{wall:.1f}", f"{memory:.2f}"] for name, (wall, memory) in runs.items()],
    )
    return Section(
        f"{nights:,} ZTF nights",
        [
            "`snakemake -n` with all output: wall time (the faster of two runs) and peak memory "
            f"of its one process. Gathering {nights:,} nights (plan, stamps, CSV, report), run "
            f"for real: {gathering:.0f} s including start and end of Snakemake.",
        ],
        [
            at_most(
                f"DAG of {nights:,} nights, slowest state ({slowest})",
                runs[slowest][0],
                CLAIMED_SECONDS,
                "s",
                runs={name: round(wall, 2) for name, (wall, _) in runs.items()},
            ),
            at_most(
                f"its peak memory ({largest})",
                runs[largest][1],
                CLAIMED_GB,
                "GB",
                runs={name: round(memory, 3) for name, (_, memory) in runs.items()},
            ),
            Row(f"gathering {nights:,} nights", f"{gathering:.0f} s"),
        ],
        [table],
    )


def _configure(folder: Path, nights: str | list, source: str = "sample") -> None:
    settings = REPOSITORY / "config"
    config = yaml.safe_load((settings / "config.yaml").read_text())
    config |= {"branches": ["ztf"], "source": source}
    config["ztf"] |= {"nights": nights, "extract": "all"}
    config["simulate"]["ztf"] = {"alerts": 20, "objects": 86, "seed": 20}
    config["limits"]["max_corrupt_fraction"] = 0.5
    (folder / "config").mkdir(parents=True, exist_ok=True)
    (folder / "config" / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    shutil.copy(settings / "sources.yaml", folder / "config")


def _multiply(folder: Path, night: str, other: str) -> None:
    """Make another night look as if it had been simulated and read too."""

    def named(path: Path) -> Path:
        return Path(str(path).replace(night, other))

    for pattern in OTHERS_OF_NIGHT:
        path = folder / pattern.format(night=night)
        shutil.copy2(path, named(path))
    for pattern in MADE_BY_NIGHT:
        path = folder / pattern.format(night=night)
        document = json.loads(path.read_text().replace(night, other))
        for name in document["inputs"]:
            document["inputs"][name] = read_document(folder / "data" / name)["digest"]
        write_document(named(path), {k: v for k, v in document.items() if k != "digest"})
        shutil.copystat(path, named(path))
    place = str((date.fromisoformat(other) - FIRST).days)
    records = folder / ".snakemake" / "metadata"
    for pattern in (*OTHERS_OF_NIGHT, *MADE_BY_NIGHT):
        name = pattern.format(night=night)
        record = json.loads((records / _record(name)).read_text().replace(night, other))
        if record["rule"] == "simulate_night":
            record["params"] = [place if value == "0" else value for value in record["params"]]
        (records / _record(name.replace(night, other))).write_text(json.dumps(record))


def _record(name: str) -> str:
    """Return the name of Snakemake's record of a file."""
    return urlsafe_b64encode(name.encode()).decode()


def _command(*arguments: str) -> list[str]:
    snakefile = REPOSITORY / "workflow" / "Snakefile"
    # With Snakemake's own words, which name the rules.
    words = ("--quiet", "reason", "host")
    return [sys.executable, "-m", "snakemake", "--snakefile", str(snakefile), *arguments, *words]


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in ONE_THREAD}


def _run(folder: Path, *arguments: str) -> str:
    """Run Snakemake to the end and return its output."""
    done = subprocess.run(
        _command(*arguments),
        cwd=folder,
        env=_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        logger.error("%s", done.stdout[-3000:])
        raise RuntimeError(f"the workflow failed with exit code {done.returncode}")
    return done.stdout


def _dry_run(folder: Path, expected: str) -> tuple[float, float]:
    """Return wall time in seconds and peak memory in GB of a dry run with expected output."""
    runs = [_dry_run_once(folder, expected) for _ in range(RUNS)]
    return min(wall for wall, _ in runs), max(memory for _, memory in runs)


def _dry_run_once(folder: Path, expected: str) -> tuple[float, float]:
    output = folder / "snakemake.txt"
    with open(output, "wb") as stream:
        done = subprocess.run(
            [sys.executable, "-c", MEASURED, *_command("-n")],
            cwd=folder,
            env=_environment(),
            stdout=stream,
            stderr=subprocess.STDOUT,
            check=False,
        )
    said, _, figures = output.read_text().rpartition("\n")
    said = " ".join(said.split())
    if done.returncode or expected not in said:
        logger.error("%s", said[-3000:])
        raise RuntimeError(f"a dry run ended with {done.returncode}, without {expected!r}")
    wall, memory = json.loads(figures)
    return wall, memory / 1e9
