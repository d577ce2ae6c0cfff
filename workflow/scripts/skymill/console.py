"""What a run prints: its plan, one line of progress, warnings and errors, and nothing else.

Snakemake itself is not imported here: a record of its logger says by `event` what it is about.
"""

import copy
import logging
import os
import threading
import time
from collections.abc import Callable
from typing import TextIO

from skymill.engine.words import clock_text, listed

STEP = 5
"""Percent of the jobs after which a log file gets a line of progress."""

SILENCE = 30
"""Seconds after which it gets one in any case."""

REDRAWN = 1
"""Seconds after which the line on a terminal is drawn anew."""

NAMED = 3
"""Running jobs that a line of progress names."""

RED, YELLOW, PLAIN, CLEAR = "\033[31m", "\033[33m", "\033[0m", "\r\033[K"

CHATTER = (
    "Assuming unrestricted shared filesystem",
    "Building DAG of jobs",
    "Using shell",
    "Provided ",
    "Rules claiming more threads",
    "Group jobs: inactive",
    "Conda environments: ignored",
    "Singularity containers: ignored",
    "Select jobs to execute",
    "Execute ",
    "Elapsed time",
    # A script that failed: Snakemake goes on to name the job, and shows its log.
    "RuleException:\nCalledProcessError",
)
"""How messages of Snakemake begin that tell a user of Skymill nothing."""

SILENT = {
    "workflow_started",
    "shellcmd",
    "job_started",
    "group_info",
    "resources_info",
    "progress",
    "rulegraph",
}
"""Events that need no line of their own."""


class Console(logging.Handler):
    """Prints a run for people, in place of Snakemake's own handler.

    On a terminal the line of progress is drawn anew all the time. Elsewhere a line follows each 5 %
    of the jobs, and each 30 seconds.

    Parameters
    ----------
    stream
        Where to print.
    errors
        Snakemake's formatter, which words its errors.
    plan
        Returns how many jobs there are, and the lines that say what they will make.
    clock
        Returns the time in seconds.
    """

    def __init__(
        self,
        stream: TextIO,
        errors: logging.Formatter,
        plan: Callable[[], tuple[int, list[str]]],
        clock: Callable[[], float] = time.monotonic,
    ):
        super().__init__(logging.INFO)
        self.setFormatter(errors)
        self._stream, self._plan, self._clock = stream, plan, clock
        self._is_terminal = stream.isatty()
        self._total = self._done = 0
        self._running: dict[int, str] = {}
        self._started = self._printed = clock()
        self._printed_done = 0
        self._is_drawn = False
        self._ended = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        """Print what a record says, if that is for people."""
        try:
            self._take(record)
        except BrokenPipeError:
            raise
        except Exception:  # noqa: BLE001 (logging's own way: a message must not end a run)
            self.handleError(record)

    def close(self) -> None:
        """End the line of progress."""
        self._ended.set()
        with self.lock:
            self._clear()
        super().close()

    def _take(self, record: logging.LogRecord) -> None:
        event = getattr(record, "event", None)
        if event == "run_info":
            self._begin(record)
        elif event == "job_info":
            # A target has no output and no work, and the plan does not count it.
            if record.output:
                self._running[record.jobid] = _job_name(record)
                self._draw()
        elif event == "job_finished":
            if self._running.pop(record.job_id, None):
                self._done += 1
                self._progress()
        elif event in ("job_error", "group_error"):
            self._running.pop(getattr(record, "jobid", None), None)
            self._print(self.format(_with_lists(record)), RED)
        elif event not in SILENT:
            self._say(record)

    def _say(self, record: logging.LogRecord) -> None:
        """Print a message that belongs to no job."""
        text = self.format(record)
        if not text or text == "None" or text.startswith(CHATTER):
            return
        colour = {logging.WARNING: YELLOW, logging.INFO: ""}.get(record.levelno, RED)
        self._print(text, colour)

    def _begin(self, record: logging.LogRecord) -> None:
        """Print the plan of the run, and begin with the progress."""
        self._total, lines = self._plan()
        # Behind its table Snakemake's message has what filters have added.
        added = str(record.msg).partition("\ntotal")[2].partition("\n")[2].strip()
        self._print("\n".join([*lines, *([added] if added else [])]))
        self._started = self._printed = self._clock()
        threading.Thread(target=self._tick, daemon=True).start()

    def _tick(self) -> None:
        """Draw the line anew, or print one after a long silence, until the end."""
        while not self._ended.wait(REDRAWN):
            with self.lock:
                if self._is_terminal:
                    self._draw()
                elif self._clock() - self._printed >= SILENCE and self._done < self._total:
                    self._print_progress()

    def _progress(self) -> None:
        """Show that a job has ended."""
        if self._is_terminal and self._done < self._total:
            self._draw()
            return
        percent, before = (100 * n // max(1, self._total) for n in (self._done, self._printed_done))
        if percent // STEP > before // STEP or self._done == self._total:
            self._print_progress()

    def _print_progress(self) -> None:
        self._printed, self._printed_done = self._clock(), self._done
        self._print(self._line())

    def _line(self) -> str:
        """Return the line of progress."""
        percent = 100 * self._done // max(1, self._total)
        line = (
            f"{percent:3d} %  {self._done:,} of {self._total:,} jobs, "
            f"{clock_text(self._clock() - self._started)}"
        )
        running = list(self._running.values())
        if running:
            more = f" and {len(running) - NAMED} more" if len(running) > NAMED else ""
            line += f"; now: {', '.join(running[:NAMED])}{more}"
        return line

    def _draw(self) -> None:
        """Draw the line of progress where it was, on a terminal."""
        if self._is_terminal and self._done < self._total and not self._ended.is_set():
            width = _width(self._stream)
            self._stream.write(CLEAR + self._line()[: width - 1])
            self._stream.flush()
            self._is_drawn = True

    def _clear(self) -> None:
        if self._is_drawn:
            self._stream.write(CLEAR)
            self._stream.flush()
            self._is_drawn = False

    def _print(self, text: str, colour: str = "") -> None:
        self._clear()
        is_coloured = self._is_terminal and colour
        self._stream.write(f"{colour}{text}{PLAIN}\n" if is_coloured else f"{text}\n")
        self._stream.flush()
        self._draw()


def _job_name(record: logging.LogRecord) -> str:
    """Return the rule of a job, and what tells it from the rule's other jobs."""
    wildcards = getattr(record, "wildcards", None) or {}
    values = wildcards.values() if hasattr(wildcards, "values") else wildcards
    return " ".join([record.rule_name, *map(str, values)])


def _with_lists(record: logging.LogRecord) -> logging.LogRecord:
    """Return a record of a failed job whose long lists of files have a line for each file."""
    record = copy.copy(record)
    for name in ("input", "output"):
        files = getattr(record, name, None)
        if files and len(files) > 1:
            setattr(record, name, [listed(files, indent="        ")])
    return record


def _width(stream: TextIO) -> int:
    """Return the columns of a terminal."""
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except OSError:
        return 80
