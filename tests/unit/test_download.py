"""Downloads are complete and checked, can be resumed, and never leave half a file."""

import datetime
import gzip
import hashlib
import io
import ssl
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from servers import (
    FileServer,
    chunked,
    cut,
    page,
    retry_date,
    stall,
    status,
    until_the_end,
    whole,
)
from skymill.engine.errors import SkymillError
from skymill.raw import http
from skymill.raw.file_types import ends_whole
from skymill.raw.http import Expected, Patience, download

CONTENT = b'{"1": ' + bytes(range(32, 127)) * 3000
OTHER = b'{"2": ' + bytes(range(32, 127)) * 2500
SHA256 = hashlib.sha256(CONTENT).hexdigest()
JSON_LINES = Expected(kind="json_lines")


@pytest.fixture
def server():
    with FileServer() as server:
        server.files["/x.json"] = CONTENT
        yield server


@pytest.fixture
def pauses():
    return []


def fetch(server, folder: Path, expected=JSON_LINES, *, path="/x.json", pauses=None, **patience):
    target = folder / "x.json"
    waited = [] if pauses is None else pauses
    patience = Patience(**{"attempts": 3, "timeout": 5, "first_pause": 1, **patience})
    arrived = download(
        [server.address + path], target, expected, patience=patience, sleep=waited.append
    )
    return target.read_bytes(), arrived.checksum


def interrupt(server, folder: Path, after: int = 1000) -> None:
    """Let a download fail after some bytes."""
    server.misbehave("/x.json", cut(after), status(404))
    with pytest.raises(SkymillError):
        fetch(server, folder)


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_download_is_checked_and_leaves_no_other_files(server, tmp_path):
    assert fetch(server, tmp_path) == (CONTENT, SHA256)
    assert left(tmp_path) == ["x.json"]


@settings(max_examples=15)
@given(st.lists(st.integers(0, len(CONTENT)), max_size=4).map(sorted))
def test_any_interruptions_give_the_same_bytes_and_fetch_no_byte_twice(tmp_path_factory, cuts):
    folder = tmp_path_factory.mktemp("cuts")
    with FileServer() as server:
        server.files["/x.json"] = CONTENT
        server.misbehave("/x.json", *map(cut, cuts))
        assert fetch(server, folder, attempts=6) == (CONTENT, SHA256)
        begins = [int(span[6:-1]) for span in server.ranges() if span]
    assert begins == [at for at in cuts if at]


def test_a_later_run_resumes_the_download_of_a_killed_run(server, tmp_path):
    interrupt(server, tmp_path)
    assert left(tmp_path) == ["x.json.part", "x.json.part.json"]
    assert fetch(server, tmp_path) == (CONTENT, SHA256)
    assert server.ranges()[-1] == "bytes=1000-"


def test_a_file_that_was_complete_before_it_was_moved_is_not_fetched_again(server, tmp_path):
    interrupt(server, tmp_path, after=len(CONTENT) - 1)
    with open(tmp_path / "x.json.part", "ab") as part:
        part.write(CONTENT[-1:])
    assert fetch(server, tmp_path) == (CONTENT, SHA256)


def test_a_server_that_ignores_ranges_sends_everything_again(server, tmp_path):
    server.misbehave("/x.json", cut(1000), whole)
    assert fetch(server, tmp_path) == (CONTENT, SHA256)


def test_a_file_that_changed_between_two_tries_is_never_mixed(server, tmp_path):
    def change(handler, content):
        server.files["/x.json"] = OTHER
        cut(1000)(handler, content)

    server.misbehave("/x.json", change)
    assert fetch(server, tmp_path)[0] == OTHER


def test_without_a_validator_and_a_checksum_a_download_starts_again(server, tmp_path):
    server.validators = False
    interrupt(server, tmp_path)
    assert fetch(server, tmp_path) == (CONTENT, SHA256)
    assert server.ranges()[-1] is None


@pytest.mark.parametrize("size", [1000, len(CONTENT)])
def test_a_damaged_part_is_found_by_the_checksum_and_fetched_again(server, tmp_path, size):
    interrupt(server, tmp_path)
    (tmp_path / "x.json.part").write_bytes(b"x" * size)
    expected = Expected(kind="json_lines", checksum=SHA256)
    assert fetch(server, tmp_path, expected) == (CONTENT, SHA256)


def test_a_wrong_checksum_is_refused_and_both_checksums_are_shown(server, tmp_path):
    wanted = hashlib.md5(OTHER).hexdigest()
    expected = Expected(kind="json_lines", algorithm="md5", checksum=wanted)
    with pytest.raises(SkymillError) as caught:
        fetch(server, tmp_path, expected)
    assert wanted in str(caught.value)
    assert hashlib.md5(CONTENT).hexdigest() in str(caught.value)
    assert left(tmp_path) == []


def test_a_wrong_size_is_refused_before_the_download(server, tmp_path):
    with pytest.raises(SkymillError, match=r"has 285,006 bytes, but 7 are expected"):
        fetch(server, tmp_path, Expected(kind="json_lines", size=7))
    assert left(tmp_path) == []


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (page(b"<!DOCTYPE html><html>Sign in</html>"), "an HTML or XML page"),
        (page(b'{"code": 404, "message": "gone"}', "application/json"), "a JSON document"),
        (page(b"PK\x03\x04"), "a zip archive"),
    ],
)
def test_an_unexpected_page_with_status_200_is_refused_by_name(server, tmp_path, answer, said):
    server.always("/x.json", answer)
    with pytest.raises(SkymillError, match=said):
        fetch(server, tmp_path)
    assert left(tmp_path) == []


@pytest.mark.parametrize("code", [400, 401, 403, 404, 410])
def test_a_permanent_error_is_not_retried(server, tmp_path, pauses, code):
    server.always("/x.json", status(code))
    with pytest.raises(SkymillError, match=f"answered {code}"):
        fetch(server, tmp_path, pauses=pauses)
    assert pauses == []
    assert len(server.requests) == 1


@pytest.mark.parametrize("code", [429, 500, 502, 503])
def test_a_temporary_error_is_retried(server, tmp_path, pauses, code):
    server.misbehave("/x.json", status(code), status(code))
    assert fetch(server, tmp_path, pauses=pauses) == (CONTENT, SHA256)
    assert len(pauses) == 2


def test_pauses_between_tries_grow_to_a_minute(server, tmp_path, pauses):
    server.always("/x.json", status(503))
    with pytest.raises(SkymillError, match="after 12 tries"):
        fetch(server, tmp_path, pauses=pauses, attempts=12)
    for number, pause in enumerate(pauses):
        longest = min(60, 2 ** (number + 1))
        assert longest / 2 <= pause <= longest


def test_the_pause_is_as_long_as_the_server_asks(server, tmp_path, pauses):
    server.misbehave(
        "/x.json",
        status(429, Retry_After=7),
        status(503, Retry_After=retry_date(30)),
    )
    assert fetch(server, tmp_path, pauses=pauses) == (CONTENT, SHA256)
    assert pauses[0] == 7
    assert 25 < pauses[1] <= 30


def test_a_server_that_asks_for_more_than_a_quarter_of_an_hour_ends_the_run(server, tmp_path):
    server.always("/x.json", status(503, Retry_After=7200))
    with pytest.raises(SkymillError, match=r"asks to wait 7,200 s"):
        fetch(server, tmp_path)


def test_pauses_that_the_server_asks_for_do_not_count_as_tries(server, tmp_path, pauses):
    server.misbehave("/x.json", *[status(429, Retry_After=20)] * 9)
    assert fetch(server, tmp_path, pauses=pauses, attempts=1) == (CONTENT, SHA256)
    assert pauses == [20] * 9


def test_the_total_wait_for_a_server_is_limited(server, tmp_path, pauses):
    server.always("/x.json", status(429, Retry_After=100))
    with pytest.raises(SkymillError, match=r"429 Too Many Requests.*asks to wait 100 s"):
        fetch(server, tmp_path, pauses=pauses)
    assert sum(pauses) <= http.LONGEST_RETRY_AFTER
    server.always("/x.json", status(429, Retry_After=0))
    with pytest.raises(SkymillError, match="after 3 tries"):
        fetch(server, tmp_path)


@pytest.mark.parametrize("told", ["soon", "\xb2", "-5", "Wed, 21 Oct 2015 07:28:00"])
def test_a_meaningless_retry_after_is_ignored(server, tmp_path, pauses, told):
    server.misbehave("/x.json", status(429, Retry_After=told))
    assert fetch(server, tmp_path, pauses=pauses) == (CONTENT, SHA256)
    assert len(pauses) == 1


def test_a_silent_connection_is_closed_and_the_download_resumed(server, tmp_path):
    server.misbehave("/x.json", stall(after=2**16, seconds=0.5))
    assert fetch(server, tmp_path, timeout=0.1) == (CONTENT, SHA256)


def test_progress_resets_the_count_of_tries(server, tmp_path):
    server.misbehave("/x.json", *(cut(at) for at in range(1000, 9000, 1000)))
    assert fetch(server, tmp_path, attempts=1 + 1) == (CONTENT, SHA256)


def test_mirrors_are_tried_in_order(server, tmp_path):
    server.files["/mirror.json"] = CONTENT
    addresses = [server.address + path for path in ("/gone.json", "/page.json", "/mirror.json")]
    server.always("/page.json", page(b"<html>"))
    target = tmp_path / "x.json"
    download(addresses, target, JSON_LINES, sleep=lambda _: None)
    assert target.read_bytes() == CONTENT


def test_when_all_mirrors_fail_each_is_named_with_its_reason(server, tmp_path):
    addresses = [server.address + "/gone.json", "http://127.0.0.1:9/x.json"]
    with pytest.raises(SkymillError) as caught:
        download(addresses, tmp_path / "x.json", JSON_LINES, sleep=lambda _: None)
    message = str(caught.value)
    assert "x.json could not be fetched" in message
    assert f"{addresses[0]}: the server answered 404" in message
    assert f"{addresses[1]}: no connection" in message


def test_a_full_disk_is_reported_before_the_download(server, tmp_path, monkeypatch):
    monkeypatch.setattr("skymill.engine.space.RESERVE_BYTES", 2**62)
    with pytest.raises(SkymillError, match="GB are free"):
        fetch(server, tmp_path)
    assert not (tmp_path / "x.json.part").exists()


def test_bytes_already_fetched_need_no_more_free_space(server, tmp_path, monkeypatch):
    interrupt(server, tmp_path, after=len(CONTENT) - 1000)
    monkeypatch.setattr("skymill.engine.space.RESERVE_BYTES", 0)
    usage = type("usage", (), {"free": 1000})
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    # The server gives the size, so the estimate of the registry is not used.
    assert fetch(server, tmp_path, Expected("json_lines", disk_bytes=10**9))[0] == CONTENT


class Disk:
    """A file on a disk that writes a few bytes at a time, or loses some."""

    def __init__(self, stream, takes):
        self.stream, self.takes = stream, takes

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stream.close()

    def write(self, data):
        """Write as this disk does."""
        return self.takes(self.stream, data)


def on_disk(monkeypatch, takes):
    def opened(path, mode="r", **given):
        stream = open(path, mode, **given)  # noqa: SIM115 (Disk closes it)
        return Disk(stream, takes) if mode == "ab" else stream

    monkeypatch.setattr(http, "open", opened, raising=False)


def test_short_writes_are_continued(server, tmp_path, monkeypatch):
    on_disk(monkeypatch, lambda stream, data: stream.write(data[:777]))
    assert fetch(server, tmp_path) == (CONTENT, SHA256)


def test_a_disk_that_loses_bytes_is_noticed(server, tmp_path, monkeypatch):
    on_disk(monkeypatch, lambda stream, data: stream.write(data[:-1]) + 1)
    with pytest.raises(SkymillError, match=r"the disk kept 285,0\d\d of the 285,006 bytes"):
        fetch(server, tmp_path)
    assert left(tmp_path) == []


def test_a_full_disk_is_reported_with_the_file(server, tmp_path, monkeypatch):
    on_disk(monkeypatch, lambda stream, data: 0)
    with pytest.raises(OSError, match=r"wrote no bytes.*x\.json\.part"):
        fetch(server, tmp_path)


def test_an_existing_file_is_kept_when_a_download_fails(server, tmp_path):
    (tmp_path / "x.json").write_bytes(b"earlier")
    server.always("/x.json", status(404))
    with pytest.raises(SkymillError):
        fetch(server, tmp_path)
    assert (tmp_path / "x.json").read_bytes() == b"earlier"


LINES = b"".join(b'{"%d": {"label": "Q", "values": {}}}\n' % number for number in range(4000))
CSV = b"oid,class\n" * 9000


def zipped(content=LINES) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.json", content)
        archive.writestr("b.json", content)
        archive.comment = b"0" * 40  # GitHub's archives contain the commit here
    return buffer.getvalue()


ENDLESS = {
    "json_lines": LINES,
    "text": CSV,
    "zip": zipped(),
    "gzip": gzip.compress(zipped() * 3),
    "json": b'{"a": [' + b"1, " * 20000 + b"2]}",
}
PROOFS = {
    "json_lines": [{"min_lines": 4000}, {"min_size": len(LINES)}],
    "text": [{"min_lines": 9000}],
    "zip": [{}],
    "gzip": [{}],
    "json": [{}],
}
KINDS_AND_PROOFS = [(kind, proof) for kind in PROOFS for proof in PROOFS[kind]]
UNTOLD = pytest.mark.parametrize("answer", [until_the_end, chunked])


@UNTOLD
@pytest.mark.parametrize(("kind", "proof"), KINDS_AND_PROOFS)
def test_a_file_of_unannounced_length_is_accepted_if_it_ends_properly(
    server, tmp_path, answer, kind, proof
):
    content = server.files["/x.json"] = ENDLESS[kind]
    server.always("/x.json", answer())
    arrived = download([server.address + "/x.json"], tmp_path / "x", Expected(kind=kind, **proof))
    assert (tmp_path / "x").read_bytes() == content
    assert arrived.checksum == hashlib.sha256(content).hexdigest()
    assert not arrived.proven


@settings(max_examples=4)
@given(st.data())
@UNTOLD
@pytest.mark.parametrize(("kind", "proof"), KINDS_AND_PROOFS)
def test_a_truncated_file_of_unannounced_length_is_refused(
    tmp_path_factory, answer, kind, proof, data
):
    folder = tmp_path_factory.mktemp("short")
    content = ENDLESS[kind]
    lengths = st.one_of(
        st.integers(9, len(content) - 1), st.integers(len(content) - 99, len(content) - 1)
    )
    with FileServer() as server:
        server.files["/x.json"] = content
        server.misbehave("/x.json", answer(data.draw(lengths)), answer(data.draw(lengths)))
        assert fetch(server, folder, Expected(kind=kind, **proof))[0] == content
        server.always("/x.json", answer(data.draw(lengths)))
        with pytest.raises(SkymillError, match="ended early"):
            fetch(server, folder, Expected(kind=kind, **proof))
    assert left(folder) == ["x.json"]


@UNTOLD
@pytest.mark.parametrize("kind", ["json_lines", "text"])
def test_without_a_length_or_another_proof_nothing_is_fetched(server, tmp_path, answer, kind):
    server.files["/x.json"] = ENDLESS[kind]
    server.always("/x.json", answer(500))
    with pytest.raises(SkymillError, match=r"announces no length.*min_size or min_lines"):
        fetch(server, tmp_path, Expected(kind=kind))
    assert len(server.requests) == 1
    assert left(tmp_path) == []


@UNTOLD
@pytest.mark.parametrize("known", [{"checksum": SHA256}, {"size": len(CONTENT)}])
def test_a_known_checksum_or_size_proves_a_file_of_unannounced_length(
    server, tmp_path, answer, known
):
    server.always("/x.json", answer())
    assert fetch(server, tmp_path, Expected(kind="json_lines", **known)) == (CONTENT, SHA256)
    server.always("/x.json", answer(700))
    with pytest.raises(SkymillError, match=r"was expected|are expected"):
        fetch(server, tmp_path, Expected(kind="json_lines", **known))


@pytest.mark.parametrize("many", [False, True])
def test_a_large_zip_is_recognised_by_its_end(tmp_path, many, monkeypatch):
    path = tmp_path / "x.zip"
    if many:
        monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 1)
    path.write_bytes(content := zipped())
    assert (b"PK\x06\x06" in content) == many
    assert ends_whole(path, "zip")
    path.write_bytes(content + b"x")
    assert not ends_whole(path, "zip")
    path.write_bytes(b"x" + content)
    assert not ends_whole(path, "zip")


def test_a_server_that_always_restarts_must_send_more_bytes_each_time(server, tmp_path):
    content = server.files["/x.json"] = ENDLESS["zip"]
    ends = [9000, 5000, 8000, 3000]

    def behave(handler, _):
        until_the_end(ends.pop(0) if ends else 2000)(handler, content)

    server.always("/x.json", behave)
    with pytest.raises(SkymillError, match="after 3 tries"):
        fetch(server, tmp_path, Expected(kind="zip"))


def test_a_part_that_is_longer_than_the_file_is_deleted(server, tmp_path):
    interrupt(server, tmp_path)
    (tmp_path / "x.json.part").write_bytes(CONTENT + b"more")
    assert fetch(server, tmp_path) == (CONTENT, SHA256)


def test_a_truncated_note_is_ignored(server, tmp_path):
    (tmp_path / "x.json.part").write_bytes(CONTENT[:500])
    (tmp_path / "x.json.part.json").write_text('{"address": ')
    assert fetch(server, tmp_path) == (CONTENT, SHA256)


def test_the_longest_pause_is_within_the_limit_for_servers():
    assert http.LONGEST_PAUSE <= http.LONGEST_RETRY_AFTER


# --- The way to the server ------------------------------------------------------------------------

NOWHERE = "127.0.0.1:9"
PASSWORD = "planted-0123456789"


@pytest.fixture
def proxy(monkeypatch):
    """Return a function that sets the proxy for http."""
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "")

    def set_proxy(address):
        for name in ("http_proxy", "HTTP_PROXY"):
            monkeypatch.setenv(name, address)

    return set_proxy


@pytest.mark.parametrize(
    ("address", "said"),
    [
        (f"http://{NOWHERE}", f"no connection to the proxy (http_proxy=http://{NOWHERE})"),
        (f"http://me:{PASSWORD}@{NOWHERE}", "Connection refused"),
        (f"me:{PASSWORD}@{NOWHERE}", f"http_proxy=http://{NOWHERE}"),
        (f"http://me:{PASSWORD}#/@{NOWHERE}", "is not valid"),
        (f"http://me:{PASSWORD}@127.0.0.1:port", "is not valid"),
        (f"gopher://me:{PASSWORD}@{NOWHERE}", "proxy"),
        (f"socks5://me:{PASSWORD}@{NOWHERE}", "does not begin with http"),
    ],
)
def test_a_dead_proxy_is_named_without_its_password(server, tmp_path, proxy, caplog, address, said):
    proxy(address)
    with pytest.raises(SkymillError) as caught:
        fetch(server, tmp_path)
    assert said in str(caught.value)
    assert PASSWORD not in str(caught.value) + caplog.text


def test_a_proxy_is_used(server, tmp_path, proxy):
    proxy(server.address)
    target = tmp_path / "x.json"
    download(["http://far.invalid/x.json"], target, JSON_LINES, sleep=lambda _: None)
    assert target.read_bytes() == CONTENT


def test_a_proxy_that_needs_a_password_is_reported(server, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "servers._Handler.do_CONNECT", lambda handler: handler.send_error(407), raising=False
    )
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, server.address)
    with pytest.raises(SkymillError, match=r"needs another user and password \(407\)"):
        download(["https://far.invalid/x.json"], tmp_path / "x.json", JSON_LINES)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("http://far.invalid/x.json", "the server's name is unknown here"),
        (f"http://me:{PASSWORD}@{NOWHERE}/x.json", "no connection (Connection refused)"),
        ("http://127.0.0.1:99999/x.json", "is not valid"),
        ("ftp://127.0.0.1/x.json", "does not begin with http or https"),
    ],
)
def test_no_network_and_an_unknown_address_have_different_messages(tmp_path, caplog, address, said):
    patience = Patience(attempts=1, timeout=5)
    with pytest.raises(SkymillError) as caught:
        download([address], tmp_path / "x.json", JSON_LINES, patience=patience)
    assert said in str(caught.value)
    assert PASSWORD not in str(caught.value) + caplog.text


def test_endless_redirects_are_reported(server, tmp_path):
    server.always("/x.json", status(302, Location="/x.json"))
    with pytest.raises(SkymillError, match="from address to address without end"):
        fetch(server, tmp_path)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """Return the files of a self-signed certificate for 127.0.0.1 and of its key."""
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "An institute")])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("certificate")
    pem = serialization.Encoding.PEM
    plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / "ca.pem").write_bytes(signed.public_bytes(pem))
    (folder / "key.pem").write_bytes(key.private_bytes(pem, *plain))
    return folder / "ca.pem", folder / "key.pem"


@pytest.fixture
def secure(server, certificate):
    """Return the address of the file on a server that has this certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    return server.address.replace("http:", "https:") + "/x.json"


def test_an_untrusted_certificate_is_reported_immediately_with_advice(secure, tmp_path):
    with pytest.raises(SkymillError, match=r"certificate is not trusted.*REQUESTS_CA_BUNDLE"):
        download([secure], tmp_path / "x.json", JSON_LINES, sleep=pytest.fail)


def test_the_bundle_of_the_environment_is_trusted(secure, tmp_path, certificate, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate[0]))
    download([secure], tmp_path / "x.json", JSON_LINES)
    assert (tmp_path / "x.json").read_bytes() == CONTENT


def test_a_missing_bundle_is_named(secure, tmp_path, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/ca.pem")
    with pytest.raises(SkymillError, match=r"/nowhere/ca\.pem"):
        download([secure], tmp_path / "x.json", JSON_LINES)
