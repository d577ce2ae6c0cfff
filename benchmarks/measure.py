"""Measurements: pinned to cores, alternating between contenders, the best of several runs."""

import contextlib
import gc
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

REPOSITORY = Path(__file__).resolve().parent.parent
PACKAGE = REPOSITORY / "workflow" / "scripts"

ONE_THREAD = {
    name: "1"
    for name in (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "NUMEXPR_NUM_THREADS",
        "ARROW_IO_THREADS",
    )
}
"""Environment for processes with one thread. Set it before NumPy is imported."""


SCALING_RUNS = 7
"""Runs on one core and on two cores: more runs than elsewhere, because other load on the machine
slows two cores more than one."""


@dataclass(frozen=True)
class Timing:
    """Seconds of the best run, and of all runs in order."""

    best: float
    runs: tuple[float, ...]


@dataclass(frozen=True)
class Row:
    """One figure of the report with its claim; `holds` is None without a claim."""

    what: str
    measured: str
    claim: str = ""
    holds: bool | None = None
    figures: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Section:
    """Some rows, their explanation, and the tables below them."""

    title: str
    notes: list[str]
    rows: list[Row]
    tables: list[str] = field(default_factory=list)


def at_least(what: str, factor: float, claim: float, **figures) -> Row:
    """Return the row of a speed-up that should reach `claim`."""
    figures |= {"factor": factor, "claim": claim}
    return Row(what, f"{factor:.3g} x", f">= {claim:g} x", factor >= claim, figures)


def at_most(what: str, value: float, claim: float, unit: str, **figures) -> Row:
    """Return the row of a cost that should stay within `claim`."""
    figures |= {"value": value, "claim": claim, "unit": unit}
    return Row(what, f"{value:.2f} {unit}", f"<= {claim:g} {unit}", value <= claim, figures)


def neighbours(slow: Sequence[float], fast: Sequence[float]) -> Row:
    """Return the row that compares each run with its neighbouring run, without a claim."""
    ratios = [one / other for one, other in zip(slow, fast, strict=True)]
    spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
    return Row("each run against the neighbouring run", f"{median(ratios):.2f} x ({spread})")


@contextlib.contextmanager
def on_cores(count: int) -> Iterator[None]:
    """Run the block, and the processes that it starts, on `count` of the allowed cores."""
    allowed = os.sched_getaffinity(0)
    # The last cores, because the first core of a machine often serves its interrupts.
    os.sched_setaffinity(0, sorted(allowed)[-count:])
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def interleaved(
    contenders: dict[str, Callable[[], object]],
    repeats: dict[str, int],
    cores: dict[str, int] | None = None,
    before: Callable[[str], object] | None = None,
) -> dict[str, Timing]:
    """Time the contenders alternately, so that other load on the machine affects all of them.

    Parameters
    ----------
    contenders
        Functions to time, by name.
    repeats
        Runs of each contender.
    cores
        Cores of each contender; the default is one.
    before
        Function to call before each run, with the name of the contender; not timed.

    Returns
    -------
    Wall-clock timings by name.
    """
    runs: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(max(repeats.values())):
        for name, contender in contenders.items():
            if turn >= repeats[name]:
                continue
            if before:
                before(name)
            gc.collect()
            with on_cores((cores or {}).get(name, 1)):
                start = time.perf_counter()
                contender()
                runs[name].append(time.perf_counter() - start)
    return {name: Timing(min(seconds), tuple(seconds)) for name, seconds in runs.items()}


def seconds(timings: dict[str, Timing]) -> dict[str, list[float]]:
    """Return the runs of each contender for the JSON report, to a tenth of a millisecond."""
    return {name: [round(run, 4) for run in timing.runs] for name, timing in timings.items()}


def markdown_table(head: list[str], lines: list[list[str]]) -> str:
    """Return a Markdown table."""
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)
