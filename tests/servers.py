"""Servers on loopback that misbehave on demand, for tests of downloads."""

import hashlib
import json
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

Behaviour = Callable[["_Handler", bytes], None]


class FileServer(ThreadingHTTPServer):
    """Serves `files` (path to content) with Range and If-Range, as a good server does.

    `misbehave(path, *behaviours)` sets other answers to the next requests for a path, in order.
    `requests` has (method, path, headers) of all requests.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.requests: list[tuple[str, str, dict]] = []
        self.validators = True
        self._behaviours = defaultdict(list)
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    @property
    def address(self) -> str:
        """The address of the server."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def misbehave(self, path: str, *behaviours: Behaviour) -> None:
        """Set other answers to the next requests for a path."""
        self._behaviours[path] += behaviours

    def always(self, path: str, behaviour: Behaviour) -> None:
        """Set another answer to every request for a path."""
        self._behaviours[path] = behaviour

    def behaviour(self, path: str) -> Behaviour | None:
        """Return the answer to the next request for a path; None for the usual answer."""
        waiting = self._behaviours[path]
        if callable(waiting):
            return waiting
        return waiting.pop(0) if waiting else None

    def ranges(self) -> list[str | None]:
        """Return the Range of each GET."""
        return [headers.get("Range") for method, _, headers in self.requests if method == "GET"]

    def handle_error(self, request, client_address) -> None:
        """Ignore clients that hang up, because tests do so on purpose."""

    def __enter__(self) -> "FileServer":
        return self

    def __exit__(self, *_) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FileServer

    def log_message(self, *_) -> None:
        pass

    def do_GET(self) -> None:
        # Clients of a proxy send the complete address.
        path = urlsplit(self.path).path
        self.server.requests.append(("GET", path, dict(self.headers)))
        content = self.server.files.get(path)
        behaviour = self.server.behaviour(path)
        if behaviour:
            behaviour(self, content or b"")
        elif content is None:
            status(404)(self, b"")
        else:
            send(self, content)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = urlsplit(self.path).path
        self.server.requests.append(("POST", path, dict(self.headers)))
        behaviour = self.server.behaviour(path.rpartition("/")[2])
        if behaviour:
            behaviour(self, b"")
        else:
            self.server.answer_post(self, path, json.loads(body or b"{}"))

    def reply(self, code: int, content: bytes, **headers) -> None:
        self.send_response(code)
        for name, value in {"Content-Length": len(content), **headers}.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(content)


def _validators(handler: _Handler, content: bytes) -> dict[str, str]:
    if not handler.server.validators:
        return {}
    return {"ETag": f'"{hashlib.md5(content).hexdigest()}"'}


def send(handler: _Handler, content: bytes, *, until: int | None = None) -> None:
    """Send a file, or the requested range; hang up before byte `until` of the file."""
    validators = _validators(handler, content)
    wanted = handler.headers.get("Range")
    start = int(wanted.removeprefix("bytes=").split("-")[0]) if wanted else 0
    if handler.headers.get("If-Range", validators.get("ETag")) != validators.get("ETag"):
        start = 0
    if start and start >= len(content):
        handler.reply(416, b"", Content_Range=f"bytes */{len(content)}")
        return
    handler.send_response(206 if start else 200)
    handler.send_header("Content-Length", str(len(content) - start))
    handler.send_header("Accept-Ranges", "bytes")
    if start:
        handler.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
    for name, value in validators.items():
        handler.send_header(name, value)
    handler.end_headers()
    if until is None:
        handler.wfile.write(content[start:])
        return
    handler.wfile.write(content[start:until])
    handler.wfile.flush()
    handler.close_connection = True
    handler.connection.shutdown(2)


def cut(after: int) -> Behaviour:
    """Return a behaviour that drops the connection after some bytes of the file."""
    return lambda handler, content: send(handler, content, until=after)


def status(code: int, **headers) -> Behaviour:
    """Return a behaviour that answers with an error page."""
    page = f"<html><body>{code}</body></html>".encode()
    return lambda handler, _: handler.reply(code, page, Content_Type="text/html", **headers)


def page(content: bytes, kind: str = "text/html") -> Behaviour:
    """Return a behaviour that sends another page with status 200."""
    return lambda handler, _: handler.reply(200, content, Content_Type=kind)


def whole(handler: _Handler, content: bytes) -> None:
    """Ignore Range: send everything with status 200."""
    handler.reply(200, content, **_validators(handler, content))


def stall(after: int, seconds: float) -> Behaviour:
    """Return a behaviour that becomes silent after some bytes."""

    def behave(handler: _Handler, content: bytes) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content)))
        handler.send_header("Accept-Ranges", "bytes")
        for name, value in _validators(handler, content).items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(content[:after])
        handler.wfile.flush()
        time.sleep(seconds)
        handler.close_connection = True

    return behave


def until_the_end(after: int | None = None) -> Behaviour:
    """Return a behaviour that announces no length and hangs up at the end, or after some bytes."""

    def behave(handler: _Handler, content: bytes) -> None:
        handler.send_response(200)
        handler.send_header("Connection", "close")
        handler.end_headers()
        handler.wfile.write(content[:after])
        handler.close_connection = True

    return behave


def chunked(after: int | None = None) -> Behaviour:
    """Return a behaviour that sends chunks and ends them properly, also after some bytes."""

    def behave(handler: _Handler, content: bytes) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        content = content[:after]
        for at in range(0, len(content), 50000):
            piece = content[at : at + 50000]
            handler.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        handler.wfile.write(b"0\r\n\r\n")

    return behave


def retry_date(seconds: float) -> str:
    """Return a Retry-After date some seconds from now."""
    return formatdate(time.time() + seconds, usegmt=True)


class KaggleServer(FileServer):
    """Speaks the part of Kaggle's API that its client uses to download a data set.

    It is used as an HTTP proxy. Data sets are in `files` under `/blob/{name}.zip`. `refusals` maps
    an owner/name to an error status. `misbehave` and `always` also accept the names of calls:
    IntrospectToken and DownloadDataset. A token with `revoked` in it is not active.
    """

    def __init__(self) -> None:
        super().__init__()
        self.refusals: dict[str, int] = {}
        self.asked: list[dict] = []

    def answer_post(self, handler: _Handler, path: str, request: dict) -> None:
        """Answer a call of the API."""
        if path.endswith("/IntrospectToken"):
            active = "revoked" not in request.get("token", "")
            self._json(handler, 200, {"active": active, "username": "tester"})
        elif path.endswith("DatasetApiService/DownloadDataset"):
            self.asked.append(request)
            name = f"{request.get('ownerSlug')}/{request.get('datasetSlug')}"
            refusal = self.refusals.get(name)
            if refusal is None and not handler.headers.get("Authorization"):
                refusal = 401
            if refusal:
                self._json(handler, refusal, {"code": refusal, "message": "refused"})
            else:
                location = f"http://{handler.headers['Host']}/blob/{request['datasetSlug']}.zip"
                handler.reply(302, b"", Location=location)
        else:
            self._json(handler, 404, {"code": 404, "message": f"no {path}"})

    @staticmethod
    def _json(handler: _Handler, code: int, document: dict) -> None:
        handler.reply(code, json.dumps(document).encode(), Content_Type="application/json")

    def environment(self) -> dict[str, str]:
        """Return the environment variables that direct the client to this server."""
        return {
            "KAGGLE_API_ENVIRONMENT": "LOCALHOST",
            "http_proxy": self.address,
            "HTTP_PROXY": self.address,
            "no_proxy": "",
            "NO_PROXY": "",
        }
