"""Downloads with hashing against `curl | md5sum`, from one server on loopback."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from measure import PACKAGE, Row, Section, at_least, at_most

RUNS = 5
MEMORY_MB = 100

SERVER = """
import os, socket, sys
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
size = os.path.getsize(sys.argv[1])
while True:
    connection, _ = listener.accept()
    with connection, open(sys.argv[1], "rb") as stream:
        request = b""
        while b"\\r\\n\\r\\n" not in request:
            request += connection.recv(65536)
        head = f"HTTP/1.1 200 OK\\r\\nContent-Length: {size}\\r\\nETag: \\"1\\"\\r\\n"
        connection.sendall((head + "Connection: close\\r\\n\\r\\n").encode())
        at = 0
        while at < size:
            at += os.sendfile(connection.fileno(), stream.fileno(), at, size - at)
"""

CLIENT = """
import json, re, sys, time
from pathlib import Path
from skymill.raw.http import Expected, download
address, path, algorithm = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
start = time.perf_counter()
checksum = download([address], path, Expected(kind="json_lines", algorithm=algorithm))
seconds = time.perf_counter() - start
# Not getrusage: its figure includes the process that this process was forked from.
memory = int(re.search(r"VmHWM:\\s+([0-9]+)", Path("/proc/self/status").read_text())[1])
print(json.dumps({"seconds": seconds, "kilobytes": memory, "checksum": checksum}))
"""


@contextlib.contextmanager
def _server(path: Path) -> Iterator[str]:
    command = [sys.executable, "-c", SERVER, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}/x"
        finally:
            process.kill()


def _curl(address: str) -> tuple[float, str]:
    start = time.perf_counter()
    done = subprocess.run(
        f"curl --silent {address} | md5sum", shell=True, check=True, capture_output=True, text=True
    )
    return time.perf_counter() - start, done.stdout.split()[0]


def _skymill(address: str, path: Path, algorithm: str) -> dict:
    done = subprocess.run(
        [sys.executable, "-c", CLIENT, address, str(path), algorithm],
        env={**os.environ, "PYTHONPATH": str(PACKAGE), "no_proxy": "127.0.0.1"},
        check=True,
        capture_output=True,
        text=True,
    )
    path.unlink()
    return json.loads(done.stdout)


def measure_download(folder: Path, size: int) -> Section:
    """Measure a download of `size` bytes with md5, and with SHA-256 for an unknown checksum."""
    source = folder / "source"
    with open(source, "wb") as stream:
        stream.write(b"{")
        for _ in range(size >> 20):
            stream.write(os.urandom(2**20))
    bytes_served = source.stat().st_size
    runs = {"curl into md5sum": [], "md5": [], "sha256": []}
    memory = 0
    with _server(source) as address:
        for _ in range(RUNS):
            seconds, checksum = _curl(address)
            runs["curl into md5sum"].append(seconds)
            for algorithm in ("md5", "sha256"):
                done = _skymill(address, folder / "target", algorithm)
                if algorithm == "md5" and done["checksum"] != checksum:
                    raise RuntimeError("curl and the downloader do not agree")
                runs[algorithm].append(done["seconds"])
                memory = max(memory, done["kilobytes"] * 1024 / 1e6)
    best = {name: min(seconds) for name, seconds in runs.items()}
    figures = {"bytes": bytes_served, "seconds": runs}
    return Section(
        "Download with hashing",
        [
            f"A file of {bytes_served / 1e6:,.0f} MB over loopback, best of {RUNS} alternately. "
            "The downloader also writes the file. The output of curl only goes to md5sum."
        ],
        [
            *(
                Row(name, f"{bytes_served / 1e6 / seconds:,.0f} MB/s")
                for name, seconds in best.items()
            ),
            at_least(
                "download with md5, share of the speed of curl into md5sum",
                best["curl into md5sum"] / best["md5"],
                0.8,
                **figures,
            ),
            at_most("peak memory of a download", memory, MEMORY_MB, "MB"),
        ],
    )
