"""Tar headers of any content are read in little memory, and damage is reported."""

import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skymill.engine.tar import (
    LONGEST_EXTENSION,
    BadTar,
    is_tar,
    read_members,
    read_number,
    read_pax,
)


def pack(members, form=tarfile.PAX_FORMAT):
    """Return a tar of (name, content) pairs."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=form) as archive:
        for name, content in members:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return stream.getvalue()


def unpack(content):
    """Return (name, content) of all files in a tar."""
    return [
        (member.name, member.read(member.size))
        for member in read_members(io.BytesIO(content))
        if member.is_file
    ]


NAMES = st.text(
    st.characters(blacklist_categories=["Cs", "Cc"], blacklist_characters="/"),
    min_size=1,
    max_size=150,
)


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
@given(members=st.lists(st.tuples(NAMES, st.binary(max_size=2000)), max_size=4))
def test_members_are_read_as_packed(form, members):
    assert unpack(pack(members, form)) == members


@given(members=st.lists(st.tuples(NAMES, st.binary(max_size=600)), max_size=4), data=st.data())
def test_the_unread_rest_of_a_member_is_skipped(members, data):
    seen = []
    for member in read_members(io.BytesIO(pack(members))):
        seen.append(member.name)
        member.read(data.draw(st.integers(0, member.size)))
    assert seen == [name for name, _ in members]


def test_folders_and_links_have_no_content():
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for kind in (tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE):
            entry = tarfile.TarInfo("x")
            entry.type, entry.size = kind, 10**9
            archive.addfile(entry)
    found = list(read_members(io.BytesIO(stream.getvalue())))
    assert [(member.size, member.is_file) for member in found] == [(0, False)] * 4
    assert [member.is_folder for member in found] == [True, False, False, False]


@given(place=st.integers(0, 511), bit=st.integers(0, 7))
def test_a_changed_bit_of_a_header_is_damage_or_only_changes_its_checksum(place, bit):
    content = bytearray(pack([("a", b"one"), ("b", b"two")], tarfile.USTAR_FORMAT))
    content[place] ^= 1 << bit
    try:
        found = unpack(bytes(content))
    except BadTar as error:
        found = str(error)
    assert found in ([("a", b"one"), ("b", b"two")], "the header at byte 0 is damaged")


@pytest.mark.parametrize("left", [100, 512, 600, 1024, 1100])
def test_a_truncated_tar_is_reported(left):
    content = pack([("a", b"x" * 600)], tarfile.USTAR_FORMAT)
    with pytest.raises(BadTar, match="too early"):
        unpack(content[:left])


def extension(kind, content, size=None):
    header = tarfile.TarInfo("e")
    header.type, header.size = kind, len(content) if size is None else size
    return header.tobuf(tarfile.GNU_FORMAT) + content + bytes(-len(content) % 512)


@pytest.mark.parametrize("kind", [b"L", b"K", b"x", b"g"])
def test_a_name_of_any_length_needs_little_memory(kind):
    with pytest.raises(BadTar, match="announces a name"):
        unpack(extension(kind, b"", LONGEST_EXTENSION + 1) + bytes(1024))


@pytest.mark.parametrize("kind", [b"L", b"x", b"g"])
def test_a_chain_of_extensions_is_followed_without_recursion(kind):
    content = extension(kind, b"name") * 20_000 + pack([("a", b"one")])
    assert [found for _, found in unpack(content)] == [b"one"]


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", {}),
        (b"6 a=b\n", {"a": "b"}),
        (b"6 a=b\n6 c=d\n", {"a": "b", "c": "d"}),
        (b"6 a=b\nno record", {"a": "b"}),
        (b"7 a=b\n", {}),
        (b"1 a=b\n", {}),
        (b"999999999999999999999 a=b\n", {}),
        (b"99 a=b\n", {}),
    ],
)
def test_records_of_a_pax_header_are_parsed(content, found):
    assert read_pax(content) == found


@pytest.mark.parametrize(
    ("text", "number"),
    [
        (b"00000000017\0", 15),
        (b"         17 ", 15),
        (b"\0" * 12, 0),
        (b"\x80" + b"\0" * 10 + b"\x05", 5),
        (b"\xff" * 12, -1),
        (b"x0000000017\0", -1),
        (b"-0000000017\0", -1),
    ],
)
def test_sizes_are_parsed(text, number):
    assert read_number(text) == number


def test_a_tar_is_recognised_by_its_header():
    assert is_tar(pack([]))
    assert is_tar(pack([("a", b"")]))
    assert not is_tar(b"x" * 512)
    assert not is_tar(bytes(511))
