"""Unpacking writes every file once and only inside the target, and can be resumed."""

import lzma
import os
import shutil
import struct
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sdo_files import write_zip

from skymill.engine.digests import document_digest
from skymill.engine.errors import SkymillError
from skymill.engine.products import read_json
from skymill.raw.files import write_sidecar
from skymill.sdo import archive as archive_module
from skymill.sdo import unpack as unpack_module
from skymill.sdo.archive import read_contents
from skymill.sdo.unpack import select, unpack

ROOTS = ["full", "Full", "FULL", "fuLL"]


def tree(folder):
    """Return {path: content} of the files below a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def four_times(files):
    return [(f"{root}/{name}", content) for root in ROOTS for name, content in files.items()]


def link(name):
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = 0o120777 << 16
    return info


FILES = {"training/meta_data.csv": b"id\n", "training/1/a.jpg": b"a" * 50, "test/b.jpg": b"bb"}


def test_case_copies_are_extracted_once_under_one_spelling(tmp_path):
    archive = write_zip(tmp_path / "x.zip", four_times(FILES))
    manifest = unpack(archive, tmp_path / "sdo")
    assert tree(tmp_path / "sdo") == {f"full/{name}": content for name, content in FILES.items()}
    assert manifest["counts"]["copies"] == 9
    assert manifest["counts"]["extracted"] == 3
    document = {**manifest, "digest": document_digest(manifest)}
    assert document == read_json(tmp_path / "sdo.manifest.json")
    assert manifest["source"] == "local"
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "sdo",
        "sdo.manifest.json",
        "sdo.manifest.members.parquet",
        "x.zip",
    ]


def test_a_tree_has_the_source_of_its_zip(tmp_path):
    archive = write_zip(tmp_path / "x.zip", four_times(FILES))
    write_sidecar(archive, "sample")
    assert unpack(archive, tmp_path / "sdo")["source"] == "sample"


def test_different_files_under_one_name_are_all_kept_and_listed(tmp_path):
    members = [("R/a.jpg", b"one"), ("r/a.jpg", b"two!"), ("r/A.jpg", b"one"), ("R/b.jpg", b"b")]
    manifest = unpack(write_zip(tmp_path / "x.zip", members), tmp_path / "sdo")
    found = tree(tmp_path / "sdo")
    assert sorted(found.values()) == [b"b", b"one", b"two!"]
    assert found["r/A.jpg"] == b"one"
    assert manifest["counts"]["names_in_conflict"] == 1
    assert len(manifest["conflicts"][0]) == 2


@pytest.mark.parametrize(
    ("member", "reason"),
    [
        ("../evil", "unsafe_name"),
        ("a/../../evil", "unsafe_name"),
        ("/etc/evil", "unsafe_name"),
        ("C:/evil", "unsafe_name"),
        ("a\\..\\evil", "unsafe_name"),
        ("a//evil", "unsafe_name"),
        ("./evil", "unsafe_name"),
        ("n" * 300, "name_too_long"),
        ("d/" * 32 + "evil", "path_too_deep"),
        ("d/" * 32_000 + "evil", "path_too_deep"),
        ("/".join(["d" * 200] * 6), "path_too_deep"),
        (link("a/evil"), "symbolic_link"),
    ],
)
def test_harmful_members_are_refused_and_listed(tmp_path, member, reason):
    archive = write_zip(tmp_path / "in" / "x.zip", [(member, b"evil"), ("r/good", b"good")])
    manifest = unpack(archive, tmp_path / "in" / "sdo")
    assert list(manifest["refused"]) == [reason]
    assert tree(tmp_path / "in" / "sdo") == {"r/good": b"good"}
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_absurd_compression_is_refused(tmp_path):
    archive = write_zip(tmp_path / "x.zip", [("r/bomb", bytes(2**22)), ("r/good", b"good")])
    assert list(unpack(archive, tmp_path / "sdo")["refused"]) == ["absurd_compression_ratio"]


@pytest.mark.parametrize(
    "method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
)
def test_zips_of_other_programs_are_read(tmp_path, method):
    files = {"r/a.jpg": os.urandom(70_000), "r/b.csv": b"id\n" * 1000, "r/empty": b""}
    archive = write_zip(tmp_path / "x.zip", files.items(), method)
    assert unpack(archive, tmp_path / "sdo")["refused"] == {}
    assert tree(tmp_path / "sdo") == files


def test_an_lzma_member_without_an_end_mark_is_read(tmp_path):
    content = b"id,start,end,peak_flux\n" * 50
    alone = lzma.compress(content, lzma.FORMAT_ALONE)
    # An .lzma file: properties in 5 bytes, the size in 8, the stream. Python writes an end mark.
    stream = lzma.LZMACompressor(
        lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA1, "dict_size": 2**23}]
    )
    raw = stream.compress(content) + stream.flush()
    packed = struct.pack("<BBH", 9, 20, 5) + alone[:5] + raw
    assert archive_module._unpack(packed, len(content), archive_module.LZMA, flags=0) == content


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("place", [3, 9, 40, 200])
def test_a_changed_byte_of_a_packed_member_is_damage_and_no_crash(tmp_path, method, place):
    archive = write_zip(tmp_path / "x.zip", [("r/a", os.urandom(500))], method)
    content = bytearray(archive.read_bytes())
    content[30 + len("r/a") + place] ^= 0x55
    archive.write_bytes(content)
    with pytest.raises(SkymillError, match=r"x\.zip is damaged: r/a .* fetch it again"):
        unpack(archive, tmp_path / "sdo")


@pytest.mark.parametrize(
    ("number", "reason"),
    [(9, "deflate64"), (93, "zstandard"), (99, "aes"), (77, "method_77")],
)
def test_an_unsupported_method_is_refused_by_name(tmp_path, number, reason):
    archive = write_zip(tmp_path / "x.zip", [("r/other", b"x"), ("r/good", b"good")])
    content = bytearray(archive.read_bytes())
    entry = content.index(b"PK\x01\x02")
    content[entry + 10] = number
    archive.write_bytes(content)
    manifest = unpack(archive, tmp_path / "sdo")
    assert manifest["refused"] == {f"compressed_by_{reason}": ["r/other"]}
    assert tree(tmp_path / "sdo") == {"r/good": b"good"}


def test_a_zip_whose_members_are_all_refused_says_why(tmp_path):
    archive = write_zip(tmp_path / "x.zip", [(link("a/one"), b"x"), ("../two", b"x")])
    with pytest.raises(SkymillError, match=r"symbolic link: a/one\n  unsafe name: \.\./two\n"):
        unpack(archive, tmp_path / "sdo")


def test_a_member_that_would_be_longer_than_the_zip_is_damage(tmp_path):
    archive = write_zip(tmp_path / "x.zip", [("r/a", b"x" * 50)], zipfile.ZIP_STORED)
    content = bytearray(archive.read_bytes())
    entry = content.index(b"PK\x01\x02")
    content[entry + 20 : entry + 28] = struct.pack("<2L", 2**31, 2**31)
    archive.write_bytes(content)
    with pytest.raises(SkymillError, match="longer than the whole archive"):
        unpack(archive, tmp_path / "sdo")


def test_impossible_offsets_and_sizes_are_damage(tmp_path):
    plain = write_zip(
        tmp_path / "plain.zip", [("r/a", b"x" * 50), ("r/b", b"y")], zipfile.ZIP_STORED
    )
    content = plain.read_bytes()
    entry = content.index(b"PK\x01\x02")
    for place, number in ((20, 2**32 - 2), (42, len(content)), (42, 2**32 - 2), (42, entry - 30)):
        broken = bytearray(content)
        broken[entry + place : entry + place + 4] = struct.pack("<L", number)
        plain.write_bytes(broken)
        with pytest.raises(SkymillError, match=r"plain\.zip is damaged: r/a"):
            unpack(plain, tmp_path / "sdo")


@pytest.mark.parametrize("values", [(2**62, 5, 0), (5, 2**62, 0), (5, 5, 2**63), (5, 5, 2**64 - 1)])
def test_impossible_64_bit_numbers_allocate_no_memory(tmp_path, values):
    size, compressed, offset = values
    extra = struct.pack("<2H3Q", 1, 24, size, compressed, offset)
    full = 2**32 - 1
    entry = struct.pack(
        "<4s6H3L5H2L",
        b"PK\x01\x02",
        45,
        45,
        0,
        0,
        0,
        0,
        0,
        full,
        full,
        3,
        len(extra),
        *[0] * 4,
        full,
    )
    archive = tmp_path / "x.zip"
    start = struct.pack("<4s5H3L2H", b"PK\x03\x04", 45, 0, 0, 0, 0, 0, 5, 5, 3, 0) + b"r/ahello"
    directory = entry + b"r/a" + extra
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, len(directory), len(start), 0)
    archive.write_bytes(start + directory + end)
    with pytest.raises(SkymillError):
        unpack(archive, tmp_path / "sdo")


def test_overlapping_members_are_refused(tmp_path):
    members = [("r/one", b"1" * 400), ("r/two", b"2" * 400), ("r/three", b"3" * 400)]
    archive = write_zip(tmp_path / "x.zip", members, zipfile.ZIP_STORED)
    content = bytearray(archive.read_bytes())
    second = content.index(b"PK\x01\x02", content.index(b"PK\x01\x02") + 1)
    # The directory gives the second member the offset of the first one.
    content[second + 42 : second + 46] = struct.pack("<L", 0)
    archive.write_bytes(content)
    manifest = unpack(archive, tmp_path / "sdo")
    assert manifest["refused"] == {"overlapping": ["r/two"]}
    assert tree(tmp_path / "sdo") == {"r/one": b"1" * 400, "r/three": b"3" * 400}


def test_a_zip_that_expands_more_than_a_hundred_times_in_total_is_refused(tmp_path):
    # The ratio of each member is below the limit for a single member.
    content = [os.urandom(2**14) + bytes(185 * 2**14) for _ in range(3)]
    members = [(f"r/{number}", each) for number, each in enumerate(content)]
    archive = write_zip(tmp_path / "x.zip", members)
    with pytest.raises(SkymillError, match="more than 100 times its size"):
        unpack(archive, tmp_path / "sdo")


def test_a_member_too_large_for_the_data_set_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(unpack_module, "LARGEST", 1000)
    archive = write_zip(tmp_path / "x.zip", [("r/large", os.urandom(1001)), ("r/good", b"good")])
    assert unpack(archive, tmp_path / "sdo")["refused"] == {"too_large": ["r/large"]}


def test_a_zip_of_more_members_than_fit_into_memory_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archive_module, "MOST_MEMBERS", 2)
    archive = write_zip(tmp_path / "x.zip", [(f"r/{n}", b"") for n in range(3)])
    with pytest.raises(SkymillError, match="lists 3 members"):
        unpack(archive, tmp_path / "sdo")


def test_backslashes_between_folders_are_slashes(tmp_path):
    # Python's zip writer would replace them by slashes.
    names = [name.replace("/", "|") for name in FILES]
    archive = write_zip(tmp_path / "x.zip", zip(names, FILES.values(), strict=True))
    archive.write_bytes(archive.read_bytes().replace(b"|", b"\\"))
    assert unpack(archive, tmp_path / "sdo")["refused"] == {}
    assert tree(tmp_path / "sdo") == FILES


def test_two_tables_under_one_name_are_refused(tmp_path):
    tables = [("R/meta_data.csv", b"one"), ("r/meta_data.csv", b"two")]
    with pytest.raises(SkymillError, match=r"different tables as .*/meta_data"):
        unpack(write_zip(tmp_path / "x.zip", tables), tmp_path / "sdo")
    # With more copies, the copy that differs counts as damaged, as for every other file.
    most = [*tables, ("RR/../r", b"x"), ("r/Meta_Data.csv", b"two")]
    unpack(write_zip(tmp_path / "y.zip", most), tmp_path / "sdo")


def test_encrypted_members_are_refused(tmp_path):
    archive = write_zip(tmp_path / "x.zip", [("r/secret", b"x"), ("r/good", b"good")])
    content = bytearray(archive.read_bytes())
    entry = content.index(b"PK\x01\x02")
    content[entry + 8] |= 1
    archive.write_bytes(content)
    assert list(unpack(archive, tmp_path / "sdo")["refused"]) == ["encrypted"]


def test_a_member_that_is_larger_than_it_says_is_found_while_reading(tmp_path):
    archive = write_zip(tmp_path / "x.zip", [("r/liar", b"x" * 3000)])
    content = bytearray(archive.read_bytes())
    entry = content.index(b"PK\x01\x02")
    content[entry + 24 : entry + 28] = struct.pack("<L", 10)
    archive.write_bytes(content)
    with pytest.raises(SkymillError, match="wrong size or checksum"):
        unpack(archive, tmp_path / "sdo")
    assert not (tmp_path / "sdo").exists()


def test_a_changed_byte_is_found_by_its_checksum(tmp_path):
    archive = write_zip(tmp_path / "x.zip", [("r/a", b"abcdef" * 9)], zipfile.ZIP_STORED)
    archive.write_bytes(archive.read_bytes().replace(b"abcdef", b"abcdeg", 1))
    with pytest.raises(SkymillError, match=r"x\.zip is damaged: r/a .* fetch it again"):
        unpack(archive, tmp_path / "sdo")


@pytest.mark.parametrize("keep", [0, 1, 30, 200, -1, -22, -60])
def test_a_zip_that_is_cut_short_is_refused(tmp_path, keep):
    archive = write_zip(tmp_path / "x.zip", four_times(FILES))
    archive.write_bytes(archive.read_bytes()[:keep])
    with pytest.raises(SkymillError, match="fetch it again"):
        unpack(archive, tmp_path / "sdo")


def test_a_file_that_is_no_zip_is_refused(tmp_path):
    archive = tmp_path / "x.zip"
    archive.write_text("<html>" * 100)
    with pytest.raises(SkymillError, match="does not begin like a zip"):
        unpack(archive, tmp_path / "sdo")


def test_an_empty_zip_is_refused(tmp_path):
    with pytest.raises(SkymillError, match="no file that can be extracted"):
        unpack(write_zip(tmp_path / "x.zip", []), tmp_path / "sdo")


def test_a_full_disk_is_reported_before_anything_is_extracted(tmp_path, monkeypatch):
    archive = write_zip(tmp_path / "x.zip", four_times(FILES))
    usage = shutil.disk_usage(tmp_path)._replace(free=10)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(SkymillError, match=r"needs .* GB more, but only .* are free"):
        unpack(archive, tmp_path / "sdo")


def test_a_zip64_with_a_comment_is_read(tmp_path):
    archive = tmp_path / "x.zip"
    with zipfile.ZipFile(archive, "w") as writer:
        writer.comment = b"a comment"
        for number in range(66000):
            writer.writestr(f"r/{number}", b"")
        with writer.open("r/wide", "w", force_zip64=True) as stream:
            stream.write(b"wide")
    contents = read_contents(archive)
    assert len(contents.names) == 66001
    with zipfile.ZipFile(archive) as reader:
        assert contents.names == reader.namelist()
        assert contents.members["offset"].tolist() == [i.header_offset for i in reader.infolist()]
        assert contents.members["crc"].tolist() == [i.CRC for i in reader.infolist()]


def test_a_killed_run_is_resumed(tmp_path, monkeypatch):
    monkeypatch.setattr(unpack_module, "MEMBERS_PER_PIECE", 1)
    archive = write_zip(tmp_path / "x.zip", [(f"r/{n}", b"%d" % n) for n in range(6)])
    extract, count = unpack_module.extract_member, []

    def killed(*arguments):
        count.append(1)
        if len(count) == 4:
            raise KeyboardInterrupt
        return extract(*arguments)

    monkeypatch.setattr(unpack_module, "extract_member", killed)
    with pytest.raises(KeyboardInterrupt):
        unpack(archive, tmp_path / "sdo")
    partial = tmp_path / ".sdo.partial"
    done = [n for n in range(6) if (partial / "marks" / f"{n:08d}").exists()]
    left = [n for n in range(6) if n not in done]
    assert len(done) == len(left) == 3
    # Half a file of the batch being written, and a shortened file of a finished batch.
    for number in (done[0], left[0]):
        (partial / "tree" / "r" / str(number)).write_bytes(b"")
    unpack(archive, tmp_path / "sdo")
    assert len(count) == 4 + 3 + 1
    assert tree(tmp_path / "sdo") == {f"r/{n}": b"%d" % n for n in range(6)}
    assert not partial.exists()


def test_a_zip_that_changes_while_it_is_unpacked_gives_no_tree(tmp_path, monkeypatch):
    archive = write_zip(tmp_path / "x.zip", four_times(FILES))
    other = write_zip(tmp_path / "other.zip", four_times({**FILES, "test/c.jpg": b"ccc"}))
    extract = unpack_module.extract_member

    def replacing(*member):
        if other.exists():
            other.replace(archive)
        return extract(*member)

    monkeypatch.setattr(unpack_module, "extract_member", replacing)
    with pytest.raises(SkymillError, match=r"x\.zip changed while it was read"):
        unpack(archive, tmp_path / "sdo")
    assert not (tmp_path / "sdo").exists()
    assert not (tmp_path / "sdo.manifest.json").exists()
    assert unpack(archive, tmp_path / "sdo")["counts"]["extracted"] == 4
    assert tree(tmp_path / "sdo")["full/test/c.jpg"] == b"ccc"


def test_another_zip_starts_from_the_beginning(tmp_path):
    archive = write_zip(tmp_path / "x.zip", [("r/new", b"new")])
    stale = tmp_path / ".sdo.partial" / "tree" / "r"
    stale.mkdir(parents=True)
    (stale / "old").write_bytes(b"old")
    (tmp_path / ".sdo.partial" / "archive.json").write_text('{"bytes": 1}')
    unpack(archive, tmp_path / "sdo")
    assert tree(tmp_path / "sdo") == {"r/new": b"new"}


def test_the_manifest_is_written_before_the_tree(tmp_path, monkeypatch):
    # A tree without a manifest counts as the user's own, so unpacking must never leave such a tree.
    archive = write_zip(tmp_path / "x.zip", four_times(FILES))

    def killed(path, document):
        assert path.name == "sdo.manifest.json"
        raise KeyboardInterrupt

    monkeypatch.setattr(unpack_module, "write_document", killed)
    with pytest.raises(KeyboardInterrupt):
        unpack(archive, tmp_path / "sdo")
    assert not (tmp_path / "sdo").exists()


NAMES = st.lists(
    st.tuples(
        st.sampled_from(["r", "R", "../r", "s/T", "S/t"]),
        st.sampled_from(["a.jpg", "A.jpg", "b", "c/"]),
        st.sampled_from([b"", b"one", b"two"]),
    ),
    min_size=1,
    max_size=12,
    unique_by=lambda member: member[:2],
)


@settings(max_examples=60, deadline=None)
@given(members=NAMES, data=st.data())
def test_every_member_is_accounted_for_in_any_order(tmp_path_factory, members, data):
    tmp_path = tmp_path_factory.mktemp("zip")
    named = [(f"{folder}/{name}", content) for folder, name, content in members]
    named.append(("z/always", b"there"))
    results = []
    for number, order in enumerate((named, data.draw(st.permutations(named)))):
        archive = write_zip(tmp_path / str(number) / "x.zip", order)
        manifest = unpack(archive, tmp_path / str(number) / "sdo")
        counts = manifest["counts"]
        kept = counts["extracted"] + counts["copies"]
        assert counts["members"] == kept + counts["refused"] + counts["folders"] == len(named)
        found = tree(tmp_path / str(number) / "sdo")
        assert len(found) == counts["extracted"]
        wanted = {
            (name.casefold(), content)
            for name, content in named
            if not name.startswith("..") and not name.endswith("/")
        }
        assert len(found) == len(wanted)
        assert {content for _, content in wanted} == set(found.values())
        results.append((found, manifest["tree_sha256"]))
    assert results[0] == results[1]


def test_any_number_of_workers_gives_the_same_tree(tmp_path, monkeypatch):
    monkeypatch.setattr(unpack_module, "MEMBERS_PER_PIECE", 2)
    archive = write_zip(tmp_path / "x.zip", [(f"r/{n}", os.urandom(50)) for n in range(7)])
    first = unpack(archive, tmp_path / "one" / "sdo", workers=1)
    second = unpack(archive, tmp_path / "two" / "sdo", workers=2)
    assert first == second
    assert tree(tmp_path / "one" / "sdo") == tree(tmp_path / "two" / "sdo")


def test_a_name_that_is_both_file_and_folder_is_refused(tmp_path):
    archive = write_zip(tmp_path / "x.zip", [("r/a", b"x"), ("R/A/b", b"y")])
    with pytest.raises(SkymillError, match="both a file and a folder"):
        select(read_contents(archive))
