"""The readers of the campaign, each with an intact input and its result for a damaged input.

An intact input contains some records. A reader may refuse a damaged input completely, or return
some records and the number of lost records.
"""

import gzip
import io
import json
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from alert_packets import alert, as_record, fits, images, packet, schema, stamp, tar
from records import physical_values, record
from sdo_files import HEADER, jpeg, row
from swan_files import Catalogued, window

from skymill.alerts.avro import BadAvro, BadRecord, read_header, read_records
from skymill.alerts.fits import BadStamp, inflate, read_image
from skymill.alerts.packet import FIELDS
from skymill.alerts.schemas import read_schema
from skymill.alerts.walk import SPAN
from skymill.engine.errors import SkymillError
from skymill.engine.products import read_document, write_document
from skymill.magnetic.catalogue import ingest as ingest_lines
from skymill.sdo.images import STATUSES, check_image
from skymill.sdo.metadata import read_metadata
from skymill.sdo.unpack import unpack
from skymill.settings import require_bounded_file
from skymill.stealth.catalogue import ingest as ingest_table
from skymill.stealth.schema import COLUMNS
from skymill.ztf.catalogue import extract_night
from skymill.ztf.classes import MEMBERS
from skymill.ztf.decode import Choice
from skymill.ztf.label_lists import read_list

Records = dict


@dataclass(frozen=True)
class Intact:
    """An intact input.

    `records` is the result of a reader, by key. `spans` has the place of each record in the
    content, if a record can be damaged without damage to the others.
    """

    content: bytes
    records: Records
    spans: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Found:
    """The result of a reader: records by key, the number of lost records, or a refusal.

    `is_proved` is true if checksums cover each record, so that no value may be wrong. `repeated`
    counts records that have the key of another record: a damaged key can hide an intact record.
    """

    records: Records = field(default_factory=dict)
    lost: int = 0
    refused: bool = False
    is_proved: bool = False
    repeated: int = 0


@dataclass(frozen=True)
class Reader:
    """A reader: its name, a function for an intact input, and one that reads in an empty folder."""

    name: str
    intact: Callable[[], Intact]
    read: Callable[[bytes, Path], Found]


def _spans(content: bytes, pieces: dict) -> dict:
    """Return the places of lines, including their own line end and that of the line before."""
    found = {}
    for key, piece in pieces.items():
        begin = content.index(piece)
        # The end of the line with the column names affects all lines.
        found[key] = begin - bool(found), begin + len(piece) + 1
    return found


def _lost_lines(content: bytes, lines: int) -> int:
    """Return how many of `lines` lines are lost: joined to other lines, or blank now."""
    return lines - sum(bool(line.strip()) for line in content.split(b"\n"))


# Nights of alerts.

_ALERTS = range(1, 7)


def _night(kind: str) -> Intact:
    entries = [(f"{10**15 + number}.avro", packet(alert(number))) for number in _ALERTS]
    if kind == "packed":
        entries = [(f"{name}.gz", gzip.compress(text, 1, mtime=0)) for name, text in entries]
    content = tar(entries, mode="w")
    spans = {}
    for number, (_, text) in zip(_ALERTS, entries, strict=True):
        begin = content.index(text) - 512
        spans[10**15 + number] = begin, begin + 512 + len(text) + -len(text) % 512
    rows = _rows_of_night(content, Path("/nowhere"))
    if kind == "gzip":
        return Intact(gzip.compress(content, 1, mtime=0), rows.records)
    return Intact(content, rows.records, spans)


def _rows_of_night(content: bytes, folder: Path) -> Found:
    if folder == Path("/nowhere"):
        wanted = {}
        for number in _ALERTS:
            pixels = images(number)[:, 21:42, 21:42].astype(np.float32)
            wanted[10**15 + number] = (f"ZTF18a{number:06d}", pixels.tobytes())
        return Found(wanted)
    raw = folder / "night"
    raw.write_bytes(content)
    stamps = folder / "stamps.parquet"
    said = extract_night(
        raw, "20181129", stamps=stamps, quarantine=folder / "lost.jsonl", choice=Choice()
    )
    rows = {
        row["candid"]: (row["object_id"], np.array(row["stamps"], np.float32).tobytes())
        for row in pq.read_table(stamps, columns=["candid", "object_id", "stamps"]).to_pylist()
    }
    counts = said["counts"]
    lost = counts["records"] - counts["kept"] + counts["ignored_members"]
    return Found(rows, lost, refused=said["truncated"], repeated=counts["duplicates"])


# Avro files.


def _avro_values(kept) -> tuple:
    texts = []
    for kind, begin, size in kept.slots.tolist():
        texts.append(kept.text[begin : begin + size] if kind == SPAN else (kind, begin))
    return tuple(texts)


def _candid(values: tuple) -> object:
    return values[FIELDS.index("candid")]


def _avro(codec: str, interval: int = 1) -> Intact:
    alerts = [alert(number, shape=(9, 9)) for number in range(8)]
    changed = schema()
    # With arrays of items without bytes, which the compiled loop leaves to the general reader.
    if codec == "general":
        codec = "null"
        kind = {"type": "array", "items": "null"}
        changed["fields"].insert(0, {"name": "more", "type": kind})
        alerts = [{**each, "more": [None] * number} for number, each in enumerate(alerts)]
    content = packet(*alerts, codec=codec, interval=interval, writer_schema=changed)
    values = [_avro_values(as_record(each)) for each in alerts]
    header = read_header(content)
    spans, place = {}, header.end
    if interval == 1:
        for each in values:
            end = content.index(header.sync, place) + 16
            spans[_candid(each)] = place, end
            place = end
    return Intact(content, {_candid(each): each for each in values}, spans)


def _read_avro(content: bytes, _: Path) -> Found:
    try:
        header = read_header(content)
    except BadAvro:
        return Found(lost=1, refused=True)
    records, lost, repeated = {}, 0, 0
    for each in read_records(content, header, header.end):
        if isinstance(each, BadRecord):
            lost += each.lost
        else:
            values = _avro_values(each)
            repeated += _candid(values) in records
            records.setdefault(_candid(values), values)
    refused = header.writer.problem is not None
    return Found(records, lost + repeated, refused=refused, repeated=repeated)


def _schema() -> Intact:
    return Intact(json.dumps(schema()).encode(), {"schema": None})


def _read_schema(content: bytes, _: Path) -> Found:
    with suppress(BadAvro):
        read_schema(content)
    return Found(refused=True)


# Stamps and images.


def _stamp() -> Intact:
    picture = images(1)[0]
    return Intact(stamp(picture), {"pixels": picture.astype(">f4").tobytes()})


def _read_stamp(content: bytes, _: Path) -> Found:
    try:
        return Found({"pixels": read_image(inflate(content)).tobytes()}, is_proved=True)
    except BadStamp:
        return Found(lost=1)


def _fits() -> Intact:
    return Intact(fits(images(1)[0]), {})


def _read_fits(content: bytes, _: Path) -> Found:
    try:
        rows, columns = read_image(content).shape
    except BadStamp:
        return Found(refused=True)
    assert 4 * rows * columns <= len(content)
    return Found(refused=True)


def _jpeg() -> Intact:
    return Intact(jpeg(3), {})


def _read_jpeg(content: bytes, _: Path) -> Found:
    found = check_image(content, "magnetogram")
    assert found.status in STATUSES
    return Found(refused=True)


# JSON lines.


def _lines(packed: bool) -> Intact:
    lines = {
        number: record(number, "XMCBQ"[number % 5], physical_values(number))
        for number in range(1, 6)
    }
    content = b"".join(line + b"\n" for line in lines.values())
    records = {number: _values_of_line(line) for number, line in lines.items()}
    if packed:
        return Intact(gzip.compress(content, 1, mtime=0), records)
    return Intact(content, records, _spans(content, lines))


def _values_of_line(line: bytes) -> bytes:
    ((_, found),) = json.loads(line).items()
    series = found["values"].values()
    return np.array([list(steps.values()) for steps in series]).T.tobytes()


def _read_lines(content: bytes, folder: Path) -> Found:
    raw = folder / "raw.json"
    raw.write_bytes(content)
    is_packed = content.startswith(b"\x1f\x8b")
    paths = {name: folder / name for name in ("values", "catalogue", "quarantine")}
    try:
        said = ingest_lines(raw, "train_partition1_data", labelled=True, **paths)
    except SkymillError:
        return Found(refused=True)
    rows = pq.read_table(paths["catalogue"]).to_pylist()
    counts = said["counts"]
    assert sum(row["lines"] for row in rows) == counts["lines"]
    ids = [row["source_id"] for row in rows if row["status"] == "valid"]
    records = {}
    files = [paths["values"] / entry["name"] for entry in said["files"]]
    if files:
        table = pq.read_table(files).drop(["seq_id", "fingerprint"])
        values = np.column_stack([column.to_numpy() for column in table.columns])
        for place, number in enumerate(ids):
            records.setdefault(number, values[60 * place : 60 * place + 60].tobytes())
    lost = counts["rejected"] + len(ids) - len(records)
    joined = 0 if is_packed else _lost_lines(content, 5)
    repeated = len(ids) - len(records)
    return Found(records, lost + joined, is_proved=is_packed, repeated=repeated)


# Zip archives.

_FILES = {f"r/{name}": bytes([place]) * 300 + name.encode() for place, name in enumerate("abcdefg")}


def _zip() -> Intact:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for place, (name, content) in enumerate(_FILES.items()):
            kind = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
            archive.writestr(zipfile.ZipInfo(name), content, kind[place % 4])
    return Intact(stream.getvalue(), {content: content for content in _FILES.values()})


def _read_zip(content: bytes, folder: Path) -> Found:
    raw = folder / "x.zip"
    raw.write_bytes(content)
    try:
        said = unpack(raw, folder / "tree")
    except SkymillError:
        return Found(refused=True)
    files = [path for path in (folder / "tree").rglob("*") if path.is_file()]
    found = {path.read_bytes() for path in files}
    lost = said["counts"]["refused"] + said["counts"]["copies"] + said["counts"]["folders"]
    return Found({content: content for content in found}, lost, is_proved=True)


# Tables and lists.

_LABELS = {f"ZTF18a{letter * 6}": "QSO" for letter in "bcdefghij"}


def _labels() -> Intact:
    lines = {name: f"{name},{label},0.5".encode() for name, label in _LABELS.items()}
    content = b"oid,predicted_class,predicted_class_proba\n" + b"\n".join(lines.values()) + b"\n"
    return Intact(content, _LABELS, _spans(content, lines))


def _packed_labels() -> Intact:
    content = tar(
        [("f/other.csv", b"x" * 3000), (f"f/{MEMBERS['predictions']}", _labels().content)]
    )
    return Intact(content, _LABELS)


def _read_labels(content: bytes, folder: Path) -> Found:
    raw = folder / "labels.csv"
    raw.write_bytes(content)
    try:
        found = read_list(raw, "predictions")
    except SkymillError:
        return Found(refused=True)
    rows = found.rows.to_pylist()
    assert found.lines == len(rows) + sum(found.rejected.values())
    records = {row["object"]: row["class"] for row in rows}
    is_packed = content.startswith(b"\x1f\x8b")
    joined = 0 if is_packed else _lost_lines(content, 10)
    lost, repeated = found.lines - len(records) + joined, len(rows) - len(records)
    return Found(records, lost, is_proved=is_packed, repeated=repeated)


def _table() -> Intact:
    names = ",".join(column.raw_name for column in COLUMNS)
    values = [next(iter(column.meanings)) if column.meanings else "7" for column in COLUMNS]
    line = ",".join(map(str, values))
    content = f"{names}\n".encode() + f"{line}\n".encode() * 20
    return Intact(content, {})


def _read_table(content: bytes, folder: Path) -> Found:
    raw = folder / "data.csv"
    raw.write_bytes(content)
    try:
        counts = ingest_table(raw, folder / "rows.parquet", folder / "lost.jsonl")["counts"]
    except SkymillError:
        return Found(refused=True)
    assert counts["lines"] == counts["valid"] + counts["rejected"] + counts["blank"]
    return Found(refused=True)


_SAMPLES = [
    row(11000 + number, f"2012-01-0{number} 12:00:00", flux=f"{number}e-09")
    for number in range(1, 8)
]


def _samples() -> Intact:
    lines = {cells[0]: ",".join(cells).encode() for cells in _SAMPLES}
    content = HEADER.encode() + b"\n".join(lines.values()) + b"\n"
    return Intact(content, {cells[0]: cells[3] for cells in _SAMPLES}, _spans(content, lines))


def _read_samples(content: bytes, folder: Path) -> Found:
    raw = folder / "meta_data.csv"
    raw.write_bytes(content)
    try:
        rows, malformed = read_metadata(raw)
    except SkymillError:
        return Found(refused=True)
    records = {each.sample_id: each.peak_flux for each in rows}
    repeated = len(rows) - len(records)
    lost = len(malformed) + repeated + _lost_lines(content, 8)
    return Found(records, lost, repeated=repeated)


# SWAN-SF.

_WINDOWS = [window(harp) for harp in range(3601, 3607)]


def _swan() -> Intact:
    names = [name for name, _ in _WINDOWS]
    return Intact(tar(_WINDOWS), dict.fromkeys(names, 1))


def _swan_plain() -> Intact:
    """Return an uncompressed tarball. Its checksums are computed after the damage: an attack."""
    names = [name for name, _ in _WINDOWS]
    content = tar(_WINDOWS, mode="w")
    spans = {}
    for name, text in _WINDOWS:
        begin = content.index(text) - 512
        spans[name] = begin, begin + 512 + len(text) + -len(text) % 512
    return Intact(content, dict.fromkeys(names, 1), spans)


def _read_swan(content: bytes, folder: Path) -> Found:
    raw = folder / "partition1_instances.tar.gz"
    raw.write_bytes(content)
    found = Catalogued(raw, folder)
    counts = found.counts
    names = found.windows["member"].to_pylist()
    lost = counts["rejected"] + counts["ignored_members"]
    broken = found.content["broken_off"] is not None
    return Found(dict.fromkeys(names, 1), lost, refused=broken)


def _read_swan_plain(content: bytes, folder: Path) -> Found:
    return _read_swan(gzip.compress(content, 1, mtime=0), folder)


# Documents and configurations.

_DOCUMENT = {"product": "a/b", "files": [{"name": "a/b", "bytes": 5}], "counts": {"kept": 1.5}}


def _document() -> Intact:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.manifest.json"
        write_document(path, _DOCUMENT)
        content = path.read_bytes()
    return Intact(content, {"document": json.dumps(json.loads(content), sort_keys=True)})


def _read_document(content: bytes, folder: Path) -> Found:
    path = folder / "x.manifest.json"
    path.write_bytes(content)
    try:
        found = read_document(path)
    except SkymillError:
        return Found(refused=True)
    return Found({"document": json.dumps(found, sort_keys=True)}, is_proved=True)


def _config() -> Intact:
    path = Path(__file__).resolve().parents[2] / "config" / "config.yaml"
    return Intact(path.read_bytes(), {})


def _read_config(content: bytes, folder: Path) -> Found:
    path = folder / "config.yaml"
    path.write_bytes(content)
    with suppress(SkymillError):
        require_bounded_file(path)
    return Found(refused=True)


def readers() -> Iterator[Reader]:
    """Yield all readers of the campaign."""
    yield Reader("night.tar", lambda: _night("plain"), _rows_of_night)
    yield Reader("night.tar.gz", lambda: _night("gzip"), _rows_of_night)
    yield Reader("night of packed files", lambda: _night("packed"), _rows_of_night)
    for codec in ("null", "general", "deflate", "snappy", "bzip2", "xz", "zstandard"):
        yield Reader(f"avro {codec}", lambda codec=codec: _avro(codec), _read_avro)
    yield Reader("avro in one block", lambda: _avro("null", 10**6), _read_avro)
    yield Reader("avro schema", _schema, _read_schema)
    yield Reader("stamp", _stamp, _read_stamp)
    yield Reader("fits", _fits, _read_fits)
    yield Reader("jpeg", _jpeg, _read_jpeg)
    yield Reader("json lines", lambda: _lines(False), _read_lines)
    yield Reader("json lines gzipped", lambda: _lines(True), _read_lines)
    yield Reader("zip", _zip, _read_zip)
    yield Reader("labels", _labels, _read_labels)
    yield Reader("labels in a tarball", _packed_labels, _read_labels)
    yield Reader("auxiliary table", _table, _read_table)
    yield Reader("table of samples", _samples, _read_samples)
    yield Reader("swan-sf", _swan, _read_swan)
    yield Reader("swan-sf repacked", _swan_plain, _read_swan_plain)
    yield Reader("document", _document, _read_document)
    yield Reader("configuration", _config, _read_config)
