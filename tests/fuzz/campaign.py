"""The fuzz campaign: damage inputs of every reader, and check the results.

    make fuzz                       # ten minutes, a new seed
    make fuzz SECONDS=60 SEED=5     # the inputs depend only on the seed
    python tests/fuzz/campaign.py --repeat fuzz-failures/zip-5-17.bin

Requirements for every input: the reader does not crash, and takes no more processor time and memory
than MOST_SECONDS and MOST_MEMORY. A record that has a checksum, or that was not touched, never gets
other values. If records are separate, untouched records are read, and every other record is read or
counted as lost.

Readers run in a child process, so that a crash ends only the child. The input of a failure is
written to a file.
"""

import argparse
import logging
import mmap
import os
import pickle
import resource
import signal
import struct
import sys
import tempfile
import time
import traceback
import warnings
import zlib
from collections import Counter
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "workflow" / "scripts"), str(ROOT / "tests" / "unit")]

from mutations import Damage, damage  # noqa: E402
from readers import Found, Intact, Reader, readers  # noqa: E402

MOST_SECONDS = 20
"""Limit of the processor time of an input, in seconds. Its purpose is to find endless loops."""

MOST_MEMORY = 1_500 * 2**20
"""Bytes of memory that an input may take, in addition to those of the process."""

MOST_FAILURES = 5
"""After this number of failures the campaign continues with the next reader."""

FAILURES = Path("fuzz-failures")


def judge(intact: Intact, given: Damage, found: Found) -> str | None:
    """Return what is wrong with a reader's result for an input; None if the result is right."""
    # Bytes before the first record, such as a schema, affect all records.
    start = min((begin for begin, _ in intact.spans.values()), default=0)
    untouched = {
        key
        for key, (begin, end) in intact.spans.items()
        if all(last <= begin or first >= end for first, last in given.places)
        and all(first >= start for first, _ in given.places)
    }
    for key, value in found.records.items():
        if key in untouched and value != intact.records[key] and not found.repeated:
            return f"wrong value: {key!r:.60} was not touched, but has other values"
        if found.is_proved and not found.refused and intact.records.get(key) != value:
            return f"wrong value: {key!r:.60} was read despite its checksum"
    if found.refused or not given.in_place or not intact.spans:
        return None
    if any(first < start for first, _ in given.places):
        return None
    missing = [key for key in untouched if key not in found.records]
    if missing and len(given.places) == 1:
        return f"lost: {missing[0]!r:.60} was not touched, but was not read"
    if len(found.records) + found.lost < len(intact.records):
        return (
            f"lost but not counted: {len(intact.records)} records, {len(found.records)} were read "
            f"and {found.lost} are counted as lost"
        )
    return None


def make(reader: Reader, intact: Intact, seed: int, number: int) -> Damage:
    """Return the input with a number. It depends only on the seed, the reader and the number."""
    key = [seed, zlib.crc32(reader.name.encode()), number]
    return damage(intact.content, np.random.default_rng(key))


def run_one(reader: Reader, intact: Intact, given: Damage) -> tuple[str | None, Found]:
    """Run a reader on an input; return what is wrong, and the result of the reader."""
    with tempfile.TemporaryDirectory(dir=_fast_folder()) as folder:
        try:
            found = reader.read(given.content, Path(folder))
        # Any exception is a failure of the reader.
        except BaseException:  # noqa: BLE001
            return f"crash: {traceback.format_exc()}", Found(refused=True)
    return judge(intact, given, found), found


def _fast_folder() -> str | None:
    """Return a folder in memory, if there is one."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def work(reader: Reader, seed: int, first: int, seconds: float, notes: mmap.mmap, out: int) -> None:
    """In a child, read inputs from number `first` on for a time; write failures to a pipe."""
    intact = reader.intact()
    # Readers warn of losses, as they should.
    logging.disable()
    warnings.simplefilter("ignore")
    # The first run compiles and imports, and checks that the intact input is read as expected.
    wrong, found = run_one(reader, intact, Damage(intact.content, [], True))
    if wrong is None and not found.refused and found.records != intact.records:
        wrong = "the intact input is not read as it should be"
    counts: Counter = Counter()
    failures = [] if wrong is None else [(-1, wrong)]
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + MOST_MEMORY,) * 2)
    number, until = first, time.monotonic() + seconds
    while not failures and time.monotonic() < until:
        notes[:8] = struct.pack("<q", number)
        given = make(reader, intact, seed, number)
        signal.setitimer(signal.ITIMER_PROF, MOST_SECONDS)
        wrong, found = run_one(reader, intact, given)
        signal.setitimer(signal.ITIMER_PROF, 0)
        counts["inputs"] += 1
        counts["refused"] += found.refused
        counts["records"] += len(found.records)
        counts["lost"] += max(0, found.lost)
        if wrong:
            failures.append((number, wrong))
        number += 1
    with os.fdopen(out, "wb") as pipe:
        pickle.dump((number, counts, failures), pipe)


def in_child(reader: Reader, seed: int, first: int, seconds: float) -> tuple[int, Counter, list]:
    """Run `work` in a child; return where it stopped, its counts and its failures."""
    notes = mmap.mmap(-1, 8)
    notes[:8] = struct.pack("<q", first)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        status = 1
        try:
            signal.signal(signal.SIGPROF, signal.SIG_DFL)
            work(reader, seed, first, seconds, notes, writing)
            status = 0
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read()
    _, status = os.waitpid(child, 0)
    if said:
        return pickle.loads(said)
    (number,) = struct.unpack("<q", notes[:8])
    code = os.waitstatus_to_exitcode(status)
    how = f"exit status {code}" if code >= 0 else signal.Signals(-code).name
    what = "too slow" if code == -signal.SIGPROF else "crash"
    return number + 1, Counter(inputs=1), [(number, f"{what}: the process ended with {how}")]


def campaign(seconds: float, seed: int, only: str) -> int:
    """Run the campaign; return how many inputs failed."""
    chosen = [reader for reader in readers() if only in reader.name]
    say(f"{len(chosen)} readers, {seconds:g} s, SEED={seed}")
    totals = {reader.name: Counter() for reader in chosen}
    for reader in chosen:
        number, left = 0, seconds / len(chosen)
        # A failure ends the child. The reader continues with the next input, until MOST_FAILURES.
        for _ in range(MOST_FAILURES):
            begin = time.monotonic()
            number, counts, failures = in_child(reader, seed, number, left)
            totals[reader.name] += counts + Counter(failures=len(failures))
            for failed, wrong in failures:
                tell(reader, seed, failed, wrong)
            left -= time.monotonic() - begin
            if not failures or left <= 0:
                break
    say(f"{'reader':24}{'inputs':>10}{'refused':>10}{'records':>10}{'lost':>10}{'failures':>10}")
    for name, counts in [*totals.items(), ("all", sum(totals.values(), Counter()))]:
        columns = ("inputs", "refused", "records", "lost", "failures")
        say(f"{name:24}" + "".join(f"{counts[column]:>10,}" for column in columns))
    return sum(counts["failures"] for counts in totals.values())


def tell(reader: Reader, seed: int, number: int, wrong: str) -> None:
    """Print a failure, and write the input to a file."""
    intact = reader.intact()
    content = intact.content if number < 0 else make(reader, intact, seed, number).content
    FAILURES.mkdir(exist_ok=True)
    path = FAILURES / f"{reader.name.replace(' ', '_')}-{seed}-{number}.bin"
    path.write_bytes(content)
    say(f"FAILED {reader.name}, SEED={seed}, input {number}: {wrong}")
    say(f"  the input is in {path}: python tests/fuzz/campaign.py --repeat {path}")


def repeat(path: Path) -> int:
    """Read the input of a failure again, in this process; return 1 if it fails again."""
    name, seed, number = (
        path.stem.rsplit("-", 2)
        if not path.stem.endswith("--1")
        else (
            *path.stem.removesuffix("--1").rsplit("-", 1),
            "-1",
        )
    )
    reader = next(reader for reader in readers() if reader.name.replace(" ", "_") == name)
    intact = reader.intact()
    given = Damage(intact.content, [], True)
    if int(number) >= 0:
        given = make(reader, intact, int(seed), int(number))
    if given.content != path.read_bytes():
        say("the intact inputs of the readers have changed since: only a crash can be found")
        given = Damage(path.read_bytes(), [(0, len(intact.content))], False)
    wrong, _ = run_one(reader, intact, given)
    say(wrong or "no failure with this input")
    return int(wrong is not None)


def say(text: str) -> None:
    """Print a line."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=None, help="default: another seed each time")
    parser.add_argument("--only", default="", help="only readers whose names contain this text")
    parser.add_argument("--repeat", type=Path, help="read the file of a failure again")
    asked = parser.parse_args()
    if asked.repeat:
        return repeat(asked.repeat)
    seed = int.from_bytes(os.urandom(4)) if asked.seed is None else asked.seed
    return min(1, campaign(asked.seconds, seed, asked.only))


if __name__ == "__main__":
    sys.exit(main())
