"""The real workflow on raw files of a given size: wall time, and memory of every process by rule.

A job is a process `python .snakemake/scripts/tmp....<rule>.py` with the workers that it starts. Its
script is named after its rule. Processes are listed every 50 ms. The kernel itself records the peak
of each process, so no peak between two samples is missed.
"""

import logging
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import yaml
from measure import ONE_THREAD, REPOSITORY, Row, Section, at_most, markdown_table

logger = logging.getLogger(__name__)

PERIOD = 0.05
"""Seconds between two samples of the processes."""

JOB_SCRIPT = re.compile(r"/scripts/tmp\w+\.(\w+)\.py$")
SNAKEMAKE = "(snakemake itself)"

TEST_SHARE = 0.36
"""Share of the test file in the bytes of the archive's four files."""

RAW_FILES = "data/sample/raw"


@dataclass
class RuleUse:
    """Resources that the jobs of one rule used."""

    jobs: set[int] = field(default_factory=set)
    wall: float = 0.0
    cpu: dict[int, float] = field(default_factory=dict)
    peak: int = 0
    private: int = 0


class Sampler(threading.Thread):
    """Watches a process and all its descendants until `stop` is called.

    Attributes
    ----------
    use
        RuleUse of each rule: peak RSS (and anonymous part) of its largest process in bytes, CPU
        seconds of its processes, wall seconds during which any of its jobs ran.
    """

    def __init__(self, root: int):
        super().__init__(daemon=True)
        self.use: dict[str, RuleUse] = defaultdict(RuleUse)
        self._root = psutil.Process(root)
        self._done = threading.Event()

    def stop(self) -> None:
        """Take no more samples, and wait for the last sample."""
        self._done.set()
        self.join()

    def run(self) -> None:
        """Take samples."""
        last = time.perf_counter()
        while not self._done.wait(PERIOD):
            now = time.perf_counter()
            for rule in self._sample():
                self.use[rule].wall += now - last
            last = now

    def _sample(self) -> set[str]:
        """Sample every process once. Return the rules that have processes."""
        rules = {self._root.pid: SNAKEMAKE}
        try:
            processes = [self._root, *self._root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return set()
        # Parents are listed before their children.
        for process in processes:
            try:
                command = process.cmdline()
                parent_rule = rules.get(process.ppid(), SNAKEMAKE)
                peak, private = _memory(process.pid)
                times = process.cpu_times()
            except (psutil.Error, OSError, ValueError):
                continue  # ended meanwhile
            script = next(filter(None, map(JOB_SCRIPT.search, command[1:3])), None)
            rule = script.group(1) if script else parent_rule
            rules[process.pid] = rule
            use = self.use[rule]
            if script:
                use.jobs.add(process.pid)
            use.peak, use.private = max(use.peak, peak), max(use.private, private)
            use.cpu[process.pid] = times.user + times.system
        return set(rules.values())


def _memory(pid: int) -> tuple[int, int]:
    """Return the peak RSS and the present anonymous RSS of a process in bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = dict(re.findall(r"^(VmHWM|RssAnon):\s+(\d+) kB$", status, re.MULTILINE))
    return int(found.get("VmHWM", 0)) * 1024, int(found.get("RssAnon", 0)) * 1024


def measure_workflow(folder: Path, *, raw_bytes: int, bytes_per_record: float) -> Section:
    """Simulate raw files of about `raw_bytes`, then run and watch the whole magnetic branch.

    The simulation is a separate run, so that the wall time is the time of the branch.
    """
    from skymill.magnetic.schema import PARTITIONS

    total = raw_bytes / bytes_per_record
    size = {
        "records": max(300, round(total * (1 - TEST_SHARE))),
        "test_records": max(60, round(total * TEST_SHARE)),
        "seed": 20,
    }
    return _measure_branch(
        folder,
        "magnetic",
        size,
        targets=[f"{RAW_FILES}/solar_flare_2020/{partition}.json" for partition in PARTITIONS],
        what=f"{size['records']:,} training and {size['test_records']:,} test records",
        claimed_memory=1.5,
    )


def measure_sdo(folder: Path, *, training_samples: int, test_samples: int) -> Section:
    """Simulate a download of SDOBenchmark, then run and watch its whole branch."""
    size = {
        "training_samples": training_samples,
        "test_samples": test_samples,
        "copies": 4,
        "seed": 20,
    }
    return _measure_branch(
        folder,
        "sdo",
        size,
        targets=[f"{RAW_FILES}/sdobenchmark.zip"],
        what=f"{training_samples:,} training and {test_samples:,} test samples, four times each",
        claimed_memory=None,
    )


def _measure_branch(
    folder: Path,
    branch: str,
    size: dict,
    *,
    targets: list[str],
    what: str,
    claimed_memory: float | None,
) -> Section:
    """Run one branch on raw files that are simulated before; memory in GB per process."""
    _write_config(folder, branch, size)
    _, simulated = _snakemake(folder, targets)
    raw_bytes = sum((folder / target).stat().st_size for target in targets)
    wall, use = _snakemake(folder, [])
    use = {**{name: rule for name, rule in simulated.items() if name != SNAKEMAKE}, **use}
    gigabytes = raw_bytes / 1e9
    jobs = [name for name in use if name != SNAKEMAKE]
    largest = max(jobs, key=lambda name: use[name].peak)
    figures = {
        "simulated": {**size, "bytes": raw_bytes},
        "wall_seconds": wall,
        "rules": {
            name: {
                "jobs": len(rule.jobs),
                "wall_seconds": round(rule.wall, 2),
                "cpu_seconds": round(sum(rule.cpu.values()), 2),
                "peak_rss": rule.peak,
                "peak_anonymous": rule.private,
            }
            for name, rule in use.items()
        },
    }
    table = markdown_table(
        ["rule", "jobs", "wall (s)", "CPU (s)", "peak RSS, largest process (MB)", "anonymous (MB)"],
        [
            [
                name,
                str(len(rule.jobs) or ""),
                f"{rule.wall:.1f}",
                f"{sum(rule.cpu.values()):.1f}",
                f"{rule.peak / 1e6:.0f}",
                f"{rule.private / 1e6:.0f}",
            ]
            for name, rule in use.items()
        ],
    )
    memory = f"{branch} branch, peak RSS of any job's process on {gigabytes:.2f} GB ({largest})"
    peak = use[largest].peak / 1e9
    return Section(
        f"Whole {branch} branch, two cores, {gigabytes:.2f} GB of raw files",
        [
            f"`snakemake --cores 2`: {what}, simulated before. Wall time of a rule: while any "
            "of its jobs ran. RSS counts mapped files; its anonymous part is sampled.",
        ],
        [
            Row(
                f"whole {branch} branch on {gigabytes:.2f} GB of raw files, wall time",
                f"{wall:.0f} s ({raw_bytes / wall / 1e6:.0f} MB/s)",
                figures=figures,
            ),
            at_most(memory, peak, claimed_memory, "GB")
            if claimed_memory
            else Row(memory, f"{peak:.2f} GB"),
        ],
        [table],
    )


def _write_config(folder: Path, branch: str, size: dict) -> None:
    source = REPOSITORY / "config"
    config = yaml.safe_load((source / "config.yaml").read_text())
    config |= {"branches": [branch], "source": "sample"}
    config["simulate"][branch] = size
    (folder / "config").mkdir(parents=True)
    (folder / "config" / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    shutil.copy(source / "sources.yaml", folder / "config")


def _snakemake(folder: Path, targets: list[str]) -> tuple[float, dict[str, RuleUse]]:
    """Run the workflow in a folder; return its wall time and what each rule used."""
    snakefile = REPOSITORY / "workflow" / "Snakefile"
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(snakefile), "--cores", "2"]
    # As a user would run it: the limit of one thread is only for the other benchmarks.
    environment = {name: value for name, value in os.environ.items() if name not in ONE_THREAD}
    output = folder / "snakemake.txt"
    with open(output, "wb") as stream:
        start = time.perf_counter()
        process = subprocess.Popen(
            [*command, *targets], cwd=folder, env=environment, stdout=stream, stderr=stream
        )
        sampler = Sampler(process.pid)
        sampler.start()
        code = process.wait()
        wall = time.perf_counter() - start
    sampler.stop()
    if code:
        logger.error("%s", output.read_text()[-3000:])
        raise RuntimeError(f"the workflow failed with exit code {code}")
    return wall, dict(sampler.use)
