"""The output of a run: its plan, one line of progress, warnings and errors, and nothing else.

Snakemake itself is not imported here; the attribute `event` of its log records is enough.
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
"""A log file gets a line of progress after this percentage of the jobs."""

SILENCE = 30
"""A log file gets a line of progress after this number of seconds without one."""

REDRAWN = 1
"""Seconds between two redraws of the line on a terminal."""

NAMED = 3
"""The most running jobs that a line of progress names."""

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
    "Activating conda environment",
    # A script failed. Snakemake's next message names the job and shows its log.
    "RuleException:\nCalledProcessError",
)
"""How messages of Snakemake begin that are not useful for users of Skymill."""

SILENT = {
    "workflow_started",
    "shellcmd",
    "job_started",
    "group_info",
    "resources_info",
    "progress",
    "rulegraph",
}
"""Events that are not printed."""


class Console(logging.Handler):
    """Prints the output of a run, in place of Snakemake's own handler.

    On a terminal the line of progress is redrawn every second. Elsewhere a new line is printed
    after every 5 % of the jobs, and after 30 seconds without a line.

    Parameters
    ----------
    stream
        The output stream.
    errors
        Snakemake's formatter, for its errors.
    plan
        Returns the number of jobs, and lines that describe their products.
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
        """Print a record, if it is useful for users."""
        try:
            self._take(record)
        except BrokenPipeError:
            raise
        except Exception:  # noqa: BLE001 (as in logging: a message must not end a run)
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
            # A target has no output and no work, and is not counted in the plan.
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
        """Print the plan of the run, and start the progress."""
        self._total, lines = self._plan()
        # In Snakemake's message, texts that filters have added follow the table.
        added = str(record.msg).partition("\ntotal")[2].partition("\n")[2].strip()
        self._print("\n".join([*lines, *([added] if added else [])]))
        self._started = self._printed = self._clock()
        threading.Thread(target=self._tick, daemon=True).start()

    def _tick(self) -> None:
        """Until the end, redraw the line, or print a line after a long silence."""
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
        """Redraw the line of progress in place, on a terminal."""
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
    """Return a job's rule and wildcards, such as `extract_night 20180601`."""
    wildcards = getattr(record, "wildcards", None) or {}
    values = wildcards.values() if hasattr(wildcards, "values") else wildcards
    return " ".join([record.rule_name, *map(str, values)])


def _with_lists(record: logging.LogRecord) -> logging.LogRecord:
    """Return the record of a failed job, with one line per file in its lists of files."""
    record = copy.copy(record)
    for name in ("input", "output"):
        files = getattr(record, name, None)
        if files and len(files) > 1:
            setattr(record, name, [listed(files, indent="        ")])
    return record


def _width(stream: TextIO) -> int:
    """Return the number of columns of a terminal."""
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except OSError:
        return 80
