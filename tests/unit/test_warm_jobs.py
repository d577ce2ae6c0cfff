"""The quick start of jobs in tests ends as the process of a job does."""

import subprocess
import time

from warm_jobs import SOCKET, warm_jobs

JOB = """
import signal, sys, time
from pathlib import Path

def end(*_):
    time.sleep(0.2)
    Path("clean").touch()
    sys.exit(7)

signal.signal(signal.SIGTERM, end)
Path("ready").touch()
time.sleep(60)
"""


def test_a_job_that_is_asked_to_end_has_cleaned_up_when_its_process_ends(tmp_path):
    (tmp_path / "job.py").write_text(JOB)
    command = [warm_jobs().python, "job.py"]
    with subprocess.Popen(command, cwd=tmp_path, env={SOCKET: warm_jobs().address}) as job:
        deadline = time.monotonic() + 30
        while not (tmp_path / "ready").exists():
            assert time.monotonic() < deadline, "the job did not start"
            time.sleep(0.01)
        job.terminate()
        assert job.wait(30) == 7
    assert (tmp_path / "clean").exists()
