"""About how long a run takes: what jobs cost by themselves, and what each GB of raw files adds."""

from collections.abc import Mapping

START = 1.3
"""Seconds of one core that a job takes whatever its data: Python, its libraries, its manifest.

Measured: the demo, when it had 112 jobs, on two cores of a shared Xeon (2.3 GHz).
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
"""Seconds of one core that a GB of a branch's raw files takes, from raw file to last product.

Measured, see benchmarks/README.md: the magnetic branch on 1.95 GB, SDOBenchmark at full size, a
tenth of SWAN-SF, 20,000 alerts. Raw files: about what the simulator takes, a guess. The baseline:
the models on 76,773 described records, for each division.
"""

HASHED = 2
"""Seconds of one core that hashing a GB takes, about: raw files that need no simulation."""

SIMULATED = {
    "magnetic": (("records", "test_records"), 46e3),
    "sdo": (("training_samples", "test_samples"), 0.3e6),
    "aligned": (("records",), 20e3),
    "stealth": (("rows",), 30),
    "ztf": (("alerts",), 50e3),
}
"""What a simulated branch is counted in, by its settings, and about the raw bytes of each."""


def simulated_gigabytes(branch: str, settings: Mapping, nights: int = 1) -> float:
    """Return about how large the simulated raw files of a branch are, in GB.

    Parameters
    ----------
    settings
        `simulate` of the configuration.
    nights
        The nights of ZTF, each of which has so many alerts.
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
    """Return about how many seconds a run takes, without downloads.

    Parameters
    ----------
    needed
        Jobs that will run, by branch or `raw files`.
    jobs
        The same of all jobs that the targets need, whether they will run or not.
    gigabytes
        Size of the raw files, by branch.
    cores
        Cores that work at a time.
    is_simulated
        Whether the raw files are made here.
    """
    work = 0.0
    for branch, number in needed.items():
        if branch == "raw files":
            size, rate = sum(gigabytes.values()), RATES[branch] if is_simulated else HASHED
        else:
            # The baseline is mostly of the magnetic records.
            size = gigabytes.get("magnetic" if branch == "baseline" else branch, 0.0)
            rate = RATES[branch]
        work += START * number + rate * size * number / jobs[branch]
    return work / max(1, cores)


def about(seconds: float) -> str:
    """Return a time in words, no more exact than it is known: about 40 seconds."""
    for size, unit in ((3600, "hours"), (60, "minutes")):
        if seconds >= 1.5 * size:
            number = seconds / size
            return f"about {number:.0f} {unit}" if number >= 3 else f"about {number:.1f} {unit}"
    return f"about {max(10, 10 * round(seconds / 10))} seconds"
