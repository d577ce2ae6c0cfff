"""Download of one file over HTTP, resumed after any interruption.

The bytes that have arrived are in `X.part`, and `X.part.json` has their address and version. These
two files are not outputs of Snakemake, so they survive a failed or killed job.
"""

import contextlib
import datetime
import email.utils
import errno
import hashlib
import json
import logging
import queue
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from skymill.engine.durable import flush
from skymill.engine.errors import SkymillError
from skymill.engine.secrets import without_password
from skymill.engine.space import require_space
from skymill.raw.file_types import PROVEN_BY_END, ends_whole, require_kind
from skymill.raw.network_errors import in_plain_words, keep_proxy_passwords

logger = logging.getLogger(__name__)

CHUNK_BYTES = 2**18
HEAD_BYTES = 2**12
"""Bytes that must arrive before the kind of the content is checked."""

LONGEST_PAUSE = 60.0
"""The most seconds between two tries, unless the server asks for more."""

LONGEST_RETRY_AFTER = 900.0
"""The most seconds that a server may ask to wait, in total, without sending a byte."""

RETRIED = {408, 425, 429, 500, 502, 503, 504}
"""Status codes that lead to another try. All other errors are final for the address."""

NOT_THERE = {404, 410}
"""Status codes of a server that does not have the file."""


@dataclass(frozen=True)
class Patience:
    """When a download gives up.

    `attempts` is the most tries without a new byte. `timeout` is the number of seconds without a
    byte after which a connection is closed.
    """

    attempts: int = 6
    timeout: float = 60.0
    first_pause: float = 1.0


PATIENCE = Patience()


@dataclass(frozen=True)
class Expected:
    """The known properties of a file before its download; None is unknown.

    `kind` is a key of file_types.KINDS. `algorithm` and `checksum` have hashlib's names and
    hexadecimal form. `disk_bytes` is the approximate size on the disk, used if the server does not
    announce a length. In this case at least `min_size` bytes or `min_lines` lines must arrive.
    """

    kind: str
    size: int | None = None
    algorithm: str = "sha256"
    checksum: str | None = None
    disk_bytes: int = 0
    min_size: int | None = None
    min_lines: int | None = None


@dataclass(frozen=True)
class Arrived:
    """A fetched file: its checksum, and whether a later download must have the same checksum.

    `proven` is false if only the end of the file shows that the file is complete.
    """

    checksum: str
    proven: bool


class Address(Protocol):
    """The address of a file. `name` is for messages and notes, and contains no secrets."""

    name: str

    def get(self, headers: dict[str, str], timeout: float):
        """Request the file; return the response of `requests`, whose body is not read yet."""


class WebAddress:
    """The address of a file on the web."""

    def __init__(self, address: str):
        self._address = address
        self.name = without_password(address)

    def get(self, headers: dict[str, str], timeout: float):
        """Request the file."""
        import requests

        with connecting():
            return requests.get(self._address, headers=headers, stream=True, timeout=timeout)


class NotFetchedError(SkymillError):
    """No address provides the file. (A full disk is another error: no address would help.)"""


class NotThereError(NotFetchedError):
    """No address has the file: each server answered that the file does not exist."""


class OtherContentError(NotFetchedError):
    """An address has the file, but with another checksum than expected."""


class AddressFailedError(Exception):
    """An address does not provide the file. If no other does, an error of `kind` is raised."""

    def __init__(self, why: str, kind: type[NotFetchedError] = NotFetchedError) -> None:
        super().__init__(why)
        self.kind = kind


class TryAgainError(Exception):
    """A try failed; `pause` is the wait in seconds that the server asked for."""

    def __init__(self, why: str, pause: float | None = None) -> None:
        super().__init__(why)
        self.pause = pause


@contextlib.contextmanager
def connecting() -> Iterator[None]:
    """Turn errors that occur before a connection is attempted into AddressFailedError."""
    import requests

    try:
        yield
    except (requests.RequestException, ConnectionError, TimeoutError):
        raise
    except OSError as error:
        # The file of REQUESTS_CA_BUNDLE is missing; the error of requests names the file.
        raise AddressFailedError(f"the request failed: {error}") from None
    except UnicodeError:
        raise AddressFailedError("the address or a password has an invalid character") from None


def download(
    addresses: list[str | Address],
    path: Path,
    expected: Expected,
    *,
    patience: Patience = PATIENCE,
    sleep: Callable[[float], None] = time.sleep,
) -> Arrived:
    """Fetch a file to `path` from the first address that has it, and return its checksum.

    Parameters
    ----------
    addresses
        http or https, or another kind of Address; tried in order.
    path
        The final path of the complete, checked file. A file `path.part` is resumed.
    expected
        The properties of the file. The returned checksum is of `expected.algorithm`.
    patience, sleep
        When to give up, and the function that waits between two tries.

    Raises
    ------
    NotThereError
        When every address answers that the file does not exist.
    OtherContentError
        When no address provides the file, and one has a file with another checksum.
    NotFetchedError
        When no address provides the file; the message lists each address with its reason.
    SkymillError
        When the disk has no free space, or does not keep the written bytes.
    """
    keep_proxy_passwords()
    path.parent.mkdir(parents=True, exist_ok=True)
    failures, kinds = [], []
    for given in addresses:
        address = WebAddress(given) if isinstance(given, str) else given
        part = _Part(path, address.name, trusted=expected.checksum is not None)
        try:
            arrived = _try_address(address, part, expected, patience, sleep)
        except AddressFailedError as error:
            logger.warning("%s: %s", address.name, error)
            failures.append(f"  {address.name}: {error}")
            kinds.append(error.kind)
            continue
        part.finish()
        return arrived
    raise worst(kinds)(f"{path.name} could not be fetched:\n" + "\n".join(failures))


def worst(kinds: list[type[NotFetchedError]]) -> type[NotFetchedError]:
    """Return the error type for several failures: `NotThereError` only if all are this error."""
    if OtherContentError in kinds:
        return OtherContentError
    return NotThereError if set(kinds) == {NotThereError} else NotFetchedError


def _try_address(
    address: Address, part: "_Part", expected: Expected, patience: Patience, sleep: Callable
) -> Arrived:
    """Fetch a file from one address; try again until `patience` is exhausted."""
    import requests
    import urllib3

    fruitless, furthest, waited = 0, part.size, 0.0
    has_restarted = False
    while True:
        before = part.size
        try:
            arrived = _fetch_rest(address, part, expected, patience.timeout)
            if expected.checksum is None or arrived.checksum == expected.checksum:
                return arrived
            why = (
                f"its {expected.algorithm} is {arrived.checksum}, but {expected.checksum} was "
                "expected"
            )
            part.discard()
            if has_restarted or not before:
                why += "; the file was changed there, or damaged"
                raise AddressFailedError(why, OtherContentError)
            # The resumed part may have been damaged here, so try once more from the beginning.
            logger.warning("%s: %s; fetching the file again", address.name, why)
            has_restarted = True
            continue
        except TryAgainError as error:
            why, pause = str(error), error.pause
        except (
            requests.RequestException,
            urllib3.exceptions.HTTPError,
            ConnectionError,
            TimeoutError,
        ) as error:
            why, passing = in_plain_words(error, patience.timeout)
            if not passing:
                raise AddressFailedError(why) from None
            pause = None
        if part.size > furthest:
            # New bytes reset the counts. A server that always starts again at the first byte must
            # get further than before.
            fruitless, furthest, waited = 0, part.size, 0.0
        elif not pause:
            fruitless += 1
        if fruitless >= patience.attempts:
            raise AddressFailedError(f"{why} (after {fruitless} tries without a new byte)")
        if pause is None:
            pause = min(LONGEST_PAUSE, patience.first_pause * 2**fruitless)
            pause *= random.uniform(0.5, 1)
        else:
            waited += pause
            if waited > LONGEST_RETRY_AFTER:
                raise AddressFailedError(f"{why}: the server asks to wait {pause:,.0f} s")
        logger.warning(
            "%s: %s; resuming at byte %s in %.0f s", address.name, why, f"{part.size:,}", pause
        )
        sleep(pause)


def _fetch_rest(address: Address, part: "_Part", expected: Expected, timeout: float) -> Arrived:
    """Fetch the missing bytes in one request; return the checksum of the whole file."""
    headers = {"Accept-Encoding": "identity", "User-Agent": "skymill", **part.range_headers()}
    with address.get(headers, timeout) as response:
        total = _check_response(response, part, expected)
        if total is not None and part.size == total:
            response.close()
        else:
            missing = max(0, (total or expected.disk_bytes) - part.size)
            require_space(part.path.parent, missing, part.final.name)
        checksum = _receive(response, part, expected, total)
    sized = total is not None or expected.size is not None
    return Arrived(checksum, proven=sized or expected.checksum is not None)


def _check_response(response, part: "_Part", expected: Expected) -> int | None:
    """Check the head of a response, note the file's version, and return its size if known."""
    status = response.status_code
    if status == 416 and part.size:
        # The requested range begins at or after the end. So the part is complete, or the file is
        # another one.
        stated = response.headers.get("Content-Range", "").rpartition("/")[2]
        if stated == str(part.size):
            return part.size
        part.discard()
        raise TryAgainError("the part on the disk does not fit the file", pause=0.0)
    if status in RETRIED:
        raise TryAgainError(
            f"the server answered {status} {response.reason}", _retry_after(response)
        )
    if status not in (200, 206):
        why = f"the server answered {status} {response.reason}"
        raise AddressFailedError(why, NotThereError if status in NOT_THERE else NotFetchedError)
    length = response.headers.get("Content-Length")
    length = int(length) if length and length.isdecimal() else None
    if status == 206:
        begin, stated = _content_range(response)
        if begin != part.size or (stated is not None and part.total not in (None, stated)):
            part.discard()
            raise TryAgainError("the server sent another range than requested", pause=0.0)
        total = stated
    else:
        if part.size:
            logger.info("%s: the server sends the whole file again", part.address)
        part.discard()
        total = length
    if expected.size is not None and total not in (None, expected.size):
        raise AddressFailedError(
            f"the file has {total:,} bytes, but {expected.size:,} are expected: "
            f"{_what_came(response)}"
        )
    if total is None and not _can_be_proven(expected):
        raise AddressFailedError(
            "the server announces no length, so Skymill could not notice a file that is cut short. "
            "Write the file's checksum, size, min_size or min_lines into config/sources.yaml"
        )
    part.describe(response.headers, total)
    return total


def _can_be_proven(expected: Expected) -> bool:
    """Return whether Skymill can notice that a file of unannounced length is cut short."""
    known = (expected.checksum, expected.size, expected.min_size, expected.min_lines)
    return expected.kind in PROVEN_BY_END or any(value is not None for value in known)


def _what_came(response) -> str:
    kind = response.headers.get("Content-Type", "content of unknown type")
    return f"the server sent {kind}"


def _require_whole(part: "_Part", expected: Expected) -> None:
    """Refuse a part of unannounced length unless its end or its size show that it is complete."""
    if expected.checksum is not None or expected.size is not None:
        return
    size = part.size
    if expected.kind in PROVEN_BY_END:
        if ends_whole(part.path, expected.kind):
            return
        why = f"the file does not end like {expected.kind}"
    elif size < (expected.min_size or 0):
        why = f"at least {expected.min_size:,} bytes were expected"
    elif (lines := _count_lines(part.path)) < (expected.min_lines or 0):
        why = f"the file has {lines:,} lines, but at least {expected.min_lines:,} were expected"
    else:
        return
    part.discard()
    raise TryAgainError(f"the connection ended early, at byte {size:,}: {why}")


def _count_lines(path: Path) -> int:
    """Return the number of complete lines in a file."""
    with open(path, "rb") as stream:
        return sum(block.count(b"\n") for block in iter(lambda: stream.read(CHUNK_BYTES), b""))


def _receive(response, part: "_Part", expected: Expected, total: int | None) -> str:
    """Append the body to the part, while another thread computes the checksum of the whole file."""
    from tqdm import tqdm

    with _hashing(expected.algorithm) as digest:
        if part.size:
            with open(part.path, "rb") as stream:
                while piece := stream.read(CHUNK_BYTES):
                    digest.update(piece)
        bar = tqdm(
            desc=part.final.name,
            total=total,
            initial=part.size,
            unit="B",
            unit_scale=True,
            file=sys.stderr,
            disable=None,  # a bar only on a terminal
            leave=False,
        )
        arrived = part.size
        checked = arrived >= HEAD_BYTES
        complete = total is not None and arrived == total
        with bar, open(part.path, "ab", buffering=0) as stream:
            while not complete and (piece := response.raw.read(CHUNK_BYTES)):
                _write_whole(stream, piece, part.path)
                digest.update(piece)
                arrived += len(piece)
                bar.update(len(piece))
                if not checked and arrived >= HEAD_BYTES:
                    _refuse_other_kinds(part, expected, response)
                    checked = True
        if part.size != arrived:
            kept = part.size
            part.discard()
            raise SkymillError(
                f"{part.path}: the disk kept {kept:,} of the {arrived:,} bytes that were written. "
                "Check the disk and your quota, then run again."
            )
        if total is not None and part.size != total:
            raise TryAgainError(f"the connection ended at byte {part.size:,} of {total:,}")
        if not part.size:
            raise TryAgainError("the server sent nothing")
        if not checked:
            _refuse_other_kinds(part, expected, response)
        if total is None:
            _require_whole(part, expected)
    if expected.size is not None and part.size != expected.size:
        size = part.size
        part.discard()
        raise AddressFailedError(f"the file has {size:,} bytes, but {expected.size:,} are expected")
    return digest.hexdigest()


def _write_whole(stream: BinaryIO, piece: bytes, path: Path) -> None:
    """Write all bytes of a piece: a single call may write only some and return their number."""
    rest = memoryview(piece)
    try:
        while rest:
            written = stream.write(rest)
            if not written:
                raise OSError(errno.EIO, "the disk wrote no bytes and reported no error")
            rest = rest[written:]
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None


def _refuse_other_kinds(part: "_Part", expected: Expected, response) -> None:
    """Check that the first bytes of the part are of the expected kind."""
    with open(part.path, "rb") as stream:
        head = stream.read(HEAD_BYTES)
    try:
        require_kind(head, expected.kind, part.final.name)
    except SkymillError as error:
        part.discard()
        if response.status_code == 206:
            raise TryAgainError("the part on the disk is damaged", pause=0.0) from None
        raise AddressFailedError(
            f"{error} (status {response.status_code}, {_what_came(response)})"
        ) from None


class _Digest:
    """A checksum that is computed in its own thread; hashlib releases Python's lock."""

    def __init__(self, algorithm: str) -> None:
        self._digest = hashlib.new(algorithm)
        self._pieces = queue.Queue(maxsize=16)
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def _work(self) -> None:
        while (piece := self._pieces.get()) is not None:
            self._digest.update(piece)

    def update(self, piece: bytes) -> None:
        self._pieces.put(piece)

    def finish(self) -> None:
        self._pieces.put(None)
        self._thread.join()

    def hexdigest(self) -> str:
        return self._digest.hexdigest()


@contextlib.contextmanager
def _hashing(algorithm: str) -> Iterator[_Digest]:
    digest = _Digest(algorithm)
    try:
        yield digest
    finally:
        digest.finish()


class _Part:
    """The bytes of a file that have arrived, and their version."""

    def __init__(self, final: Path, address: str, *, trusted: bool) -> None:
        self.final = final
        self.address = address
        self.path = final.with_name(final.name + ".part")
        self._note = final.with_name(final.name + ".part.json")
        self._trusted = trusted
        known = self._read_note()
        self.validator, self.total = known.get("validator"), known.get("total")
        # Without a validator the server cannot say whether the file has changed. Then only a known
        # checksum can show that the old and the new bytes belong together.
        if known.get("address") != address or not (self.validator or trusted):
            self.discard()

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def _read_note(self) -> dict:
        try:
            known = json.loads(self._note.read_text())
        except (OSError, ValueError):  # missing, or cut short when the machine stopped
            return {}
        return known if isinstance(known, dict) else {}

    def range_headers(self) -> dict[str, str]:
        if not self.size:
            return {}
        headers = {"Range": f"bytes={self.size}-"}
        if self.validator:
            headers["If-Range"] = self.validator
        return headers

    def describe(self, headers, total: int | None) -> None:
        etag = headers.get("ETag")
        if etag and etag.startswith("W/"):
            etag = None  # weak: files with different bytes may have the same weak ETag
        self.note(etag or headers.get("Last-Modified"), total)

    def note(self, validator: str | None, total: int | None) -> None:
        self.validator, self.total = validator, total
        note = {"address": self.address, "validator": validator, "total": total}
        self._note.write_text(json.dumps(note))

    def discard(self) -> None:
        self.path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)
        self.validator = self.total = None

    def finish(self) -> None:
        flush(self.path)
        self.path.replace(self.final)
        self._note.unlink(missing_ok=True)


def leave_part(content: Path, path: Path, address: str, validator: str, total: int | None) -> None:
    """Turn the first bytes of a file into the part that `download` resumes to `path`.

    `address` is the name of the bytes' Address, `validator` the file's ETag or Last-Modified.
    """
    part = _Part(path, address, trusted=False)
    if part.size:
        content.unlink()
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    content.replace(part.path)
    part.note(validator, total)


def _content_range(response) -> tuple[int | None, int | None]:
    """Return the first byte and the total of a `Content-Range: bytes 5-9/10`."""
    unit, _, rest = response.headers.get("Content-Range", "").partition(" ")
    span, _, total = rest.partition("/")
    begin = span.partition("-")[0]
    if unit != "bytes" or not begin.isdecimal():
        return None, None
    return int(begin), int(total) if total.isdecimal() else None


def _retry_after(response) -> float | None:
    """Return the seconds of a `Retry-After` header, which has seconds or a date; None without."""
    stated = response.headers.get("Retry-After")
    if stated is None:
        return None
    if stated.strip().isdecimal():
        return float(stated)
    try:
        moment = email.utils.parsedate_to_datetime(stated)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    return max(0.0, moment.timestamp() - time.time())
