"""Small alert packets for tests. fastavro writes them; FITS stamps are written card by card."""

import gzip
import io
import tarfile
from pathlib import Path

import cramjam
import fastavro
import numpy as np

from skymill.alerts.avro import Record
from skymill.alerts.general import read_long
from skymill.alerts.packet import FIELDS, IMAGES, SLOTS, TEXTS
from skymill.alerts.walk import INTEGER, NULL, REAL, SPAN

CUTOUTS = ("cutoutScience", "cutoutTemplate", "cutoutDifference")
REGULAR = (63, 63)


def fits(image, *, cards=(), simple="SIMPLE  =  T"):
    """Return an image as a FITS file as ZTF writes it, which is not quite standard."""
    rows, columns = image.shape
    head = [
        simple,
        f"BITPIX  = {-32:20d}",
        f"NAXIS   = {2:20d}",
        f"NAXIS1  = {columns:20d}",
        f"NAXIS2  = {rows:20d}",
        *cards,
        "END",
    ]
    header = "".join(card.ljust(80) for card in head).encode()
    header += b" " * (-len(header) % 2880)
    data = image.astype(">f4").tobytes()
    return header + data + bytes(-len(data) % 2880)


def stamp(image, **details):
    """Return an image as ZTF stores it."""
    return gzip.compress(fits(image, **details), 1, mtime=0)


def images(seed, shape=REGULAR):
    """Return three random images, float32."""
    generator = np.random.default_rng(seed)
    return generator.normal(size=(3, *shape)).astype(np.float32)


def schema(version="3.3", *, null_first=False):
    """Return an alert schema: the fields that Skymill reads, some others, and history arrays."""

    def option(kind):
        return ["null", kind] if null_first else [kind, "null"]

    def record(name, **fields):
        return {
            "type": "record",
            "name": name,
            "fields": [{"name": field, "type": kind} for field, kind in fields.items()],
        }

    history = record(
        "ztf.alert.prv_candidate",
        jd="double",
        fid="int",
        magpsf=option("float"),
        isdiffpos=option("string"),
    )
    cutout = record("ztf.alert.cutout", fileName="string", stampData="bytes")
    drb = {"drb": option("float"), "drbversion": "string"} if version != "3.1" else {}
    candidate = record(
        "ztf.alert.candidate",
        jd="double",
        fid="int",
        pid="long",
        pdiffimfilename=option("string"),
        programid="int",
        candid="long",
        isdiffpos="string",
        field=option("int"),
        xpos=option("float"),
        ypos=option("float"),
        ra="double",
        dec="double",
        magpsf="float",
        rb=option("float"),
        **drb,
    )
    top = record(
        "ztf.alert",
        schemavsn="string",
        publisher="string",
        objectId="string",
        candid="long",
        candidate=candidate,
        prv_candidates=["null", {"type": "array", "items": history}],
        cutoutScience=["null", cutout],
        cutoutTemplate=["null", "ztf.alert.cutout"],
        cutoutDifference=["null", "ztf.alert.cutout"],
    )
    return {**top, "version": version}


def alert(number, *, shape=REGULAR, version="3.3", **changes):
    """Return alert `number` as a record; `changes` replace top-level or candidate fields."""
    pictures = images(number, shape)
    candidate = {
        "jd": 2458451.5 + number,
        "fid": 1 + number % 2,
        "pid": 7,
        "pdiffimfilename": "x.fits",
        "programid": 1,
        "candid": 10**15 + number,
        "isdiffpos": "t1f0"[number % 4],
        "field": 248,
        "xpos": 1500.25,
        "ypos": 1600.5,
        "ra": 10.5 + number,
        "dec": -20.25,
        "magpsf": 18.5,
        "rb": 0.75,
        "drb": None if number % 2 else 0.5,
        "drbversion": "d6_m7",
    }
    record = {
        "schemavsn": version,
        "publisher": "ZTF",
        "objectId": f"ZTF18a{number:06d}",
        "candid": 10**15 + number,
        "prv_candidates": [
            {
                "jd": 2458400.5 + step,
                "fid": 1,
                "magpsf": None if step % 3 else 19.0,
                "isdiffpos": "t",
            }
            for step in range(number % 5)
        ]
        or None,
        **{
            name: {"fileName": f"candid{number}.fits.gz", "stampData": stamp(pictures[place])}
            for place, name in enumerate(CUTOUTS)
        },
    }
    for name, value in changes.items():
        (candidate if name in candidate and name != "candid" else record)[name] = value
    return {**record, "candidate": candidate}


SYNC = bytes(range(100, 116))


def packet(*records, codec="null", interval=1, writer_schema=None):
    """Return an Avro file of these records. A fixed sync marker makes the bytes reproducible."""
    if codec == "zstandard":
        plain = packet(*records, interval=interval, writer_schema=writer_schema)
        return recoded(plain, codec, lambda block: bytes(cramjam.zstd.compress(block)))
    stream = io.BytesIO()
    fastavro.writer(
        stream,
        fastavro.parse_schema(writer_schema or schema()),
        records,
        codec=codec,
        sync_interval=interval,
        sync_marker=SYNC,
    )
    return stream.getvalue()


def blocks(text):
    """Return a file's header, and for each block its number of records and its data."""
    begin = text.index(SYNC) + len(SYNC)
    found, position = [], begin
    while position < len(text):
        count, start = read_long(text, position)
        size, start = read_long(text, start)
        found.append((count, text[start : start + size]))
        position = start + size + len(SYNC)
    return text[:begin], found


def block(count, data, marker=SYNC):
    """Return a block of an Avro file."""
    return as_long(count) + as_long(len(data)) + data + marker


def recoded(text, codec, compress):
    """Return a file of codec null with another codec, also one that fastavro does not support."""
    header, found = blocks(text)
    name = as_long(len(codec)) + codec.encode()
    header = header.replace(b"\x08null", name, 1)
    return header + b"".join(block(count, compress(data)) for count, data in found)


def as_long(number):
    """Return a number as Avro writes a long."""
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, "long", number)
    return stream.getvalue()


def tar(members, *, mode="w:gz", folder=""):
    """Return a tarball of (name, bytes) pairs."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as archive:
        for name, content in members:
            entry = tarfile.TarInfo(folder + name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return stream.getvalue()


def members(numbers, **details):
    """Return a file for each alert, named after the candid as in the archive."""
    return [(f"{10**15 + number}.avro", packet(alert(number, **details))) for number in numbers]


def write(path: Path, content: bytes) -> Path:
    """Write bytes and return their path."""
    path.write_bytes(content)
    return path


def as_record(document):
    """Convert a record that fastavro has read to the form that Skymill's reader returns."""
    slots = np.zeros((len(FIELDS), 3), np.int64)
    text = bytearray()
    for path, slot in SLOTS.items():
        value = document
        for name in path.split("."):
            value = value.get(name) if isinstance(value, dict) else None
        if value is None:
            slots[slot, 0] = NULL
        elif path in TEXTS or path in IMAGES:
            content = value.encode() if isinstance(value, str) else value
            slots[slot] = SPAN, len(text), len(content)
            text += content
        elif isinstance(value, float):
            slots[slot, :2] = REAL, np.float64(value).view(np.int64)
        else:
            slots[slot, :2] = INTEGER, value
    return Record(bytes(text), slots, False)
