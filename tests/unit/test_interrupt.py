"""After Ctrl-C the jobs end and clean up, and one line says how to resume."""

import contextlib
import logging
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import psutil
import pytest
from records import SCRIPTS

from skymill.engine import interrupt as interrupt_module
from skymill.engine.interrupt import (
    EXIT,
    HOW_TO_CONTINUE,
    Interrupt,
    asks_for_states,
    end_processes,
)

JOB = """
import sys, time
from pathlib import Path
from types import SimpleNamespace
from skymill.engine.job import job
from skymill.engine.products import new_file, scratch_directory

rule = SimpleNamespace(
    log=["log.txt"], threads=1, params={}, config={}, wildcards={}, input={}, output={}
)
with job(rule), new_file(Path("made/product")) as temporary:
    with scratch_directory(Path("made/parts")):
        temporary.write_text("half")
        Path("ready").touch()
        time.sleep(60)
"""


def wait_for(path):
    deadline = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} was never made"
        time.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_job_leaves_no_temporary_files_and_no_traceback(tmp_path, number):
    script = tmp_path / "job.py"
    script.write_text(JOB)
    job = subprocess.Popen(
        [sys.executable, script],
        cwd=tmp_path,
        env={"PYTHONPATH": str(SCRIPTS)},
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for(tmp_path / "ready")
    job.send_signal(number)
    assert job.communicate()[1] == ""
    assert job.returncode == EXIT
    assert list((tmp_path / "made").iterdir()) == []
    assert (tmp_path / "log.txt").read_text().splitlines()[-1] == HOW_TO_CONTINUE


@contextlib.contextmanager
def sleeping(*, obeys):
    """Run a process that ends on request, or one that ignores the request."""
    code = "import signal, sys, time\n"
    code += "" if obeys else "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    code += "print('ready', flush=True)\ntime.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        yield psutil.Process(process.pid)
        process.kill()


@pytest.mark.parametrize("obeys", [True, False])
def test_processes_that_do_not_end_are_killed(obeys):
    with sleeping(obeys=obeys) as process:
        assert end_processes([process], 5 if obeys else 0.1) == (not obeys)
        assert not process.is_running()


def test_processes_that_have_ended_are_ignored():
    with sleeping(obeys=True) as process:
        process.kill()
        process.wait()
        assert not end_processes([process], 1)


@pytest.mark.parametrize("is_local", [True, False])
def test_commands_of_a_cluster_are_not_killed(monkeypatch, is_local):
    interrupt = Interrupt()
    interrupt.is_local = is_local
    with sleeping(obeys=True) as process:
        monkeypatch.setattr(psutil.Process, "children", lambda self, recursive: [process])
        with pytest.raises(SystemExit) as end:
            interrupt._end()
        assert process.is_running() != is_local
    assert end.value.code == EXIT
    assert interrupt.came


def record(text, **fields):
    return logging.makeLogRecord({"msg": text, "levelno": 20, **fields})


class Scheduler:
    """What is read of Snakemake's scheduler, with jobs by name; the job `local` is a local one."""

    def __init__(self, running, active=(), finished=(), failed=()):
        jobs = {name: SimpleNamespace(name=name, is_local=name == "local") for name in running}
        self.running = [*jobs.values()]
        self._executor = SimpleNamespace(
            active_jobs=[SimpleNamespace(job=jobs[name]) for name in active]
        )
        self._tofinish = [jobs[name] for name in finished]
        self._toerror = [jobs[name] for name in failed]


@pytest.mark.parametrize(
    ("scheduler", "is_asking"),
    [
        (None, False),  # before the first job
        (Scheduler(""), False),
        (Scheduler(["local"]), False),
        (Scheduler(["local", "a"], "a"), False),
        (Scheduler(["local", "a"]), True),
        # A job may be submitted, and jobs may have ended, in the meantime.
        (Scheduler("ab", "b"), True),
        (Scheduler("abc", "b", "a", "c"), False),
        (SimpleNamespace(_executor=SimpleNamespace()), False),  # another kind of executor
    ],
)
def test_jobs_that_are_not_in_the_list_of_active_jobs_are_being_asked_for(scheduler, is_asking):
    assert asks_for_states(scheduler) == is_asking


@pytest.fixture
def interrupt(monkeypatch):
    """An Interrupt of a process without children. This process has children of other tests."""
    monkeypatch.setattr(psutil.Process, "children", lambda process, recursive: [])
    return Interrupt()


def test_ctrl_c_waits_until_the_jobs_to_cancel_are_known(interrupt):
    answers = [True, True, False]
    interrupt.is_asking = lambda: answers.pop(0)
    with pytest.raises(SystemExit):
        interrupt._end()
    assert answers == []


def test_ctrl_c_does_not_wait_for_a_cluster_without_an_end(interrupt, monkeypatch):
    monkeypatch.setattr(interrupt_module, "PATIENCE", 0.1)
    interrupt.is_asking = lambda: True
    with pytest.raises(SystemExit):
        interrupt._end()
    # The second Ctrl-C does not wait at all.
    monkeypatch.setattr(interrupt_module, "PATIENCE", 10**6)
    with pytest.raises(SystemExit):
        interrupt._end()


def test_after_ctrl_c_one_line_is_logged():
    interrupt = Interrupt()
    before = record("Finished jobid: 3", event="job_finished")
    assert interrupt.filter(before)
    assert before.msg == "Finished jobid: 3"
    said = record("Terminating processes on user request, this might take some time.")
    assert interrupt.filter(said)
    assert (said.getMessage(), said.levelname) == (HOW_TO_CONTINUE, "ERROR")
    for more in ("Error in rule x", "At least one job did not complete successfully."):
        assert not interrupt.filter(record(more, event="job_error"))


DROPS_A_COROUTINE = """
import os, signal
from skymill.engine.interrupt import Interrupt

Interrupt().listen()

async def submit():
    pass

def start():
    job = submit()
    os.kill(os.getpid(), signal.SIGINT)

start()
"""


def test_coroutines_that_ctrl_c_drops_add_no_warning_to_the_message():
    done = subprocess.run(
        [sys.executable, "-c", DROPS_A_COROUTINE],
        cwd=SCRIPTS,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == EXIT
    assert done.stderr.splitlines() == [HOW_TO_CONTINUE]
