"""An estimate of a run's duration: a fixed time per job, and a time per GB of raw files."""

from collections.abc import Mapping

START = 0.7
"""Seconds of one core that a job takes for any data: for Python, libraries and the manifest.

Measured with the 105 jobs of the demo on two cores: 0.5 s, and 1 s on a machine that is half as
fast. An estimate in between is wrong by a third on both.
"""

RATES = {
    "raw files": 30,
    "magnetic": 20,
    "sdo": 105,
    "aligned": 20,
    "stealth": 0,
    "ztf": 12,
    "baseline": 140,
    "report": 0,
}
"""Seconds of one core per GB of a branch's raw files, from raw file to last product.

Measured, see benchmarks/README.md: the magnetic branch on 1.95 GB, SDOBenchmark at full size, a
tenth of SWAN-SF, 20,000 alerts. The rate of `raw files` is a guess for the simulator. The
rate of the baseline is of all divisions of 76,773 described records.
"""

HASHED = 2
"""Approximate seconds of one core to hash a GB of raw files that are not simulated."""

SIMULATED = {
    "magnetic": (("records", "test_records"), 46e3),
    "sdo": (("training_samples", "test_samples"), 0.3e6),
    "aligned": (("records",), 20e3),
    "stealth": (("rows",), 30),
    "ztf": (("alerts",), 50e3),
}
"""The settings with the number of simulated items of a branch, and the approximate raw bytes per
item."""


def simulated_gigabytes(branch: str, settings: Mapping, nights: int = 1) -> float:
    """Return the approximate size of the simulated raw files of a branch, in GB.

    Parameters
    ----------
    settings
        `simulate` of the configuration.
    nights
        The number of nights of ZTF; the setting has the alerts per night.
    """
    names, size = SIMULATED[branch]
    # SWAN-SF has the series of the magnetic records.
    chosen = settings["magnetic" if branch == "aligned" else branch]
    items = sum(chosen[name] for name in names)
    return items * size * (nights if branch == "ztf" else 1) / 1e9


def seconds(
    needed: Mapping[str, int],
    jobs: Mapping[str, int],
    gigabytes: Mapping[str, float],
    cores: int,
    *,
    is_simulated: bool = False,
) -> float:
    """Return the approximate duration of a run in seconds, without downloads.

    Parameters
    ----------
    needed
        Number of jobs that will run, by branch or `raw files`.
    jobs
        Number of all jobs that the targets need, also those that will not run.
    gigabytes
        Size of the raw files, by branch.
    cores
        Number of cores that work at the same time.
    is_simulated
        Whether the run simulates the raw files.
    """
    work = 0.0
    for branch, number in needed.items():
        if branch == "raw files":
            size, rate = sum(gigabytes.values()), RATES[branch] if is_simulated else HASHED
        else:
            # The baseline spends most of its time on the magnetic records.
            size = gigabytes.get("magnetic" if branch == "baseline" else branch, 0.0)
            # A workflow that loads this one as a module has rules of its own.
            rate = RATES.get(branch, 0)
        work += START * number + rate * size * number / jobs[branch]
    return work / max(1, cores)


def about(seconds: float) -> str:
    """Return a duration in words, rounded because it is an estimate: about 40 seconds."""
    for size, unit in ((3600, "hours"), (60, "minutes")):
        if seconds >= 1.5 * size:
            number = seconds / size
            return f"about {number:.0f} {unit}" if number >= 3 else f"about {number:.1f} {unit}"
    return f"about {max(10, 10 * round(seconds / 10))} seconds"
