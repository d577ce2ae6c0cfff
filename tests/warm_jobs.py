"""Runs the scripts of jobs in forks of a process that has imported their libraries.

In tests of the workflow most of a job's time is the start of Python and the import of pandas,
PyArrow and Numba. Here `python` is a small client: it hands a script to the server beside the test,
with its folder, environment and open files, and ends with the code of the fork that ran it. What
else Python is asked to run is run by Python itself.
"""

import atexit
import contextlib
import importlib
import json
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
from pathlib import Path

SOCKET = "SKYMILL_TEST_JOBS"
"""Environment variable: where the server listens."""

LIBRARIES = (
    "astropy.time",
    "cramjam",
    "fastavro",
    "filelock",
    "isal.igzip_threaded",
    "jsonschema",
    "numba.extending",
    "orjson",
    "pandas",
    "PIL.JpegImagePlugin",
    "pyarrow.compute",
    "pyarrow.dataset",
    "pyarrow.parquet",
    "scipy.interpolate",
    "scipy.sparse.csgraph",
    "scipy.spatial",
    "snakemake.iocontainers",
    "snakemake.logging",
    "tqdm",
    "yaml",
    "zarr",
)
"""What jobs import. No module of the project: a job imports the copy of its own folder."""

CLIENT = f"""#!{sys.executable} -ISB
import json, os, socket, sys
if not sys.argv[1:] or sys.argv[1].startswith("-"):
    os.execv({sys.executable!r}, [{sys.executable!r}, *sys.argv[1:]])
server = socket.socket(socket.AF_UNIX)
server.connect(os.environ[{SOCKET!r}])
call = {{"arguments": sys.argv[1:], "folder": os.getcwd(), "environment": dict(os.environ)}}
socket.send_fds(server, [b"!"], [0, 1, 2])
server.sendall(json.dumps(call).encode() + b"\\n")
code = server.makefile().readline()
sys.exit(int(code) if code else "the server of jobs has ended")
"""


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


def serve(address: str) -> None:
    """Run each job in a fork of its own, side by side, until stdin ends."""
    for name in LIBRARIES:
        importlib.import_module(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(64)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while sys.stdin not in (ready := select.select([listener, sys.stdin], [], [])[0]):
            assert ready
            client, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                with contextlib.suppress(BaseException):
                    _answer(client)
                os._exit(0)
            client.close()


def _answer(client: socket.socket) -> None:
    """Run a job in a fork and answer with its code; end the job when nobody waits for it."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _, files, _, _ = socket.recv_fds(client, 1, 3)
    call = json.loads(client.makefile().readline())
    job = os.fork()
    if job == 0:
        client.close()
        _run(call, files)
    ended = os.pidfd_open(job)
    if ended not in select.select([ended, client], [], [])[0]:
        os.kill(job, signal.SIGTERM)
    _, status = os.waitpid(job, 0)
    client.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())


def _run(call: dict, files: list[int]) -> None:
    """Become the process that `python SCRIPT` would have been; never return."""
    code = 1
    try:
        for number, file in enumerate(files):
            os.dup2(file, number)
        os.chdir(call["folder"])
        os.environ.clear()
        os.environ.update(call["environment"])
        sys.dont_write_bytecode = bool(os.environ.get("PYTHONDONTWRITEBYTECODE"))
        sys.argv = call["arguments"]
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
