"""Runs the scripts of jobs in forks of a process that has imported their libraries.

In tests of the workflow most of a job's time is the start of Python and the import of pandas,
PyArrow and Numba. Here `python` is a small client: it hands a script to the server beside the test,
with its folder, environment and open files, and ends with the code of the fork that ran it. What
else Python is asked to run is run by Python itself.

Charts of reports are drawn by one more process, because a job that draws its first chart starts
V8, which takes longer than the charts.
"""

import atexit
import contextlib
import functools
import gc
import importlib
import json
import multiprocessing
import os
import runpy
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable
from multiprocessing.connection import Client, Listener
from pathlib import Path

SOCKET = "SKYMILL_TEST_JOBS"
"""Environment variable: where the server listens."""

LIBRARIES = (
    "astropy.time",
    "cramjam",
    "distributed",
    "fastavro",
    "filelock",
    "isal.igzip_threaded",
    "jsonschema",
    "kagglesdk.kaggle_client",
    "numba.extending",
    "orjson",
    "pandas",
    "PIL.JpegImagePlugin",
    "pyarrow.compute",
    "pyarrow.dataset",
    "pyarrow.parquet",
    "requests",
    "scipy.interpolate",
    "scipy.sparse.csgraph",
    "scipy.spatial",
    "simplejpeg",
    "snakemake.iocontainers",
    "snakemake.logging",
    "tqdm",
    "vl_convert",
    "yaml",
    "zarr",
)
"""What jobs import. No module of the project: a job imports the copy of its own folder."""

CLIENT = f"""#!{sys.executable} -ISB
import os, sys, _signal, _socket
if not sys.argv[1:] or sys.argv[1].startswith("-"):
    os.execv({sys.executable!r}, [{sys.executable!r}, *sys.argv[1:]])
call = [os.getcwdb(), b"%d" % len(sys.argv[1:]), *map(os.fsencode, sys.argv[1:])]
call = b"\\0".join([*call, *(name + b"=" + value for name, value in os.environb.items())])
server = _socket.socket(_socket.AF_UNIX)
server.connect(os.environ[{SOCKET!r}])
files = b"".join(number.to_bytes(4, sys.byteorder) for number in range(3))
server.sendmsg([b"%16d" % len(call)], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, files)])
server.sendall(call)
# The job gets the signal, and this process waits until the job has cleaned up.
_signal.signal(_signal.SIGTERM, lambda *_: server.shutdown(_socket.SHUT_WR))
code = server.recv(16)
sys.exit(int(code) if code else "the server of jobs has ended")
"""
"""What jobs are started by. A start of Python is quick while it imports next to nothing."""


class WarmJobs:
    """A server of jobs, and the `python` that sends jobs there."""

    def __init__(self):
        folder = tempfile.mkdtemp(prefix="jobs")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        self.python = Path(folder, "python")
        self.address = str(Path(folder, "socket"))
        self.python.write_text(CLIENT)
        self.python.chmod(0o755)
        self._server = subprocess.Popen(
            [sys.executable, __file__, self.address], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._server.stdout.readline(), "the server of jobs did not start"


@functools.cache
def warm_jobs() -> WarmJobs:
    """Return the server of jobs of this process's tests, which starts with the first that asks."""
    return WarmJobs()


def serve(address: str) -> None:
    """Run each job in a fork, side by side, until stdin ends."""
    for name in LIBRARIES:
        importlib.import_module(name)
    # Numba loads most of itself only when it first compiles, or finds what it has compiled.
    sys.modules["numba"].njit("int64(int64)")(lambda number: -number)
    # An abstract address: no file is left, and none has to be deleted at the end.
    _draw_elsewhere(f"\0{address}.charts")
    # Forks share the memory of what is there now: their collector has no need to write to it.
    gc.collect()
    gc.freeze()
    # A fork ends before garbage fills its memory.
    gc.set_threshold(100_000)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(64)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        events = select.poll()
        events.register(listener, select.POLLIN)
        events.register(sys.stdin, select.POLLIN)
        jobs = {}  # by the file that says that they have ended: process, and who waits
        waiting = {}  # processes by who waits for them
        while True:
            # One at a time: the number of a closed file may be that of the next.
            file, _ = events.poll()[0]
            if file == sys.stdin.fileno():
                return
            if file == listener.fileno():
                client, _ = listener.accept()
                if job := _start(client):
                    ended = os.pidfd_open(job)
                    jobs[ended] = job, client
                    waiting[client.fileno()] = job
                    events.register(ended, select.POLLIN)
                    events.register(client, select.POLLRDHUP)
                else:
                    client.close()
            elif file in jobs:
                job, client = jobs.pop(file)
                events.unregister(file)
                os.close(file)
                if waiting.pop(client.fileno(), None):
                    events.unregister(client)
                _, status = os.waitpid(job, 0)
                with client, contextlib.suppress(OSError):
                    client.sendall(b"%d" % os.waitstatus_to_exitcode(status))
            else:
                # Its client was asked to end, or was killed.
                events.unregister(file)
                os.kill(waiting.pop(file), signal.SIGTERM)


def _draw_elsewhere(address: str) -> None:
    """Make all jobs draw their charts in one process, which has started V8 once."""
    library = sys.modules["vl_convert"]
    listener = Listener(address, backlog=64)
    # As a daemon it ends with the server.
    multiprocessing.get_context("fork").Process(
        target=_draw_all, args=(listener, library.vegalite_to_svg), daemon=True
    ).start()

    def draw(spec: dict) -> str:
        with Client(listener.address) as server:
            server.send_bytes(json.dumps(spec).encode())
            drawn = server.recv()
        if isinstance(drawn, ValueError):
            raise drawn
        return drawn

    library.vegalite_to_svg = draw


def _draw_all(listener: Listener, draw: Callable[[dict], str]) -> None:
    """Draw charts, one after the other, until the server ends.

    Projects of tests have mostly the same charts. A chart depends only on its specification, so
    each is drawn once.
    """
    drawn: dict[bytes, str | ValueError] = {}
    while True:
        # A job may be killed at any time.
        with listener.accept() as job, contextlib.suppress(EOFError, ConnectionError):
            spec = job.recv_bytes()
            if spec not in drawn:
                try:
                    drawn[spec] = draw(json.loads(spec))
                except ValueError as error:
                    drawn[spec] = error
            job.send(drawn[spec])


def _start(client: socket.socket) -> int | None:
    """Fork for a job that a client asks for; return its process, if the client is still there."""
    length, files, _, _ = socket.recv_fds(client, 16, 3)
    call = client.recv(int(length or 0), socket.MSG_WAITALL)
    job = os.fork() if length and len(call) == int(length) else None
    if job == 0:
        client.close()
        folder, number, *texts = map(os.fsdecode, call.split(b"\0"))
        arguments, variables = texts[: int(number)], texts[int(number) :]
        _run(folder, arguments, dict(text.split("=", 1) for text in variables), files)
    for file in files:
        os.close(file)
    return job


def _run(folder: str, arguments: list[str], variables: dict[str, str], files: list[int]) -> None:
    """Become the process that `python SCRIPT` would have been; never return."""
    code = 1
    try:
        for number, file in enumerate(files):
            os.dup2(file, number)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(variables)
        if any(name.startswith("DASK_") for name in variables):
            # Dask has read its settings from the variables of the server.
            sys.modules["dask"].config.refresh()
        sys.dont_write_bytecode = bool(os.environ.get("PYTHONDONTWRITEBYTECODE"))
        sys.argv = arguments
        own = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
        sys.path[:1] = [str(Path(sys.argv[0]).parent), *own]
        runpy.run_path(sys.argv[0], run_name="__main__")
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:  # noqa: BLE001 (whatever it was, the fork ends here)
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    serve(sys.argv[1])
