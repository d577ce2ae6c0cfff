"""What Ctrl-C does: the jobs end, tidily and soon, and the run says how to go on.

A terminal sends Ctrl-C to all processes at once, also to jobs that still import their libraries,
and each would print a traceback. So jobs are started with Ctrl-C ignored, see IGNORED, and the run
ends them. A job that is asked to end (SIGTERM) removes what it has not finished.
"""

import atexit
import contextlib
import logging
import signal
import sys

IGNORED = "set -euo pipefail; trap '' INT; "
"""What Snakemake writes before each command: its own words, and that Ctrl-C is ignored."""

PATIENCE = 20
"""Seconds that jobs have to end."""

EXIT = 130
"""The exit code of what Ctrl-C has ended: 128 and its number, as shells have it."""

GOING_ON = "interrupted: run the same command again to continue"


SAID = ("Terminating processes on user request", "Cancelling snakemake on user request")
"""How Snakemake's own messages of Ctrl-C begin."""


class Interrupt:
    """Takes Ctrl-C for a run of Snakemake.

    Attributes
    ----------
    came
        Whether there was one.
    had_to_kill
        Whether a job did not end by itself, and has left unfinished files.
    is_local
        Whether all jobs are processes of this machine. Else some processes are commands that submit
        jobs or ask about them, and are left alone.
    """

    def __init__(self):
        self.came = False
        self.is_local = True
        self.had_to_kill = False
        self._is_said = False

    def listen(self) -> None:
        """Take over Ctrl-C, unless whoever started this process has it ignored."""
        if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
            signal.signal(signal.SIGINT, self._end)
            atexit.register(self._say)

    def _say(self) -> None:
        """Say how to go on, if nothing was logged any more."""
        if self.came and not self._is_said:
            sys.stderr.write(f"{GOING_ON}\n")

    def _end(self, *_) -> None:
        """End the jobs, and tell Snakemake; the second Ctrl-C waits for nothing."""
        import psutil

        again, self.came = self.came, True
        jobs = [
            process
            for process in psutil.Process().children(recursive=True)
            if self.is_local or _runs_a_script(process)
        ]
        if end_processes(jobs, 0 if again else PATIENCE):
            self.had_to_kill = True
        # Snakemake takes it like Ctrl-C while jobs run. At other times it ends Python quietly.
        raise SystemExit(EXIT)

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a record is logged: after Ctrl-C nothing but how to go on, once."""
        if str(record.msg).startswith(SAID):
            self.came = True
        if not self.came:
            return True
        if self._is_said:
            return False
        self._is_said = True
        record.msg, record.args, record.levelno, record.levelname = GOING_ON, (), 40, "ERROR"
        record.__dict__.pop("event", None)
        return True


def _runs_a_script(process) -> bool:
    """Return whether a process is a job of Snakemake."""
    import psutil

    try:
        return any("/.snakemake/scripts/" in part for part in process.cmdline())
    except psutil.NoSuchProcess:
        return False


def end_processes(processes: list, patience: float) -> bool:
    """Ask processes (of psutil) to end, parents first; return whether some had to be killed."""
    import psutil

    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    _, alive = psutil.wait_procs(processes, timeout=patience)
    for process in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, timeout=1)
    return bool(alive)
