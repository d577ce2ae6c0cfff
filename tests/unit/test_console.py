"""The console prints records of Snakemake's logger, on a terminal and to a file."""

import io
import logging

import pytest

from skymill.console import CLEAR, Console
from skymill.engine.words import clock_text, counted, listed, size_text


class Clock:
    """A clock that tests can set."""

    now = 0.0

    def __call__(self):
        """Return the time."""
        return self.now


class Terminal(io.StringIO):
    """A stream that claims to be a terminal."""

    def isatty(self):
        """Return True, as a terminal does."""
        return True

    def fileno(self):
        """Raise an error, so that the width is unknown."""
        raise OSError


class Errors(logging.Formatter):
    """Formats a failed job as Snakemake does: with its files and its log."""

    def format(self, record):
        """Return the text of a record."""
        if getattr(record, "event", None) == "job_error":
            return f"Error in rule {record.rule_name}:\n    input: {', '.join(record.input)}"
        return record.getMessage()


@pytest.fixture(params=[io.StringIO, Terminal])
def stream(request):
    """A log file or a terminal."""
    return request.param()


@pytest.fixture
def run():
    """Return a function that starts a run of some jobs and returns console, stream and clock."""
    consoles = []

    def start(stream, total=100):
        clock = Clock()
        console = Console(stream, Errors(), lambda: (total, [f"{total} jobs"]), clock)
        consoles.append(console)
        console.clock = clock
        tell(console, event="run_info", text="Job stats:\na 1\ntotal 1\n")
        return console

    yield start
    for console in consoles:
        console.close()


def tell(console, level=logging.INFO, text="", **fields):
    """Send a record to the console."""
    record = logging.makeLogRecord({"msg": text, "levelno": level, **fields})
    console.handle(record)


def begin(console, number, rule="mill", output=("x",), **wildcards):
    fields = {"jobid": number, "rule_name": rule, "output": list(output), "wildcards": wildcards}
    tell(console, event="job_info", **fields)


def end(console, number):
    tell(console, event="job_finished", job_id=number)


def do(console, jobs):
    for number in jobs:
        begin(console, number)
        end(console, number)


def test_a_run_begins_with_its_plan_and_the_additions_of_filters(run):
    stream = io.StringIO()
    console = run(stream)
    tell(console, event="run_info", text="Job stats:\njob count\ntotal  3\n\nTo download: 1 file\n")
    assert stream.getvalue() == "100 jobs\n100 jobs\nTo download: 1 file\n"


@pytest.mark.parametrize(("total", "lines"), [(100, 20), (1000, 20), (7, 7), (1, 1)])
def test_a_log_file_gets_a_line_every_five_percent(run, total, lines):
    stream = io.StringIO()
    do(run(stream, total), range(total))
    said = stream.getvalue().splitlines()[1:]
    assert len(said) == lines
    assert said[-1] == f"100 %  {total:,} of {total:,} jobs, 0:00"


def test_a_log_file_gets_a_line_after_a_long_silence(run, monkeypatch):
    monkeypatch.setattr("skymill.console.REDRAWN", 0.01)
    stream = io.StringIO()
    console = run(stream)
    begin(console, 1, "ingest_magnetic", partition="one")
    console.clock.now = 31
    wait_for(lambda: "31" in stream.getvalue())
    assert stream.getvalue().splitlines()[1:] == [
        "  0 %  0 of 100 jobs, 0:31; now: ingest_magnetic one"
    ]


def wait_for(condition):
    import time

    deadline = time.monotonic() + 20
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)


def test_a_progress_line_names_some_running_jobs(run):
    stream = io.StringIO()
    console = run(stream, 20)
    for number in range(6):
        begin(console, number, f"rule_{number}")
    end(console, 0)
    assert "; now: rule_1, rule_2, rule_3 and 2 more" in stream.getvalue()


def test_on_a_terminal_the_progress_line_is_redrawn(run):
    stream = Terminal()
    console = run(stream, 10)
    do(console, range(4))
    tell(console, logging.WARNING, "beware")
    console.close()
    said = stream.getvalue()
    assert said.count("\n") == 2, "the plan and the warning are all that stays"
    assert f"{CLEAR} 40 %  4 of 10 jobs" in said
    assert f"{CLEAR}\033[33mbeware\033[0m\n" in said
    assert said.endswith(CLEAR)


def test_on_a_terminal_the_last_line_stays(run):
    stream = Terminal()
    console = run(stream, 2)
    do(console, range(2))
    tell(console, text="Made")
    console.close()
    assert stream.getvalue().endswith(f"{CLEAR}100 %  2 of 2 jobs, 0:00\nMade\n")


def test_targets_do_not_count_as_jobs(run):
    stream = io.StringIO()
    console = run(stream, 1)
    begin(console, 0, "all", output=())
    end(console, 0)
    assert stream.getvalue() == "1 jobs\n"


@pytest.mark.parametrize(
    "text",
    [
        "Building DAG of jobs...",
        "Select jobs to execute...",
        "Activating conda environment: .snakemake/conda/0c95b89e_",
        "Provided cores: 2",
        "RuleException:\nCalledProcessError in file x, line 3:\nCommand failed",
        None,
        "",
    ],
)
def test_chatter_is_not_printed(run, text):
    stream = io.StringIO()
    tell(run(stream), text=text)
    assert stream.getvalue() == "100 jobs\n"


@pytest.mark.parametrize(
    "text", ["Nothing to be done.", "MissingOutputException: x", "Removing output files of x"]
)
def test_other_messages_of_snakemake_are_printed(run, stream, text):
    tell(run(stream), text=text)
    assert f"{text}\n" in stream.getvalue()


def test_a_failed_job_is_shown_with_its_files_as_lists(run):
    stream = io.StringIO()
    console = run(stream)
    files = [f"data/{number}" for number in range(13)]
    fields = {"event": "job_error", "jobid": 1, "rule_name": "mill", "output": ["one"]}
    tell(console, logging.ERROR, input=files, **fields)
    lines = stream.getvalue().splitlines()[1:]
    assert lines[0] == "Error in rule mill:"
    assert lines[2:] == [*(f"        {file}" for file in files[:10]), "        and 3 more"]
    fields["input"] = ["alone"]
    tell(console, logging.ERROR, **fields)
    assert stream.getvalue().endswith("    input: alone\n")


def test_a_record_that_cannot_be_shown_does_not_end_the_run(run, monkeypatch, capsys):
    monkeypatch.setattr(logging, "raiseExceptions", True)
    tell(run(io.StringIO()), event="job_info")
    assert "AttributeError" in capsys.readouterr().err


def test_lists_sizes_times_and_counts_are_formatted():
    assert listed("ab") == "\n  a\n  b"
    assert listed(range(12), shown=1) == "\n  0\n  and 11 more"
    assert [size_text(n) for n in (0, 999, 1500, 2e6, 3.2e9)] == [
        "0 B",
        "999 B",
        "1.5 kB",
        "2.0 MB",
        "3.2 GB",
    ]
    assert [clock_text(s) for s in (0, 59.9, 61, 3725)] == ["0:00", "0:59", "1:01", "1:02:05"]
    assert [counted(n, "file") for n in (0, 1, 2000)] == ["0 files", "1 file", "2,000 files"]
