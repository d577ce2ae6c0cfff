"""A process is identified by its number and a start that no change of the clock affects."""

import os
import subprocess
import sys
import time

import pytest

from skymill.engine import process_start as module
from skymill.engine.process_start import is_alive, process_start

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


@pytest.fixture(params=["proc", "ps"])
def system(request, tmp_path, monkeypatch):
    """Linux, or a system without /proc, such as macOS."""
    if request.param == "ps":
        monkeypatch.setattr(module, "PROC", tmp_path)


def test_a_process_has_one_start(system, monkeypatch):
    start = process_start(os.getpid())
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    time.tzset()
    assert start
    assert process_start(os.getpid()) == start
    assert is_alive(os.getpid(), start)
    assert is_alive(os.getpid(), "another start") is False
    assert is_alive(os.getpid(), None) is None


def test_an_ended_process_is_not_alive_also_if_its_parent_has_not_noticed(system):
    process = subprocess.Popen(SLEEP)
    start = process_start(process.pid)
    assert is_alive(process.pid, start)
    process.kill()
    while process_start(process.pid) != module.ENDED:
        time.sleep(0.01)
    assert is_alive(process.pid, start) is False
    process.wait()
    assert process_start(process.pid) is None
    assert is_alive(process.pid, start) is False


def test_the_start_of_a_process_that_the_system_hides_is_unknown(monkeypatch):
    start = process_start(os.getpid())

    def forbid(*_):
        raise PermissionError

    monkeypatch.setattr(os, "kill", forbid)
    monkeypatch.setattr(module, "process_start", lambda pid: None)
    assert is_alive(os.getpid(), start) is None


def test_a_name_with_brackets_and_spaces_does_not_hide_the_start(tmp_path, monkeypatch):
    (tmp_path / "self").mkdir()
    (tmp_path / "self/stat").touch()
    (tmp_path / "7").mkdir()
    fields = " ".join(str(number) for number in range(4, 53))
    (tmp_path / "7/stat").write_text(f"7 (a) b (c) S {fields}\n")
    monkeypatch.setattr(module, "PROC", tmp_path)
    assert process_start(7) == "- 22"
