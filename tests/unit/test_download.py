"""Downloads: complete, checked and resumed, or refused by name; never half a file."""

import hashlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from servers import FileServer, cut, page, retry_date, stall, status, whole
from skymill.engine.errors import SkymillError
from skymill.raw import http
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
    """Have a run fail after some bytes."""
    server.misbehave("/x.json", cut(after), status(404))
    with pytest.raises(SkymillError):
        fetch(server, folder)


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_arrives_with_its_checksum_and_leaves_nothing_else(server, tmp_path):
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


def test_a_later_run_goes_on_where_a_killed_one_stopped(server, tmp_path):
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
        cut(1000)(handler, content)
        server.files["/x.json"] = OTHER

    server.misbehave("/x.json", change)
    assert fetch(server, tmp_path)[0] == OTHER


def test_without_a_validator_nothing_is_gone_on_with_unless_a_checksum_can_prove_it(
    server, tmp_path
):
    server.validators = False
    interrupt(server, tmp_path)
    assert fetch(server, tmp_path) == (CONTENT, SHA256)
    assert server.ranges()[-1] is None


@pytest.mark.parametrize("size", [1000, len(CONTENT)])
def test_a_damaged_part_is_found_by_the_checksum_and_fetched_anew(server, tmp_path, size):
    interrupt(server, tmp_path)
    (tmp_path / "x.json.part").write_bytes(b"x" * size)
    expected = Expected(kind="json_lines", checksum=SHA256)
    assert fetch(server, tmp_path, expected) == (CONTENT, SHA256)


def test_another_checksum_is_refused_with_both(server, tmp_path):
    wanted = hashlib.md5(OTHER).hexdigest()
    expected = Expected(kind="json_lines", algorithm="md5", checksum=wanted)
    with pytest.raises(SkymillError) as caught:
        fetch(server, tmp_path, expected)
    assert wanted in str(caught.value)
    assert hashlib.md5(CONTENT).hexdigest() in str(caught.value)
    assert left(tmp_path) == []


def test_another_size_is_refused_before_anything_is_fetched(server, tmp_path):
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
def test_something_else_with_status_200_is_refused_by_name(server, tmp_path, answer, said):
    server.always("/x.json", answer)
    with pytest.raises(SkymillError, match=said):
        fetch(server, tmp_path)
    assert left(tmp_path) == []


@pytest.mark.parametrize("code", [400, 401, 403, 404, 410])
def test_a_final_answer_is_not_asked_for_twice(server, tmp_path, pauses, code):
    server.always("/x.json", status(code))
    with pytest.raises(SkymillError, match=f"answered {code}"):
        fetch(server, tmp_path, pauses=pauses)
    assert pauses == []
    assert len(server.requests) == 1


@pytest.mark.parametrize("code", [429, 500, 502, 503])
def test_a_passing_answer_is_tried_again(server, tmp_path, pauses, code):
    server.misbehave("/x.json", status(code), status(code))
    assert fetch(server, tmp_path, pauses=pauses) == (CONTENT, SHA256)
    assert len(pauses) == 2


def test_pauses_grow_to_a_minute(server, tmp_path, pauses):
    server.always("/x.json", status(503))
    with pytest.raises(SkymillError, match="after 12 tries"):
        fetch(server, tmp_path, pauses=pauses, attempts=12)
    for number, pause in enumerate(pauses):
        longest = min(60, 2 ** (number + 1))
        assert longest / 2 <= pause <= longest


def test_the_server_says_how_long_to_wait(server, tmp_path, pauses):
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
    with pytest.raises(SkymillError, match=r"come back in 7,200 s"):
        fetch(server, tmp_path)


def test_silence_is_given_up_and_gone_on_after(server, tmp_path):
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


def test_when_all_fail_each_is_named_with_its_reason(server, tmp_path):
    addresses = [server.address + "/gone.json", "http://127.0.0.1:9/x.json"]
    with pytest.raises(SkymillError) as caught:
        download(addresses, tmp_path / "x.json", JSON_LINES, sleep=lambda _: None)
    message = str(caught.value)
    assert "x.json could not be fetched" in message
    assert f"{addresses[0]}: the server answered 404" in message
    assert f"{addresses[1]}: no connection" in message


def test_a_full_disk_is_told_before_the_download(server, tmp_path, monkeypatch):
    monkeypatch.setattr("skymill.engine.space.RESERVE_BYTES", 2**62)
    with pytest.raises(SkymillError, match="GB are free"):
        fetch(server, tmp_path)
    assert not (tmp_path / "x.json.part").exists()


def test_what_stood_there_is_kept_when_a_download_fails(server, tmp_path):
    (tmp_path / "x.json").write_bytes(b"earlier")
    server.always("/x.json", status(404))
    with pytest.raises(SkymillError):
        fetch(server, tmp_path)
    assert (tmp_path / "x.json").read_bytes() == b"earlier"


def test_a_file_without_a_length_is_complete_when_the_server_says_so(server, tmp_path):
    def chunked(handler, content):
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for at in range(0, len(content), 50000):
            piece = content[at : at + 50000]
            handler.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        handler.wfile.write(b"0\r\n\r\n")

    server.always("/x.json", chunked)
    assert fetch(server, tmp_path) == (CONTENT, SHA256)


def test_a_part_that_is_longer_than_the_file_is_thrown_away(server, tmp_path):
    interrupt(server, tmp_path)
    (tmp_path / "x.json.part").write_bytes(CONTENT + b"more")
    assert fetch(server, tmp_path) == (CONTENT, SHA256)


def test_a_note_that_was_cut_off_is_no_obstacle(server, tmp_path):
    (tmp_path / "x.json.part").write_bytes(CONTENT[:500])
    (tmp_path / "x.json.part.json").write_text('{"address": ')
    assert fetch(server, tmp_path) == (CONTENT, SHA256)


def test_the_longest_pause_is_no_longer_than_what_a_server_may_ask_for():
    assert http.LONGEST_PAUSE <= http.LONGEST_RETRY_AFTER
