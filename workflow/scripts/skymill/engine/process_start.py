"""Whether a process lives, by its number and its start.

Numbers of processes are used again, so a process needs a second mark. The time of its start cannot
be this mark on Linux: it is computed from the clock, and changes when the clock is set. The mark is
the start in ticks since the boot, and the id of the boot. Other systems (macOS) store the time when
a process starts, and `ps` prints this time.
"""

import os
import subprocess
from pathlib import Path

PROC = Path("/proc")

ENDED = "ended"
"""The start of a process that has ended, but whose parent has not read its exit code."""


def process_start(pid: int) -> str | None:
    """Return a text that identifies the start of a process, or None if its start is unknown."""
    return _start_from_proc(pid) if (PROC / "self" / "stat").exists() else _start_from_ps(pid)


def _start_from_proc(pid: int) -> str | None:
    try:
        text = (PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return None
    # The second field is the program in brackets, which may contain spaces and brackets. The start
    # is field 22 (`man 5 proc`).
    state, *fields = text.rpartition(")")[2].split()
    try:
        boot = (PROC / "sys" / "kernel" / "random" / "boot_id").read_text().strip()
    except OSError:
        boot = "-"  # in some containers
    return ENDED if state in "ZX" else f"{boot} {fields[18]}"


def _start_from_ps(pid: int) -> str | None:
    # The same text for each user, language and time zone.
    environment = {**os.environ, "LC_ALL": "C", "TZ": "UTC0"}
    command = ["ps", "-o", "stat=", "-o", "lstart=", "-p", str(pid)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
    except OSError:
        return None
    if not done.stdout.strip():
        return None
    state, *started = done.stdout.split()
    return ENDED if state.startswith("Z") else " ".join(started)


def is_alive(pid: int, start: str | None) -> bool | None:
    """Return whether a process of this machine lives, or None if this is unknown.

    Parameters
    ----------
    pid
        The number of the process.
    start
        What process_start returned for the process; None if its start is unknown.
    """
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass  # The process of another user, which the system may hide.
    now = process_start(pid)
    if now == ENDED:
        return False
    return None if now is None or start is None else now == start
