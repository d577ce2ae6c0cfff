"""One file over HTTP, resumed after any interruption.

What has arrived stands in `X.part`, and `X.part.json` says which version of which address it
belongs to. Both lie outside Snakemake's outputs, so they survive a failed or killed job.
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
"""How much has to arrive before the content is compared with what it should be."""

LONGEST_PAUSE = 60.0
"""Seconds between two tries, unless the server asks for more."""

LONGEST_RETRY_AFTER = 900.0
"""Seconds that a server may ask to wait, in all, without sending a byte; then the run ends."""

RETRIED = {408, 425, 429, 500, 502, 503, 504}
"""Answers that another try may change; others are final for their address."""

NOT_THERE = {404, 410}
"""Answers of a server that has no such file."""


@dataclass(frozen=True)
class Patience:
    """How long a download goes on trying.

    `attempts` counts tries without a single new byte; `timeout` is the silence in seconds after
    which a connection is given up.
    """

    attempts: int = 6
    timeout: float = 60.0
    first_pause: float = 1.0


PATIENCE = Patience()


@dataclass(frozen=True)
class Expected:
    """What is known of a file before it is fetched; None is unknown.

    `algorithm` and `checksum` as hashlib names and writes them, `kind` see kinds.KINDS,
    `disk_bytes` is about what the file takes, for when the server does not say. Of a file whose
    length the server does not announce, `min_size` bytes or `min_lines` lines have to come.
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
    """A file that was fetched: its checksum, and whether a later download must have the same.

    `proven` is false where nothing but its end tells that the file is complete.
    """

    checksum: str
    proven: bool


class Address(Protocol):
    """Where a file is. `name` is for messages and notes, and holds no secrets."""

    name: str

    def get(self, headers: dict[str, str], timeout: float):
        """Ask for the file; return the response of `requests`, its body still to be read."""


class WebAddress:
    """The address of a file on the web."""

    def __init__(self, address: str):
        self._address = address
        self.name = without_password(address)

    def get(self, headers: dict[str, str], timeout: float):
        """Ask for the file."""
        import requests

        with connecting():
            return requests.get(self._address, headers=headers, stream=True, timeout=timeout)


class NotFetchedError(SkymillError):
    """No address gives the file. (A full disk is another error: no address would do.)"""


class NotThereError(NotFetchedError):
    """No address has the file: each server answered that there is none."""


class OtherContentError(NotFetchedError):
    """An address has the file, but with another checksum than expected."""


class AddressFailedError(Exception):
    """The address does not give the file; another may. `kind`: what is raised if none does."""

    def __init__(self, why: str, kind: type[NotFetchedError] = NotFetchedError) -> None:
        super().__init__(why)
        self.kind = kind


class TryAgainError(Exception):
    """A try failed; `pause` is what the server asked for, in seconds."""

    def __init__(self, why: str, pause: float | None = None) -> None:
        super().__init__(why)
        self.pause = pause


@contextlib.contextmanager
def connecting() -> Iterator[None]:
    """Turn what goes wrong before there is a connection, and is no failure of one, into words."""
    import requests

    try:
        yield
    except (requests.RequestException, ConnectionError, TimeoutError):
        raise
    except OSError as error:
        # The file of REQUESTS_CA_BUNDLE is not there: requests says which.
        raise AddressFailedError(f"it cannot be asked: {error}") from None
    except UnicodeError:
        raise AddressFailedError("its address, or a password, has a letter of no address") from None


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
        Where the complete, checked file is moved to; `path.part` beside it is resumed.
    expected
        What the file must be; its checksum is returned by `expected.algorithm`.
    patience, sleep
        When a try is given up, and how the time between two is spent.

    Raises
    ------
    NotThereError
        When every address answers that there is no such file.
    OtherContentError
        When no address gives the file, and one has a file with another checksum.
    NotFetchedError
        When no address gives the file; it names each with its reason.
    SkymillError
        When the disk has no room, or does not keep what is written.
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
    """Return what several failures are together: `NotThereError` only if each of them is."""
    if OtherContentError in kinds:
        return OtherContentError
    return NotThereError if set(kinds) == {NotThereError} else NotFetchedError


def _try_address(
    address: Address, part: "_Part", expected: Expected, patience: Patience, sleep: Callable
) -> Arrived:
    """Fetch a file from one address, with as many tries as patience allows."""
    import requests
    import urllib3

    fruitless, furthest, waited = 0, part.size, 0.0
    anew = False
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
            if anew or not before:
                why += "; the file was changed there, or damaged"
                raise AddressFailedError(why, OtherContentError)
            # What was resumed may have been damaged here: once more from the beginning.
            logger.warning("%s: %s; fetching it anew", address.name, why)
            anew = True
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
            # A server that always begins anew must get further than before.
            fruitless, furthest, waited = 0, part.size, 0.0
        elif not pause:
            fruitless += 1
        if fruitless >= patience.attempts:
            raise AddressFailedError(f"{why} (after {fruitless} tries without a byte)")
        if pause is None:
            pause = min(LONGEST_PAUSE, patience.first_pause * 2**fruitless)
            pause *= random.uniform(0.5, 1)
        else:
            waited += pause
            if waited > LONGEST_RETRY_AFTER:
                raise AddressFailedError(f"{why}: the server asks to come back in {pause:,.0f} s")
        logger.warning(
            "%s: %s; resuming at byte %s in %.0f s", address.name, why, f"{part.size:,}", pause
        )
        sleep(pause)


def _fetch_rest(address: Address, part: "_Part", expected: Expected, timeout: float) -> Arrived:
    """Fetch what is missing in one request and return the checksum of the whole."""
    headers = {"Accept-Encoding": "identity", "User-Agent": "skymill", **part.range_headers()}
    with address.get(headers, timeout) as response:
        total = _admit(response, part, expected)
        if total is not None and part.size == total:
            response.close()
        else:
            missing = max(0, (total or expected.disk_bytes) - part.size)
            require_space(part.path.parent, missing, part.final.name)
        checksum = _receive(response, part, expected, total)
    sized = total is not None or expected.size is not None
    return Arrived(checksum, proven=sized or expected.checksum is not None)


def _admit(response, part: "_Part", expected: Expected) -> int | None:
    """Check an answer's head, note what it is a version of, and return the file's size if told."""
    status = response.status_code
    if status == 416 and part.size:
        # What is asked for begins behind the end: the file is complete here, or is another one.
        told = response.headers.get("Content-Range", "").rpartition("/")[2]
        if told == str(part.size):
            return part.size
        part.discard()
        raise TryAgainError("the part that was here does not fit the file", pause=0.0)
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
        begin, told = _content_range(response)
        if begin != part.size or (told is not None and part.total not in (None, told)):
            part.discard()
            raise TryAgainError("the server sent another piece than was asked for", pause=0.0)
        total = told
    else:
        if part.size:
            logger.info("%s: sent whole again, from the beginning", part.address)
        part.discard()
        total = length
    if expected.size is not None and total not in (None, expected.size):
        raise AddressFailedError(
            f"it has {total:,} bytes, but {expected.size:,} are expected: {_what_came(response)}"
        )
    if total is None and not _can_be_proven(expected):
        raise AddressFailedError(
            "the server announces no length, so nothing would tell a complete file from one that "
            "was cut short. Write the file's checksum, size, min_size or min_lines into "
            "config/sources.yaml"
        )
    part.describe(response.headers, total)
    return total


def _can_be_proven(expected: Expected) -> bool:
    """Return whether a file of unannounced length can be told from one that was cut short."""
    known = (expected.checksum, expected.size, expected.min_size, expected.min_lines)
    return expected.kind in PROVEN_BY_END or any(value is not None for value in known)


def _what_came(response) -> str:
    kind = response.headers.get("Content-Type", "content of no stated type")
    return f"the server sent {kind}"


def _require_whole(part: "_Part", expected: Expected) -> None:
    """Refuse what came without an announced length if nothing shows that it is complete."""
    if expected.checksum is not None or expected.size is not None:
        return
    size = part.size
    if expected.kind in PROVEN_BY_END:
        if ends_whole(part.path, expected.kind):
            return
        why = f"it does not end as {expected.kind} does"
    elif size < (expected.min_size or 0):
        why = f"at least {expected.min_size:,} were expected"
    elif (lines := _count_lines(part.path)) < (expected.min_lines or 0):
        why = f"it has {lines:,} lines, and at least {expected.min_lines:,} were expected"
    else:
        return
    part.discard()
    raise TryAgainError(f"the connection ended early, at byte {size:,}: {why}")


def _count_lines(path: Path) -> int:
    """Return the number of whole lines of a file."""
    with open(path, "rb") as stream:
        return sum(block.count(b"\n") for block in iter(lambda: stream.read(CHUNK_BYTES), b""))


def _receive(response, part: "_Part", expected: Expected, total: int | None) -> str:
    """Append the body to the part, while another thread computes the checksum of all of it."""
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
            disable=None,  # no bar unless a person is watching
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
                "Look at the disk and at your quota, then run again."
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
        raise AddressFailedError(f"it has {size:,} bytes, but {expected.size:,} are expected")
    return digest.hexdigest()


def _write_whole(stream: BinaryIO, piece: bytes, path: Path) -> None:
    """Write all of a piece: one call may write a part of it and say nothing but how much."""
    rest = memoryview(piece)
    try:
        while rest:
            written = stream.write(rest)
            if not written:
                raise OSError(errno.EIO, "the disk takes no more bytes, and does not say why")
            rest = rest[written:]
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None


def _refuse_other_kinds(part: "_Part", expected: Expected, response) -> None:
    """Compare the beginning of what has arrived with what the file should be."""
    with open(part.path, "rb") as stream:
        head = stream.read(HEAD_BYTES)
    try:
        require_kind(head, expected.kind, part.final.name)
    except SkymillError as error:
        part.discard()
        if response.status_code == 206:
            raise TryAgainError("the part that was here is damaged", pause=0.0) from None
        raise AddressFailedError(
            f"{error} (status {response.status_code}, {_what_came(response)})"
        ) from None


class _Digest:
    """A checksum that is computed in a thread of its own: hashlib lets others run meanwhile."""

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
    """What has arrived of a file, and which version of it that is."""

    def __init__(self, final: Path, address: str, *, trusted: bool) -> None:
        self.final = final
        self.address = address
        self.path = final.with_name(final.name + ".part")
        self._note = final.with_name(final.name + ".part.json")
        self._trusted = trusted
        known = self._read_note()
        self.validator, self.total = known.get("validator"), known.get("total")
        # Without a validator the server cannot tell whether the file is still the same one; then
        # only a known checksum can show that the halves belong together.
        if known.get("address") != address or not (self.validator or trusted):
            self.discard()

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def _read_note(self) -> dict:
        try:
            known = json.loads(self._note.read_text())
        except (OSError, ValueError):  # none, or cut off when the machine stopped
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
            etag = None  # weak: says the same of files that differ in bytes
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
    """Leave the first bytes of a file for `download` to resume to `path`.

    `address` is the name of the Address that they came from, `validator` its ETag or Last-Modified.
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
    """Return the seconds that a `Retry-After` asks for, given as such or as a date."""
    told = response.headers.get("Retry-After")
    if told is None:
        return None
    if told.strip().isdecimal():
        return float(told)
    try:
        moment = email.utils.parsedate_to_datetime(told)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    return max(0.0, moment.timestamp() - time.time())
