"""Ctrl-C: the jobs clean up and end soon, and the run says how to continue.

A terminal sends Ctrl-C to all processes at the same time, also to jobs that still import their
libraries. Each of these jobs would print a traceback. So jobs ignore Ctrl-C, see IGNORED, and the
run ends them with SIGTERM. A job that receives SIGTERM removes its unfinished files.
"""

import atexit
import contextlib
import logging
import signal
import sys
import time
import warnings

IGNORED = "set -euo pipefail; trap '' INT; "
"""The prefix of each shell command: Snakemake's own, and a trap that ignores Ctrl-C."""

PATIENCE = 20
"""Seconds until jobs that do not end are killed."""

EXIT = 130
"""The exit code after Ctrl-C: 128 plus the number of the signal, as in shells."""

HOW_TO_CONTINUE = "interrupted: run the same command again to continue"


SAID = ("Terminating processes on user request", "Cancelling snakemake on user request")
"""How Snakemake's own messages about Ctrl-C begin."""


class Interrupt:
    """Handles Ctrl-C for a run of Snakemake.

    Attributes
    ----------
    came
        Whether Ctrl-C was pressed.
    had_to_kill
        Whether a job did not end by itself, and left unfinished files.
    is_local
        Whether all jobs are processes of this machine. Else some child processes submit jobs or ask
        for their states; these processes are not ended.
    is_asking
        Returns whether Snakemake is asking for the states of jobs, see asks_for_states.
    """

    def __init__(self):
        self.came = False
        self.is_local = True
        self.is_asking = lambda: False
        self.had_to_kill = False
        self._is_said = False

    def listen(self) -> None:
        """Handle Ctrl-C, unless this process was started with Ctrl-C ignored."""
        if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
            signal.signal(signal.SIGINT, self._end)
            atexit.register(self._say)

    def _say(self) -> None:
        """Print how to continue, if the log has not said so."""
        if self.came and not self._is_said:
            sys.stderr.write(f"{HOW_TO_CONTINUE}\n")

    def _end(self, *_) -> None:
        """End the jobs, then Snakemake. The second Ctrl-C kills the jobs without waiting."""
        import psutil

        again, self.came = self.came, True
        jobs = [
            process
            for process in psutil.Process().children(recursive=True)
            if self.is_local or _runs_a_script(process)
        ]
        if end_processes(jobs, 0 if again else PATIENCE):
            self.had_to_kill = True
        # Snakemake would not cancel the jobs whose states it is asking for.
        deadline = time.monotonic() + (0 if again else PATIENCE)
        while self.is_asking() and time.monotonic() < deadline:
            time.sleep(0.05)
        # Ctrl-C drops coroutines that Snakemake is about to start. Python would warn about each of
        # them after the message on how to continue.
        warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
        # While jobs run, Snakemake handles SystemExit like Ctrl-C. At other times SystemExit ends
        # Python without a message.
        raise SystemExit(EXIT)

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to log a record: after Ctrl-C only how to continue, once."""
        if str(record.msg).startswith(SAID):
            self.came = True
        if not self.came:
            return True
        if self._is_said:
            return False
        self._is_said = True
        record.msg, record.args, record.levelno, record.levelname = HOW_TO_CONTINUE, (), 40, "ERROR"
        record.__dict__.pop("event", None)
        return True


def asks_for_states(scheduler) -> bool:
    """Return whether the executor of Snakemake's scheduler is asking for the states of jobs.

    Meanwhile the jobs are not in the executor's list of active jobs. So Ctrl-C would not cancel the
    jobs, and they would stay on the cluster. A job that is being submitted is not in the list
    either.
    """
    active = getattr(scheduler and scheduler._executor, "active_jobs", None)
    if active is None:
        return False
    known = [info.job for info in active] + scheduler._tofinish + scheduler._toerror
    return any(not job.is_local and job not in known for job in [*scheduler.running])


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
